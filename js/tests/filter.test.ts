import { describe, expect, it, vi } from "vitest";
import { holds, LowerStrings, matchRows, needles, parseQuery } from "../src/core/filter";
import { inSlices } from "../src/core/slices";
import { Table } from "../src/core/table";
import { decodeFrame, STATUSES } from "../src/wire";
import { goldenBytes } from "./golden";

const table = new Table();
table.apply(decodeFrame(goldenBytes("whole.bin")));

function names(text: string, inContent = (_: string) => new Set<number>()): string[] {
  const work = matchRows(table, parseQuery(text), new LowerStrings(), inContent);
  let step = work.next();
  while (!step.done) step = work.next();
  return [...step.value].flatMap((hit, row) => (hit ? [table.text("name", row)] : []));
}

describe("a query", () => {
  it("is words, phrases, keys and what must not be", () => {
    expect(parseQuery('kind:tool "To Boston" -draft agent:"Policy expert" x')).toEqual({
      terms: [
        { key: "kind", value: "tool", not: false },
        { key: "", value: "to boston", not: false },
        { key: "", value: "draft", not: true },
        { key: "agent", value: "policy expert", not: false },
        { key: "", value: "x", not: false },
      ],
      hint: "",
    });
  });

  it.each([
    ["knd:tool", 'no key "knd": kind?', "knd:tool"],
    ["zebra:tool", 'no key "zebra": kind, status, agent, role, model, name', "zebra:tool"],
    ["kind:tol", 'no kind "tol": tool?', "tol"],
    ["status:failed", 'no status "failed": running, ok, error, cancelled, interrupted', "failed"],
  ])("%s gets a hint: %s", (text, hint, value) => {
    const query = parseQuery(text);
    expect(query.hint).toBe(hint);
    expect(query.terms[0].value).toBe(value);
  });

  it.each([
    ["", 0],
    ["   ", 0],
    ["kind:", 0],
    ["-", 0],
    ['""', 0],
    ['"open', 1],
    ["https://example.org", 1],
    ["10:30", 1],
    ["kind:t", 1],
  ])("%j while it is typed is %d terms and no complaint", (text, count) => {
    const query = parseQuery(text);
    expect(query.terms.length).toBe(count);
    expect(query.hint).toBe("");
  });

  it("of any letters is read without an error", () => {
    for (let i = 0; i < 500; i++) {
      const letters = Array.from({ length: i % 30 }, (_, k) => 'a:"- \\ü東\ud800'[(i * 7 + k * 13) % 9]);
      expect(() => parseQuery(letters.join(""))).not.toThrow();
    }
  });

  it("has the texts that contents are searched for", () => {
    expect(needles(parseQuery("kind:tool Boston -draft boston"))).toEqual(["boston", "draft"]);
  });
});

describe("rows that match", () => {
  it.each([
    ["kind:tool status:error", ["book_flight"]],
    ["status:err", ["book_flight"]],
    ["agent:planner kind:llm", ["gpt-4o-mini", "gpt-4o-mini"]],
    ["role:executor", ["Executor"]],
    ["model:4o-mini", ["gpt-4o-mini", "gpt-4o-mini"]],
    ["name:flight -search", ["Rebook a flight", "book_flight"]],
    ["timeouterror", ["book_flight"]],
    ["MIA_LI get_user", ["gpt-4o-mini", "get_user"]],
    ['"looking for"', ["gpt-4o"]],
    ["kind:llm -kind:llm", []],
    ["kind:nothing", []],
  ])("%s are %j", (text, found) => expect(names(text)).toEqual(found));

  it("are found by their content too, and left out by it", () => {
    const inContent = (needle: string) => new Set(needle === "zanzibar" ? [3] : []);
    expect(names("zanzibar", inContent)).toEqual([table.text("name", 3)]);
    expect(names("-zanzibar", inContent).length).toBe(table.n - 1);
  });

  it("in strings that came later are found", () => {
    const lower = new LowerStrings();
    const drain = (strings: string[]) => {
      const work = lower.upTo(strings);
      let step = work.next();
      while (!step.done) step = work.next();
      return [...step.value];
    };
    const strings = ["", "One"];
    expect(drain(strings)).toEqual(["", "one"]);
    strings.push("TWO");
    expect(drain(strings)).toEqual(["", "one", "two"]);
    expect(drain(["", "Other"])).toEqual(["", "other"]);
  });
});

describe("content", () => {
  it("is looked through to any depth, its values and not what names its items", () => {
    expect(holds([{ role: "user", content: [{ type: "input_text", text: "To BOSTON" }] }], "boston")).toBe(
      true,
    );
    expect(holds([{ role: "user", content: "hi" }], "user")).toBe(false);
    expect(holds({ status: "booked", id: 42 }, "booked")).toBe(true);
    expect(holds({ status: "booked", id: 42 }, "42")).toBe(true);
    expect(holds(undefined, "x")).toBe(false);
    let deep: unknown = "needle";
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(holds(deep, "needle")).toBe(true);
  });
});

describe("long work", () => {
  it("is done in slices, and stops when told to", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    let steps = 0;
    // Each step takes five milliseconds: a slice is two of them.
    function* work(): Generator<void, string> {
      for (let i = 0; i < 5; i++) {
        now += 5;
        steps++;
        yield;
      }
      return "done";
    }
    try {
      const done = vi.fn();
      inSlices(work(), done);
      expect(steps).toBe(0);
      vi.advanceTimersToNextTimer();
      expect(steps).toBe(2);
      vi.runAllTimers();
      expect(done).toHaveBeenCalledExactlyOnceWith("done");
      const never = vi.fn();
      inSlices(work(), never)();
      vi.runAllTimers();
      expect(never).not.toHaveBeenCalled();
    } finally {
      clock.mockRestore();
      vi.useRealTimers();
    }
  });
});

it("a hundred thousand rows are compared in pieces of a few milliseconds", () => {
  const rows = Array.from({ length: 100_000 }, (_, i) => i);
  const large = new Table();
  large.apply({
    seq: 1,
    base: 0,
    rows: rows.length,
    now: 0,
    run: {} as never,
    stringsAt: 0,
    strings: ["", ...rows.map((i) => `Step ${i} of the Run`)],
    columns: new Map<string, Uint32Array | Uint8Array>([
      ["row", Uint32Array.from(rows)],
      ["name", Uint32Array.from(rows, (i) => i + 1)],
      ["status", new Uint8Array(rows.length).fill(STATUSES.indexOf("ok"))],
    ]),
  });
  const work = matchRows(large, parseQuery("99 run"), new LowerStrings(), () => new Set());
  let longest = 0;
  for (;;) {
    const began = performance.now();
    const step = work.next();
    longest = Math.max(longest, performance.now() - began);
    if (!step.done) continue;
    expect(step.value.reduce((sum, hit) => sum + hit, 0)).toBe(
      rows.filter((i) => String(i).includes("99")).length,
    );
    break;
  }
  expect(longest).toBeLessThan(100);
});
