import { describe, expect, it } from "vitest";
import { runGraph } from "../src/core/graph";
import { arranged } from "../src/core/graphlayout";
import { components, layers } from "../src/core/layers";
import { Table } from "../src/core/table";
import { decodeFrame } from "../src/wire";
import { goldenBytes } from "./golden";
import { type Made, made } from "./made";

const shown = (rows: Made[], declared?: Parameters<typeof runGraph>[1]) => {
  const { agents, edges } = runGraph(made(rows), declared);
  return {
    agents: agents.map((a) => `${a.name} ${a.rows.length}${a.entries ? ` begins ${a.entries}` : ""}`),
    edges: edges.map((e) => `${agents[e.from].name} ${e.kind} ${agents[e.to].name} ${e.rows.length}`),
    items: agents.flatMap((a) => a.items.map((i) => `${a.name}.${i.name} ${i.rows.length}/${i.errors}`)),
  };
};

describe("the graph of a run", () => {
  it("holds agents, what they used, handoffs and agents as tools", () => {
    const frame = decodeFrame(goldenBytes("whole.bin"));
    const table = new Table();
    table.apply(frame);
    const { agents, edges } = runGraph(table, frame.run.agents);
    expect(agents.map((a) => [a.name, a.role, a.entries])).toEqual([
      ["Planner", "planner", 1],
      ["Executor", "executor", 0],
      ["Evaluator", "evaluator", 0],
    ]);
    expect(agents[1].items.map((i) => [i.name, i.rows.length, i.errors, i.leads])).toEqual([
      ["gpt-4o", 2, 0, false],
      ["search_flights", 4, 0, false],
      ["book_flight", 1, 1, false],
      ["evaluate", 1, 0, true],
    ]);
    expect(agents[0].guardrails.map((g) => [g.name, g.tripped])).toEqual([["travel-only", 0]]);
    expect(edges.map((e) => [e.kind, e.from, e.to, e.name])).toEqual([
      ["tool", 1, 2, "evaluate"],
      ["handoff", 0, 1, ""],
    ]);
  });

  it("joins runs that follow each other, and not runs at the same time", () => {
    const after = shown([
      { kind: "agent", name: "A", agent: "A", start: 0, end: 10 },
      { kind: "agent", name: "B", agent: "B", start: 11, end: 20 },
      { kind: "agent", name: "A", agent: "A", start: 21, end: 30 },
      { kind: "agent", name: "A", agent: "A", start: 31, end: 40 },
    ]);
    expect(after.agents).toEqual(["A 3 begins 3", "B 1 begins 1"]);
    expect(after.edges).toEqual(["A next B 1", "B next A 1"]);
    const together = shown([
      { kind: "agent", name: "A", agent: "A", start: 0, end: 10 },
      { kind: "agent", name: "B", agent: "B", start: 5, end: 20 },
    ]);
    expect(together.edges).toEqual([]);
  });

  it("shows handoffs there and back with what failed, also of names with arrows in them", () => {
    const name = "A \u2192 b";
    const found = shown([
      { kind: "agent", name, agent: name, start: 0, end: 5 },
      { kind: "handoff", name: `${name} \u2192 C`, agent: name, parent: 0, start: 4 },
      { kind: "agent", name: "C", agent: "C", start: 5, end: 9 },
      {
        kind: "handoff",
        name: "handoff",
        note: `C \u2192 ${name}`,
        agent: "C",
        parent: 2,
        start: 8,
        status: "error",
      },
      { kind: "agent", name, agent: name, start: 9, end: 12 },
      {
        kind: "handoff",
        name: `${name} \u2192 \u2026`,
        agent: name,
        parent: 4,
        start: 11,
        status: "running",
      },
    ]);
    expect(found.edges).toEqual([`${name} handoff C 1`, `C handoff ${name} 1`]);
    expect(found.agents).toEqual([`${name} 2 begins 1`, "C 1"]);
  });

  it("lies over what was declared: what was not used is there without steps", () => {
    const found = shown(
      [
        { kind: "agent", name: "A", agent: "A", start: 0, end: 5 },
        { kind: "tool", name: "used", agent: "A", parent: 0 },
      ],
      [
        {
          name: "A",
          tools: [{ name: "unused" }, { name: "used" }],
          handoffs: ["B", { agent: "C" }],
          guardrails: [{ name: "g" }],
        },
      ],
    );
    expect(found.items).toEqual(["A.used 1/0", "A.unused 0/0"]);
    expect(found.agents).toEqual(["A 1 begins 1", "B 0", "C 0"]);
    expect(found.edges).toEqual(["A handoff B 0", "A handoff C 0"]);
  });

  it("is empty without agents, and steps outside agents belong to nobody", () => {
    expect(shown([{ kind: "workflow", name: "w" }]).agents).toEqual([]);
    expect(shown([{ kind: "tool", name: "t" }]).items).toEqual([".t 1/0"]);
  });
});

// ------------------------------------------------------------------------------------------------------- layout

/** A sequence that looks random and is always the same. */
function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * n);
  };
}

