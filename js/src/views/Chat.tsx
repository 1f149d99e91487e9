// A conversation: who said what, which tools were called and what they answered.

import { useSignal } from "@preact/signals";
import type { Said } from "../core/chat";
import { visible } from "../core/content";
import { Data, Text } from "./Value";

const FEW = 3;
const STEP = 50;
const INSTRUCTIONS_LIMIT = 400;

/** All of a conversation, or only what is new in it with the rest behind a button. */
export function Chat({ said, earlier = 0 }: { said: Said[]; earlier?: number }) {
  // One or two earlier messages are quicker read than opened.
  const from = useSignal(earlier >= FEW ? earlier : 0);
  const to = useSignal(from.value + STEP);
  const before = from.value;
  return (
    <div class="agtr-said-all">
      {before > 0 && (
        <button
          type="button"
          class="agtr-earlier"
          onClick={() => {
            from.value = Math.max(0, before - STEP);
          }}
        >
          {before} earlier messages
        </button>
      )}
      {said.slice(before, to.value).map((one, i) => (
        <Message key={before + i} said={one} />
      ))}
      {said.length > to.value && (
        <button
          type="button"
          class="agtr-earlier"
          onClick={() => {
            to.value += STEP;
          }}
        >
          {said.length - to.value} more messages
        </button>
      )}
    </div>
  );
}

export function Message({ said }: { said: Said }) {
  const { role, name, result } = said;
  const instructions = role === "system" || role === "developer";
  return (
    <div class={`agtr-turn agtr-r-${role.replace(/\W+/g, "-").slice(0, 40)}`}>
      <span class="agtr-who" dir="auto">
        {role === "handoff" ? "handed over to" : visible(role)}
        {name && role !== "handoff" && <b> {visible(name)}</b>}
      </span>
      <Body said={said} limit={instructions ? INSTRUCTIONS_LIMIT : undefined} />
      {result && role !== "handoff" && (
        <div class="agtr-result">
          <span class="agtr-who">result</span>
          <Body said={result} />
        </div>
      )}
    </div>
  );
}

export function Body({ said, limit }: { said: Said; limit?: number | undefined }) {
  const { text, value, media } = said;
  if (said.role === "not here") return <p class="agtr-hint">This message was not kept here.</p>;
  const none = text === undefined && value === undefined && !media;
  return (
    <>
      {media && (
        <p class="agtr-media">
          {media.map((one, i) => (
            <span key={i} dir="auto">
              {visible(one)}
            </span>
          ))}
        </p>
      )}
      {text !== undefined && <Text text={text} {...(limit ? { first: limit } : {})} />}
      {value !== undefined && <Data value={value} />}
      {none && <p class="agtr-hint">nothing</p>}
    </>
  );
}
