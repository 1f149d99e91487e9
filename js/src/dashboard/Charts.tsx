// Two charts over time: how long runs took, with marks where they failed; how many there were, and their tokens.

import { count, duration } from "../core/format";
import type { Bin } from "./figures";
import { upTo } from "./scale";
import type { DashboardState } from "./state";
import { Lines, type Plot, TimeChart } from "./TimeChart";
import { plural, seconds } from "./words";

const TOP = 14;
const HIGH = 132;
const RUNS_HIGH = 84;
const GAP = 12;

const most = (bins: Bin[], of: (bin: Bin) => number) => Math.max(0, ...bins.map((bin) => of(bin) || 0));
const errors = (n: number) => `${n} ${plural(n, "error")}`;

export function Latency({ view }: { view: DashboardState }) {
  const { bins, step } = view.series.value;
  const { end, ticks } = upTo(most(bins, (bin) => bin.p95));
  const y = (s: number) => TOP + (HIGH - TOP) * (1 - s / end);
  const says = (bin: Bin) =>
    bin.runs === 0
      ? "no run"
      : `${bin.runs} ${plural(bin.runs, "run")}, p50 ${seconds(bin.p50)}, p95 ${seconds(bin.p95)}${bin.errors > 0 ? `, ${errors(bin.errors)}` : ""}`;
  return (
    <TimeChart
      view={view}
      title="Latency"
      height={HIGH}
      says={says}
      legend={
        <>
          <i class="agtr-dash-key agtr-key-p50" />
          p50 <i class="agtr-dash-key agtr-key-band" />
          to p95 of each {each(step)} <i class="agtr-dash-key agtr-key-error">{"\u2715"}</i> errors
        </>
      }
    >
      {({ x, bin: wide, width }: Plot) => (
        <>
          <Lines ticks={ticks} y={y} width={width} word={(s) => (s === 0 ? "0" : axis(s, end))} />
          {bins.map((bin) => {
            if (Number.isNaN(bin.p50)) return null;
            const [at, high] = [x(bin.from), Math.max(y(bin.p50) - y(bin.p95), 0)];
            const inner = Math.max(wide - (wide > 4 ? 1 : 0), 1);
            return (
              <g key={bin.from}>
                <rect class="agtr-band" x={at} y={y(bin.p95)} width={inner} height={high} />
                <rect class="agtr-p50" x={at} y={y(bin.p50) - 1} width={inner} height={2} />
              </g>
            );
          })}
          {bins.map(
            (bin) => bin.errors > 0 && <Cross key={bin.from} x={x(bin.from) + wide / 2} n={bin.errors} />,
          )}
        </>
      )}
    </TimeChart>
  );
}

export function Throughput({ view }: { view: DashboardState }) {
  const { bins, step } = view.series.value;
  const perMinute = 60_000 / step;
  const runs = upTo(most(bins, (bin) => bin.runs * perMinute));
  const tokens = upTo(most(bins, (bin) => bin.tokens));
  const known = bins.some((bin) => bin.tokens >= 0);
  const low = known ? RUNS_HIGH : HIGH;
  const y = (n: number) => 6 + (low - 6) * (1 - n / runs.end);
  const yTokens = (n: number) => RUNS_HIGH + GAP + (HIGH - RUNS_HIGH - GAP) * (1 - n / tokens.end);
  return (
    <TimeChart
      view={view}
      title={known ? "Throughput and tokens" : "Throughput"}
      height={HIGH}
      says={(bin) =>
        `${bin.runs} ${plural(bin.runs, "run")}${bin.errors > 0 ? `, ${errors(bin.errors)}` : ""}${bin.tokens >= 0 ? `, ${count(bin.tokens)} tokens` : ""}`
      }
      legend={
        <>
          <i class="agtr-dash-key agtr-key-runs" />
          runs a minute <i class="agtr-dash-key agtr-key-bad" />
          errors{" "}
          {known && (
            <>
              <i class="agtr-dash-key agtr-key-tokens" />
              tokens of each {each(step)}
            </>
          )}
        </>
      }
    >
      {({ x, bin: wide, width }: Plot) => (
        <>
          <Lines ticks={known ? ends(runs.ticks) : runs.ticks} y={y} width={width} word={figure} />
          {known && (
            <Lines
              ticks={ends(tokens.ticks)}
              y={yTokens}
              width={width}
              word={(n) => (n === 0 ? "0" : count(n))}
            />
          )}
          {bins.map((bin) => {
            const at = x(bin.from);
            const inner = Math.max(wide - (wide > 4 ? 1 : 0), 1);
            const bad = y((bin.runs - bin.errors) * perMinute);
            const top = y(bin.runs * perMinute);
            return (
              <g key={bin.from}>
                {bin.runs > 0 && (
                  <rect class="agtr-runs-bar" x={at} y={bad} width={inner} height={low - bad} />
                )}
                {bin.errors > 0 && (
                  <rect class="agtr-bad-bar" x={at} y={top} width={inner} height={bad - top} />
                )}
                {bin.tokens > 0 && (
                  <rect
                    class="agtr-tokens-bar"
                    x={at}
                    y={yTokens(bin.tokens)}
                    width={inner}
                    height={HIGH - yTokens(bin.tokens)}
                  />
                )}
              </g>
            );
          })}
        </>
      )}
    </TimeChart>
  );
}

// Where two panels share the height, the first and the last line are enough.
const ends = (ticks: number[]) => (ticks.length > 2 ? [ticks[0], ticks[ticks.length - 1]] : ticks);

const figure = (n: number) => (n >= 1000 ? count(n) : String(Number(n.toPrecision(3))));

const axis = (s: number, end: number) =>
  end < 1 ? `${Number((s * 1000).toPrecision(3))} ms` : duration(s * 1000).replace(/\.?0+ s$/, " s");

/** How long a bin is, in words. */
export function each(step: number): string {
  const s = step / 1000;
  if (!(s >= 1)) return "bin";
  if (s === 1) return "second";
  if (s < 60) return `${s} s`;
  if (s === 60) return "minute";
  if (s < 3600) return `${s / 60} min`;
  if (s === 3600) return "hour";
  return s < 86_400 ? `${s / 3600} h` : s === 86_400 ? "day" : `${s / 86_400} days`;
}

function Cross({ x, n }: { x: number; n: number }) {
  const r = n > 3 ? 4 : 3;
  return (
    <path
      class="agtr-cross"
      d={`M${x - r},${6 - r}l${2 * r},${2 * r}M${x + r},${6 - r}l${-2 * r},${2 * r}`}
    />
  );
}
