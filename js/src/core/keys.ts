// What a key does in the tree grid (the WAI-ARIA treegrid pattern with rows in focus).

export interface Place {
  /** Index among the visible rows; -1 where none is chosen. */
  at: number;
  /** Visible rows. */
  count: number;
  /** Rows on one screen. */
  page: number;
  /** The row has rows under it; and these are closed. */
  parent: boolean;
  closed: boolean;
  /** Index of the row above it in the tree; -1 at the top. */
  above: number;
}

export type Act = { go: number } | { open: boolean } | undefined;

/** What a key means here; undefined where it means nothing. */
export function act(key: string, p: Place): Act {
  const go = (to: number): Act => ({ go: Math.max(0, Math.min(p.count - 1, to)) });
  if (p.count === 0) return undefined;
  switch (key) {
    case "ArrowDown":
      return go(p.at + 1);
    case "ArrowUp":
      return go(p.at < 0 ? 0 : p.at - 1);
    case "PageDown":
      return go(p.at + p.page);
    case "PageUp":
      return go(p.at - p.page);
    case "Home":
      return go(0);
    case "End":
      return go(p.count - 1);
  }
  if (p.at < 0) return undefined;
  switch (key) {
    case "ArrowRight":
      if (!p.parent) return undefined;
      return p.closed ? { open: true } : go(p.at + 1);
    case "ArrowLeft":
      if (p.parent && !p.closed) return { open: false };
      return p.above >= 0 ? go(p.above) : undefined;
    case "Enter":
    case " ":
      return p.parent ? { open: p.closed } : undefined;
  }
  return undefined;
}
