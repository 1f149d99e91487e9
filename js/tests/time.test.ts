import { describe, expect, it } from "vitest";
import { inside, ticks, zoomed } from "../src/core/axis";
import { stretches, strip } from "../src/core/minimap";
import { Table } from "../src/core/table";
import { decodeFrame, KINDS } from "../src/wire";
import { goldenBytes } from "./golden";

const whole = { from: 100, length: 1000 };

describe("a stretch of time", () => {
  it("stays where it is pointed at while it gets shorter", () => {
    const closer = zoomed({ from: 0, length: 100 }, 0.5, 20);
    expect(closer).toEqual({ from: 10, length: 50 });
    expect((20 - closer.from) / closer.length).toBe(0.2);
  });

  it.each([
    [
      { from: 0, length: 100 },
      { from: 100, length: 100 },
    ],
    [
      { from: 1050, length: 100 },
      { from: 1000, length: 100 },
    ],
    [
      { from: 300, length: 0 },
      { from: 300, length: 0.001 },
    ],
    [{ from: 0, length: 5000 }, undefined],
    [whole, undefined],
    [{ from: 0, length: Number.NaN }, undefined],
  ])("%j is brought inside the run: %j", (stretch, shown) => expect(inside(stretch, whole)).toEqual(shown));

  it("has ticks that say where in the run it is", () => {
    expect(ticks(2010, 2030, 300).map((tick) => tick.label)).toEqual([
      "2.01 s",
      "2.015",
      "2.020",
      "2.025",
      "",
    ]);
    expect(ticks(10, 30, 300).map((tick) => tick.label)).toEqual(["10 ms", "15", "20", "25", ""]);
  });
});

describe("the strip of a run", () => {
  const table = new Table();
  table.apply(decodeFrame(goldenBytes("whole.bin")));
  const axis = { from: 0, length: 4210 };
  const { agents, kinds, errors } = strip(table, axis, 4210, 421);

  it("has agents from their start to their end", () => {
    expect([...agents.subarray(0, 3)]).toEqual([2, 1, 1]);
    expect(agents[112]).toBe(2);
    expect([...agents].every((value) => value > 0)).toBe(true);
  });

  it("has at each pixel the kind there is most of", () => {
    expect(KINDS[kinds[30] - 1]).toBe("llm");
    expect(KINDS[kinds[170] - 1]).toBe("tool");
    expect(KINDS[kinds[2] - 1]).toBe("guardrail");
  });

  it("has every error, and only where it was", () => {
    const found: number[][] = [];
    stretches(errors, (from, to) => found.push([from, to]));
    expect(found).toEqual([[206, 354]]);
  });

  it("shows an error of no length among a hundred thousand steps", () => {
    const n = 100_000;
    const large = new Table();
    const rows = Uint32Array.from({ length: n }, (_, i) => i);
    large.apply({
      seq: 1,
      base: 0,
      rows: n,
      now: 0,
      run: {} as never,
      stringsAt: 0,
      strings: [""],
      columns: new Map<string, Uint32Array | Uint8Array | Int32Array | Float64Array>([
        ["row", rows],
        ["parent", new Int32Array(n).fill(-1)],
        ["kind", new Uint8Array(n).fill(KINDS.indexOf("tool"))],
        ["status", Uint8Array.from(rows, (i) => (i === 77_777 ? 2 : 1))],
        ["start", Float64Array.from(rows)],
        ["end", Float64Array.from(rows)],
      ]),
    });
    const map = strip(large, { from: 0, length: n }, n, 800);
    expect(map.errors.indexOf(1)).toBe(Math.floor((77_777 / n) * 800));
    expect(map.errors.filter((value) => value === 1).length).toBe(1);
  });
});
