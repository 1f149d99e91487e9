// The columns of the list, from left to right.

import { figure, type NumberColumn, type RunList, UNKNOWN } from "./list";
import type { SortColumn } from "./order";

export interface ColumnSpec {
  name: SortColumn;
  /** What stands in the header. */
  title: string;
  /** Says more, where the title is short. */
  hint: string;
  /** Its figures are set to the right. */
  right: boolean;
}

const column = (name: SortColumn, hint: string, right = false, title: string = name): ColumnSpec => ({
  name,
  title,
  hint,
  right,
});

const ALL = [
  column("status", "how the run ended"),
  column("success", "whether the run did what it was for"),
  column("name", "name of the trace"),
  column("arch", "architecture"),
  column("case", "id of the task"),
  column("trial", "which repetition"),
  column("started", "start, in your time", false, "when"),
  column("latency", "from start to end; the line marks the median of the runs that are listed"),
  column("turns", "turns of the agents", true),
  column("tools", "tool calls", true),
  column("tokens", "tokens in and out", true),
  column("cost", "US dollars", true),
  column("errors", "steps in which an error began", true),
];

/** The columns that a list has: success only where something was said of it. */
export function columnsOf(list: RunList): ColumnSpec[] {
  return ALL.filter(({ name }) => name !== "success" || list.judged);
}

/** What stands in a cell that is words alone. */
export function words(list: RunList, name: SortColumn, row: number): string {
  if (name === "name" || name === "arch" || name === "case" || name === "trial")
    return list.text(name, row) || UNKNOWN;
  if (name === "success") return { true: "yes", false: "no" }[String(list.success(row))] ?? UNKNOWN;
  if (name === "status") return list.status(row);
  return figure(name as NumberColumn, list.number(name as NumberColumn, row));
}
