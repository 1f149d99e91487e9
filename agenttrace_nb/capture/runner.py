"""The runner that is put in front of the SDK's: it adds hooks, notes the call, and changes nothing else."""

from __future__ import annotations

import contextlib
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from agents import RunConfig, RunState, get_current_trace
from agents.lifecycle import RunHooksBase
from agents.run import AgentRunner

from agenttrace_nb.capture import approvals, guardrails, install, memory, mlflow_spans
from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture.active import ACTIVE, Recorder, quiet
from agenttrace_nb.capture.hooks import JournalHooks
from agenttrace_nb.capture.state import CALL, Call

if TYPE_CHECKING:
    from contextvars import Token

_SENSITIVE_DEFAULT = next(f for f in fields(RunConfig) if f.name == "trace_include_sensitive_data").default_factory
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class JournalRunner(AgentRunner):
    """Runs agents by the runner that was there before.

    Parameters
    ----------
    inner
        The runner that does the work.
    """

    def __init__(self, inner: AgentRunner) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        """Give what only the inner runner has."""
        return getattr(self.inner, name)

    async def run(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002 - the SDK's name
        """Run as the inner runner does."""
        with _Noted(input, kwargs) as noted:
            result = await self.inner.run(starting_agent, input, **noted.kwargs)
            noted.conclude(result)
            return result

    def run_sync(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Run as the inner runner does."""
        with _Noted(input, kwargs) as noted:
            result = self.inner.run_sync(starting_agent, input, **noted.kwargs)
            noted.conclude(result)
            return result

    def run_streamed(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Run as the inner runner does."""
        with _Noted(input, kwargs) as noted:
            result = self.inner.run_streamed(starting_agent, input, **noted.kwargs)
            noted.watch(result)
            return result


class _Noted:
    """What is set up around one call of the runner and put away after it. Nothing in it can fail the call."""

    def __init__(self, given: Any, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs
        self._given = given
        self._call: Call | None = None
        self._token: Token[Call | None] | None = None
        self._leave_mlflow: Any = None

    def __enter__(self) -> Self:
        recorder = ACTIVE.get()
        # A runner of the user's own may stand between two of ours: one of them is enough.
        if recorder is not None and not isinstance(self.kwargs.get("hooks"), JournalHooks):
            self._leave_mlflow = mlflow_spans.enter_suppressed()
            self._begin(recorder)
        return self

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        if error is not None:
            self.conclude(getattr(error, "run_data", None))
        self._end()
        if self._leave_mlflow is not None:
            self._leave_mlflow()

    @quiet
    def _begin(self, recorder: Recorder) -> None:
        install.ensure()
        config = self.kwargs.get("run_config")
        if _option(config, "tracing_disabled", default=False):
            return
        call = _call(recorder, self._given, self.kwargs)
        hooks = self.kwargs.get("hooks")
        if hooks is None or isinstance(hooks, RunHooksBase):
            # Anything else is refused by the SDK itself, with its own message.
            self.kwargs = {**self.kwargs, "hooks": JournalHooks(call, hooks)}
        self._call, self._token = call, CALL.set(call)

    @quiet
    def conclude(self, outcome: Any) -> None:
        """Keep what only the result says, or the ``run_data`` of the exception that took its place."""
        if self._call is not None and outcome is not None:
            guardrails.explain(self._call, outcome)
            approvals.note_pending(self._call, outcome)

    @quiet
    def watch(self, result: Any) -> None:
        """Look at a streamed result while it comes in."""
        if self._call is not None:
            self._call.result = result
            _watch_events(result, self._call)

    def _end(self) -> None:
        # A coroutine that is thrown away may be closed in another context, which has no call to put away.
        with contextlib.suppress(ValueError):
            if self._token is not None:
                CALL.reset(self._token)


def _call(recorder: Recorder, given: Any, kwargs: dict[str, Any]) -> Call:
    config = kwargs.get("run_config")
    resumed = isinstance(given, RunState)
    call = Call(
        recorder=recorder,
        input=None if resumed else given,
        session=getattr(kwargs.get("session"), "session_id", None),
        sensitive=bool(_option(config, "trace_include_sensitive_data", default=_sensitive_by_default())),
        had_trace=get_current_trace() is not None,
        model=_option(config, "model", default=None),
        settings=_option(config, "model_settings", default=None),
        resumed=resumed,
    )
    memory.watch(kwargs.get("session"))
    if resumed:
        call.undecided = approvals.waiting_in(given)
    if not call.sensitive:
        recorder.sensitive = False
    return call


def _option(config: Any, name: str, *, default: Any) -> Any:
    if config is None:
        return default
    return config.get(name, default) if isinstance(config, dict) else getattr(config, name, default)


def _sensitive_by_default() -> bool:
    return bool(_SENSITIVE_DEFAULT()) if callable(_SENSITIVE_DEFAULT) else True


def _watch_events(result: Any, call: Call) -> None:
    """Look at what passes through a streamed result: when the first token comes, what the last event says."""
    # The queue is not public; without it a streamed call has no time to its first token.
    queue = getattr(result, "_event_queue", None)
    if queue is None:
        return
    put = queue.put_nowait

    @quiet
    def look(item: Any) -> None:
        data, llm = getattr(item, "data", None), call.llm
        kind = getattr(data, "type", None)
        if llm is None or data is None or not isinstance(kind, str):
            return
        if llm.first_ns is None and kind.endswith(".delta"):
            llm.first_ns = time.time_ns()
        elif kind in _LAST_EVENTS and not llm.answer:
            llm.answer = llm_calls.answer_fields(data.response)

    def watched(item: Any) -> None:
        look(item)
        put(item)

    queue.put_nowait = watched
