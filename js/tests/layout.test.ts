import { describe, expect, it } from "vitest";
import { beyond, layOut, placesWith, rowsAbove, visiblePlaces } from "../src/core/layout";
import { Table } from "../src/core/table";
import { type Column, decodeFrame, KINDS, STATUSES } from "../src/wire";
import { goldenBytes } from "./golden";

interface Row {
  parent: number;
  kind?: (typeof KINDS)[number];
  status?: (typeof STATUSES)[number];
  start?: number;
  tokens?: number;
  name?: number;
  note?: number;
}

function tableOf(rows: Row[]): Table {
  const table = new Table();
  const column = (values: number[], type: "i4" | "u1" | "f8" | "u4") =>
    ({ i4: Int32Array, u1: Uint8Array, f8: Float64Array, u4: Uint32Array })[type].from(values);
  table.apply({
    seq: 1,
    base: 0,
    rows: rows.length,
    now: 0,
    run: {} as never,
    stringsAt: 0,
    strings: [""],
    columns: new Map([
      ["row", column([...rows.keys()], "u4")],
      [
        "parent",
        column(
          rows.map((row) => row.parent),
          "i4",
        ),
      ],
      [
        "kind",
        column(
          rows.map((row) => KINDS.indexOf(row.kind ?? "tool")),
          "u1",
        ),
      ],
      [
        "status",
        column(
          rows.map((row) => STATUSES.indexOf(row.status ?? "ok")),
          "u1",
        ),
      ],
      [
        "name",
        column(
          rows.map((row, i) => row.name ?? i + 1),
          "u4",
        ),
      ],
      [
        "note",
        column(
          rows.map((row) => row.note ?? 0),
          "u4",
        ),
      ],
      [
        "start",
        column(
          rows.map((row, i) => row.start ?? i),
          "f8",
        ),
      ],
      [
        "tokens_in",
        column(
          rows.map((row) => row.tokens ?? -1),
          "i4",
        ),
      ],
      [
        "tokens_out",
        column(
          rows.map(() => -1),
          "i4",
        ),
      ],
    ]),
  });
  return table;
}

const shape = (table: Table, fold = true) => {
  const { order, depth } = layOut(table, fold);
  return [...order].map((row, at) => `${".".repeat(depth[at])}${row}`);
};

