// Conversation items of the Responses API and messages of the Chat Completions API as one kind of thing to read.

import { type Item, isItem, parsedText } from "./json";

export interface Said {
  /** system, developer, user, assistant, tool call, tool result, reasoning, refusal, handoff, or the item's own type. */
  role: string;
  /** The tool that is called, or the one that answers. */
  name?: string | undefined;
  /** Ties a call to its result. */
  id?: string | undefined;
  text?: string | undefined;
  /** What is no text. */
  value?: unknown;
  /** Pictures, sounds and files: their names. They are never loaded. */
  media?: string[] | undefined;
  /** Of a call: its result, where it is in the same conversation. */
  result?: Said | undefined;
  /** Which item it is. */
  at: number;
}

/** The items of a conversation; undefined for any other value. An item that is not here is null. */
export function asItems(value: unknown): (Item | null)[] | undefined {
  const items = Array.isArray(value) ? value : isItem(value) ? [value] : [];
  const fits = (item: unknown) => item === null || (isItem(item) && isSaid(item));
  return items.some(isItem) && items.every(fits) ? items : undefined;
}

function isSaid(item: Item): boolean {
  if (isItem(item.message)) return isSaid(item.message);
  if (typeof item.role === "string") return "content" in item || "tool_calls" in item;
  if (typeof item.type !== "string") return false;
  return "call_id" in item || "id" in item || item.type === "reasoning" || item.type.endsWith("_call");
}

/** Reads a conversation: each call has its result, where that is here. */
export function chat(items: (Item | null)[]): Said[] {
  const all = items.flatMap((item, at) => (item ? said(item, at) : [{ role: "not here", at }]));
  const calls = new Map<string, Said>();
  return all.filter((one) => {
    if (one.id === undefined) return true;
    if (one.role === "tool call") calls.set(one.id, one);
    const call = one.role === "tool result" ? calls.get(one.id) : undefined;
    if (!call || call.result) return true;
    one.name = call.name;
    call.result = one;
    const taker = handedOver(call);
    if (taker) Object.assign(call, { role: "handoff", text: taker, value: undefined });
    return false;
  });
}

/** How many of the messages came before what is new: all up to what the model itself said last. */
export function earlier(all: Said[]): number {
  const own = all.reduce((last, { role, at }) => (FROM_THE_MODEL.has(role) ? Math.max(last, at) : last), -1);
  // The result of a call is new where the call is not.
  const first = all.findIndex(({ at, result }) => Math.max(at, result?.at ?? -1) > own);
  return own < 0 || first < 0 ? 0 : first;
}

const FROM_THE_MODEL = new Set(["assistant", "tool call", "reasoning", "refusal", "handoff"]);

function handedOver(call: Said): string | undefined {
  if (!call.name?.startsWith("transfer_to_")) return undefined;
  const { value } = call.result ?? {};
  return isItem(value) && typeof value.assistant === "string" ? value.assistant : undefined;
}

function said(item: Item, at: number): Said[] {
  if (isItem(item.message)) return said(item.message, at);
  const type = typeof item.type === "string" ? item.type : "message";
  if (type === "reasoning") return [{ role: type, at, text: reasoning(item) }];
  if (type.endsWith("_call_output")) {
    return [{ role: "tool result", id: text(item.call_id), at, ...read(item.output) }];
  }
  if (type.endsWith("_call")) return [call(item, type, at)];
  if (typeof item.role === "string") return message(item, item.role, at);
  return [{ role: type.replaceAll("_", " "), at, value: item }];
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);

function call(item: Item, type: string, at: number): Said {
  // Tools that run at the provider have fields of their own, and bring their result along.
  const { type: _, id, call_id, status: __, name, output, error, outputs, results, result, ...rest } = item;
  const answer = error ?? output ?? outputs ?? results;
  const tool = text(name) ?? type.slice(0, -5).replaceAll("_", " ");
  const made: Said = { role: "tool call", name: tool, id: text(call_id ?? id), at };
  Object.assign(made, read(item.arguments ?? item.input ?? item.action ?? item.code ?? rest));
  if (result) made.result = { role: "tool result", at, media: [tool.split(" ")[0]] };
  else if (answer) made.result = { role: "tool result", name: tool, at, ...read(answer) };
  return made;
}

function message(item: Item, role: string, at: number): Said[] {
  const found: Said[] = [];
  if (text(item.reasoning_content)) found.push({ role: "reasoning", text: text(item.reasoning_content), at });
  const its = role === "tool" ? { role: "tool result", id: text(item.tool_call_id), at } : { role, at };
  if (item.content) found.push(...parts(item.content, its));
  if (text(item.refusal)) found.push({ role: "refusal", text: text(item.refusal), at });
  for (const one of Array.isArray(item.tool_calls) ? item.tool_calls.filter(isItem) : []) {
    const target = isItem(one.function) ? one.function : one;
    found.push({
      role: "tool call",
      name: String(target.name ?? "?"),
      id: text(one.id),
      at,
      ...read(target.arguments),
    });
  }
  return found.length > 0 ? found : [{ ...its, text: "" }];
}

function reasoning(item: Item): string {
  const all = [item.summary, item.content].flatMap((side) => (Array.isArray(side) ? side : []));
  return (
    all
      .map((part) => text(part?.text) ?? "")
      .join("\n\n")
      .trim() || "(not given)"
  );
}

/** Text, JSON in a text, or a value; of a list of parts what they say. */
function read(value: unknown): Partial<Said> {
  if (typeof value === "string") {
    const parsed = parsedText(value);
    return parsed === undefined ? { text: value } : { value: parsed };
  }
  if (!Array.isArray(value) || !value.every((part) => isItem(part) && text(part.type))) return { value };
  const [only, more] = parts(value, { role: "", at: 0 });
  if (!only || more) return { value };
  const { role: _, at: __, ...rest } = only;
  return rest.text === undefined ? rest : { ...rest, text: undefined, ...read(rest.text) };
}

/** The parts of a message: its text and the names of what is no text, in one; refusals beside it. */
function parts(content: unknown, its: Said): Said[] {
  if (!Array.isArray(content)) return [{ ...its, ...read(content) }];
  const texts: string[] = [];
  const media: string[] = [];
  const other: unknown[] = [];
  const beside: Said[] = [];
  for (const part of content) {
    const words = text(part?.text) ?? text(part);
    const refusal = text(part?.refusal);
    const name = isItem(part) && nameOf(part);
    if (words !== undefined) texts.push(words);
    else if (refusal) beside.push({ role: "refusal", text: refusal, at: its.at });
    else if (name) media.push(name);
    else other.push(part);
  }
  const own = { ...its };
  if (texts.length > 0) own.text = texts.join("\n");
  if (media.length > 0) own.media = media;
  if (other.length > 0) own.value = other;
  return beside.length > 0 && texts.length + media.length + other.length === 0 ? beside : [own, ...beside];
}

/** What a picture, a sound or a file is called; undefined for any other part. */
function nameOf(part: Item): string | undefined {
  const kind = /image|audio|file|video/.exec(String(part.type))?.[0];
  if (!kind) return undefined;
  // Of an address no more than where it points: it is not a link.
  const inner = Object.values(part).filter(isItem);
  const fields = [part, ...inner].flatMap((one) => [
    one.filename,
    one.file_id,
    one.format,
    one.url,
    one.image_url,
    one.file_url,
  ]);
  const name = fields.find(text);
  return `${kind} ${(text(name) ?? "").replace(/^data:([^;,]*).*/s, "$1").slice(0, 120)}`.trim();
}
