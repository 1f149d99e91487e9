import { describe, expect, it } from "vitest";
import { asItems, chat, earlier, type Said } from "../src/core/chat";
import { conversation, spoken } from "../src/core/conversation";
import { Heights } from "../src/core/heights";
import { Table } from "../src/core/table";
import { KINDS, type Kind } from "../src/wire";

const read = (...items: unknown[]) => chat(asItems(items) ?? []);
/** Without what says where it was. */
const plain = (said: Said[]): unknown[] =>
  said.map(({ at: _, id: __, result, ...rest }) =>
    JSON.parse(JSON.stringify(result ? { ...rest, result: plain([result])[0] } : rest)),
  );

describe("a conversation", () => {
  it("of the Responses API", () => {
    const said = read(
      { role: "developer", content: "be brief" },
      { role: "user", content: [{ type: "input_text", text: "hi" }] },
      { type: "reasoning", id: "r", summary: [{ type: "summary_text", text: "hm" }] },
      { type: "function_call", call_id: "c", name: "find", arguments: '{"a":1}' },
      { type: "function_call_output", call_id: "c", output: "[2]" },
      {
        type: "message",
        role: "assistant",
        content: [
          { type: "output_text", text: "two" },
          { type: "refusal", refusal: "no" },
        ],
      },
    );
    expect(plain(said)).toEqual([
      { role: "developer", text: "be brief" },
      { role: "user", text: "hi" },
      { role: "reasoning", text: "hm" },
      {
        role: "tool call",
        name: "find",
        value: { a: 1 },
        result: { role: "tool result", name: "find", value: [2] },
      },
      { role: "assistant", text: "two" },
      { role: "refusal", text: "no" },
    ]);
  });

  it("of the Chat Completions API", () => {
    const call = { id: "d", type: "function", function: { name: "go", arguments: "not json" } };
    const said = read(
      { role: "system", content: "be brief" },
      { role: "assistant", content: null, tool_calls: [call], reasoning_content: "hm" },
      { role: "tool", tool_call_id: "d", content: "done" },
      { role: "assistant", content: "ok", refusal: null },
      { role: "assistant", content: null, refusal: "no" },
    );
    expect(plain(said)).toEqual([
      { role: "system", text: "be brief" },
      { role: "reasoning", text: "hm" },
      {
        role: "tool call",
        name: "go",
        text: "not json",
        result: { role: "tool result", name: "go", text: "done" },
      },
      { role: "assistant", text: "ok" },
      { role: "refusal", text: "no" },
    ]);
  });

  it("names pictures, files and sounds and holds nothing of them", () => {
    const [said] = read({
      role: "user",
      content: [
        { type: "input_text", text: "look" },
        { type: "input_image", image_url: "data:image/png;base64,AAAA" },
        { type: "image_url", image_url: { url: "https://example.org/a.jpg" } },
        { type: "input_file", filename: "report.pdf", file_data: "AAAA" },
        { type: "input_audio", input_audio: { format: "wav", data: "AAAA" } },
        { type: "input_image", file_id: "file-1" },
      ],
    });
    expect(said.text).toBe("look");
    expect(said.media).toEqual([
      "image image/png",
      "image https://example.org/a.jpg",
      "file report.pdf",
      "audio wav",
      "image file-1",
    ]);
    expect(JSON.stringify(said)).not.toContain("AAAA");
  });

  it("matches results to calls by their id, also of parallel calls, and each once", () => {
    const call = (id: string) => ({
      type: "function_call",
      call_id: id,
      name: `tool ${id}`,
      arguments: "{}",
    });
    const result = (id: string, output: string) => ({ type: "function_call_output", call_id: id, output });
    const said = read(
      call("a"),
      call("b"),
      result("b", "of b"),
      result("a", "of a"),
      result("a", "again"),
      result("z", "of z"),
    );
    expect(said.map((one) => [one.role, one.name, one.result?.text ?? one.text])).toEqual([
      ["tool call", "tool a", "of a"],
      ["tool call", "tool b", "of b"],
      ["tool result", undefined, "again"],
      ["tool result", undefined, "of z"],
    ]);
  });

  it("has handoffs", () => {
    const [said] = read(
      { type: "function_call", call_id: "c", name: "transfer_to_billing", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: '{"assistant": "Billing"}' },
    );
    expect([said.role, said.text]).toEqual(["handoff", "Billing"]);
  });

  it("has tools that run at the provider, with what they brought along", () => {
    const said = read(
      { type: "web_search_call", id: "w", status: "completed", action: { type: "search", query: "boston" } },
      {
        type: "mcp_call",
        id: "m",
        name: "count",
        arguments: '{"text":"x"}',
        output: "1",
        server_label: "letters",
      },
      { type: "image_generation_call", id: "i", result: "A".repeat(1000) },
    );
    expect(said.map((one) => [one.role, one.name, one.value, one.result?.text ?? one.result?.media])).toEqual(
      [
        ["tool call", "web search", { type: "search", query: "boston" }, undefined],
        ["tool call", "count", { text: "x" }, "1"],
        ["tool call", "image generation", {}, ["image"]],
      ],
    );
  });

  it("keeps what it does not know", () => {
    const [said] = read({ type: "new_kind", id: "n", x: 1 });
    expect([said.role, said.value]).toEqual(["new kind", { type: "new_kind", id: "n", x: 1 }]);
  });

  it("is not any list", () => {
    for (const value of [[], [1], [{ a: 1 }], "text", null, { a: 1 }, [{ role: "user" }], [null]])
      expect(asItems(value)).toBeUndefined();
  });

  it("leaves a place for what is not here", () =>
    expect(plain(chat(asItems([null, { role: "user", content: "hi" }]) ?? []))).toEqual([
      { role: "not here" },
      { role: "user", text: "hi" },
    ]));

  it("bears odd items", () => {
    const odd = [
      { role: "x", content: [null, 1, { type: 5 }, { type: "input_image", image_url: { url: 5 } }] },
      {
        role: "assistant",
        content: "",
        tool_calls: [null, 5, { function: null }, { id: 5, function: { name: 5 } }],
      },
      { type: "function_call", id: "c" },
      { type: "reasoning", summary: 5 },
      { role: "user", content: { a: 1 } },
      { message: { role: "assistant", content: "inner" } },
    ];
    expect(read(...odd).length).toBeGreaterThanOrEqual(6);
  });
});

