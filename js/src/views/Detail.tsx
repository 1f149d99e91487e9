// The pane beside the tree: what one step was asked, what it answered, why it failed; without a choice, the run.

import { useSignal } from "@preact/signals";
import { type ComponentChildren, Fragment } from "preact";
import { useEffect } from "preact/hooks";
import { type Content, type SpanErrorContent, visible } from "../core/content";
import { bytes, duration, grouped, usd } from "../core/format";
import { TOP } from "../core/table";
import { KINDS, STATUSES } from "../wire";
import type { ViewState } from "./state";
import { Value } from "./Value";

export function Detail({ view }: { view: ViewState }) {
  view.store.version.value;
  view.store.contents.value;
  const row = view.selected.value >= 0 ? view.selected.value : view.firstRow();
  const head = view.store.head.value;
  if (!head || row < 0) return <aside class="agtr-detail" aria-label="Details" />;
  const content = view.store.content(row);
  const incomplete = !content || content.clipped !== undefined || view.store.table.stale.has(row);
  return (
    <aside class="agtr-detail" aria-label="Details" tabIndex={0}>
      <Heading view={view} row={row} />
      <Facts view={view} row={row} content={content} />
      {incomplete && <Fetch view={view} row={row} content={content} />}
      {content && <Cards view={view} row={row} content={content} key={row} />}
    </aside>
  );
}

function Heading({ view, row }: { view: ViewState; row: number }) {
  const { table } = view.store;
  const kind = KINDS[table.col.kind[row]];
  const status = STATUSES[table.col.status[row]];
  return (
    <h3 class={`agtr-h agtr-k-${kind} agtr-s-${status}`}>
      <span dir="auto">{table.text("name", row)}</span>
      <span class="agtr-chip">{kind === "llm" ? "LLM call" : kind}</span>
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
  const facts: ComponentChildren[] = [];
  if (agent && agent !== name) facts.push(<>of {agent}</>);
  if (table.text("role", row)) facts.push(table.text("role", row));
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
        <Fragment key={i}>
          {i > 0 && " \u00b7 "}
          <span>{fact}</span>
        </Fragment>
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
  return (
    <p class="agtr-hint">
      {what}
      {size} {fate}.
    </p>
  );
}

function Cards({ view, row, content }: { view: ViewState; row: number; content: Content }) {
  const kind = KINDS[view.store.table.col.kind[row]];
  const [into, out] = kind === "tool" || kind === "mcp" ? ["arguments", "result"] : ["input", "output"];
  const hasAttributes = content.attributes && Object.keys(content.attributes).length > 0;
  return (
    <>
      {content.error && <ErrorCard error={content.error} />}
      {content.output !== undefined && (
        <Card title={out} copy={content.output}>
          <Value value={content.output} />
        </Card>
      )}
      {content.input !== undefined && (
        <Card title={into} copy={content.input}>
          <Value value={content.input} />
        </Card>
      )}
      {hasAttributes && (
        <Card title="attributes" copy={content.attributes}>
          <Value value={content.attributes} />
        </Card>
      )}
      {!content.error && content.output === undefined && content.input === undefined && !hasAttributes && (
        <p class="agtr-hint">Nothing went in or out of this step.</p>
      )}
    </>
  );
}

function ErrorCard({ error }: { error: SpanErrorContent }) {
  const more = useSignal(false);
  const text = [error.type, error.message].filter(Boolean).join(": ");
  return (
    <Card
      title={error.http_status ? `error \u00b7 HTTP ${error.http_status}` : "error"}
      copy={error.traceback ?? text}
      bad
    >
      <pre class="agtr-text">{visible(text)}</pre>
      {(error.chain ?? []).map((cause) => (
        <pre key={cause} class="agtr-text agtr-cause">
          {`caused by ${visible(cause)}`}
        </pre>
      ))}
      {error.traceback && !more.value && (
        <button
          type="button"
          class="agtr-link"
          onClick={() => {
            more.value = true;
          }}
        >
          traceback
        </button>
      )}
      {error.traceback && more.value && (
        <pre class="agtr-text agtr-cause" tabIndex={0}>
          {visible(error.traceback)}
        </pre>
      )}
    </Card>
  );
}

function Card(props: { title: string; copy: unknown; bad?: boolean; children: ComponentChildren }) {
  const copied = useSignal(false);
  const copy = async () => {
    const text = typeof props.copy === "string" ? props.copy : JSON.stringify(props.copy, null, 2);
    await navigator.clipboard?.writeText(text);
    copied.value = true;
    setTimeout(() => {
      copied.value = false;
    }, 1500);
  };
  return (
    <section class={`agtr-card${props.bad ? " agtr-card-bad" : ""}`}>
      <h4>
        <span>{props.title}</span>
        <button type="button" class="agtr-link" onClick={copy} aria-label={`Copy ${props.title}`}>
          {copied.value ? "copied" : "copy"}
        </button>
      </h4>
      <div class="agtr-card-body">{props.children}</div>
    </section>
  );
}
