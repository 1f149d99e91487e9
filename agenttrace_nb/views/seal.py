"""What a view says of a run's seal in the audit log; nothing while that is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.journal.sealing import is_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.spans import Trace


def seal_of(traces: Sequence[Trace], *, compare: bool) -> dict[str, str] | None:
    """Return what is known of the seal of a run: ``state``, a word or two, and ``why``.

    Parameters
    ----------
    traces
        Its traces.
    compare
        Whether what is shown came from a store, and is to be compared with what was sealed.
    """
    try:
        if not is_on():
            return None
        from agenttrace_nb.audit.badge import badge_of

        badge = badge_of(traces, compare=compare)
    except Exception as error:
        return {"state": "seal unknown", "why": f"The audit log cannot be read ({type(error).__name__}: {error})."}
    return None if badge is None else {"state": badge.state, "why": badge.why}
