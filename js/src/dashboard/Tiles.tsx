// Six figures, each with what stands behind it.

import type { ComponentChildren } from "preact";
import { count, usd } from "../core/format";
import { NEEDED, QUANTILES } from "./figures";
import type { DashboardState } from "./state";
import { perMinute, plural, seconds, share, UNKNOWN } from "./words";

export function Tiles({ view }: { view: DashboardState }) {
  const f = view.figures.value;
  const was = view.earlier.value;
  const judged = f.ok + f.errors;
  const others = [
    [f.guardrail, "turned away by a guardrail"],
    [f.cancelled, "cancelled"],
    [f.interrupted, "interrupted"],
  ] as const;
  const tokens = Number.isNaN(f.tokens_in) && Number.isNaN(f.tokens_out);
  return (
    <div class="agtr-tiles" role="group" aria-label="Figures">
      <Tile label="Runs" value={count(f.runs)} live={f.in_flight > 0}>
        <Line>
          {f.in_flight > 0 && <b>{f.in_flight} in flight</b>}
          {f.in_flight > 0 && f.per_minute >= 0 && " \u00b7 "}
          {f.per_minute >= 0 && `${perMinute(f.per_minute)} a minute`}
          {!(f.in_flight > 0) && !(f.per_minute >= 0) && "none yet"}
        </Line>
        {was && <Line mute>{was.runs} in the time before</Line>}
      </Tile>
      <Tile label="Success rate" value={share(f.success_rate)} bad={f.success_rate < 0.8}>
        <Line>
          {judged > 0 ? `${f.ok} of ${judged} ended without error` : "no run has ended"}
          {was && was.success_rate >= 0 && (
            <span class="agtr-mute">{` \u00b7 was ${share(was.success_rate)}`}</span>
          )}
        </Line>
        {f.said_of > 0 && <Line>{`said successful: ${f.said} of ${f.said_of}`}</Line>}
        {others.some(([n]) => n > 0) && (
          <Line mute>
            {others
              .filter(([n]) => n > 0)
              .map(([n, what]) => `${n} ${what}`)
              .join(" \u00b7 ")}
          </Line>
        )}
      </Tile>
      <Tile label="Errors" value={count(f.errors)} bad={f.errors > 0}>
        <Line>{judged > 0 ? `${share(f.errors / judged)} of runs` : "no run has ended"}</Line>
        {was && <Line mute>{was.errors} in the time before</Line>}
      </Tile>
      <Tile label="Latency, median" value={quantity(f.latency[0], f.latency_of, 0)}>
        <Line>
          {QUANTILES.slice(1).map((p, at) => (
            <span key={p}>
              {at > 0 && " \u00b7 "}p{100 * p}{" "}
              <Quantile value={f.latency[at + 1]} of={f.latency_of} at={at + 1} />
            </span>
          ))}
        </Line>
        <Line mute>
          {f.latency_of} {plural(f.latency_of, "run")}
          {f.latency_sum >= 0 && `, ${seconds(f.latency_sum)} in all`}
        </Line>
      </Tile>
      <Tile label="Tokens" value={tokens ? UNKNOWN : count((f.tokens_in || 0) + (f.tokens_out || 0))}>
        <Line>{tokens ? "none known" : `${known(f.tokens_in)} in \u00b7 ${known(f.tokens_out)} out`}</Line>
        {f.no_tokens > 0 && (
          <Line mute>
            {f.no_tokens} {plural(f.no_tokens, "run")} without a count
          </Line>
        )}
      </Tile>
      <Tile label="Cost" value={f.cost >= 0 ? usd(f.cost) : UNKNOWN}>
        <Line>{f.cost >= 0 ? `${usd(f.cost / (f.runs - f.no_cost))} a run` : "not known of any run"}</Line>
        {f.cost >= 0 && f.no_cost > 0 && (
          <Line mute>
            {f.no_cost} {plural(f.no_cost, "run")} without a known cost
          </Line>
        )}
      </Tile>
    </div>
  );
}

const known = (value: number) => (value >= 0 ? count(value) : UNKNOWN);

const quantity = (value: number, of: number, at: number) =>
  of >= NEEDED[at] ? seconds(value) : of > 0 ? "too few" : UNKNOWN;

function Quantile({ value, of, at }: { value: number; of: number; at: number }) {
  if (of >= NEEDED[at]) return <b>{seconds(value)}</b>;
  return (
    <span class="agtr-mute" title={`needs ${NEEDED[at]} runs; there are ${of}`}>
      too few
    </span>
  );
}

interface Shown {
  label: string;
  value: string;
  bad?: boolean;
  live?: boolean;
  children: ComponentChildren;
}

function Tile({ label, value, bad, live, children }: Shown) {
  return (
    <div class="agtr-tile">
      <span class="agtr-tile-label">
        {live && <i class="agtr-pulse" aria-hidden="true" />}
        {label}
      </span>
      <strong class={bad ? "agtr-dash-bad" : undefined}>
        {value}
        {value === UNKNOWN && <span class="agtr-said"> not known</span>}
      </strong>
      {children}
    </div>
  );
}

function Line({ mute, children }: { mute?: boolean; children: ComponentChildren }) {
  return <span class={mute ? "agtr-line-2 agtr-mute" : "agtr-line-2"}>{children}</span>;
}
