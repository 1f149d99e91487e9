// All rows of a run in columns. Rows are numbered as they arrive and never move.

import type { Column, Frame } from "../wire";

export const TOP = -1;

const SPEC = {
  parent: Int32Array,
  kind: Uint8Array,
  status: Uint8Array,
  start: Float64Array,
  end: Float64Array,
  name: Uint32Array,
  agent: Uint32Array,
  role: Uint32Array,
  model: Uint32Array,
  note: Uint32Array,
  preview: Uint32Array,
  tokens_in: Int32Array,
  tokens_out: Int32Array,
  cost: Float64Array,
  self: Float64Array,
  critical: Float64Array,
} as const;
type Columns = { -readonly [K in keyof typeof SPEC]: InstanceType<(typeof SPEC)[K]> };
const NAMES = Object.keys(SPEC) as (keyof Columns)[];

function empty(size: number): Columns {
  return Object.fromEntries(NAMES.map((name) => [name, new SPEC[name](size)])) as unknown as Columns;
}

export class Table {
  /** Number of rows. */
  n = 0;
  /** One value for each row; longer than `n`. */
  col: Columns = empty(64);
  strings: string[] = [""];
  /** Content of rows as JSON bytes. */
  payloads = new Map<number, Uint8Array>();
  /** Names of the columns that came. */
  readonly received = new Set<string>();
  /** Rows that changed after their content came. */
  stale = new Set<number>();

  /** Takes a frame in. A frame that holds everything replaces what was there. */
  apply(frame: Frame): void {
    if (frame.base === 0) {
      this.strings = [];
      this.col.preview.fill(0);
      this.payloads.clear();
      this.stale.clear();
      this.received.clear();
    }
    for (let i = 0; i < frame.strings.length; i++) this.strings[frame.stringsAt + i] = frame.strings[i];
    this.#grow(frame.rows);
    const rows = frame.columns.get("row");
    if (rows) {
      this.#noteStale(frame, rows);
      for (const name of frame.columns.keys()) this.received.add(name);
      for (const name of NAMES) {
        const values = frame.columns.get(name);
        if (!values || name === "preview") continue;
        // Where the time went is told of all rows at once.
        if (name === "self" || name === "critical") this.col[name].set(values);
        else scatter(this.col[name], rows, values);
      }
    }
    this.n = frame.rows;
    const previewed = frame.columns.get("preview_row");
    if (previewed) scatter(this.col.preview, previewed, frame.columns.get("preview") ?? []);
    this.#takePayloads(frame);
  }

  setPayload(row: number, bytes: Uint8Array): void {
    this.payloads.set(row, bytes);
    this.stale.delete(row);
  }

  text(column: "name" | "agent" | "role" | "model" | "note" | "preview", row: number): string {
    return this.strings[this.col[column][row]] ?? "";
  }

  // A frame that says where the time went speaks of all rows, also of those that are as they were.
  #noteStale(frame: Frame, rows: Column): void {
    const { status, end } = this.col;
    const [statuses, ends] = [frame.columns.get("status"), frame.columns.get("end")];
    if (!statuses || !ends) return;
    const all = frame.columns.has("critical");
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (!this.payloads.has(row)) continue;
      if (!all || status[row] !== statuses[i] || !Object.is(end[row], ends[i])) this.stale.add(row);
    }
  }

  #takePayloads(frame: Frame): void {
    const rows = frame.columns.get("payload_row");
    const ends = frame.columns.get("payload_end");
    const bytes = frame.columns.get("payload") as Uint8Array | undefined;
    if (!rows || !ends || !bytes) return;
    let at = 0;
    for (let i = 0; i < rows.length; i++) {
      this.setPayload(rows[i], bytes.subarray(at, ends[i]));
      at = ends[i];
    }
  }

  #grow(rows: number): void {
    const size = this.col.parent.length;
    if (rows <= size) return;
    const larger = empty(Math.max(rows, size * 2));
    for (const name of NAMES) larger[name].set(this.col[name].subarray(0, this.n) as never);
    this.col = larger;
  }
}

function scatter(into: Column, rows: Column, values: ArrayLike<number>): void {
  for (let i = 0; i < rows.length; i++) into[rows[i]] = values[i];
}
