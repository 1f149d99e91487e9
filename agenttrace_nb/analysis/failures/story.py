"""A trace as a story: who asked which tool for what, what came back, who handed over, and how it ended.

The rules read stories, not traces: spans of the SDK, conversations without a clock and traces of other systems look the
same here. Spans that are open, orphaned, in a circle or out of time are read as they are. Nothing is decoded twice, and
what is long is not decoded at all unless a rule asks for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.calls import Answer, Call, said_in
from agenttrace_nb.analysis.failures.findings import Standing
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agenttrace_nb.spans import Agent, Span, Trace


class Story:
    """A trace as rules read it.

    Attributes
    ----------
    order
        All spans in order of their start.
    place
        Place of each span in that order, by span id.
    calls, answers, handoffs, guardrails
        What happened, in order.
    origins
        Spans in which an error began.
    notes
        What rules found out and others may need.
    end
        The error that the whole run ended with, on the root or the last agent; ``None`` if it did not.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.order: list[Span] = sorted(trace.spans, key=lambda s: s.start_ns)
        self.notes: dict[str, Any] = {}
        self.place = {span.span_id: at for at, span in enumerate(self.order)}
        self.by_id = {span.span_id: span for span in self.order}
        self.answers = list(self._read_answers())
        self.calls = list(self._read_calls())
        self.handoffs = [s for s in self.order if s.kind is SpanKind.HANDOFF]
        self.guardrails = [s for s in self.order if s.kind is SpanKind.GUARDRAIL]

    # -- reading ------------------------------------------------------------------------------------------------

    def _read_answers(self) -> Iterator[Answer]:
        step = 0
        for at, span in enumerate(self.order):
            if span.kind is not SpanKind.LLM:
                continue
            asks, texts = said_in(span.output)
            row = span.attributes.get("row")
            yield Answer(at, span, span.agent, texts, row if isinstance(row, int) else step, asks)
            step += bool(span.agent)

    def _read_calls(self) -> Iterator[Call]:
        asked: dict[str, tuple[Answer, Any]] = {}
        waiting: dict[tuple[str | None, str], list[tuple[Answer, Any, str | None]]] = defaultdict(list)
        answers = iter(self.answers)
        following: Answer | None = next(answers, None)
        last: dict[str | None, Answer] = {}
        self._unanswered: dict[tuple[str, int], tuple[Answer, str, Any, str | None]] = {}
        for at, span in enumerate(self.order):
            while following is not None and following.at <= at:
                last[following.span.parent_id] = last[None] = following
                for number, (call_id, name, raw) in enumerate(following.asks):
                    if call_id is not None:
                        asked[call_id] = (following, raw)
                    waiting[following.agent, name].append((following, raw, call_id))
                    self._unanswered[following.span.span_id, number] = (following, name, raw, call_id)
                following = next(answers, None)
            if span.kind in (SpanKind.TOOL, SpanKind.HANDOFF):
                call = self._call(at, span, asked, last)
                if span.kind is SpanKind.TOOL:
                    yield call
        yield from self._never_ran()

    def _call(self, at: int, span: Span, asked: dict[str, tuple[Answer, Any]], last: dict[str | None, Answer]) -> Call:
        call_id = span.attributes.get("call_id")
        raw: Any = None
        answer, agent = last.get(span.parent_id) or last.get(None), span.agent
        if isinstance(call_id, str) and call_id in asked:
            answer, raw = asked[call_id]
            agent = answer.agent or agent
        given = span.input
        agent = agent or (answer.agent if answer is not None else None)
        self._settle(answer, span, call_id)
        return Call(
            at=at, name=span.name, span=span, agent=agent, asked_by=answer.span if answer else None,
            raw=given if given is not None else raw, step=answer.step if answer else None,
        )  # fmt: skip

    def _settle(self, answer: Answer | None, span: Span, call_id: Any) -> None:
        """Note that what an answer asked for was done."""
        if answer is None:
            return
        for number, (its_id, name, _) in enumerate(answer.asks):
            key = (answer.span.span_id, number)
            same = its_id == call_id if isinstance(call_id, str) else name == span.name
            if key in self._unanswered and (same or span.kind is SpanKind.HANDOFF):
                del self._unanswered[key]
                return

    def _never_ran(self) -> Iterator[Call]:
        """Yield what was asked for by name and never ran: where the tools are declared, one that there is not."""
        for answer, name, raw, _ in self._unanswered.values():
            known = self.tools_of(answer.agent)
            if known is not None and name not in known and name not in self._handoff_tools(answer.agent):
                yield Call(
                    at=answer.at, name=name, span=answer.span, agent=answer.agent, asked_by=answer.span, raw=raw,
                    ran=False, step=answer.step,
                )  # fmt: skip

    # -- what is declared ---------------------------------------------------------------------------------------

    def agent_of(self, name: str | None) -> Agent | None:
        """Return what an agent was declared to be."""
        return self.trace.agents.get(name) if name is not None else None

    def tools_of(self, agent: str | None) -> dict[str, dict[str, Any]] | None:
        """Return the declared tools of an agent by name; ``None`` where nothing was declared."""
        declared = self.agent_of(agent)
        if declared is None:
            return None
        return {str(tool.get("name")): tool for tool in declared.tools}

    def _handoff_tools(self, agent: str | None) -> set[str]:
        declared = self.agent_of(agent)
        return {str(h.get("tool")) for h in declared.handoffs} if declared else set()

    # -- errors -------------------------------------------------------------------------------------------------

    @cached_property
    def origins(self) -> list[Span]:
        """Spans in which an error began: failed, and nothing below failed for the same reason."""
        failed = [s for s in self.order if s.status is Status.ERROR]
        explained: set[str] = set()
        for span in failed:
            above = self._failed_above(span)
            if above is not None and same_failure(span, above):
                explained.add(above.span_id)
        return [s for s in failed if s.span_id not in explained]

    def _failed_above(self, span: Span) -> Span | None:
        passed = {span.span_id}
        parent = self.by_id.get(span.parent_id or "")
        while parent is not None and parent.status is not Status.ERROR and parent.span_id not in passed:
            if parent.span_id in self._known_above:
                parent = self._known_above[parent.span_id]
                break
            passed.add(parent.span_id)
            parent = self.by_id.get(parent.parent_id or "")
        found = parent if parent is not None and parent.status is Status.ERROR and parent is not span else None
        self._known_above.update(dict.fromkeys(passed, found))
        return found

    @cached_property
    def _known_above(self) -> dict[str, Span | None]:
        return {}

    @cached_property
    def end(self) -> Span | None:
        """The topmost span that failed: what the run ended with; ``None`` if it came through."""
        root = self.trace.root
        if root is not None and root.status is Status.ERROR:
            return root
        if self.trace.status is Status.ERROR:
            return next((s for s in reversed(self.order) if s.status is Status.ERROR), root)
        return None

    @property
    def failed(self) -> bool:
        """Whether the run as a whole ended with an error."""
        return self.trace.status is Status.ERROR or self.end is not None

    def ended_with(self, *types: str) -> bool:
        """Tell whether the run ended with an exception of one of these types."""
        error = self.end.error if self.end is not None else None
        return error is not None and (error.type in types or any(cause.startswith(types) for cause in error.chain))

    @cached_property
    def fatal(self) -> frozenset[str]:
        """Ids of the spans whose error is the one that the run ended with."""
        end = self.end
        if end is None:
            return frozenset()
        return frozenset(
            s.span_id for s in self.origins if s is end or (same_failure(s, end) and self._reaches(s, end))
        )

    def _reaches(self, span: Span, end: Span) -> bool:
        """Tell whether an error went all the way up: every span between failed too."""
        seen: set[str] = set()
        here: Span | None = span
        while here is not None and here is not end and here.span_id not in seen:
            seen.add(here.span_id)
            here = self.by_id.get(here.parent_id or "")
            if here is not None and here.status is not Status.ERROR and here.kind is not SpanKind.TURN:
                return False
        return True

    def children_failed(self, span: Span) -> bool:
        """Tell whether something failed below a span."""
        return span.span_id in self._with_failures_below

    def has_below(self, span: Span) -> bool:
        """Tell whether any step stands under a span."""
        return span.span_id in self._parents

    @cached_property
    def _parents(self) -> set[str]:
        return {span.parent_id for span in self.order if span.parent_id}

    @cached_property
    def _with_failures_below(self) -> set[str]:
        found: set[str] = set()
        for span in self.order:
            if span.status is not Status.ERROR:
                continue
            parent = span.parent_id
            while parent and parent not in found:
                found.add(parent)
                above = self.by_id.get(parent)
                parent = above.parent_id if above is not None else None
        return found

    # -- looking around -----------------------------------------------------------------------------------------

    def step_at(self, at: int) -> int | None:
        """Return the number of the agent's message that stood last at a place in the story."""
        index = bisect_right(self.answer_places, at) - 1
        return self.answers[index].step if index >= 0 else None

    @cached_property
    def answer_places(self) -> list[int]:
        """Place of each answer in the story."""
        return [answer.at for answer in self.answers]

    @cached_property
    def calls_by_tool(self) -> dict[str, list[Call]]:
        """Calls of each tool, in order."""
        found: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            found[call.name].append(call)
        return found

    def next_good(
        self, at: int, *, tool: str | None = None, agent: str | None = None, key: tuple[Any, ...] | None = None
    ) -> Call | None:
        """Return the next call after a place that went well: of a tool, of an agent, or one that is the same."""
        good = (
            self._good_by_key.get(key[1:], []) if key is not None
            else self._good_by_tool.get(tool, []) if tool is not None
            else self._good_by_agent.get(agent, [])
        )  # fmt: skip
        index = bisect_right(good, at, key=lambda call: call.at)
        return good[index] if index < len(good) else None

    @cached_property
    def _good_by_key(self) -> dict[tuple[str, str], list[Call]]:
        return _grouped(self.calls, lambda call: call.key[1:])

    @cached_property
    def _good_by_tool(self) -> dict[str, list[Call]]:
        return _grouped(self.calls, lambda call: call.name)

    @cached_property
    def _good_by_agent(self) -> dict[str | None, list[Call]]:
        return _grouped(self.calls, lambda call: call.agent)

    @cached_property
    def last_answer(self) -> Answer | None:
        """The last answer with a text."""
        return next((a for a in reversed(self.answers) if a.text.strip()), None)

    def standing_of(self, span: Span) -> Standing:
        """Return what became of an error in a span, from its place alone: whether the run ended with it."""
        return Standing.FATAL if span.span_id in self.fatal else Standing.OPEN


def _grouped(calls: Iterable[Call], by: Callable[[Call], Any]) -> dict[Any, list[Call]]:
    found: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        if call.went_well:
            found[by(call)].append(call)
    return found


def same_failure(below: Span, above: Span) -> bool:
    """Tell whether two spans failed for the same reason, as far as can be told."""
    one, other = below.error, above.error
    if one is None or other is None or one.type is None or other.type is None:
        return True
    told = bool(one.message) and one.message in other.message
    return told or one.type == other.type or str(one) in other.chain
