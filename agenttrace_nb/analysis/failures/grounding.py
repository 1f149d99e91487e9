"""Where the values in a call come from: an identifier that nobody named before is invented."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.calls import NOT_JSON, Call, canonical
from agenttrace_nb.analysis.failures.wording import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agenttrace_nb.analysis.failures.story import Story
    from agenttrace_nb.spans import Span

READ_CHARACTERS = 20_000_000
"""So much text of one trace is looked through; beyond it nothing is said to be invented."""

SEARCHED_CHARACTERS = 50_000_000
"""As above, for what is searched again and again."""

_PER_TEXT_CHARACTERS = 500_000
_COST_OF_A_TEXT = 500
_EARLIER_PROMPTS = 50
_LONGEST_ID = 80
_SHORTEST_ID = 4
_SHORTEST_NUMBER = 5
_SHORTEST_PART = 2
_LEAVES = 200
_WORD = re.compile(r"[\w.@+/-]+", re.UNICODE)
_PART = re.compile(r"[^\W_]+", re.UNICODE)
_TIME = re.compile(
    r"\A(?:\d{4}-\d{1,2}(?:-\d{1,2})?|\d{1,2}[./-]\d{1,2}(?:[./-]\d{2,4})?|\d{4}/\d{1,2}/\d{1,2})?[T ]?"
    r"(?:\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?)?(?:Z|[+-]\d{2}:?\d{2})?\Z"
)
_NUMBER = re.compile(r"\A[-+]?[$€£]?\d[\d,. ]*%?\Z")
_NAMES_AN_ID = re.compile(
    r"(?:\A|_|\b)(?:id|ids|uuid|guid|key|number|no|num|ref|reference|code|sku|token)\Z|[a-z]I[dD]s?\Z"
)
_NAMES_ONE_THING = re.compile(r"(?:\A|_|\b)(?:id|ids|uuid|guid|ref|reference)\Z|[a-z]I[dD]s?\Z")
_FREE_TEXT = re.compile(
    r"(?:\A|_|\b)(?:text|query|question|input|prompt|message|summary|thought|reason|note|notes|comment|content|code|"
    r"expression|description|instructions?|sql|url|path|script|command|body|title|request)\Z",
    re.IGNORECASE,
)


@dataclass(slots=True, frozen=True)
class Invented:
    """A value in a call's arguments that stands nowhere before it."""

    path: str
    value: str


class Grounds:
    """What has been said so far in a story, so that what nobody said is seen.

    An agent knows what stands in the prompt of the answer that made the call, and what tools returned before it. What
    it wrote itself does not count: who invents an identifier may well mention it first.
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._budget = READ_CHARACTERS
        self._searches = SEARCHED_CHARACTERS
        self._results: set[str] = set()
        self._texts: list[str] = []
        self._told_at = 0
        self._prompts: dict[str, str] = {}

    @cached_property
    def has_prompts(self) -> bool:
        """Whether what the models were told was recorded at all."""
        return any(answer.span.content_in is not None for answer in self._story.answers)

    def invented(self, call: Call) -> list[Invented]:
        """Return the identifiers in a call that nothing before it contains; calls must be asked about in order."""
        if self.is_exhausted():
            return []
        self._hear(call)
        arguments = call.arguments
        if arguments in (None, NOT_JSON) or not self.has_prompts:
            return []
        allowed = self._declared_values(call)
        found = [
            Invented(path, value)
            for path, value in identifiers(arguments)
            if value.lower() not in allowed and not self._known(value, call)
        ]
        return [] if self.is_exhausted() else found

    def is_exhausted(self) -> bool:
        """Whether there was too much to look through; from here on nothing is said to be invented."""
        return self._budget <= 0 or self._searches <= 0

    def named_by_tool(self, value: str) -> bool:
        """Tell whether a tool's result contained a value, up to the call that was asked about last."""
        return value.lower() in self._results

    def _hear(self, call: Call) -> None:
        calls = self._story.calls
        while self._told_at < len(calls) and calls[self._told_at].at < call.at:
            earlier = calls[self._told_at]
            self._told_at += 1
            if earlier.ran and self._budget > 0:
                self._take(_flat(earlier.result))

    def _take(self, text: str) -> None:
        low = text[:_PER_TEXT_CHARACTERS].lower()
        self._budget -= len(low)
        self._results.update(_WORD.findall(low))
        self._texts.append(low)

    def _known(self, value: str, call: Call) -> bool:
        low = value.lower().strip("#\"' ")
        if low in self._results or self._stands_in(low, call):
            return True
        # Put together from what was said: "sara_doe_496" from a name and a number
        parts = [part for part in _PART.findall(low) if len(part) >= _SHORTEST_PART or part.isdigit()]
        return len(parts) > 1 and all(self._stands_in(part, call, whole=True) for part in parts)

    def _stands_in(self, value: str, call: Call, *, whole: bool = False) -> bool:
        pattern = re.compile(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])") if whole else None
        for text in self._told(call):
            self._searches -= len(text) + _COST_OF_A_TEXT
            if self._searches < 0:
                return True  # what cannot be looked for in reasonable time counts as known
            if value in text and (pattern is None or pattern.search(text)):
                return True
        return False

    def _told(self, call: Call) -> Iterator[str]:
        """Yield what an agent had been told when it made a call, without what it said itself."""
        if call.asked_by is not None:
            yield self._prompt(call.asked_by, call.agent)
        # A conversation that the provider keeps, or that was cut, does not stand in the last prompt alone.
        before = bisect_left(self._story.answer_places, call.at)
        for answer in reversed(self._story.answers[max(0, before - _EARLIER_PROMPTS) : before]):
            if answer.span is not call.asked_by:
                yield self._prompt(answer.span, call.agent)
        yield from reversed(self._texts)

    def _prompt(self, span: Span, agent: str | None) -> str:
        known = self._prompts.get(span.span_id)
        if known is None:
            known = ""
            if self._budget > 0:
                known = _prompt_text(span.input, mine=agent)[:_PER_TEXT_CHARACTERS].lower()
                self._budget -= len(known)
            self._prompts[span.span_id] = known
        return known

    def _declared_values(self, call: Call) -> set[str]:
        declared = (self._story.tools_of(call.agent) or {}).get(call.name) or {}
        return {value.lower() for value in _schema_values(declared.get("parameters"))}


