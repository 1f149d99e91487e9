// The golden files, written by tests/views/golden_frames.py.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const file = (name: string) => fileURLToPath(new URL(`../../tests/golden/views/${name}`, import.meta.url));

export const goldenBytes = (name: string): Uint8Array => new Uint8Array(readFileSync(file(name)));
export const goldenJson = <T>(name: string): T => JSON.parse(readFileSync(file(name), "utf-8"));
export const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

/** A row as the spans themselves say it is. */
export interface Expected {
  parent: number;
  kind: number;
  status: number;
  start: number;
  end: number | null;
  name: string;
  agent: string;
  role: string;
  note: string;
  tokens_in: number;
  cost: number | null;
  input: unknown;
  output: unknown;
  error: string | null;
  /** Where the run is over. */
  self?: number | null;
  critical?: number | null;
}
