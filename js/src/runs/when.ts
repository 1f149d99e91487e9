// When a run started, in the reader's own time.

import { UNKNOWN } from "./list";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [365 * DAY, "year"],
  [30 * DAY, "month"],
  [7 * DAY, "week"],
  [DAY, "day"],
  [HOUR, "hour"],
  [MINUTE, "minute"],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const two = (value: number) => String(value).padStart(2, "0");
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** A short time: the clock alone for today, without the year for this year. */
export function when(ms: number, now: number): string {
  if (!(ms >= 0)) return UNKNOWN;
  const at = new Date(ms);
  const today = new Date(now);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === today.toDateString()) return `today ${clock}`;
  if (at.getFullYear() === today.getFullYear()) return `${at.getDate()} ${MONTHS[at.getMonth()]} ${clock}`;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

/** How long ago. */
export function ago(ms: number, now: number): string {
  const past = now - ms;
  const [size, unit] = STEPS.find(([step]) => past >= step) ?? [MINUTE, "minute"];
  return past < MINUTE ? "just now" : relative.format(-Math.floor(past / size), unit);
}

/** The whole time, for a tooltip. */
export function fully(ms: number, now: number): string {
  if (!(ms >= 0)) return "";
  const at = new Date(ms);
  const zone = -at.getTimezoneOffset();
  const offset = `${zone < 0 ? "\u2212" : "+"}${two(Math.floor(Math.abs(zone) / 60))}:${two(Math.abs(zone) % 60)}`;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return `${ago(ms, now)}: ${day} ${clock} (UTC${offset})`;
}
