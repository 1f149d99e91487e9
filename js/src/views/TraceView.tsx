// The whole view of one run.

import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { panels, refused } from "../panels/arrival";
import type { RunStore } from "../store";
import type { PageTheme } from "../theme";
import { Bar } from "./Bar";
import { Detail } from "./Detail";
import { Grid } from "./Grid";
import { Head, Notices } from "./Head";
import { Help } from "./Help";
import { ROW_PX, ViewState } from "./state";

const UNASKED_MS = 500;

let views = 0;

export function TraceView({ store, theme }: { store: RunStore; theme: PageTheme }) {
  const view = useMemo(() => new ViewState(store), [store]);
  const id = useMemo(() => `agtr-${++views}`, []);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => view.followTime(), [view]);
  useEffect(() => view.showFailure(), [view]);
  useEffect(() => view.search.follow(), [view]);
  useEffect(() => followPrinting(view), [view]);
  const more = panels.value;
  useEffect(() => {
    // They come unasked where a run begins; a page that was loaded again has missed them.
    if (more) return;
    const timer = setTimeout(() => store.wantPanels(), UNASKED_MS);
    return () => clearTimeout(timer);
  }, [more, store]);
  if (!store.head.value) {
    return <div class="agtr-empty">{store.problem.value ?? "Waiting for the first step"}</div>;
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only hears keys that come from what is inside
    <div class="agtr-view" onKeyDown={(event) => everywhere(event, view, field)}>
      <Head view={view} />
      <Notices view={view} />
      <Bar view={view} id={id} field={field} />
      <Main view={view} id={id} theme={theme} />
      {more && view.tab.value === "tree" && <more.Minimap view={view} theme={theme} />}
      {view.help.value && <Help view={view} id={id} />}
    </div>
  );
}

// While it runs, a view that grew with each row would push the notebook about: it keeps one height.
const LIVE_PX = 400;

function Main({ view, id, theme }: { view: ViewState; id: string; theme: PageTheme }) {
  const live = useMemo(() => view.store.head.peek()?.ended === null, [view]);
  const rows = view.layout.value.order.length * ROW_PX;
  return (
    <div
      class="agtr-main"
      id={`${id}-panel`}
      role="tabpanel"
      aria-labelledby={`${id}-tab-${view.tab.value}`}
      style={{ "--n": live ? LIVE_PX : rows }}
    >
      <Panel view={view} id={id} theme={theme} />
      <Detail view={view} />
    </div>
  );
}

// The panel beside the detail: all four choose steps, and the detail shows the one that is chosen.
function Panel({ view, id, theme }: { view: ViewState; id: string; theme: PageTheme }) {
  const { tab, store } = view;
  const more = panels.value;
  if (tab.value === "tree") return <Grid view={view} id={id} theme={theme} />;
  if (!more) return <Missing store={store} />;
  const One = { messages: more.Messages, graph: more.Graph, latency: more.Latency }[tab.value];
  return <One view={view} />;
}

function Missing({ store }: { store: RunStore }) {
  const fate = store.connected.value
    ? "comes when the kernel answers"
    : "was not kept here. A page that to_html writes has it";
  const why = refused.value && `could not be loaded: ${refused.value}`;
  return <p class="agtr-panel agtr-empty" role="status">{`This part of the view ${why ?? fate}.`}</p>;
}

/** Paper has no way to scroll: what is printed is all in the document. */
function followPrinting(view: ViewState): () => void {
  const medium = matchMedia("print");
  const note = () => {
    view.prints.value = medium.matches;
  };
  medium.addEventListener("change", note);
  return () => medium.removeEventListener("change", note);
}

/** Keys that mean the same wherever the focus is in the view, but where one types. */
function everywhere(event: KeyboardEvent, view: ViewState, field: RefObject<HTMLInputElement | null>): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if ((event.target as Element).closest("input[type=text], textarea, select, [contenteditable]")) return;
  if (event.key === "/") field.current?.focus();
  else if (event.key === "?") view.help.value = !view.help.value;
  else return;
  event.preventDefault();
  event.stopPropagation();
}
