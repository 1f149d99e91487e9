// A value in the detail pane: text, a conversation, plain fields or JSON. Nothing in it is ever interpreted.

import { useSignal } from "@preact/signals";
import { jsonTokens, plainFields, type Said, shown, visible } from "../core/content";
import { grouped } from "../core/format";

const TEXT_LIMIT = 20_000;
const FIRST_LIMIT = 2_000;
const SAID_LIMIT = 40;

export function Value({ value }: { value: unknown }) {
  const what = shown(value);
  if (what.as === "conversation") return <Conversation said={what.said} />;
  if (what.as === "text") return <Text text={what.text} />;
  const fields = plainFields(what.value);
  return fields ? <Fields fields={fields} /> : <Json value={what.value} />;
}

function Text({ text }: { text: string }) {
  const limit = useSignal(FIRST_LIMIT);
  if (text === "") return <p class="agtr-hint">empty text</p>;
  return (
    <>
      <pre class="agtr-text" dir="auto">
        {visible(text.slice(0, limit.value))}
      </pre>
      <More limit={limit} more={text.length > limit.value} all={text.length} />
    </>
  );
}

function More({ limit, more, all }: { limit: { value: number }; more: boolean; all?: number }) {
  if (!more) return null;
  const next = () => {
    limit.value = Math.min(limit.value * 10, limit.value + TEXT_LIMIT);
  };
  return (
    <button type="button" class="agtr-link" onClick={next}>
      {all ? `more of ${grouped(all)} characters` : "more"}
    </button>
  );
}

function Fields({ fields }: { fields: [string, string | number | boolean | null][] }) {
  return (
    <dl class="agtr-fields">
      {fields.map(([key, value]) => (
        <div key={key}>
          <dt>{visible(key)}</dt>
          <dd class={`agtr-j-${kindOf(value)}`} dir="auto">
            {typeof value === "string" ? visible(JSON.stringify(value)) : String(value)}
          </dd>
        </div>
      ))}
    </dl>
  );
}

const kindOf = (value: unknown) =>
  typeof value === "string" ? "str" : typeof value === "number" ? "num" : "lit";

function Json({ value }: { value: unknown }) {
  const limit = useSignal(FIRST_LIMIT);
  const { tokens, more } = jsonTokens(value, limit.value);
  return (
    <>
      <pre class="agtr-text">
        {tokens.map((token, i) =>
          token.kind ? (
            <span key={i} class={`agtr-j-${token.kind}`}>
              {visible(token.text)}
            </span>
          ) : (
            token.text
          ),
        )}
      </pre>
      <More limit={limit} more={more} />
    </>
  );
}

function Conversation({ said }: { said: Said[] }) {
  const limit = useSignal(SAID_LIMIT);
  // Of a long conversation the last part: it holds what is new.
  const from = Math.max(0, said.length - limit.value);
  return (
    <div class="agtr-said-all">
      {from > 0 && (
        <button
          type="button"
          class="agtr-link"
          onClick={() => {
            limit.value += 200;
          }}
        >
          {from} earlier
        </button>
      )}
      {said.slice(from).map((one, i) => (
        <div key={from + i} class={`agtr-turn agtr-r-${one.role.replace(/\W+/g, "-")}`}>
          <span class="agtr-who">
            {visible(one.role)}
            {one.name && <b> {visible(one.name)}</b>}
          </span>
          {one.text !== undefined ? <Text text={one.text} /> : <Value value={one.value} />}
        </div>
      ))}
    </div>
  );
}
