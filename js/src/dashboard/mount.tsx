// Puts a dashboard into an element; returns what removes it again.

import { effect } from "@preact/signals";
import { render } from "preact";
import type { OpenRun } from "../runs/Opened";
import { followTheme } from "../theme";
import { DashboardView } from "./DashboardView";
import type { DashboardStore } from "./store";

// In a notebook, plain keys are commands: x cuts the cell. While the focus is in the dashboard they must not be.
function keepKeys(event: KeyboardEvent): void {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const types = event.key.length === 1 || !event.shiftKey || event.key.startsWith("Arrow");
  if (plain && types && event.key !== "Escape" && event.key !== "Tab") event.stopPropagation();
}

export function mountDashboard(
  element: HTMLElement,
  store: DashboardStore,
  open: OpenRun<string>,
): () => void {
  const { theme, stop } = followTheme();
  element.classList.add("agtr", "agtr-live");
  const unmarked = effect(() => {
    element.dataset.agtrTheme = theme.value.name;
    // Hides the static twin of this dashboard, which may be on the same page.
    const key = store.head.value?.key;
    if (key) element.classList.add(`agtr-live-${key}`);
  });
  element.addEventListener("keydown", keepKeys);
  render(<DashboardView store={store} open={open} />, element);
  return () => {
    unmarked();
    stop();
    element.removeEventListener("keydown", keepKeys);
    render(null, element);
  };
}
