// Above the tree: name and standing of the run, its figures, why it failed, and notes.

import { duration } from "../core/format";
import type { Head as HeadData } from "../wire";
import type { ViewState } from "./state";

const STANDING: Record<string, string> = {
  running: "running",
  ok: "completed",
  error: "failed",
  cancelled: "cancelled",
  interrupted: "interrupted",
};

export function Head({ view }: { view: ViewState }) {
  const head = view.store.head.value;
  if (!head) return null;
  return (
    <header class="agtr-head">
      <button type="button" class="agtr-title" title="About this run" onClick={() => view.select(-1)}>
        <span class={`agtr-dot agtr-s-${head.status}`} aria-hidden="true" />
        <span class="agtr-said">{STANDING[head.status]}: </span>
        <b dir="auto">{head.title}</b>
      </button>
      <span class="agtr-about" dir="auto">
        {head.about}
      </span>
      {head.seal && (
        <details class={`agtr-seal agtr-seal-${head.seal.state.replace(" ", "-")}`}>
          <summary title={head.seal.why}>{head.seal.state}</summary>
          <span dir="auto">{head.seal.why}</span>
        </details>
      )}
      <div class="agtr-figures">
        {head.status === "running" && <Clock view={view} />}
        {head.figures.map(([key, value, unit]) => (
          <Figure key={key} name={key} value={value} unit={unit} view={view} />
        ))}
      </div>
    </header>
  );
}

function Figure(props: { name: string; value: string; unit: string; view: ViewState }) {
  const { name, value, unit, view } = props;
  if (name === "errors") {
    return (
      <button type="button" class="agtr-figure agtr-bad" title="Next error" onClick={() => view.nextError()}>
        <b>{value}</b> {unit}
      </button>
    );
  }
  return (
    <span class="agtr-figure">
      <b>{value}</b> {unit}
    </span>
  );
}

// Apart, so that only this text is drawn anew as time passes.
function Clock({ view }: { view: ViewState }) {
  const [value, unit] = duration(Math.max(Math.floor(view.now.value / 100) * 100, 100)).split(" ");
  return (
    <span class="agtr-figure" role="timer">
      <b>{value}</b> {unit}
      {view.silent.value && <span class="agtr-silent"> no news from the kernel</span>}
    </span>
  );
}

export function Notices({ view }: { view: ViewState }) {
  const head = view.store.head.value;
  const problem = view.store.problem.value;
  return (
    <>
      {head?.why && <Why head={head} view={view} />}
      {head?.notes.map((note) => (
        <p key={note} class="agtr-note" dir="auto">
          {note}
        </p>
      ))}
      {problem && <p class="agtr-note agtr-bad">This view has a problem: {problem}</p>}
    </>
  );
}

function Why({ head, view }: { head: HeadData; view: ViewState }) {
  const row = head.why_row;
  return (
    <p class="agtr-why">
      <b>{head.status === "error" ? "Why it failed" : "A step failed"}</b>
      <span class="agtr-why-text" dir="auto">
        {head.why}
      </span>
      {row !== null && (
        <button type="button" class="agtr-link" onClick={() => view.show(row)}>
          show
        </button>
      )}
    </p>
  );
}
