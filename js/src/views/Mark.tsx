// The mark before a name: kind by colour, standing by shape. Words beside it for those who do not see it.

import { KINDS, STATUSES } from "../wire";

const SHAPE: Record<string, string> = { error: "\u2715", cancelled: "\u2298", interrupted: "\u26a1\ufe0e" };

export function Mark({ kind, status }: { kind: number; status: number }) {
  const word = STATUSES[status];
  const shape = SHAPE[word];
  const cls = `agtr-mark agtr-k-${KINDS[kind]} agtr-s-${word}`;
  return (
    <>
      <span class={cls} aria-hidden="true">
        {shape}
      </span>
      <span class="agtr-said">{word === "ok" ? KINDS[kind] : `${KINDS[kind]}, ${word}`}</span>
    </>
  );
}
