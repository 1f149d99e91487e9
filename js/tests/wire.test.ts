import { describe, expect, it } from "vitest";
import { type Content, Contents } from "../src/core/content";
import { Table } from "../src/core/table";
import { decodeFrame } from "../src/wire";
import { type Expected, fromBase64, goldenBytes, goldenJson } from "./golden";

function rowsOf(table: Table): Expected[] {
  const { col } = table;
  const contents = new Contents(table.payloads);
  const known = (value: number) => (Number.isNaN(value) ? null : value);
  return Array.from({ length: table.n }, (_, row) => {
    const content: Content = contents.of(row) ?? {};
    return {
      parent: col.parent[row],
      kind: col.kind[row],
      status: col.status[row],
      start: col.start[row],
      end: known(col.end[row]),
      name: table.text("name", row),
      agent: table.text("agent", row),
      role: table.text("role", row),
      note: table.text("note", row),
      tokens_in: col.tokens_in[row],
      cost: known(col.cost[row]),
      input: content.input ?? null,
      output: content.output ?? null,
      error: content.error?.type ?? null,
      ...(table.received.has("critical") && {
        self: known(col.self[row]),
        critical: known(col.critical[row]),
      }),
    };
  });
}

describe("a frame", () => {
  it("holds what the spans hold", () => {
    const { rows, title } = goldenJson<{ rows: Expected[]; title: string }>("whole.json");
    const frame = decodeFrame(goldenBytes("whole.bin"));
    const table = new Table();
    table.apply(frame);
    expect(frame.run.title).toBe(title);
    expect(rowsOf(table)).toEqual(rows);
  });

  it("is read from any place in memory", () => {
    const golden = goldenBytes("whole.bin");
    for (const offset of [0, 1, 4, 7]) {
      const buffer = new ArrayBuffer(golden.length + 16);
      const shifted = new Uint8Array(buffer, offset, golden.length);
      shifted.set(golden);
      expect(decodeFrame(shifted)).toEqual(decodeFrame(golden));
      expect(decodeFrame(new DataView(buffer, offset, golden.length)).rows).toBe(22);
    }
  });

  it("of another kind, of a later version or cut off is refused in words", () => {
    const golden = goldenBytes("whole.bin");
    expect(() => decodeFrame(new Uint8Array(0))).toThrow("not a trace frame");
    expect(() => decodeFrame(new TextEncoder().encode("<!doctype html>"))).toThrow("not a trace frame");
    expect(() => decodeFrame(golden.slice(0, -8))).toThrow(/is cut off/);
    const later = new Uint8Array(golden);
    later.set(new TextEncoder().encode('{"v":9'), 8);
    expect(() => decodeFrame(later)).toThrow("version 9; this view reads 1");
  });
});

describe("a run as it goes on", () => {
  const live = goldenJson<{ frames: string[]; rows: Expected[] }>("live.json");

  it("stands, after its last frame, as the spans do", () => {
    const table = new Table();
    for (const frame of live.frames) table.apply(decodeFrame(fromBase64(frame)));
    expect(rowsOf(table)).toEqual(live.rows);
  });

  it("has frames that build on others, and some that hold everything", () => {
    const bases = live.frames.map((frame) => decodeFrame(fromBase64(frame)).base);
    expect(bases[0]).toBe(0);
    expect(bases.filter((base, i) => base === i && base > 0).length).toBeGreaterThanOrEqual(2);
  });
});

it("hostile texts come through as they are", () => {
  const table = new Table();
  table.apply(decodeFrame(goldenBytes("hostile.bin")));
  const contents = [...table.payloads.values()].map((bytes) => new TextDecoder().decode(bytes));
  expect(contents.length).toBe(table.n);
  for (const content of contents) JSON.parse(content);
  expect(contents.some((content) => content.includes("<script>window.agtrHacked=1</script>"))).toBe(true);
  expect(table.strings.some((text) => text.includes("<script>"))).toBe(true);
  expect(table.strings.join("")).not.toMatch(/[\u202a-\u202e\u2066-\u2069\n]/);
});
