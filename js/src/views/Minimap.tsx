// The whole run on a strip under the tree: where errors are, which time the bars show, which rows are on screen.
// All that it does can be done by keys in the tree.

import { useComputed, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Stretch } from "../core/axis";
import { type Strip, stretches, strip } from "../core/minimap";
import type { PageTheme } from "../theme";
import { cleared, type Palette, readPalette } from "./palette";
import type { ViewState } from "./state";

const HEIGHT_PX = 30;
const PAD_PX = 10;
const EDGE_PX = 5;
// A run that is seen whole, or nearly, needs no map.
const FEWEST_ROWS = 40;

export function Minimap({ view, theme }: { view: ViewState; theme: PageTheme }) {
  const shown = view.layout.value.order.length >= FEWEST_ROWS || view.zoom.value !== undefined;
  return shown ? <Strips view={view} theme={theme} /> : null;
}

function Strips({ view, theme }: { view: ViewState; theme: PageTheme }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const summed = useComputed(() => {
    view.store.version.value;
    const axis = view.axis.value;
    return strip(view.store.table, axis, view.now.peek(), Math.max(width.value - 2 * PAD_PX, 1));
  });
  const rows = useComputed(() => view.timeOnScreen());
  useLayoutEffect(() => {
    const measure = () => {
      width.value = canvas.current?.clientWidth ?? 0;
    };
    const observer = new ResizeObserver(measure);
    if (canvas.current) observer.observe(canvas.current);
    measure();
    return () => observer.disconnect();
  }, []);
  const map = summed.value;
  const axis = view.axis.value;
  const zoom = view.zoom.value;
  const onScreen = rows.value;
  const themed = theme.value;
  useLayoutEffect(() => {
    const palette = canvas.current && readPalette(canvas.current, themed.change);
    if (!canvas.current || !palette) return;
    const context = cleared(canvas.current, width.value, HEIGHT_PX);
    if (context) draw(context, width.value, palette, map, axis, zoom, onScreen);
  });
  return (
    <div class="agtr-map" aria-hidden="true">
      <canvas
        ref={canvas}
        onPointerDown={(event) => press(event, view)}
        onDblClick={() => view.look(view.axis.peek())}
      />
    </div>
  );
}

function draw(
  context: CanvasRenderingContext2D,
  width: number,
  palette: Palette,
  map: Strip,
  axis: Stretch,
  zoom: Stretch | undefined,
  rows: { from: number; to: number } | undefined,
): void {
  const x = (ms: number) => PAD_PX + ((ms - axis.from) / axis.length) * (width - 2 * PAD_PX);
  context.globalAlpha = 0.55;
  context.fillStyle = palette.kinds[1];
  // A gap where one agent ends and the next begins.
  stretches(map.agents, (from, to, value) => {
    const gap = value === 2 && from > 0 ? 1 : 0;
    context.fillRect(PAD_PX + from + gap, 6, to - from - gap, 4);
  });
  stretches(map.kinds, (from, to, value) => {
    context.fillStyle = palette.kinds[value - 1];
    context.fillRect(PAD_PX + from, 12, to - from, 4);
  });
  context.globalAlpha = 1;
  context.fillStyle = palette.bad;
  stretches(map.errors, (from, to) => context.fillRect(PAD_PX + from, 11, Math.max(to - from, 2), 6));
  if (rows) {
    context.globalAlpha = 0.7;
    context.fillStyle = palette.mute;
    context.fillRect(x(rows.from), 21, Math.max(x(rows.to) - x(rows.from), 3), 3);
  }
  if (zoom) frame(context, x(zoom.from), x(zoom.from + zoom.length), palette);
}

function frame(context: CanvasRenderingContext2D, from: number, to: number, palette: Palette): void {
  context.fillStyle = palette.focus;
  context.strokeStyle = palette.focus;
  context.globalAlpha = 0.1;
  context.fillRect(from, 2, Math.max(to - from, 2), HEIGHT_PX - 4);
  context.globalAlpha = 0.8;
  context.lineWidth = 1.25;
  context.beginPath();
  context.roundRect(from, 2, Math.max(to - from, 2), HEIGHT_PX - 4, 3);
  context.stroke();
}

/** Inside the frame moves it, at its edges makes it longer or shorter, elsewhere draws a new one; a click goes there. */
function press(event: PointerEvent, view: ViewState): void {
  if (event.button !== 0) return;
  const canvas = event.currentTarget as HTMLCanvasElement;
  const { left, width } = canvas.getBoundingClientRect();
  const axis = view.axis.peek();
  const perPx = axis.length / Math.max(width - 2 * PAD_PX, 1);
  const time = (e: PointerEvent) => axis.from + (e.clientX - left - PAD_PX) * perPx;
  const at = time(event);
  const before = view.zoom.peek();
  const edge = EDGE_PX * perPx;
  const end = before ? before.from + before.length : 0;
  const inside = before && at > before.from + edge && at < end - edge;
  // The other end of what is drawn: that of the frame where an edge is held, else where it began.
  const anchor =
    before && Math.abs(at - before.from) <= edge
      ? end
      : before && Math.abs(at - end) <= edge
        ? before.from
        : at;
  let moved = false;
  const move = (e: PointerEvent) => {
    moved ||= Math.abs(e.clientX - event.clientX) > 3;
    if (!moved) return;
    if (inside && before) view.look({ from: before.from + time(e) - at, length: before.length });
    else view.look({ from: Math.min(anchor, time(e)), length: Math.max(Math.abs(time(e) - anchor), perPx) });
  };
  const done = () => {
    canvas.removeEventListener("pointermove", move);
    canvas.removeEventListener("lostpointercapture", done);
    if (!moved && before && !inside) view.look({ from: at - before.length / 2, length: before.length });
    view.revealTime(moved ? view.window.peek().from : at);
  };
  canvas.setPointerCapture(event.pointerId);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("lostpointercapture", done);
}
