// One run as the browser knows it: fed by frames, read by any number of views.

import { signal } from "@preact/signals";
import type { Content } from "./core/content";
import { Table } from "./core/table";
import { decodeFrame, type Head } from "./wire";

/** What a view can send to the kernel. */
export type Ask = { kind: "want"; rows: number[] } | { kind: "resync" };

export type Answer = { kind: "payload"; row: number; part: number; parts: number } | { kind: "patch" };

// The kernel gives a sign of life each second. Without one for so long, running bars stop to grow.
const SILENCE_MS = 4000;

export class RunStore {
  readonly table = new Table();
  /** Counts changes of the table. */
  readonly version = signal(0);
  readonly head = signal<Head | undefined>(undefined);
  /** Counts changes of contents. */
  readonly contents = signal(0);
  /** Whether anything answers. A page and a notebook without a kernel only have what they were saved with. */
  readonly connected = signal(true);
  readonly problem = signal<string | undefined>(undefined);

  #seq = 0;
  #now = 0;
  #heardAt = 0;
  #ask: ((message: Ask) => void) | undefined;
  #wanted = new Set<number>();
  #parts = new Map<number, Uint8Array[]>();
  #resyncing = false;

  constructor(ask?: (message: Ask) => void) {
    this.#ask = ask;
    this.connected.value = ask !== undefined;
  }

  /** Takes a frame. One that builds on a frame that never came is not used; everything is asked for instead. */
  receive(data: DataView | Uint8Array | ArrayBuffer): void {
    try {
      const frame = decodeFrame(data);
      if (frame.base !== 0 && frame.base !== this.#seq) {
        if (frame.seq > this.#seq) this.#resync();
        return;
      }
      if (frame.base === 0 && frame.seq < this.#seq) return;
      const changed = frame.columns.get("row")?.length || frame.rows !== this.table.n;
      this.table.apply(frame);
      this.#seq = frame.seq;
      this.#now = frame.now;
      this.#heardAt = performance.now();
      this.#resyncing = false;
      this.head.value = frame.run;
      if (changed) this.version.value++;
      if (frame.columns.has("payload_row")) this.contents.value++;
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }

  /** Takes a piece of a row's content. */
  receiveContent(row: number, part: number, parts: number, bytes: Uint8Array): void {
    const pieces = this.#parts.get(row) ?? [];
    pieces[part] = bytes;
    this.#parts.set(row, pieces);
    for (let i = 0; i < parts; i++) if (!pieces[i]) return;
    this.#parts.delete(row);
    this.#wanted.delete(row);
    this.table.setPayload(row, joined(pieces));
    this.contents.value++;
  }

  /** Content of a row, if it is here. */
  content(row: number): Content | undefined {
    const bytes = this.table.payloads.get(row);
    if (!bytes) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      return { error: { message: "this content could not be read" } };
    }
  }

  /** Asks for the whole content of a row. A kernel that is busy answers when the cell ends. */
  want(row: number): void {
    if (this.#wanted.has(row)) return;
    this.#wanted.add(row);
    this.#say({ kind: "want", rows: [row] });
  }

  /** The run's clock in ms; it stands still when the run is over or nothing is heard of it. */
  clock(): number {
    const head = this.head.value;
    if (!head || head.ended !== null) return head?.ended ?? 0;
    return this.#now + Math.min(performance.now() - this.#heardAt, SILENCE_MS);
  }

  /** Whether a run that should go on has gone silent. */
  silent(): boolean {
    return this.head.peek()?.ended === null && performance.now() - this.#heardAt > SILENCE_MS;
  }

  #resync(): void {
    if (this.#resyncing) return;
    this.#resyncing = true;
    this.#say({ kind: "resync" });
  }

  #say(message: Ask): void {
    if (!this.#ask) return;
    try {
      this.#ask(message);
    } catch {
      // Saved widget state without a kernel: the model is there, its line is dead.
      this.connected.value = false;
    }
  }
}

function joined(pieces: Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
