"""Adding, testing and removing handlers: what `export_to` and ``%trace_export`` do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import functions, registry, status
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.process import Outcome, exporting_of
from agenttrace_nb.export.settings import MAX_AGE_S, HandlerSettings
from agenttrace_nb.journal.append import process_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEST_S = 45.0
FLUSH_S = 30.0
_LOOK_EVERY_S = 0.1


def export_to(
    kind: str,
    /,
    *,
    name: str | None = None,
    content: str = "metadata",
    backlog: str | float = "new",
    max_age: str | float = MAX_AGE_S,
    **options: Any,
) -> HandlerSettings:
    """Send what is recorded to a target, from now on, in this kernel and all later ones of this user.

    Parameters
    ----------
    kind
        ``"otlp"``, ``"prometheus"``, ``"pushgateway"``, ``"splunk-hec"``, ``"datadog-metrics"``, ``"jsonl"``, or the
        name of a plugin.
    name
        What to call it; by default as its kind.
    content
        How much leaves this machine: ``"off"`` (names, times, counts, status), ``"metadata"`` (and error messages and
        tags) or ``"full"`` (and prompts, answers, arguments, results).
    backlog
        What it gets of that which was recorded before: ``"new"`` (nothing), ``"all"``, or a time such as ``"2h"``.
    max_age
        How long something may wait for the target before it is dropped and counted, such as ``"7d"``; what failed may
        wait twice as long.
    **options
        Those of the handler. Secrets are given by reference: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/NAME``.

    Returns
    -------
    HandlerSettings
        The handler as it was kept.

    Raises
    ------
    OptionError
        If an option is unknown or its value is not allowed, a secret is not given by reference, or there is a handler
        of that name.

    Examples
    --------
    >>> export_to("jsonl", path="/tmp/agents.jsonl").name  # doctest: +SKIP
    'jsonl'
    """
    made = registry.load(kind)
    chosen = HandlerSettings(
        name=kept.check_name(kind if name is None else name),
        type=kind,
        options=registry.check_options(made, options),
        content=kept.check_content(content),
        backlog=kept.check_backlog(backlog),
        max_age_s=kept.check_max_age(max_age),
    )
    if chosen.name in functions.outlets():
        msg = f"@at.handler({chosen.name!r}) of this kernel has that name already; give this one another (--name)"
        raise OptionError(msg)
    added = kept.add(chosen)
    begin()
    return added


def begin(journal: Path | None = None) -> None:
    """Have this kernel's journal exported, if there is a handler; returns at once."""
    path = journal or process_journal().path
    if path is not None and kept.settings_file(path.parent).exists():
        exporting_of(path).start()


def remove(name: str) -> HandlerSettings:
    """Send nothing more to a handler, and forget it.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    found = functions.outlets().get(name)
    if found is not None:
        functions.stop_handler(name)
        return found.settings
    _known(name)
    return kept.remove(name)


def pause(name: str) -> None:
    """Send nothing to a handler for now; what is recorded waits for it.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    kept.pause(_kept_name(name), paused=True)


def resume(name: str) -> None:
    """Go on with a handler that was paused, or that paused because its target refused.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    kept.pause(_kept_name(name), paused=False)
    begin()


def send_test(name: str, timeout_s: float = TEST_S) -> Outcome:
    """Send one marked item to a handler, and return what came back.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    outlet = functions.outlets().get(_known(name))
    answered: Outcome | None
    if outlet is not None:
        answered = _test_here(outlet.test, timeout_s)
    else:
        path = process_journal().path
        if path is None:
            return Outcome("Retry", "there is no journal, so that the process that exports cannot be started.")
        answered = exporting_of(path).test(name, timeout_s)
    return answered or Outcome("Retry", f"the handler has not come back within {timeout_s:g} s; it may be hanging.")


def _test_here(ask: Callable[[Callable[[Any], None]], None], timeout_s: float) -> Outcome | None:
    import queue

    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ask(answers.put)
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        return None
    return Outcome(type(answer).__name__, getattr(answer, "reason", None))


def flush(name: str | None = None, timeout_s: float = FLUSH_S) -> bool:
    """Have what there is sent at once, and wait for it; tell whether nothing of this kernel waits any more.

    Raises
    ------
    OptionError
        If there is no handler of that name.
    """
    if name is not None:
        _known(name)
    journal = process_journal()
    journal.flush()
    for outlet in functions.outlets().values():
        if name in (None, outlet.settings.name):
            outlet.hurry()
    if journal.path is None:
        return False
    if kept.read():
        exporting_of(journal.path).flush(name)
    until = time.monotonic() + timeout_s
    while waits := status.waiting_in(journal.path, name):
        if time.monotonic() > until:
            break
        time.sleep(_LOOK_EVERY_S)
    return not waits


def _known(name: str) -> str:
    return kept.known_name(name, {**kept.read(), **functions.outlets()})


def _kept_name(name: str) -> str:
    if name in functions.outlets():
        msg = f"{name!r} is a function of this kernel and cannot be paused; %trace_export remove {name} ends it"
        raise OptionError(msg)
    return _known(name)
