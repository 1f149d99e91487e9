// Below the cards: what the reader thinks of a step, and where the run is in MLflow.

import { type Signal, useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { addresses } from "../core/mlflow";
import { Copy } from "./Copy";
import type { ViewState } from "./state";

const ELSEWHERE = "Rate it in the notebook: at.rate(trace, True), at.report_error(trace, category=\u2026)";

let acts = 0;

export function Acts({ view, row, traceId }: { view: ViewState; row: number; traceId: string | undefined }) {
  const id = useMemo(() => `agtr-acts-${++acts}`, []);
  const asking = useSignal(-1);
  const { store } = view;
  const able = store.head.value?.feedback === true && store.connected.value;
  const offers: [string, () => void][] = [
    ["rate good", () => store.say({ kind: "rate", row, ok: true })],
    ["rate bad", () => store.say({ kind: "rate", row, ok: false })],
    [
      "report an error\u2026",
      () => {
        asking.value = row;
      },
    ],
  ];
  return (
    <footer class="agtr-acts">
      {offers.map(([name, act]) => (
        <button
          key={name}
          type="button"
          class="agtr-act"
          aria-disabled={!able}
          aria-describedby={able ? undefined : id}
          title={able ? undefined : ELSEWHERE}
          onClick={() => able && act()}
        >
          {name}
        </button>
      ))}
      <Mlflow view={view} traceId={traceId} />
      {!able && (
        <span id={id} class="agtr-reason">
          {ELSEWHERE}
        </span>
      )}
      {able && asking.value === row && <Report view={view} row={row} asking={asking} />}
      <Said view={view} row={row} />
    </footer>
  );
}

// No form element: a form can send itself somewhere.
function Report({ view, row, asking }: { view: ViewState; row: number; asking: Signal<number> }) {
  const kind = useRef<HTMLInputElement>(null);
  const more = useRef<HTMLInputElement>(null);
  const send = () => {
    const category = kind.current?.value.trim();
    if (!category) {
      kind.current?.focus();
      return;
    }
    view.store.say({ kind: "report", row, category, comment: more.current?.value.trim() ?? "" });
    asking.value = -1;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") asking.value = -1;
    if (event.key === "Enter" && event.target instanceof HTMLInputElement) send();
    event.stopPropagation();
  };
  return (
    <div class="agtr-report" role="group" aria-label="Report an error" onKeyDown={onKeyDown}>
      <input ref={kind} maxLength={200} aria-label="Kind of error" placeholder="kind, such as wrong amount" />
      <input ref={more} maxLength={4000} aria-label="More about it" placeholder="more about it (optional)" />
      <button type="button" class="agtr-act" onClick={send}>
        report
      </button>
    </div>
  );
}

function Said({ view, row }: { view: ViewState; row: number }) {
  const said = view.store.said.value;
  if (said?.row !== row) return null;
  const { problem } = said;
  return (
    <span role="status" class={problem ? "agtr-said-so agtr-bad" : "agtr-said-so"}>
      {problem === undefined ? "sent; kept when the kernel answers" : (problem ?? "kept; it goes to MLflow")}
    </span>
  );
}

function Mlflow({ view, traceId }: { view: ViewState; traceId: string | undefined }) {
  const stored = view.store.head.value?.mlflow;
  if (!stored) return null;
  const { run, trace } = addresses(stored, traceId);
  const { run_id, command } = stored;
  return (
    <span class="agtr-mlflow">
      MLflow:
      {run && <Out to={run}>run</Out>}
      {trace && <Out to={trace}>trace</Out>}
      {!run && run_id && <Copy what="run id" text={() => run_id} />}
      {!run && command && <Copy what="command" text={() => command} />}
    </span>
  );
}

function Out({ to, children }: { to: string; children: string }) {
  return (
    <a class="agtr-link" href={to} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}
