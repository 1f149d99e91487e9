// Puts a heatmap into an element; returns what removes it again.

import { effect } from "@preact/signals";
import { render } from "preact";
import type { OpenRun } from "../runs/Opened";
import { followTheme } from "../theme";
import type { Grid } from "./grid";
import { HeatmapView } from "./HeatmapView";

export function mountHeatmap(element: HTMLElement, grid: Grid, open: OpenRun): () => void {
  const { theme, stop } = followTheme();
  // The key hides the static twin of this heatmap, which may be on the same page.
  element.classList.add("agtr", "agtr-live", `agtr-live-${grid.key}`);
  const unmarked = effect(() => {
    element.dataset.agtrTheme = theme.value.name;
  });
  render(<HeatmapView grid={grid} open={open} />, element);
  return () => {
    unmarked();
    stop();
    render(null, element);
  };
}
