"""Who broke it: the likely causes of a failed run, each with its side, its confidence and what shows it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.findings import Evidence, Side
from agenttrace_nb.analysis.failures.ranking import LIKELY, find, ranked
from agenttrace_nb.analysis.failures.story import Story
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from agenttrace_nb.analysis.failures.judges import Judge
    from agenttrace_nb.analysis.failures.ranking import Ranked

SHOWN_CANDIDATES = 5
KEPT_CANDIDATES = 20


@dataclass(slots=True, frozen=True, kw_only=True)
class Candidate:
    """One likely cause.

    Attributes
    ----------
    span_id
        Where it began.
    agent
        The agent that it happened to; ``None`` where none is known.
    step
        Number of the agent's message in `Trace.messages`; of a trace made from messages, the row.
    side
        Whose fault it is.
    confidence
        From 0 to 1: the share of such findings that were the cause in runs whose cause was known.
    rule
        Id of the rule, or ``judge``.
    reason
        One sentence.
    evidence
        What shows it, each with the span where it can be seen.
    """

    span_id: str
    agent: str | None
    step: int | None
    side: Side
    confidence: float
    rule: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(slots=True, frozen=True, kw_only=True)
class Attribution:
    """Why a run failed: likely causes, the likeliest first.

    Made by `attribute_failure`.

    Attributes
    ----------
    trace_id
        The trace.
    failed
        Whether the run ended with an error. A run can go wrong without one.
    candidates
        The causes, the likeliest first; their confidences sum to at most 1.
    problems
        Rules that could not be applied to this trace, and what a judge could not say.
    """

    trace_id: str
    failed: bool
    candidates: tuple[Candidate, ...]
    problems: tuple[str, ...] = ()

    @property
    def side(self) -> Side:
        """Whose fault it most likely is; undetermined where no cause is more likely than not."""
        top = self.top
        return top.side if top is not None else Side.UNDETERMINED

    @property
    def top(self) -> Candidate | None:
        """The cause, where one is more likely than not."""
        first = self.candidates[0] if self.candidates else None
        return first if first is not None and first.confidence >= LIKELY else None

    def text(self) -> str:
        """Return the causes in plain words, with what shows them."""
        lines = [self.sentence()]
        for candidate in self.candidates[:SHOWN_CANDIDATES]:
            lines.append("")
            lines.append(f"{candidate.confidence:.2f}  {candidate.side.value}: {candidate.reason}")
            where = [f"span {candidate.span_id}", f"rule {candidate.rule}"]
            where += [f"agent {candidate.agent}"] if candidate.agent else []
            where += [f"step {candidate.step}"] if candidate.step is not None else []
            lines.append("      " + ", ".join(where))
            lines += [f"      - {e.text}" + (f" [{e.span_id}]" if e.span_id else "") for e in candidate.evidence]
        left = len(self.candidates) - SHOWN_CANDIDATES
        if left > 0:
            lines += ["", f"{left} less likely: .candidates has them"]
        lines += [f"note: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def sentence(self) -> str:
        """Return the likeliest cause in one sentence."""
        top = self.top
        if top is not None:
            return f"Most likely {top.side.value} ({top.confidence:.2f}): {top.reason.rstrip('.')}."
        if self.candidates:
            return "Undetermined: nothing that was found is more likely than not."
        return "Undetermined: nothing went wrong that the rules know." if not self.failed else (
            "Undetermined: the run failed, and nothing in its record says why."
        )  # fmt: skip

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{html.escape(self.sentence())}</strong></p>"]
        if self.candidates:
            rows = "".join(map(_row, self.candidates[:SHOWN_CANDIDATES]))
            heads = "".join(f'<th style="text-align:left">{h}</th>' for h in ("confidence", "side", "agent", "why"))
            parts.append(f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>")
        parts += [f"<p><em>{html.escape(problem)}</em></p>" for problem in self.problems]
        return "\n".join(parts)

    def __repr__(self) -> str:
        """Return the causes in plain words."""
        return self.text()


def _row(candidate: Candidate) -> str:
    shown = "".join(
        f"<li>{html.escape(e.text)}" + (f" <code>{html.escape(e.span_id)}</code>" if e.span_id else "") + "</li>"
        for e in candidate.evidence
    )
    why = f"<details><summary>{html.escape(candidate.reason)}</summary><ul>{shown}</ul></details>"
    cells = (f"{candidate.confidence:.2f}", candidate.side.value, html.escape(candidate.agent or "–"), why)
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>\n"


def attribute_failure(trace: Trace | Any, *, judge: Judge | None = None) -> Attribution:
    """Return why a run failed: likely causes with side, confidence and evidence.

    Rules read the trace: they know true exceptions, check arguments against the tools' schemas, look where
    identifiers come from, and follow calls, handoffs and results to see what was made up for. The same trace always
    gives the same answer. Where no cause is more likely than not, the side is ``undetermined``.

    Parameters
    ----------
    trace
        A `Trace`, or a `Run` with one trace.
    judge
        What has a say beside the rules: a function, an MLflow scorer, or an object with a method ``judge``. See
        `agenttrace_nb.analysis.failures.judges`.

    Returns
    -------
    Attribution
        Shows itself as text and as HTML.

    Raises
    ------
    OptionError
        If it is no trace, or a run of several.

    Examples
    --------
    >>> trace = Trace.from_messages(
    ...     [
    ...         {"role": "user", "content": "Where is order A-1?"},
    ...         {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "find", "arguments": "{}"}}]},
    ...         {"role": "tool", "tool_call_id": "c", "content": "HTTP 503 Service Unavailable"},
    ...         {"role": "assistant", "content": "I could not find out."},
    ...     ]
    ... )
    >>> attribute_failure(trace).side.value
    'external tool'
    """
    one = _trace(trace)
    story = Story(one)
    found, problems = find(story)
    candidates = tuple(_candidate(r) for r in ranked(found)[:KEPT_CANDIDATES])
    answer = Attribution(
        trace_id=one.trace_id, failed=story.failed, candidates=candidates, problems=tuple(problems)
    )  # fmt: skip
    if judge is None:
        return answer
    from agenttrace_nb.analysis.failures.judges import with_judge

    return with_judge(answer, story, judge)


def _candidate(ranked_: Ranked) -> Candidate:
    finding = ranked_.finding
    return Candidate(
        span_id=finding.span.span_id, agent=finding.agent, step=finding.step, side=finding.side,
        confidence=ranked_.confidence, rule=finding.rule, reason=finding.reason, evidence=finding.evidence,
    )  # fmt: skip


def _trace(given: Any) -> Trace:
    if isinstance(given, Trace):
        return given
    several = getattr(given, "traces", None)
    several = several if isinstance(several, Iterable) else ()
    traces = [trace for trace in several if isinstance(trace, Trace)]
    if len(traces) == 1:
        return traces[0]
    what = f"{type(given).__name__} with {len(traces)} traces" if traces else type(given).__name__
    msg = f"trace={what} is not allowed; it must be one Trace (of a run with several: run.traces[0])"
    raise OptionError(msg)
