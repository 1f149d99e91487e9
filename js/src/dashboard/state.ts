// What one view shows of a dashboard: its own choices, never sent to the kernel.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { type Board, DEAD, ERROR, RUNNING } from "./board";
import { ALL, before, type Figures, figures, inside, type Series, type Stretch, series } from "./figures";
import { type By, type Group, groups } from "./grouping";
import type { DashboardStore } from "./store";

export const LISTED = 12;

/** A group whose runs are listed. */
export interface Focus {
  by: By;
  text: number;
  name: string;
}

export class DashboardState {
  /** Name of the window; the one that the kernel names until the reader chooses. */
  readonly chosen = signal<string | undefined>(undefined);
  /** A stretch that was drawn on a chart; it stands in the place of the window. */
  readonly brush: Signal<Stretch | undefined> = signal(undefined);
  readonly by = signal<By>("agent");
  readonly focus = signal<Focus | undefined>(undefined);
  /** Trace id of the run that is shown in place of the dashboard. */
  readonly opened = signal<string | undefined>(undefined);
  /** The order of the runs when one was opened: what comes while it is read does not move it. */
  readonly shown = signal<string[]>([]);
  /** Counts seconds, so that the last hour goes on when nothing happens. */
  readonly tick = signal(0);
  /** Nothing is worked out while nobody can see it. */
  readonly seen = signal(true);
  readonly window: ReadonlySignal<string>;
  readonly stretch: ReadonlySignal<Stretch>;
  readonly figures: ReadonlySignal<Figures>;
  readonly earlier: ReadonlySignal<Figures | undefined>;
  readonly series: ReadonlySignal<Series>;
  readonly groups: ReadonlySignal<Group[]>;
  /** Rows of the runs that are listed, the latest first; and how many there are. */
  readonly listed: ReadonlySignal<{ rows: number[]; of: number }>;

  constructor(readonly store: DashboardStore) {
    const { board } = store;
    this.window = computed(() => this.chosen.value ?? store.head.value?.window ?? "all");
    this.stretch = computed(() => {
      if (this.brush.value) return this.brush.value;
      this.follow();
      const length = store.head.value?.windows.find(([name]) => name === this.window.value)?.[2] ?? null;
      const now = store.now();
      return length === null ? ALL : { from: now - length * 1000, to: now + 1 };
    });
    const worked = <T>(work: (stretch: Stretch) => T) =>
      computed(() => {
        this.follow();
        return work(this.stretch.value);
      });
    this.figures = worked((stretch) => figures(board, stretch, store.now()));
    this.earlier = worked((stretch) => {
      const was = before(stretch);
      return was && figures(board, was, was.to);
    });
    this.series = worked((stretch) => series(board, stretch, store.now()));
    this.groups = worked((stretch) => groups(board, this.by.value, stretch));
    this.listed = worked((stretch) => listed(board, stretch, this.focus.value));
  }

  /** Depends on what the store has and on the clock, while somebody can see it. */
  follow(): void {
    if (!this.seen.value) return;
    this.store.version.value;
    this.tick.value;
  }

  choose(window: string): void {
    this.chosen.value = window;
    this.brush.value = undefined;
  }

  open(row: number): void {
    const { board } = this.store;
    this.shown.value = this.listed.value.rows.map((one) => board.id(one));
    this.opened.value = board.id(row);
  }

  indexOf(id: string): number {
    return this.shown.value.indexOf(id);
  }

  close(): void {
    this.opened.value = undefined;
  }

  /** Opens the run before or after the one that is open. */
  step(by: number): void {
    const next = this.shown.value[this.indexOf(this.opened.value ?? "") + by];
    if (next) this.opened.value = next;
  }
}

/** Runs that failed, or all runs in which a group takes part. */
function listed(board: Board, stretch: Stretch, focus: Focus | undefined): { rows: number[]; of: number } {
  const { standing, start } = board.run;
  const has = focus && runsOf(board, focus);
  const rows: number[] = [];
  for (let row = 0; row < board.n; row++) {
    if (!inside(board, stretch, row)) continue;
    const wanted = has ? has.has(row) && standing[row] !== RUNNING : standing[row] === ERROR;
    if (wanted) rows.push(row);
  }
  rows.sort((a, b) => start[b] - start[a]);
  return { rows: rows.slice(0, LISTED), of: rows.length };
}

function runsOf(board: Board, { by, text }: Focus): Set<number> {
  const found = new Set<number>();
  if (by === "arch") {
    for (let row = 0; row < board.n; row++) if (board.run.arch[row] === text) found.add(row);
    return found;
  }
  const kind = { agent: 0, tool: 1, model: 2 }[by];
  const { c_run, c_kind, c_name } = board.call;
  for (let at = 0; at < board.calls; at++)
    if (c_run[at] !== DEAD && c_kind[at] === kind && c_name[at] === text) found.add(c_run[at]);
  return found;
}
