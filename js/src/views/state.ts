// What one view shows of a run: its own choices, never sent to the kernel. Two views of one run do not disturb
// each other.

import { computed, effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { type Layout, layOut, rowsAbove, visiblePlaces } from "../core/layout";
import { TOP } from "../core/table";
import type { RunStore } from "../store";

export const ROW_PX = 26;

export const TABS = ["tree", "messages", "graph", "latency"] as const;
export type Tab = (typeof TABS)[number];

export class ViewState {
  readonly tab = signal<Tab>("tree");
  readonly selected = signal(-1);
  readonly closed: Signal<ReadonlySet<number>> = signal(new Set());
  readonly fold = signal(true);
  /** The run's clock, followed while it runs. */
  readonly now = signal(0);
  readonly silent = signal(false);
  /** Row to bring on screen. */
  readonly reveal = signal(-1);
  readonly layout: ReadonlySignal<Layout>;
  /** Places in the layout that are on screen. */
  readonly visible: ReadonlySignal<Int32Array>;
  /** The time axis: where it begins, and its length, in ms of the run's clock. */
  readonly axis: ReadonlySignal<{ from: number; length: number }>;

  constructor(readonly store: RunStore) {
    this.layout = computed(() => {
      store.version.value;
      return layOut(store.table, this.fold.value);
    });
    this.visible = computed(() => visiblePlaces(this.layout.value, this.closed.value));
    this.axis = computed(() => {
      const head = store.head.value;
      const { from, to } = extent(store);
      if (head && head.ended !== null) return { from, length: Math.max(to - from, 0.001) };
      // Some room ahead, so that the newest bars do not stick to the edge.
      return { from, length: Math.max((this.now.value - from) * 1.06, 500) };
    });
    this.now.value = store.clock();
  }

  select(row: number): void {
    this.selected.value = row;
  }

  /** Index among the visible rows; that of the row which stands for it where it is folded away; else -1. */
  indexOf(row: number): number {
    const place = row < 0 ? -1 : (this.layout.value.place[row] ?? -1);
    if (place < 0) return -1;
    // The visible places rise: the last one not after this place is the row or holds it.
    const visible = this.visible.value;
    let low = 0;
    let high = visible.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (visible[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  setOpen(row: number, open: boolean): void {
    const closed = new Set(this.closed.value);
    if (open) closed.delete(row);
    else closed.add(row);
    this.closed.value = closed;
    if (open) return;
    // The choice must not be out of sight.
    const at = this.indexOf(this.selected.value);
    if (at >= 0) this.selected.value = this.layout.value.order[this.visible.value[at]];
  }

  /** Chooses a row and brings it on screen, opening what is above it. */
  show(row: number): void {
    const place = this.layout.value.place[row];
    if (place === undefined || place < 0) return;
    const closed = new Set(this.closed.value);
    for (const above of rowsAbove(this.layout.value, place)) closed.delete(above);
    this.closed.value = closed;
    this.selected.value = row;
    this.reveal.value = row;
  }

  /** The first row of the run: its workflow, or whatever came first. */
  firstRow(): number {
    const { parent } = this.store.table.col;
    for (let row = 0; row < this.store.table.n; row++) if (parent[row] === TOP) return row;
    return -1;
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

  /** Goes to the next row in which an error began. */
  nextError(): void {
    const { errors, place } = this.layout.value;
    if (errors.length === 0) return;
    const from = this.selected.value < 0 ? -1 : place[this.selected.value];
    this.show(errors.find((row) => place[row] > from) ?? errors[0]);
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
