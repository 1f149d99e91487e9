// One step as part of a conversation.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Said } from "../core/chat";
import { type Content, visible } from "../core/content";
import { handover, type Line, spoken, verdict } from "../core/conversation";
import { above } from "../core/failure";
import { duration } from "../core/format";
import { toJson } from "../core/json";
import { KINDS, STATUSES } from "../wire";
import { Body, Chat } from "./Chat";
import type { ViewState } from "./state";
import { Arguments, Data, oneLine, Text } from "./Value";

const TOOL = KINDS.indexOf("tool");
const FIRST_LIMIT = 1_200;

interface Props {
  view: ViewState;
  line: Line;
  /** The one after it. */
  next: Line | undefined;
  /** The agent's colour. */
  colour: number;
}

export function Spoken(props: Props) {
  switch (props.line.as) {
    case "message":
      return <AgentMessage {...props} />;
    case "call":
      return <ToolCall {...props} />;
    case "handoff":
      return <Handover {...props} />;
    case "verdict":
      return <Verdict {...props} />;
    case "run":
      return (
        <Divider view={props.view} line={props.line}>
          {props.view.store.table.text("name", props.line.row)}
        </Divider>
      );
    default:
      return <Step {...props} />;
  }
}

function AgentMessage({ view, line, next, colour }: Props) {
  const { store } = view;
  const { table } = store;
  const { row } = line;
  const content = store.content(row);
  const { before, heard, said } = content ? spoken(content) : { before: [], heard: [], said: [] };
  const agent = table.text("agent", row) || "model";
  const role = table.text("role", row);
  const follows = next !== undefined && table.col.parent[next.row] === table.col.parent[row];
  // A call that is a step of its own comes next.
  const own = said.filter(
    (one) => one.role !== "handoff" && (one.role !== "tool call" || one.result || !follows),
  );
  return (
    <>
      {before.length > 0 && <History said={before} />}
      {heard
        .filter((one) => !isAsked(view, row, one))
        .map((one, i) => (
          <div key={i} class={`agtr-say agtr-r-${one.role.replace(/\W+/g, "-").slice(0, 40)}`}>
            <p class="agtr-from">
              <b>{visible(one.role)}</b> <span dir="auto">to {agent}</span>
            </p>
            <Words said={one} />
          </div>
        ))}
      <div class={`agtr-say agtr-a${colour}`}>
        <p class="agtr-from">
          <b dir="auto">{agent}</b>
          {role && (
            <span class="agtr-role" dir="auto">
              {role}
            </span>
          )}
          <When view={view} row={row} />
        </p>
        {own.map((one, i) => (
          <Words key={i} said={one} />
        ))}
        {!content && <Preview view={view} row={row} />}
        <Wrong view={view} row={row} content={content} />
      </div>
    </>
  );
}

/** An agent used as a tool is asked with the arguments that stand above it already. */
function isAsked(view: ViewState, row: number, said: Said): boolean {
  const { store } = view;
  const tool = above(store.table, row, TOOL);
  const asked = tool < 0 ? undefined : store.content(tool)?.input;
  return (
    typeof said.text === "string" &&
    asked !== undefined &&
    toJson(asked, 20_000).includes(JSON.stringify(said.text).slice(1, -1).slice(0, 200))
  );
}

function History({ said }: { said: Said[] }) {
  const open = useSignal(false);
  return (
    <div class="agtr-say">
      <button
        type="button"
        class="agtr-earlier"
        aria-expanded={open.value}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        {said.length} earlier messages
      </button>
      {open.value && <Chat said={said} />}
    </div>
  );
}

function Words({ said }: { said: Said }) {
  const { role, name, result } = said;
  if (role === "tool call") {
    return (
      <p class="agtr-call">
        <b dir="auto">{visible(name ?? "")}</b> <Arguments value={said.value ?? said.text} />
        {result && (
          <span class="agtr-told" dir="auto">
            {oneLine(result.text ?? result.value ?? result.media?.join(", "))}
          </span>
        )}
      </p>
    );
  }
  const odd = role === "reasoning" || role === "refusal";
  return (
    <div class={odd ? `agtr-${role}` : undefined}>
      {odd && <span class="agtr-who">{role}</span>}
      <Body said={said} limit={FIRST_LIMIT} />
    </div>
  );
}

