// The bars of the rows on screen, on a canvas: crisp at any scale, and a closed row shows what is under it.

import type { Stretch, Tick } from "../core/axis";
import type { Layout } from "../core/layout";
import type { Table } from "../core/table";
import { STATUSES } from "../wire";
import { cleared, type Palette } from "./palette";
import { ROW_PX } from "./state";

export interface Picture {
  table: Table;
  layout: Layout;
  /** Places of the rows, from top to bottom. */
  places: Int32Array;
  isClosed: (row: number) => boolean;
  /** The time that is shown, where ticks count from, and the run's clock, in ms. */
  window: Stretch;
  zero: number;
  now: number;
  ticks: Tick[];
  /** For each row 1 where it is on the critical path; the others are dimmed. */
  onPath: Uint8Array | undefined;
}

const RUNNING = STATUSES.indexOf("running");
const ERROR = STATUSES.indexOf("error");
const CANCELLED = STATUSES.indexOf("cancelled");
const BAR_PX = 10;
const THIN_PX = 4;
const LEAST_PX = 2;
const MOMENT_PX = 3;
const BEYOND_PX = 30;
// Right of the axis, so that the last bar and its rounded end are whole.
export const MARGIN_PX = 10;

const SOLID = 0.8;
const FAINT = 0.22;

/** What the functions below share. */
interface Brush {
  context: CanvasRenderingContext2D;
  picture: Picture;
  palette: Palette;
  scale: number;
  width: number;
}

export function paint(canvas: HTMLCanvasElement, width: number, picture: Picture, palette: Palette): void {
  const height = picture.places.length * ROW_PX;
  const context = cleared(canvas, width, height);
  if (!context) return;
  const { from, length } = picture.window;
  const scale = Math.max(width - MARGIN_PX, 1) / length;
  context.fillStyle = palette.line;
  for (const tick of picture.ticks)
    context.fillRect(Math.round((tick.at + picture.zero - from) * scale), 0, 1, height);
  const brush = { context, picture, palette, scale, width };
  for (let i = 0; i < picture.places.length; i++) paintRow(brush, picture.places[i], i * ROW_PX);
  context.globalAlpha = 1;
}

function paintRow(brush: Brush, place: number, y: number): void {
  const { layout, isClosed } = brush.picture;
  const row = layout.order[place];
  const below = layout.end[place] > place + 1;
  if (layout.repeats.has(row)) {
    bar(brush, row, y, SOLID, BAR_PX);
    outline(brush, row, y);
    if (isClosed(row)) pieces(brush, place, y, BAR_PX, 0.5);
  } else {
    // What holds other steps is a background to them.
    bar(brush, row, y, below ? FAINT : SOLID, BAR_PX);
    if (below && isClosed(row)) pieces(brush, place, y, THIN_PX, SOLID);
    else if (!below) outline(brush, row, y);
  }
}

// The steps under a closed row: at each pixel no more than what can be seen of them.
function pieces(brush: Brush, place: number, y: number, thickness: number, alpha: number): void {
  const { table, layout } = brush.picture;
  let [lastX, farthest] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = place + 1; at < layout.end[place]; at++) {
    const inner = layout.order[at];
    if (layout.end[at] > at + 1) continue;
    const { x, length } = span(brush, inner);
    if (table.col.status[inner] !== ERROR && x < lastX + 1 && x + length < farthest + 1) continue;
    bar(brush, inner, y, alpha, thickness, true);
    if (thickness === BAR_PX) outline(brush, inner, y);
    lastX = x;
    farthest = Math.max(farthest, x + length);
  }
}

/** Where a row's bar begins and how long it is, in px. */
function span({ picture, scale }: Brush, row: number): { x: number; length: number } {
  const { start, end, status } = picture.table.col;
  const open = status[row] === RUNNING ? Math.max(picture.now, start[row]) : start[row];
  const until = end[row] >= start[row] ? end[row] : open;
  return { x: (start[row] - picture.window.from) * scale, length: (until - start[row]) * scale };
}

