// Runs opened by the kernel: each is a widget of its own, whose view is put in place of the list.

import type { Model } from "../model";
import type { OpenRun } from "./Opened";

/** What is used of the host's widget manager; hosts without one can show the list, but open nothing. */
interface Manager {
  get_model(id: string): Promise<unknown>;
  create_view(model: unknown): Promise<{ el: HTMLElement; remove(): void }>;
}

export type Host = Model & { widget_manager?: Manager };

type Answer<Key> = { kind: "opened"; row: Key; model: string } | { kind: "failed"; row: Key; why: string };

// The kernel's word that a widget is there can be faster than the widget.
const TRIES_MS = [0, 50, 200, 1000, 3000];

export class Opener<Key = number> {
  #waiting = new Map<Key, ((answer: Answer<Key>) => void)[]>();

  constructor(readonly host: Host) {}

  hear(answer: Answer<Key>): void {
    if (answer?.kind !== "opened" && answer?.kind !== "failed") return;
    for (const tell of this.#waiting.get(answer.row) ?? []) tell(answer);
    this.#waiting.delete(answer.row);
  }

  open: OpenRun<Key> = async (row, element) => {
    const manager = this.host.widget_manager;
    if (!manager || !this.host.send)
      throw new Error(
        "this front end shows one widget in another in no way we know; at.show(id) shows it alone",
      );
    const answer = await this.#ask(row);
    if (answer.kind === "failed") throw new Error(answer.why);
    const view = await manager.create_view(await model(manager, answer.model));
    element.append(view.el);
    return () => {
      view.remove();
      this.#say({ kind: "close", row });
    };
  };

  #ask(row: Key): Promise<Answer<Key>> {
    return new Promise((tell, fail) => {
      this.#waiting.set(row, [...(this.#waiting.get(row) ?? []), tell]);
      if (!this.#say({ kind: "open", row })) fail(new Error("no kernel is connected"));
    });
  }

  #say(message: { kind: "open" | "close"; row: Key }): boolean {
    try {
      this.host.send?.(message);
      return true;
    } catch {
      return false; // saved widget state without a kernel: the model is there, its line is dead
    }
  }
}

async function model(manager: Manager, id: string): Promise<unknown> {
  let problem: unknown;
  for (const ms of TRIES_MS) {
    await new Promise((done) => setTimeout(done, ms));
    try {
      return await manager.get_model(id);
    } catch (error) {
      problem = error;
    }
  }
  throw problem;
}
