// The whole view of one run.

import { useEffect, useMemo } from "preact/hooks";
import type { RunStore } from "../store";
import type { PageTheme } from "../theme";
import { Bar } from "./Bar";
import { Detail } from "./Detail";
import { Graph } from "./Graph";
import { Grid } from "./Grid";
import { Head, Notices } from "./Head";
import { Latency } from "./Latency";
import { Messages } from "./Messages";
import { ROW_PX, ViewState } from "./state";

let views = 0;

export function TraceView({ store, theme }: { store: RunStore; theme: PageTheme }) {
  const view = useMemo(() => new ViewState(store), [store]);
  const id = useMemo(() => `agtr-${++views}`, []);
  useEffect(() => view.followTime(), [view]);
  useEffect(() => view.showFailure(), [view]);
  if (!store.head.value) {
    return <div class="agtr-empty">{store.problem.value ?? "Waiting for the first step"}</div>;
  }
  return (
    <>
      <Head view={view} />
      <Notices view={view} />
      <Bar view={view} id={id} />
      <div
        class="agtr-main"
        id={`${id}-panel`}
        role="tabpanel"
        aria-labelledby={`${id}-tab-${view.tab.value}`}
        style={{ "--n": view.visible.value.length * ROW_PX }}
      >
        <Panel view={view} id={id} theme={theme} />
        <Detail view={view} />
      </div>
    </>
  );
}

// The panel beside the detail: all four choose steps, and the detail shows the one that is chosen.
function Panel({ view, id, theme }: { view: ViewState; id: string; theme: PageTheme }) {
  switch (view.tab.value) {
    case "messages":
      return <Messages view={view} />;
    case "graph":
      return <Graph view={view} />;
    case "latency":
      return <Latency view={view} />;
    default:
      return <Grid view={view} id={id} theme={theme} />;
  }
}