function anyGraph(n: number, links: number, seed: number) {
  const roll = dice(seed);
  const nodes = Array.from({ length: n }, () => ({ along: 100 + roll(100), across: 26 + roll(150) }));
  const found = [];
  for (let i = 0; i < links; i++) {
    const [from, to] = [roll(n), roll(n)];
    if (from !== to) found.push({ from, to, label: { along: 30 + roll(20), across: 18 } });
  }
  return { nodes, links: found };
}

describe("the layout", () => {
  const cases = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => anyGraph(3 + 4 * seed, 5 * seed, seed));

  it("puts no node or label upon another", () => {
    for (const { nodes, links } of cases) {
      const picture = layers(nodes, links);
      const boxes = [
        ...picture.nodes.map((p, i) => ({ ...p, ...{ w: nodes[i].along, h: nodes[i].across } })),
        ...picture.labels.map((p, i) => {
          const { along: w, across: h } = links[i].label;
          return { along: p.along - w / 2, across: p.across - h / 2, w, h };
        }),
      ];
      for (const [i, a] of boxes.entries()) {
        expect(a.along).toBeGreaterThanOrEqual(-0.001);
        expect(a.across).toBeGreaterThanOrEqual(-0.001);
        expect(a.along + a.w).toBeLessThanOrEqual(picture.size.along + 0.001);
        expect(a.across + a.h).toBeLessThanOrEqual(picture.size.across + 0.001);
        for (const b of boxes.slice(i + 1)) {
          const apart =
            a.along + a.w <= b.along + 0.001 ||
            b.along + b.w <= a.along + 0.001 ||
            a.across + a.h <= b.across + 0.001 ||
            b.across + b.h <= a.across + 0.001;
          expect(apart).toBe(true);
        }
      }
    }
  });

  it("leads each line from its node through its label to the other node", () => {
    for (const { nodes, links } of cases) {
      const picture = layers(nodes, links);
      for (const [i, line] of picture.lines.entries()) {
        const touches = (node: number, point: { along: number; across: number }) => {
          const box = picture.nodes[node];
          const sides = [box.along, box.along + nodes[node].along];
          expect(Math.min(...sides.map((side) => Math.abs(side - point.along)))).toBeLessThan(0.001);
          expect(point.across).toBeGreaterThan(box.across);
          expect(point.across).toBeLessThan(box.across + nodes[node].across);
        };
        touches(links[i].from, line[0]);
        touches(links[i].to, line[line.length - 1]);
        expect(line.some((point) => Math.abs(point.across - picture.labels[i].across) < 0.001)).toBe(true);
      }
    }
  });

  it("gives the same picture each time, and one of 200 nodes at once", () => {
    const { nodes, links } = anyGraph(200, 300, 9);
    const begun = performance.now();
    const picture = layers(nodes, links);
    expect(performance.now() - begun).toBeLessThan(1500);
    expect(layers(nodes, links)).toEqual(picture);
  });

  it("lets a plain chain flow in one direction", () => {
    const nodes = Array.from({ length: 4 }, () => ({ along: 100, across: 30 }));
    const links = [0, 1, 2].map((i) => ({ from: i, to: i + 1, label: { along: 20, across: 18 } }));
    const { nodes: places } = layers(nodes, links);
    expect(places.map((p) => p.across)).toEqual([0, 0, 0, 0]);
    for (let i = 1; i < 4; i++) expect(places[i].along).toBeGreaterThan(places[i - 1].along + 100);
  });

  it("knows what hangs together", () => {
    expect(
      components(5, [
        { from: 3, to: 1 },
        { from: 4, to: 3 },
      ]),
    ).toEqual([[0], [1, 3, 4], [2]]);
  });
});

describe("the arrangement", () => {
  const chain = (n: number) => {
    const rows: Made[] = [];
    for (let i = 0; i < n; i++) {
      const agent = `agent ${i}`;
      rows.push({ kind: "agent", name: agent, agent, start: 10 * i, end: 10 * i + 9 });
      rows.push({
        kind: "handoff",
        name: `${agent} \u2192 agent ${i + 1}`,
        agent,
        parent: 2 * i,
        start: 10 * i + 8,
      });
    }
    return runGraph(made(rows));
  };

  it("flows to the right where there is room, else downwards", () => {
    expect(arranged(chain(2), 900).flow).toBe("right");
    const narrow = arranged(chain(8), 500);
    expect(narrow.flow).toBe("down");
    expect(narrow.width).toBeLessThan(500);
  });

  it("lets what does not hang together wrap like words", () => {
    const rows = Array.from({ length: 10 }, (_, i): Made => {
      return { kind: "agent", name: `Worker ${i}`, agent: `Worker ${i}`, start: i, end: 100 };
    });
    const { boxes, width, entries } = arranged(runGraph(made(rows)), 700);
    expect(width).toBeLessThanOrEqual(700);
    expect(new Set(boxes.map((box) => box.y)).size).toBeGreaterThan(1);
    expect(entries.every(Boolean)).toBe(true);
  });
});