function bar(brush: Brush, row: number, y: number, alpha: number, thickness: number, inner = false): void {
  const { context, picture, palette, width } = brush;
  const { status, kind } = picture.table.col;
  const { x, length } = span(brush, row);
  const bad = status[row] === ERROR && alpha > FAINT;
  const dim = picture.onPath && !picture.onPath[row] && !bad ? 0.35 : 1;
  context.globalAlpha = (bad ? 0.95 : alpha) * dim;
  context.fillStyle = bad ? palette.bad : (palette.kinds[kind[row]] ?? palette.mute);
  if (x + length < 0 || x > width) {
    if (!inner) elsewhere(brush, x < 0, y);
    return;
  }
  if (length < MOMENT_PX) {
    // A moment: taller and thin, so that it is seen.
    const tall = thickness === BAR_PX ? 16 : 8;
    context.globalAlpha = Math.max(context.globalAlpha, SOLID * dim);
    context.fillRect(Math.min(x, width - MARGIN_PX - LEAST_PX), y + (ROW_PX - tall) / 2, LEAST_PX, tall);
    return;
  }
  const top = y + (ROW_PX - thickness) / 2;
  // Far beyond the edges nothing is drawn: numbers of millions of pixels are not exact.
  const left = Math.max(x, -BEYOND_PX);
  const right = Math.min(x + length, width + BEYOND_PX);
  context.beginPath();
  context.roundRect(left, top, right - left, thickness, Math.min(2.5, length / 2));
  context.fill();
  if (thickness !== BAR_PX) return;
  if (x < -1 && right > 8) cut(brush, 0, y, 1);
  if (x + length > width + 1 && left < width - 8) cut(brush, width, y, -1);
  if (status[row] === RUNNING) openEnd(context, x + length, top, thickness);
  if (status[row] === CANCELLED) cutEnd(context, x + length, top, thickness);
}

// A bar that goes on beyond the edge: a notch points the way.
function cut({ context, palette }: Brush, x: number, y: number, inwards: 1 | -1): void {
  const middle = y + ROW_PX / 2;
  context.globalAlpha = 1;
  context.fillStyle = palette.bg;
  for (const at of [3, 7]) {
    context.beginPath();
    context.moveTo(x + inwards * (at + 3), middle - BAR_PX / 2 - 0.5);
    context.lineTo(x + inwards * at, middle);
    context.lineTo(x + inwards * (at + 3), middle + BAR_PX / 2 + 0.5);
    context.lineTo(x + inwards * (at + 4.5), middle + BAR_PX / 2 + 0.5);
    context.lineTo(x + inwards * (at + 1.5), middle);
    context.lineTo(x + inwards * (at + 4.5), middle - BAR_PX / 2 - 0.5);
    context.fill();
  }
}

// A bar that is not in the time that is shown: an arrow says where it is.
function elsewhere({ context, width }: Brush, before: boolean, y: number): void {
  const [tip, back] = before ? [2, 7] : [width - 2, width - 7];
  const middle = y + ROW_PX / 2;
  context.globalAlpha = Math.max(context.globalAlpha, 0.5);
  context.beginPath();
  context.moveTo(tip, middle);
  context.lineTo(back, middle - 4);
  context.lineTo(back, middle + 4);
  context.fill();
}

// What the run waited for.
function outline(brush: Brush, row: number, y: number): void {
  const { context, palette, picture, width } = brush;
  const { x, length } = span(brush, row);
  if (!picture.onPath || !(picture.table.col.critical[row] > 0) || x + length < 0 || x > width) return;
  const left = Math.max(x, -BEYOND_PX);
  const right = Math.min(x + Math.max(length, LEAST_PX), width + BEYOND_PX);
  context.globalAlpha = 1;
  context.strokeStyle = palette.path;
  context.lineWidth = 1.5;
  context.beginPath();
  context.roundRect(left - 1, y + (ROW_PX - BAR_PX) / 2 - 1.25, right - left + 2, BAR_PX + 2.5, 3.5);
  context.stroke();
}

// A running bar ends in a stroke: now.
function openEnd(context: CanvasRenderingContext2D, x: number, top: number, thickness: number): void {
  context.globalAlpha = 0.9;
  context.fillRect(x - 1.5, top - 3, 1.5, thickness + 6);
}

// A cancelled bar ends in a stroke across.
function cutEnd(context: CanvasRenderingContext2D, x: number, top: number, thickness: number): void {
  context.globalAlpha = 1;
  context.fillRect(x - 1, top - 2, 2, thickness + 4);
}
