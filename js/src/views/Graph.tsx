// Agents, models, tools and handoffs as they really ran, over what was declared.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { type AgentNode, type Edge, type Item, type Part, type RunGraph, runGraph } from "../core/graph";
import { arranged, BOX, type Drawn, type Point } from "../core/graphlayout";
import { KINDS } from "../wire";
import type { ViewState } from "./state";

const LEAST_SCALE = 0.72;
const LEADS = { handoff: "hands over to", tool: "calls as tool", next: "is followed by" };
const LEGEND = { handoff: "handoff", tool: "agent as tool", next: "next run" };

export function Graph({ view }: { view: ViewState }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const version = view.store.version.value;
  const head = view.store.head.value;
  const graph = useMemo(() => runGraph(view.store.table, head?.agents), [version, head?.agents, view]);
  const room = width.value - 2 * BOX.margin;
  const drawn = useMemo(() => arranged(graph, room), [graph, room]);
  useLayoutEffect(() => {
    const { current } = box;
    const observer = new ResizeObserver(() => {
      width.value = current?.clientWidth ?? 0;
    });
    if (current) observer.observe(current);
    return () => observer.disconnect();
  }, []);
  const scale = Math.max(Math.min(1, room / drawn.width), LEAST_SCALE);
  const size = (by: number) => ({ width: `${drawn.width * by}px`, height: `${drawn.height * by}px` });
  return (
    <div class="agtr-panel agtr-graph" ref={box}>
      {graph.agents.length === 0 ? (
        <p class="agtr-hint">No agent has run yet</p>
      ) : (
        <div style={size(scale)}>
          <div
            class="agtr-canvas"
            role="group"
            aria-label="Agents and what they used: arrows move, Enter shows a step"
            style={{ ...size(1), transform: `scale(${scale})` }}
            onKeyDown={move}
          >
            <Lines drawn={drawn} graph={graph} />
            {graph.agents.map((agent, i) => (
              <Box key={agent.name} {...{ view, agent, drawn, i }} />
            ))}
            {graph.edges.map((edge, i) => (
              <Label
                key={`${edge.kind} ${edge.from} ${edge.to} ${edge.name}`}
                {...{ view, graph, edge, at: drawn.labels[i] }}
              />
            ))}
          </div>
        </div>
      )}
      <Legend graph={graph} left={head?.agents_left_out} />
      <InWords graph={graph} />
    </div>
  );
}

/** Arrow keys go through all that can be chosen, as through a list; it is one tab stop. */
function move(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...(event.currentTarget as HTMLElement).querySelectorAll("button")];
  const n = all.length;
  const at = all.indexOf(event.target as HTMLButtonElement);
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -n, End: n }[event.key];
  if (!step) return;
  const next = all[Math.max(0, Math.min(n - 1, at + step))];
  for (const button of all) button.tabIndex = button === next ? 0 : -1;
  next.focus();
  event.preventDefault();
}

const quoted = (name: string) => `"${name.replace(/".*/s, "")}"`;

function said({ rows: { length }, errors }: Part): string {
  if (length === 0) return "not used";
  return `${length} ${length === 1 ? "time" : "times"}${errors ? `, ${errors} failed` : ""}`;
}

interface Choice {
  view: ViewState;
  part: Part;
  /** What is looked for when it is chosen. */
  query: string;
  class: string;
  title?: string;
  style?: Record<string, string>;
  first?: boolean;
  children?: ComponentChildren;
}

/** Something that can be chosen: shows its first step, or the one after that which is shown, and looks for all. */
function Choice({ view, part, query, class: name, first, children, ...others }: Choice) {
  const { rows, errors } = part;
  const at = rows.indexOf(view.selected.value);
  return (
    <button
      type="button"
      tabIndex={first ? 0 : -1}
      class={`${name}${rows.length ? "" : " agtr-unused"}${at < 0 ? "" : " agtr-on"}`}
      onClick={() => {
        if (rows.length === 0) return;
        view.search.text.value = query;
        view.show(rows[(at + 1) % rows.length]);
      }}
      {...others}
    >
      {children}
      <span class="agtr-times" aria-hidden="true">
        {errors > 0 && <b class="agtr-bad">{`\u2715${errors} `}</b>}
        {rows.length ? `\u00d7${rows.length}` : "\u2013"}
      </span>
      <span class="agtr-said">, {said(part)}</span>
    </button>
  );
}

