// The canvas with the bars: all that is drawn anew as time passes.

import { type ReadonlySignal, useComputed, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Tick, ticks } from "../core/axis";
import type { PageTheme } from "../theme";
import { MARGIN_PX, paint } from "./paint";
import { readPalette } from "./palette";
import { ROW_PX, type ViewState } from "./state";

/** Where the bars are on screen, in px. */
export interface BarArea {
  left: number;
  width: number;
}

/** The ticks of what is shown, counted from the start of the first step. */
export function useTicks(view: ViewState, area: ReadonlySignal<BarArea>): ReadonlySignal<Tick[]> {
  return useComputed(() => {
    const { from, length } = view.window.value;
    const begin = from - view.axis.value.from;
    return ticks(begin, begin + length, area.value.width - MARGIN_PX);
  });
}

interface Props {
  view: ViewState;
  theme: PageTheme;
  area: ReadonlySignal<BarArea>;
  /** The visible rows to draw, from `from` to before `to`. */
  from: number;
  to: number;
}

export function Bars({ view, theme, area, from, to }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = useTicks(view, area).value;
  const { left, width } = area.value;
  const visible = view.visible.value;
  const picture = {
    table: view.store.table,
    layout: view.layout.value,
    places: visible.subarray(from, Math.min(to, visible.length)),
    isClosed: (row: number) => view.isClosed(row),
    window: view.window.value,
    zero: view.axis.value.from,
    now: view.now.value,
    ticks: shown,
    onPath: view.critical.value ? view.onPath.value : undefined,
  };
  const themed = theme.value;
  const again = useSignal(0);
  again.value;
  useLayoutEffect(() => {
    if (!canvas.current) return;
    const palette = readPalette(canvas.current, themed.change);
    if (palette) {
      paint(canvas.current, width, picture, palette);
      return;
    }
    // A host may draw the view before it is part of the page, or before its styles are there.
    const later = requestAnimationFrame(() => again.value++);
    return () => cancelAnimationFrame(later);
  });
  const height = picture.places.length * ROW_PX;
  const style = { top: `${from * ROW_PX}px`, height: `${height}px`, "--x": `${left}px`, "--w": `${width}px` };
  // The rows beside say the same in words.
  return (
    <div class="agtr-bars" style={style} aria-hidden="true">
      <canvas ref={canvas} />
    </div>
  );
}
