// Where a run and its traces are in MLflow.

/** What the head of a frame says of it; absent is unknown. */
export interface Stored {
  run_id?: string | null;
  experiment_id?: string | null;
  /** Address of the server, where there is one. */
  url?: string | null;
  /** What starts one on the store, where there is none. */
  command?: string | null;
}

/** Address of the run and of a trace; nothing unless the server's own is plain http or https without a password. */
export function addresses(stored: Stored, traceId: string | undefined): { run?: string; trace?: string } {
  const base = server(stored.url);
  if (!base) return {};
  const found: { run?: string; trace?: string } = {};
  const part = encodeURIComponent;
  if (stored.run_id) {
    const inside = stored.experiment_id ? `/experiments/${part(stored.experiment_id)}` : "";
    found.run = `${base}#${inside}/runs/${part(stored.run_id)}`;
  }
  if (stored.experiment_id && traceId) {
    found.trace = `${base}#/experiments/${part(stored.experiment_id)}/traces?selectedEvaluationId=tr-${part(traceId)}`;
  }
  return found;
}

function server(text: string | null | undefined): string | undefined {
  // Nothing but a host and a path: no user, no query, no other kind of address.
  const url = /^https?:\/\/[\w.:[\]-]+(\/[\w./~-]*)?$/i.exec(text ?? "")?.[0];
  return url && `${url.replace(/\/+$/, "")}/`;
}
