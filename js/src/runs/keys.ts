// What a key does in the grid: rows are in focus, and above the first one the columns' heads, by which it is sorted.

export interface Place {
  /** Index among the rows; -1 where none is in focus. */
  at: number;
  count: number;
  /** Rows on one screen. */
  page: number;
  /** Column in focus where the focus is in the head; -1 elsewhere. */
  head: number;
  columns: number;
}

export type Act = { row: number } | { head: number } | "open" | "sort" | "filter" | undefined;

/** What a key means here; undefined where it means nothing. */
export function act(key: string, p: Place): Act {
  if (key === "/") return "filter";
  return p.head >= 0 ? inHead(key, p) : inRows(key, p);
}

function inHead(key: string, p: Place): Act {
  switch (key) {
    case "ArrowLeft":
      return { head: Math.max(0, p.head - 1) };
    case "ArrowRight":
      return { head: Math.min(p.columns - 1, p.head + 1) };
    case "Home":
      return { head: 0 };
    case "End":
      return { head: p.columns - 1 };
    case "ArrowDown":
      return p.count > 0 ? { row: Math.max(0, Math.min(p.at, p.count - 1)) } : undefined;
    case "Enter":
    case " ":
      return "sort";
  }
  return undefined;
}

function inRows(key: string, p: Place): Act {
  const row = (to: number): Act =>
    p.count > 0 ? { row: Math.max(0, Math.min(p.count - 1, to)) } : undefined;
  switch (key) {
    case "ArrowDown":
      return row(p.at + 1);
    case "ArrowUp":
      return p.at <= 0 ? { head: 0 } : row(p.at - 1);
    case "PageDown":
      return row(p.at + p.page);
    case "PageUp":
      return row(p.at - p.page);
    case "Home":
      return row(0);
    case "End":
      return row(p.count - 1);
    case "Enter":
      return p.at >= 0 ? "open" : undefined;
  }
  return undefined;
}
