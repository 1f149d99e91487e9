// A run as a conversation: which steps say something, in the order in which they are read. What they say is read when
// it is looked at: a run may have more of it than a browser should hold.

import { KINDS, STATUSES } from "../wire";
import { asItems, chat, earlier, type Said } from "./chat";
import type { Content } from "./content";
import { isItem } from "./json";
import { type Table, TOP } from "./table";

const WORKFLOW = KINDS.indexOf("workflow");
const AGENT = KINDS.indexOf("agent");
const TURN = KINDS.indexOf("turn");
const LLM = KINDS.indexOf("llm");
const TOOL = KINDS.indexOf("tool");
const HANDOFF = KINDS.indexOf("handoff");
const GUARDRAIL = KINDS.indexOf("guardrail");
const SPEECH = KINDS.indexOf("speech");
const ERROR = STATUSES.indexOf("error");

export interface Line {
  row: number;
  as: "message" | "call" | "handoff" | "verdict" | "run" | "step";
  /** How many tools it is inside of: an agent used as a tool is a thread of its own. */
  inside: number;
}

/** The steps that say something. `order` is the reading order of the rows; what is folded away may be left out. */
export function conversation(table: Table, order: ArrayLike<number>): Line[] {
  const { kind, parent, status } = table.col;
  const inside = threads(table);
  let runs = 0;
  for (let row = 0; row < table.n; row++) if (parent[row] === TOP && kind[row] === WORKFLOW) runs++;
  const lines: Line[] = [];
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    const as = part(row);
    if (as) lines.push({ row, as, inside: inside[row] });
  }
  return lines;

  function part(row: number): Line["as"] | undefined {
    switch (kind[row]) {
      case LLM:
        return "message";
      case TOOL:
        return "call";
      case HANDOFF:
        return "handoff";
      case GUARDRAIL:
        return "verdict";
      case SPEECH:
        return "step";
      case WORKFLOW:
        return runs > 1 && parent[row] === TOP ? "run" : undefined;
      case AGENT:
      case TURN:
        return undefined;
    }
    // Of all else, such as what is read from a session, only what went wrong.
    return status[row] === ERROR ? "step" : undefined;
  }
}

function threads(table: Table): Uint16Array {
  const { kind, parent } = table.col;
  const inside = new Uint16Array(table.n);
  const known = new Uint8Array(table.n);
  const way: number[] = [];
  for (let row = 0; row < table.n; row++) {
    let at = row;
    while (!known[at]) {
      way.push(at);
      known[at] = 1;
      if (parent[at] === TOP) break;
      at = parent[at];
    }
    while (way.length > 0) {
      const one = way.pop() as number;
      const above = parent[one];
      inside[one] = above === TOP ? 0 : Math.min(inside[above] + (kind[above] === TOOL ? 1 : 0), 0xffff);
    }
  }
  return inside;
}

export interface Spoken {
  /** A history that the run began with, such as that of a session. */
  before: Said[];
  /** What was said to the agent since: by users, or by the program. */
  heard: Said[];
  /** What the agent says; its calls are steps of their own. */
  said: Said[];
}

const NOT_SHOWN = new Set(["system", "developer", "tool result", "handoff"]);

/** What is said in one LLM call that was not said before. */
export function spoken(content: Content): Spoken {
  const prompt = asItems(content.input);
  const told = prompt ? chat(prompt) : text("user", content.input);
  const fresh = content.fresh;
  const isNew = ({ at }: Said) => !fresh || fresh.some(([first, count]) => first <= at && at < first + count);
  const border = earlier(told);
  const shown = (one: Said) => !NOT_SHOWN.has(one.role) && one.role !== "not here";
  const output = content.output;
  const answer = asItems(output);
  return {
    before: fresh ? told.slice(0, border).filter(isNew).filter(shown) : [],
    heard: told.slice(border).filter((one) => isNew(one) && shown(one) && one.role !== "tool call"),
    said: answer ? chat(answer) : text("assistant", output),
  };
}

function text(role: string, value: unknown): Said[] {
  if (value === undefined || value === null) return [];
  return [typeof value === "string" ? { role, text: value, at: 0 } : { role, value, at: 0 }];
}

/** Who handed over to whom. */
export function handover(content: Content | undefined, name: string): [string, string] {
  const { from_agent: from, to_agent: to } = content?.attributes ?? {};
  if (typeof from === "string" && typeof to === "string") return [from, to];
  const [left, right] = name.split(" \u2192 ");
  return right ? [left, right] : ["", name];
}

/** What a guardrail found. */
export function verdict(content: Content | undefined): unknown {
  const info = content?.attributes?.output_info;
  return isItem(info) && Object.keys(info).length === 0 ? undefined : info;
}
