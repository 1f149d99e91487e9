// The bars of the rows on screen, on a canvas: crisp at any scale, and a closed row shows what is under it.

import type { Tick } from "../core/axis";
import type { Layout } from "../core/layout";
import type { Table } from "../core/table";
import { KINDS, STATUSES } from "../wire";
import { ROW_PX } from "./state";

export interface Palette {
  kinds: string[];
  bad: string;
  mute: string;
  line: string;
}

export interface Picture {
  table: Table;
  layout: Layout;
  /** Places on screen, from `from` to before `to`. */
  visible: Int32Array;
  from: number;
  to: number;
  closed: ReadonlySet<number>;
  /** The time axis and the run's clock, in ms. */
  axis: { from: number; length: number };
  now: number;
  ticks: Tick[];
}

const RUNNING = STATUSES.indexOf("running");
const ERROR = STATUSES.indexOf("error");
const CANCELLED = STATUSES.indexOf("cancelled");
const BAR_PX = 10;
const THIN_PX = 4;
const LEAST_PX = 2;
const MOMENT_PX = 3;
// Right of the axis, so that the last bar and its rounded end are whole.
export const MARGIN_PX = 10;

const palettes = new WeakMap<Element, { change: number; palette: Palette }>();

/** The colours of the theme, read anew when it changes; undefined while the page has not applied the styles. */
export function readPalette(element: Element, change: number): Palette | undefined {
  const known = palettes.get(element);
  if (known?.change === change) return known.palette;
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(`--agtr-${name}`).trim();
  if (token("line-2") === "") return undefined;
  const palette = {
    kinds: KINDS.map((kind) => token(kind)),
    bad: token("bad"),
    mute: token("ink-3"),
    line: token("line-2"),
  };
  palettes.set(element, { change, palette });
  return palette;
}

export function paint(canvas: HTMLCanvasElement, width: number, picture: Picture, palette: Palette): void {
  const height = (picture.to - picture.from) * ROW_PX;
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const scale = Math.max(width - MARGIN_PX, 1) / picture.axis.length;
  context.fillStyle = palette.line;
  for (const tick of picture.ticks) context.fillRect(Math.round(tick.at * scale), 0, 1, height);
  for (let i = picture.from; i < picture.to; i++) {
    paintRow(context, picture, palette, picture.visible[i], (i - picture.from) * ROW_PX, scale);
  }
  context.globalAlpha = 1;
}

function paintRow(
  context: CanvasRenderingContext2D,
  picture: Picture,
  palette: Palette,
  place: number,
  y: number,
  scale: number,
): void {
  const { table, layout } = picture;
  const row = layout.order[place];
  // What holds other steps is a background to them.
  const wraps = layout.end[place] > place + 1;
  bar(context, picture, palette, row, y, scale, wraps ? 0.22 : 0.8, BAR_PX);
  if (!picture.closed.has(row)) return;
  // A closed row: the steps under it as thin bars, no more than one for each pixel.
  let drawnTo = Number.NEGATIVE_INFINITY;
  for (let at = place + 1; at < layout.end[place]; at++) {
    const inner = layout.order[at];
    if (layout.end[at] > at + 1) continue;
    const x = (table.col.start[inner] - picture.axis.from) * scale;
    const bad = table.col.status[inner] === ERROR;
    if (!bad && x + LEAST_PX < drawnTo) continue;
    bar(context, picture, palette, inner, y, scale, 0.8, THIN_PX);
    drawnTo = x + LEAST_PX;
  }
}

function bar(
  context: CanvasRenderingContext2D,
  picture: Picture,
  palette: Palette,
  row: number,
  y: number,
  scale: number,
  alpha: number,
  thickness: number,
): void {
  const { start, end, status, kind } = picture.table.col;
  const running = status[row] === RUNNING;
  const until = end[row] >= start[row] ? end[row] : running ? Math.max(picture.now, start[row]) : start[row];
  const x = (start[row] - picture.axis.from) * scale;
  const length = (until - start[row]) * scale;
  const bad = status[row] === ERROR;
  context.globalAlpha = bad && alpha > 0.5 ? 0.95 : alpha;
  context.fillStyle = bad && alpha > 0.5 ? palette.bad : (palette.kinds[kind[row]] ?? palette.mute);
  if (length < MOMENT_PX) {
    // A moment: taller and thin, so that it is seen.
    const tall = thickness === BAR_PX ? 16 : 8;
    context.globalAlpha = Math.max(context.globalAlpha, 0.8);
    context.fillRect(
      Math.min(x, picture.axis.length * scale - LEAST_PX),
      y + (ROW_PX - tall) / 2,
      LEAST_PX,
      tall,
    );
    return;
  }
  const top = y + (ROW_PX - thickness) / 2;
  context.beginPath();
  context.roundRect(x, top, length, thickness, Math.min(2.5, length / 2));
  context.fill();
  if (running && thickness === BAR_PX) openEnd(context, x + length, top, thickness);
  if (status[row] === CANCELLED && thickness === BAR_PX) cutEnd(context, x + length, top, thickness);
}

// A running bar has no rounded end: it fades out towards now.
function openEnd(context: CanvasRenderingContext2D, x: number, top: number, thickness: number): void {
  context.globalAlpha = 0.9;
  context.fillRect(x - 1.5, top - 3, 1.5, thickness + 6);
}

// A cancelled bar ends in a stroke across.
function cutEnd(context: CanvasRenderingContext2D, x: number, top: number, thickness: number): void {
  context.globalAlpha = 1;
  context.fillRect(x - 1, top - 2, 2, thickness + 4);
}
