"""Completion of what follows ``%%trace_agents``, ``%trace_agents`` and ``%trace_export`` (IPython 8.6 and newer)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion, context_matcher

from agenttrace_nb.magics.cell import NAME
from agenttrace_nb.magics.export_magic import COMMANDS as EXPORT_COMMANDS
from agenttrace_nb.magics.export_magic import NAME as EXPORT
from agenttrace_nb.magics.export_magic import PUMP_OPTIONS
from agenttrace_nb.magics.options import COMMANDS, FLAGS, REPEATABLE

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult


@context_matcher()  # type: ignore[untyped-decorator]
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """Offer what may follow; other completers, which would take the line for Python, stay silent."""
    line = context.text_until_cursor.lstrip()
    started = "" if line.endswith((" ", "\t")) else line.rpartition(" ")[2]
    fitting = [word for word in _allowed(line[: len(line) - len(started)]) if word.startswith(started)]
    return {
        "completions": [SimpleCompletion(word, type="param") for word in fitting],
        "matched_fragment": started,
        "suppress": bool(fitting),
    }


def _allowed(before: str) -> list[str]:
    export = re.match(rf"%{EXPORT}\s+(?P<rest>.*)", before)
    if export is not None:
        return _allowed_in_export(export["rest"].split())
    match = re.match(rf"(?P<percent>%%?){NAME}\s+(?P<rest>.*)", before)
    if match is None:
        return []
    words = match["rest"].split()
    if match["percent"] == "%" and words[:1] != ["on"]:
        return [] if words else list(COMMANDS)
    used = {word.partition("=")[0] for word in words} - REPEATABLE
    return [flag for flag in FLAGS if flag not in used]


def _allowed_in_export(words: list[str]) -> list[str]:
    if not words:
        return list(EXPORT_COMMANDS)
    if words[0] == "add":
        return _allowed_in_add(words[1:])
    if words[0] in {"test", "remove", "pause", "resume", "flush"} and len(words) == 1:
        from agenttrace_nb.export import functions, settings

        return [*settings.read(), *functions.outlets()]
    return []


def _allowed_in_add(words: list[str]) -> list[str]:
    from agenttrace_nb.export import registry
    from agenttrace_nb.export.handler import Content

    if not words:
        return registry.KINDS.names()
    if words[-1] == "--content":
        return [level.value for level in Content]
    if words[-1] == "--backlog":
        return ["new", "all"]
    try:
        options = registry.load(words[0]).options
    except Exception:
        return []
    used = {word.partition("=")[0] for word in words}
    flags = [*(f"--{name.replace('_', '-')}" for name in options), *PUMP_OPTIONS]
    return [flag for flag in flags if flag not in used]
