// The reading order of a run: each row above its children, siblings in order of start. Worked out anew after each
// change: it takes tens of milliseconds for 100,000 rows, and an incremental tree would be a place for errors.
// Calls that repeat one another stand under the first of them.

import { KINDS, STATUSES } from "../wire";
import { type Table, TOP } from "./table";

const WORKFLOW = KINDS.indexOf("workflow");
const TURN = KINDS.indexOf("turn");
const LLM = KINDS.indexOf("llm");
const OK = STATUSES.indexOf("ok");
const ERROR = STATUSES.indexOf("error");

export interface Layout {
  /** Rows in reading order. */
  order: Int32Array;
  /** For each place in the order: levels above it. */
  depth: Uint16Array;
  /** For each place in the order: the first place after everything under it. */
  end: Int32Array;
  /** For each row: its place in the order, or that of the row that stands for it; -1 where none does. */
  place: Int32Array;
  /** For each row: tokens of the LLM calls in and under it; -1 where none is known. */
  tokens: Float64Array;
  /** Rows in which an error began, in reading order. */
  errors: number[];
  /** Rows that others repeat, with how often the call was made in all. */
  repeats: ReadonlyMap<number, number>;
  /** For each row: which of the calls that repeat one another it is, from 1 on; 0 where it does not repeat. */
  nth: Int32Array;
}

/** What does not depend on what is folded. */
export interface Tree extends Siblings {
  origin: Uint8Array;
}

export function readTree(table: Table): Tree {
  return { ...siblings(table), origin: errorOrigins(table) };
}

/** Lays a table out. With `fold` the layers that say nothing are left out and their children stand in their place. */
export function layOut(table: Table, fold: boolean, tree = readTree(table)): Layout {
  const n = table.n;
  const { parent, kind } = table.col;
  const { first, next, firstTop, origin } = tree;
  const onlyTop = firstTop !== TOP && next[firstTop] === TOP;

  const order = new Int32Array(n);
  const depth = new Uint16Array(n);
  const place = new Int32Array(n).fill(-1);
  const full = new Int32Array(n); // every row, layers too, parents first
  let shown = 0;
  let seen = 0;
  const stack = new Int32Array(n + 1);
  let top = 0;
  if (firstTop !== TOP) stack[top++] = firstTop;
  const rowDepth = new Int32Array(n);
  while (top > 0) {
    const row = stack[--top];
    full[seen++] = row;
    if (next[row] !== TOP) stack[top++] = next[row];
    if (first[row] !== TOP) stack[top++] = first[row];
    const above = parent[row] === TOP ? 0 : rowDepth[parent[row]];
    const hidden =
      fold &&
      first[row] !== TOP &&
      !origin[row] &&
      (kind[row] === TURN || (kind[row] === WORKFLOW && onlyTop && row === firstTop));
    if (hidden) {
      rowDepth[row] = above;
      place[row] = parent[row] === TOP ? -1 : place[parent[row]];
    } else {
      rowDepth[row] = above + 1;
      place[row] = shown;
      depth[shown] = Math.min(above, 0xffff);
      order[shown++] = row;
    }
  }
  const used = order.subarray(0, shown);
  const nth = new Int32Array(n);
  const repeats = gather(table, used, depth, first, nth);
  const errors: number[] = [];
  for (const row of used) if (origin[row]) errors.push(row);
  return {
    order: used,
    depth: depth.subarray(0, shown),
    end: ends(depth, shown),
    place,
    tokens: subtreeTokens(table, full.subarray(0, seen)),
    errors,
    repeats,
    nth,
  };
}

// Fewer are quicker read than opened.
const FEWEST = 3;

/**
 * Puts calls of the same name that follow one another, with nothing between them, under the first: one level deeper.
 * Only what went well and holds nothing: what went wrong is never put away.
 */
function gather(
  table: Table,
  order: Int32Array,
  depth: Uint16Array,
  first: Int32Array,
  nth: Int32Array,
): Map<number, number> {
  const { kind, status, name, agent, note } = table.col;
  const found = new Map<number, number>();
  for (let from = 0; from < order.length; ) {
    const row = order[from];
    let to = from + 1;
    if (status[row] === OK && first[row] === TOP) {
      for (; to < order.length && depth[to] === depth[from]; to++) {
        const other = order[to];
        if (status[other] !== OK || first[other] !== TOP || name[other] !== name[row]) break;
        if (kind[other] !== kind[row] || agent[other] !== agent[row] || note[other] !== note[row]) break;
      }
      if (to - from >= FEWEST) {
        found.set(row, to - from);
        for (let at = from; at < to; at++) {
          if (at > from) depth[at]++;
          nth[order[at]] = at - from + 1;
        }
      }
    }
    from = to;
  }
  return found;
}

