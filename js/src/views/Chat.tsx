// A conversation: who said what, which tools were called and what they answered.

import { useSignal } from "@preact/signals";
import type { Said } from "../core/chat";
import { visible } from "../core/content";
import { Text } from "./Text";
import { Data } from "./Value";

const FEW = 3;
const STEP = 50;
const INSTRUCTIONS_LIMIT = 400;

/** All of a conversation, or only what is new in it with the rest behind a button. */
export function Chat({ said, earlier = 0 }: { said: Said[]; earlier?: number }) {
  // One or two earlier messages are quicker read than opened.
  const from = useSignal(earlier >= FEW ? earlier : 0);
  const to = useSignal(from.value + STEP);
  const more = (before: number, after: number) => {
    from.value = Math.max(0, from.value - before);
    to.value += after;
  };
  return (
    <>
      <Rest n={from.value} word="earlier" more={() => more(STEP, 0)} />
      {said.slice(from.value, to.value).map((one, i) => (
        <Message key={from.value + i} said={one} />
      ))}
      <Rest n={said.length - to.value} word="more" more={() => more(0, STEP)} />
    </>
  );
}

function Rest({ n, word, more }: { n: number; word: string; more: () => void }) {
  if (n <= 0) return null;
  return (
    <button type="button" class="agtr-earlier" onClick={more}>
      {`${n} ${word} messages`}
    </button>
  );
}

/** One message; `bare`: without who says it. */
export function Message({ said, bare }: { said: Said; bare?: boolean }) {
  const { role, name, text, value, media, result } = said;
  return (
    <div class={bare ? "agtr-bare" : `agtr-turn agtr-r-${role.replace(/\W+/g, "-").slice(0, 40)}`}>
      {!bare && (
        <span class="agtr-who" dir="auto">
          {role === "handoff" ? "handed over to" : visible(role)}
          {name && role !== "handoff" && <b> {visible(name)}</b>}
        </span>
      )}
      {media?.map((one, i) => (
        <span key={i} class="agtr-media" dir="auto">
          {visible(one)}
        </span>
      ))}
      {text !== undefined && (
        <Text
          text={text}
          first={role === "system" || role === "developer" ? INSTRUCTIONS_LIMIT : undefined}
        />
      )}
      {value !== undefined && <Data value={value} />}
      {result && role !== "handoff" && (
        <div class="agtr-result">
          <Message said={{ ...result, role: "result", name: undefined }} />
        </div>
      )}
    </div>
  );
}
