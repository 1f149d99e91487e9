// Puts a list into an element; returns what removes it again.

import { effect, type ReadonlySignal } from "@preact/signals";
import { render } from "preact";
import { followTheme } from "../theme";
import type { RunList } from "./list";
import type { OpenRun } from "./Opened";
import { RunListView } from "./RunListView";

// In a notebook, plain keys are commands: x cuts the cell. While the focus is in the list they must not be.
function keepKeys(event: KeyboardEvent): void {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
  if (plain && event.key !== "Escape" && event.key !== "Tab") event.stopPropagation();
}

export function mountList(element: HTMLElement, list: ReadonlySignal<RunList>, open: OpenRun): () => void {
  const { theme, stop } = followTheme();
  element.classList.add("agtr", "agtr-live");
  const unmarked = effect(() => {
    element.dataset.agtrTheme = theme.value.name;
    // Hides the static twin of this list, which may be on the same page.
    element.classList.add(`agtr-live-${list.value.head.key}`);
  });
  element.addEventListener("keydown", keepKeys);
  render(<RunListView list={list} open={open} />, element);
  return () => {
    unmarked();
    stop();
    element.removeEventListener("keydown", keepKeys);
    render(null, element);
  };
}
