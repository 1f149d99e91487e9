// The pane beside the panels: what one step was asked, what it answered, why it failed; without a choice, the run.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type Content, visible } from "../core/content";
import { above } from "../core/failure";
import { bytes, duration, grouped, usd } from "../core/format";
import { toJson } from "../core/json";
import { TOP } from "../core/table";
import { panels } from "../panels/arrival";
import { type DeclaredAgent, KINDS, STATUSES } from "../wire";
import { Acts } from "./Acts";
import type { CardProps, Look } from "./Card";
import { Failure } from "./Failure";
import { Frame } from "./Frame";
import type { ViewState } from "./state";
import { Text } from "./Text";

const TURN = KINDS.indexOf("turn");
const KIND_NAMES: Record<string, string> = { llm: "LLM call", mcp: "MCP" };

export function Detail({ view }: { view: ViewState }) {
  const look = useMemo(() => signal<Look>("read"), []);
  view.store.version.value;
  view.store.contents.value;
  const row = view.selected.value >= 0 ? view.selected.value : view.firstRow();
  const head = view.store.head.value;
  if (!head || row < 0) return <aside class="agtr-detail" aria-label="Details" />;
  const content = view.store.content(row);
  const part = content?.clipped !== undefined || content?.partial || view.store.table.stale.has(row);
  return (
    <aside class="agtr-detail" aria-label="Details" tabIndex={0}>
      <Heading view={view} row={row} />
      <Facts view={view} row={row} content={content} />
      {(!content || part) && <Fetch view={view} row={row} content={content} />}
      <Cards view={view} row={row} content={content ?? {}} look={look} here={!!content} key={row} />
      <Acts view={view} row={row} traceId={content?.trace_id} />
    </aside>
  );
}

function Heading({ view, row }: { view: ViewState; row: number }) {
  const { table } = view.store;
  const kind = KINDS[table.col.kind[row]];
  const status = STATUSES[table.col.status[row]];
  const role = table.text("role", row);
  return (
    <h3 class={`agtr-h agtr-k-${kind} agtr-s-${status}`}>
      {status === "error" && (
        <span class="agtr-bad" aria-hidden="true">
          {"\u2715"}
        </span>
      )}
      <span dir="auto">{table.text("name", row)}</span>
      <span class="agtr-chip">{KIND_NAMES[kind] ?? kind}</span>
      {role && kind === "agent" && (
        <span class="agtr-role" dir="auto">
          {role}
        </span>
      )}
      {status !== "ok" && <span class={`agtr-chip agtr-s-${status}`}>{status}</span>}
    </h3>
  );
}

function Facts({ view, row, content }: { view: ViewState; row: number; content: Content | undefined }) {
  const { table } = view.store;
  const { col } = table;
  const agent = table.text("agent", row);
  const name = table.text("name", row);
  const model = table.text("model", row);
  const running = STATUSES[col.status[row]] === "running";
  const turn = above(table, row, TURN);
  const facts: string[] = [];
  if (agent && agent !== name) facts.push(`of ${agent}`);
  if (turn !== TOP) facts.push(table.text("name", turn));
  if (model && model !== name) facts.push(model);
  facts.push(`started at ${duration(col.start[row] - view.axis.peek().from)}`);
  if (!running) facts.push(`took ${duration(col.end[row] - col.start[row])}`);
  const share = (col.end[row] - col.start[row]) / view.axis.peek().length;
  if (!running && col.parent[row] !== TOP && share >= 0.005)
    facts.push(`${Math.round(share * 100)} % of the run`);
  if (col.tokens_in[row] >= 0) facts.push(`${grouped(col.tokens_in[row])} tokens in`);
  if (content?.cached_tokens) facts.push(`${grouped(content.cached_tokens)} of them cached`);
  if (col.tokens_out[row] >= 0) facts.push(`${grouped(col.tokens_out[row])} out`);
  if (content?.reasoning_tokens) facts.push(`${grouped(content.reasoning_tokens)} for reasoning`);
  if (content?.ttft_s !== undefined) facts.push(`first token after ${duration(content.ttft_s * 1000)}`);
  if (col.cost[row] >= 0) facts.push(usd(col.cost[row]));
  return (
    <p class="agtr-facts">
      {facts.map((fact, i) => (
        <span key={i} dir="auto">
          {fact}
        </span>
      ))}
    </p>
  );
}

// A busy kernel answers when the cell has ended: this has no time limit and needs none.
function Fetch({ view, row, content }: { view: ViewState; row: number; content: Content | undefined }) {
  const { store } = view;
  useEffect(() => store.want(row), [row, content]);
  const what = content ? "The beginning. The whole" : "The content";
  const size = content?.clipped ? ` (${bytes(content.clipped)})` : "";
  const fate = store.connected.value ? "comes when the kernel answers" : "was not kept here";
  const preview = content ? "" : store.table.text("preview", row);
  return (
    <>
      {preview && (
        <p class="agtr-preview" dir="auto">
          {visible(preview)}
        </p>
      )}
      <p class="agtr-hint">
        {what}
        {size} {fate}.
      </p>
    </>
  );
}

// Until the cards that read what they show are here: the exact text.
function Card(props: CardProps) {
  const Full = panels.value?.Card;
  if (Full) return <Full {...props} />;
  const text = typeof props.value === "string" ? props.value : toJson(props.value);
  return (
    <Frame title={props.title} copy={() => text}>
      <Text text={text} />
    </Frame>
  );
}

interface CardsProps {
  view: ViewState;
  row: number;
  content: Content;
  look: Signal<Look>;
  /** Any of the content is here. */
  here: boolean;
}

function Cards({ view, row, content, look, here }: CardsProps) {
  const { table } = view.store;
  const kind = KINDS[table.col.kind[row]];
  const { input, output, error } = content;
  const failed = STATUSES[table.col.status[row]] === "error";
  const call = kind === "tool" || kind === "mcp";
  const [into, out] = call
    ? ["arguments", failed ? "what the model was told" : "result"]
    : ["input", "output"];
  const { call_id: _, ...rest } = content.attributes ?? {};
  const attributes = flat(rest);
  const agent =
    kind === "agent"
      ? view.store.head.value?.agents?.find((one) => one.name === table.text("agent", row))
      : undefined;
  const nothing = here && !failed && !agent && input === undefined && output === undefined && !attributes;
  return (
    <>
      {failed && <Failure view={view} row={row} error={error} />}
      {input !== undefined && <Card title={into} value={input} look={look} folded={kind === "llm"} />}
      {output !== undefined && <Card title={out} value={output} look={look} />}
      {agent?.instructions && <Card title="instructions" value={agent.instructions} look={look} />}
      {agent && <Card title="declared as" value={declared(agent)} look={look} />}
      {attributes && <Card title={kind === "llm" ? "call" : "attributes"} value={attributes} look={look} />}
      {nothing && <p class="agtr-hint">Nothing went in or out of this step.</p>}
    </>
  );
}

/** What is known of an agent's declaration, without what is shown elsewhere. */
function declared({ instructions: _, name: __, ...agent }: DeclaredAgent): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(agent).filter(([, its]) => its !== null && toJson(its, 9).length > 2),
  );
}

/** Attributes with the settings among them; undefined where there are none. */
function flat(attributes: Record<string, unknown>): Record<string, unknown> | undefined {
  const { model_settings: settings, ...rest } = attributes;
  const all = settings && typeof settings === "object" ? { ...rest, ...settings } : rest;
  return Object.keys(all).length > 0 ? all : undefined;
}
