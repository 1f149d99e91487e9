import { describe, expect, it } from "vitest";
import { Contents, visible } from "../src/core/content";
import { parsedText, parseJson, plainFields, toJson } from "../src/core/json";
import { brief, holds, JsonLines, path } from "../src/core/jsontree";
import { addresses } from "../src/core/mlflow";

const payloads = (...rows: unknown[]) =>
  new Map(
    rows.map((row, i) => [i, new TextEncoder().encode(typeof row === "string" ? row : JSON.stringify(row))]),
  );

function nested(levels: number): unknown {
  let value: unknown = "bottom";
  for (let i = 0; i < levels; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

describe("contents", () => {
  const a = { role: "user", content: "a" };
  const b = { role: "user", content: "b" };

  it("put conversations together from the rows that carry their items", () => {
    const contents = new Contents(
      payloads(
        { items: [a], input_items: [[0, 0, 1]], ttft_s: 1 },
        {
          items: [b],
          input_items: [
            [0, 0, 1],
            [1, 0, 1],
          ],
          output: 5,
        },
      ),
    );
    expect(contents.of(0)).toEqual({ input: [a], ttft_s: 1 });
    expect(contents.of(1)).toEqual({ input: [a, b], output: 5 });
    expect(contents.of(2)).toBeUndefined();
  });

  it("take items as they are beside those of other rows", () => {
    const contents = new Contents(payloads({ items: [a], output_items: [b, [0, 0, 1]] }));
    expect(contents.of(0)?.output).toEqual([b, a]);
  });

  it("say what is missing of what another row holds", () => {
    const contents = new Contents(
      payloads({ input_items: [[7, 0, 2]] }, { input_items: [[2, 0, 1]] }, { items: [a], clipped: 9 }),
    );
    expect(contents.of(0)).toEqual({ input: [null, null], partial: true });
    expect(contents.of(1)).toEqual({ input: [a], partial: true });
    expect(contents.of(2)?.partial).toBeUndefined();
  });

  it("are read anew when they are sent anew", () => {
    const rows = payloads({ items: [a], input_items: [[0, 0, 1]] });
    const contents = new Contents(rows);
    expect(contents.of(0)?.input).toEqual([a]);
    rows.set(0, new TextEncoder().encode('{"input":"new"}'));
    expect(contents.of(0)?.input).toBe("new");
  });

  it("are put together once, unless something may yet come", () => {
    const rows = payloads({ items: [a], input_items: [[0, 0, 1]] }, { input_items: [[2, 0, 1]] });
    const contents = new Contents(rows);
    expect(contents.of(0)).toBe(contents.of(0));
    expect(contents.of(1)?.input).toEqual([null]);
    rows.set(2, new TextEncoder().encode(JSON.stringify({ items: [b] })));
    expect(contents.of(1)).toEqual({ input: [b] });
  });

  it("that are broken say so", () =>
    expect(new Contents(payloads("{")).of(0)?.error?.message).toBe("this content could not be read"));
});

describe("JSON", () => {
  it("of great depth is read also where it has large numbers", () => {
    const text = `${"[".repeat(20_000)}12345678901234567890${"]".repeat(20_000)}`;
    expect(Array.isArray(parseJson(text))).toBe(true);
  });

  it("is written as JSON.stringify writes it", () => {
    const value = { a: [1, "x", null, true, {}, []], "b\u2028": { c: [] } };
    expect(toJson(value)).toBe(JSON.stringify(value, null, 2));
    expect(toJson([])).toBe("[]");
    expect(toJson("x")).toBe('"x"');
  });

  it("of any depth is written, and not further than asked", () => {
    const text = toJson(nested(10_000));
    expect(text).toContain('"bottom"');
    expect(toJson("x".repeat(100).split(""), 50).length).toBeLessThan(80);
  });

  it("in a text is found, and only objects and lists are", () => {
    expect(parsedText(' {"a": [1]}')).toEqual({ a: [1] });
    expect(parsedText("{not json")).toBeUndefined();
    expect(parsedText("42")).toBeUndefined();
  });

  it("with a key of the language's own keeps it", () => {
    const value = parseJson('{"__proto__": {"polluted": 1}, "constructor": 2}');
    expect(toJson(value)).toContain('"__proto__"');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(plainFields(parseJson('{"__proto__": 1}'))).toEqual([["__proto__", 1]]);
  });

  it("that is short and plain is shown as fields", () => {
    expect(plainFields({ a: 1, b: "x", c: null })).toEqual([
      ["a", 1],
      ["b", "x"],
      ["c", null],
    ]);
    for (const value of [{ a: {} }, [1], {}, { a: "x".repeat(401) }])
      expect(plainFields(value)).toBeUndefined();
  });
});

describe("the JSON tree", () => {
  const value = { name: "Mia", flights: [{ id: "HAT1" }, { id: "HAT2" }], "odd key": { deep: { er: 1 } } };
  const shown = (tree: JsonLines) =>
    tree.lines.map((line) => `${" ".repeat(line.depth)}${line.key ?? ""} ${brief(line)}`.trimEnd());

  it("begins open as far as fits on a screen", () => {
    expect(shown(new JsonLines(value))).toContain("  deep {1}");
    const wide = new JsonLines({ list: Array.from({ length: 1000 }, (_, i) => i) });
    expect(wide.lines.length).toBe(2);
    expect(shown(wide)).toEqual([" {1}", " list [1000]"]);
  });

  it("opens and closes", () => {
    const tree = new JsonLines(value);
    const flights = tree.lines[2];
    const before = tree.lines.length;
    tree.setOpen(flights, false);
    expect(tree.lines.length).toBe(before - 4);
    tree.setOpen(flights, true);
    expect(tree.lines.length).toBe(before);
  });

  it("says where a value is", () => {
    const tree = new JsonLines(value);
    const paths = tree.lines.map(path);
    expect(paths).toContain("$.flights[1].id");
    expect(paths).toContain('$["odd key"].deep.er');
    expect(paths[0]).toBe("$");
  });

  it("finds names and values, and opens the way to them", () => {
    const tree = new JsonLines({ list: Array.from({ length: 1000 }, (_, i) => ({ id: `x${i}` })) });
    const found = tree.search("X777");
    expect(found.length).toBe(1);
    const node = tree.reveal(found[0]);
    expect(path(node)).toBe("$.list[777].id");
    expect(tree.lines).toContain(node);
    expect(tree.search("list").length).toBe(1);
    expect(tree.search("nowhere")).toEqual([]);
  });

  it("bears depth and width", () => {
    const deep = new JsonLines(nested(10_000));
    const began = performance.now();
    const [match] = deep.search("bottom");
    const node = deep.reveal(match);
    expect(node.depth).toBe(10_000);
    expect(path(node).length).toBeGreaterThan(10_000);
    const wide = new JsonLines(Array.from({ length: 100_000 }, (_, i) => i));
    expect(wide.lines.length).toBe(100_001);
    wide.setOpen(wide.top, false);
    expect(wide.lines.length).toBe(1);
    expect(wide.search("99999").length).toBe(1);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it("shows a long text in part and counts what it does not show", () => {
    expect(brief({ value: "x".repeat(1e6) }).length).toBeLessThan(400);
    expect([{ a: 1, b: 2 }, {}, [1], []].map((value) => brief({ value }))).toEqual([
      "{2}",
      "{}",
      "[1]",
      "[]",
    ]);
    expect(holds({ value: null } as never)).toBe(0);
  });
});

describe("characters that would act", () => {
  it("are shown instead", () => expect(visible("a\u0000b\u001bc\u202ed\r\ne\tf")).toBe("a␀b␛c\ufffdd\ne\tf"));
});

describe("characters that hide text", () => {
  it("are shown too; those that join letters stay", () => {
    expect(visible("a\u200bb\u2060c\u{e0041}d")).toBe("a\ufffdb\ufffdc\ufffdd");
    expect(visible("👩\u200d🚀 می\u200cخواهم")).toBe("👩\u200d🚀 می\u200cخواهم");
  });
});

describe("addresses in MLflow", () => {
  const run = { run_id: "r1", experiment_id: "7", url: "https://mlflow.example:5000/base/" };

  it("lead to the run and the trace", () =>
    expect(addresses(run, "abc")).toEqual({
      run: "https://mlflow.example:5000/base/#/experiments/7/runs/r1",
      trace: "https://mlflow.example:5000/base/#/experiments/7/traces?selectedEvaluationId=tr-abc",
    }));

  it("do without the experiment where it is not known", () =>
    expect(addresses({ run_id: "r1", url: "http://localhost:5000" }, "abc")).toEqual({
      run: "http://localhost:5000/#/runs/r1",
    }));

  it.each([
    "javascript:alert(1)",
    "sqlite:///x.db",
    "http://user:word@host",
    "data:text/html,x",
    "",
    null,
    "host:5000",
  ])("are never made of %j", (url) => expect(addresses({ ...run, url }, "abc")).toEqual({}));

  it("cannot be led astray by an id", () =>
    expect(addresses({ run_id: "../x?y#z", url: "http://h" }, undefined).run).toBe(
      "http://h/#/runs/..%2Fx%3Fy%23z",
    ));
});
