"""When to try a target again that did not take something: full jitter, and a circuit breaker."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient a handler is with its target, in seconds and times.

    Attributes
    ----------
    first_s, longest_s
        The waits grow from one to the other, and each is a random part of that: many clients do not come back at once.
    break_after
        After so many failures in a row only one thing is sent at a time, to see whether the target is back.
    asked_s
        No target is waited for longer than this, whatever it asks.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    break_after: int = 5
    asked_s: float = 3600.0


class Patience:
    """Counts failures and says when to try again.

    Parameters
    ----------
    limits
        How patient.
    draw
        Gives a random number from 0 to 1.
    """

    def __init__(self, limits: Limits | None = None, draw: random.Random | None = None) -> None:
        self._limits = limits or Limits()
        self._random = draw or random.Random()  # noqa: S311 - no secret
        self.failures = 0
        self._try_at = 0.0

    @property
    def is_broken(self) -> bool:
        """Whether the target has failed so often that it is only tried with one thing at a time."""
        return self.failures >= self._limits.break_after

    def wait_s(self) -> float:
        """Return for how long to leave the target alone, in seconds."""
        return max(0.0, self._try_at - time.monotonic())

    def failed(self, after_s: float | None = None) -> None:
        """Take note of a failure, and of how long the target asked to be left alone."""
        limits = self._limits
        longest = min(limits.longest_s, limits.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        shortest = limits.longest_s / 2 if self.is_broken else 0.0
        drawn = self._random.uniform(shortest, limits.longest_s if self.is_broken else longest)
        asked = min(after_s, limits.asked_s) if after_s is not None and after_s > 0 else 0.0
        self._try_at = time.monotonic() + max(drawn, asked)

    def succeeded(self) -> None:
        """Take note of a success."""
        self.failures, self._try_at = 0, 0.0

    def hurry(self) -> None:
        """Try at once."""
        self._try_at = 0.0
