// The whole list: the rows, or one run in their place.

import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ListHead } from "./ListHead";
import type { RunList } from "./list";
import { Opened, type OpenRun } from "./Opened";
import { Runs } from "./Runs";
import { ListState } from "./state";

let views = 0;

export function RunListView({ list, open }: { list: ReadonlySignal<RunList>; open: OpenRun }) {
  const view = useMemo(() => new ListState(list), [list]);
  const id = useMemo(() => `agtr-runs-${++views}`, []);
  const whole = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const opened = view.opened.value;
  const wasOpen = useRef(false);
  const toRows = () => {
    if (view.chosen.value < 0 && view.shown.value.length > 0) view.chosen.value = view.shown.value[0];
    whole.current?.querySelector<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
  };
  useEffect(() => {
    if (wasOpen.current && opened < 0) toRows();
    wasOpen.current = opened >= 0;
  }, [opened]);
  return (
    <div ref={whole}>
      {opened >= 0 ? (
        <Opened view={view} open={open} row={opened} />
      ) : (
        <>
          <ListHead view={view} input={input} toRows={toRows} />
          {view.shown.value.length > 0 ? (
            <Runs view={view} id={id} toFilter={() => input.current?.focus()} />
          ) : (
            <p class="agtr-empty">{list.value.n > 0 ? "No run matches the filter" : "No runs were found"}</p>
          )}
          {view.notice.value && (
            <p class="agtr-list-note" role="status">
              {view.notice.value}
            </p>
          )}
        </>
      )}
    </div>
  );
}
