// One run as the browser knows it: fed by frames, read by any number of views.

import { signal } from "@preact/signals";
import { type Content, Contents } from "./core/content";
import { Table } from "./core/table";
import { decodeFrame, type Head } from "./wire";

/** What a view can send to the kernel. */
export type Ask =
  | { kind: "want"; rows: number[] }
  | { kind: "search"; id: number; text: string }
  | { kind: "resync" }
  | { kind: "code" }
  | Feedback;

/** What the reader thinks of a step: sent only where the head says that it is stored. */
export type Feedback =
  | { kind: "rate"; row: number; ok: boolean; comment?: string }
  | { kind: "report"; row: number; category?: string; comment?: string };

export type Answer =
  | { kind: "payload"; row: number; part: number; parts: number }
  | { kind: "found"; id: number; text: string; whole: boolean }
  | { kind: "said"; row: number; problem: string | null }
  | { kind: "patch" }
  | { kind: "code" };

/** What the kernel found in contents. */
export interface Found {
  /** Undefined until the answer comes. */
  rows?: ReadonlySet<number>;
  /** Nothing was left out. */
  whole?: boolean;
  /** Asked when the run was over. */
  over: boolean;
}

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
  /** Texts that the kernel was asked to find in contents, in lower case. */
  readonly found = new Map<string, Found>();
  /** Counts changes of `found`. */
  readonly finds = signal(0);
  readonly problem = signal<string | undefined>(undefined);
  /** What became of the last rating or report; without `problem` while the kernel has not answered. */
  readonly said = signal<{ row: number; problem?: string | null } | undefined>(undefined);

  #contents = new Contents(this.table.payloads);
  #seq = 0;
  #now = 0;
  #heardAt = 0;
  #ask: ((message: Ask) => void) | undefined;
  #wanted = new Set<number>();
  #parts = new Map<number, Uint8Array[]>();
  #resyncing = false;
  #searches = 0;
  #whole: { at: number; all: boolean } | undefined;

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
      const { columns, rows } = frame;
      const changed = columns.get("row")?.length || rows !== this.table.n || columns.has("critical");
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
    return this.#contents.of(row);
  }

  /** Asks for the whole content of rows. A kernel that is busy answers when the cell ends. */
  want(...rows: number[]): void {
    const due = rows.filter((row) => !this.#wanted.has(row));
    for (const row of due) this.#wanted.add(row);
    if (due.length > 0) this.#say({ kind: "want", rows: due });
  }

  /** Has the kernel look for texts in contents, unless all of it is here or they were looked for already. */
  search(texts: string[], over: boolean): void {
    // The kernel may have passed over what nobody looks for any more.
    for (const [text, { rows }] of this.found) if (!rows && !texts.includes(text)) this.found.delete(text);
    const due = texts.filter((text) => this.found.get(text)?.over !== over);
    if (due.length === 0 || !this.connected.value || this.isWhole()) return;
    this.#searches++;
    for (const text of due) {
      this.found.set(text, { ...this.found.get(text), over });
      this.#say({ kind: "search", id: this.#searches, text });
    }
    this.finds.value++;
  }

  /** Takes what the kernel found. */
  receiveFound(text: string, whole: boolean, bytes: DataView): void {
    const rows = new Set<number>();
    for (let at = 0; at + 4 <= bytes.byteLength; at += 4) rows.add(bytes.getUint32(at, true));
    this.found.set(text, { rows, whole, over: this.found.get(text)?.over ?? false });
    this.finds.value++;
  }

  /** Whether all content is here, as it stands. */
  isWhole(): boolean {
    const { n, payloads, stale } = this.table;
    if (payloads.size < n || stale.size > 0) return false;
    if (this.#whole?.at !== this.contents.peek()) {
      const all = [...payloads.keys()].every((row) => this.content(row)?.clipped === undefined);
      this.#whole = { at: this.contents.peek(), all };
    }
    return this.#whole.all;
  }

  /** Hands on what the reader thinks of a step. */
  say(message: Feedback): void {
    this.said.value = { row: message.row };
    this.#say(message);
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

  /** Asks for the code of the panels. */
  wantPanels(): void {
    this.#say({ kind: "code" });
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
