// What ran, as a graph: agents with their models and tools, and what leads from one agent to another.

import { type DeclaredAgent, KINDS, STATUSES } from "../wire";
import { type Table, TOP } from "./table";

const AGENT = KINDS.indexOf("agent");
const LLM = KINDS.indexOf("llm");
const TOOL = KINDS.indexOf("tool");
const HANDOFF = KINDS.indexOf("handoff");
const GUARDRAIL = KINDS.indexOf("guardrail");
const ERROR = STATUSES.indexOf("error");
const ARROW = " \u2192 ";

/** Something that steps were made by or led over. Without rows it was declared and not used. */
export interface Part {
  name: string;
  rows: number[];
  errors: number;
}

/** A model, tool or guardrail of an agent. */
export interface Item extends Part {
  kind: number;
  about: string;
  /** Guardrails: how often they tripped. */
  tripped: number;
  /** Tools: an agent ran in it. */
  leads: boolean;
}

export interface AgentNode extends Part {
  role: string;
  items: Item[];
  guardrails: Item[];
  /** How often a run began with it. */
  entries: number;
}

/** `handoff`: it handed over; `tool`: it called the other as a tool; `next`: a run of the other began after its own. */
export interface Edge extends Part {
  kind: "handoff" | "tool" | "next";
  from: number;
  to: number;
}

export interface RunGraph {
  agents: AgentNode[];
  edges: Edge[];
}

class Building implements RunGraph {
  readonly agents: AgentNode[] = [];
  readonly edges: Edge[] = [];
  #agents = new Map<string, number>();
  #parts = new Map<string, Part>();

  agent(name: string): number {
    let at = this.#agents.get(name);
    if (at === undefined) {
      at = this.agents.length;
      this.#agents.set(name, at);
      this.agents.push({ name, role: "", rows: [], errors: 0, items: [], guardrails: [], entries: 0 });
    }
    return at;
  }

  item(agent: number, kind: number, name: string): Item {
    return this.#part(`${agent} ${kind} ${name}`, () => {
      const item: Item = { name, kind, about: "", rows: [], errors: 0, tripped: 0, leads: false };
      const { items, guardrails } = this.agents[agent];
      (kind === GUARDRAIL ? guardrails : items).push(item);
      return item;
    });
  }

  edge(kind: Edge["kind"], from: number, to: number, name: string): Edge {
    return this.#part(`${kind} ${from} ${to} ${name}`, () => {
      const edge: Edge = { kind, from, to, name, rows: [], errors: 0 };
      this.edges.push(edge);
      return edge;
    });
  }

  #part<T extends Part>(key: string, make: () => T): T {
    const known = this.#parts.get(key) ?? make();
    this.#parts.set(key, known);
    return known as T;
  }
}

/** The graph of a run, over what was declared where that is known. */
export function runGraph(table: Table, declared: readonly DeclaredAgent[] = []): RunGraph {
  const { n, col } = table;
  const graph = new Building();
  const count = (part: Part, row: number) => {
    part.rows.push(row);
    if (col.status[row] === ERROR) part.errors++;
  };
  const above = (row: number, ...kinds: number[]) => {
    let at = col.parent[row];
    while (at !== TOP && !kinds.includes(col.kind[at])) at = col.parent[at];
    return at;
  };
  const agentOf = (row: number): number => {
    const said = table.text("agent", row);
    if (said) return graph.agent(said);
    const holder = above(row, AGENT);
    return graph.agent(holder === TOP ? "" : table.text("name", holder));
  };
  const path: number[] = []; // agents at the top and handoffs: what a run went through
  for (let row = 0; row < n; row++) {
    const kind = col.kind[row];
    const name = table.text("name", row);
    if (kind === AGENT) {
      const at = graph.agent(table.text("agent", row) || name);
      count(graph.agents[at], row);
      graph.agents[at].role ||= table.text("role", row);
      const holder = above(row, AGENT, TOOL);
      if (holder === TOP) path.push(row);
      else {
        const caller = agentOf(holder);
        const tool = col.kind[holder] === TOOL;
        if (tool) graph.item(caller, TOOL, table.text("name", holder)).leads = true;
        if (caller !== at) count(graph.edge("tool", caller, at, tool ? table.text("name", holder) : ""), row);
      }
    } else if (kind === LLM) count(graph.item(agentOf(row), LLM, table.text("model", row) || name), row);
    else if (kind === TOOL) count(graph.item(agentOf(row), TOOL, name), row);
    else if (kind === HANDOFF) path.push(row);
    else if (kind === GUARDRAIL) {
      const item = graph.item(agentOf(row), GUARDRAIL, name);
      count(item, row);
      if (table.text("note", row) === "tripped" || col.status[row] === ERROR) item.tripped++;
    }
  }
  follow(table, path, graph, agentOf, count);
  for (const agent of declared) declare(graph, agent);
  return graph;
}

function follow(
  table: Table,
  path: number[],
  graph: Building,
  agentOf: (row: number) => number,
  count: (part: Part, row: number) => void,
): void {
  const { start, end, kind } = table.col;
  const coming = new Map<number, number>();
  let last = TOP; // of the agents so far, the row that ended last
  path.sort((a, b) => start[a] - start[b] || a - b);
  for (const row of path) {
    const at = agentOf(row);
    if (kind[row] === HANDOFF) {
      const to = handedTo(table, row, graph.agents[at].name);
      if (!to) continue;
      const next = graph.agent(to);
      count(graph.edge("handoff", at, next, ""), row);
      coming.set(next, (coming.get(next) ?? 0) + 1);
      continue;
    }
    const expected = coming.get(at) ?? 0;
    if (expected > 0) coming.set(at, expected - 1);
    else {
      graph.agents[at].entries++;
      const before = last === TOP ? at : agentOf(last);
      if (before !== at && end[last] <= start[row]) count(graph.edge("next", before, at, ""), row);
    }
    if (last === TOP || !(end[row] <= end[last])) last = row;
  }
}

/** Whom a handoff went to: it is said in its name or beside it, after the giver's name. */
function handedTo(table: Table, row: number, from: string): string {
  for (const text of [table.text("name", row), table.text("note", row)]) {
    const to = text.startsWith(from + ARROW) ? text.slice((from + ARROW).length) : text.split(ARROW)[1];
    if (to && to !== "\u2026" && to !== "?") return to;
  }
  return "";
}

function declare(graph: Building, agent: DeclaredAgent): void {
  const at = graph.agent(agent.name);
  const node = graph.agents[at];
  node.role ||= agent.role ?? "";
  for (const tool of agent.tools ?? []) graph.item(at, TOOL, tool.name).about = tool.description ?? "";
  for (const guardrail of agent.guardrails ?? []) graph.item(at, GUARDRAIL, named(guardrail));
  for (const handoff of agent.handoffs ?? []) graph.edge("handoff", at, graph.agent(named(handoff)), "");
}

function named(one: unknown): string {
  if (typeof one === "string") return one;
  const { agent, name } = (one ?? {}) as { agent?: string; name?: string };
  return agent ?? name ?? "?";
}
