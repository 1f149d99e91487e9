"""Streams of the OpenAI client: what passes through is looked at, and handed on as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture.active import quiet

if TYPE_CHECKING:
    from collections.abc import Callable


def watch_stream(answer: Any, hear: Callable[[Any], None]) -> bool:
    """Have a function called with each piece of a streamed answer that passes.

    Parameters
    ----------
    answer
        What the client returned.
    hear
        Gets the chunks of a streamed chat answer, and the responses that the events of the Responses API carry.

    Returns
    -------
    bool
        Whether the answer is a stream.
    """
    # The client's streams have no public place to look in; where the name is gone, nothing is seen and nothing breaks.
    source = getattr(answer, "_iterator", None)
    if source is None:
        return False

    @quiet
    def look(piece: Any) -> None:
        kind = getattr(piece, "type", None)
        if kind is None:
            hear(piece)
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            hear(piece.response)

    answer._iterator = _AsyncWatched(source, look) if hasattr(source, "__anext__") else _Watched(source, look)  # noqa: SLF001
    return True


class _AsyncWatched:
    """An asynchronous iterator whose items are shown to a function as they pass."""

    def __init__(self, source: Any, look: Any) -> None:
        self._source = source
        self._look = look

    def __aiter__(self) -> _AsyncWatched:
        return self

    async def __anext__(self) -> Any:
        piece = await self._source.__anext__()
        self._look(piece)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


class _Watched:
    """An iterator whose items are shown to a function as they pass."""

    def __init__(self, source: Any, look: Any) -> None:
        self._source = source
        self._look = look

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> Any:
        piece = next(self._source)
        self._look(piece)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)
