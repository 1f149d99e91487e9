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
  if (type === "reasoning") return [{ role: "reasoning", at, ...reasoning(item) }];
  if (/_call_output$|^(mcp_approval_response)$/.test(type)) {
    return [{ role: "tool result", id: id(item.call_id), at, ...read(item.output ?? item) }];
  }
  if (type.endsWith("_call")) return [call(item, type, at)];
  if (typeof item.role === "string") return message(item, item.role, at);
  return [{ role: type.replaceAll("_", " "), at, value: item }];
}

const OWN_FIELDS = new Set(["type", "id", "call_id", "status", "name", "output", "error", "provider_data"]);

function call(item: Item, type: string, at: number): Said {
  const kind = type === "function_call" ? "" : type.slice(0, -5);
  const name = typeof item.name === "string" ? item.name : kind.replace("_", " ");
  const rest = () => Object.fromEntries(Object.entries(item).filter(([key]) => !OWN_FIELDS.has(key)));
  const { result, ...input } = rest();
  const made: Said = { role: "tool call", name, id: id(item.call_id ?? item.id), at };
  Object.assign(made, read(item.arguments ?? item.input ?? item.action ?? item.code ?? input));
  // Tools that run at the provider bring their result along.
  const answer = item.error ?? item.output ?? item.outputs ?? item.results;
  if (result !== undefined)
    made.result = { role: "tool result", at, media: [kind.startsWith("image") ? "image" : "data"] };
  else if (answer !== undefined && answer !== null)
    made.result = { role: "tool result", name, at, ...read(answer) };
  return made;
}

function message(item: Item, role: string, at: number): Said[] {
  const found: Said[] = [];
  const reason = item.reasoning_content ?? item.reasoning;
  if (typeof reason === "string" && reason) found.push({ role: "reasoning", text: reason, at });
  const as = role === "tool" || role === "function" ? "tool result" : role;
  const its = { role: as, id: as === role ? undefined : id(item.tool_call_id), at };
  const name = as !== role && typeof item.name === "string" ? { name: item.name } : {};
  if (item.content !== null && item.content !== undefined && item.content !== "")
    found.push(...parts(item.content, its, name));
  if (typeof item.refusal === "string" && item.refusal)
    found.push({ role: "refusal", text: item.refusal, at });
  if (isItem(item.audio)) found.push({ role: as, media: ["audio"], text: text(item.audio.transcript), at });
  const calls = [...(Array.isArray(item.tool_calls) ? item.tool_calls : []), item.function_call].filter(
    isItem,
  );
  for (const one of calls) {
    const target = isItem(one.function) ? one.function : isItem(one.custom) ? one.custom : one;
    const args = read(target.arguments ?? target.input);
    found.push({ role: "tool call", name: String(target.name ?? "?"), id: id(one.id), at, ...args });
  }
  return found.length > 0 ? found : [{ ...its, text: "" }];
}

const text = (value: unknown) => (typeof value === "string" ? value : undefined);
const id = (value: unknown) => (typeof value === "string" ? value : undefined);

function reasoning(item: Item): Pick<Said, "text"> {
  const parts = [item.summary, item.content].flatMap((side) => (Array.isArray(side) ? side : []));
  const texts = parts.map((part) => (isItem(part) ? text(part.text) : text(part))).filter(Boolean);
  return { text: texts.join("\n\n") || "(not given)" };
}

/** Text, JSON in a text, or a value. */
function read(value: unknown): Pick<Said, "text" | "value" | "media"> {
  if (typeof value === "string") {
    const parsed = parsedText(value);
    return parsed === undefined ? { text: value } : { value: parsed };
  }
  const [only, ...more] = isContent(value) ? parts(value, { role: "", at: 0 }, {}) : [];
  return only && more.length === 0 && !only.role ? { ...only, ...parsedOnly(only) } : { value };
}

const parsedOnly = ({ text }: Said) => (text === undefined ? {} : read(text));

const isContent = (value: unknown): value is Item[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every((part) => isItem(part) && typeof part.type === "string");

/** The parts of a message: its text and the names of what is no text, in one; refusals and calls beside it. */
function parts(content: unknown, its: Said, more: Partial<Said>): Said[] {
  if (!Array.isArray(content))
    return [{ ...its, ...more, ...(typeof content === "string" ? read(content) : { value: content }) }];
  const texts: string[] = [];
  const media: string[] = [];
  const beside: Said[] = [];
  const other: unknown[] = [];
  for (const part of content) {
    const words = isItem(part) ? text(part.text) : text(part);
    if (words !== undefined) texts.push(words);
    else if (!isItem(part)) other.push(part);
    else if (typeof part.refusal === "string")
      beside.push({ role: "refusal", text: part.refusal, at: its.at });
    else if (part.type === "tool_use")
      beside.push({
        role: "tool call",
        name: String(part.name),
        id: id(part.id),
        at: its.at,
        ...read(part.input),
      });
    else if (part.type === "tool_result")
      beside.push({ role: "tool result", id: id(part.tool_use_id), at: its.at, ...read(part.content) });
    else if (nameOf(part)) media.push(nameOf(part) as string);
    else other.push(part);
  }
  const own = { ...its, ...more };
  if (texts.length > 0) own.text = texts.join("\n");
  if (media.length > 0) own.media = media;
  if (other.length > 0) own.value = other;
  return texts.length + media.length + other.length > 0 ? [own, ...beside] : beside;
}

/** What a picture, a sound or a file is called; undefined for any other part. */
function nameOf(part: Item): string | undefined {
  const kind = /image|audio|file|video|document/.exec(String(part.type))?.[0];
  if (!kind) return undefined;
  const inner = [part[kind], part.image_url, part.input_audio, part.source].filter(isItem);
  for (const holder of [part, ...inner]) {
    const name = [holder.filename, holder.title, holder.file_id, holder.format, holder.media_type].find(text);
    if (name) return `${kind} ${String(name).slice(0, 120)}`;
  }
  const address = [part.image_url, part.file_url, inner[0]?.url].find(text);
  if (!address) return kind;
  // Of an address in a message no more than where it points: it is not a link.
  const type = /^data:([\w.+-]+\/[\w.+-]+)/.exec(String(address));
  return `${kind} ${type ? type[1] : String(address).slice(0, 120)}`;
}
