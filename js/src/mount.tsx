// Puts a view of a store into an element; returns what removes it again.

import { effect } from "@preact/signals";
import { render } from "preact";
import type { RunStore } from "./store";
import { followTheme } from "./theme";
import { TraceView } from "./views/TraceView";

export function mount(element: HTMLElement, store: RunStore): () => void {
  const { theme, stop } = followTheme();
  element.classList.add("agtr", "agtr-live");
  const unmarked = effect(() => {
    element.dataset.agtrTheme = theme.value.name;
    // Hides the static twin of this run, which may be on the same page.
    const key = store.head.value?.key;
    if (key) element.classList.add(`agtr-live-${key}`);
  });
  render(<TraceView store={store} theme={theme} />, element);
  return () => {
    unmarked();
    stop();
    render(null, element);
  };
}
