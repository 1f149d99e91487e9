// Where the time went: the critical path, what could be saved, self time, and how long calls took.

import { useComputed, useSignal } from "@preact/signals";
import { BY, type By, groups, quantile, took } from "../core/charts";
import { duration } from "../core/format";
import { type Latency as Found, KINDS, STATUSES } from "../wire";
import { Chart, Scale, Stack } from "./Chart";
import { Distribution } from "./Distribution";
import type { ViewState } from "./state";

const FIRST = 8;
const WORDS: Record<string, string> = { llm: "LLM calls", tool: "tools" };
const ERROR = STATUSES.indexOf("error");

export function Latency({ view }: { view: ViewState }) {
  const found = view.store.head.value?.latency;
  return (
    <div class="agtr-panel agtr-latency">
      <h3>Critical path</h3>
      {found?.total_ms ? (
        <>
          <Path view={view} found={found} total={found.total_ms} />
          {found.savings.length > 0 && <Savings found={found} total={found.total_ms} />}
        </>
      ) : (
        <p class="agtr-hint">{found ? "Not known: a step has no end" : "Is worked out when the run ends"}</p>
      )}
      <SelfTime view={view} found={found} />
    </div>
  );
}

const percent = (part: number, whole: number): string =>
  whole > 0 ? `${((100 * part) / whole).toFixed(part / whole < 0.0995 ? 1 : 0)} %` : "\u2013";

function Path({ view, found, total }: { view: ViewState; found: Found; total: number }) {
  const { table } = view.store;
  const { kind, status } = table.col;
  const sums: Record<string, number> = {};
  const pieces = found.path.map(([row, ms, waits]) => {
    const what = waits ? "waiting" : row < 0 ? "short steps" : KINDS[kind[row]];
    sums[what] = (sums[what] ?? 0) + ms;
    const bad = !waits && status[row] === ERROR;
    const name = waits || row < 0 ? what : table.text("name", row);
    return { row, ms, name, bad, kind: `agtr-k-${what}${bad ? " agtr-s-error" : ""}` };
  });
  const least = pieces.map(({ ms }) => ms).sort((a, b) => b - a)[FIRST] ?? -1;
  const on = ({ row }: { row: number }) => row >= 0 && row === view.selected.value;
  const go = (row: number) => view.show(row);
  return (
    <>
      <p class="agtr-facts">
        {duration(total)} from the first step to the end
        {Object.entries(sums)
          .sort((a, b) => b[1] - a[1])
          .map(([what, ms]) => ` \u00b7 ${WORDS[what] ?? what} ${percent(ms, total)}`)}
      </p>
      <div class="agtr-ribbon">
        <Stack
          parts={pieces.map((piece) => ({
            ...piece,
            kind: piece.kind + (on(piece) ? " agtr-on" : ""),
            title: `${piece.name}: ${duration(piece.ms)}`,
          }))}
          whole={total}
          high={20}
          onRow={go}
        />
      </div>
      <Scale length={total} />
      <Chart
        class="agtr-path"
        heads={["step", "agent", "time", "of run"]}
        rows={pieces}
        first={pieces.filter(({ ms }) => ms > least)}
        on={on}
        cells={(piece) => [
          <>
            <span class={`agtr-mark ${piece.kind}`} aria-hidden="true">
              {piece.bad && "\u2715"}
            </span>
            {piece.row < 0 ? (
              piece.name
            ) : (
              <button type="button" dir="auto" onClick={() => go(piece.row)}>
                {piece.name}
              </button>
            )}
          </>,
          piece.row < 0 ? "" : <span dir="auto">{table.text("agent", piece.row)}</span>,
          duration(piece.ms),
          percent(piece.ms, total),
        ]}
      />
    </>
  );
}

function Savings({ found, total }: { found: Found; total: number }) {
  const worth = found.savings.filter((one) => one.ms_saved !== 0);
  return (
    <>
      <h3>What could be saved</h3>
      <Chart
        class="agtr-savings"
        heads={["if it took no time", "", "the run would take", "saved"]}
        rows={worth}
        first={worth.slice(0, FIRST)}
        on={() => false}
        cells={({ what, name, ms_saved }) => {
          const left = total - (ms_saved ?? 0);
          return [
            <>
              <span class="agtr-hint">{what}</span> <span dir="auto">{name}</span>
            </>,
            <Stack
              parts={[
                { kind: "agtr-k-waiting", ms: left },
                { kind: `agtr-k-${what === "model" ? "llm" : what}`, ms: total - left },
              ]}
              whole={total}
            />,
            ms_saved === null ? (
              "not worked out"
            ) : (
              <>
                {fine(total, total)} {"\u2192"} <b>{fine(left, total)}</b>
              </>
            ),
            ms_saved === null ? "" : percent(ms_saved, total),
          ];
        }}
      />
      {found.more > 0 && <p class="agtr-hint">{found.more} more are not listed</p>}
    </>
  );
}

/** Of a short run in ms, so that what is saved can be seen. */
const fine = (ms: number, total: number) =>
  total < 1000 ? `${ms.toFixed(total < 10 ? 2 : 0)} ms` : duration(ms);

function SelfTime({ view, found }: { view: ViewState; found: Found | null | undefined }) {
  const by = useSignal<By>("agent");
  const chosen = useSignal("");
  const { table } = view.store;
  const all = useComputed(() => {
    view.store.version.value;
    return groups(table, by.value, !!view.store.head.value?.latency);
  }).value;
  const group = all.find(({ name }) => name === chosen.value) ?? all[0];
  const total = found?.total_ms ?? view.axis.value.length;
  return (
    <>
      <header>
        <h3>Self time</h3>
        <fieldset class="agtr-by" aria-label="Self time by">
          {BY.map((one) => (
            <button
              type="button"
              aria-pressed={by.value === one}
              onClick={() => {
                by.value = one;
              }}
            >
              {one}
            </button>
          ))}
        </fieldset>
      </header>
      {by.value === "agent" && (
        <p class="agtr-hint" aria-hidden="true">
          {Object.entries({ llm: "LLM calls", tool: "tools", agent: "the rest" }).map(([kind, what]) => [
            <span class={`agtr-mark agtr-k-${kind}`} />,
            what,
          ])}
        </p>
      )}
      {!found && (
        <p class="agtr-hint">So far: LLM and tool calls. The rest is worked out when the run ends</p>
      )}
      {group ? (
        <>
          <Chart
            heads={[by.value, "", "self time", "of run", "calls", "median", "longest"]}
            rows={all}
            first={all.slice(0, FIRST)}
            on={(one) => one === group}
            cells={({ name, parts, self, calls, open }) => {
              const times = calls.map((row) => took(table, row));
              return [
                <button
                  type="button"
                  aria-pressed={name === group.name}
                  dir="auto"
                  onClick={() => {
                    chosen.value = name;
                  }}
                >
                  {name}
                </button>,
                <Stack
                  parts={parts.map(({ kind, ms }) => ({ kind: `agtr-k-${KINDS[kind]}`, ms }))}
                  whole={all[0].self || 1}
                />,
                duration(self),
                percent(self, total),
                calls.length + open || "\u2013",
                duration(quantile(times, 0.5)),
                duration(quantile(times, 1)),
              ];
            }}
          />
          <Distribution view={view} group={group} />
        </>
      ) : (
        <p class="agtr-hint">No {by.value} so far</p>
      )}
    </>
  );
}