function Box(props: { view: ViewState; agent: AgentNode; drawn: Drawn; i: number }) {
  const { view, agent, drawn, i } = props;
  const { x, y, w, h } = drawn.boxes[i];
  const of = `agent:${quoted(agent.name)}`;
  const more = agent.items.length - BOX.items;
  return (
    <div
      class={`agtr-box${agent.rows.length ? "" : " agtr-unused"}`}
      style={{ left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` }}
    >
      {drawn.entries[i] && <span class="agtr-entry" aria-hidden="true" />}
      <div class="agtr-box-head">
        <Choice view={view} part={agent} query={of} class="agtr-agent" first={i === 0}>
          <b dir="auto">{agent.name || "no agent"}</b>
          {agent.role && <span class="agtr-role">{agent.role}</span>}
        </Choice>
        {agent.guardrails.map((one) => (
          <Choice
            key={one.name}
            view={view}
            part={one}
            query={`kind:guardrail name:${quoted(one.name)}`}
            class={`agtr-shield${one.tripped ? " agtr-tripped" : ""}`}
            title={verdict(one)}
          >
            <span class="agtr-said">{verdict(one)}</span>
          </Choice>
        ))}
      </div>
      {agent.items.slice(0, BOX.items).map((item) => (
        <Choice
          key={`${item.kind} ${item.name}`}
          view={view}
          part={item}
          query={`kind:${KINDS[item.kind]} ${of} ${quoted(item.name)}`}
          class={`agtr-item agtr-k-${KINDS[item.kind]}`}
          title={item.about.slice(0, 300)}
        >
          <span class="agtr-mark" aria-hidden="true" />
          <span class="agtr-label" dir="auto">
            {item.name}
            {item.leads && " \u2192"}
          </span>
        </Choice>
      ))}
      {more > 0 && <span class="agtr-hint agtr-item">{more} more</span>}
    </div>
  );
}

const verdict = ({ name, tripped }: Item) =>
  `guardrail ${name}${tripped ? `, tripped ${tripped} times` : ""}`;

function Label(props: { view: ViewState; graph: RunGraph; edge: Edge; at: Point }) {
  const { edge, at, view } = props;
  const [from, to] = [props.graph.agents[edge.from].name, props.graph.agents[edge.to].name];
  return (
    <Choice
      view={view}
      part={edge}
      query={edge.kind === "next" ? `agent:${quoted(to)}` : `agent:${quoted(from)} kind:${edge.kind}`}
      class={`agtr-edge agtr-e-${edge.kind}`}
      style={{ left: `${at.x}px`, top: `${at.y}px` }}
      title={edge.name}
    >
      <span class="agtr-said">{`${from} ${LEADS[edge.kind]} ${to}`}</span>
    </Choice>
  );
}

function Lines({ drawn, graph }: { drawn: Drawn; graph: RunGraph }) {
  const right = drawn.flow === "right";
  const point = (along: number, across: number) => (right ? `${along} ${across} ` : `${across} ${along} `);
  const along = ({ x, y }: Point) => (right ? x : y);
  const across = ({ x, y }: Point) => (right ? y : x);
  return (
    <svg aria-hidden="true" width={drawn.width} height={drawn.height}>
      {drawn.lines.map((line, i) => {
        let path = "";
        for (const [k, b] of line.entries()) {
          const a = line[k - 1];
          const middle = a && (along(a) + along(b)) / 2;
          path += a ? `C${point(middle, across(a))}${point(middle, across(b))}` : "M";
          path += point(along(b), across(b));
        }
        const [before, end] = line.slice(-2);
        const back = along(before) < along(end) ? -7 : 7;
        const { kind, rows } = graph.edges[i];
        return (
          <g class={`agtr-e-${kind}${rows.length ? "" : " agtr-unused"}`}>
            <path d={path} />
            <path class="agtr-tip" d={`M${end.x} ${end.y}l${point(back, -4)}l${point(0, 8)}z`} />
          </g>
        );
      })}
    </svg>
  );
}

function Legend({ graph, left }: { graph: RunGraph; left: string | null | undefined }) {
  const parts = [
    ...graph.edges,
    ...graph.agents.flatMap(({ items, guardrails }) => [...items, ...guardrails]),
  ];
  return (
    <p class="agtr-legend" aria-hidden="true">
      {Object.entries(LEGEND).map(
        ([kind, name]) =>
          graph.edges.some((edge) => edge.kind === kind) && <span class={`agtr-e-${kind}`}>{name}</span>,
      )}
      {graph.agents.some(({ guardrails }) => guardrails.length) && (
        <span>
          <i class="agtr-shield" /> guardrail
        </span>
      )}
      {parts.some(({ rows }) => rows.length === 0) && <span>faint: declared, not used</span>}
      {left && <span>left out: {left}</span>}
    </p>
  );
}

/** The graph for those who do not see it. */
function InWords({ graph: { agents, edges } }: { graph: RunGraph }) {
  const line = (what: string, of: string, part: Part, more = "") => (
    <tr>
      <th scope="row">{what}</th>
      <td>{of}</td>
      <td>{said(part) + more}</td>
    </tr>
  );
  return (
    <table class="agtr-said">
      <caption>Agents, what they used, and what leads from one to another</caption>
      <tbody>
        {agents.map((agent) => [
          line(agent.name, "agent", agent, agent.entries ? `, runs begin with it: ${agent.entries}` : ""),
          [...agent.items, ...agent.guardrails].map((item) =>
            line(item.name, `${KINDS[item.kind]} of ${agent.name}`, item),
          ),
        ])}
        {edges.map((edge) =>
          line(agents[edge.from].name, `${LEADS[edge.kind]} ${agents[edge.to].name}`, edge),
        )}
      </tbody>
    </table>
  );
}
