// Axes of the charts: what a pixel stands for. No DOM.

import { niceStep } from "../core/axis";
import { clock } from "./words";

export interface Tick {
  at: number;
  label: string;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200];
const DAY_S = 86_400;

/** Moments on a time axis, at round times of the reader's clock, no closer than `gap` px. */
export function moments(from: number, to: number, width: number, now: number, gap = 84): Tick[] {
  if (!(to > from) || width < gap) return [];
  const least = ((to - from) * gap) / width / 1000;
  const step = 1000 * (STEPS_S.find((s) => s >= least) ?? Math.ceil(least / DAY_S) * DAY_S);
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const found: Tick[] = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step)
    found.push({
      at,
      label: step >= DAY_S * 1000 ? clock(at, now).replace(/ 00:00$/, "") : clock(at, now, step),
    });
  return found;
}

/** The end of an axis that begins at 0, and its ticks: up to five. */
export function upTo(most: number): { end: number; ticks: number[] } {
  if (!(most > 0)) return { end: 1, ticks: [0] };
  const step = niceStep(most / 4);
  const end = Math.ceil(most / step - 1e-9) * step;
  return { end, ticks: Array.from({ length: Math.round(end / step) + 1 }, (_, at) => at * step) };
}
