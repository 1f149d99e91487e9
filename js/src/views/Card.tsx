// One thing that went in or out, with three ways to look at it: as it is meant, as JSON, as the exact text.

import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { asItems, chat, earlier } from "../core/chat";
import { parsedText, plainFields, toJson } from "../core/json";
import { Chat } from "./Chat";
import { Frame } from "./Frame";
import { JsonTree } from "./JsonTree";
import { Data, Raw } from "./Value";

export type Look = "read" | "json" | "raw";

export interface CardProps {
  title: string;
  value: unknown;
  /** What the reader chose last, for all cards. */
  look: Signal<Look>;
  /** Of a conversation, what is not new is put away. */
  folded?: boolean;
}

export function Card({ title, value, look, folded }: CardProps) {
  const parsed = useMemo(() => (typeof value === "string" ? parsedText(value) : value), [value]);
  const items = asItems(parsed);
  const looks: [Look, string][] = [];
  if (items) looks.push(["read", "Chat"]);
  else if (plainFields(parsed)) looks.push(["read", "Fields"]);
  if (typeof parsed === "object" && parsed !== null) looks.push(["json", "JSON"], ["raw", "Raw"]);
  const chosen = looks.some(([one]) => one === look.value) ? look.value : looks[0]?.[0];
  const switches = looks.length > 1 && (
    <span class="agtr-looks" role="group" aria-label={`Show ${title} as`}>
      {looks.map(([one, name]) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === chosen}
          onClick={() => {
            look.value = one;
          }}
        >
          {name}
        </button>
      ))}
    </span>
  );
  return (
    <Frame title={title} more={switches} copy={() => (typeof value === "string" ? value : toJson(value))}>
      {chosen === "raw" ? (
        <Raw value={value} />
      ) : chosen === "json" ? (
        <JsonTree value={parsed as object} />
      ) : items ? (
        <Read items={items} folded={folded} />
      ) : (
        <Data value={parsed ?? value} />
      )}
    </Frame>
  );
}

function Read({
  items,
  folded,
}: {
  items: NonNullable<ReturnType<typeof asItems>>;
  folded: boolean | undefined;
}) {
  const said = useMemo(() => chat(items), [items]);
  return <Chat said={said} earlier={folded ? earlier(said) : 0} />;
}
