// What one view shows of a run: its own choices, never sent to the kernel. Two views of one run do not disturb
// each other.

import {
  batch,
  computed,
  effect,
  type ReadonlySignal,
  type Signal,
  signal,
  untracked,
} from "@preact/signals";
import { inside, type Stretch, zoomed } from "../core/axis";
import { beyond, type Layout, layOut, placesWith, readTree, rowsAbove, visiblePlaces } from "../core/layout";
import { TOP } from "../core/table";
import type { RunStore } from "../store";
import { Search } from "./search";

export const ROW_PX = 26;

export const TABS = ["tree", "messages", "graph", "latency"] as const;
export type Tab = (typeof TABS)[number];

/** From when to when, in ms of the run's clock. */
interface Times {
  from: number;
  to: number;
}

export class ViewState {
  readonly tab = signal<Tab>("tree");
  readonly selected = signal(-1);
  readonly fold = signal(true);
  /** Show what is on the critical path, and dim the rest. */
  readonly critical = signal(false);
  readonly help = signal(false);
  /** The run's clock, followed while it runs. */
  readonly now = signal(0);
  readonly silent = signal(false);
  /** Row to bring on screen. */
  readonly reveal = signal(-1);
  /** The rows on screen, from and before these indices. */
  readonly onScreen = signal({ from: 0, to: 0 });
  readonly prints = signal(false);
  readonly layout: ReadonlySignal<Layout>;
  /** Places in the layout that are on screen or can be scrolled to. */
  readonly visible: ReadonlySignal<Int32Array>;
  /** The time of the whole run, in ms of its clock. */
  readonly axis: ReadonlySignal<Stretch>;
  /** The stretch of it that the bars show. */
  readonly window: ReadonlySignal<Stretch>;
  readonly zoom: Signal<Stretch | undefined> = signal(undefined);
  readonly search: Search;
  /** For each row 1 where it is on the critical path or holds what is; undefined where that is not known. */
  readonly onPath: ReadonlySignal<Uint8Array | undefined>;

