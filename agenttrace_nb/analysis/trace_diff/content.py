"""What a step said and was given, without what differs from run to run although nothing changed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span

# Ids and the like are made anew in each run.
_VOLATILE = frozenset(
    {"id", "call_id", "tool_call_id", "response_id", "created_at", "status", "annotations", "logprobs", "provider_data"}
)
_ASKED = frozenset({"system", "developer", "user"})
_CONTAINERS = frozenset({SpanKind.WORKFLOW, SpanKind.AGENT, SpanKind.TURN})
_WORD = re.compile(r"\w+")
_COMPARED_CHARACTERS = 4_000
_NESTED_JSON_CHARACTERS = 100_000
_LEVELS = 40


@dataclass(eq=False)
class Content:
    """A step's content as it is compared: parts by name, each a text. Containers have none; their steps speak."""

    span: Span
    parts: dict[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> bytes:
        """Equal for equal content."""
        said = json.dumps([self.signature, self.parts], sort_keys=True).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, digest_size=16).digest()

    @cached_property
    def signature(self) -> tuple[str, str, str]:
        """Kind, name and agent: what two steps must share to be one and the same."""
        return self.span.kind.value, _steady(self.span), self.span.agent or ""

    @cached_property
    def words(self) -> frozenset[str]:
        """Words of the content, to tell how much alike two contents are."""
        text = " ".join(part[:_COMPARED_CHARACTERS] for part in self.parts.values())
        return frozenset(_WORD.findall(text))

    def likeness(self, other: Content) -> float:
        """Return from 0 to 1 how much two contents are alike."""
        if self.digest == other.digest:
            return 1.0
        every = self.words | other.words
        return 0.95 * len(self.words & other.words) / len(every) if every else 0.95


def content_of(span: Span) -> Content:
    """Return what is compared of a step."""
    parts: dict[str, str] = {}
    if span.kind is SpanKind.LLM:
        parts = {"prompt": _text(_asked(_read(span, "input"))), "answer": _text(_read(span, "output"))}
        parts["model"] = span.model or ""
    elif span.kind is SpanKind.TOOL:
        parts = {"arguments": _text(_read(span, "input")), "result": _text(_read(span, "output"))}
    elif span.kind is SpanKind.HANDOFF:
        parts = {"to": str(span.attributes.get("to_agent") or "")}
    elif span.kind not in _CONTAINERS:
        parts = {"input": _text(_read(span, "input")), "output": _text(_read(span, "output"))}
        if span.kind is SpanKind.GUARDRAIL:
            parts["triggered"] = str(span.attributes.get("triggered"))
    if span.kind not in _CONTAINERS:
        parts["status"] = span.status.value
        parts["error"] = str(span.error) if span.error else ""
    return Content(span, {name: text for name, text in parts.items() if text})


def _steady(span: Span) -> str:
    # A model's name is content: the same call to another model is a changed step, not another one.
    return "" if span.kind in (SpanKind.LLM, SpanKind.HANDOFF) else span.name


def _asked(items: Any) -> Any:
    """Return of a prompt what its agent was told and asked; answers and results are steps of their own."""
    if not isinstance(items, list):
        return items
    return [i for i in items if not isinstance(i, dict) or i.get("role") in _ASKED]


def _read(span: Span, side: str) -> Any:
    try:
        return getattr(span, side)
    except Exception as error:  # noqa: BLE001 - what was stored may be anything
        return f"[could not be read: {type(error).__name__}]"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        parsed = _json(value)
        if parsed is None:
            return value
        value = parsed
    return json.dumps(_without_volatile(json.loads(encode(value)), 0), ensure_ascii=False, sort_keys=True)


def _json(text: str) -> Any:
    """Return what a text says as JSON, so that spaces and the order of keys make no difference; None if it is none."""
    if text[:1] not in "{[" or len(text) > _NESTED_JSON_CHARACTERS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _without_volatile(value: Any, level: int) -> Any:
    if level > _LEVELS:
        return value
    if isinstance(value, dict):
        kept = {k: _without_volatile(v, level + 1) for k, v in value.items() if k not in _VOLATILE}
        arguments = kept.get("arguments")
        if isinstance(arguments, str) and (parsed := _json(arguments)) is not None:
            kept["arguments"] = _without_volatile(parsed, level + 1)
        return kept
    if isinstance(value, list):
        return [_without_volatile(v, level + 1) for v in value]
    return value
