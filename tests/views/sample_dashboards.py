"""Runs as a dashboard keeps them, made by hand: an hour of three architectures, with a tool that begins to fail."""

from __future__ import annotations

import random
from typing import Any

from views.hostile import texts

from agenttrace_nb.analysis.monitor import Call, Measured, Standing
from agenttrace_nb.analysis.monitor_board import Board
from agenttrace_nb.analysis.monitor_rules import Alert, begin, parse, read
from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.dashboard_feed import DashboardFeed, Source
from agenttrace_nb.views.dashboard_text import alert_words
from agenttrace_nb.views.dashboard_windows import windows

NOW_MS = 1_763_800_000_000.0
HOUR_MS = 3_600_000
ARCHS = ("planner-executor", "single agent", "triage")
RULES = ("success < 0.9 over 50 runs", "p95 > 20s over 50 runs", "cost > 2 in 1h", "errors > 30 in 10m")


def run(at: int, start_ms: float, *, took_s: float | None = 1.0, **more: Any) -> Measured:
    """One run: an agent, a call of a model, a tool."""
    standing = more.pop("standing", Standing.OK if took_s is not None else Standing.RUNNING)
    known = more.pop("known", True)
    agent, model = more.pop("agent", "Desk"), more.pop("model", "gpt-4o-mini")
    tool, tool_standing = more.pop("tool", "get_order"), more.pop("tool_standing", Standing.OK)
    tokens = (500 + at, 60) if known else (None, None)
    cost = 0.001 + at / 1e6 if known else None
    took = took_s or 0
    calls = (
        Call(SpanKind.AGENT, agent, agent, standing, took),
        Call(SpanKind.LLM, model, agent, Standing.OK, 0.6 * took, *tokens, cost),
        Call(SpanKind.TOOL, tool, agent, tool_standing, 0.3 * took),
    )
    found = {
        "trace_id": f"{at + 1:032x}", "name": "Support", "arch": None, "case": f"customer-{at % 40 + 1:02d}",
        "standing": standing, "start_ms": start_ms, "took_s": took_s, "tokens_in": tokens[0], "tokens_out": tokens[1],
        "cost_usd": cost, "calls": calls if took_s is not None else (),
    }  # fmt: skip
    return Measured(**{**found, **more})


def hours(now_ms: float = NOW_MS, count: int = 700, failing: float = 0.3) -> list[Measured]:
    """Two hours of runs, the same each time; in the last twenty minutes a tool of one architecture fails often."""
    dice = random.Random(11)
    found = []
    for at in range(count):
        start = now_ms - 2 * HOUR_MS * (1 - at / count) - dice.random() * 9000
        arch = ARCHS[at % 3]
        late = start > now_ms - HOUR_MS / 3
        took = dice.lognormvariate(0.4 + 0.5 * (at % 3 == 0), 0.5) * (4 if arch == "triage" and late else 1)
        fails = dice.random() < (failing if late and arch == ARCHS[0] else 0.02)
        more: dict[str, Any] = {
            "arch": arch, "agent": ("Planner", "Desk", "Triage")[at % 3], "took_s": took, "known": dice.random() > 0.04,
            "model": ("gpt-4o", "gpt-4o-mini", "gpt-4o-mini")[at % 3], "success": (None, True, True, False)[at % 4],
            "tool": ("ship_again", "get_order", "refund")[at % 3],
        }  # fmt: skip
        if fails:
            more |= {
                "standing": Standing.ERROR, "tool_standing": Standing.ERROR, "where": more["tool"], "success": False,
                "why": f"TimeoutError: the warehouse did not answer in {dice.randrange(5, 12)} s (POST /v2/parcels)",
            }  # fmt: skip
        elif at % 61 == 0:
            more |= {"standing": Standing.GUARDRAIL, "success": None}
        elif at % 97 == 0:
            more |= {"standing": Standing.CANCELLED, "success": None}
        found.append(run(at, start, **more))
    found += [run(count + at, now_ms - 2000 * at, took_s=None, arch=ARCHS[at % 3]) for at in range(4)]
    return found


def board(runs: list[Measured] | None = None, **limits: int) -> Board:
    """A board with these runs, or with two hours of them."""
    made = Board(**limits)
    for one in hours() if runs is None else runs:
        made.put(one)
    return made


class FixedFeed(DashboardFeed):
    """A feed whose clock stands still."""

    @staticmethod
    def now_ms() -> float:
        return NOW_MS


def feed(runs: list[Measured] | None = None, window: str = "1h", rules: tuple[str, ...] = RULES) -> FixedFeed:
    """A feed with these runs, or with two hours of them, and rules of which one fires."""
    choices, first = windows(window)
    source = Source("mlflow.db", address="sqlite:///mlflow.db", read_ms=NOW_MS - 2000)
    made = FixedFeed("Experiment support-desk", choices, first, journal=None, source=source, board=board(runs))
    made.alerts = [shown(begin(rule, NOW_MS - 400_000), made.board) for rule in parse(rules)]
    return made


def shown(alert: Alert, of: Board) -> dict[str, Any]:
    """An alert as the browser is told of it."""
    alert = alert.next(read(alert.rule, of, NOW_MS), NOW_MS - 311_000)
    return {
        "rule": alert.rule.text, "state": alert.state.value, "says": alert_words(alert), "since": alert.since_ms,
        "fired": alert.fired,
    }  # fmt: skip


def hostile() -> list[Measured]:
    """Runs whose every text is hostile."""
    return [
        run(
            at, NOW_MS - 60_000 - 1000 * at, standing=Standing.ERROR, name=text, arch=text, case=text, why=text,
            where=text, agent=text, model=text, tool=text,
        )
        for at, text in enumerate(texts())
    ]  # fmt: skip
