// The bytes between kernel and browser, protocol version 1: the mirror of agenttrace_nb/views/wire.py, which
// describes the format. Golden frames written there are read by the tests here.

import type { Stored } from "./core/mlflow";

export const VERSION = 1;
const MAGIC = 0x31544741; // "AGT1", little-endian
const ALIGN_BYTES = 8;

export const KINDS = [
  "workflow",
  "agent",
  "turn",
  "llm",
  "tool",
  "handoff",
  "guardrail",
  "mcp",
  "memory",
  "speech",
  "other",
] as const;
export type Kind = (typeof KINDS)[number];

export const STATUSES = ["running", "ok", "error", "cancelled", "interrupted"] as const;
export type Status = (typeof STATUSES)[number];

export interface DeclaredTool {
  name: string;
  description?: string | null;
  /** JSON schema of its arguments. */
  schema?: object | null;
}

/** What an agent was declared to be. */
export interface DeclaredAgent {
  name: string;
  role?: string | null;
  model?: string | null;
  model_settings?: Record<string, unknown> | null;
  instructions?: string | null;
  tools?: DeclaredTool[];
  /** Names, or objects with a name. */
  handoffs?: unknown[];
  guardrails?: unknown[];
  output_type?: string | null;
}

/** What would be saved if an agent, tool or model took no time. */
export interface Saving {
  what: string;
  name: string;
  /** Steps. */
  n: number;
  /** Its part of the critical path. */
  critical_ms: number;
  /** Null: not worked out, in a very large run. */
  ms_saved: number | null;
}

/** Where the time went; see `agenttrace_nb/views/timings.py`. */
export interface Latency {
  /** Null where the run has no end. */
  total_ms: number | null;
  from_ms: number;
  /** Row (-1 between steps at the top, -2 several short ones), ms, 1 for waiting; one after the other. */
  path: [number, number, number][];
  savings: Saving[];
  /** How many savings are left out. */
  more: number;
}

/** What a frame says of the run itself. */
export interface Head {
  /** Tells this run from all others; fit for a class name. */
  key: string;
  title: string;
  about: string;
  status: Status;
  /** Key, value, unit. */
  figures: [string, string, string][];
  why: string | null;
  why_row: number | null;
  /** Start, ms since the epoch. */
  started: number;
  /** End, ms since the start; null while it runs. */
  ended: number | null;
  notes: string[];
  agents?: DeclaredAgent[];
  /** What of them is missing, in words. */
  agents_left_out?: string | null;
  /** Where the time went; there when the run is over. */
  latency?: Latency | null;
  /** Where the run is in MLflow. */
  mlflow?: Stored | null;
  /** What the audit log knows of the run. */
  seal?: { state: string; why: string };
  /** The kernel stores ratings and reports of errors. */
  feedback?: boolean;
}

const ARRAYS = { u1: Uint8Array, u4: Uint32Array, i4: Int32Array, f8: Float64Array };
type Dtype = keyof typeof ARRAYS;
export type Column = Uint8Array | Uint32Array | Int32Array | Float64Array;

export interface Frame {
  seq: number;
  /** The frame that this one builds on; 0: none, it holds everything. */
  base: number;
  rows: number;
  now: number;
  run: Head;
  stringsAt: number;
  strings: string[];
  columns: Map<string, Column>;
}

/** Reads a frame. Throws an Error that says what is wrong with it. */
export function decodeFrame(data: DataView | Uint8Array | ArrayBuffer): Frame {
  const bytes = aligned(data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < ALIGN_BYTES || view.getUint32(0, true) !== MAGIC) throw new Error("not a trace frame");
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  if (header.v !== VERSION) throw new Error(`trace frame of version ${header.v}; this view reads ${VERSION}`);
  const columns = new Map<string, Column>();
  let at = 8 + length;
  for (const [name, dtype, count] of header.cols as [string, Dtype, number][]) {
    const type = ARRAYS[dtype];
    if (!type) throw new Error(`column ${name} has unknown type ${dtype}`);
    at = Math.ceil(at / ALIGN_BYTES) * ALIGN_BYTES;
    if (at + count * type.BYTES_PER_ELEMENT > bytes.length) throw new Error(`column ${name} is cut off`);
    columns.set(name, new type(bytes.buffer as ArrayBuffer, bytes.byteOffset + at, count));
    at += count * type.BYTES_PER_ELEMENT;
  }
  return {
    seq: header.seq,
    base: header.base,
    rows: header.rows,
    now: header.now,
    run: header.run,
    stringsAt: header.strings_at,
    strings: header.strings,
    columns,
  };
}

// Typed arrays need an aligned start, which no transport promises.
function aligned(data: DataView | Uint8Array | ArrayBuffer): Uint8Array {
  const bytes =
    data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return bytes.byteOffset % ALIGN_BYTES === 0 ? bytes : bytes.slice();
}
