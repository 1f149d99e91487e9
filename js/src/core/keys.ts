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

export type Act = { go: number } | { open: boolean } | { all: boolean } | { siblings: true } | undefined;

export interface Pressed {
  key: string;
  shiftKey?: boolean;
}

/** What a key means here; undefined where it means nothing. */
export function act({ key, shiftKey }: Pressed, p: Place): Act {
  const go = (to: number): Act => ({ go: Math.max(0, Math.min(p.count - 1, to)) });
  if (p.count === 0) return undefined;
  if (shiftKey && (key === "ArrowRight" || key === "ArrowLeft")) return { all: key === "ArrowRight" };
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
    case "*":
      return { siblings: true };
    case "Enter":
    case " ":
      return p.parent ? { open: p.closed } : undefined;
  }
  return undefined;
}

/** All keys, for the help: what to press, and what it does. */
export const HELP: [string, [string, string][]][] = [
  [
    "Tree",
    [
      ["\u2191 \u2193", "previous, next step"],
      ["\u2192 \u2190", "open, close; into, out of"],
      ["Shift+\u2192 \u2190", "open all, close all"],
      ["*", "open all on this level"],
      ["Home End", "first, last step"],
      ["PgUp PgDn", "a screen up, down"],
      ["e E", "next, previous error"],
    ],
  ],
  [
    "Search",
    [
      ["/", "search"],
      ["n p", "next, previous match"],
      ["Enter", "next match; with Shift the previous"],
      ["Escape", "clear, then back to the tree"],
    ],
  ],
  [
    "Time",
    [
      ["+ \u2212", "closer, farther"],
      ["Shift+wheel", "earlier, later; or drag the axis"],
      ["Ctrl+wheel", "closer, farther around the pointer"],
      ["z", "the chosen step"],
      ["0", "the whole run; or double-click the axis"],
    ],
  ],
];
