// A whole run on a strip: what there is of each kind at each pixel, however many steps there are.

import { KINDS, STATUSES } from "../wire";
import type { Stretch } from "./axis";
import { type Table, TOP } from "./table";

const AGENT = KINDS.indexOf("agent");
const ERROR = STATUSES.indexOf("error");
const RUNNING = STATUSES.indexOf("running");

export interface Strip {
  /** For each pixel 1 where an agent is at work, 2 where one begins. */
  agents: Uint8Array;
  /** For each pixel 1 + the kind that most steps there are of; 0 where there are none. */
  kinds: Uint8Array;
  /** For each pixel 1 where a step failed. */
  errors: Uint8Array;
}

/** Sums a run up on `width` pixels. Steps that hold others count for their agents only. */
export function strip(table: Table, axis: Stretch, now: number, width: number): Strip {
  const { parent, kind, status, start, end } = table.col;
  const holds = new Uint8Array(table.n);
  for (let row = 0; row < table.n; row++) if (parent[row] !== TOP) holds[parent[row]] = 1;
  // For each kind and pixel how many begin less how many end: summed up, how many there are.
  const change = Array.from(KINDS, () => new Int32Array(width + 1));
  const agents = new Uint8Array(width);
  const errors = new Uint8Array(width);
  const at = (ms: number) =>
    Math.max(0, Math.min(width - 1, Math.floor(((ms - axis.from) / axis.length) * width)));
  for (let row = 0; row < table.n; row++) {
    const from = at(start[row]);
    const until = end[row] >= start[row] ? end[row] : status[row] === RUNNING ? now : start[row];
    const to = Math.max(at(until), from);
    if (kind[row] === AGENT) agents[from] = 2;
    if (kind[row] === AGENT || !holds[row]) {
      change[kind[row]][from]++;
      change[kind[row]][to + 1]--;
    }
    if (status[row] === ERROR && !holds[row]) errors.fill(1, from, to + 1);
  }
  const kinds = new Uint8Array(width);
  const here = new Int32Array(KINDS.length);
  for (let x = 0; x < width; x++) {
    let most = 0;
    for (let k = 0; k < KINDS.length; k++) {
      here[k] += change[k][x];
      if (k === AGENT) agents[x] = here[k] > 0 ? Math.max(agents[x], 1) : 0;
      else if (here[k] > most) {
        most = here[k];
        kinds[x] = k + 1;
      }
    }
  }
  return { agents, kinds, errors };
}

/** Calls `draw` for each stretch of pixels with the same value other than 0. */
export function stretches(values: Uint8Array, draw: (from: number, to: number, value: number) => void): void {
  for (let from = 0; from < values.length; ) {
    let to = from + 1;
    while (to < values.length && values[to] === values[from]) to++;
    if (values[from]) draw(from, to, values[from]);
    from = to;
  }
}
