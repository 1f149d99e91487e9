// The rows: only those on screen are in the document; one tab stop; arrows move, Enter opens.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { columnsOf } from "./columns";
import { Heads } from "./Heads";
import { act } from "./keys";
import { Run } from "./Run";
import { type ListState, ROW_PX } from "./state";

// Rows are drawn in blocks, some beyond the edges: scrolling within a block changes nothing in the document.
const BLOCK = 8;

interface Props {
  view: ListState;
  id: string;
  toFilter: () => void;
}

export function Runs({ view, id, toFilter }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const block = useSignal(0);
  const onScreen = useSignal(20);
  const list = view.list.value;
  const shown = view.shown.value;
  const columns = columnsOf(list);
  const from = Math.max(0, block.value - 1) * BLOCK;
  const to = Math.min(shown.length, (block.value + Math.ceil(onScreen.value / BLOCK) + 2) * BLOCK);
  const chosen = view.indexOf(view.chosen.value);
  const median = view.median.value;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      onScreen.value = Math.max(1, Math.floor(element.clientHeight / ROW_PX) - 1);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  // Another order or another choice begins at its top; back from a run, that run is in sight.
  useEffect(() => {
    if (chosen < 0 && box.current) box.current.scrollTop = 0;
    else intoSight(box.current, chosen);
  }, [view.shown.value]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const what = act(event.key, {
      at: chosen,
      count: shown.length,
      page: onScreen.value - 1,
      head: view.headed.value,
      columns: columns.length,
    });
    if (what === undefined) return;
    event.preventDefault();
    if (what === "filter") toFilter();
    else if (what === "open") view.open(view.chosen.value);
    else if (what === "sort") view.sortBy(columns[view.headed.value].name);
    else if ("head" in what) view.headed.value = what.head;
    else {
      view.headed.value = -1;
      view.chosen.value = shown[what.row];
      intoSight(box.current, what.row);
    }
  };

  const rows = [];
  for (let at = from; at < to; at++) {
    const row = shown[at];
    rows.push(
      <Run
        key={row}
        view={view}
        columns={columns}
        id={id}
        row={row}
        at={at}
        chosen={at === chosen}
        median={median}
      />,
    );
  }
  const headed = view.headed.value;
  const active =
    headed >= 0 ? `${id}-h${headed}` : chosen >= from && chosen < to ? `${id}-${shown[chosen]}` : undefined;
  return (
    <div
      class={`agtr-runs${list.judged ? " agtr-judged" : ""}${list.tagged ? " agtr-tagged" : ""}`}
      ref={box}
      style={{ "--n": shown.length * ROW_PX }}
      role="grid"
      aria-label="Runs"
      aria-rowcount={shown.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={active}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={(event) => {
        block.value = Math.floor((event.currentTarget as HTMLElement).scrollTop / ROW_PX / BLOCK);
      }}
    >
      <Heads view={view} columns={columns} id={id} />
      <div class="agtr-run-rows" role="rowgroup" style={{ height: `${shown.length * ROW_PX}px` }}>
        {rows}
      </div>
    </div>
  );
}

function intoSight(box: HTMLElement | null, at: number): void {
  if (!box || at < 0) return;
  const top = at * ROW_PX;
  // The heads stay above the rows.
  const room = box.clientHeight - 2 * ROW_PX;
  if (box.scrollTop > top) box.scrollTop = top;
  else if (box.scrollTop + room < top) box.scrollTop = top - room;
}
