// The order of the rows: by any column, what is not known at the end either way.

import { STATUSES } from "../wire";
import { NUMBERS, type NumberColumn, type RunList, type TextColumn } from "./list";

export type SortColumn = "status" | "success" | TextColumn | NumberColumn;

export interface Sort {
  column: SortColumn;
  descending: boolean;
}

// What needs a look comes first.
const URGENCY = ["error", "interrupted", "cancelled", "running", "ok"];
const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Whether a column is best seen from its large end first. */
export function largeFirst(column: SortColumn): boolean {
  return NUMBERS.includes(column as NumberColumn);
}

/** Sorts rows; those that are alike keep their order. */
export function sorted(list: RunList, rows: Int32Array, { column, descending }: Sort): Int32Array {
  const key = keys(list, column);
  const sign = descending ? -1 : 1;
  return rows.slice().sort((a, b) => {
    const left = key[a];
    const right = key[b];
    if (left === right || (Number.isNaN(left) && Number.isNaN(right))) return a - b;
    if (Number.isNaN(left)) return 1;
    if (Number.isNaN(right)) return -1;
    return sign * (left - right);
  });
}

// A number for each row: comparing texts ten thousand times over would be felt.
function keys(list: RunList, column: SortColumn): Float64Array {
  const found = new Float64Array(list.n);
  if (column === "status") {
    const rank = new Map(STATUSES.map((status) => [status as string, URGENCY.indexOf(status)]));
    return found.map((_, row) => rank.get(list.status(row)) ?? Number.NaN);
  }
  if (column === "success") {
    return found.map((_, row) => {
      const success = list.success(row);
      return success === undefined ? Number.NaN : Number(success);
    });
  }
  if (largeFirst(column)) return found.map((_, row) => list.number(column as NumberColumn, row));
  const texts = Array.from(found, (_, row) => list.text(column as TextColumn, row));
  const rank = new Map([...new Set(texts)].sort(words.compare).map((text, at) => [text, at]));
  return found.map((_, row) => (texts[row] ? (rank.get(texts[row]) ?? Number.NaN) : Number.NaN));
}