describe("of a prompt", () => {
  const u = (text: string) => ({ role: "user", content: text });
  const a = (text: string) => ({ role: "assistant", content: text });
  const call = { type: "function_call", call_id: "c", name: "find", arguments: "{}" };
  const result = { type: "function_call_output", call_id: "c", output: "found" };

  it("what came after the model's last word is new", () => {
    expect(earlier(read(u("1"), a("2"), u("3")))).toBe(2);
    expect(earlier(read(u("1"), u("2")))).toBe(0);
  });

  it("the result of a call is new although the call is not", () => {
    expect(earlier(read(u("1"), call, result))).toBe(1);
    const second = { ...call, call_id: "d" };
    expect(earlier(read(u("1"), call, second, { ...result, call_id: "d" }, result))).toBe(1);
  });

  it("of which nothing is new, nothing is put away", () => expect(earlier(read(u("1"), a("2")))).toBe(0));
});

function table(...rows: [Kind, number, string?][]): Table {
  const made = new Table();
  const columns = new Map<string, never>();
  const put = (name: string, values: ArrayLike<number>) => columns.set(name, values as never);
  put("row", Uint32Array.from(rows.keys()));
  put(
    "parent",
    Int32Array.from(rows, ([, parent]) => parent),
  );
  put(
    "kind",
    Uint8Array.from(rows, ([kind]) => KINDS.indexOf(kind)),
  );
  put(
    "status",
    Uint8Array.from(rows, ([, , status]) => (status === "error" ? 2 : 1)),
  );
  made.apply({
    seq: 1,
    base: 0,
    rows: rows.length,
    now: 0,
    run: {} as never,
    stringsAt: 0,
    strings: [""],
    columns,
  });
  return made;
}

describe("a run as a conversation", () => {
  it("has what is said, done and decided, and threads inside of tools", () => {
    const made = table(
      ["workflow", -1],
      ["agent", 0],
      ["guardrail", 1],
      ["llm", 1],
      ["tool", 1],
      ["agent", 4],
      ["llm", 5],
      ["memory", 1],
      ["mcp", 1, "error"],
      ["handoff", 1],
    );
    const lines = conversation(
      made,
      Array.from({ length: made.n }, (_, i) => i),
    );
    expect(lines.map((line) => [line.row, line.as, line.inside])).toEqual([
      [3, "message", 0],
      [2, "step", 0],
      [4, "step", 0],
      [6, "message", 1],
      [8, "step", 0],
      [9, "divider", 0],
    ]);
  });

  it("of several traces says where each begins", () => {
    const lines = conversation(table(["workflow", -1], ["llm", 0], ["workflow", -1]), [0, 1, 2]);
    expect(lines.map((line) => line.as)).toEqual(["divider", "message", "divider"]);
  });

  it("of a hundred thousand steps is found at once, also where each is inside the other", () => {
    const made = table(...Array.from({ length: 100_000 }, (_, i) => ["tool", i - 1] as [Kind, number]));
    const began = performance.now();
    expect(
      conversation(
        made,
        Array.from({ length: made.n }, (_, i) => i),
      ).at(-1)?.inside,
    ).toBe(65_535);
    expect(performance.now() - began).toBeLessThan(500);
  });

  it("shows of a prompt what is new, without instructions and results", () => {
    const items = [
      { role: "system", content: "s" },
      { role: "user", content: "a" },
      { type: "function_call", call_id: "c", name: "find", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: "found" },
      { role: "user", content: "b" },
    ];
    const texts = (said: Said[]) => said.map((one) => one.text);
    const later = spoken({ input: items, fresh: [[3, 2]], output: [{ role: "assistant", content: "ok" }] });
    expect([texts(later.before), texts(later.heard), texts(later.said)]).toEqual([[], ["b"], ["ok"]]);
    const first = spoken({ input: items, fresh: [[0, 5]] });
    expect(texts(first.before)).toEqual(["a"]);
    expect(texts(spoken({ input: items }).heard)).toEqual(["b"]);
    expect(texts(spoken({ input: "hi", output: "hello" }).said)).toEqual(["hello"]);
  });
});

describe("heights", () => {
  it("are guessed until they are known", () => {
    const heights = new Heights();
    heights.rows = [5, 6, 7];
    const guess = heights.offset(1);
    expect(heights.offset(3)).toBe(3 * guess);
    expect(heights.set(6, 10)).toBe(true);
    expect(heights.set(6, 10.4)).toBe(false);
    expect(heights.offset(2)).toBe(guess + 10);
    expect([heights.at(-5), heights.at(guess), heights.at(guess + 11), heights.at(1e9)]).toEqual([
      0, 1, 2, 2,
    ]);
  });

  it("stay with their rows when lines come between", () => {
    const heights = new Heights();
    heights.rows = [1, 3];
    heights.set(3, 10);
    heights.rows = [1, 2, 3];
    expect(heights.offset(3) - heights.offset(2)).toBe(10);
  });
});
