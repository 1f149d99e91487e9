// How long the calls of one agent, tool or model took: each call is a mark, as high as the part of the calls that took
// no longer.

import { type Group, quantile, took } from "../core/charts";
import { duration } from "../core/format";
import { KINDS, STATUSES } from "../wire";
import { Scale } from "./Chart";
import type { ViewState } from "./state";

const HEIGHT_PX = 84;
const MARK_PX = 5;
const MARKS_LIMIT = 300;
const ERROR = STATUSES.indexOf("error");

export function Distribution({ view, group }: { view: ViewState; group: Group }) {
  const { table } = view.store;
  const { kind, status } = table.col;
  const { calls, name, open } = group;
  const n = calls.length;
  const times = calls.map((row) => took(table, row));
  if (n < 2) return null;
  const most = times[n - 1] * 1.03 || 1;
  const x = (ms: number) => `${(100 * ms) / most}%`;
  const y = (part: number) => (1 - part) * (HEIGHT_PX - MARK_PX);
  const at = calls.indexOf(view.selected.value);
  const go = (i: number) => view.show(calls[Math.max(0, Math.min(n - 1, i))]);
  const median = quantile(times, 0.5);
  const every = Math.max(1, n / MARKS_LIMIT);
  const marks = times.map((_, i) => i).filter((i) => i === at || i === n - 1 || i % every < 1);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -n, End: n }[event.key];
    if (!step) return;
    go(at < 0 ? 0 : at + step);
    event.preventDefault();
  };
  const nearest = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const ms = ((event.clientX - box.left) / box.width) * most;
    go(times.reduce((best, time, i) => (Math.abs(time - ms) < Math.abs(times[best] - ms) ? i : best), 0));
  };
  return (
    <>
      <h3>
        How long <span dir="auto">{name}</span> took
      </h3>
      <p class="agtr-facts">
        {n} calls {"\u00b7"} median {duration(median)}
        {n > 9 && ` \u00b7 9 of 10 within ${duration(quantile(times, 0.9))}`} {"\u00b7"} {duration(times[0])}{" "}
        to {duration(times[n - 1])}
        {open > 0 && ` \u00b7 ${open} without an end`}
      </p>
      <div
        class="agtr-spread"
        role="slider"
        tabIndex={0}
        aria-label={`Calls of ${name}, the quickest first`}
        aria-valuemin={1}
        aria-valuemax={n}
        aria-valuenow={Math.max(at, 0) + 1}
        aria-valuetext={at < 0 ? "none chosen" : `${at + 1} of ${n}, ${duration(times[at])}`}
        onKeyDown={onKeyDown}
        onClick={nearest}
      >
        <svg width="100%" height={HEIGHT_PX} aria-hidden="true">
          <line x2="100%" y1={y(0.5)} y2={y(0.5)} />
          <line x1={x(median)} x2={x(median)} y2={HEIGHT_PX} />
          {marks.map((i) => (
            <rect
              class={`agtr-k-${KINDS[kind[calls[i]]]}${status[calls[i]] === ERROR ? " agtr-s-error" : ""}${i === at ? " agtr-on" : ""}`}
              x={x(times[i])}
              y={y((i + 1) / n)}
              width={MARK_PX}
              height={MARK_PX}
            />
          ))}
        </svg>
        <small aria-hidden="true">all</small>
        <small aria-hidden="true">half</small>
      </div>
      <Scale length={most} />
    </>
  );
}
