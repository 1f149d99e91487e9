// What is looked for in one view, and what was found.

import { batch, computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { holds, LowerStrings, matchRows, needles, parseQuery, type Query } from "../core/filter";
import type { Layout } from "../core/layout";
import { inSlices } from "../core/slices";
import type { RunStore } from "../store";

// The kernel is asked when typing pauses.
const PAUSE_MS = 250;
// A text so short is everywhere.
const SHORTEST_ASKED = 2;

export class Search {
  readonly text = signal("");
  /** Show matches and what is above them, nothing else. */
  readonly only = signal(false);
  readonly query: ReadonlySignal<Query> = computed(() => parseQuery(this.text.value));
  /** For each row 1 where it matches; undefined while nothing is looked for. */
  readonly hits = signal<Uint8Array | undefined>(undefined);
  /** Rows that match, in reading order. */
  readonly rows: ReadonlySignal<number[]>;
  /** Matches that have no row of their own since their layer is folded. */
  readonly folded: ReadonlySignal<number>;
  /** Whether rows are still compared. */
  readonly working = signal(false);

  #lower = new LowerStrings();
  #inContent = new Map<string, { of: number; rows: Set<number> }>();
  #stop: (() => void) | undefined;
  #again = false;

  constructor(
    readonly store: RunStore,
    layout: ReadonlySignal<Layout>,
  ) {
    this.rows = computed(() => {
      const hits = this.hits.value;
      const found: number[] = [];
      if (hits) for (const row of layout.value.order) if (hits[row]) found.push(row);
      return found;
    });
    this.folded = computed(() => {
      let all = 0;
      for (const hit of this.hits.value ?? []) all += hit;
      return all - this.rows.value.length;
    });
  }

  clear(): void {
    batch(() => {
      this.text.value = "";
      this.only.value = false;
    });
  }

  /** Looks as long as the view is there: anew when the text changes, and when the run does. Returns what ends it. */
  follow(): () => void {
    const ends = [
      effect(() => {
        this.query.value;
        this.#stop?.();
        this.#stop = undefined;
        this.#look();
      }),
      effect(() => {
        this.store.version.value;
        this.store.contents.value;
        this.store.finds.value;
        // What is under way goes to its end first: a run that changes all the time must not keep it from that.
        if (this.#stop) this.#again = true;
        else this.#look();
      }),
      this.#askWhenTypingPauses(),
    ];
    return () => {
      for (const end of ends) end();
      this.#stop?.();
      this.#stop = undefined;
    };
  }

  #look(): void {
    const query = this.query.peek();
    this.#again = false;
    if (query.terms.length === 0) {
      this.hits.value = undefined;
      this.working.value = false;
      return;
    }
    this.working.value = true;
    this.#stop = inSlices(this.#found(query), (hits) => {
      this.#stop = undefined;
      batch(() => {
        this.hits.value = hits;
        this.working.value = this.#again;
      });
      if (this.#again) this.#look();
    });
  }

  *#found(query: Query): Generator<void, Uint8Array> {
    const local = new Map<string, Set<number>>();
    for (const needle of needles(query)) local.set(needle, yield* this.#inPayloads(needle));
    return yield* matchRows(this.store.table, query, this.#lower, (needle) => {
      const here = local.get(needle);
      const there = this.store.found.get(needle)?.rows;
      return { has: (row) => here?.has(row) || there?.has(row) || false };
    });
  }

  /** Rows whose content is here and holds a text. */
  *#inPayloads(needle: string): Generator<void, Set<number>> {
    const contents = this.store.contents.peek();
    const known = this.#inContent.get(needle);
    if (known?.of === contents) return known.rows;
    const rows = new Set<number>();
    for (const row of [...this.store.table.payloads.keys()]) {
      const content = this.store.content(row);
      if (content && holds([content.input, content.output, content.error, content.attributes], needle))
        rows.add(row);
      yield;
    }
    this.#inContent.clear();
    this.#inContent.set(needle, { of: contents, rows });
    return rows;
  }

  #askWhenTypingPauses(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = effect(() => {
      const texts = needles(this.query.value).filter((text) => text.length >= SHORTEST_ASKED);
      // Asked anew at the end: an answer from the middle of a run knows only half of it.
      const over = this.store.head.value?.ended !== null;
      clearTimeout(timer);
      if (texts.length > 0) timer = setTimeout(() => this.store.search(texts, over), PAUSE_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }
}
