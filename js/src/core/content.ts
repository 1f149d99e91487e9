// What went into a step and came out of it, sorted into what can be drawn: text, a conversation or JSON.

export interface SpanErrorContent {
  message: string;
  type?: string | null;
  http_status?: number | null;
  chain?: string[];
  traceback?: string | null;
}

/** A row's content as the kernel sends it; absent is unknown. */
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
  /** Size of the whole in bytes, where only the beginning came along. */
  clipped?: number;
}

export interface Said {
  /** system, user, assistant, tool call, tool result, reasoning, or the item's own type. */
  role: string;
  /** The tool that is called. */
  name?: string;
  text?: string;
  value?: unknown;
}

export type Shown =
  | { as: "text"; text: string }
  | { as: "json"; value: unknown }
  | { as: "conversation"; said: Said[] };

type Item = Record<string, unknown>;

/** Decides how a value is drawn. */
export function shown(value: unknown): Shown {
  if (typeof value === "string") {
    const parsed = parsedJson(value);
    return parsed === undefined ? { as: "text", text: value } : shown(parsed);
  }
  const items = Array.isArray(value) ? value : isItem(value) && isSaid(value) ? [value] : [];
  if (items.length > 0 && items.every((item) => isItem(item) && isSaid(item))) {
    return { as: "conversation", said: items.flatMap(said) };
  }
  return { as: "json", value };
}

/** The value of a text that is a JSON object or list; undefined for any other text. */
export function parsedJson(text: string): unknown {
  const start = text.trimStart()[0];
  if ((start !== "{" && start !== "[") || text.length > 1_000_000) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isItem = (value: unknown): value is Item =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function isSaid(item: Item): boolean {
  if (typeof item.role === "string") return "content" in item || "tool_calls" in item;
  return typeof item.type === "string" && ("call_id" in item || item.type === "reasoning" || "id" in item);
}

function said(item: Item): Said[] {
  const type = item.type;
  if (type === "function_call") return [call(item.name, item.arguments)];
  if (type === "function_call_output") return [answer("tool result", item.output)];
  if (type === "reasoning") return reasoning(item);
  if (typeof item.role !== "string") return [{ role: String(type), value: item }];
  const found: Said[] = [];
  if (item.content !== null && item.content !== undefined && item.content !== "") {
    found.push(answer(item.role === "tool" ? "tool result" : item.role, item.content));
  }
  const calls = Array.isArray(item.tool_calls) ? item.tool_calls.filter(isItem) : [];
  for (const one of calls) {
    const target = isItem(one.function) ? one.function : one;
    found.push(call(target.name, target.arguments));
  }
  return found.length ? found : [{ role: item.role, text: "" }];
}

function call(name: unknown, args: unknown): Said {
  const value = typeof args === "string" ? (parsedJson(args) ?? args) : args;
  const named: Said = { role: "tool call", name: String(name ?? "?") };
  return typeof value === "string" ? { ...named, text: value } : { ...named, value };
}

function answer(role: string, content: unknown): Said {
  if (typeof content === "string") {
    const value = parsedJson(content);
    return value === undefined ? { role, text: content } : { role, value };
  }
  const text = partsText(content);
  return text === undefined ? { role, value: content } : { role, text };
}

function reasoning(item: Item): Said[] {
  const text = partsText(item.summary) ?? partsText(item.content);
  return [{ role: "reasoning", text: text || "(not given)" }];
}

/** The text of a list of content parts; undefined where a part is something else, such as a picture. */
function partsText(parts: unknown): string | undefined {
  if (!Array.isArray(parts)) return undefined;
  const texts = parts.map((part) => (isItem(part) ? (part.text ?? part.refusal) : part));
  return texts.every((text) => typeof text === "string") ? texts.join("\n") : undefined;
}

export interface Token {
  /** key, str, num, lit; nothing for punctuation. */
  kind?: "key" | "str" | "num" | "lit";
  text: string;
}

/** Pretty-prints JSON as coloured tokens. Stops after `limit` characters and says so. */
export function jsonTokens(value: unknown, limit: number): { tokens: Token[]; more: boolean } {
  const tokens: Token[] = [];
  let length = 0;
  let more = false;
  const put = (text: string, kind?: Token["kind"]) => {
    if (more) return;
    const room = limit - length;
    if (text.length > room) more = true;
    const shownText = text.slice(0, room);
    length += shownText.length;
    tokens.push(kind ? { kind, text: shownText } : { text: shownText });
  };
  const walk = (item: unknown, indent: string, depth: number): void => {
    if (more) return;
    if (typeof item === "string") put(JSON.stringify(item), "str");
    else if (typeof item === "number") put(String(item), "num");
    else if (item === null || typeof item !== "object") put(String(item), "lit");
    else if (depth > 200) put("\u2026", "lit");
    else entries(item as object, indent, depth);
  };
  const entries = (item: object, indent: string, depth: number): void => {
    const list = Array.isArray(item);
    const pairs = Object.entries(item);
    const [open, close] = list ? ["[", "]"] : ["{", "}"];
    if (pairs.length === 0) {
      put(open + close);
      return;
    }
    const inner = `${indent}  `;
    put(`${open}\n`);
    pairs.forEach(([key, part], i) => {
      if (more) return;
      put(inner);
      if (!list) {
        put(JSON.stringify(key), "key");
        put(": ");
      }
      walk(part, inner, depth + 1);
      put(i < pairs.length - 1 ? ",\n" : "\n");
    });
    put(indent + close);
  };
  walk(value, "", 0);
  return { tokens, more };
}

/** The entries of an object whose values are all short and plain; undefined for anything else. */
export function plainFields(value: unknown): [string, string | number | boolean | null][] | undefined {
  if (!isItem(value)) return undefined;
  const pairs = Object.entries(value);
  const plain = pairs.every(
    ([key, v]) =>
      key.length <= 40 &&
      (v === null ||
        typeof v === "number" ||
        typeof v === "boolean" ||
        (typeof v === "string" && v.length <= 400)),
  );
  return plain && pairs.length > 0 && pairs.length <= 40 ? (pairs as never) : undefined;
}

// Characters that act on the text around them instead of being read.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Shows what control and reordering characters are there instead of letting them act. */
export function visible(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(ACTING, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
  });
}