function ToolCall({ view, line, colour }: Props) {
  const { table } = view.store;
  const { row } = line;
  const open = useSignal(false);
  const content = view.store.content(row);
  const { input, output } = content ?? {};
  const failed = STATUSES[table.col.status[row]] === "error";
  return (
    <div class={`agtr-say agtr-a${colour}`}>
      <p class={`agtr-call${failed ? " agtr-failed" : ""}`}>
        <button
          type="button"
          class="agtr-twisty"
          aria-expanded={open.value}
          aria-label={`Arguments and result of ${table.text("name", row)}`}
          onClick={() => {
            open.value = !open.value;
          }}
        >
          {open.value ? "\u25be" : "\u25b8"}
        </button>
        <b dir="auto">{table.text("name", row)}</b>
        {!open.value && (
          <span class="agtr-args">
            <Arguments value={input} />
          </span>
        )}
        <When view={view} row={row} />
      </p>
      {open.value ? (
        <div class="agtr-result">
          {input !== undefined && <Data value={input} />}
          {output !== undefined && (
            <>
              <span class="agtr-who">{failed ? "what the model was told" : "result"}</span>
              <Data value={output} />
            </>
          )}
        </div>
      ) : (
        output !== undefined && (
          <p class="agtr-told" dir="auto">
            {oneLine(output)}
          </p>
        )
      )}
      {!content && <Preview view={view} row={row} />}
      <Wrong view={view} row={row} content={content} />
    </div>
  );
}

function Handover({ view, line }: Props) {
  const { store } = view;
  const [from, to] = handover(store.content(line.row), store.table.text("name", line.row));
  return (
    <Divider view={view} line={line}>
      {from ? (
        <>
          <b dir="auto">{visible(from.slice(0, 200))}</b> handed over to{" "}
          <b dir="auto">{visible(to.slice(0, 200))}</b>
        </>
      ) : (
        visible(to)
      )}
      <Wrong view={view} row={line.row} content={store.content(line.row)} />
    </Divider>
  );
}

function Divider({ children }: { view: ViewState; line: Line; children: ComponentChildren }) {
  return (
    <div class="agtr-divider">
      <span dir="auto">{children}</span>
    </div>
  );
}

function Verdict({ view, line }: Props) {
  const { table } = view.store;
  const content = view.store.content(line.row);
  const info = verdict(content);
  const tripped = content?.attributes?.triggered === true;
  return (
    <div class="agtr-say agtr-k-guardrail">
      <p class={`agtr-call${tripped ? " agtr-failed" : ""}`}>
        guardrail <b dir="auto">{table.text("name", line.row)}</b>{" "}
        {table.text("note", line.row) || (tripped ? "tripped" : "")}
        <When view={view} row={line.row} />
      </p>
      {info !== undefined && info !== null && (
        <p class="agtr-told" dir="auto">
          {oneLine(info)}
        </p>
      )}
      <Wrong view={view} row={line.row} content={content} />
    </div>
  );
}

function Step({ view, line, colour }: Props) {
  const { table } = view.store;
  const content = view.store.content(line.row);
  return (
    <div class={`agtr-say agtr-a${colour}`}>
      <p class="agtr-call">
        {KINDS[table.col.kind[line.row]]} <b dir="auto">{table.text("name", line.row)}</b>
        <When view={view} row={line.row} />
      </p>
      {typeof content?.output === "string" && <Text text={content.output} first={FIRST_LIMIT} />}
      <Wrong view={view} row={line.row} content={content} />
    </div>
  );
}

function When({ view, row }: { view: ViewState; row: number }) {
  const { start, end } = view.store.table.col;
  return (
    <span class="agtr-when">
      {duration(start[row] - view.axis.peek().from)}
      <i>{end[row] >= start[row] ? duration(end[row] - start[row]) : "running"}</i>
    </span>
  );
}

function Preview({ view, row }: { view: ViewState; row: number }) {
  const { store } = view;
  const line = store.table.text("preview", row);
  return (
    <p class="agtr-told" dir="auto">
      {line ? visible(line) : store.connected.value ? "\u2026" : "This was not kept here."}
    </p>
  );
}

function Wrong({ view, row, content }: { view: ViewState; row: number; content: Content | undefined }) {
  const { table } = view.store;
  const status = STATUSES[table.col.status[row]];
  if (status === "ok" || status === "running") return null;
  const { type, message } = content?.error ?? {};
  const text = [type, message].filter(Boolean).join(": ") || table.text("note", row);
  return (
    <p class="agtr-wrong" dir="auto">
      <span aria-hidden="true">{status === "error" ? "\u2715" : "\u2298"}</span> <b>{status}</b>{" "}
      {oneLine(text)}
    </p>
  );
}
