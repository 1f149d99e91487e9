import { describe, expect, it } from "vitest";
import { niceStep, ticks } from "../src/core/axis";
import { bytes, count, duration, grouped, tokenPair, usd } from "../src/core/format";
import { act, type Place } from "../src/core/keys";
import { goldenJson } from "./golden";

type Cases = [number | null, string][];
const golden = goldenJson<{ duration_ms: Cases; count: Cases; grouped: Cases; usd: Cases }>("figures.json");

describe("figures say what Python says", () => {
  it.each(golden.duration_ms)("%s ms is %s", (value, words) =>
    expect(duration(value ?? Number.NaN)).toBe(words));
  it.each(golden.count)("%s counts %s", (value, words) => expect(count(value ?? -1)).toBe(words));
  it.each(golden.grouped)("%s reads %s", (value, words) => expect(grouped(value as number)).toBe(words));
  it.each(golden.usd)("%s dollars are %s", (value, words) => expect(usd(value ?? Number.NaN)).toBe(words));

  it("of tokens that are not known there is a question mark, or nothing", () => {
    expect(tokenPair(-1, -1)).toBe("");
    expect(tokenPair(5, -1)).toBe("5 → ? tok");
    expect(tokenPair(0, 0)).toBe("0 → 0 tok");
  });

  it("sizes have units", () =>
    expect([999, 48_213, 12_345_678].map(bytes)).toEqual(["999 B", "48 kB", "12.3 MB"]));
});

describe("the time axis", () => {
  it.each([
    [4210, 378, ["0 s", "1", "2", "3", "4"]],
    [4, 400, ["0 ms", "1", "2", "3", ""]],
    [0.5, 400, ["0 ms", "0.1", "0.2", "0.3", "0.4", ""]],
    [900, 400, ["0 s", "0.2", "0.4", "0.6", "0.8"]],
    [95_000, 400, ["0:00", "0:30", "1:00", "1:30"]],
    [3_600_000, 500, ["0 min", "10", "20", "30", "40", "50", ""]],
  ])("of %s ms on %s px has ticks %j", (to, width, labels) => {
    expect(ticks(0, to, width).map((tick) => tick.label)).toEqual(labels);
  });

  it("never has ticks closer than asked for, nor none", () => {
    for (let to = 0.01; to < 1e8; to *= 1.7) {
      const found = ticks(0, to, 300, 60);
      expect(found.length).toBeGreaterThanOrEqual(1);
      expect(found.length).toBeLessThanOrEqual(7);
      for (let i = 1; i < found.length; i++) {
        expect(((found[i].at - found[i - 1].at) / to) * 300).toBeGreaterThan(59.9);
      }
    }
  });

  it("of nothing has no ticks", () => {
    expect(ticks(0, 0, 300)).toEqual([]);
    expect(ticks(0, 10, 0)).toEqual([]);
    expect(ticks(0, Number.NaN, 100)).toEqual([]);
  });

  it("has steps of 1, 2 and 5", () =>
    expect([1, 1.1, 3, 6, 70, 0.03].map(niceStep)).toEqual([1, 2, 5, 10, 100, 0.05]));
});

describe("a key in the tree", () => {
  const at = (more: Partial<Place>): Place => ({
    at: 5,
    count: 10,
    page: 4,
    parent: false,
    closed: false,
    above: 2,
    ...more,
  });

  it.each([
    ["ArrowDown", {}, { go: 6 }],
    ["ArrowDown", { at: 9 }, { go: 9 }],
    ["ArrowDown", { at: -1 }, { go: 0 }],
    ["ArrowUp", { at: 0 }, { go: 0 }],
    ["ArrowUp", { at: -1 }, { go: 0 }],
    ["PageDown", {}, { go: 9 }],
    ["PageUp", {}, { go: 1 }],
    ["Home", {}, { go: 0 }],
    ["End", {}, { go: 9 }],
    ["ArrowRight", { parent: true, closed: true }, { open: true }],
    ["ArrowRight", { parent: true }, { go: 6 }],
    ["ArrowRight", {}, undefined],
    ["ArrowLeft", { parent: true }, { open: false }],
    ["ArrowLeft", { parent: true, closed: true }, { go: 2 }],
    ["ArrowLeft", {}, { go: 2 }],
    ["ArrowLeft", { above: -1 }, undefined],
    ["Enter", { parent: true }, { open: false }],
    ["Enter", { parent: true, closed: true }, { open: true }],
    ["Enter", {}, undefined],
    ["Enter", { at: -1 }, undefined],
    ["x", {}, undefined],
    ["End", { count: 0 }, undefined],
  ])("%s at %j means %j", (key, place, meaning) => expect(act({ key }, at(place))).toEqual(meaning));
});
