import { describe, expect, it } from "vitest";
import { quantile } from "../src/core/charts";
import { AGENT, Board, DEAD, ERROR } from "../src/dashboard/board";
import { ALL, before, binMs, figures, type Stretch, series, sum } from "../src/dashboard/figures";
import { BY, type By, cost, groups, total } from "../src/dashboard/grouping";
import { moments, upTo } from "../src/dashboard/scale";
import { DashboardStore } from "../src/dashboard/store";
import { ago, perMinute, seconds, share } from "../src/dashboard/words";
import { goldenBytes, goldenJson } from "./golden";

const NOW = 1_763_800_000_000;
const HOUR = 3_600_000;
const STRETCHES: Record<string, Stretch> = {
  "20m": { from: NOW - HOUR / 3, to: NOW + 1 },
  "1h": { from: NOW - HOUR, to: NOW + 1 },
  all: ALL,
  none: { from: NOW + HOUR, to: NOW + 2 * HOUR },
};

interface Expected {
  figures: Record<string, number | null> & { latency: (number | null)[] };
  groups: Record<By, Record<string, never>[]>;
  series: [number | null, Record<string, number | null>[]];
}

const first = goldenBytes("dashboard.bin");
const second = goldenBytes("dashboard_patch.bin");
const expected = goldenJson<Record<string, Expected>>("dashboard.json");

function filled(): Board {
  const board = new Board();
  expect(board.take(first)).toBeDefined();
  expect(board.take(second)).toBeDefined();
  return board;
}

const same = (value: number, wanted: number | null) =>
  wanted === null ? expect(value).toBeNaN() : expect(value).toBeCloseTo(wanted, 9);

describe.each(Object.keys(STRETCHES))("in the stretch %s", (name) => {
  const board = filled();
  const stretch = STRETCHES[name];

  it("the figures are Python's", () => {
    const found = figures(board, stretch, NOW) as unknown as Record<string, number>;
    const { latency, latency_sum_s, cost_usd, ...others } = expected[name].figures;
    for (const [key, value] of Object.entries(others)) same(found[key], value as number | null);
    same(found.latency_sum, latency_sum_s);
    same(found.cost, cost_usd);
    (found.latency as unknown as number[]).forEach((value, at) => {
      same(value, latency[at]);
    });
  });

  it.each(BY)("the groups by %s are Python's, in the same order", (by) => {
    const found = groups(board, by, stretch);
    const wanted = expected[name].groups[by] as unknown as Record<string, number | null>[];
    // Python has the text as it was recorded, the browser as it may be shown.
    expect(found.map(({ n }) => n)).toEqual(wanted.map(({ n }) => n));
    found.forEach((group, at) => {
      const of = wanted[at];
      expect(group.errors).toBe(of.errors);
      same(quantile(group.took, 0.5), of.p50_s);
      same(quantile(group.took, 0.95), of.p95_s);
      same(total(group), of.total_s);
      same(group.tokens, of.tokens);
      same(cost(group), of.cost_usd);
      const change = of.change as unknown as { what: string; z: number } | null;
      expect(group.change?.what).toBe(change?.what);
      if (change) expect(group.change?.z).toBeCloseTo(change.z, 9);
    });
  });

  it("the bins are Python's", () => {
    const { step, bins } = series(board, stretch, NOW);
    const [wantedStep, wanted] = expected[name].series;
    same(step, wantedStep);
    expect(bins.length).toBe(wanted.length);
    bins.forEach((bin, at) => {
      expect([bin.from, bin.runs, bin.errors]).toEqual([
        wanted[at].from_ms,
        wanted[at].runs,
        wanted[at].errors,
      ]);
      same(bin.p50, wanted[at].p50_s);
      same(bin.p95, wanted[at].p95_s);
      same(bin.tokens, wanted[at].tokens);
    });
  });
});

