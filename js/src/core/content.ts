// What went into a step and came out of it, put together from what the kernel sends: see views/payloads.py.

import { parseJson } from "./json";

export interface SpanErrorContent {
  message: string;
  type?: string | null;
  http_status?: number | null;
  chain?: string[];
  traceback?: string | null;
}

/** A row's content; absent is unknown. */
export interface Content {
  input?: unknown;
  output?: unknown;
  error?: SpanErrorContent;
  attributes?: Record<string, unknown>;
  ttft_s?: number;
  cached_tokens?: number;
  reasoning_tokens?: number;
  trace_id?: string;
  span_id?: string;
  /** Which items of a prompt are new in it: first, count. */
  fresh?: [number, number][];
  /** Size of the whole in bytes, where only the beginning came along. */
  clipped?: number;
  /** Some of what another row holds is not here. */
  partial?: boolean;
}

type Place = [row: number, first: number, count: number];

/** As it travels. An item that found no room is null. */
interface Payload extends Content {
  items?: unknown[];
  input_items?: (Place | object)[];
  output_items?: (Place | object)[];
}

// As many as one conversation may refer to, and more.
const KEPT = 4000;
// As many as are on a screen, and more.
const MADE = 200;

/** Reads payloads, each once. */
export class Contents {
  #read = new Map<number, { bytes: Uint8Array; payload: Payload }>();
  #made = new Map<number, { bytes: Uint8Array; content: Content }>();

  constructor(private payloads: ReadonlyMap<number, Uint8Array>) {}

  /** Content of a row, if it is here: the same object until it changes. */
  of(row: number): Content | undefined {
    const bytes = this.payloads.get(row);
    const made = this.#made.get(row);
    if (made && made.bytes === bytes) return made.content;
    const payload = this.#payload(row);
    if (!bytes || !payload) return undefined;
    const { items: _, input_items, output_items, ...content } = payload;
    for (const [side, places] of [["input", input_items] as const, ["output", output_items] as const]) {
      if (Array.isArray(places)) content[side] = this.#items(row, places, content);
    }
    if (this.#made.size >= MADE) this.#made.clear();
    // What another row holds only in part may yet come.
    if (!content.partial) this.#made.set(row, { bytes, content });
    return content;
  }

  #items(row: number, places: (Place | object)[], content: Content): unknown[] {
    const found: unknown[] = [];
    for (const place of places) {
      if (!Array.isArray(place)) {
        found.push(place);
        continue;
      }
      const [from, first, count] = place as Place;
      const its = this.#payload(from);
      for (let i = first; i < first + count; i++) found.push(its?.items?.[i] ?? null);
      if (from !== row && (!its?.items || its.clipped !== undefined)) content.partial = true;
    }
    return found;
  }

  #payload(row: number): Payload | undefined {
    const bytes = this.payloads.get(row);
    if (!bytes) return undefined;
    const known = this.#read.get(row);
    if (known?.bytes === bytes) return known.payload;
    if (this.#read.size >= KEPT) this.#read.clear();
    let payload: Payload;
    try {
      payload = parseJson(new TextDecoder().decode(bytes)) as Payload;
    } catch {
      payload = { error: { message: "this content could not be read" } };
    }
    this.#read.set(row, { bytes, payload });
    return payload;
  }
}

// Characters that act on the text around them instead of being read, and those that hide text from the reader only.
const ACTING =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u200b\u2060-\u2064]|\udb40[\udc00-\udc7f]/g;

/** Shows what control and reordering characters are there instead of letting them act. */
export function visible(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(ACTING, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
  });
}
