// A text as it is: its beginning, and more of it on demand. Nothing in it is ever interpreted.

import { useSignal } from "@preact/signals";
import { visible } from "../core/content";
import { grouped } from "../core/format";

const FIRST_LIMIT = 2_000;
const MORE = 50_000;

export function Text({ text, first = FIRST_LIMIT }: { text: string; first?: number | undefined }) {
  const limit = useSignal(first);
  if (text === "") return <p class="agtr-hint">empty text</p>;
  return (
    <>
      <pre class="agtr-text" dir="auto">
        {visible(text.slice(0, limit.value))}
      </pre>
      {text.length > limit.value && (
        <button
          type="button"
          class="agtr-link"
          onClick={() => {
            limit.value = Math.min(limit.value * 10, limit.value + MORE);
          }}
        >
          more of {grouped(text.length)} characters
        </button>
      )}
    </>
  );
}
