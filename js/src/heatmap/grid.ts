// What the kernel sent of a table whose cells lead to runs, and which cell the reader is at.

import { computed, type ReadonlySignal, signal } from "@preact/signals";

/** A cell with runs: where it is, how strong it is drawn (0 to 1; below 0: good), and what it says, briefly and in full. */
type Cell = [row: number, column: number, strength: number, text: string, words: string];

export interface Grid {
  key: string;
  title: string;
  note: string;
  /** What was left out, in words. */
  more: string | null;
  across: string;
  down: string;
  rows: string[];
  columns: string[];
  cells: Cell[];
}

export function gridOf(snapshot: unknown): Grid {
  if (!(snapshot instanceof DataView || snapshot instanceof Uint8Array))
    throw new Error("the heatmap has no data");
  return JSON.parse(new TextDecoder().decode(snapshot));
}

export class GridState {
  /** Index of the cell that has the tab stop. */
  readonly at = signal(0);
  /** Index of the cell whose runs are shown; -1: none. */
  readonly opened = signal(-1);
  readonly shown: ReadonlySignal<{ length: number }>;

  constructor(readonly grid: Grid) {
    this.shown = computed(() => grid.cells);
  }

  indexOf(cell: number): number {
    return cell;
  }

  open(cell: number): void {
    this.at.value = cell;
    this.opened.value = cell;
  }

  close(): void {
    this.opened.value = -1;
  }

  step(by: number): void {
    const next = this.opened.value + by;
    if (this.grid.cells[next]) this.open(next);
  }

  /** The nearest cell with runs in a direction; the same one where there is none. */
  toward(rows: number, columns: number): number {
    const { cells } = this.grid;
    const here = cells[this.at.value];
    if (!here) return this.at.value;
    let [found, least] = [this.at.value, Number.POSITIVE_INFINITY];
    cells.forEach(([row, column], index) => {
      const [down, right] = [row - here[0], column - here[1]];
      const ahead = rows ? down * rows : right * columns;
      const aside = Math.abs(rows ? right : down);
      if (ahead <= 0 || 100 * aside + ahead >= least) return;
      [found, least] = [index, 100 * aside + ahead];
    });
    return found;
  }
}
