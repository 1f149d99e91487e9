"""What runs are compared by: the agents, tools, outcomes, shapes of arguments and transitions that are in them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.calls import NOT_JSON
from agenttrace_nb.analysis.failures.story import Story
from agenttrace_nb.analysis.failures.wording import decoded, is_empty, shape_of, shortened
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.failures.calls import Call
    from agenttrace_nb.spans import Trace

NAME_CHARACTERS = 60
MOST_KEYS = 12
_SHAPES = {"nothing": "nothing", "list": "a list", "object": "an object", "number": "a number", "text": "a text"}
_TYPES = {bool: "truth", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}


@dataclass(slots=True, frozen=True)
class Element:
    """Something that a run has or has not; ``what`` says it so that it can stand after "runs in which"."""

    kind: str
    what: str
    agent: str | None = None
    tool: str | None = None


def elements_of(trace: Trace) -> set[Element]:
    """Return everything that a run has, each once.

    Examples
    --------
    >>> from agenttrace_nb.spans import Trace
    >>> trace = Trace.from_messages([{"role": "assistant", "content": "hi", "agent": "Clerk"}])
    >>> [element.what for element in elements_of(trace)]
    ['Clerk had its turn']
    """
    story = Story(trace)
    found = set(_agents(story))
    seen: dict[Any, int] = {}
    for call in story.calls:
        found.update(_of_call(call))
        if call.raw is not None:
            seen[call.key] = seen.get(call.key, 0) + 1
    for (_, name, _), times in seen.items():
        if times > 1:
            tool = _name(name)
            found.add(Element("repeated", f"{tool} was called twice or more with the same arguments", tool=tool))
    found.update(_transitions(story))
    return found


def _agents(story: Story) -> Iterator[Element]:
    names = {a.agent for a in story.answers if a.agent} | {s.name for s in story.order if s.kind is SpanKind.AGENT}
    for agent in map(_name, names):
        yield Element("agent", f"{agent} had its turn", agent=agent)


def _of_call(call: Call) -> Iterator[Element]:
    tool = _name(call.name)
    agent = _name(call.agent) if call.agent else None
    yield Element("tool", f"{tool} was called", tool=tool)
    if agent is not None:
        yield Element("calls", f"{agent} called {tool}", agent=agent, tool=tool)
    yield Element("outcome", f"{tool} {_outcome(call)}", tool=tool)
    if (shape := _arguments(call)) is not None:
        yield Element("arguments", f"{tool} was called with {shape}", tool=tool)


def _outcome(call: Call) -> str:
    if not call.ran:
        return "was not there"
    if call.span.status is Status.ERROR:
        kind = call.span.error.type if call.span.error is not None else None
        return f"failed with {_name(kind)}" if kind else "failed"
    if call.span.status is not Status.OK:
        return "did not end"
    if call.reported is not None:
        return "reported an error"
    if is_empty(call.result):
        empty = decoded(call.result)
        return "returned an empty list" if empty == [] else "returned nothing"
    return f"returned {_SHAPES[shape_of(call.result)]}"


def _arguments(call: Call) -> str | None:
    given = call.arguments
    if given is NOT_JSON:
        return "arguments that are no JSON"
    if not isinstance(given, dict):
        return None
    keys = [f"{_name(str(key))}: {_TYPES.get(type(value), 'other')}" for key, value in sorted(given.items())]
    more = ", ..." if len(keys) > MOST_KEYS else ""
    return f"({', '.join(keys[:MOST_KEYS])}{more})" if keys else "no arguments"


def _transitions(story: Story) -> Iterator[Element]:
    for before, after in pairwise(story.calls):
        one, other = _name(before.name), _name(after.name)
        yield Element("transition", f"{other} came right after {one}", tool=other)
    for span in story.handoffs:
        yield Element("transition", f"{_name(span.name)} was a handoff")


def _name(text: str | None) -> str:
    return shortened(text or "", NAME_CHARACTERS)
