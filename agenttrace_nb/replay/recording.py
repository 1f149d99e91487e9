"""Recordings: the LLM calls of traces, and the JSON file that holds them. This is format version 1.

::

    {
        "format": "agenttrace-recording/1",
        "calls": [
            {
                "agent": "Triage",
                "model": "gpt-4o-mini",
                "input": [...],
                "output": [...],
                "usage": {"input_tokens": 5, "output_tokens": 2},
                "duration_s": 0.4,
            }
        ],
    }

``input`` and ``output`` are conversation items as the Responses API has them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import SpanKind, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = "agenttrace-recording/1"
_VOLATILE = frozenset({"id", "status", "provider_data", "logprobs", "annotations"})
"""Fields that differ from run to run although the conversation is the same."""


class RecordingError(ValueError):
    """A recording cannot be read, or there is nothing to record."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One LLM call: what was asked and what was answered."""

    agent: str | None
    model: str | None
    input: list[Any]
    output: list[Any]
    usage: dict[str, int]
    duration_s: float

    @property
    def key(self) -> str:
        """Hash of the question, the same whenever the same conversation is sent."""
        return key_of(self.input)


def key_of(items: Any) -> str:
    """Return a hash of conversation items that leaves out ids and the like.

    Examples
    --------
    >>> key_of([{"id": "msg_1", "role": "user", "content": "hi"}]) == key_of([{"role": "user", "content": "hi"}])
    True
    """
    text = json.dumps(_stable(items), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        # "type": "message" is left out by some and written by others.
        kept = {k: _stable(v) for k, v in value.items() if k not in _VOLATILE and v is not None}
        return {k: v for k, v in kept.items() if (k, v) != ("type", "message")}
    if isinstance(value, (list, tuple)):
        return [_stable(v) for v in value]
    return value


def calls_of(traces: Trace | Iterable[Trace]) -> list[RecordedCall]:
    """Return the LLM calls of traces in order of start, those that have a prompt and an answer."""
    every = [traces] if isinstance(traces, Trace) else list(traces)
    spans = sorted((s for t in every for s in t.spans if s.kind is SpanKind.LLM), key=lambda s: s.start_ns)
    calls = [
        RecordedCall(
            agent=span.agent,
            model=span.model,
            input=span.input,
            output=span.output,
            usage={n: v for n in ("input_tokens", "output_tokens") if (v := getattr(span, n)) is not None},
            duration_s=round(span.duration_s or 0.0, 3),
        )
        for span in spans
        if isinstance(span.input, list) and isinstance(span.output, list) and span.output
    ]
    if not calls:
        msg = "there is no LLM call with its prompt and its answer in these traces; nothing to replay"
        raise RecordingError(msg)
    return calls


def write_recording(calls: Iterable[RecordedCall], path: str | Path) -> Path:
    """Write calls to a file; replaces it as a whole."""
    target = Path(path).absolute()
    new = target.with_name(target.name + ".new")
    text = json.dumps({"format": FORMAT, "calls": [asdict(c) for c in calls]}, indent=1, ensure_ascii=False)
    new.write_text(text + "\n", encoding="utf-8")
    new.replace(target)
    return target


def read_recording(path: str | Path) -> list[RecordedCall]:
    """Read calls from a file.

    Raises
    ------
    RecordingError
        If there is no such file, or it is no recording of this format.
    """
    file = Path(path)
    try:
        data = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        msg = f"there is no recording {file}; write one with at.save_recording(run.traces, {str(path)!r})"
        raise RecordingError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{file} is not a recording: {error}"
        raise RecordingError(msg) from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        msg = f"{file} is not a recording that can be read: its format is {found!r}, this version reads {FORMAT!r}"
        raise RecordingError(msg)
    try:
        return [RecordedCall(**call) for call in data["calls"]]
    except (KeyError, TypeError) as error:
        msg = f"{file} is damaged: {error}"
        raise RecordingError(msg) from error
