// Where an error began, what repeats it and who was told.

import { KINDS, STATUSES } from "../wire";
import type { Layout } from "./layout";
import { type Table, TOP } from "./table";

const LLM = KINDS.indexOf("llm");
const ERROR = STATUSES.indexOf("error");

/** Rows under this one in which an error began that it repeats. */
export function began(layout: Layout, row: number): number[] {
  const at = layout.place[row];
  // A row that is folded away has the place of the one that stands for it.
  if (at === undefined || at < 0) return layout.errors.filter((error) => error !== row);
  return layout.errors.filter(
    (error) => error !== row && layout.place[error] >= at && layout.place[error] < layout.end[at],
  );
}

/** Rows above this one that failed with it, nearest first. */
export function repeated(table: Table, row: number): number[] {
  const { parent, status } = table.col;
  const found: number[] = [];
  for (let above = parent[row]; above !== TOP && found.length < 100; above = parent[above])
    if (status[above] === ERROR) found.push(above);
  return found;
}

/** The model's next call by the same agent: the one that was told. -1 where there is none. */
export function told(table: Table, row: number): number {
  const { kind, agent, start, end } = table.col;
  let found = -1;
  for (let other = 0; other < table.n; other++) {
    if (kind[other] !== LLM || agent[other] !== agent[row] || !(start[other] >= end[row])) continue;
    if (found < 0 || start[other] < start[found]) found = other;
  }
  return found;
}

/** The nearest row above of a kind; -1 where there is none. */
export function above(table: Table, row: number, kind: number): number {
  let at = table.col.parent[row];
  while (at !== TOP && table.col.kind[at] !== kind) at = table.col.parent[at];
  return at;
}
