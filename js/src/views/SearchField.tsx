// The search: what is typed, how many steps match, and the way from one to the next.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { needles } from "../core/filter";
import { grouped } from "../core/format";
import type { ViewState } from "./state";

interface Props {
  view: ViewState;
  id: string;
  field: RefObject<HTMLInputElement | null>;
}

export function SearchField({ view, id, field }: Props) {
  const { search } = view;
  const asked = search.text.value !== "";
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Enter") view.nextMatch(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape" && asked) search.clear();
    else if (event.key === "Escape") focusTree(event.currentTarget as HTMLElement);
    else return;
    // Shift+Enter runs the cell, Escape leaves it: not from here.
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="agtr-search" role="search">
      <div class="agtr-field">
        <input
          ref={field}
          type="text"
          spellcheck={false}
          autocomplete="off"
          placeholder="name, text, kind:tool status:error"
          aria-label="Search the steps"
          aria-describedby={`${id}-found`}
          value={search.text.value}
          onInput={(event) => {
            search.text.value = (event.currentTarget as HTMLInputElement).value;
          }}
          onKeyDown={onKeyDown}
        />
        <span class="agtr-found" id={`${id}-found`} role="status">
          {asked && <Count view={view} />}
        </span>
        {asked && <Steps view={view} />}
      </div>
      {asked && <Hint view={view} />}
    </div>
  );
}

function focusTree(from: HTMLElement): void {
  const view = from.closest(".agtr-view");
  const tree = view?.querySelector<HTMLElement>("[role=treegrid]");
  (tree ?? view?.querySelector<HTMLElement>("[role=tab][aria-selected=true]"))?.focus();
}

function Count({ view }: { view: ViewState }) {
  const { search } = view;
  if (!search.hits.value) return null;
  const rows = search.rows.value;
  const at = rows.indexOf(view.selected.value);
  const more = search.working.value ? "\u2026" : "";
  if (rows.length === 0) return <>{more || "none"}</>;
  return <>{at >= 0 ? `${grouped(at + 1)} of ${grouped(rows.length)}` : grouped(rows.length) + more}</>;
}

function Steps({ view }: { view: ViewState }) {
  const { only, rows } = view.search;
  const step = (name: string, sign: string, keys: string, by: 1 | -1) => (
    <button
      type="button"
      class="agtr-key"
      aria-label={`${name} match`}
      title={`${name} (${keys})`}
      disabled={rows.value.length === 0}
      onClick={() => view.nextMatch(by)}
    >
      {sign}
    </button>
  );
  return (
    <>
      {step("Previous", "\u2191", "Shift+Enter, p", -1)}
      {step("Next", "\u2193", "Enter, n", 1)}
      <button
        type="button"
        class="agtr-key"
        aria-label="Only matches"
        title="Show matches and what is above them, nothing else"
        aria-pressed={only.value}
        onClick={() => {
          only.value = !only.value;
        }}
      >
        only
      </button>
    </>
  );
}

// Said late: an answer that comes at once needs no words.
const LATE_MS = 500;

function Hint({ view }: { view: ViewState }) {
  const { search } = view;
  const words = [search.query.value.hint, folded(search.folded), content(view)].filter(Boolean);
  return words.length > 0 ? <Late key={words.join()} words={words.join("; ")} now={!!words[0]} /> : null;
}

function Late({ words, now }: { words: string; now: boolean }) {
  const said = useSignal(now);
  useEffect(() => {
    const timer = setTimeout(() => {
      said.value = true;
    }, LATE_MS);
    return () => clearTimeout(timer);
  }, []);
  return said.value ? <p class="agtr-search-hint">{words}</p> : null;
}

function folded(count: ReadonlySignal<number>): string {
  return count.value > 0 ? `${grouped(count.value)} more in folded turns` : "";
}

/** What is known of the search in contents, if it is not complete. */
function content(view: ViewState): string {
  const { store, search } = view;
  store.finds.value;
  store.contents.value;
  const texts = needles(search.query.value);
  if (texts.length === 0 || store.isWhole()) return "";
  if (!store.connected.value) return "content that was not kept here is not searched";
  const found = texts.map((text) => store.found.get(text));
  if (found.some((one) => one && !one.rows)) return "content is searched when the kernel is free";
  return found.some((one) => one?.whole === false) ? "content was searched in part: there is too much" : "";
}
