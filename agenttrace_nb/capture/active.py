"""Which cell run is recorded in this context, and how a part of capture reports its own failures."""

from __future__ import annotations

import contextlib
import functools
import logging
import weakref
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from agenttrace_nb.capture.failures import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.journal.events import EventKind
    from agenttrace_nb.journal.redact import Redactor

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger("agenttrace_nb")
_NOTHING: dict[str, Any] = {}


@dataclass(slots=True, eq=False)
class Recorder:
    """Appends the events of one cell run.

    Attributes
    ----------
    roles
        What each agent is for, by the agent's name.
    session
        The session that the run's traces belong to, where the SDK does not name one.
    note
        Says something to the user, below the cell.
    sensitive
        Whether texts may be kept; off once a run in it has ``trace_include_sensitive_data`` off.
    first
        What is to be done before the first event, by whoever appends it; sets itself to ``None``.
    """

    journal: Journal
    run_key: str
    redactor: Redactor
    roles: dict[str, str] = field(default_factory=dict)
    session: str | None = None
    note: Callable[[str], None] = _log.warning
    sensitive: bool = True
    first: Callable[[], None] | None = None
    _reported: set[str] = field(default_factory=set)

    def append(
        self,
        kind: EventKind,
        trace_id: str | None = None,
        span_id: str | None = None,
        body: Mapping[str, Any] = _NOTHING,
        content: Mapping[str, Any] = _NOTHING,
        *,
        urgent: bool = False,
        time_ns: int | None = None,
    ) -> None:
        """Append one event of this run."""
        if self.first is not None:
            self.first()
        self.journal.append(
            kind, run_key=self.run_key, trace_id=trace_id, span_id=span_id, body=body, content=content,
            redactor=self.redactor, urgent=urgent, time_ns=time_ns,
        )  # fmt: skip

    def report_once(self, where: str, error: BaseException) -> None:
        """Tell the user that something was not recorded: once for each place, and once for each cause."""
        cause = f"{type(error).__name__}: {text_of(error)}"
        if self._reported.isdisjoint((where, cause)):
            self.note(f"Part of the trace is missing: {where} failed with {cause}. Your agents are not affected.")
        self._reported |= {where, cause}

    def note_once_tracing_off(self) -> None:
        """Tell the user, once, that the SDK's tracing is switched off, so that there is nothing to record."""
        if "tracing off" not in self._reported:
            self._reported.add("tracing off")
            self.note(
                "Nothing is recorded: the SDK's tracing is switched off (set_tracing_disabled(True) or the environment "
                "variable OPENAI_AGENTS_DISABLE_TRACING). Switch it on to see this run."
            )


ACTIVE: ContextVar[Recorder | None] = ContextVar("agenttrace_nb_active", default=None)
"""The recorder of the cell run that the current code belongs to; tasks and threads started by it inherit it."""

_roles_by_agent: dict[int, tuple[weakref.ref[Any], str]] = {}
_roles_by_name: dict[str, str] = {}


def set_role(agent: Any, role: str) -> None:
    """Say what an agent is for: ``planner``, ``executor``, ``evaluator`` ...

    Parameters
    ----------
    agent
        An ``agents.Agent``.
    role
        The role, shown beside the agent's name and kept with its messages.

    Raises
    ------
    TypeError
        If ``agent`` has no name or ``role`` is not a text.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> set_role(SimpleNamespace(name="Triage"), "planner")
    """
    if not isinstance(getattr(agent, "name", None), str):
        msg = f"agent: expected an Agent with a name, got {agent!r}"
        raise TypeError(msg)
    if not role or not isinstance(role, str):
        msg = f"role: expected a text such as 'planner', got {role!r}"
        raise TypeError(msg)
    _roles_by_name[agent.name] = role
    # By identity, since two agents may have one name; agents compare by value and have no hash.
    key = id(agent)
    with contextlib.suppress(TypeError):
        _roles_by_agent[key] = (weakref.ref(agent, lambda _: _roles_by_agent.pop(key, None)), role)


def role_of(recorder: Recorder, name: str | None, agent: Any = None) -> str | None:
    """Return an agent's role: from the run's own ``roles``, else from `set_role`, for this very agent or by name."""
    if name is None:
        return None
    if name in recorder.roles:
        return recorder.roles[name]
    known = _roles_by_agent.get(id(agent))
    if known is not None and known[0]() is agent:
        return known[1]
    return _roles_by_name.get(name)


def quiet(function: Callable[P, T]) -> Callable[P, T | None]:
    """Make a hook harmless: what goes wrong in it is reported once and never reaches the agents."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            _report(function.__qualname__, error)
            return None

    return wrapper


def _report(where: str, error: Exception) -> None:
    _log.debug("%s failed", where, exc_info=error)
    recorder = ACTIVE.get()
    try:
        if recorder is not None:
            recorder.report_once(where, error)
    except Exception:
        _log.debug("the failure could not be shown", exc_info=True)
