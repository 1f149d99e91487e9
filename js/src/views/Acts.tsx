// Below the cards: what the reader thinks of a step, and where the run is in MLflow.

import { useMemo } from "preact/hooks";
import { addresses } from "../core/mlflow";
import { Copy } from "./Copy";
import type { ViewState } from "./state";

const NOT_YET = "Ratings are stored by at.rate, which this version does not have yet";

let acts = 0;

export function Acts({ view, row, traceId }: { view: ViewState; row: number; traceId: string | undefined }) {
  const id = useMemo(() => `agtr-acts-${++acts}`, []);
  const able = view.store.head.value?.feedback === true && view.store.connected.value;
  const offers: [string, () => void][] = [
    ["rate good", () => view.store.say({ kind: "rate", row, ok: true })],
    ["rate bad", () => view.store.say({ kind: "rate", row, ok: false })],
    ["report an error\u2026", () => view.store.say({ kind: "report", row })],
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
          title={able ? undefined : NOT_YET}
          onClick={() => able && act()}
        >
          {name}
        </button>
      ))}
      <Mlflow view={view} traceId={traceId} />
      {!able && (
        <span id={id} class="agtr-reason">
          {NOT_YET}
        </span>
      )}
    </footer>
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
