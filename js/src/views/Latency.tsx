import type { ViewState } from "./state";

export function Latency({ view }: { view: ViewState }) {
  return <div class="agtr-panel">{view.store.table.n} steps</div>;
}
