// The whole view of one run.

import { useEffect, useMemo } from "preact/hooks";
import type { RunStore } from "../store";
import type { PageTheme } from "../theme";
import { Detail } from "./Detail";
import { Grid } from "./Grid";
import { Head, Notices } from "./Head";
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
      <div class="agtr-main" style={{ "--n": view.visible.value.length * ROW_PX }}>
        <Grid view={view} id={id} theme={theme} />
        <Detail view={view} />
      </div>
    </>
  );
}
