// The last errors, or the runs of what was chosen in the table. Each opens.

import { RUNNING, STANDINGS } from "./board";
import type { DashboardState } from "./state";
import { clock, plural, seconds } from "./words";

const MARKS = ["\u2026", "\u2713", "\u2715", "\u25d2", "\u2298", "\u26a1\ufe0e"];
const SAID = ["running", "completed", "error", "turned away by a guardrail", "cancelled", "interrupted"];

export function Listed({ view }: { view: DashboardState }) {
  const { rows, of } = view.listed.value;
  const focus = view.focus.value;
  const title = focus ? (
    <>
      Last runs with <bdi>{focus.name}</bdi>
    </>
  ) : (
    "Last errors"
  );
  return (
    <section class="agtr-last" aria-label={focus ? `Last runs with ${focus.name}` : "Last errors"}>
      <header>
        <h3>{title}</h3>
        {focus ? (
          <button
            type="button"
            class="agtr-link"
            onClick={() => {
              view.focus.value = undefined;
            }}
          >
            last errors
          </button>
        ) : (
          of > rows.length && <span class="agtr-mute">{`${rows.length} of ${of}`}</span>
        )}
      </header>
      {rows.length === 0 ? (
        <p class="agtr-none">{focus ? "No run in this time" : "No errors in this time"}</p>
      ) : (
        <ul>
          {rows.map((row) => (
            <Line key={row} view={view} row={row} />
          ))}
        </ul>
      )}
      {focus && of > rows.length && <p class="agtr-mute agtr-rest">{`${of} ${plural(of, "run")} in all`}</p>}
    </section>
  );
}

function Line({ view, row }: { view: DashboardState; row: number }) {
  const { board } = view.store;
  const standing = board.run.standing[row];
  const place = [board.text("arch", row), board.text("case", row)].filter(Boolean).join(" \u00b7 ");
  const why = board.text("why", row);
  const where = board.text("where", row);
  return (
    <li class={`agtr-s-${STANDINGS[standing]}`}>
      <button type="button" class="agtr-open" onClick={() => view.open(row)}>
        <span class="agtr-dash-mark" aria-hidden="true">
          {MARKS[standing]}
        </span>
        <span class="agtr-open-head">
          <span class="agtr-said">{SAID[standing]}, </span>
          <bdi>{place || board.text("name", row)}</bdi>
          <span class="agtr-mute">
            {clock(board.run.start[row], view.store.now(), 1000)}
            {standing !== RUNNING && ` \u00b7 ${seconds(board.run.took[row])}`}
          </span>
        </span>
        {why && (
          <span class="agtr-open-why" dir="auto">
            {where && <b>{where} </b>}
            {why}
          </span>
        )}
      </button>
    </li>
  );
}