interface Siblings {
  first: Int32Array;
  next: Int32Array;
  firstTop: number;
}

function siblings(table: Table): Siblings {
  const n = table.n;
  const { parent } = table.col;
  const first = new Int32Array(n).fill(TOP);
  const next = new Int32Array(n).fill(TOP);
  let firstTop = TOP;
  const byStart = startOrder(table);
  // From the last to the first, each put in front of its siblings.
  for (let i = n - 1; i >= 0; i--) {
    const row = byStart ? byStart[i] : i;
    const above = parent[row];
    if (above === TOP) {
      next[row] = firstTop;
      firstTop = row;
    } else {
      next[row] = first[above];
      first[above] = row;
    }
  }
  return { first, next, firstTop };
}

/** Rows by start, then by number; nothing where they are in that order already, as they nearly always are. */
function startOrder(table: Table): Uint32Array | undefined {
  const { start } = table.col;
  let sorted = true;
  for (let i = 1; i < table.n && sorted; i++) sorted = start[i - 1] <= start[i];
  if (sorted) return undefined;
  const rows = new Uint32Array(table.n);
  for (let i = 0; i < rows.length; i++) rows[i] = i;
  return rows.sort((a, b) => start[a] - start[b] || a - b);
}

function errorOrigins(table: Table): Uint8Array {
  const { parent, status } = table.col;
  const explained = new Uint8Array(table.n);
  const origin = new Uint8Array(table.n);
  for (let row = 0; row < table.n; row++) {
    if (status[row] !== ERROR) continue;
    for (let above = parent[row]; above !== TOP && !explained[above]; above = parent[above])
      explained[above] = 1;
  }
  for (let row = 0; row < table.n; row++) origin[row] = status[row] === ERROR && !explained[row] ? 1 : 0;
  return origin;
}

function ends(depth: Uint16Array, n: number): Int32Array {
  const end = new Int32Array(n);
  const open: number[] = [];
  for (let at = 0; at < n; at++) {
    while (open.length && depth[open[open.length - 1]] >= depth[at]) end[open.pop() as number] = at;
    open.push(at);
  }
  for (const at of open) end[at] = n;
  return end;
}

function subtreeTokens(table: Table, full: Int32Array): Float64Array {
  const { parent, kind, tokens_in, tokens_out } = table.col;
  const sum = new Float64Array(table.n).fill(-1);
  for (let i = full.length - 1; i >= 0; i--) {
    const row = full[i];
    if (kind[row] === LLM && (tokens_in[row] >= 0 || tokens_out[row] >= 0)) {
      sum[row] = Math.max(sum[row], 0) + Math.max(tokens_in[row], 0) + Math.max(tokens_out[row], 0);
    }
    if (sum[row] >= 0 && parent[row] !== TOP) sum[parent[row]] = Math.max(sum[parent[row]], 0) + sum[row];
  }
  return sum;
}

/** Places that are on screen where some rows are closed. */
export function visiblePlaces(layout: Layout, closed: (row: number) => boolean): Int32Array {
  const { order, end } = layout;
  const found = new Int32Array(order.length);
  let n = 0;
  for (let at = 0; at < order.length; ) {
    found[n++] = at;
    at = end[at] > at + 1 && closed(order[at]) ? end[at] : at + 1;
  }
  return found.subarray(0, n);
}

/** Places of the rows that are wanted, and of those above them. */
export function placesWith(layout: Layout, wanted: Uint8Array): Int32Array {
  const { order, depth } = layout;
  const found = new Int32Array(order.length);
  let n = order.length;
  // From the end: a row is kept if it is wanted, or is the next one above a row that is kept.
  let level = 0;
  for (let at = order.length - 1; at >= 0; at--) {
    if (!wanted[order[at]] && depth[at] >= level) continue;
    found[--n] = at;
    level = depth[at];
  }
  return found.subarray(n);
}

/** Of rows in reading order the next after a row, or before it; where there is none beyond, the first or the last. */
export function beyond(rows: number[], row: number, step: 1 | -1, place: Int32Array): number {
  if (rows.length === 0) return -1;
  const from = row < 0 ? (step > 0 ? -1 : place.length) : place[row];
  let at = step > 0 ? 0 : rows.length - 1;
  while (at >= 0 && at < rows.length && (place[rows[at]] - from) * step <= 0) at += step;
  return rows[(at + rows.length) % rows.length];
}

/** The rows above a place, nearest first. */
export function rowsAbove(layout: Layout, place: number): number[] {
  const found: number[] = [];
  let level = layout.depth[place];
  for (let at = place - 1; at >= 0 && level > 0; at--) {
    if (layout.depth[at] < level) {
      found.push(layout.order[at]);
      level = layout.depth[at];
    }
  }
  return found;
}