def _prompt_text(prompt: Any, mine: str | None) -> str:
    if not isinstance(prompt, list):
        return _flat(prompt)
    return "\n".join(_flat(item) for item in prompt if not _is_own(item, mine))


def _is_own(item: Any, mine: str | None) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") in ("function_call", "reasoning"):
        return True
    if item.get("role") != "assistant":
        return False
    said_by = item.get("agent") or item.get("name")
    return said_by is None or said_by == mine


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else canonical(value)


def identifiers(arguments: Any) -> Iterator[tuple[str, str]]:
    """Yield what looks like an identifier in a call's arguments, with its place."""
    for count, (path, key, value) in enumerate(_leaves(arguments, "")):
        if count >= _LEAVES:
            return
        if isinstance(value, str):
            text = value.strip()
            if _is_identifier(key, text):
                yield path, text
        elif isinstance(value, int) and not isinstance(value, bool) and _NAMES_ONE_THING.search(key):
            text = str(value)
            if len(text) >= _SHORTEST_ID:
                yield path, text


def _is_identifier(key: str, text: str) -> bool:
    if not _SHORTEST_ID <= len(text) <= _LONGEST_ID or " " in text or "\n" in text:
        return False
    if _FREE_TEXT.search(key) or _TIME.match(text) or "://" in text:
        return False
    if _NUMBER.match(text):
        digits = sum(map(str.isdigit, text))
        return digits >= _SHORTEST_NUMBER and bool(_NAMES_AN_ID.search(key)) and text.isdigit()
    if any(map(str.isdigit, text)):
        return any(map(str.isalpha, text))
    return bool(_NAMES_ONE_THING.search(key))


def _leaves(value: Any, path: str, key: str = "") -> Iterator[tuple[str, str, Any]]:
    stack: list[tuple[str, str, Any]] = [(path, key, value)]
    while stack:
        path, key, value = stack.pop()
        if isinstance(value, dict):
            inner: Mapping[Any, Any] = value
            stack += [(f"{path}.{k}".lstrip("."), str(k), v) for k, v in reversed(list(inner.items()))]
        elif isinstance(value, list):
            stack += [(f"{path}[{n}]", key, v) for n, v in reversed(list(enumerate(value)))]
        else:
            yield path, key, value


def _schema_values(schema: Any) -> Iterator[str]:
    """Yield what a schema itself allows or sets: values of enumerations, constants and defaults."""
    for path, key, value in _leaves(schema, ""):
        if isinstance(value, str) and (key in ("enum", "const", "default") or ".enum[" in path):
            yield value


def describe(found: list[Invented]) -> str:
    """Return invented values in words.

    Examples
    --------
    >>> describe([Invented("order_id", "A-1")])
    'order_id “A-1”'
    """
    return ", ".join(f"{one.path} “{shortened(one.value, 60)}”" for one in found[:3])
