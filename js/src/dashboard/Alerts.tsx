// The rules: what fires stands out, the others say in a few words how they stand.

import type { Alert } from "./board";
import type { DashboardState } from "./state";
import { clock } from "./words";

const MARKS = { firing: "\u25b2", quiet: "\u2713", "too few runs to say": "\u2026" };

export function Alerts({ view }: { view: DashboardState }) {
  const alerts = view.store.head.value?.alerts ?? [];
  if (alerts.length === 0) return null;
  return (
    <section class="agtr-alerts" aria-label="Alerts">
      <ul>
        {alerts.map((alert) => (
          <Rule key={alert.rule} alert={alert} now={view.store.now()} />
        ))}
      </ul>
      <p class="agtr-said" role="alert">
        {alerts
          .filter(({ state }) => state === "firing")
          .map(({ rule }) => `Alert: ${rule}.`)
          .join(" ")}
      </p>
    </section>
  );
}

function Rule({ alert, now }: { alert: Alert; now: number }) {
  const { rule, state, says, since, fired } = alert;
  return (
    <li class={state === "firing" ? "agtr-firing" : undefined}>
      <span class="agtr-alert-mark" aria-hidden="true">
        {MARKS[state]}
      </span>
      <code>{rule}</code>
      <span>
        {state === "firing" ? `${says}, since ${clock(since, now, 1000)}` : says || state}
        {state !== "firing" && fired > 0 && (
          <span class="agtr-mute">{` \u00b7 fired ${fired === 1 ? "once" : `${fired} times`}, the last time until ${clock(since, now, 1000)}`}</span>
        )}
      </span>
    </li>
  );
}
