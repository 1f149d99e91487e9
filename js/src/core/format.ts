// Figures as people read them. agenttrace_nb/views/format.py says the same; golden cases hold the two together.

const NARROW_SPACE = "\u202f";
export const UNKNOWN = "\u2013";

/** A duration, from milliseconds. */
export function duration(ms: number): string {
  if (!(ms >= 0)) return UNKNOWN;
  if (ms < 0.05) return "0 s";
  if (ms < 0.95) return `${ms.toFixed(1)} ms`;
  if (ms < 9.5) return `${ms.toFixed(0)} ms`;
  const s = ms / 1000;
  if (s < 59.995) return `${s.toFixed(2)} s`;
  const whole = Math.round(s);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} m ${two(whole % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** A number of tokens or calls, short. */
export function count(value: number): string {
  if (!(value >= 0)) return UNKNOWN;
  if (value < 1000) return String(Math.round(value));
  if (value < 999_950) return `${(value / 1000).toFixed(1)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** A number with its thousands apart. */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE);
}

/** A cost, two figures below a dollar. */
export function usd(value: number): string {
  if (!(value >= 0)) return UNKNOWN;
  if (value === 0) return "$0";
  if (value < 0.0001) return "<$0.0001";
  if (value >= 0.1) return `$${value.toFixed(2)}`;
  let digits = 3;
  while (digits < 5 && Number(value.toFixed(digits)) < 10 ** (1 - digits)) digits++;
  return `$${value.toFixed(digits)}`;
}

/** A size in bytes. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 999_500) return `${Math.round(value / 1000)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

/** The tokens of one LLM call, in and out; -1 is unknown. */
export function tokenPair(input: number, output: number): string {
  if (input < 0 && output < 0) return "";
  const side = (value: number) => (value < 0 ? "?" : grouped(value));
  return `${side(input)} \u2192 ${side(output)} tok`;
}
