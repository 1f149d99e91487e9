import type { ViewState } from "./state";

export function Messages({ view }: { view: ViewState }) {
  return <div class="agtr-panel">{view.store.table.n} steps</div>;
}
