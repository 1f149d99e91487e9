// Runs and steps by agent, tool, model or architecture, those that need attention first:
// agenttrace_nb/analysis/monitor_groups.py says the same.

import { quantile } from "../core/charts";
import { AGENT, type Board, DEAD, ERROR, MODEL, RUNNING, TOOL } from "./board";
import { before, inside, judged, type Stretch, sum } from "./figures";

export const BY = ["agent", "tool", "model", "arch"] as const;
export type By = (typeof BY)[number];

/** What rose against the stretch before: shares, or medians in s. */
export interface Change {
  what: "errors" | "latency";
  before: number;
  now: number;
  z: number;
}

export interface Group {
  /** Number of its text; 0 for none. */
  text: number;
  name: string;
  n: number;
  errors: number;
  judged: number;
  /** s, those that are known, ordered. */
  took: number[];
  tokens: number;
  costs: number[];
  change?: Change | undefined;
}

const SURE_Z = 3;
const LEAST_COMPARED = 8;
const LEAST_SLOWER = 1.1;
const STEPS = { agent: AGENT, tool: TOOL, model: MODEL };

export const total = (group: Group) => (group.took.length > 0 ? sum(group.took) : Number.NaN);
export const cost = (group: Group) => (group.costs.length > 0 ? sum(group.costs) : Number.NaN);

export function groups(board: Board, by: By, stretch: Stretch): Group[] {
  const earlier = before(stretch);
  const known = earlier && parts(board, by, earlier);
  const found = [...parts(board, by, stretch).values()];
  for (const group of found) {
    const was = known?.get(group.text);
    if (was) group.change = change(was, group);
  }
  const order = (a: Group, b: Group) =>
    (b.change?.z ?? 0) - (a.change?.z ?? 0) ||
    b.errors - a.errors ||
    (total(b) || 0) - (total(a) || 0) ||
    (a.name < b.name ? -1 : 1);
  return found.sort(order);
}

function parts(board: Board, by: By, stretch: Stretch): Map<number, Group> {
  const found = new Map<number, Group>();
  const add = (text: number, standing: number, took: number) => {
    const group = found.get(text) ?? found.set(text, made(board, text)).get(text);
    if (!group) return;
    group.n++;
    if (standing === ERROR) group.errors++;
    if (judged(standing)) group.judged++;
    if (took >= 0) group.took.push(took);
  };
  const pay = (text: number, counts: number[], cost: number) => {
    const group = found.get(text);
    if (!group) return;
    for (const count of counts)
      if (count >= 0) group.tokens = (Number.isNaN(group.tokens) ? 0 : group.tokens) + count;
    if (cost >= 0) group.costs.push(cost);
  };
  if (by === "arch") {
    const { arch, standing, took, cost, in: into, out } = board.run;
    for (let row = 0; row < board.n; row++) {
      if (standing[row] === RUNNING || !inside(board, stretch, row)) continue;
      add(arch[row], standing[row], took[row]);
      pay(arch[row], [into[row], out[row]], cost[row]);
    }
  } else {
    const { c_run, c_kind, c_standing, c_name, c_agent, c_took, c_in, c_out, c_cost } = board.call;
    const counts = Array.from({ length: board.n }, (_, row) => inside(board, stretch, row));
    const rows: number[] = [];
    for (let at = 0; at < board.calls; at++) if (c_run[at] !== DEAD && counts[c_run[at]]) rows.push(at);
    for (const at of rows) if (c_kind[at] === STEPS[by]) add(c_name[at], c_standing[at], c_took[at]);
    // What an agent spent is what its calls of models spent.
    for (const at of rows)
      if (c_kind[at] === (by === "agent" ? MODEL : STEPS[by]))
        pay((by === "agent" ? c_agent : c_name)[at], [c_in[at], c_out[at]], c_cost[at]);
  }
  for (const group of found.values()) group.took.sort((a, b) => a - b);
  return found;
}

const made = (board: Board, text: number): Group => ({
  text,
  name: board.texts[text] ?? "",
  n: 0,
  errors: 0,
  judged: 0,
  took: [],
  tokens: Number.NaN,
  costs: [],
});

function change(was: Group, now: Group): Change | undefined {
  const found = [moreErrors(was, now), slower(was, now)].filter(
    (one) => one !== undefined && one.z >= SURE_Z,
  );
  return found.sort((a, b) => (b?.z ?? 0) - (a?.z ?? 0))[0];
}

function moreErrors(was: Group, now: Group): Change | undefined {
  const [n0, n1] = [was.judged, now.judged];
  if (Math.min(n0, n1) < LEAST_COMPARED) return undefined;
  const [p0, p1] = [was.errors / n0, now.errors / n1];
  const pooled = (was.errors + now.errors + 1) / (n0 + n1 + 2);
  const z = (p1 - p0) / Math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1));
  return { what: "errors", before: p0, now: p1, z };
}

function slower(was: Group, now: Group): Change | undefined {
  const [n0, n1] = [was.took.length, now.took.length];
  const [m0, m1] = [quantile(was.took, 0.5), quantile(now.took, 0.5)];
  if (Math.min(n0, n1) < LEAST_COMPARED || m1 < LEAST_SLOWER * m0) return undefined;
  // Mann and Whitney: pairs in which the later one took longer, a tie counts half. Both are ordered.
  let [u, less, most] = [0, 0, 0];
  for (const took of now.took) {
    while (less < n0 && was.took[less] < took) less++;
    while (most < n0 && was.took[most] <= took) most++;
    u += (less + most) / 2;
  }
  const z = (u - (n0 * n1) / 2) / Math.sqrt((n0 * n1 * (n0 + n1 + 1)) / 12);
  return { what: "latency", before: m0, now: m1, z };
}
