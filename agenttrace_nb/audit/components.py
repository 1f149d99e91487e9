"""Parts of a content by name: a path such as ``span/3/inputs``, or a pattern with stars such as ``span/*/inputs``.

A star stands for one step of the path. What an entry of the kind ``erase`` names is such patterns, so that it stays
short however long a run is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.config import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_STEP = re.compile(r"\*|[a-z0-9-]{1,64}")
_HEAD = re.compile(r"span/[0-9]+")
_MOST_SHOWN = 12


def matching(patterns: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Return the paths that one of the patterns names, in their order.

    Examples
    --------
    >>> matching(["span/*/inputs"], ["span/0", "span/0/inputs", "span/0/outputs"])
    ['span/0/inputs']
    """
    wanted = [pattern.split("/") for pattern in patterns]
    return [path for path in paths if any(_names(steps, path.split("/")) for steps in wanted)]


def _names(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return len(pattern) == len(path) and all(want in ("*", step) for want, step in zip(pattern, path, strict=True))


def checked(given: str | Sequence[str], paths: Collection[str]) -> list[str]:
    """Return what names components of a trace, or say what is wrong with it.

    Parameters
    ----------
    given
        One path or pattern, or several.
    paths
        The components that the trace has.

    Raises
    ------
    AuditError
        If one names nothing, or the head of a step, which stays.
    """
    patterns = [given] if isinstance(given, str) else list(given)
    for pattern in patterns:
        if not all(_STEP.fullmatch(step) for step in str(pattern).split("/")):
            msg = (
                f"component={pattern!r} is not allowed; it must be a path such as 'span/3/inputs', or one with stars "
                "such as 'span/*/inputs'"
            )
            raise AuditError(msg)
        named = matching([pattern], paths)
        if not named:
            there = ", ".join([*paths][:_MOST_SHOWN]) + (" …" if len(paths) > _MOST_SHOWN else "")
            hint = did_you_mean(pattern, [*paths])
            msg = f"component={pattern!r} names nothing of this trace that is still there; there is {there}.{hint}"
            raise AuditError(msg)
        if any(_HEAD.fullmatch(path) for path in named):
            msg = (
                f"component={pattern!r}: ids, name, times and status of a step stay; give 'span/3/*' for all else of "
                "it, or erase the whole trace"
            )
            raise AuditError(msg)
    return patterns
