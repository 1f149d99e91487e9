// A button that copies, and says that it has.

import { useSignal } from "@preact/signals";

const SHOWN_MS = 1500;

export function Copy({
  what,
  text,
  label = `copy ${what}`,
}: {
  what: string;
  text: () => string;
  label?: string;
}) {
  const done = useSignal("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      done.value = "copied";
    } catch {
      // Pages without a secure origin have no clipboard.
      done.value = "not allowed here";
    }
    setTimeout(() => {
      done.value = "";
    }, SHOWN_MS);
  };
  return (
    <button type="button" class="agtr-link" onClick={copy} aria-label={`Copy ${what}`}>
      {done.value || label}
    </button>
  );
}
