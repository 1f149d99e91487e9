// What one view shows of a list: its own choices, never sent to the kernel.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { RunList } from "./list";
import { largeFirst, type Sort, type SortColumn, sorted } from "./order";
import { parse, type Query, withField } from "./query";
import { type Group, groups } from "./summary";

export const ROW_PX = 28;

export class ListState {
  readonly filter = signal("");
  /** Nothing chosen: the order in which the runs were found. */
  readonly sort: Signal<Sort | undefined> = signal(undefined);
  /** The row in focus; -1: none. */
  readonly chosen = signal(-1);
  /** The column in focus where the keys are in the header; -1: they are not. */
  readonly headed = signal(-1);
  /** The row whose run is shown in place of the list; -1: none. */
  readonly opened = signal(-1);
  readonly query: ReadonlySignal<Query>;
  /** Rows that the filter lets through, in the order of the list. */
  readonly found: ReadonlySignal<Int32Array>;
  /** The same in the order that is shown. */
  readonly shown: ReadonlySignal<Int32Array>;
  readonly groups: ReadonlySignal<Group[]>;
  /** Median latency of the runs shown, ms; NaN where none is known. */
  readonly median: ReadonlySignal<number>;
  /** One line for the reader. */
  readonly notice = signal("");
  /** What the time was when the list was opened: what "today" is does not change under the reader's eyes. */
  readonly now = Date.now();

  constructor(readonly list: ReadonlySignal<RunList>) {
    this.query = computed(() => parse(this.filter.value));
    this.found = computed(() => {
      const of = list.value;
      const { test } = this.query.value;
      return Int32Array.from({ length: of.n }, (_, row) => row).filter((row) => test(of, row));
    });
    this.shown = computed(() => {
      const sort = this.sort.value;
      return sort ? sorted(list.value, this.found.value, sort) : this.found.value;
    });
    this.groups = computed(() => groups(list.value, this.found.value));
    this.median = computed(() => {
      const known = Array.from(this.found.value, (row) => list.value.number("latency", row))
        .filter((value) => value >= 0)
        .sort((a, b) => a - b);
      return known[known.length >> 1] ?? Number.NaN;
    });
  }

  /** Index of a row among those shown; -1 where it is not. */
  indexOf(row: number): number {
    return row < 0 ? -1 : this.shown.value.indexOf(row);
  }

  /** Sorts by a column; once more turns it round; a third time goes back to the order of the list. */
  sortBy(column: SortColumn): void {
    const now = this.sort.value;
    const first = largeFirst(column);
    if (now?.column !== column) this.sort.value = { column, descending: first };
    else this.sort.value = now.descending === first ? { column, descending: !first } : undefined;
  }

  /** Shows the runs of one architecture, or all again. */
  onlyArch(arch: string): void {
    this.filter.value = withField(this.filter.value, "arch", arch);
  }

  /** Shows a run in place of the list. */
  open(row: number): void {
    if (this.list.value.canOpen(row)) {
      this.notice.value = "";
      this.opened.value = row;
    } else this.notice.value = "This run was too large for this page; at.show(id) shows it in a notebook.";
  }

  /** Comes back to the list. */
  close(): void {
    this.opened.value = -1;
  }

  /** Opens the run before or after the one that is open. */
  step(by: number): void {
    const next = this.shown.value[this.indexOf(this.opened.value) + by];
    if (next === undefined || !this.list.value.canOpen(next)) return;
    this.chosen.value = next;
    this.opened.value = next;
  }
}
