// One step as part of a conversation.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Said } from "../core/chat";
import { visible } from "../core/content";
import { type Line, spoken } from "../core/conversation";
import { above } from "../core/failure";
import { duration } from "../core/format";
import { toJson } from "../core/json";
import { KINDS, STATUSES } from "../wire";
import { Chat, Message } from "./Chat";
import type { ViewState } from "./state";
import { Data, oneLine, oneLineOf } from "./Value";

const AGENT = KINDS.indexOf("agent");
const TOOL = KINDS.indexOf("tool");

interface Props {
  view: ViewState;
  line: Line;
}

export function Spoken(props: Props) {
  const { view, line } = props;
  if (line.as === "message") return <AgentMessage {...props} />;
  if (line.as === "step") return <Step {...props} />;
  const name = view.store.table.text("name", line.row);
  const { from_agent: from, to_agent: to } = view.store.content(line.row)?.attributes ?? {};
  return (
    <div class="agtr-divider">
      <span dir="auto">{from && to ? `${oneLine(from)} handed over to ${oneLine(to)}` : name}</span>
    </div>
  );
}

function AgentMessage({ view, line }: Props) {
  const { row } = line;
  const { store } = view;
  const { table } = store;
  const content = store.content(row);
  const { before, heard, said } = spoken(content ?? {});
  const agent = table.text("agent", row) || "model";
  const owner = above(table, row, AGENT);
  const own = said.filter(
    ({ role, result }) => role !== "handoff" && (role !== "tool call" || result || !line.calls),
  );
  return (
    <>
      {before.length > 0 && (
        <div class="agtr-say">
          <Chat said={before} earlier={before.length} />
        </div>
      )}
      {heard
        .filter((one) => !isAsked(view, row, one))
        .map((one, i) => (
          <div key={i} class="agtr-say agtr-heard">
            <p class="agtr-from">
              <b>{visible(one.role)}</b> <span dir="auto">to {agent}</span>
            </p>
            <Message said={one} bare />
          </div>
        ))}
      <Say
        view={view}
        line={line}
        head={
          <>
            <b dir="auto">{agent}</b>
            {owner >= 0 && table.col.role[owner] > 0 && (
              <span class="agtr-role" dir="auto">
                {table.text("role", owner)}
              </span>
            )}
          </>
        }
      >
        {own.map((one, i) => (
          <Message key={i} said={one} bare={one.role === "assistant"} />
        ))}
      </Say>
    </>
  );
}

/** An agent used as a tool is asked with the arguments that stand above it already. */
function isAsked(view: ViewState, row: number, { text }: Said): boolean {
  const tool = above(view.store.table, row, TOOL);
  const asked = tool < 0 ? undefined : view.store.content(tool)?.input;
  return (
    text !== undefined &&
    asked !== undefined &&
    toJson(asked, 9_000).includes(toJson(text).slice(1, 200).replace(/"$/, ""))
  );
}

/** A call, a verdict or another step: what it was given and what came of it, folded. */
function Step({ view, line }: Props) {
  const { row } = line;
  const { table } = view.store;
  const open = useSignal(false);
  const { input, output, attributes } = view.store.content(row) ?? {};
  const kind = KINDS[table.col.kind[row]];
  const failed = STATUSES[table.col.status[row]] === "error";
  const result = output ?? (failed ? undefined : attributes?.output_info);
  const head = (
    <>
      <button
        type="button"
        class="agtr-twisty"
        aria-expanded={open.value}
        aria-label={`Open ${table.text("name", row)}`}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        {open.value ? "\u25be" : "\u25b8"}
      </button>
      {kind !== "tool" && <span>{kind}</span>}
      <b class={`agtr-called${failed ? " agtr-bad" : ""}`} dir="auto">
        {table.text("name", row)}
      </b>
      {!open.value && (
        <span class="agtr-args" dir="auto">
          {input === undefined ? !failed && table.text("note", row) : oneLineOf(input)}
        </span>
      )}
    </>
  );
  return (
    <Say view={view} line={line} head={head}>
      {open.value ? (
        <div class="agtr-result">
          {input !== undefined && <Data value={input} />}
          <span class="agtr-who">{failed ? "what the model was told" : "result"}</span>
          {result !== undefined && <Data value={result} />}
        </div>
      ) : (
        result !== undefined && (
          <p class="agtr-told" dir="auto">
            {oneLine(result)}
          </p>
        )
      )}
    </Say>
  );
}

interface SayProps {
  view: ViewState;
  line: Line;
  head: ComponentChildren;
  children: ComponentChildren;
}

/** What one agent says or does: at the side when, below it what went wrong. */
function Say({ view, line, head, children }: SayProps) {
  const { store } = view;
  const { row, voice } = line;
  const { start, end, status } = store.table.col;
  const word = STATUSES[status[row]];
  const content = store.content(row);
  const preview = store.table.text("preview", row);
  return (
    <div class={`agtr-say agtr-a${voice % 6}`}>
      <p class="agtr-from">
        {head}
        <span class="agtr-when">
          {duration(start[row] - view.axis.peek().from)}
          <i>{end[row] >= start[row] ? duration(end[row] - start[row]) : "running"}</i>
        </span>
      </p>
      {children}
      {!content && (
        <p class="agtr-told" dir="auto">
          {visible(preview) || (store.connected.value ? "\u2026" : "This was not kept here.")}
        </p>
      )}
      {word !== "ok" && word !== "running" && (
        <p class={word === "error" ? "agtr-bad" : "agtr-warn"} dir="auto">
          <b>{`${word === "error" ? "\u2715" : "\u2298"} ${word}`}</b>{" "}
          {oneLine([content?.error?.type, content?.error?.message].filter(Boolean).join(": "))}
        </p>
      )}
    </div>
  );
}
