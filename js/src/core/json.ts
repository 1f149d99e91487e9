// JSON read without losing digits and written without a stack: what tools return may be of any size and depth.

export type Item = Record<string, unknown>;

export const isItem = (value: unknown): value is Item =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a number has too many digits for, JSON.parse rounds; it stays as it is written, where the browser can. */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const exact = (_: string, value: unknown, at?: { source?: string }) =>
    typeof value === "number" && at?.source && /^-?\d{16,}$/.test(at.source) && String(value) !== at.source
      ? BigInt(at.source)
      : value;
  try {
    return JSON.parse(text, exact as never);
  } catch (error) {
    // The walk with a function is not made for great depth.
    if (error instanceof RangeError) return JSON.parse(text);
    throw error;
  }
}

const LARGEST_TEXT = 2_000_000;

/** The value of a text that is a JSON object or list; undefined for any other text. */
export function parsedText(text: string): object | undefined {
  const start = text.trimStart()[0];
  if ((start !== "{" && start !== "[") || text.length > LARGEST_TEXT) return undefined;
  try {
    return parseJson(text) as object;
  } catch {
    return undefined;
  }
}

/** One value as JSON; of a list or an object only its brackets are of use. */
export function scalar(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

const isHolder = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Writes a value as indented JSON: as much of it as `limit` characters hold, and a little more. */
export function toJson(value: unknown, limit = Number.POSITIVE_INFINITY): string {
  let text = "";
  // What is left to write at each level.
  const levels: { entries: [string, unknown][]; at: number; list: boolean }[] = [];
  // Deeper than people read, spaces would be most of the text.
  const indent = () => `\n${"  ".repeat(Math.min(levels.length, 50))}`;
  const begin = (part: unknown) => {
    if (!isHolder(part)) {
      text += scalar(part);
      return;
    }
    const list = Array.isArray(part);
    const entries = Object.entries(part);
    if (entries.length === 0) text += list ? "[]" : "{}";
    else {
      text += list ? "[" : "{";
      levels.push({ entries, at: 0, list });
    }
  };
  begin(value);
  while (levels.length > 0 && text.length <= limit) {
    const level = levels[levels.length - 1];
    if (level.at === level.entries.length) {
      levels.pop();
      text += indent() + (level.list ? "]" : "}");
      continue;
    }
    const [key, part] = level.entries[level.at];
    text += (level.at++ > 0 ? "," : "") + indent() + (level.list ? "" : `${JSON.stringify(key)}: `);
    begin(part);
  }
  return text;
}

export type Plain = string | number | bigint | boolean | null;

/** The entries of an object whose values are all short and plain; undefined for anything else. */
export function plainFields(value: unknown): [string, Plain][] | undefined {
  if (!isItem(value)) return undefined;
  const pairs = Object.entries(value);
  const plain = pairs.every(
    ([key, part]) => key.length <= 40 && !isHolder(part) && !(typeof part === "string" && part.length > 400),
  );
  return plain && pairs.length > 0 && pairs.length <= 40 ? (pairs as [string, Plain][]) : undefined;
}

/** What a value is, for its colour. */
export const kindOf = (value: unknown) =>
  typeof value === "string" ? "str" : typeof value === "number" || typeof value === "bigint" ? "num" : "lit";
