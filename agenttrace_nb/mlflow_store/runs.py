"""A cell run as an MLflow run: its tags, its summary at the end, and the points of its charts as it goes. Pure."""

from __future__ import annotations

import getpass
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.limits import shortened, tags
from agenttrace_nb.mlflow_store.records import MetricPoint
from agenttrace_nb.spans import NS_PER_S, CellRun, Span, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MS_IN_NS = 1_000_000
NOTE_CHARS = 500
RUN_STATUS = {
    Status.OK: "FINISHED",
    Status.ERROR: "FAILED",
    Status.CANCELLED: "KILLED",
    Status.INTERRUPTED: "KILLED",
}
_CALLS = frozenset({SpanKind.LLM, SpanKind.TOOL})
_COUNTED = {
    SpanKind.TURN: "turns",
    SpanKind.LLM: "llm_calls",
    SpanKind.TOOL: "tool_calls",
    SpanKind.HANDOFF: "handoffs",
}
_EVERY_STEP_UP_TO = 64
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def start_tags(run: CellRun, parent_run_id: str | None) -> dict[str, str]:
    """Return the tags that a run is made with."""
    known: dict[str, Any] = {
        **run.tags,
        "arch": run.arch,
        "case": run.case,
        "trial": run.trial,
        names.KEY: run.key,
        "agenttrace.session": run.session,
        "agenttrace.roles": json.dumps(run.roles, ensure_ascii=False) if run.roles else None,
        "agenttrace.notebook": run.notebook,
        "agenttrace.cell_id": run.cell_id,
        "agenttrace.execution_count": run.execution_count,
        "agenttrace.source_hash": run.source_hash,
        "agenttrace.versions": json.dumps(run.versions) if run.versions else None,
        names.GIT_COMMIT: run.git_commit,
        names.SOURCE_NAME: run.notebook and Path(run.notebook).name,
        names.SOURCE_TYPE: "NOTEBOOK" if run.notebook else "LOCAL",
        names.USER: _user(),
        names.PARENT_RUN_ID: parent_run_id,
    }
    return tags(known)


def trace_tags(run: CellRun) -> dict[str, str]:
    """Return the tags that the traces of a run are found by."""
    known = {
        **run.tags,
        "arch": run.arch,
        "case": run.case,
        "trial": run.trial,
        names.RUN_KEY: run.key,
    }
    return tags(known)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


# ------------------------------------------------------------------------------------------------- what is counted


@dataclass(slots=True)
class _Part:
    """What one span adds to its run."""

    kind: SpanKind
    status: Status
    name: str
    agent: str | None
    error: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None