describe("the reading order", () => {
  it("puts each row above its children and siblings in order of start", () => {
    expect(
      shape(
        tableOf([
          { parent: -1, kind: "agent" },
          { parent: 0, start: 5 },
          { parent: 0, start: 2 },
          { parent: 2, start: 3 },
        ]),
      ),
    ).toEqual(["0", ".2", "..3", ".1"]);
  });

  it("folds turns and a lone workflow, and nothing else", () => {
    const rows: Row[] = [
      { parent: -1, kind: "workflow" },
      { parent: 0, kind: "agent" },
      { parent: 1, kind: "turn" },
      { parent: 2, kind: "llm" },
      { parent: 1, kind: "turn" },
    ];
    expect(shape(tableOf(rows))).toEqual(["1", ".3", ".4"]);
    expect(shape(tableOf(rows), false)).toEqual(["0", ".1", "..2", "...3", "..4"]);
    const two = tableOf([...rows, { parent: -1, kind: "workflow" }, { parent: 5, kind: "agent" }]);
    expect(shape(two)).toEqual(["0", ".1", "..3", "..4", "5", ".6"]);
  });

  it("never folds a row in which an error began", () => {
    const rows: Row[] = [
      { parent: -1, kind: "agent", status: "error" },
      { parent: 0, kind: "turn", status: "error" },
      { parent: 1, kind: "llm" },
    ];
    const table = tableOf(rows);
    expect(shape(table)).toEqual(["0", ".1", "..2"]);
    expect(layOut(table, true).errors).toEqual([1]);
  });

  it("says which row stands for one that is folded away", () => {
    const layout = layOut(
      tableOf([{ parent: -1, kind: "agent" }, { parent: 0, kind: "turn" }, { parent: 1 }]),
      true,
    );
    expect([...layout.place]).toEqual([0, 0, 1]);
  });

  it("sums tokens from the calls upwards and leaves unknown unknown", () => {
    const layout = layOut(
      tableOf([
        { parent: -1, kind: "agent" },
        { parent: 0, kind: "llm", tokens: 7 },
        { parent: 0, kind: "agent" },
        { parent: 2, kind: "llm", tokens: 5 },
        { parent: 0, kind: "tool" },
      ]),
      true,
    );
    expect([...layout.tokens]).toEqual([12, 7, 5, 5, -1]);
  });

  it("of the golden run is that of the text tree", () => {
    const table = new Table();
    table.apply(decodeFrame(goldenBytes("whole.bin")));
    const { order, depth } = layOut(table, true);
    expect([...order].map((row, at) => ".".repeat(depth[at]) + table.text("name", row)).slice(0, 8)).toEqual([
      "Planner",
      ".travel-only",
      ".gpt-4o-mini",
      ".get_user",
      ".gpt-4o-mini",
      ".handoff",
      "Executor",
      ".gpt-4o",
    ]);
  });

  it("holds every row once, whatever the parents", () => {
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff;
      return seed % below;
    };
    for (let trial = 0; trial < 200; trial++) {
      const n = 1 + random(60);
      const kinds = ["agent", "turn", "llm", "tool", "workflow"] as const;
      const rows = Array.from({ length: n }, (_, i): Row => {
        const parent = i === 0 || random(5) === 0 ? -1 : random(i);
        return { parent, kind: kinds[random(5)], start: random(10), status: random(4) ? "ok" : "error" };
      });
      const table = tableOf(rows);
      const open = layOut(table, false);
      expect([...open.order].sort((a, b) => a - b)).toEqual([...rows.keys()]);
      for (const fold of [false, true]) {
        const layout = layOut(table, fold);
        for (let at = 0; at < layout.order.length; at++) {
          expect(layout.place[layout.order[at]]).toBe(at);
          expect(layout.end[at]).toBeGreaterThan(at);
          for (let inner = at + 1; inner < layout.end[at]; inner++) {
            expect(layout.depth[inner]).toBeGreaterThan(layout.depth[at]);
          }
          if (layout.end[at] < layout.order.length) {
            expect(layout.depth[layout.end[at]]).toBeLessThanOrEqual(layout.depth[at]);
          }
        }
      }
    }
  });
});

describe("closed rows", () => {
  const layout = layOut(
    tableOf([{ parent: -1 }, { parent: 0 }, { parent: 1 }, { parent: 0 }, { parent: -1 }]),
    true,
  );

  it("hide what is under them", () => {
    expect([...visiblePlaces(layout, () => false)]).toEqual([0, 1, 2, 3, 4]);
    expect([...visiblePlaces(layout, (row) => row === 1)]).toEqual([0, 1, 3, 4]);
    expect([...visiblePlaces(layout, (row) => row < 2)]).toEqual([0, 4]);
  });

  it("are found from what is under them", () => {
    expect(rowsAbove(layout, 2)).toEqual([1, 0]);
    expect(rowsAbove(layout, 4)).toEqual([]);
  });
});

describe("calls that repeat one another", () => {
  const again = (more: Partial<Row>[]): Row[] => [
    { parent: -1, kind: "agent" },
    ...more.map((row): Row => ({ parent: 0, name: 7, ...row })),
  ];

  it("stand under the first of them", () => {
    const table = tableOf(again([{}, {}, {}, { name: 8 }, {}, {}]));
    expect(shape(table)).toEqual(["0", ".1", "..2", "..3", ".4", ".5", ".6"]);
    const layout = layOut(table, true);
    expect([...layout.repeats]).toEqual([[1, 3]]);
    expect([...layout.nth]).toEqual([0, 1, 2, 3, 0, 0, 0]);
    expect([...visiblePlaces(layout, (row) => layout.repeats.has(row))]).toEqual([0, 1, 4, 5, 6]);
  });

  it.each([
    ["two are too few", [{}, {}], []],
    ["one of another kind", [{}, {}, { kind: "llm" }, {}] as Partial<Row>[], []],
    ["one that failed", [{}, {}, { status: "error" }, {}, {}, {}] as Partial<Row>[], [4]],
    ["one that still runs", [{}, {}, {}, { status: "running" }] as Partial<Row>[], [1]],
    ["one with something to say", [{}, {}, { note: 5 }, {}], []],
  ])("are together: %s", (_, rows, heads) => {
    expect([...layOut(tableOf(again(rows)), true).repeats.keys()]).toEqual(heads);
  });

  it("are not together when one holds others, nor across parents", () => {
    const rows = again([{}, {}, {}]);
    expect(layOut(tableOf([...rows, { parent: 2 }]), true).repeats.size).toBe(0);
    const apart: Row[] = [
      { parent: -1, kind: "agent" },
      { parent: 0, name: 7 },
      { parent: 0, name: 7 },
      { parent: -1, kind: "agent" },
      { parent: 3, name: 7 },
    ];
    expect(layOut(tableOf(apart), true).repeats.size).toBe(0);
  });

  it("never hide a row in which an error began", () => {
    let seed = 3;
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff;
      return seed % below;
    };
    for (let trial = 0; trial < 100; trial++) {
      const rows = again(Array.from({ length: 30 }, () => ({ status: random(4) ? "ok" : "error" })));
      const layout = layOut(tableOf(rows), true);
      const seen = [...visiblePlaces(layout, (row) => layout.repeats.has(row))].map((at) => layout.order[at]);
      for (const row of layout.errors) expect(seen).toContain(row);
    }
  });
});

