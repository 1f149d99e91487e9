// Above the rows: how many runs there are and are listed, the filter, and what each architecture's runs come to.

import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { FIELDS } from "./query";
import type { ListState } from "./state";
import { figures, type Group } from "./summary";

const GROUPS = 4;
const SPARK = { width: 56, height: 14 };

export function ListHead({
  view,
  input,
  toRows,
}: {
  view: ListState;
  input: RefObject<HTMLInputElement | null>;
  toRows: () => void;
}) {
  const list = view.list.value;
  const help = useSignal(false);
  const listed = view.found.value.length;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "Enter") toRows();
    else if (event.key === "Escape" && view.filter.value) view.filter.value = "";
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <header class="agtr-list-head">
        <b role="status">
          {listed === list.n ? "" : `${listed} of `}
          {list.n === 1 ? "1 run" : `${list.n} runs`}
        </b>
        <input
          ref={input}
          type="search"
          class="agtr-filter"
          placeholder="name, case, arch:triage status:error latency:>2s"
          aria-label="Filter the runs"
          spellcheck={false}
          value={view.filter.value}
          onInput={(event) => {
            view.filter.value = event.currentTarget.value;
          }}
          onKeyDown={onKeyDown}
        />
        <button
          type="button"
          class="agtr-list-help"
          aria-expanded={help.value}
          aria-label="Keys and filters"
          title="Keys and filters"
          onClick={() => {
            help.value = !help.value;
          }}
        >
          ?
        </button>
      </header>
      {help.value && <Help />}
      {view.query.value.problem && <p class="agtr-list-note">{view.query.value.problem}</p>}
      {list.head.notes.map((note) => (
        <p key={note} class="agtr-list-note" dir="auto">
          {note}
        </p>
      ))}
      <Groups view={view} />
    </>
  );
}

function Help() {
  return (
    <p class="agtr-list-note agtr-keys">
      Arrows move, Enter opens a run, Escape comes back. Arrow up from the first run goes to the heads: Enter
      sorts. Slash goes to the filter. It takes words and {FIELDS.join(", ")}, each as in case:17; figures
      also as cost:&gt;0.01; a minus turns a term round.
    </p>
  );
}

function Groups({ view }: { view: ListState }) {
  const of = view.groups.value;
  if (of.length === 0 || (of.length === 1 && !of[0].arch && of[0].runs < 2)) return null;
  return (
    <div class="agtr-groups" role="group" aria-label="By architecture">
      {of.slice(0, GROUPS).map((group) => (
        <GroupButton key={group.arch} view={view} group={group} />
      ))}
      {of.length > GROUPS && <span class="agtr-list-about">and {of.length - GROUPS} more</span>}
    </div>
  );
}

function GroupButton({ view, group }: { view: ListState; group: Group }) {
  const says = figures(group).join(" \u00b7 ");
  if (!group.arch) {
    return (
      <span class="agtr-group">
        <b>no arch</b> {says}
      </span>
    );
  }
  return (
    <button
      type="button"
      class="agtr-group"
      title="List only these"
      onClick={() => view.onlyArch(group.arch)}
    >
      <b dir="auto">{group.arch}</b> <span>{says}</span>
      <Spark values={group.latencies} />
    </button>
  );
}

// Latency of one run after the other.
function Spark({ values }: { values: number[] }) {
  if (values.length < 3) return null;
  const most = Math.max(...values) || 1;
  const x = (at: number) => 1 + (at * (SPARK.width - 2)) / (values.length - 1);
  const y = (value: number) => SPARK.height - 1.5 - (value / most) * (SPARK.height - 3);
  const points = values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return (
    <svg class="agtr-spark" {...SPARK} aria-hidden="true">
      <polyline points={points} />
    </svg>
  );
}
