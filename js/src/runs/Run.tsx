// One run of the list.

import { type ColumnSpec, words } from "./columns";
import { figure, UNKNOWN } from "./list";
import { type ListState, ROW_PX } from "./state";
import { fully, when } from "./when";

// Shape beside colour, as in the static twin.
const MARKS = {
  running: "\u2026",
  ok: "\u2713",
  error: "\u2715",
  cancelled: "\u2298",
  interrupted: "\u26a1\ufe0e",
};
const STANDING = {
  running: "running",
  ok: "completed",
  error: "error",
  cancelled: "cancelled",
  interrupted: "interrupted",
};

interface Props {
  view: ListState;
  columns: ColumnSpec[];
  id: string;
  row: number;
  /** Its index among the rows shown. */
  at: number;
  chosen: boolean;
  /** Median latency of the runs shown, ms. */
  median: number;
}

export function Run({ view, columns, id, row, at, chosen, median }: Props) {
  const list = view.list.value;
  const status = list.status(row);
  const click = () => {
    view.headed.value = -1;
    view.chosen.value = row;
    view.open(row);
  };
  return (
    <div
      id={`${id}-${row}`}
      role="row"
      class={`agtr-run agtr-s-${status}${chosen ? " agtr-on" : ""}`}
      style={{ top: `${at * ROW_PX}px` }}
      aria-rowindex={at + 2}
      aria-selected={chosen}
      onClick={click}
    >
      {columns.map(({ name, right }, column) => (
        <div
          key={name}
          role="gridcell"
          aria-colindex={column + 1}
          class={`agtr-c-${name}${right ? " agtr-right" : ""}`}
          title={tooltip(view, name, row)}
        >
          {name === "status" ? (
            <>
              <span class="agtr-run-mark" aria-hidden="true">
                {MARKS[status]}
              </span>
              <span class="agtr-run-word">{STANDING[status]}</span>
            </>
          ) : name === "latency" ? (
            <Latency of={list.number("latency", row)} full={list.fullBar} median={median} />
          ) : (
            <Words view={view} name={name} row={row} />
          )}
        </div>
      ))}
    </div>
  );
}

function Words({ view, name, row }: { view: ListState; name: ColumnSpec["name"]; row: number }) {
  const list = view.list.value;
  const text = name === "started" ? when(list.number(name, row), view.now) : words(list, name, row);
  const cls =
    text === UNKNOWN ? "agtr-unknown" : name === "errors" && text !== "0" ? "agtr-list-bad" : undefined;
  return (
    <span class={cls} dir="auto">
      {text}
      {text === UNKNOWN && <span class="agtr-said"> not known</span>}
    </span>
  );
}

// The figure, and a bar on a scale that all rows share.
function Latency({ of, full, median }: { of: number; full: number; median: number }) {
  const share = (value: number) => `${Math.min(100, (100 * value) / full)}%`;
  return (
    <>
      <span class={of >= 0 ? undefined : "agtr-unknown"}>{figure("latency", of)}</span>
      {full > 0 && (
        <span class={`agtr-run-bar${of > full ? " agtr-over" : ""}`} aria-hidden="true">
          {of >= 0 && <i style={{ width: share(of) }} />}
          {median >= 0 && <b style={{ left: share(median) }} />}
        </span>
      )}
    </>
  );
}

function tooltip(view: ListState, name: ColumnSpec["name"], row: number): string | undefined {
  const list = view.list.value;
  if (name === "started") return fully(list.number(name, row), view.now) || undefined;
  if (name === "status") return list.text("problem", row) || undefined;
  if (name === "name") return `${list.text("name", row)}\ntr-${list.id(row)}`;
  return name === "arch" || name === "case" ? list.text(name, row) || undefined : undefined;
}
