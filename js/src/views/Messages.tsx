// The run as a conversation. Only what is on screen is in the document, and asked for where it is not here.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { conversation } from "../core/conversation";
import { Heights } from "../core/heights";
import { act } from "../core/keys";
import { Spoken } from "./Spoken";
import type { ViewState } from "./state";

const AROUND_PX = 400;
const REST_MS = 120;
const END_PX = 40;
const SCREEN_PX = 640;
/** Longer conversations are printed in part. */
const MOST_PRINTED = 2000;

export function Messages({ view }: { view: ViewState }) {
  const { store } = view;
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const drawn = useSignal(0);
  /** Row to bring on screen once it is drawn, and whether to give it the focus. */
  const due = useRef<{ row: number; focus: boolean } | undefined>(undefined);
  const follows = useRef(true);
  const prints = view.prints.value;
  const heights = useMemo(() => new Heights(), []);
  const lines = useComputed(() => {
    store.version.value;
    const found = conversation(store.table, view.layout.value.order);
    heights.rows = found.map((line) => line.row);
    return found;
  });
  store.contents.value;
  drawn.value;
  const all = lines.value;
  const screen = box.current?.clientHeight || SCREEN_PX;
  const first = prints ? 0 : heights.at(top.value - AROUND_PX);
  const seen = prints ? MOST_PRINTED - 1 : heights.at(top.value + screen + AROUND_PX);
  const last = Math.min(all.length - 1, seen);
  const shown = all.slice(first, last + 1);
  const selected = view.selected.value;
  const at = all.findIndex((line) => line.row === selected);

  const bring = (index: number, focus: boolean) => {
    const line = all[Math.max(0, Math.min(index, all.length - 1))];
    const its = box.current;
    if (!line || !its) return;
    due.current = { row: line.row, focus };
    const y = heights.offset(all.indexOf(line));
    if (y < its.scrollTop || y > its.scrollTop + its.clientHeight - END_PX) its.scrollTop = y - END_PX;
    drawn.value++;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target as HTMLElement;
    if (on !== event.currentTarget && on.tagName !== "ARTICLE") return;
    const page = Math.max(1, heights.at(top.value + screen) - heights.at(top.value) - 1);
    const place = {
      at: at < 0 ? first - 1 : at,
      count: all.length,
      page,
      parent: false,
      closed: false,
      above: -1,
    };
    const does = act(event, place);
    if (!does || !("go" in does)) return;
    const index = does.go;
    view.select(all[index].row);
    bring(index, true);
    event.preventDefault();
  };

  // What is chosen elsewhere is brought on screen here.
  useLayoutEffect(() => {
    if (at >= 0) bring(at, false);
    else if (store.head.peek()?.ended === null && box.current)
      box.current.scrollTop = box.current.scrollHeight;
  }, []);
  useEffect(() => {
    const row = view.reveal.value;
    const index = lines.peek().findIndex((line) => line.row === row);
    if (row >= 0 && row === view.selected.peek() && index >= 0) bring(index, false);
  }, [view.reveal.value]);
  useLayoutEffect(() => {
    const its = box.current;
    if (!its) return;
    let news = false;
    for (const element of its.querySelectorAll<HTMLElement>("[data-row]")) {
      news = heights.set(Number(element.dataset.row), element.getBoundingClientRect().height) || news;
    }
    const target = due.current;
    const element = target && its.querySelector<HTMLElement>(`[data-row="${target.row}"]`);
    if (element) {
      const { top: edge, bottom } = element.getBoundingClientRect();
      const frame = its.getBoundingClientRect();
      if (edge < frame.top) its.scrollTop -= frame.top - edge + 4;
      else if (bottom > frame.bottom) its.scrollTop += Math.min(bottom - frame.bottom + 4, edge - frame.top);
      if (target.focus) element.focus({ preventScroll: true });
      if (!news) due.current = undefined;
    } else if (follows.current && store.head.peek()?.ended === null) its.scrollTop = its.scrollHeight;
    if (news) drawn.value++;
  });
  useEffect(() => {
    if (!store.connected.value) return;
    const missing = shown
      .map((line) => line.row)
      .filter((row) => !store.content(row) || store.table.stale.has(row));
    if (missing.length === 0) return;
    const timer = setTimeout(() => store.want(...missing), REST_MS);
    return () => clearTimeout(timer);
  }, [first, last, store.contents.value, store.version.value]);

  if (all.length === 0) return <div class="agtr-panel agtr-empty">Nobody has said anything yet.</div>;
  const stop = at >= first && at <= last ? at : first;
  return (
    <div
      ref={box}
      class="agtr-panel agtr-messages"
      role="feed"
      aria-label="Messages"
      onKeyDown={onKeyDown}
      onScroll={(event) => {
        const its = event.currentTarget;
        top.value = its.scrollTop;
        follows.current = its.scrollTop + its.clientHeight > its.scrollHeight - END_PX;
      }}
    >
      <div style={{ height: `${heights.offset(first)}px` }} />
      {shown.map((line, i) => (
        <article
          key={line.row}
          data-row={line.row}
          class={`agtr-said-line${line.row === selected ? " agtr-on" : ""}`}
          style={{ "--in": Math.min(line.inside, 6) }}
          aria-posinset={first + i + 1}
          aria-setsize={all.length}
          aria-current={line.row === selected}
          tabIndex={first + i === stop ? 0 : -1}
          onClick={() => view.select(line.row)}
        >
          <Spoken view={view} line={line} />
        </article>
      ))}
      <div style={{ height: `${heights.offset(all.length) - heights.offset(last + 1)}px` }} />
    </div>
  );
}