describe("rows that are wanted", () => {
  const layout = layOut(
    tableOf([{ parent: -1 }, { parent: 0 }, { parent: 1 }, { parent: 0 }, { parent: 3 }, { parent: -1 }]),
    true,
  );

  it.each([
    [[], []],
    [[2], [0, 1, 2]],
    [[4], [0, 3, 4]],
    [
      [2, 4],
      [0, 1, 2, 3, 4],
    ],
    [[5], [5]],
    [[0], [0]],
  ])("%j are shown with those above them: %j", (rows, places) => {
    const wanted = new Uint8Array(6);
    for (const row of rows) wanted[row] = 1;
    expect([...placesWith(layout, wanted)]).toEqual(places);
  });

  it("are gone through in reading order, and round", () => {
    const { place } = layout;
    const rows = [1, 3, 5];
    expect([-1, 0, 1, 2, 5].map((row) => beyond(rows, row, 1, place))).toEqual([1, 1, 3, 3, 1]);
    expect([-1, 0, 1, 2, 5].map((row) => beyond(rows, row, -1, place))).toEqual([5, 5, 5, 1, 3]);
    expect(beyond([], 1, 1, place)).toBe(-1);
  });
});

it("a hundred thousand rows, twenty thousand deep, are laid out in a blink", () => {
  const rows = Array.from(
    { length: 100_000 },
    (_, i): Row => ({
      parent: i === 0 ? -1 : i < 20_000 ? i - 1 : i % 20_000,
      start: (i * 7919) % 100_003,
      kind: "agent",
    }),
  );
  const table = tableOf(rows);
  const began = performance.now();
  const layout = layOut(table, true);
  const took = performance.now() - began;
  expect(layout.order.length).toBe(100_000);
  expect(took).toBeLessThan(2_000);
});

describe("a frame that says where the time went", () => {
  const column = (type: typeof Float64Array | typeof Uint8Array, ...values: number[]) => type.from(values);
  const frame = (columns: [string, Column][], base: number) => ({
    seq: base + 1,
    base,
    rows: 2,
    now: 0,
    run: {} as never,
    stringsAt: 0,
    strings: [""],
    columns: new Map(columns),
  });
  const rows: [string, Column] = ["row", Uint32Array.from([0, 1])];
  const bytes = new TextEncoder().encode("{}");

  it("makes contents stale of rows that changed, and of no others", () => {
    const table = new Table();
    table.apply(
      frame([rows, ["status", column(Uint8Array, 0, 1)], ["end", column(Float64Array, Number.NaN, 5)]], 0),
    );
    expect(table.received.has("critical")).toBe(false);
    table.setPayload(0, bytes);
    table.setPayload(1, bytes);
    const timed: [string, Column] = ["critical", Float64Array.from([1, 2])];
    table.apply(frame([rows, timed], 1));
    expect([...table.stale]).toEqual([]);
    expect([...table.col.critical.subarray(0, 2)]).toEqual([1, 2]);
    table.apply(
      frame([rows, ["status", column(Uint8Array, 1, 1)], ["end", column(Float64Array, 9, 5)], timed], 2),
    );
    expect([...table.stale]).toEqual([0]);
    expect(table.received.has("critical")).toBe(true);
  });
});
