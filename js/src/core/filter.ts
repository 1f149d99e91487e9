// What a reader looks for: `kind:tool status:error "to Boston" -draft` to terms, and terms to rows.

import { KINDS, STATUSES } from "../wire";
import type { Table } from "./table";

const KEYS = ["kind", "status", "agent", "role", "model", "name"] as const;
type Key = (typeof KEYS)[number];

export interface Term {
  /** Where to look; "" is anywhere. */
  key: Key | "";
  /** In lower case. */
  value: string;
  not: boolean;
}

export interface Query {
  /** All of them must hold. */
  terms: Term[];
  /** What the reader may want to know: a key or a value that does not exist. */
  hint: string;
}

const TOKEN = /(-?)(?:(\p{L}+):)?(?:"([^"]*)"?|(\S+))?/gu;
const VALUES: Partial<Record<Key | "", readonly string[]>> = { kind: KINDS, status: STATUSES };

/** Reads what was typed. Nothing that can be typed is an error; a key that does not exist is text with a hint. */
export function parseQuery(text: string): Query {
  const terms: Term[] = [];
  const hints: string[] = [];
  for (const [whole, minus, word, quoted, plain] of text.matchAll(TOKEN)) {
    let key = (word ?? "").toLowerCase() as Key | "";
    let value = (quoted ?? plain ?? "").toLowerCase();
    if (key && !KEYS.includes(key as Key)) {
      if (!value.startsWith("//")) hints.push(unknown("key", key, KEYS));
      value = whole.slice(minus.length).toLowerCase();
      key = "";
    }
    if (!value) continue;
    const known = VALUES[key];
    if (known && !known.some((name) => name.startsWith(value))) hints.push(unknown(key, value, known));
    terms.push({ key, value, not: minus === "-" });
  }
  return { terms, hint: hints.join("; ") };
}

function unknown(what: string, given: string, known: readonly string[]): string {
  const near = known.find((name) => name.includes(given) || distance(name, given) <= 2);
  return `no ${what} "${given}": ${near ? `${near}?` : known.join(", ")}`;
}

/** How many letters to change, add or take away to come from one word to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

/** The texts of a query that are looked for in content, too. */
export function needles(query: Query): string[] {
  return [...new Set(query.terms.filter((term) => term.key === "").map((term) => term.value))];
}

/** The string table in lower case, worked out once for each string. */
export class LowerStrings {
  #of: string[] | undefined;
  #lower: string[] = [];

  *upTo(strings: string[]): Generator<void, string[]> {
    if (this.#of !== strings) {
      this.#of = strings;
      this.#lower = [];
    }
    for (let i = this.#lower.length; i < strings.length; i++) {
      this.#lower.push((strings[i] ?? "").toLowerCase());
      if (i % 2048 === 0) yield;
    }
    return this.#lower;
  }
}

/** Whether the content of a row holds a text. */
export type InContent = (needle: string) => { has(row: number): boolean };

/**
 * For each row 1 where all terms hold, else 0. Each string is looked at once, then rows by the numbers of their
 * strings. Yields often: who drives it decides when the page gets a turn.
 */
export function* matchRows(
  table: Table,
  query: Query,
  lower: LowerStrings,
  inContent: InContent,
): Generator<void, Uint8Array> {
  const n = table.n;
  const hits = new Uint8Array(n).fill(1);
  for (const { key, value, not } of query.terms) {
    const known = VALUES[key];
    if (known) {
      const wanted = Uint8Array.from(known, (name) => (name.startsWith(value) ? 1 : 0));
      const column = table.col[key as "kind" | "status"];
      for (let row = 0; row < n; row++) if ((wanted[column[row]] === 1) === not) hits[row] = 0;
      yield;
      continue;
    }
    const strings = yield* lower.upTo(table.strings);
    const found = new Uint8Array(strings.length);
    for (let i = 1; i < strings.length; i++) {
      if (strings[i].includes(value)) found[i] = 1;
      if (i % 8192 === 0) yield;
    }
    const { name, agent, role, model, note, preview } = table.col;
    const columns = key ? [table.col[key as "name"]] : [name, agent, role, model, note, preview];
    const content = key ? undefined : inContent(value);
    for (let row = 0; row < n; row++) {
      const here = columns.some((column) => found[column[row]] === 1) || content?.has(row);
      if (!!here === not) hits[row] = 0;
      if (row % 16384 === 0) yield;
    }
  }
  return hits;
}

// Of a conversation's items they say what they are, not what they say: every call holds them.
const NAMING = new Set(["role", "type", "id", "call_id", "status"]);

/** Whether a text or a number anywhere in a value holds a text in lower case. The kernel's search does the same. */
export function holds(value: unknown, needle: string): boolean {
  const stack = [value];
  while (stack.length) {
    const part = stack.pop();
    if (typeof part === "string") {
      if (part.toLowerCase().includes(needle)) return true;
    } else if (typeof part === "number") {
      if (String(part).includes(needle)) return true;
    } else if (Array.isArray(part)) {
      for (const inner of part) stack.push(inner);
    } else if (part && typeof part === "object") {
      const isItem = "role" in part || "call_id" in part;
      for (const [key, inner] of Object.entries(part)) if (!isItem || !NAMING.has(key)) stack.push(inner);
    }
  }
  return false;
}
