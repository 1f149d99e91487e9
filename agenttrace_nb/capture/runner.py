"""The runner that is put in front of the SDK's: it adds hooks, notes the call, and changes nothing else."""

from __future__ import annotations

import contextlib
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agents import RunConfig, RunState, get_current_trace
from agents.lifecycle import RunHooksBase
from agents.run import AgentRunner

from agenttrace_nb.capture import install, mlflow_spans
from agenttrace_nb.capture.active import ACTIVE, Recorder, quiet
from agenttrace_nb.capture.hooks import JournalHooks
from agenttrace_nb.capture.state import CALL, Call

if TYPE_CHECKING:
    from collections.abc import Iterator

_SENSITIVE_DEFAULT = next(f for f in fields(RunConfig) if f.name == "trace_include_sensitive_data").default_factory


class JournalRunner(AgentRunner):
    """Runs agents by the runner that was there before.

    Parameters
    ----------
    inner
        The runner that does the work.
    """

    def __init__(self, inner: AgentRunner) -> None:
        self.inner = inner

    async def run(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002 - the SDK's name
        """Run as the inner runner does."""
        with _noted(input, kwargs) as (noted, _):
            return await self.inner.run(starting_agent, input, **noted)

    def run_sync(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Run as the inner runner does."""
        with _noted(input, kwargs) as (noted, _):
            return self.inner.run_sync(starting_agent, input, **noted)

    def run_streamed(self, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Run as the inner runner does."""
        with _noted(input, kwargs) as (noted, call):
            result = self.inner.run_streamed(starting_agent, input, **noted)
            if call is not None:
                call.result = result
                _watch_first_token(result, call)
            return result


@contextlib.contextmanager
def _noted(given: Any, kwargs: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Call | None]]:
    recorder = ACTIVE.get()
    if recorder is None:
        yield kwargs, None
        return
    call = _call(recorder, given, kwargs)
    if call is None:
        with mlflow_spans.suppressed():
            yield kwargs, None
        return
    hooks = kwargs.get("hooks")
    if hooks is None or isinstance(hooks, RunHooksBase):
        # Anything else is refused by the SDK itself, with its own message.
        kwargs = {**kwargs, "hooks": JournalHooks(call, hooks)}
    token = CALL.set(call)
    try:
        with mlflow_spans.suppressed():
            yield kwargs, call
    finally:
        CALL.reset(token)


@quiet
def _call(recorder: Recorder, given: Any, kwargs: dict[str, Any]) -> Call | None:
    install.ensure()
    config = kwargs.get("run_config")
    if _option(config, "tracing_disabled", default=False):
        return None
    session = kwargs.get("session")
    resumed = isinstance(given, RunState)
    return Call(
        recorder=recorder,
        input=None if resumed else given,
        session=getattr(session, "session_id", None),
        sensitive=bool(_option(config, "trace_include_sensitive_data", default=_sensitive_by_default())),
        had_trace=get_current_trace() is not None,
        model=_option(config, "model", default=None),
        resumed=resumed,
    )


def _option(config: Any, name: str, *, default: Any) -> Any:
    if config is None:
        return default
    return config.get(name, default) if isinstance(config, dict) else getattr(config, name, default)


def _sensitive_by_default() -> bool:
    return bool(_SENSITIVE_DEFAULT()) if callable(_SENSITIVE_DEFAULT) else True


@quiet
def _watch_first_token(result: Any, call: Call) -> None:
    """Note when the first token of each call arrives, as it passes through the queue of the streamed result."""
    queue = getattr(result, "_event_queue", None)
    if queue is None:
        return
    put = queue.put_nowait

    def watched(item: Any) -> None:
        llm = call.llm
        if llm is not None and llm.first_ns is None and _is_delta(item):
            llm.first_ns = time.time_ns()
        put(item)

    queue.put_nowait = watched


def _is_delta(item: Any) -> bool:
    return str(getattr(getattr(item, "data", None), "type", "")).endswith(".delta")
