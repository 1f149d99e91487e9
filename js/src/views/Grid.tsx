// Tree and waterfall in one grid. Only the rows on screen are in the document; one tab stop; arrows move.

import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { act } from "../core/keys";
import { rowsAbove } from "../core/layout";
import type { PageTheme } from "../theme";
import { Axis } from "./Axis";
import { type BarArea, Bars } from "./Bars";
import { MARGIN_PX } from "./paint";
import { Row } from "./Row";
import { ROW_PX, type ViewState } from "./state";

// Rows are drawn in blocks, some beyond the edges: scrolling within a block changes nothing in the document.
const BLOCK = 8;
/** A taller canvas for the bars is not to be had. */
const MOST_PRINTED = 600;

export function Grid({ view, id, theme }: { view: ViewState; id: string; theme: PageTheme }) {
  const box = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const area = useSignal<BarArea>({ left: 0, width: 0 });
  const block = useSignal(0);
  const rowsOnScreen = useSignal(20);
  const following = useRef(true);
  const chosenSeen = useRef(false);

  const visible = view.visible.value;
  const prints = view.prints.value;
  const from = prints ? 0 : Math.max(0, block.value - 1) * BLOCK;
  const seen = prints ? MOST_PRINTED : (block.value + Math.ceil(rowsOnScreen.value / BLOCK) + 2) * BLOCK;
  const to = Math.min(visible.length, seen);
  const chosen = view.indexOf(view.selected.value);

  const noteScroll = () => {
    if (!box.current) return;
    const { scrollTop, clientHeight, scrollHeight } = box.current;
    block.value = Math.floor(scrollTop / ROW_PX / BLOCK);
    following.current = scrollTop + clientHeight >= scrollHeight - ROW_PX;
    const first = Math.floor(scrollTop / ROW_PX);
    const at = view.indexOf(view.selected.peek());
    chosenSeen.current = at >= first && at < first + rowsOnScreen.value;
    const { from, to } = view.onScreen.peek();
    if (first !== from || first + rowsOnScreen.value !== to)
      view.onScreen.value = { from: first, to: first + rowsOnScreen.value };
  };

  useLayoutEffect(() => {
    const measure = () => {
      if (!box.current || !axis.current) return;
      rowsOnScreen.value = Math.max(1, Math.floor(box.current.clientHeight / ROW_PX) - 1);
      const { offsetLeft: left, clientWidth: width } = axis.current;
      if (left !== area.value.left || width !== area.value.width) area.value = { left, width };
      noteScroll();
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
    // Rows that come or go above the chosen one must not push it out of sight.
    if (chosenSeen.current && !running) intoSight(box.current, view.indexOf(view.selected.peek()));
    noteScroll();
  }, [visible.length]);

  // When it ends, it is read from its beginning; a step that failed is then brought in sight.
  const ended = view.store.head.value?.ended !== null;
  const began = useRef(!ended);
  useLayoutEffect(() => {
    if (ended && began.current && following.current && box.current) {
      box.current.scrollTop = 0;
      view.reveal.value = view.selected.peek();
    }
    began.current = !ended;
  }, [ended]);

  useEffect(() => {
    const row = view.reveal.value;
    if (row < 0) return;
    intoSight(box.current, view.indexOf(row));
    view.reveal.value = -1;
  }, [view.reveal.value]);

  useWheel(view, box, area);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!command(view, event.key)) {
      const index = pressed(view, chosen, event, rowsOnScreen.value - 1);
      if (index === undefined) return;
      intoSight(box.current, index);
    }
    event.preventDefault();
    // Also with Shift: in a notebook, Shift with a letter or an arrow is a command.
    event.stopPropagation();
  };

  const rowAt = (index: number) => view.layout.value.order[visible[index]];
  const items = [];
  for (let i = from; i < to; i++) {
    items.push(<Row key={rowAt(i)} view={view} id={id} index={i} chosen={i === chosen} />);
  }
  return (
    <div class="agtr-tree" ref={box} onScroll={noteScroll}>
      <Axis view={view} area={area} axis={axis} />
      <div
        class="agtr-rows"
        role="treegrid"
        aria-label="Steps of the run"
        aria-rowcount={visible.length}
        aria-activedescendant={chosen >= from && chosen < to ? `${id}-${rowAt(chosen)}` : undefined}
        tabIndex={0}
        style={{ height: `${(prints ? to : visible.length) * ROW_PX}px` }}
        onKeyDown={onKeyDown}
      >
        {items}
        <Bars view={view} theme={theme} area={area} from={from} to={to} />
      </div>
      {visible.length === 0 && view.filtering() && <p class="agtr-empty">No step matches.</p>}
    </div>
  );
}

