"""The rules of a dashboard: how they stand, and who is told when one fires."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.monitor_rules import Alert, begin, parse, read
from agenttrace_nb.views.dashboard_text import alert_words
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agenttrace_nb.analysis.monitor_board import Board

EVERY_MS = 1000
_RULE_LIMIT = 120

_log = logging.getLogger("agenttrace_nb")


class Watch:
    """Looks at rules, and tells of each firing once.

    Attributes
    ----------
    alerts
        The rules and how they stand.
    listeners
        Who is told when one fires.

    Raises
    ------
    OptionError
        If a rule cannot be understood.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self.alerts: list[Alert] = [begin(rule, 0.0) for rule in parse(rules)]
        self.listeners: list[Callable[[Alert], Any]] = []
        self._untold: list[Alert] = []
        self._looked_ms = 0.0

    def look(self, board: Board, now_ms: float, *, changed: bool) -> None:
        """Read every rule's figure anew: where runs changed, and once a second since time goes on."""
        if not self.alerts or (not changed and now_ms - self._looked_ms < EVERY_MS):
            return
        self._looked_ms = now_ms
        for at, was in enumerate(self.alerts):
            alert = was.next(read(was.rule, board, now_ms), now_ms)
            self.alerts[at] = alert
            if alert.fired > was.fired:
                self._untold.append(alert)

    def tell(self) -> None:
        """Tell the listeners what fired. What they raise is logged and stops nothing."""
        untold, self._untold = self._untold, []
        for alert in untold:
            for listener in list(self.listeners):
                try:
                    listener(alert)
                except Exception as error:
                    said = f"{type(error).__name__}: {error}"
                    _log.warning("a callback of the alert %r failed: %s", alert.rule.text, said)

    def shown(self) -> list[dict[str, Any]]:
        """Return the rules as the browser shows them."""
        return [
            {
                "rule": one_line(alert.rule.text, _RULE_LIMIT),
                "state": alert.state.value,
                "says": alert_words(alert),
                "since": alert.since_ms,
                "fired": alert.fired,
            }
            for alert in self.alerts
        ]
