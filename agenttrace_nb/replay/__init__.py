"""Recorded answers played back to the Agents SDK: no key, no network, the same every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agenttrace_nb.replay.provider import ReplayProvider
    from agenttrace_nb.spans import Trace


def replay(source: Trace | Iterable[Trace] | str | Path, *, pace: float = 0.0) -> ReplayProvider:
    """Return a model provider that answers from a recording.

    Parameters
    ----------
    source
        A trace, several traces, or a file written by `save_recording`.
    pace
        How long an answer takes, as a multiple of the recorded time: 0 for at once, 1 for as long as it took.

    Returns
    -------
    ReplayProvider
        For ``RunConfig(model_provider=...)``; its ``get_model()`` gives a model for ``Agent(model=...)``.

    Raises
    ------
    RecordingError
        If the file is not a recording, or holds no LLM call with its prompt and its answer.

    Examples
    --------
    >>> provider = replay("recordings/quickstart.json")  # doctest: +SKIP
    >>> agent = Agent(name="Triage", model=provider.get_model())  # doctest: +SKIP
    """
    from agenttrace_nb.replay.provider import ReplayProvider
    from agenttrace_nb.replay.recording import calls_of, read_recording

    is_file = isinstance(source, str) or hasattr(source, "__fspath__")
    file: Any = source
    return ReplayProvider(read_recording(file) if is_file else calls_of(file), pace=pace)


def save_recording(traces: Trace | Iterable[Trace], path: str | Path) -> Path:
    """Write the LLM calls of traces to a file that `replay` reads; JSON, made to be read and compared by people.

    Returns
    -------
    Path
        The file's absolute path.

    Raises
    ------
    RecordingError
        If no LLM call has both its prompt and its answer.
    """
    from agenttrace_nb.replay.recording import calls_of, write_recording

    return write_recording(calls_of(traces), path)
