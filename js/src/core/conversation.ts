// A run as a conversation: which steps say something, in the order in which they are read. What they say is read when
// it is looked at: a run may have more of it than a browser should hold.

import { KINDS, STATUSES } from "../wire";
import { asItems, chat, earlier, type Said } from "./chat";
import type { Content } from "./content";
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
  as: "message" | "step" | "divider";
  /** How many tools it is inside of: an agent used as a tool is a thread of its own. */
  inside: number;
  /** Numbers the agents, in the order in which they first speak. */
  voice: number;
  /** Of a message: its calls are steps of their own, which come next. */
  calls: boolean;
}

/** The steps that say something. `order` is the reading order of the rows; what is folded away may be left out. */
export function conversation(table: Table, order: ArrayLike<number>): Line[] {
  const { kind, parent, status, agent } = table.col;
  const inside = threads(table);
  let runs = 0;
  for (let row = 0; row < table.n; row++) if (parent[row] === TOP && kind[row] === WORKFLOW) runs++;
  const part = (row: number): Line["as"] | undefined => {
    const its = kind[row];
    if (its === LLM) return "message";
    if (its === HANDOFF || (its === WORKFLOW && runs > 1 && parent[row] === TOP)) return "divider";
    if (its === WORKFLOW || its === AGENT || its === TURN) return undefined;
    // Of what is beside the conversation, such as reading from a session, only what went wrong.
    return its === TOOL || its === GUARDRAIL || its === SPEECH || status[row] === ERROR ? "step" : undefined;
  };
  const voices = new Map<number, number>();
  const lines: Line[] = [];
  let verdicts: Line[] = [];
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    const as = part(row);
    if (!as) continue;
    if (!voices.has(agent[row])) voices.set(agent[row], voices.size);
    const line = { row, as, inside: inside[row], voice: voices.get(agent[row]) ?? 0, calls: false };
    const next = order[i + 1];
    if (as === "message" && parent[next] === parent[row])
      line.calls = kind[next] === TOOL || kind[next] === HANDOFF;
    // A guardrail looks at what was said to the agent before the agent is asked: it is read after it.
    if (kind[row] === GUARDRAIL) {
      verdicts.push(line);
      continue;
    }
    if (as === "message" && agent[row] === agent[verdicts[0]?.row]) lines.push(line, ...verdicts);
    else lines.push(...verdicts, line);
    verdicts = [];
  }
  return [...lines, ...verdicts];
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

const known = new WeakMap<Content, Spoken>();

/** What is said in one LLM call that was not said before; worked out once. */
export function spoken(content: Content): Spoken {
  let found = known.get(content);
  if (!found) {
    found = said(content);
    known.set(content, found);
  }
  return found;
}

function said(content: Content): Spoken {
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