  /** What is open: all, none, or all but calls that repeat; and the rows that are the other way. */
  readonly #opened: Signal<{ all: boolean | undefined; but: ReadonlySet<number> }> = signal({
    all: undefined,
    but: new Set(),
  });

  constructor(readonly store: RunStore) {
    const tree = computed(() => {
      store.version.value;
      return readTree(store.table);
    });
    this.layout = computed(() => layOut(store.table, this.fold.value, tree.value));
    this.search = new Search(store, this.layout);
    this.visible = computed(() => {
      const wanted = this.filtering() ? this.search.hits.value : undefined;
      if (wanted) return placesWith(this.layout.value, wanted);
      const { all, but } = this.#opened.value;
      const { repeats } = this.layout.value;
      return visiblePlaces(
        this.layout.value,
        (row) => but.has(row) !== (all === undefined ? repeats.has(row) : !all),
      );
    });
    this.axis = computed(() => {
      const head = store.head.value;
      const { from, to } = extent(store);
      if (head && head.ended !== null) return { from, length: Math.max(to - from, 0.001) };
      // Some room ahead, so that the newest bars do not stick to the edge.
      return { from, length: Math.max((this.now.value - from) * 1.06, 500) };
    });
    this.window = computed(() => this.zoom.value ?? this.axis.value);
    this.onPath = computed(() => {
      store.version.value;
      return store.table.received.has("critical")
        ? pathWithParents(store.table, this.layout.value)
        : undefined;
    });
    this.now.value = store.clock();
  }

  select(row: number): void {
    this.selected.value = row;
  }

  /** Only matches are shown; what is closed is open then. */
  filtering(): boolean {
    return this.search.only.value && this.search.hits.value !== undefined;
  }

  isClosed(row: number): boolean {
    if (this.filtering()) return false;
    const { all, but } = this.#opened.value;
    return but.has(row) !== (all === undefined ? this.layout.value.repeats.has(row) : !all);
  }

  /** Index among the visible rows; that of the row which stands for it where it is folded away; else -1. */
  indexOf(row: number): number {
    const place = row < 0 ? -1 : (this.layout.value.place[row] ?? -1);
    const visible = this.visible.value;
    if (place < 0 || visible.length === 0) return -1;
    // The visible places rise: the last one not after this place is the row, or holds it, or has nothing to do with it.
    let low = 0;
    let high = visible.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (visible[middle] <= place) low = middle;
      else high = middle - 1;
    }
    const found = visible[low];
    return found === place || (found < place && place < this.layout.value.end[found]) ? low : -1;
  }

  setOpen(row: number, open: boolean): void {
    if (this.filtering() || this.isClosed(row) !== open) return;
    this.#flip([row]);
  }

  /** Opens or closes everything. */
  setAllOpen(open: boolean): void {
    this.#opened.value = { all: open, but: new Set() };
    this.#keepChoiceInSight();
  }

  /** Opens all rows that hang where this one does. */
  openSiblings(row: number): void {
    const { order, end, depth, place } = this.layout.value;
    const above = rowsAbove(this.layout.value, place[row])[0];
    const last = above === undefined ? order.length : end[place[above]];
    const closed: number[] = [];
    for (let at = above === undefined ? 0 : place[above] + 1; at < last; at = end[at])
      if (depth[at] === depth[place[row]] && this.isClosed(order[at])) closed.push(order[at]);
    this.#flip(closed);
  }

  #flip(rows: number[]): void {
    const { all, but } = this.#opened.peek();
    const flipped = new Set(but);
    for (const row of rows) if (!flipped.delete(row)) flipped.add(row);
    this.#opened.value = { all, but: flipped };
    this.#keepChoiceInSight();
  }

  // What stands for the choice is chosen when it is folded away.
  #keepChoiceInSight(): void {
    const at = this.indexOf(this.selected.peek());
    if (at >= 0) this.selected.value = this.layout.value.order[this.visible.value[at]];
  }

  /** Chooses a row and brings it on screen, opening what is above it. */
  show(row: number): void {
    const place = this.layout.value.place[row];
    if (place === undefined || place < 0) return;
    batch(() => {
      if (this.filtering() && !this.search.hits.value?.[row]) this.search.only.value = false;
      const above = rowsAbove(this.layout.value, place).filter((r) => this.isClosed(r));
      if (above.length) this.#flip(above);
      this.selected.value = row;
      this.reveal.value = row;
      this.#bringIntoTime(row);
    });
  }

  /** The first row of the run: its workflow, or whatever came first. */
  firstRow(): number {
    const { parent } = this.store.table.col;
    for (let row = 0; row < this.store.table.n; row++) if (parent[row] === TOP) return row;
    return -1;
  }

  // ----------------------------------------------------------------------------------------------------------- time

  /** Shows another stretch of time; what is outside the run is brought inside. */
  look(stretch: Stretch): void {
    this.zoom.value = inside(stretch, this.axis.peek());
  }

  /** Shows more time (factor above 1) or less around a moment; without one around the chosen row or the middle. */
  zoomBy(factor: number, at?: number): void {
    const window = this.window.peek();
    const end = window.from + window.length;
    let middle = at ?? window.from + window.length / 2;
    if (at === undefined && this.selected.peek() >= 0) {
      const { from, to } = this.times(this.selected.peek());
      if (to > window.from && from < end) middle = (Math.max(from, window.from) + Math.min(to, end)) / 2;
    }
    this.look(zoomed(window, factor, middle));
  }

  /** Moves along by a part of what is shown. */
  pan(part: number): void {
    const { from, length } = this.window.peek();
    if (this.zoom.peek()) this.look({ from: from + part * length, length });
  }

  /** Shows the time of the chosen row, with a little around it; without one that of the rows on screen. */
  zoomToSelected(): void {
    const row = this.selected.peek();
    const onScreen = this.timeOnScreen();
    if (row < 0 && !onScreen) return;
    const { from, to } = row >= 0 ? this.times(row) : (onScreen as Times);
    const length = Math.max(to - from, this.axis.peek().length * 1e-4);
    this.look({ from: from - length * 0.05, length: length * 1.1 });
  }

  /** When a row began and ended, or where it stands now. */
  times(row: number): Times {
    const { start, end } = this.store.table.col;
    const running = Number.isNaN(end[row]);
    return { from: start[row], to: Math.max(running ? this.now.peek() : end[row], start[row]) };
  }

  /** From when to when the rows on screen last: those that hold no others. */
  timeOnScreen(): Times | undefined {
    const { order, end } = this.layout.value;
    const { from, to } = this.onScreen.value;
    const found = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY };
    for (const place of this.visible.value.subarray(from, to)) {
      if (end[place] > place + 1) continue;
      const times = this.times(order[place]);
      found.from = Math.min(found.from, times.from);
      found.to = Math.max(found.to, times.to);
    }
    return found.to >= found.from ? found : undefined;
  }

  /** Brings the rows of a moment on screen. */
  revealTime(at: number): void {
    const { order, end } = this.layout.peek();
    const { start } = this.store.table.col;
    const place = this.visible.peek().find((p) => end[p] === p + 1 && start[order[p]] >= at);
    if (place !== undefined) this.reveal.value = order[place];
  }

  #bringIntoTime(row: number): void {
    const window = this.zoom.peek();
    if (!window) return;
    const { from, to } = this.times(row);
    if (to < window.from || from > window.from + window.length)
      this.look({ from: from - window.length * 0.1, length: window.length });
  }

  /** Lets the clock run until the run ends. Returns what stops it. */
  followTime(): () => void {
    let frame = 0;
    const step = () => {
      this.now.value = this.store.clock();
      this.silent.value = this.store.silent();
      frame = requestAnimationFrame(step);
    };
    const stopWatching = effect(() => {
      cancelAnimationFrame(frame);
      if (this.store.head.value?.ended === null) frame = requestAnimationFrame(step);
      else this.now.value = this.store.clock();
    });
    return () => {
      stopWatching();
      cancelAnimationFrame(frame);
    };
  }

  /** When the run has failed and the reader has chosen nothing, chooses the step that failed. */
  showFailure(): () => void {
    return effect(() => {
      const head = this.store.head.value;
      if (!head || head.ended === null || head.why_row === null || this.selected.peek() >= 0) return;
      const row = head.why_row;
      untracked(() => this.show(row));
    });
  }

  /** Goes to the next row in which an error began, or to the one before. */
  nextError(step: 1 | -1 = 1): void {
    this.#showBeyond(this.layout.value.errors, step);
  }

  /** Goes to the next match of the search, or to the one before. */
  nextMatch(step: 1 | -1 = 1): void {
    this.#showBeyond(this.search.rows.value, step);
  }

  #showBeyond(rows: number[], step: 1 | -1): void {
    const row = beyond(rows, this.selected.value, step, this.layout.value.place);
    if (row >= 0) this.show(row);
  }
}

/** From the start of the first step to the end of the last. What the cell did before it is not the agents' time. */
function extent(store: RunStore): { from: number; to: number } {
  store.version.value;
  const { start, end } = store.table.col;
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (let row = 0; row < store.table.n; row++) {
    from = Math.min(from, start[row]);
    to = Math.max(to, end[row] > start[row] ? end[row] : start[row]);
  }
  return store.table.n > 0 ? { from, to } : { from: 0, to: 0 };
}

function pathWithParents(table: RunStore["table"], { repeats, order, place }: Layout): Uint8Array {
  const { parent, critical } = table.col;
  const found = new Uint8Array(table.n);
  for (let row = 0; row < table.n; row++) {
    if (!(critical[row] > 0)) continue;
    for (let above = row; above !== TOP && !found[above]; above = parent[above]) found[above] = 1;
  }
  for (const [row, count] of repeats) {
    for (const other of order.subarray(place[row], place[row] + count)) found[row] ||= found[other];
  }
  return found;
}
