// One dashboard as the browser knows it: fed by frames, read by any number of views.

import { signal } from "@preact/signals";
import { Board, type Head } from "./board";

export type Ask =
  | { kind: "look" }
  | { kind: "resync" }
  | { kind: "since"; ms: number }
  | { kind: "open" | "close"; row: string };

export class DashboardStore {
  readonly board = new Board();
  readonly head = signal<Head | undefined>(undefined);
  /** Counts frames that changed the runs. */
  readonly version = signal(0);
  readonly problem = signal<string | undefined>(undefined);
  /** Whether anything answers: saved state without a kernel has only what it was saved with. */
  readonly connected = signal(true);
  #now = 0;
  #heardAt = 0;
  #resyncing = false;
  #since = Infinity;

  constructor(readonly ask?: (message: Ask) => void) {
    this.connected.value = ask !== undefined;
  }

  receive(data: DataView | Uint8Array | ArrayBuffer): void {
    try {
      const taken = this.board.take(data);
      if (!taken) {
        if (!this.#resyncing && this.board.seq > 0) this.say({ kind: "resync" });
        this.#resyncing = true;
        return;
      }
      this.#resyncing = false;
      this.#now = taken.now;
      this.#heardAt = performance.now();
      this.head.value = taken.head;
      this.version.value++;
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }

  /** The kernel's clock, ms since the epoch: this machine's may differ. */
  now(): number {
    return this.#now + (performance.now() - this.#heardAt);
  }

  /** Asks for runs from a time on, once. */
  want(from: number): void {
    const ms = Number.isFinite(from) ? Math.floor(from) : 0;
    if (ms >= this.#since) return;
    this.#since = ms;
    this.say({ kind: "since", ms });
  }

  say(message: Ask): boolean {
    try {
      this.ask?.(message);
      return this.ask !== undefined;
    } catch {
      this.connected.value = false;
      return false;
    }
  }
}
