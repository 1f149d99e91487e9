// Puts a view of a store into an element; returns what removes it again.

import { effect } from "@preact/signals";
import { render } from "preact";
import { dress } from "./panels/arrival";
import type { RunStore } from "./store";
import { followTheme } from "./theme";
import { TraceView } from "./views/TraceView";

// In a notebook, plain keys are commands: x cuts the cell, Shift+M merges cells. While the focus is in the view they
// must not be.
function keepKeys(event: KeyboardEvent): void {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const types = event.key.length === 1 || !event.shiftKey || event.key.startsWith("Arrow");
  if (plain && types && event.key !== "Escape" && event.key !== "Tab") event.stopPropagation();
}

export function mount(element: HTMLElement, store: RunStore): () => void {
  const { theme, stop } = followTheme();
  element.classList.add("agtr", "agtr-live");
  const unmarked = effect(() => {
    element.dataset.agtrTheme = theme.value.name;
    // Hides the static twin of this run, which may be on the same page.
    const key = store.head.value?.key;
    if (key) element.classList.add(`agtr-live-${key}`);
  });
  const dressed = effect(() => dress(element));
  element.addEventListener("keydown", keepKeys);
  render(<TraceView store={store} theme={theme} />, element);
  return () => {
    unmarked();
    dressed();
    stop();
    element.removeEventListener("keydown", keepKeys);
    render(null, element);
  };
}
