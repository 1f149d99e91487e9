// The runs of a dashboard and their steps, in columns: the mirror of agenttrace_nb/analysis/monitor_board.py, fed by the
// frames that agenttrace_nb/views/dashboard_wire.py describes.

import { decodeFrame } from "../wire";

export const STANDINGS = ["running", "ok", "error", "guardrail", "cancelled", "interrupted"] as const;
export type Standing = (typeof STANDINGS)[number];
export const RUNNING = 0;
export const OK = 1;
export const ERROR = 2;
export const AGENT = 0;
export const TOOL = 1;
export const MODEL = 2;
/** The run of a step whose run was measured anew. */
export const DEAD = 0xffffffff;

const RUNS = {
  start: Float64Array,
  took: Float64Array,
  standing: Uint8Array,
  success: Uint8Array,
  in: Float64Array,
  out: Float64Array,
  cost: Float64Array,
  name: Uint32Array,
  arch: Uint32Array,
  case: Uint32Array,
  why: Uint32Array,
  where: Uint32Array,
};
const CALLS = {
  c_run: Uint32Array,
  c_kind: Uint8Array,
  c_standing: Uint8Array,
  c_name: Uint32Array,
  c_agent: Uint32Array,
  c_took: Float64Array,
  c_in: Int32Array,
  c_out: Int32Array,
  c_cost: Float64Array,
};
type Numbers = Uint8Array | Uint32Array | Int32Array | Float64Array;
type Make = new (length: number) => Numbers;
type Data<T> = { [name in keyof T]: Numbers };
export type RunColumn = keyof typeof RUNS;

const FIRST_ROOM = 256;
const ID_BYTES = 16;

/** One rule and how it stands. */
export interface Alert {
  rule: string;
  state: "quiet" | "firing" | "too few runs to say";
  /** What the figure is, in words. */
  says: string;
  since: number;
  fired: number;
}

/** How reading from MLflow stands. */
export interface Source {
  where: string;
  /** The same in full. */
  address: string;
  problem: string | null;
  paused: string | null;
  read_ms: number | null;
  read: number;
  of: number;
}

/** What a frame says of the dashboard itself. */
export interface Head {
  key: string;
  title: string;
  /** Name, words, length in s; null for all. */
  windows: [string, string, number | null][];
  window: string;
  left_out: number;
  live: boolean;
  /** It is followed no more. */
  ended: boolean;
  alerts: Alert[];
  mlflow: Source | null;
}

export class Board {
  /** Number of runs, and of rows of steps, among them dead ones. */
  n = 0;
  calls = 0;
  readonly run = made(RUNS);
  readonly call = made(CALLS);
  readonly texts: string[] = [""];
  seq = 0;
  #ids = new Uint8Array(FIRST_ROOM * ID_BYTES);

  /** Takes a frame; undefined where it builds on one that never came. */
  take(data: DataView | Uint8Array | ArrayBuffer): { head: Head; now: number } | undefined {
    const frame = decodeFrame(data);
    if (frame.base === 0 ? frame.seq < this.seq : frame.base !== this.seq) return undefined;
    if (frame.base === 0) {
      this.calls = 0;
      this.texts.length = 0;
    }
    frame.strings.forEach((text, at) => {
      this.texts[frame.stringsAt + at] = text;
    });
    this.n = frame.rows;
    const column = (name: string) => {
      const found = frame.columns.get(name);
      if (!found) throw new Error(`the dashboard has no column ${name}`);
      return found;
    };
    const rows = column("row") as Uint32Array;
    grow(this.run, RUNS, this.n);
    for (const name of Object.keys(RUNS) as RunColumn[]) {
      const values = column(name);
      for (let at = 0; at < rows.length; at++) this.run[name][rows[at]] = values[at];
    }
    this.#takeIds(rows, column("id") as Uint8Array);
    if (frame.base !== 0) this.#drop(rows);
    const fresh = column("c_run").length;
    grow(this.call, CALLS, this.calls + fresh);
    for (const name of Object.keys(CALLS) as (keyof typeof CALLS)[])
      this.call[name].set(column(name) as never, this.calls);
    this.calls += fresh;
    this.seq = frame.seq;
    return { head: frame.run as unknown as Head, now: frame.now };
  }

  /** The trace id, 32 hex digits. */
  id(row: number): string {
    const bytes = this.#ids.subarray(row * ID_BYTES, (row + 1) * ID_BYTES);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  text(column: "name" | "arch" | "case" | "why" | "where", row: number): string {
    return this.texts[this.run[column][row]] ?? "";
  }

  #takeIds(rows: Uint32Array, bytes: Uint8Array): void {
    if (this.#ids.length < this.n * ID_BYTES) {
      const more = new Uint8Array(2 * this.n * ID_BYTES);
      more.set(this.#ids);
      this.#ids = more;
    }
    rows.forEach((row, at) => {
      this.#ids.set(bytes.subarray(at * ID_BYTES, (at + 1) * ID_BYTES), row * ID_BYTES);
    });
  }

  // The steps of runs that are measured anew; where many are dead, the others move together.
  #drop(rows: Uint32Array): void {
    const renewed = new Set(rows);
    const { c_run } = this.call;
    let dead = 0;
    for (let at = 0; at < this.calls; at++) {
      if (renewed.has(c_run[at])) c_run[at] = DEAD;
      if (c_run[at] === DEAD) dead++;
    }
    if (dead <= FIRST_ROOM || dead < this.calls / 2) return;
    let to = 0;
    for (let at = 0; at < this.calls; at++) {
      if (c_run[at] === DEAD) continue;
      for (const column of Object.values(this.call)) column[to] = column[at];
      to++;
    }
    this.calls = to;
  }
}

function made<T extends Record<string, Make>>(types: T): Data<T> {
  return Object.fromEntries(
    Object.entries(types).map(([name, Type]) => [name, new Type(FIRST_ROOM)]),
  ) as Data<T>;
}

function grow<T extends Record<string, Make>>(data: Data<T>, types: T, needed: number): void {
  for (const name of Object.keys(types) as (keyof T)[]) {
    if (data[name].length >= needed) continue;
    const more = new types[name](Math.max(needed, 2 * data[name].length));
    more.set(data[name] as never);
    data[name] = more as Data<T>[keyof T];
  }
}
