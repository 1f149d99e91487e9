// One row: guides, mark, name, badges and figures. Its bar is on the canvas behind it.

import { count, duration, tokenPair } from "../core/format";
import { KINDS, STATUSES } from "../wire";
import { Mark } from "./Mark";
import { ROW_PX, type ViewState } from "./state";

const AGENT = KINDS.indexOf("agent");
const LLM = KINDS.indexOf("llm");
const RUNNING = STATUSES.indexOf("running");

interface Props {
  view: ViewState;
  id: string;
  /** Among the visible rows. */
  index: number;
  chosen: boolean;
}

export function Row({ view, id, index, chosen }: Props) {
  const { table } = view.store;
  const { col } = table;
  const layout = view.layout.value;
  const place = view.visible.value[index];
  const row = layout.order[place];
  const depth = layout.depth[place];
  const parent = layout.end[place] > place + 1;
  const closed = view.isClosed(row);
  const status = STATUSES[col.status[row]];
  const kind = KINDS[col.kind[row]];
  const role = col.kind[row] === AGENT ? table.text("role", row) : "";
  const note = table.text("note", row);
  return (
    <div
      id={`${id}-${row}`}
      role="row"
      class={`agtr-row agtr-s-${status} agtr-k-${kind}${chosen ? " agtr-on" : ""}${looks(view, row)}`}
      style={{ top: `${index * ROW_PX}px` }}
      aria-level={depth + 1}
      aria-rowindex={index + 1}
      aria-selected={chosen}
      aria-expanded={parent ? !closed : undefined}
      onClick={() => view.select(row)}
      onDblClick={() => parent && view.setOpen(row, closed)}
    >
      <div role="gridcell" class="agtr-name" style={{ "--d": Math.min(depth, 24) }}>
        {guides(Math.min(depth, 24))}
        <span
          class="agtr-twisty"
          aria-hidden="true"
          onClick={(event) => {
            if (!parent) return;
            event.stopPropagation();
            view.setOpen(row, closed);
          }}
        >
          {parent ? (closed ? "\u25b8" : "\u25be") : ""}
        </span>
        <Mark kind={col.kind[row]} status={col.status[row]} />
        <span class="agtr-label" dir="auto">
          {table.text("name", row)}
        </span>
        {role && <span class="agtr-role">{role}</span>}
        <Times view={view} place={place} />
        {note && (
          <span class="agtr-about" dir="auto">
            {note}
          </span>
        )}
        {!note && col.kind[row] !== AGENT && (
          <span class="agtr-about agtr-preview" dir="auto">
            {table.text("preview", row)}
          </span>
        )}
      </div>
      <div role="gridcell" class="agtr-tokens">
        {tokens(view, row)}
      </div>
      <div role="gridcell" class="agtr-took">
        <Took view={view} row={row} place={place} />
      </div>
    </div>
  );
}

/** Classes of what the reader looks for, and of what is beside the critical path. */
function looks(view: ViewState, row: number): string {
  const hit = view.search.hits.value?.[row] ? " agtr-hit" : "";
  const path = view.critical.value ? view.onPath.value : undefined;
  return hit + (path && !path[row] ? " agtr-off" : "");
}

// How often a call was made in a row: on the first while the others are closed, else each says which one it is.
function Times({ view, place }: { view: ViewState; place: number }) {
  const { order, repeats, nth } = view.layout.value;
  const row = order[place];
  if (nth[row] === 0) return null;
  const all = repeats.get(order[place - nth[row] + 1]);
  return (
    <span class="agtr-times">
      {view.isClosed(row) && nth[row] === 1 ? `\u00d7${all}` : `${nth[row]} of ${all}`}
    </span>
  );
}

function guides(depth: number) {
  return Array.from({ length: depth }, (_, level) => (
    <span key={level} class="agtr-guide" style={{ "--l": level }} aria-hidden="true" />
  ));
}

function tokens(view: ViewState, row: number): string {
  const { col } = view.store.table;
  if (col.kind[row] === LLM) return tokenPair(col.tokens_in[row], col.tokens_out[row]);
  const sum = view.layout.value.tokens[row];
  return col.kind[row] === AGENT && sum >= 0 ? `${count(sum)} tok` : "";
}

// Apart, so that only running rows are drawn anew as time passes.
function Took({ view, row, place }: { view: ViewState; row: number; place: number }) {
  const { col } = view.store.table;
  if (col.status[row] !== RUNNING || col.end[row] >= col.start[row]) {
    const all = view.isClosed(row) ? view.layout.value.repeats.get(row) : undefined;
    return <>{duration(all ? tookTogether(view, place, all) : col.end[row] - col.start[row])}</>;
  }
  const ms = Math.floor((view.now.value - col.start[row]) / 100) * 100;
  return <span class="agtr-running">{duration(Math.max(ms, 0))}</span>;
}

/** From the start of the first to the end of the last: they may have gone on at the same time. */
function tookTogether(view: ViewState, place: number, count: number): number {
  const { end, start } = view.store.table.col;
  const rows = view.layout.value.order.subarray(place, place + count);
  return rows.reduce((latest, row) => Math.max(latest, end[row]), 0) - start[rows[0]];
}
