// Where the time went, in numbers that can be drawn: self time by agent, tool and model, and how long calls took.

import { KINDS } from "../wire";
import { type Table, TOP } from "./table";

const AGENT = KINDS.indexOf("agent");
const LLM = KINDS.indexOf("llm");
const TOOL = KINDS.indexOf("tool");

export const BY = ["agent", "tool", "model"] as const;
export type By = (typeof BY)[number];

export interface Group {
  name: string;
  /** Self time in ms by kind of step: LLM calls, tools, the rest. */
  parts: { kind: number; ms: number }[];
  self: number;
  /** Rows of its calls that have ended, the quickest first. */
  calls: number[];
  /** Calls that still run, or whose end is not known. */
  open: number;
}

/** Rows by agent, tool or model, those with the most self time first. `known`: self times are worked out. */
export function groups(table: Table, by: By, known: boolean): Group[] {
  const { kind, parent, start, end, self } = table.col;
  const found = new Map<string, Group>();
  const holds = new Uint8Array(table.n);
  for (let row = 0; row < table.n; row++) if (parent[row] !== TOP) holds[parent[row]] = 1;
  for (let row = 0; row < table.n; row++) {
    const name = nameOf(table, row, by);
    if (!name) continue;
    let group = found.get(name);
    if (!group) {
      group = { name, parts: [], self: 0, calls: [], open: 0 };
      found.set(name, group);
    }
    // While it runs: a call that holds nothing takes all its time by itself.
    const ms = known ? self[row] : holds[row] ? 0 : took(table, row);
    if (ms > 0) add(group, kind[row] === LLM || kind[row] === TOOL ? kind[row] : AGENT, ms);
    if (by === "agent" && kind[row] !== AGENT) continue;
    if (!(end[row] >= start[row])) group.open++;
    else group.calls.push(row);
  }
  for (const group of found.values()) {
    group.calls.sort((a, b) => took(table, a) - took(table, b));
    group.parts.sort((a, b) => order(a.kind) - order(b.kind));
  }
  return [...found.values()].sort((a, b) => b.self - a.self || (a.name < b.name ? -1 : 1));
}

const order = (kind: number) => [LLM, TOOL, AGENT].indexOf(kind);

export const took = (table: Table, row: number): number => table.col.end[row] - table.col.start[row];

function nameOf(table: Table, row: number, by: By): string {
  const kind = table.col.kind[row];
  if (by === "agent") return table.text("agent", row) || (kind === AGENT ? table.text("name", row) : "");
  if (by === "tool") return kind === TOOL ? table.text("name", row) : "";
  return kind === LLM ? table.text("model", row) || table.text("name", row) : "";
}

function add(group: Group, kind: number, ms: number): void {
  group.self += ms;
  const part = group.parts.find((one) => one.kind === kind);
  if (part) part.ms += ms;
  else group.parts.push({ kind, ms });
}

/** A quantile of sorted values, linear between neighbours; NaN of none. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const at = (sorted.length - 1) * p;
  const low = Math.floor(at);
  const value = sorted[low] ?? Number.NaN;
  return value + ((sorted[low + 1] ?? value) - value) * (at - low);
}
