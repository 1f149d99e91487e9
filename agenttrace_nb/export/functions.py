"""Handlers that are functions of the user's, run in this kernel: ``@at.handler("slack")``.

They follow the journal in a thread of their own, with the code that all handlers have: agents never wait for them. They
live as long as the kernel; what they had not got three seconds after its end is not sent.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.export import notices
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.handler import API_VERSION, Answer, Content, Moment, Refused, Retry, Sent
from agenttrace_nb.export.outlet import Outlet
from agenttrace_nb.export.sender import Sender
from agenttrace_nb.export.settings import HandlerSettings
from agenttrace_nb.export.worker import resource_of
from agenttrace_nb.journal.append import process_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agenttrace_nb.export.handler import Context, Item

    Function = TypeVar("Function", bound=Callable[[Item], Any])

TRIES = 3
LINGER_S = 0.2
SIGNALS = ("spans", "runs", "alerts")
TYPE = "function"

LOOK_EVERY_S = 0.02
LAST_S = 3.0
"""How long the end of a program waits for functions to be called with the last of it."""

_outlets: dict[str, Outlet] = {}


class FunctionHandler:
    """Calls a function once for each item.

    Parameters
    ----------
    function
        Plain or async. What it returns is not looked at; an exception means that it is called again.
    tries
        After so many exceptions the item is counted as dropped.
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {}
    required: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()

    def __init__(self, function: Callable[[Item], Any], tries: int = TRIES) -> None:
        self._function = function
        self._tries = tries
        self._failures: Counter[str] = Counter()
        self._done: set[str] = set()
        self._runner: asyncio.Runner | None = None

    def open(self, context: Context) -> None:
        """Make a loop for an async function; it is not the kernel's."""
        if inspect.iscoroutinefunction(self._function):
            self._runner = asyncio.Runner()

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Call the function for what of the batch it has not had."""
        lost: dict[str, str] = {}
        for item in batch:
            if item.event_id in self._done:
                continue
            try:
                self._call(item)
            except Exception as error:
                reason = f"the function raised {type(error).__name__}: {error}"
                self._failures[item.event_id] += 1
                if item.moment is not Moment.TEST and self._failures[item.event_id] < self._tries:
                    return Retry(reason=reason)
                lost[item.event_id] = reason
            self._done.add(item.event_id)
        self._done.clear()
        self._failures.clear()
        if lost:
            return Refused(reason=next(iter(lost.values())), event_ids=frozenset(lost))
        return Sent()

    def _call(self, item: Item) -> None:
        if self._runner is not None:
            self._runner.run(self._function(item))
            return
        result = self._function(item)
        if inspect.isawaitable(result):  # an object with an async __call__, a partial of an async function
            with asyncio.Runner() as runner:
                runner.run(_awaited(result))

    def close(self) -> None:
        """End the loop."""
        if self._runner is not None:
            self._runner.close()


async def _awaited(result: Any) -> Any:
    return await result


def handler(
    name: str,
    *,
    signals: Iterable[str] = ("spans", "runs"),
    content: str = Content.METADATA.value,
    backlog: str | float = "new",
    tries: int = TRIES,
) -> Callable[[Function], Function]:
    """Have a function called with each step and run that ends in this kernel.

    It is called in a thread of its own: agents do not wait for it, and a plain ``print`` in it may show up anywhere. A
    cell that is run again puts the new function in the place of the old one.

    Parameters
    ----------
    name
        What to call it in ``%trace_export list``.
    signals
        Any of ``"spans"``, ``"runs"`` and ``"alerts"`` (rules of a dashboard that fired).
    content
        How much it is given: ``"off"``, ``"metadata"`` or ``"full"`` (prompts, answers, arguments, results).
    backlog
        What it gets of that which this kernel has recorded before: ``"new"`` (nothing), ``"all"``, or seconds.
    tries
        How often it is called for an item before that is counted as dropped.

    Returns
    -------
    callable
        A decorator that returns the function as it is.

    Raises
    ------
    OptionError
        If an argument is not allowed, or a handler that was added by `export_to` has this name.

    Examples
    --------
    >>> @handler("notes", signals={"runs"})  # doctest: +SKIP
    ... def note(item):
    ...     print(item.run.name, item.run.status)
    """
    if callable(name):
        raise OptionError('the handler needs a name: @at.handler("notes")')
    kept.check_name(name)
    given = _check_signals(signals)
    tries = _check_tries(tries)
    if name in kept.read():
        msg = f"there is a handler {name!r} already, added by export_to; choose another name"
        raise OptionError(msg)
    chosen = HandlerSettings(
        name=name, type=TYPE, content=kept.check_content(content), backlog=kept.check_backlog(backlog),
        signals=tuple(sorted(signal.removesuffix("s") for signal in given)),
    )  # fmt: skip

    def decorate(function: Function) -> Function:
        if not callable(function):
            raise OptionError(f"@handler({name!r}) stands above a function, not a {type(function).__name__}")
        _start(chosen, function, tries)
        return function

    return decorate


def _check_signals(signals: Any) -> set[str]:
    given = set(signals) if isinstance(signals, Iterable) and not isinstance(signals, str) else {signals}
    for signal in given - set(SIGNALS):
        hint = did_you_mean(str(signal), SIGNALS)
        raise OptionError(f"signals={signal!r} is not allowed; it must be spans, runs or alerts.{hint}")
    if not given:
        raise OptionError("signals is empty; it must name spans, runs or alerts")
    return given


def _check_tries(tries: Any) -> int:
    if not isinstance(tries, int) or tries < 1:
        raise OptionError(f"tries={tries!r} is not allowed; it must be a whole number from 1")
    return tries


def stop_handler(name: str) -> None:
    """Call a function no more.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    outlet = _outlets.pop(kept.known_name(name, _outlets))
    outlet.stop(1.0)


