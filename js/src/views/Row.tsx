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
  const closed = view.closed.value.has(row);
  const status = STATUSES[col.status[row]];
  const kind = KINDS[col.kind[row]];
  const role = col.kind[row] === AGENT ? table.text("role", row) : "";
  return (
    <div
      id={`${id}-${row}`}
      role="row"
      class={`agtr-row agtr-s-${status} agtr-k-${kind}${chosen ? " agtr-on" : ""}`}
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
        <span class="agtr-about" dir="auto">
          {table.text("note", row)}
        </span>
      </div>
      <div role="gridcell" class="agtr-tokens">
        {tokens(view, row)}
      </div>
      <div role="gridcell" class="agtr-took">
        <Took view={view} row={row} />
      </div>
    </div>
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
function Took({ view, row }: { view: ViewState; row: number }) {
  const { col } = view.store.table;
  if (col.status[row] !== RUNNING || col.end[row] >= col.start[row])
    return <>{duration(col.end[row] - col.start[row])}</>;
  const ms = Math.floor((view.now.value - col.start[row]) / 100) * 100;
  return <span class="agtr-running">{duration(Math.max(ms, 0))}</span>;
}
