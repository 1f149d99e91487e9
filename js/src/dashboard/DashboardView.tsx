// The whole dashboard, or one run in its place.

import { useEffect, useMemo, useRef } from "preact/hooks";
import { Opened, type OpenRun } from "../runs/Opened";
import { Alerts } from "./Alerts";
import { Latency, Throughput } from "./Charts";
import { Foot } from "./Foot";
import { before } from "./figures";
import { Groups } from "./Groups";
import { Listed } from "./Listed";
import { DashboardState } from "./state";
import type { DashboardStore } from "./store";
import { Tiles } from "./Tiles";
import { clock } from "./words";

const SECOND_MS = 1000;
const LOOK_MS = 10_000;
let views = 0;

export function DashboardView({ store, open }: { store: DashboardStore; open: OpenRun<string> }) {
  const view = useMemo(() => new DashboardState(store), [store]);
  const id = useMemo(() => `agtr-dash-${++views}`, []);
  const whole = useRef<HTMLDivElement>(null);
  const from = useRef<string | undefined>(undefined);
  const opened = view.opened.value;

  // While it can be seen, time goes on and the kernel is told that somebody looks.
  useEffect(() => {
    const element = whole.current;
    if (!element) return;
    let inSight = true;
    const see = () => {
      view.seen.value = inSight && document.visibilityState !== "hidden";
      if (view.seen.peek()) store.say({ kind: "look" });
    };
    const observer = new IntersectionObserver(([entry]) => {
      inSight = entry.isIntersecting;
      see();
    });
    observer.observe(element);
    document.addEventListener("visibilitychange", see);
    const ticking = setInterval(() => {
      if (view.seen.peek()) view.tick.value++;
    }, SECOND_MS);
    const looking = setInterval(see, LOOK_MS);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", see);
      clearInterval(ticking);
      clearInterval(looking);
    };
  }, [store]);

  // What a stretch is compared with is needed too.
  const stretch = view.stretch.value;
  useEffect(
    () => store.want((before(stretch) ?? stretch).from),
    [view.window.value, view.brush.value, store.head.value?.key],
  );

  useEffect(() => {
    if (opened) from.current = opened;
    else if (from.current) {
      const at = view.shown.peek().indexOf(from.current);
      whole.current?.querySelectorAll<HTMLElement>(".agtr-open")[at]?.focus({ preventScroll: true });
      from.current = undefined;
    }
  }, [opened]);

  if (!store.head.value) return <p class="agtr-empty">{store.problem.value ?? "Waiting for the kernel"}</p>;
  return (
    <div ref={whole} class="agtr-dash">
      {opened ? (
        <Opened view={view} open={open} row={opened} back="Dashboard" />
      ) : (
        <>
          <Top view={view} />
          <Alerts view={view} />
          <Tiles view={view} />
          <div class="agtr-charts">
            <Latency view={view} />
            <Throughput view={view} />
          </div>
          <div class="agtr-below">
            <Groups view={view} id={id} />
            <Listed view={view} />
          </div>
          <Foot view={view} />
        </>
      )}
    </div>
  );
}

function Top({ view }: { view: DashboardState }) {
  const head = view.store.head.value;
  if (!head) return null;
  const brush = view.brush.value;
  const now = view.store.now();
  return (
    <header class="agtr-dash-head">
      <b class="agtr-dash-title" dir="auto">
        {head.title}
      </b>
      {brush && (
        <button
          type="button"
          class="agtr-brushed"
          title="Back to the window"
          onClick={() => {
            view.brush.value = undefined;
          }}
        >
          {clock(brush.from, now, SECOND_MS)} to {clock(brush.to, now, SECOND_MS)}
          <span aria-hidden="true">{" \u2715"}</span>
          <span class="agtr-said">, back to the window</span>
        </button>
      )}
      <div class="agtr-windows" role="group" aria-label="Time">
        {head.windows.map(([name, words, length]) => (
          <button
            type="button"
            key={name}
            class="agtr-choice"
            aria-pressed={!brush && name === view.window.value}
            aria-label={length === null ? "all runs" : `the last ${words}`}
            onClick={() => view.choose(name)}
          >
            {words}
          </button>
        ))}
      </div>
    </header>
  );
}