def outlets() -> dict[str, Outlet]:
    """Return the functions of this kernel by name, each with the thread that calls it."""
    return dict(_outlets)


def follows(path: Path) -> bool:
    """Tell whether a journal is the one that functions of this kernel follow."""
    return any(outlet.journal == path for outlet in _outlets.values())


def _start(chosen: HandlerSettings, function: Callable[[Item], Any], tries: int) -> None:
    journal = process_journal()
    if journal.path is None:
        raise OptionError(f"@handler({chosen.name!r}) cannot begin: {' '.join(journal.problems)}")
    before = _outlets.pop(chosen.name, None)
    if before is not None:
        before.stop(1.0)
        key, seen, added = before.settings.key, before.settings.seen, before.settings.added_ns
    else:
        journal.flush()
        key, seen, added = uuid.uuid4().hex, kept.last_seqs(journal.path.parent), time.time_ns()
    settings = replace(chosen, key=key, seen=seen, added_ns=added)

    class OfThis(FunctionHandler):
        def __init__(self) -> None:
            super().__init__(function, tries)

    sender = Sender(settings, lambda: OfThis, resource_of(journal.path), notices.say)
    outlet = Outlet(sender, journal.path, linger_s=LINGER_S)
    _outlets[chosen.name] = outlet
    outlet.start()
    atexit.unregister(finish)
    atexit.register(finish)  # behind the journal's own, so that it is done before that


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_outlets.clear)  # their threads are the parent's


def finish() -> None:
    """Have the functions called with what there is, for a moment, and end their threads."""
    until = time.monotonic() + LAST_S
    for outlet in _outlets.values():
        outlet.ask()
    while time.monotonic() < until and not all(outlet.is_done() for outlet in _outlets.values()):
        time.sleep(LOOK_EVERY_S)
    for outlet in _outlets.values():
        outlet.stop(max(0.0, until - time.monotonic()))
