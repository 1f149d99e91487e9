import { describe, expect, it } from "vitest";
import { groups, quantile, took } from "../src/core/charts";
import { Table } from "../src/core/table";
import { decodeFrame, KINDS } from "../src/wire";
import { goldenBytes } from "./golden";
import { made } from "./made";

const sample = () => {
  const table = new Table();
  table.apply(decodeFrame(goldenBytes("whole.bin")));
  return table;
};

describe("self time", () => {
  it("is summed by agent, tool and model, the most first", () => {
    const table = sample();
    const tools = groups(table, "tool", true);
    expect(tools.map(({ name, self, calls }) => [name, Math.round(self), calls.length])).toEqual([
      ["book_flight", 1476, 1],
      ["search_flights", 1366, 4],
      ["get_user", 33, 1],
      ["evaluate", 1, 1],
    ]);
    expect(groups(table, "model", true).map(({ name }) => name)).toEqual(["gpt-4o", "gpt-4o-mini"]);
    const [executor] = groups(table, "agent", true);
    expect(executor.name).toBe("Executor");
    expect(executor.parts.map(({ kind }) => KINDS[kind])).toEqual(["llm", "tool", "agent"]);
    expect(executor.parts.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(executor.self);
  });

  it("is that of calls that hold nothing while the run goes on", () => {
    const table = made([
      { kind: "agent", name: "A", agent: "A", start: 0, end: null, status: "running" },
      { kind: "tool", name: "outer", agent: "A", parent: 0, start: 1, end: 9 },
      { kind: "llm", name: "m", agent: "B", parent: 1, start: 2, end: 5 },
      { kind: "tool", name: "open", agent: "A", parent: 0, start: 9, end: null, status: "running" },
    ]);
    expect(groups(table, "agent", false).map(({ name, self }) => [name, self])).toEqual([
      ["B", 3],
      ["A", 0],
    ]);
    const open = groups(table, "tool", false).find(({ name }) => name === "open");
    expect([open?.calls.length, open?.open]).toEqual([0, 1]);
  });

  it("lists calls from the quickest to the slowest", () => {
    const table = sample();
    const times = groups(table, "tool", true)[1].calls.map((row) => took(table, row));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

describe("a quantile", () => {
  it("is linear between its neighbours, and unknown of nothing", () => {
    expect(quantile([1, 2, 4], 0.5)).toBe(2);
    expect(quantile([1, 2], 0.5)).toBe(1.5);
    expect(quantile([1, 2, 3, 5], 1)).toBe(5);
    expect(quantile([], 0.5)).toBeNaN();
  });
});