@dataclass(slots=True)
class Progress:
    """Counts what happens in one run, span by span; a span that changes is counted anew.

    Attributes
    ----------
    costs
        What the LLM calls cost, in USD, by span.
    """

    start_ns: int
    price_of: Callable[[Span], float | None]
    points: list[MetricPoint] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    _parts: dict[str, _Part] = field(default_factory=dict)
    _root_errors: dict[str, int] = field(default_factory=dict)
    _calls: int = 0
    _failed: int = 0
    _errors: int = 0
    _tokens: int = 0

    def take(self, span: Span) -> None:
        """Count a span that has ended."""
        known = self._parts.get(span.span_id)
        if known is not None and known.kind is not span.kind:
            # Its beginning is not at hand any more: it went to MLflow with the trace, which ended before it.
            known.status, known.error = span.status, str(span.error) if span.error else None
            return
        cost = span.cost_usd if span.cost_usd is not None else self.price_of(span)
        if cost is not None:
            self.costs[span.span_id] = cost
        is_llm = span.kind is SpanKind.LLM
        self._parts[span.span_id] = _Part(
            span.kind, span.status, span.name, span.agent, str(span.error) if span.error else None,
            span.input_tokens if is_llm else None, span.output_tokens if is_llm else None, cost if is_llm else None,
        )  # fmt: skip
        if known is None and span.kind in _CALLS:
            self._count_call(span)

    def owns(self, span_id: str) -> bool:
        """Tell whether a span was counted here."""
        return span_id in self._parts

    def set_errors(self, trace_id: str, count: int) -> None:
        """Note in how many spans of a trace errors began."""
        self._root_errors[trace_id] = count

    def _count_call(self, span: Span) -> None:
        self._calls += 1
        self._failed += span.status is Status.ERROR
        self._errors += span.status is Status.ERROR
        self._tokens += (span.input_tokens or 0) + (span.output_tokens or 0)
        if _is_shown(self._calls):
            self._add_points(span.end_ns or span.start_ns)

    def _add_points(self, time_ns: int) -> None:
        values = {
            "latency_s": (time_ns - self.start_ns) / NS_PER_S,
            "errors": self._errors,
            "tokens": self._tokens,
            "completed_calls": self._calls,
            "failed_calls": self._failed,
        }
        self.points += [
            MetricPoint(f"progress/{name}", float(value), time_ns // MS_IN_NS, self._calls)
            for name, value in values.items()
        ]

    def take_points(self) -> list[MetricPoint]:
        """Return the points of the charts since the last call."""
        points, self.points = self.points, []
        return points

    # -- at the end --------------------------------------------------------------------------------------------

    def summary(self, run: CellRun) -> list[MetricPoint]:
        """Return the metrics of the whole run; what is not known is left out."""
        end_ns = run.end_ns or run.start_ns
        kinds = Counter(part.kind for part in self._parts.values())
        errors = sum(self._root_errors.values())
        if not errors and run.status is Status.ERROR:
            errors = 1  # the cell's own code raised
        values: dict[str, float | None] = {
            "latency_s": (end_ns - run.start_ns) / NS_PER_S,
            **{name: kinds[kind] for kind, name in _COUNTED.items()},
            "tool_errors": len(self.failed_tools()),
            "errors": errors,
            "input_tokens": _sum(part.tokens_in for part in self._parts.values()),
            "output_tokens": _sum(part.tokens_out for part in self._parts.values()),
            "cost_usd": _sum(part.cost_usd for part in self._parts.values()),
            "success": None if run.success is None else float(run.success),
        }
        if self._calls and not _is_shown(self._calls):
            self._add_points(end_ns)
        return [MetricPoint(k, float(v), end_ns // MS_IN_NS) for k, v in values.items() if v is not None]

    def failed_tools(self) -> list[tuple[str, str | None, str | None]]:
        """Return name, agent and error of each tool call that failed."""
        return [
            (part.name, part.agent, part.error)
            for part in self._parts.values()
            if part.kind is SpanKind.TOOL and part.status is Status.ERROR
        ]


def end_tags(run: CellRun, progress: Progress) -> dict[str, str]:
    """Return the tags that a run gets at its end: how it went, and which tools failed."""
    known: dict[str, Any] = {
        names.TRACE_STATUS: run.status.value,
        "agenttrace.error": str(run.error) if run.error else None,
        names.SUCCESS: None if run.success is None else str(run.success).lower(),
    }
    if failed := progress.failed_tools():
        counts = Counter(name for name, _, _ in failed)
        which = ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in counts.most_common())
        known[names.FAILED_TOOLS] = f"{len(failed)}: {which}"
        if names.RUN_NOTE not in run.tags:
            known[names.RUN_NOTE] = _note(failed)
    return tags(known)


def success_tags(success: bool | None, /) -> dict[str, str]:  # noqa: FBT001 - the value of a tag
    """Return the tag that says what was said of a run."""
    return {names.SUCCESS: "unknown" if success is None else str(success).lower()}


def _note(failed: list[tuple[str, str | None, str | None]]) -> str:
    """Return what stands at the top of the run's page in MLflow, as Markdown in which nothing of a tool's acts."""
    lines = [f"**{len(failed)} tool call{'s' if len(failed) > 1 else ''} failed**", ""]
    for name, agent, error in failed[:20]:
        told = f"{name} ({agent})" if agent else name
        lines.append(f"- {_escaped(told)}: {_escaped(error or 'no reason given')}")
    if len(failed) > 20:  # noqa: PLR2004 - as above
        lines.append(f"- and {len(failed) - 20} more")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", shortened(" ".join(text.split()), NOTE_CHARS))


def _is_shown(step: int) -> bool:
    """Tell whether a step gets points of its own: each of the first, then ever fewer.

    A point costs MLflow 0.2 ms, and there are five to a step. Which ones are shown depends on the number alone, so
    that a delivery that is repeated draws the same chart.
    """
    every = 1
    while step > _EVERY_STEP_UP_TO * every:
        every *= 4
    return step % every == 0


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
