// The runs of a list in columns, as agenttrace_nb/views/run_list.py writes them.

import { count, duration as durationOf, usd } from "../core/format";
import { decodeFrame, STATUSES, type Status } from "../wire";

export const UNKNOWN = "\u2014";

/** What the frame says of the list itself. */
export interface ListHead {
  /** Tells this list from all others; fit for a class name. */
  key: string;
  notes: string[];
  /** Rows that can be opened; null: all, the kernel is asked. */
  openable: number[] | null;
}

export const TEXTS = ["name", "arch", "case", "trial"] as const;
export const NUMBERS = ["started", "latency", "turns", "tools", "tokens", "cost", "errors"] as const;
export type TextColumn = (typeof TEXTS)[number];
export type NumberColumn = (typeof NUMBERS)[number];

const SUCCESS = [undefined, false, true];

export class RunList {
  /** Number of runs. */
  readonly n: number;
  readonly head: ListHead;
  /** Whether success was said of any run. */
  readonly judged: boolean;
  /** Whether any run has an architecture. */
  readonly tagged: boolean;
  /** What a full bar stands for, ms. One run of hours must not make all other bars invisible. */
  readonly fullBar: number;
  readonly #strings: string[];
  readonly #columns: Map<string, ArrayLike<number>>;
  #words: string[] | undefined;

  constructor(data: DataView | Uint8Array) {
    const frame = decodeFrame(data);
    this.n = frame.rows;
    this.head = frame.run as unknown as ListHead;
    this.#strings = frame.strings;
    this.#columns = frame.columns;
    this.judged = Array.prototype.some.call(this.#column("success"), (value) => value > 0);
    this.tagged = Array.prototype.some.call(this.#column("arch"), (value) => value > 0);
    this.fullBar = fullBar(this.#column("latency"), this.n);
  }

  status(row: number): Status {
    return STATUSES[this.#column("status")[row]];
  }

  /** What was said of a run; undefined where nothing was. */
  success(row: number): boolean | undefined {
    return SUCCESS[this.#column("success")[row]];
  }

  text(column: TextColumn | "problem", row: number): string {
    return this.#strings[this.#column(column)[row]] ?? "";
  }

  /** A number; NaN where it is not known. Times in ms. */
  number(column: NumberColumn, row: number): number {
    const value = this.#column(column)[row];
    return value >= 0 ? value : Number.NaN;
  }

  /** The trace id, 32 hex digits. */
  id(row: number): string {
    const bytes = (this.#column("id") as Uint8Array).subarray(row * 16, row * 16 + 16);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** All that a word is looked for in, in small letters. */
  words(row: number): string {
    this.#words ??= Array.from({ length: this.n }, (_, at) =>
      [...TEXTS.map((name) => this.text(name, at)), this.id(at)].join("\n").toLowerCase(),
    );
    return this.#words[row];
  }

  canOpen(row: number): boolean {
    return this.head.openable === null || this.head.openable.includes(row);
  }

  #column(name: string): ArrayLike<number> {
    const column = this.#columns.get(name);
    if (!column) throw new Error(`the list has no column ${name}`);
    return column;
  }
}

function fullBar(latency: ArrayLike<number>, n: number): number {
  const known = Array.prototype.filter.call(latency, (value) => value >= 0).sort((a, b) => a - b);
  if (known.length === 0) return 0;
  const most = known[Math.min(known.length - 1, Math.floor(0.98 * n))];
  const longest = known[known.length - 1];
  return longest <= 3 * most ? longest : most;
}

const whole = (value: number) => String(value);
const WORDS: Record<NumberColumn, (value: number) => string> = {
  started: whole,
  latency: durationOf,
  turns: whole,
  tools: whole,
  tokens: count,
  cost: usd,
  errors: whole,
};

/** A number as people read it; an em dash where it is not known. */
export function figure(column: NumberColumn, value: number): string {
  return value >= 0 ? WORDS[column](value) : UNKNOWN;
}
