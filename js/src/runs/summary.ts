// What the runs that are listed come to, for each architecture: the mirror of `groups` in
// agenttrace_nb/views/run_list.py.

import { duration } from "../core/format";
import type { RunList } from "./list";

export interface Group {
  /** Empty for the runs without an architecture. */
  arch: string;
  runs: number;
  /** Share of those that went well; NaN where that is not known of any. */
  rate: number;
  /** Whether success was said of them; else they count as well where they completed. */
  judged: boolean;
  /** Median latency, ms; NaN where none is known. */
  median: number;
  /** Latencies in order of start, at most 60. */
  latencies: number[];
}

const POINTS = 60;

/** The groups, the largest first. */
export function groups(list: RunList, rows: Int32Array): Group[] {
  const byArch = new Map<string, number[]>();
  for (const row of rows) {
    const arch = list.text("arch", row);
    const its = byArch.get(arch);
    if (its) its.push(row);
    else byArch.set(arch, [row]);
  }
  const found = [...byArch].map(([arch, its]) => group(list, arch, its));
  return found.sort((a, b) => b.runs - a.runs || (a.arch < b.arch ? -1 : 1));
}

function group(list: RunList, arch: string, rows: number[]): Group {
  const said = rows.map((row) => list.success(row)).filter((value) => value !== undefined);
  const ended = rows.filter((row) => list.status(row) !== "running").map((row) => list.status(row) === "ok");
  const went = said.length > 0 ? said : ended;
  const timed = rows.filter((row) => list.number("latency", row) >= 0);
  const took = timed.map((row) => list.number("latency", row)).sort((a, b) => a - b);
  const half = took.length >> 1;
  return {
    arch,
    runs: rows.length,
    rate: went.filter(Boolean).length / went.length,
    judged: said.length > 0,
    median: took.length % 2 ? took[half] : (took[half - 1] + took[half]) / 2,
    latencies: timed
      .sort((a, b) => list.number("started", a) - list.number("started", b))
      .slice(-POINTS)
      .map((row) => list.number("latency", row)),
  };
}

/** A group's figures in words. */
export function figures(of: Group): string[] {
  const found = [`${of.runs} ${of.runs === 1 ? "run" : "runs"}`];
  if (of.rate >= 0) found.push(`${Math.round(100 * of.rate)} % ${of.judged ? "successful" : "completed"}`);
  if (of.median >= 0) found.push(`median ${duration(of.median)}`);
  return found;
}
