"""Sessions: what an agent remembers is read and written as spans of their own."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from agents import get_current_trace

from agenttrace_nb.capture import words
from agenttrace_nb.capture.active import quiet
from agenttrace_nb.capture.failures import describe, status_of
from agenttrace_nb.capture.state import CALL, TRACES, Call, OpenTrace, here
from agenttrace_nb.capture.wrapping import WatchedObjects
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import span_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERATIONS = ("get_items", "add_items", "pop_item", "clear_session")
_sessions = WatchedObjects()


@quiet
def watch(session: Any) -> None:
    """Look at what a session is asked for while agents run; outside a run it is passed on untouched."""
    if session is None:
        return

    def noting(name: str) -> Callable[[Any], Any]:
        return lambda operation: _noting(operation, f"{type(session).__name__}.{name}", session)

    _sessions.wrap(session, {name: noting(name) for name in _OPERATIONS})


@quiet
def unwatch_all() -> None:
    """Leave the sessions as they were found."""
    _sessions.unwrap_all()


def settle(trace: OpenTrace, call: Call) -> None:
    """Write what was read from a session before the trace began: the SDK reads the history first."""
    waiting, call.before_trace = call.before_trace, []
    for write in waiting:
        write(trace, trace.root_id, None)


def _noting(operation: Callable[..., Any], name: str, session: Any) -> Callable[..., Any]:
    @functools.wraps(operation)
    async def noting(*args: Any, **kwargs: Any) -> Any:
        call = CALL.get()
        if call is None:
            return await operation(*args, **kwargs)
        start_ns = time.time_ns()
        try:
            result = await operation(*args, **kwargs)
        except BaseException as error:
            _note(call, name, session, start_ns, args, None, error)
            raise
        _note(call, name, session, start_ns, args, result, None)
        return result

    return noting


@quiet
def _note(  # noqa: PLR0917 - one step, as it was
    call: Call, name: str, session: Any, start_ns: int, args: Any, result: Any, error: BaseException | None
) -> None:
    end_ns = time.time_ns()
    given = args[0] if args and isinstance(args[0], list) else None
    found = result if isinstance(result, (list, dict)) else None
    items = found if isinstance(found, list) else given
    ending: dict[str, Any] = {"status": status_of(error).value, "attributes": {"session": str(session.session_id)}}
    if items is not None:
        ending["attributes"]["items"] = len(items)
    if error is not None and ending["status"] == "error":
        ending["error"] = describe(error, sensitive=call.sensitive)
    # Copies: the list is the session's own.
    content = {"input": list(given)} if call.sensitive and given else {}
    content_out = {"output": list(found) if isinstance(found, list) else found} if call.sensitive and found else {}

    def write(trace: OpenTrace, parent_id: str, agent: str | None) -> None:
        trace.llm_count += 1
        span_id = span_id_of(f"{trace.sdk_id}/memory/{trace.llm_count}")
        body = {"kind": words.MEMORY, "name": name, "parent_id": parent_id, "agent": agent}
        append = trace.recorder.append
        append(EventKind.SPAN_START, trace.trace_id, span_id, body, content, time_ns=start_ns)
        append(EventKind.SPAN_END, trace.trace_id, span_id, ending, content_out, time_ns=end_ns)

    at = here()
    if at is not None:
        write(at[0], at[1].span_id, at[1].agent)
        return
    around = get_current_trace()
    trace = TRACES.get(around.trace_id) if around is not None else call.trace
    if trace is not None:
        write(trace, trace.root_id, None)
    else:
        call.before_trace.append(write)
