"""Completion of the options of ``%%trace_agents`` and the commands of ``%trace_agents`` (IPython 8.6 and newer)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion, context_matcher

from agenttrace_nb.magics.cell import NAME
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
    match = re.match(rf"(?P<percent>%%?){NAME}\s+(?P<rest>.*)", before)
    if match is None:
        return []
    words = match["rest"].split()
    if match["percent"] == "%" and words[:1] != ["on"]:
        return [] if words else list(COMMANDS)
    used = {word.partition("=")[0] for word in words} - REPEATABLE
    return [flag for flag in FLAGS if flag not in used]
