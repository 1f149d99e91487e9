// The shared time axis.

export interface Tick {
  /** ms since the start of the run. */
  at: number;
  label: string;
}

/** A stretch of time: where it begins and how long it is, in ms. */
export interface Stretch {
  from: number;
  length: number;
}

// Below a microsecond nothing is recorded.
const SHORTEST_MS = 0.001;

/** A stretch brought inside the whole and to a length that can be shown; nothing where it is the whole itself. */
export function inside(stretch: Stretch, whole: Stretch): Stretch | undefined {
  const length = Math.min(Math.max(stretch.length, SHORTEST_MS), whole.length);
  if (!(length < whole.length * 0.999)) return undefined;
  const latest = whole.from + whole.length - length;
  return { from: Math.min(Math.max(stretch.from, whole.from), latest), length };
}

/** A stretch made longer or shorter by a factor; `at` (ms) stays where it is on screen. */
export function zoomed(stretch: Stretch, factor: number, at: number): Stretch {
  return { from: at - (at - stretch.from) * factor, length: stretch.length * factor };
}

const STEPS = [1, 2, 5];

/** The smallest 1-2-5 step of at least so many milliseconds. */
export function niceStep(least: number): number {
  const scale = 10 ** Math.floor(Math.log10(least));
  for (const step of STEPS) if (step * scale >= least * 0.999999) return step * scale;
  return 10 * scale;
}

/** Ticks from `from` to `to` (ms), no closer than `gap` on an axis that is `width` long (both px). */
export function ticks(from: number, to: number, width: number, gap = 74): Tick[] {
  if (!(to > from) || width <= 0) return [];
  const step = timeStep(((to - from) * gap) / width);
  const found: Tick[] = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to * 1.0000001; i++) {
    found.push({ at: i * step, label: label(i * step, step, found.length === 0) });
  }
  // A label at the very end would be cut off.
  const last = found[found.length - 1];
  if (found.length > 1 && ((to - last.at) / (to - from)) * width < 12) last.label = "";
  return found;
}

// Beyond a minute, steps are halves and wholes of what clocks show.
const CLOCK = [15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000];

function timeStep(least: number): number {
  if (least <= 10_000) return niceStep(least);
  return CLOCK.find((step) => step >= least) ?? niceStep(least / 3_600_000) * 3_600_000;
}

function label(at: number, step: number, first: boolean): string {
  if (step >= 60_000) return first ? `${at / 60_000} min` : String(at / 60_000);
  if (step >= 15_000) return `${Math.floor(at / 60_000)}:${String((at % 60_000) / 1000).padStart(2, "0")}`;
  // From the start, small steps are counted in ms; far from it, ms would be long numbers.
  const unit = step < 10 && at < 1000 ? "ms" : "s";
  const per = unit === "ms" ? 1 : 1000;
  const digits = Math.max(0, -Math.floor(Math.log10(step / per) + 1e-9));
  const value = (at / per).toFixed(digits);
  return first ? `${Number(value)} ${unit}` : value;
}
