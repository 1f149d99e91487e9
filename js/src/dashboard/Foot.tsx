// Where the figures come from, and how that stands.

import type { DashboardState } from "./state";
import { ago } from "./words";

export function Foot({ view }: { view: DashboardState }) {
  const { store } = view;
  const head = store.head.value;
  view.follow();
  if (!head) return null;
  const { mlflow } = head;
  const parts: string[] = [];
  if (!store.connected.value) parts.push("as saved; no kernel is connected");
  else if (head.ended) parts.push("no longer followed; run the cell again");
  else if (head.live) parts.push("this kernel: live");
  if (mlflow && !head.ended) {
    const reading = mlflow.read < mlflow.of ? `, reading ${mlflow.read} of ${mlflow.of} runs` : "";
    const when = mlflow.read_ms === null ? "not read yet" : `read ${ago(store.now() - mlflow.read_ms)}`;
    const paused = mlflow.paused ? ` (paused: ${mlflow.paused})` : "";
    parts.push(`MLflow ${mlflow.where}: ${when}${reading}${paused}`);
  }
  if (head.left_out > 0) parts.push(`the oldest ${head.left_out} runs are left out`);
  return (
    <footer class="agtr-foot">
      <span dir="auto" title={mlflow?.address || undefined}>
        {parts.join(" \u00b7 ")}
      </span>
      {mlflow?.problem && (
        <span class="agtr-foot-problem" role="status" dir="auto">
          {mlflow.problem} The figures are those of the last time.
        </span>
      )}
      {store.problem.value && <span class="agtr-foot-problem">{store.problem.value}</span>}
    </footer>
  );
}
