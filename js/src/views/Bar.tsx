// The bar between the head and the panels: which panel is shown, what is looked for, how the tree is shown.

import type { RefObject } from "preact";
import { SearchField } from "./SearchField";
import { TABS, type Tab, type ViewState } from "./state";

const NAMES: Record<Tab, string> = { tree: "Tree", messages: "Messages", graph: "Graph", latency: "Latency" };

interface Props {
  view: ViewState;
  id: string;
  field: RefObject<HTMLInputElement | null>;
}

export function Bar({ view, id, field }: Props) {
  return (
    <div class="agtr-bar">
      <Tabs view={view} id={id} />
      <div class="agtr-tools">
        <SearchField view={view} id={id} field={field} />
        {view.tab.value === "tree" && <Checks view={view} />}
        <button
          type="button"
          class="agtr-key"
          aria-label="Keyboard help"
          aria-expanded={view.help.value}
          title="Keys (?)"
          onClick={() => {
            view.help.value = !view.help.value;
          }}
        >
          ?
        </button>
      </div>
    </div>
  );
}

function Tabs({ view, id }: { view: ViewState; id: string }) {
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
  );
}

function Checks({ view }: { view: ViewState }) {
  const known = view.onPath.value !== undefined;
  return (
    <>
      <Check
        on={view.critical}
        off={
          known ? undefined : "What the run waited for is known when it has ended, and not in old saved views"
        }
      >
        critical path
      </Check>
      <Check on={view.fold}>fold turns</Check>
    </>
  );
}

function Check(props: { on: { value: boolean }; off?: string | undefined; children: string }) {
  const { on, off } = props;
  const set = (event: Event) => {
    on.value = (event.currentTarget as HTMLInputElement).checked;
  };
  return (
    <label class="agtr-check" title={off}>
      <input type="checkbox" checked={on.value && !off} disabled={!!off} onChange={set} />
      {props.children}
    </label>
  );
}
