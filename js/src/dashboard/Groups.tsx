// Agents, tools, models or architectures: those that need attention first. A click lists their runs.

import { useSignal } from "@preact/signals";
import { Fragment } from "preact";
import { quantile } from "../core/charts";
import { count, grouped, usd } from "../core/format";
import { BY, type By, type Change, cost, type Group, total } from "./grouping";
import type { DashboardState } from "./state";
import { seconds, share, UNKNOWN } from "./words";

const FIRST = 8;
const WORDS: Record<By, string> = { agent: "Agents", tool: "Tools", model: "Models", arch: "Architectures" };

export function Groups({ view, id }: { view: DashboardState; id: string }) {
  const all = useSignal(false);
  const by = view.by.value;
  const found = view.groups.value;
  const shown = all.value ? found : found.slice(0, FIRST);
  const longest = Math.max(0, ...found.map((group) => total(group) || 0));
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    view.by.value = BY[(BY.indexOf(by) + step + BY.length) % BY.length];
    (event.currentTarget as HTMLElement)
      .querySelectorAll<HTMLElement>("[role=tab]")
      [BY.indexOf(view.by.value)].focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <section class="agtr-dash-by" aria-label="By agent, tool, model or architecture">
      <div class="agtr-dash-tabs" role="tablist" aria-label="Group by" onKeyDown={onKeyDown}>
        {BY.map((one) => (
          <button
            type="button"
            key={one}
            role="tab"
            class="agtr-choice"
            id={`${id}-tab-${one}`}
            aria-selected={one === by}
            aria-controls={`${id}-by`}
            tabIndex={one === by ? 0 : -1}
            onClick={() => {
              view.by.value = one;
              all.value = false;
            }}
          >
            {WORDS[one]}
          </button>
        ))}
      </div>
      <div id={`${id}-by`} class="agtr-groups-box" role="tabpanel" aria-labelledby={`${id}-tab-${by}`}>
        {found.length === 0 ? (
          <p class="agtr-none">Nothing in this time</p>
        ) : (
          <table class="agtr-table">
            <thead>
              <tr>
                <th scope="col">{by === "arch" ? "architecture" : by}</th>
                <th scope="col">{by === "arch" ? "runs" : "calls"}</th>
                <th scope="col">errors</th>
                <th scope="col">p50</th>
                <th scope="col">p95</th>
                <th scope="col" class="agtr-wide">
                  in all
                </th>
                {by !== "tool" && (
                  <th scope="col" class="agtr-dash-tokens">
                    tokens
                  </th>
                )}
                {by !== "tool" && <th scope="col">cost</th>}
              </tr>
            </thead>
            <tbody>
              {shown.map((group) => (
                <Fragment key={group.text}>
                  <Row view={view} group={group} longest={longest} />
                  {group.change && <Attention change={group.change} />}
                </Fragment>
              ))}
            </tbody>
          </table>
        )}
        {found.length > FIRST && (
          <button
            type="button"
            class="agtr-link agtr-more"
            onClick={() => {
              all.value = !all.value;
            }}
          >
            {all.value ? "only the first" : `all ${found.length}`}
          </button>
        )}
      </div>
    </section>
  );
}

function Row({ view, group, longest }: { view: DashboardState; group: Group; longest: number }) {
  const by = view.by.value;
  const name = group.name || "without one";
  const focus = view.focus.value;
  const on = focus?.by === by && focus.text === group.text;
  const all = total(group);
  const marks = `${on ? "agtr-on" : ""}${group.change ? " agtr-noted" : ""}`;
  return (
    <tr class={marks}>
      <th scope="row">
        <button
          type="button"
          class="agtr-dash-name"
          aria-pressed={on}
          title={`${name}: list its runs`}
          onClick={() => {
            view.focus.value = on ? undefined : { by, text: group.text, name };
          }}
        >
          <bdi>{name}</bdi>
        </button>
      </th>
      <td>{grouped(group.n)}</td>
      <td class={group.errors > 0 ? "agtr-dash-bad" : undefined}>
        {group.errors}
        {group.errors > 0 && <span class="agtr-share"> {share(group.errors / group.judged)}</span>}
      </td>
      <td>{seconds(quantile(group.took, 0.5))}</td>
      <td>{seconds(quantile(group.took, 0.95))}</td>
      <td class="agtr-wide">
        {seconds(all)}
        <span class="agtr-meter" aria-hidden="true">
          <i style={{ width: `${all > 0 && longest > 0 ? (100 * all) / longest : 0}%` }} />
        </span>
      </td>
      {by !== "tool" && <td class="agtr-dash-tokens">{group.tokens >= 0 ? count(group.tokens) : UNKNOWN}</td>}
      {by !== "tool" && <td>{cost(group) >= 0 ? usd(cost(group)) : UNKNOWN}</td>}
    </tr>
  );
}

function Attention({ change }: { change: Change }) {
  const word = change.what === "errors" ? share : seconds;
  return (
    <tr class="agtr-attention">
      <td colSpan={8}>
        <span aria-hidden="true">{"\u25b2 "}</span>
        {change.what === "errors" ? "more errors" : "slower"}: {word(change.before)}
        {" \u2192 "}
        {word(change.now)}
      </td>
    </tr>
  );
}