const ZOOM_STEP = 1.6;

/** Does what a letter or a sign means; tells whether it means anything. */
function command(view: ViewState, key: string): boolean {
  const commands: Record<string, () => void> = {
    e: () => view.nextError(),
    E: () => view.nextError(-1),
    n: () => view.nextMatch(),
    p: () => view.nextMatch(-1),
    z: () => view.zoomToSelected(),
    "0": () => view.look(view.axis.peek()),
    "+": () => view.zoomBy(1 / ZOOM_STEP),
    "=": () => view.zoomBy(1 / ZOOM_STEP),
    "-": () => view.zoomBy(ZOOM_STEP),
  };
  if (!Object.hasOwn(commands, key)) return false;
  commands[key]();
  return true;
}

/** Does what a key means; returns the index to bring in sight, -1 for none, undefined where it means nothing. */
function pressed(view: ViewState, at: number, event: KeyboardEvent, page: number): number | undefined {
  const layout = view.layout.value;
  const visible = view.visible.value;
  const place = at < 0 ? -1 : visible[at];
  const row = at < 0 ? -1 : layout.order[place];
  const above = at < 0 ? [] : rowsAbove(layout, place);
  const done = act(event, {
    at,
    page,
    count: visible.length,
    closed: view.isClosed(row),
    // While only matches are shown nothing can be closed.
    parent: at >= 0 && layout.end[place] > place + 1 && !view.filtering(),
    above: above.length ? view.indexOf(above[0]) : -1,
  });
  if (!done) return undefined;
  if ("go" in done) {
    view.select(layout.order[visible[done.go]]);
    return done.go;
  }
  if ("open" in done) view.setOpen(row, done.open);
  else if ("all" in done) view.setAllOpen(done.all);
  else view.openSiblings(row);
  return view.indexOf(view.selected.value);
}

// The axis sticks to the top and is one row high.
function intoSight(box: HTMLElement | null, index: number): void {
  if (!box || index < 0) return;
  const y = index * ROW_PX;
  const room = box.clientHeight - ROW_PX;
  if (y < box.scrollTop) box.scrollTop = y;
  else if (y + ROW_PX > box.scrollTop + room) box.scrollTop = y + ROW_PX - room;
}

const WHEEL_PER_DOUBLE = 300;
const LINE_PX = 16;

/** The wheel over the bars: with Ctrl closer and farther, with Shift or sideways along. */
function useWheel(view: ViewState, box: RefObject<HTMLDivElement | null>, area: { peek(): BarArea }): void {
  useEffect(() => {
    const onWheel = (event: WheelEvent) => {
      const { left, width } = area.peek();
      const x = event.clientX - (box.current?.getBoundingClientRect().left ?? 0) - left;
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
      if (x < 0 || width <= MARGIN_PX) return;
      if (event.ctrlKey || event.metaKey) {
        const { from, length } = view.window.peek();
        const at = from + (x / (width - MARGIN_PX)) * length;
        view.zoomBy(2 ** ((event.deltaY * unit) / WHEEL_PER_DOUBLE), at);
      } else {
        const along = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
        if (!along || !view.zoom.peek() || (!event.shiftKey && Math.abs(event.deltaY) > Math.abs(along)))
          return;
        view.pan((along * unit) / width);
      }
      event.preventDefault();
    };
    const element = box.current;
    // By hand: a listener of Preact's could not keep the page from zooming.
    element?.addEventListener("wheel", onWheel, { passive: false });
    return () => element?.removeEventListener("wheel", onWheel);
  }, [view]);
}
