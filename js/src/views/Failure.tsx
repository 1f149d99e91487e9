// The true error of a step, what lay behind it, and where it came from.

import { useSignal } from "@preact/signals";
import { type SpanErrorContent, visible } from "../core/content";
import { began, repeated, told } from "../core/failure";
import { duration } from "../core/format";
import { KINDS } from "../wire";
import { Frame } from "./Frame";
import type { ViewState } from "./state";
import { Text } from "./Text";

const FEW = 5;
const FIRST_LIMIT = 4_000;

interface Props {
  view: ViewState;
  row: number;
  error: SpanErrorContent | undefined;
}

export function Failure({ view, row, error }: Props) {
  const open = useSignal(false);
  const text = [error?.type, error?.message].filter(Boolean).join(": ");
  const status = error?.http_status ? ` \u00b7 HTTP ${error.http_status}` : "";
  return (
    <Frame
      title={`error${status}`}
      copy={() => [text, ...(error?.chain ?? []), error?.traceback ?? ""].join("\n").trim()}
      bad
    >
      <Text text={text || "No reason is known."} />
      {error?.chain?.map((cause, i) => (
        <pre key={i} class="agtr-text agtr-cause" dir="auto">
          {`caused by ${visible(cause.slice(0, FIRST_LIMIT))}`}
        </pre>
      ))}
      <Whence view={view} row={row} />
      {error?.traceback && (
        <button
          type="button"
          class="agtr-link"
          aria-expanded={open.value}
          onClick={() => {
            open.value = !open.value;
          }}
        >
          traceback
        </button>
      )}
      {error?.traceback && open.value && (
        <pre class="agtr-text agtr-cause" tabIndex={0}>
          {visible(error.traceback)}
        </pre>
      )}
    </Frame>
  );
}

// Where it began, if that is further down; else who repeats it, and which call of the model was told.
function Whence({ view, row }: { view: ViewState; row: number }) {
  const { table } = view.store;
  const from = began(view.layout.value, row);
  const kind = KINDS[table.col.kind[row]];
  const heard = from.length === 0 && (kind === "tool" || kind === "mcp") ? told(table, row) : -1;
  return (
    <>
      <Steps view={view} word="began in" rows={from} />
      {from.length === 0 && <Steps view={view} word="repeated by" rows={repeated(table, row)} />}
      <Steps view={view} word="told to" rows={heard < 0 ? [] : [heard]} />
    </>
  );
}

function Steps({ view, word, rows }: { view: ViewState; word: string; rows: number[] }) {
  if (rows.length === 0) return null;
  const { table } = view.store;
  return (
    <p class="agtr-whence">
      {word}{" "}
      {rows.slice(0, FEW).map((row, i) => (
        <span key={row}>
          {i > 0 && ", "}
          <button type="button" class="agtr-link" dir="auto" onClick={() => view.show(row)}>
            {table.text("name", row)}
          </button>
          {` at ${duration(table.col.start[row] - view.axis.peek().from)}`}
        </span>
      ))}
      {rows.length > FEW && ` and ${rows.length - FEW} more`}
    </p>
  );
}
