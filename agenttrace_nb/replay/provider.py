"""The model that answers from a recording."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from agents import Model, ModelProvider, ModelResponse, Usage
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseOutputItem,
    ResponseTextDeltaEvent,
)
from pydantic import TypeAdapter

from agenttrace_nb.replay.recording import RecordedCall, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseOutputItem)
_WORD = re.compile(r"\S+\s*")


class ReplayMissError(LookupError):
    """The agents asked something that is not in the recording."""


class ReplayProvider(ModelProvider):
    """Gives models that answer from a recording; made by `replay`.

    A question is looked up by the whole conversation that is sent, ids left out. Asked again, it gets the answers in
    the order in which they were recorded, then the last one again.

    Parameters
    ----------
    calls
        The recorded calls.
    pace
        How long an answer takes, as a multiple of the recorded time.
    """

    def __init__(self, calls: Sequence[RecordedCall], *, pace: float = 0.0) -> None:
        self._pace = pace
        self._lock = threading.Lock()
        self._answers: dict[str, deque[RecordedCall]] = defaultdict(deque)
        for call in calls:
            self._answers[call.key].append(call)

    def get_model(self, model_name: str | None = None) -> ReplayModel:
        """Return a model that answers from the recording, under a name of your choice."""
        return ReplayModel(self, model_name)

    async def answer(self, system: str | None, items: Any) -> RecordedCall:
        """Return the recorded call for a question.

        Raises
        ------
        ReplayMissError
            If it was not recorded.
        """
        given = list(items) if isinstance(items, (list, tuple)) else [{"role": "user", "content": items}]
        asked = [{"role": "system", "content": system}, *given] if system else given
        with self._lock:
            waiting = self._answers.get(key_of(asked))
            if not waiting:
                raise ReplayMissError(_miss(asked, len(self._answers)))
            call = waiting.popleft() if len(waiting) > 1 else waiting[0]
        await asyncio.sleep(call.duration_s * self._pace)
        return call


class ReplayModel(Model):
    """A model of the SDK that answers from a recording."""

    def __init__(self, provider: ReplayProvider, name: str | None) -> None:
        self._provider = provider
        self.model = name

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the SDK's name
        *_: Any,
        **__: Any,
    ) -> ModelResponse:
        """Return the recorded answer."""
        call = await self._provider.answer(system_instructions, input)
        return ModelResponse(output=_items(call), usage=_usage(call), response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002
        *_: Any,
        **__: Any,
    ) -> AsyncIterator[Any]:
        """Yield the recorded answer, word by word where it is text."""
        call = await self._provider.answer(system_instructions, input)
        whole = _response(call, self.model)
        yield ResponseCreatedEvent(
            type="response.created", sequence_number=0, response=whole.model_copy(update={"output": [], "usage": None})
        )
        number = 1
        for index, item in enumerate(whole.output):
            for part in getattr(item, "content", None) or []:
                for word in _WORD.findall(getattr(part, "text", "")):
                    yield ResponseTextDeltaEvent(
                        type="response.output_text.delta", content_index=0, output_index=index, item_id=item.id or "",
                        delta=word, sequence_number=number, logprobs=[],
                    )  # fmt: skip
                    number += 1
        yield ResponseCompletedEvent(type="response.completed", sequence_number=number, response=whole)


def _items(call: RecordedCall) -> list[Any]:
    return [_ITEM.validate_python(item) for item in call.output]


def _usage(call: RecordedCall) -> Usage:
    got_in, got_out = call.usage.get("input_tokens"), call.usage.get("output_tokens")
    if got_in is None and got_out is None:
        return Usage(requests=1)
    got_in, got_out = got_in or 0, got_out or 0
    return Usage(requests=1, input_tokens=got_in, output_tokens=got_out, total_tokens=got_in + got_out)


def _response(call: RecordedCall, model: str | None) -> Response:
    usage = None
    if call.usage:
        got_in, got_out = call.usage.get("input_tokens", 0), call.usage.get("output_tokens", 0)
        usage = {
            "input_tokens": got_in, "output_tokens": got_out, "total_tokens": got_in + got_out,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
    return Response.model_validate({
        "id": f"replayed_{call.key[:16]}", "object": "response", "created_at": 0, "status": "completed",
        "model": model or call.model or "replay", "output": call.output, "tools": [], "tool_choice": "auto",
        "parallel_tool_calls": True, "usage": usage,
    })  # fmt: skip


def _miss(asked: list[Any], known: int) -> str:
    last = str(asked[-1].get("content") or asked[-1]) if asked and isinstance(asked[-1], dict) else str(asked[-1:])
    return (
        f"the recording has no answer to this question (its last item: {last[:200]!r}); it knows {known} others. "
        "Instructions, tools' results or the question have changed: record again with at.save_recording."
    )
