// The bar between the head and the panels: which panel is shown.

import { TABS, type Tab, type ViewState } from "./state";

const NAMES: Record<Tab, string> = { tree: "Tree", messages: "Messages", graph: "Graph", latency: "Latency" };

export function Bar({ view, id }: { view: ViewState; id: string }) {
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = TABS.indexOf(view.tab.value) + step;
    view.tab.value = TABS[(at + TABS.length) % TABS.length];
    const list = event.currentTarget as HTMLElement;
    list.querySelector<HTMLElement>(`#${id}-tab-${view.tab.value}`)?.focus();
    event.preventDefault();
  };
  return (
    <div class="agtr-bar">
      <div class="agtr-tabs" role="tablist" aria-label="Ways to look at the run" onKeyDown={onKeyDown}>
        {TABS.map((tab) => (
          <button
            key={tab}
            type="button"
            role="tab"
            id={`${id}-tab-${tab}`}
            aria-selected={view.tab.value === tab}
            aria-controls={`${id}-panel`}
            tabIndex={view.tab.value === tab ? 0 : -1}
            onClick={() => {
              view.tab.value = tab;
            }}
          >
            {NAMES[tab]}
          </button>
        ))}
      </div>
    </div>
  );
}
