// What the charts over time share: their size, the axis of time, a mark at one bin, and a stretch that is drawn to look
// at it more closely. The mark is moved with the pointer or with the arrow keys; Shift and an arrow draw.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Bin } from "./figures";
import { moments } from "./scale";
import type { DashboardState } from "./state";
import { clock } from "./words";

export const LEFT = 46;
export const RIGHT = 10;
const AXIS = 18;

/** Where the bins are. */
export interface Plot {
  x: (ms: number) => number;
  /** Width of a bin, px. */
  bin: number;
  width: number;
}

interface Props {
  view: DashboardState;
  title: string;
  /** Height of what is drawn above the axis. */
  height: number;
  legend: ComponentChildren;
  /** What is to be said of a bin. */
  says: (bin: Bin) => string;
  children: (plot: Plot) => ComponentChildren;
}

export function TimeChart({ view, title, height, legend, says, children }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(480);
  const marked = useSignal(-1);
  const drawn = useSignal(-1);
  const spoken = useSignal(false);
  const { step, bins } = view.series.value;
  const now = view.store.now();
  const from = bins[0]?.from ?? 0;
  const to = from + bins.length * step;
  const inner = Math.max(10, width.value - LEFT - RIGHT);
  const x = (ms: number) => LEFT + ((ms - from) / (to - from)) * inner;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      width.value = element.clientWidth || 480;
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  const binAt = (event: PointerEvent) => {
    const left = (event.currentTarget as Element).getBoundingClientRect().left;
    const at = Math.floor(((event.clientX - left - LEFT) / inner) * bins.length);
    return Math.max(0, Math.min(bins.length - 1, at));
  };
  const apply = () => {
    if (drawn.value < 0 || marked.value < 0) return;
    const [a, b] = [Math.min(drawn.value, marked.value), Math.max(drawn.value, marked.value)];
    drawn.value = -1;
    view.brush.value = { from: bins[a].from, to: bins[b].from + step };
    marked.value = -1;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && bins.length > 0) {
      const at = marked.value < 0 ? bins.length - 1 : marked.value + by;
      if (event.shiftKey && drawn.value < 0) drawn.value = marked.value < 0 ? bins.length - 1 : marked.value;
      if (!event.shiftKey) drawn.value = -1;
      marked.value = Math.max(0, Math.min(bins.length - 1, at));
      spoken.value = true;
    } else if (event.key === "Enter" && marked.value >= 0) {
      if (drawn.value < 0) drawn.value = marked.value;
      apply();
    } else if (event.key === "Escape" && (marked.value >= 0 || view.brush.value)) {
      if (marked.value < 0) view.brush.value = undefined;
      marked.value = drawn.value = -1;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const bin = bins[marked.value];
  const [a, b] = [Math.min(drawn.value, marked.value), Math.max(drawn.value, marked.value)];
  return (
    <section class="agtr-chart-box" aria-label={title}>
      <header>
        <h3>{title}</h3>
        <span class="agtr-dash-legend" role="status" aria-live={spoken.value ? "polite" : "off"}>
          {bin ? `${clock(bin.from, now, step)} \u00b7 ${says(bin)}` : legend}
        </span>
      </header>
      <div
        ref={box}
        class="agtr-plot"
        role="group"
        tabIndex={0}
        aria-label={`${title}. Arrow keys read it, Shift and an arrow draw a stretch of time, Enter looks at it.`}
        onKeyDown={onKeyDown}
        onBlur={() => {
          marked.value = drawn.value = -1;
        }}
        onPointerMove={(event) => {
          spoken.value = false;
          if (bins.length > 0) marked.value = binAt(event);
        }}
        onPointerLeave={() => {
          if (drawn.value < 0) marked.value = -1;
        }}
        onPointerDown={(event) => {
          if (event.button !== 0 || bins.length === 0) return;
          (event.currentTarget as Element).setPointerCapture(event.pointerId);
          drawn.value = marked.value = binAt(event);
        }}
        onPointerUp={() => {
          if (drawn.value !== marked.value) apply();
          drawn.value = -1;
        }}
      >
        <svg width={width.value} height={height + AXIS} aria-hidden="true">
          {bins.length > 0 && (
            <>
              {moments(from, to, inner, now).map((tick) => (
                <g key={tick.at}>
                  <line class="agtr-grid-line" x1={x(tick.at)} x2={x(tick.at)} y1={0} y2={height} />
                  <text
                    class="agtr-tick"
                    x={x(tick.at)}
                    y={height + 13}
                    text-anchor={anchor(x(tick.at), width.value)}
                  >
                    {tick.label}
                  </text>
                </g>
              ))}
              {drawn.value >= 0 && (
                <rect
                  class="agtr-drawn"
                  x={x(bins[a].from)}
                  width={x(bins[b].from + step) - x(bins[a].from)}
                  height={height}
                />
              )}
              {children({ x, bin: inner / bins.length, width: width.value })}
              {bin && (
                <rect class="agtr-marked" x={x(bin.from)} width={inner / bins.length} height={height} />
              )}
            </>
          )}
        </svg>
        {bins.length === 0 && <p class="agtr-none">No runs in this time</p>}
      </div>
    </section>
  );
}

const anchor = (x: number, width: number) => (x > width - 40 ? "end" : x < LEFT + 10 ? "start" : "middle");

/** The lines of an axis that begins at 0, with their figures. */
export function Lines(props: {
  ticks: number[];
  y: (value: number) => number;
  width: number;
  word: (v: number) => string;
}) {
  const { ticks, y, width, word } = props;
  return (
    <>
      {ticks.map((value) => (
        <g key={value}>
          <line
            class={value === 0 ? "agtr-base" : "agtr-grid-line"}
            x1={LEFT}
            x2={width - RIGHT}
            y1={y(value)}
            y2={y(value)}
          />
          <text class="agtr-tick" x={LEFT - 6} y={y(value) + 3.5} text-anchor="end">
            {word(value)}
          </text>
        </g>
      ))}
    </>
  );
}