describe("a board", () => {
  it("finds what needs attention in the golden runs: more errors, and a longer time", () => {
    const found = groups(filled(), "arch", STRETCHES["20m"]).map(({ change }) => change?.what);
    expect(found).toContain("errors");
    expect(found).toContain("latency");
  });

  it("takes a frame again without counting it twice", () => {
    const board = filled();
    const was = figures(board, ALL, NOW);
    board.seq = 1;
    expect(board.take(second)).toBeDefined();
    expect(figures(board, ALL, NOW)).toEqual(was);
  });

  it("drops the steps of a run that is measured anew", () => {
    const board = filled();
    const { c_run, c_kind } = board.call;
    const agents = Array.from({ length: board.calls }, (_, at) => at).filter(
      (at) => c_run[at] !== DEAD && c_kind[at] === AGENT,
    );
    const runs = agents.map((at) => c_run[at]);
    expect(new Set(runs).size).toBe(runs.length);
  });

  it("does not take what builds on a frame that never came", () => {
    const board = new Board();
    expect(board.take(second)).toBeUndefined();
    expect(board.n).toBe(0);
  });

  it("shows no text that turns others round", () => {
    const board = filled();
    expect(board.texts.some((text) => text.includes("\u202e"))).toBe(false);
    expect(board.texts).toContain("new <b>arch</b>");
    expect(board.run.standing.subarray(0, board.n)).toContain(ERROR);
  });
});

describe("a store", () => {
  it("asks for everything once when it has missed a frame", () => {
    const asked: unknown[] = [];
    const store = new DashboardStore((message) => asked.push(message));
    store.receive(first);
    const later = Uint8Array.from(second);
    const text = new TextDecoder().decode(later);
    const at = text.indexOf('"base":1');
    later.set(new TextEncoder().encode('"base":9'), at);
    store.receive(later);
    store.receive(later);
    expect(asked).toEqual([{ kind: "resync" }]);
    store.receive(first);
    expect(store.version.value).toBe(2);
  });

  it("asks for runs from a time on only if it is earlier than before", () => {
    const asked: unknown[] = [];
    const store = new DashboardStore((message) => asked.push(message));
    for (const from of [5000, 6000, 4000.7, -Infinity, 3000]) store.want(from);
    expect(asked).toEqual([5000, 4000, 0].map((ms) => ({ kind: "since", ms })));
  });
});

describe("figures and axes in words", () => {
  it("shares are never rounded to all or to none", () => {
    expect([Number.NaN, 0, 0.0001, 0.5, 0.942, 0.9999, 1].map(share)).toEqual([
      "\u2014",
      "0\u202f%",
      "<0.1\u202f%",
      "50\u202f%",
      "94.2\u202f%",
      ">99.9\u202f%",
      "100\u202f%",
    ]);
  });

  it("what is not known is a dash", () => {
    expect([seconds(Number.NaN), perMinute(Number.NaN)]).toEqual(["\u2014", "\u2014"]);
    expect([perMinute(12.3), perMinute(0.5), perMinute(0.02)]).toEqual(["12", "0.5", "0.02"]);
    expect([ago(4000), ago(130_000), ago(7_500_000)]).toEqual(["4 s ago", "2 min ago", "2 h 05 min ago"]);
  });

  it("there are at most about sixty bins, whole windows have round ones", () => {
    expect([60, 900, 3600, 86_400].map((s) => binMs(s * 1000 + 1) / 1000)).toEqual([1, 15, 60, 1800]);
    expect(binMs(400 * 86_400_000) / 86_400_000).toBe(7);
  });

  it("axes begin at 0 and end at or above the largest value", () => {
    for (const most of [0.004, 0.7, 3, 13, 99, 1234]) {
      const { end, ticks } = upTo(most);
      expect(end).toBeGreaterThanOrEqual(most);
      expect(ticks[0]).toBe(0);
      expect(ticks.length).toBeLessThanOrEqual(6);
    }
    expect(upTo(Number.NaN).ticks).toEqual([0]);
  });

  it("moments lie within the stretch and are apart", () => {
    for (const length of [60_000, HOUR, 24 * HOUR, 40 * 24 * HOUR]) {
      const found = moments(NOW - length, NOW, 600, NOW);
      expect(found.length).toBeGreaterThan(1);
      for (const { at } of found) expect(at >= NOW - length && at <= NOW).toBe(true);
      const gap = ((found[1].at - found[0].at) / length) * 600;
      expect(gap).toBeGreaterThan(70);
    }
  });

  it("a sum is that of exact arithmetic", () => {
    expect(sum([1e16, 1, -1e16, 1])).toBe(2);
    expect(before(ALL)).toBeUndefined();
  });
});
