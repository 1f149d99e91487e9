// Where boxes, labels and lines of a run's graph stand, in px.

import type { AgentNode, RunGraph } from "./graph";
import { components, layers } from "./layers";

/** `right`: what follows stands to the right; `down`: below. */
export type Flow = "right" | "down";

export interface Drawn {
  flow: Flow;
  width: number;
  height: number;
  boxes: { x: number; y: number; w: number; h: number }[];
  /** For each agent whether a mark shows that runs begin with it. */
  entries: boolean[];
  /** Middle of each edge's label. */
  labels: Point[];
  lines: Point[][];
}

export interface Point {
  x: number;
  y: number;
}

/** Sizes that the styles rely on. */
export const BOX = { head: 26, item: 20, items: 12, pad: 5, least: 128, most: 236, margin: 16 };
const LABEL = { across: 18, letter: 7, pad: 14 };
const LETTER_PX = 6.9;
const WIDE = /[\u1100-\uffdc]/g;
const GAP = 26;

/** Arranges a graph for a width: to the right where there is room for it, else downwards. */
export function arranged(graph: RunGraph, width: number): Drawn {
  const right = flowing(graph, width, "right");
  if (right.width <= width) return right;
  const down = flowing(graph, width, "down");
  return down.width < right.width ? down : right;
}

function flowing(graph: RunGraph, room: number, flow: Flow): Drawn {
  const sizes = graph.agents.map(boxSize);
  const drawn: Drawn = {
    flow,
    width: 1,
    height: 1,
    boxes: sizes.map((size) => ({ x: 0, y: 0, ...size })),
    entries: graph.agents.map(
      (agent, i) => agent.entries > 0 && !graph.edges.some((edge) => edge.kind === "next" && edge.to === i),
    ),
    labels: graph.edges.map(() => ({ x: 0, y: 0 })),
    lines: graph.edges.map(() => []),
  };
  const [along, across] = flow === "right" ? (["w", "h"] as const) : (["h", "w"] as const);
  // Groups that hang together stand beside each other as long as there is room, like words.
  let [x, y, high] = [0, 0, 0];
  for (const members of components(graph.agents.length, graph.edges)) {
    const inside = [...graph.edges.keys()].filter((i) => members.includes(graph.edges[i].from));
    const links = inside.map((i) => {
      const { from, to, rows, errors } = graph.edges[i];
      const letters = errors ? `x${errors} x${rows.length}` : `x${rows.length}`;
      const long = letters.length * LABEL.letter + LABEL.pad;
      const label =
        flow === "right" ? { along: long, across: LABEL.across } : { along: LABEL.across, across: long };
      return { from: members.indexOf(from), to: members.indexOf(to), label };
    });
    const found = layers(
      members.map((i) => ({ along: sizes[i][along], across: sizes[i][across] })),
      links,
    );
    const [w, h] =
      flow === "right" ? [found.size.along, found.size.across] : [found.size.across, found.size.along];
    if (x > 0 && x + w > room) [x, y, high] = [0, y + high + GAP, 0];
    const place = (p: { along: number; across: number }): Point =>
      flow === "right" ? { x: x + p.along, y: y + p.across } : { x: x + p.across, y: y + p.along };
    for (const [k, i] of members.entries()) Object.assign(drawn.boxes[i], place(found.nodes[k]));
    for (const [k, i] of inside.entries()) {
      drawn.labels[i] = place(found.labels[k]);
      drawn.lines[i] = found.lines[k].map(place);
    }
    drawn.width = Math.max(drawn.width, x + w);
    drawn.height = Math.max(drawn.height, y + h);
    high = Math.max(high, h);
    x += w + GAP;
  }
  return drawn;
}

function boxSize(agent: AgentNode): { w: number; h: number } {
  const shown = Math.min(agent.items.length, BOX.items + 1);
  const title =
    letters(agent.name) + (agent.role ? letters(agent.role) + 3 : 0) + 3 * agent.guardrails.length;
  const longest = Math.max(title, ...agent.items.map((item) => letters(item.name) + (item.leads ? 2 : 0)));
  const w = Math.min(Math.max(longest * LETTER_PX + 68, BOX.least), BOX.most);
  return { w: Math.round(w), h: BOX.head + shown * BOX.item + (shown ? BOX.pad : 0) };
}

const letters = (text: string) => text.length + (text.match(WIDE)?.length ?? 0);
