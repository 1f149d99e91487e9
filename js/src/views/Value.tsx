// A value in the detail pane: text, fields or JSON. Nothing in it is ever interpreted.

import { useMemo } from "preact/hooks";
import { visible } from "../core/content";
import { isItem, kindOf, type Plain, parsedText, plainFields, toJson } from "../core/json";
import { JsonTree } from "./JsonTree";
import { Text } from "./Text";

/** Text as text, short plain fields as a list, anything else as a tree. */
export function Data({ value }: { value: unknown }) {
  if (typeof value === "string") {
    const parsed = parsedText(value);
    return parsed === undefined ? <Text text={value} /> : <Data value={parsed} />;
  }
  const fields = plainFields(value);
  if (fields) return <Fields fields={fields} />;
  return typeof value === "object" && value !== null ? (
    <JsonTree value={value} />
  ) : (
    <Text text={String(value)} />
  );
}

/** The exact text, or JSON. */
export function Raw({ value }: { value: unknown }) {
  const text = useMemo(() => (typeof value === "string" ? value : toJson(value)), [value]);
  return <Text text={text} />;
}

export function Fields({ fields }: { fields: [string, Plain][] }) {
  return (
    <dl class="agtr-fields">
      {fields.map(([key, value]) => (
        <div key={key}>
          <dt dir="auto">{visible(key)}</dt>
          <dd class={`agtr-j-${kindOf(value)}`} dir="auto">
            {typeof value === "string" ? visible(JSON.stringify(value)) : String(value)}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Arguments on one line. */
export function oneLineOf(value: unknown): string {
  const given = typeof value === "string" ? (parsedText(value) ?? value) : value;
  if (!isItem(given)) return oneLine(given);
  const pairs = Object.entries(given).slice(0, 8);
  return pairs.map(([key, part]) => `${visible(key)} ${oneLine(toJson(part, 400))}`).join(" \u00b7 ");
}

/** A value on one line. */
export function oneLine(value: unknown): string {
  const text = typeof value === "string" ? value : toJson(value, 400);
  return visible(text.slice(0, 400)).replace(/\s+/g, " ").slice(0, 240);
}
