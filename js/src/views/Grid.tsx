// Tree and waterfall in one grid. Only the rows on screen are in the document; one tab stop; arrows move.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { act } from "../core/keys";
import { rowsAbove } from "../core/layout";
import type { PageTheme } from "../theme";
import { AxisTicks, type BarArea, Bars } from "./Bars";
import { Row } from "./Row";
import { ROW_PX, type ViewState } from "./state";

// Rows are drawn in blocks, some beyond the edges: scrolling within a block changes nothing in the document.
const BLOCK = 8;

export function Grid({ view, id, theme }: { view: ViewState; id: string; theme: PageTheme }) {
  const box = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const area = useSignal<BarArea>({ left: 0, width: 0 });
  const block = useSignal(0);
  const rowsOnScreen = useSignal(20);
  const following = useRef(true);

  const visible = view.visible.value;
  const from = Math.max(0, block.value - 1) * BLOCK;
  const to = Math.min(visible.length, (block.value + Math.ceil(rowsOnScreen.value / BLOCK) + 2) * BLOCK);
  const chosen = view.indexOf(view.selected.value);

  useLayoutEffect(() => {
    const measure = () => {
      if (!box.current || !axis.current) return;
      rowsOnScreen.value = Math.max(1, Math.floor(box.current.clientHeight / ROW_PX) - 1);
      const { offsetLeft: left, clientWidth: width } = axis.current;
      if (left !== area.value.left || width !== area.value.width) area.value = { left, width };
    };
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    if (axis.current) observer.observe(axis.current);
    measure();
    return () => observer.disconnect();
  }, []);

  // While it runs, the newest rows stay in sight unless the reader has scrolled away from them.
  useLayoutEffect(() => {
    const running = view.store.head.peek()?.ended === null;
    if (following.current && running && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [visible.length]);

  useEffect(() => {
    const row = view.reveal.value;
    if (row < 0) return;
    intoSight(box.current, view.indexOf(row));
    view.reveal.value = -1;
  }, [view.reveal.value]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "e") view.nextError();
    else {
      const index = pressed(view, chosen, event.key, rowsOnScreen.value - 1);
      if (index === undefined) return;
      intoSight(box.current, index);
    }
    event.preventDefault();
  };

  const onScroll = (event: Event) => {
    const { scrollTop, clientHeight, scrollHeight } = event.currentTarget as HTMLElement;
    block.value = Math.floor(scrollTop / ROW_PX / BLOCK);
    following.current = scrollTop + clientHeight >= scrollHeight - ROW_PX;
  };

  const rowAt = (index: number) => view.layout.value.order[visible[index]];
  const items = [];
  for (let i = from; i < to; i++) {
    items.push(<Row key={rowAt(i)} view={view} id={id} index={i} chosen={i === chosen} />);
  }
  return (
    <div class="agtr-tree" ref={box} onScroll={onScroll}>
      <div class="agtr-axis">
        <div class="agtr-axis-left">
          <span>{howMany(visible.length, view)}</span>
          <FoldTurns view={view} />
        </div>
        <div class="agtr-axis-bars" ref={axis} aria-hidden="true">
          <AxisTicks view={view} area={area} />
        </div>
      </div>
      <div
        class="agtr-rows"
        role="treegrid"
        aria-label="Steps of the run"
        aria-rowcount={visible.length}
        aria-activedescendant={chosen >= from && chosen < to ? `${id}-${rowAt(chosen)}` : undefined}
        tabIndex={0}
        style={{ height: `${visible.length * ROW_PX}px` }}
        onKeyDown={onKeyDown}
      >
        {items}
        <Bars view={view} theme={theme} area={area} from={from} to={to} />
      </div>
    </div>
  );
}

function FoldTurns({ view }: { view: ViewState }) {
  const set = (event: Event) => {
    view.fold.value = (event.currentTarget as HTMLInputElement).checked;
  };
  return (
    <label class="agtr-check">
      <input type="checkbox" checked={view.fold.value} onChange={set} />
      fold turns
    </label>
  );
}

function howMany(shown: number, view: ViewState): string {
  const all = view.store.table.n;
  const steps = `${all} ${all === 1 ? "step" : "steps"}`;
  return shown === all ? steps : `${shown} of ${steps}`;
}

/** Does what a key means; returns the index to bring in sight, -1 for none, undefined where it means nothing. */
function pressed(view: ViewState, at: number, key: string, page: number): number | undefined {
  const layout = view.layout.value;
  const visible = view.visible.value;
  const place = at < 0 ? -1 : visible[at];
  const row = at < 0 ? -1 : layout.order[place];
  const above = at < 0 ? [] : rowsAbove(layout, place);
  const done = act(key, {
    at,
    page,
    count: visible.length,
    closed: view.closed.value.has(row),
    parent: at >= 0 && layout.end[place] > place + 1,
    above: above.length ? view.indexOf(above[0]) : -1,
  });
  if (!done) return undefined;
  if ("open" in done) {
    view.setOpen(row, done.open);
    return -1;
  }
  view.select(layout.order[visible[done.go]]);
  return done.go;
}

// The axis sticks to the top and is one row high.
function intoSight(box: HTMLElement | null, index: number): void {
  if (!box || index < 0) return;
  const y = index * ROW_PX;
  const room = box.clientHeight - ROW_PX;
  if (y < box.scrollTop) box.scrollTop = y;
  else if (y + ROW_PX > box.scrollTop + room) box.scrollTop = y + ROW_PX - room;
}
