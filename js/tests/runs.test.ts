import { describe, expect, it } from "vitest";
import { act } from "../src/runs/keys";
import { figure, RunList } from "../src/runs/list";
import { sorted } from "../src/runs/order";
import { parse, withField } from "../src/runs/query";
import { figures, groups } from "../src/runs/summary";
import { ago, fully, when } from "../src/runs/when";
import { goldenBytes, goldenJson } from "./golden";

const list = new RunList(goldenBytes("runs.bin"));
const all = Int32Array.from({ length: list.n }, (_, row) => row);
const listed = (text: string) => [...all.filter((row) => parse(text).test(list, row))];

describe("the list of runs", () => {
  it("holds what the kernel wrote", () => {
    const expected = goldenJson("runs.json") as Record<string, unknown>[];
    expect(list.n).toBe(expected.length);
    expected.forEach((line, row) => {
      expect(list.id(row)).toBe(line.trace_id);
      expect(list.status(row)).toBe(line.status);
      expect(list.success(row) ?? null).toBe(line.success);
      for (const name of ["name", "arch", "case", "trial", "problem"] as const)
        expect(list.text(name, row) || null).toBe(line[name]);
      for (const [name, key, per] of [
        ["latency", "latency_s", 1000],
        ["cost", "cost_usd", 1],
        ["turns", "turns", 1],
        ["tools", "tools", 1],
        ["tokens", "tokens", 1],
        ["errors", "errors", 1],
      ] as const) {
        const value = list.number(name, row);
        if (line[key] === null) expect(value).toBeNaN();
        else expect(value).toBeCloseTo((line[key] as number) * per, 6);
      }
    });
  });

  it("says a dash for what is not known and zero for zero", () => {
    expect([
      figure("errors", Number.NaN),
      figure("errors", 0),
      figure("cost", Number.NaN),
      figure("cost", 0),
    ]).toEqual(["\u2014", "0", "\u2014", "$0"]);
  });
});

describe("the filter", () => {
  it("takes fields, texts, quotes and a minus, all of which must hold", () => {
    expect(listed("arch:triage")).toEqual([0, 1]);
    expect(listed("arch:planner status:error")).toEqual([]);
    expect(listed("status:err")).toEqual([1]);
    expect(listed("status:completed -imported")).toEqual([0, 2]);
    expect(listed('"agent workflow" case:two')).toEqual([1, 3]);
    expect(listed("success:no")).toEqual([1]);
    expect(listed("success:unknown")).toEqual([2, 3, 4, 5]);
    expect(listed("id:tr-ffff")).toEqual([5]);
  });

  it("compares figures, in seconds unless it says otherwise; nothing is true of what is not known", () => {
    expect(listed("latency:>3")).toEqual([1, 2]);
    expect(listed("latency:>=3000ms")).toEqual([1, 2, 3]);
    expect(listed("latency:<0.1m")).toEqual([0, 2, 3]);
    expect(listed("errors:1")).toEqual([1, 2]);
    expect(listed("errors:<1")).toEqual([0, 3, 4]);
    expect(listed("tokens:>1k cost:<$0.005")).toEqual([0, 1, 2, 3]);
  });

  it("never fails, lists all while a field is still being typed, and tells what it does not know", () => {
    for (const text of ["", "arch:", "status:", "latency:", "latency:>", "-", "  "])
      expect(listed(text)).toHaveLength(6);
    expect(parse("archh:x").problem).toContain('no field "archh"');
    expect(parse("http://x").problem).toBe("");
    expect(parse("status:gone").problem).toContain("status is one of");
    expect(parse("latency:long").problem).toContain("compared with a number");
    for (const text of ['"', '":', "constructor:x", "-:", "latency:>>>2", "\\(", "__proto__:1"])
      expect(() => listed(text)).not.toThrow();
  });

  it("is given a field by a click, and it is taken away by the next", () => {
    expect(withField("refund arch:x", "arch", "single agent")).toBe('arch:"single agent" refund');
    expect(withField('arch:"single agent" refund', "arch", "single agent")).toBe("refund");
  });
});

describe("the order", () => {
  const by = (column: "latency" | "case" | "status" | "success", descending: boolean) => [
    ...sorted(list, all, { column, descending }),
  ];
  it("has what is not known at the end either way, and keeps what is alike in place", () => {
    expect(by("latency", true)).toEqual([1, 2, 3, 0, 4, 5]);
    expect(by("latency", false)).toEqual([0, 3, 2, 1, 4, 5]);
    expect(by("case", false)).toEqual([0, 2, 4, 1, 3, 5]);
    expect(by("success", false)).toEqual([1, 0, 2, 3, 4, 5]);
  });
  it("has what needs a look first", () => {
    expect(by("status", false).map((row) => list.status(row))).toEqual([
      "error",
      "cancelled",
      "running",
      "ok",
      "ok",
      "ok",
    ]);
  });
});

describe("the figures of an architecture", () => {
  it("are those of the runs that are listed, the largest group first", () => {
    const found = groups(list, all);
    expect(found.map((group) => [group.arch, group.runs])).toEqual([
      ["planner-executor", 3],
      ["triage", 2],
      ["", 1],
    ]);
    expect(figures(found[1])).toEqual(["2 runs", "50 % successful", "median 5.00 s"]);
    expect(figures(found[0])).toEqual(["3 runs", "50 % completed", "median 3.60 s"]);
    expect(figures(found[2])).toEqual(["1 run", "100 % completed"]);
  });
});

describe("times", () => {
  const now = new Date(2026, 10, 22, 15, 30).getTime();
  it("are as short as they can be", () => {
    expect(when(new Date(2026, 10, 22, 9, 5).getTime(), now)).toBe("today 09:05");
    expect(when(new Date(2026, 9, 3, 9, 5).getTime(), now)).toBe("3 Oct 09:05");
    expect(when(new Date(2025, 9, 3, 9, 5).getTime(), now)).toBe("2025-10-03 09:05");
    expect(when(Number.NaN, now)).toBe("\u2014");
  });
  it("say how long ago in the tooltip", () => {
    expect([ago(now - 5000, now), ago(now - 90_000, now), ago(now - 3 * 86_400_000, now)]).toEqual([
      "just now",
      "1 minute ago",
      "3 days ago",
    ]);
    expect(fully(now - 86_400_000, now)).toMatch(
      /^yesterday: 2026-11-21 15:30:00 \(UTC[+\u2212]\d\d:\d\d\)$/,
    );
    expect(fully(Number.NaN, now)).toBe("");
  });
});

describe("keys", () => {
  const place = { at: 0, count: 5, page: 3, head: -1, columns: 12 };
  it("go from the first row to the heads and back", () => {
    expect(act("ArrowUp", place)).toEqual({ head: 0 });
    expect(act("ArrowDown", { ...place, head: 3 })).toEqual({ row: 0 });
    expect(act("Enter", { ...place, head: 3 })).toBe("sort");
    expect(act("ArrowRight", { ...place, head: 11 })).toEqual({ head: 11 });
  });
  it("stay within the rows", () => {
    expect(act("PageDown", { ...place, at: 3 })).toEqual({ row: 4 });
    expect(act("Enter", { ...place, at: -1 })).toBeUndefined();
    expect(act("ArrowDown", { ...place, count: 0, at: -1 })).toBeUndefined();
    expect(act("x", place)).toBeUndefined();
  });
});
