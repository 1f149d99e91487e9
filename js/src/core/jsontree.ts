// A JSON value as lines that open and close. Only what is open exists, and nothing walks by calling itself.

import { scalar } from "./json";

export interface Node {
  /** Its name in what holds it; undefined at the top. */
  key: string | number | undefined;
  value: unknown;
  depth: number;
  above: Node | undefined;
  open: boolean;
  /** What it holds, made when it is first opened. */
  inner?: Node[];
}

/** Where a match is: the way up. */
interface Step {
  key: string | number;
  above: Step | undefined;
}

const LINE_LIMIT = 300;
const FIRST_LINES = 60;
const MATCH_LIMIT = 1000;

const isHolder = (value: unknown): value is object => typeof value === "object" && value !== null;

export const holds = (node: Node): number =>
  isHolder(node.value) ? (Array.isArray(node.value) ? node.value.length : Object.keys(node.value).length) : 0;

export class JsonLines {
  readonly top: Node;
  lines: Node[] = [];

  constructor(value: unknown) {
    this.top = { key: undefined, value, depth: 0, above: undefined, open: true };
    // As many levels as fit on a screen.
    let level = [this.top];
    for (let sum = 1; level.length > 0; ) {
      const next = level.filter((node) => sum + holds(node) <= FIRST_LINES || node === this.top);
      for (const node of next) {
        node.open = true;
        sum += holds(node);
      }
      level = next
        .flatMap((node) => (holds(node) <= FIRST_LINES ? inner(node) : []))
        .filter((n) => holds(n) > 0);
    }
    this.#lay();
  }

  setOpen(node: Node, open: boolean): void {
    node.open = open;
    this.#lay();
  }

  /** Opens all that is above the match and returns its node. */
  reveal(match: Step | undefined): Node {
    const way: (string | number)[] = [];
    for (let step = match; step; step = step.above) way.push(step.key);
    let node = this.top;
    for (const key of way.reverse()) {
      node.open = true;
      const found = inner(node).find((one) => one.key === key);
      if (!found) break;
      node = found;
    }
    this.#lay();
    return node;
  }

  /** Places whose name or plain value holds the text, in order; at most a thousand. */
  search(text: string): Step[] {
    const needle = text.toLowerCase();
    const found: Step[] = [];
    const left: { value: unknown; step: Step | undefined }[] = [{ value: this.top.value, step: undefined }];
    while (left.length > 0 && found.length < MATCH_LIMIT) {
      const { value, step } = left.pop() as (typeof left)[number];
      const own = step && typeof step.key === "string" && step.key.toLowerCase().includes(needle);
      if (step && (own || (!isHolder(value) && String(value).toLowerCase().includes(needle))))
        found.push(step);
      if (!isHolder(value)) continue;
      const entries = pairs(value);
      for (let i = entries.length - 1; i >= 0; i--) {
        left.push({ value: entries[i][1], step: { key: entries[i][0], above: step } });
      }
    }
    return found;
  }

  #lay(): void {
    this.lines = [];
    const left = [this.top];
    while (left.length > 0) {
      const node = left.pop() as Node;
      this.lines.push(node);
      if (!node.open || holds(node) === 0) continue;
      const its = inner(node);
      for (let i = its.length - 1; i >= 0; i--) left.push(its[i]);
    }
  }
}

function pairs(value: object): [string | number, unknown][] {
  return Array.isArray(value) ? value.map((part, i) => [i, part]) : Object.entries(value);
}

function inner(node: Node): Node[] {
  node.inner ??= isHolder(node.value)
    ? pairs(node.value).map(([key, value]) => ({
        key,
        value,
        depth: node.depth + 1,
        above: node,
        open: false,
      }))
    : [];
  return node.inner;
}

/** The value on one line; of a list or an object how much it holds. */
export function brief(node: Pick<Node, "value">): string {
  const { value } = node;
  if (!isHolder(value)) {
    return scalar(
      typeof value === "string" && value.length > LINE_LIMIT ? `${value.slice(0, LINE_LIMIT)}\u2026` : value,
    );
  }
  const count = holds(node as Node) || "";
  return Array.isArray(value) ? `[${count}]` : `{${count}}`;
}

/** Where a node is, as JavaScript and JSONPath write it. */
export function path(node: Node): string {
  const parts: string[] = [];
  for (let at: Node | undefined = node; at && at.key !== undefined; at = at.above) {
    const { key } = at;
    parts.push(
      typeof key === "number"
        ? `[${key}]`
        : /^[A-Za-z_]\w*$/.test(key)
          ? `.${key}`
          : `[${JSON.stringify(key)}]`,
    );
  }
  return `$${parts.reverse().join("")}`;
}
