// The figures of a stretch of time: agenttrace_nb/analysis/monitor.py defines them and says the same; golden cases hold
// the two together. What is not known is NaN and counts nowhere.

import { quantile } from "../core/charts";
import { type Board, ERROR, OK, RUNNING, STANDINGS } from "./board";

/** When runs started, ms since the epoch: with its beginning, without its end. */
export interface Stretch {
  from: number;
  to: number;
}

export const ALL: Stretch = { from: -Infinity, to: Infinity };

/** The stretch of the same length just before; undefined where this one has no beginning or no end. */
export function before({ from, to }: Stretch): Stretch | undefined {
  return Number.isFinite(to - from) ? { from: from - (to - from), to: from } : undefined;
}

export const QUANTILES = [0.5, 0.95, 0.99] as const;
/** From how many runs on a quantile has a 95 % interval. */
export const NEEDED = [6, 59, 299] as const;

export interface Figures {
  runs: number;
  in_flight: number;
  ok: number;
  errors: number;
  guardrail: number;
  cancelled: number;
  interrupted: number;
  /** ok / (ok + errors). */
  success_rate: number;
  said: number;
  said_of: number;
  latency_sum: number;
  /** Seconds, by `QUANTILES`, of `latency_of` runs. */
  latency: number[];
  latency_of: number;
  tokens_in: number;
  tokens_out: number;
  no_tokens: number;
  cost: number;
  no_cost: number;
  per_minute: number;
}

const MINUTE_MS = 60_000;

export function inside(board: Board, { from, to }: Stretch, row: number): boolean {
  const start = board.run.start[row];
  return start >= from && start < to;
}

export function figures(board: Board, stretch: Stretch, now: number): Figures {
  const { start, took, standing, success, cost, in: into, out } = board.run;
  const count = STANDINGS.map(() => 0);
  const times: number[] = [];
  const costs: number[] = [];
  const tokens = [0, 0];
  const known = [0, 0];
  let [said, said_of, first] = [0, 0, Infinity];
  for (let row = 0; row < board.n; row++) {
    if (!inside(board, stretch, row)) continue;
    count[standing[row]]++;
    first = Math.min(first, start[row]);
    if (took[row] >= 0) times.push(took[row]);
    if (standing[row] === RUNNING) continue;
    if (success[row] > 0) said_of++;
    if (success[row] === 2) said++;
    if (cost[row] >= 0) costs.push(cost[row]);
    [into, out].forEach((column, side) => {
      if (!(column[row] >= 0)) return;
      tokens[side] += column[row];
      known[side]++;
    });
  }
  times.sort((a, b) => a - b);
  const [in_flight, ok, errors, guardrail, cancelled, interrupted] = count;
  const runs = ok + errors + guardrail + cancelled + interrupted;
  const length = Math.min(stretch.to, now) - (Number.isFinite(stretch.from) ? stretch.from : first);
  return {
    runs,
    in_flight,
    ok,
    errors,
    guardrail,
    cancelled,
    interrupted,
    success_rate: ok + errors > 0 ? ok / (ok + errors) : Number.NaN,
    said,
    said_of,
    latency_sum: times.length > 0 ? sum(times) : Number.NaN,
    latency: QUANTILES.map((p) => quantile(times, p)),
    latency_of: times.length,
    tokens_in: known[0] > 0 ? tokens[0] : Number.NaN,
    tokens_out: known[1] > 0 ? tokens[1] : Number.NaN,
    no_tokens: runs - Math.max(...known),
    cost: costs.length > 0 ? sum(costs) : Number.NaN,
    no_cost: runs - costs.length,
    per_minute: runs > 0 && length > 0 ? (runs * MINUTE_MS) / length : Number.NaN,
  };
}

/** A sum that does not depend on the order (Neumaier): Python's is exact. */
export function sum(values: number[]): number {
  let [total, rest] = [0, 0];
  for (const value of values) {
    const next = total + value;
    rest += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + rest;
}

// ------------------------------------------------------------------------------------------------------ over time

export interface Bin {
  from: number;
  runs: number;
  errors: number;
  /** s. */
  p50: number;
  p95: number;
  tokens: number;
}

export interface Series {
  /** Length of a bin, ms. */
  step: number;
  bins: Bin[];
}

const MOST_BINS = 60;
const SECONDS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/** How long a bin is, ms, for at most about 60 of them. */
export function binMs(length: number): number {
  // A window that ends now is a moment longer than its name.
  const least = (0.999 * length) / MOST_BINS / 1000;
  const day = SECONDS[SECONDS.length - 1];
  return 1000 * (SECONDS.find((seconds) => seconds >= least) ?? Math.ceil(least / day) * day);
}

export function series(board: Board, stretch: Stretch, now: number): Series {
  const { start, took, standing, in: into, out } = board.run;
  const rows: number[] = [];
  let [first, latest] = [Infinity, -Infinity];
  for (let row = 0; row < board.n; row++) {
    if (!inside(board, stretch, row)) continue;
    rows.push(row);
    first = Math.min(first, start[row]);
    latest = Math.max(latest, start[row]);
  }
  if (rows.length === 0) return { step: Number.NaN, bins: [] };
  if (Number.isFinite(stretch.from)) first = stretch.from;
  const last = Math.max(Math.min(stretch.to, now), first);
  const step = binMs(last - first);
  const zero = Math.floor(first / step);
  const count = Math.max(Math.floor(last / step), Math.floor(latest / step)) - zero + 1;
  const times: number[][] = Array.from({ length: count }, () => []);
  const bins: Bin[] = times.map((_, at) => ({
    from: (zero + at) * step,
    runs: 0,
    errors: 0,
    p50: Number.NaN,
    p95: Number.NaN,
    tokens: Number.NaN,
  }));
  for (const row of rows) {
    const at = Math.floor(start[row] / step) - zero;
    const bin = bins[at];
    if (standing[row] !== RUNNING) bin.runs++;
    if (standing[row] === ERROR) bin.errors++;
    if (took[row] >= 0) times[at].push(took[row]);
    for (const column of [into, out])
      if (column[row] >= 0) bin.tokens = (Number.isNaN(bin.tokens) ? 0 : bin.tokens) + column[row];
  }
  times.forEach((of, at) => {
    of.sort((a, b) => a - b);
    bins[at].p50 = quantile(of, 0.5);
    bins[at].p95 = quantile(of, 0.95);
  });
  return { step, bins };
}

/** Whether a standing says how it went. */
export const judged = (standing: number) => standing === OK || standing === ERROR;
