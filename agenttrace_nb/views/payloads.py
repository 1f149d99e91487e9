"""What went into a step and came out of it, as JSON for the browser: whole when small, a beginning when large."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.views.safe_text import clip, readable

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span

WHOLE_LIMIT_BYTES = 8_192
PREVIEW_LIMIT_CHARACTERS = 500


def whole(span: Span) -> bytes:
    """Return a span's content as JSON: input, output, error, attributes and the figures that no column holds."""
    return encode(_content(span))


def beginning(span: Span, size_bytes: int) -> bytes:
    """Return the first characters of a span's content as JSON; ``clipped`` says how large the whole is."""
    content = _content(span)
    for side in ("input", "output"):
        if content.get(side) is not None:
            content[side] = clip(readable(content[side]), PREVIEW_LIMIT_CHARACTERS)
    if error := content.get("error"):
        content["error"] = {k: clip(v, PREVIEW_LIMIT_CHARACTERS) if isinstance(v, str) else v for k, v in error.items()}
        content["error"]["chain"] = [clip(line, PREVIEW_LIMIT_CHARACTERS) for line in error["chain"][:4]]
    content.pop("attributes", None)
    return encode({**content, "clipped": size_bytes})


def _content(span: Span) -> dict[str, Any]:
    content: dict[str, Any] = {
        "input": _read(span, "input"),
        "output": _read(span, "output"),
        "error": asdict(span.error) if span.error else None,
        "attributes": span.attributes or None,
        "ttft_s": span.ttft_s,
        "cached_tokens": span.cached_tokens,
        "reasoning_tokens": span.reasoning_tokens,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }
    return {key: value for key, value in content.items() if value is not None}


def _read(span: Span, side: str) -> Any:
    try:
        return getattr(span, side)
    except Exception as error:  # a journal that cannot be read must not take the view with it
        return f"[could not be read: {type(error).__name__}: {error}]"
