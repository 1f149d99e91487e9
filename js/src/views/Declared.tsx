// What an agent was declared to be.

import type { Signal } from "@preact/signals";
import { visible } from "../core/content";
import { toJson } from "../core/json";
import type { DeclaredAgent, DeclaredTool } from "../wire";
import { Card, Frame, type Look } from "./Card";
import { Data, Text } from "./Value";

const INSTRUCTIONS_LIMIT = 600;

export function Declared({ agent, look }: { agent: DeclaredAgent; look: Signal<Look> }) {
  const plain = Object.fromEntries(
    Object.entries({ model: agent.model, ...agent.model_settings, "output type": agent.output_type }).filter(
      ([, value]) => value !== null && value !== undefined,
    ),
  );
  const names = (list: unknown[] | undefined) => (list ?? []).map(nameOf).join(", ");
  const lists = { "hands over to": names(agent.handoffs), guardrails: names(agent.guardrails) };
  const fields = { ...plain, ...Object.fromEntries(Object.entries(lists).filter(([, text]) => text)) };
  return (
    <>
      {agent.instructions && (
        <Frame title="instructions" copy={() => agent.instructions ?? ""}>
          <Text text={agent.instructions} first={INSTRUCTIONS_LIMIT} />
        </Frame>
      )}
      {agent.tools && agent.tools.length > 0 && (
        <Frame title={`tools (${agent.tools.length})`} copy={() => toJson(agent.tools)}>
          {agent.tools.map((tool, i) => (
            <Tool key={i} tool={tool} />
          ))}
        </Frame>
      )}
      {Object.keys(fields).length > 0 && <Card title="declared as" value={fields} look={look} />}
    </>
  );
}

function Tool({ tool }: { tool: DeclaredTool }) {
  return (
    <details class="agtr-tool">
      <summary dir="auto">
        <b>{visible(tool.name)}</b> {visible((tool.description ?? "").slice(0, 600))}
      </summary>
      {tool.schema ? <Data value={tool.schema} /> : <p class="agtr-hint">no schema</p>}
    </details>
  );
}

/** Of a handoff or a guardrail, what it is called. */
function nameOf(one: unknown): string {
  if (typeof one === "string") return one;
  const { agent, name } = one as { agent?: unknown; name?: unknown };
  return String(agent ?? name ?? "?");
}
