// The time axis and the canvas with the bars: all that is drawn anew as time passes.

import { type ReadonlySignal, useComputed, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Tick, ticks } from "../core/axis";
import type { PageTheme } from "../theme";
import { MARGIN_PX, paint, readPalette } from "./paint";
import { ROW_PX, type ViewState } from "./state";

/** Where the bars are on screen, in px. */
export interface BarArea {
  left: number;
  width: number;
}

export function useTicks(view: ViewState, area: ReadonlySignal<BarArea>): ReadonlySignal<Tick[]> {
  return useComputed(() => ticks(0, view.axis.value.length, area.value.width - MARGIN_PX));
}

export function AxisTicks({ view, area }: { view: ViewState; area: ReadonlySignal<BarArea> }) {
  const shown = useTicks(view, area).value;
  const scale = (area.value.width - MARGIN_PX) / view.axis.value.length;
  return (
    <>
      {shown.map((tick) => (
        <i key={tick.at} style={{ left: `${tick.at * scale}px` }}>
          {tick.label}
        </i>
      ))}
    </>
  );
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
  const picture = {
    table: view.store.table,
    layout: view.layout.value,
    visible: view.visible.value,
    from,
    to: Math.min(to, view.visible.value.length),
    closed: view.closed.value,
    axis: view.axis.value,
    now: view.now.value,
    ticks: shown,
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
  const height = Math.max(picture.to - from, 0) * ROW_PX;
  const style = { top: `${from * ROW_PX}px`, left: `${left}px`, width: `${width}px`, height: `${height}px` };
  // The rows beside say the same in words.
  return (
    <div class="agtr-bars" style={style} aria-hidden="true">
      <canvas ref={canvas} />
    </div>
  );
}
