"""Calls of tools and answers of models, read from spans in any of the forms that are in use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.wording import Reported, is_empty, reported_error
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.spans import Span

NOT_JSON = object()
"""What arguments are that cannot be read."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of a tool that a model asked for.

    Attributes
    ----------
    at
        Place in the story.
    span
        The tool's span; that of the model's answer where no tool ran.
    asked_by
        The LLM call that asked for it, where it is known.
    raw
        The arguments as they were given; ``None`` where they were not recorded.
    ran
        Whether there was a tool that ran.
    """

    at: int
    name: str
    span: Span
    agent: str | None = None
    asked_by: Span | None = None
    raw: Any = None
    ran: bool = True
    step: int | None = None
    _arguments: Any = field(default=NOT_JSON, repr=False)
    _read: bool = field(default=False, repr=False)
    _said: Reported | None = field(default=None, repr=False)
    _heard: bool = field(default=False, repr=False)

    @property
    def arguments(self) -> Any:
        """The arguments as data: `NOT_JSON` where they cannot be read, ``None`` where they were not recorded."""
        if not self._read:
            self._read, self._arguments = True, _as_arguments(self.raw)
        return self._arguments

    @property
    def result(self) -> Any:
        """What came back."""
        return self.span.output if self.ran else None

    @property
    def reported(self) -> Reported | None:
        """The error that its result reports, if it does."""
        if not self._heard:
            self._heard, self._said = True, reported_error(self.result) if self.ran else None
        return self._said

    @property
    def failed(self) -> bool:
        """Whether it failed, openly or in its result."""
        return not self.ran or self.span.status is Status.ERROR or self.reported is not None

    @property
    def empty(self) -> bool:
        """Whether it ended well and gave nothing back, although contents were recorded."""
        return self.ran and self.span.status is Status.OK and self.raw is not None and is_empty(self.result)

    @property
    def went_well(self) -> bool:
        """Whether it ran, ended well and gave something back."""
        return self.ran and self.span.status is Status.OK and self.reported is None and not self.empty

    @property
    def key(self) -> tuple[str | None, str, str]:
        """What makes two calls the same: agent, tool and arguments, whatever their order."""
        return self.agent, self.name, canonical(self.arguments if self.arguments is not NOT_JSON else self.raw)


@dataclass(slots=True, eq=False)
class Answer:
    """One answer of a model: its text, what it asked for, and its span."""

    at: int
    span: Span
    agent: str | None
    text: str
    step: int
    asks: tuple[tuple[str | None, str, Any], ...] = ()


def canonical(value: Any) -> str:
    """Return a value as text that is the same for the same value."""
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _as_arguments(raw: Any) -> Any:
    if not isinstance(raw, str | bytes):
        return raw
    if not raw.strip():
        return {}
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return NOT_JSON


def said_in(output: Any) -> tuple[tuple[tuple[str | None, str, Any], ...], str]:
    """Return the tool calls (id, name, arguments) and the text of an answer in any of the usual forms."""
    asks: list[tuple[str | None, str, Any]] = []
    texts: list[str] = []
    items = output if isinstance(output, list) else [output]
    for item in items:
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, Mapping):
            asks += _asks(item)
            texts += _texts(item.get("content") if "content" in item else item.get("text"))
    return tuple(asks), "\n".join(texts)


def _asks(item: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
    if item.get("type") == "function_call" and isinstance(item.get("name"), str):
        yield item.get("call_id") or item.get("id"), item["name"], item.get("arguments")
    for call in item.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            yield call.get("id"), function["name"], function.get("arguments")
    message = item.get("message")
    if isinstance(message, Mapping):
        yield from _asks(message)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"]
