// Figures of a dashboard as people read them.

import { duration } from "../core/format";

export const UNKNOWN = "\u2014";
const NARROW = "\u202f";

export const seconds = (value: number): string => (value >= 0 ? duration(1000 * value) : UNKNOWN);

/** A share; one digit where whole per cents would hide that it is not all. */
export function share(value: number): string {
  if (!(value >= 0)) return UNKNOWN;
  const text = (100 * value).toFixed(value < 0.9 && value >= 0.1 ? 0 : 1);
  // Never rounded to all or to none.
  if (value < 1 && text === "100.0") return `>99.9${NARROW}%`;
  if (value > 0 && text === "0.0") return `<0.1${NARROW}%`;
  return `${text.replace(/\.0$/, "")}${NARROW}%`;
}

export function perMinute(value: number): string {
  if (!(value >= 0)) return UNKNOWN;
  return value >= 10 ? value.toFixed(0) : value >= 0.1 ? value.toFixed(1) : value.toFixed(2);
}

const two = (value: number) => String(value).padStart(2, "0");

/** The clock; with seconds where they tell something, with the day where it is not today. */
export function clock(ms: number, now: number, step = 60_000): string {
  const at = new Date(ms);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const fine = step < 60_000 ? `${time}:${two(at.getSeconds())}` : time;
  if (at.toDateString() === new Date(now).toDateString()) return fine;
  return `${at.getDate()} ${MONTHS[at.getMonth()]} ${fine}`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** How long ago, short. */
export function ago(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s ago`;
  const m = Math.round(s / 60);
  return m < 60 ? `${m} min ago` : `${Math.floor(m / 60)} h ${two(m % 60)} min ago`;
}

export const plural = (n: number, word: string): string => (n === 1 ? word : `${word}s`);
