// One run in place of the list. Its view is made by somebody else: in a notebook by the kernel, in a page by the page.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

/** Shows a run in an element; returns what takes it away again. */
export type OpenRun<Key = number> = (row: Key, element: HTMLElement) => Promise<() => void>;

/** What stands behind a run that is open: the runs that it is one of, and the way back to them. */
interface Behind<Key> {
  shown: ReadonlySignal<{ length: number }>;
  indexOf(row: Key): number;
  step(by: number): void;
  close(): void;
}

interface Props<Key> {
  view: Behind<Key>;
  open: OpenRun<Key>;
  row: Key;
  /** Words of the way back. */
  back?: string;
}

export function Opened<Key>({ view, open, row, back: words = "All runs" }: Props<Key>) {
  const place = useRef<HTMLDivElement>(null);
  const back = useRef<HTMLButtonElement>(null);
  const state = useSignal<string | undefined>("Opening; a busy kernel answers when its cell has ended");

  useEffect(() => {
    back.current?.focus({ preventScroll: true });
  }, []);

  useEffect(() => {
    let close: (() => void) | undefined;
    let gone = false;
    const element = place.current;
    if (!element) return;
    state.value = "Opening; a busy kernel answers when its cell has ended";
    open(row, element).then(
      (made) => {
        if (gone) made();
        else {
          close = made;
          state.value = undefined;
        }
      },
      (error) => {
        state.value = `This run could not be opened: ${error instanceof Error ? error.message : String(error)}`;
      },
    );
    return () => {
      gone = true;
      close?.();
    };
  }, [row]);

  const at = view.indexOf(row);
  const { length } = view.shown.value;
  return (
    <div
      class="agtr-opened"
      role="group"
      aria-label="One run"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || event.defaultPrevented) return;
        event.preventDefault();
        event.stopPropagation();
        view.close();
      }}
    >
      <nav class="agtr-way" aria-label="Runs">
        <button type="button" ref={back} onClick={() => view.close()}>
          <span aria-hidden="true">{"\u2039 "}</span>
          {words}
        </button>
        <span class="agtr-opened-about">{`${at + 1} of ${length}`}</span>
        <button type="button" disabled={at <= 0} onClick={() => view.step(-1)}>
          previous
        </button>
        <button type="button" disabled={at + 1 >= length} onClick={() => view.step(1)}>
          next
        </button>
      </nav>
      {state.value && (
        <p class="agtr-empty" role="status">
          {state.value}
        </p>
      )}
      <div ref={place} class="agtr-place" />
    </div>
  );
}
