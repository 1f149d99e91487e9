"""What a rule says: where something went wrong, on whose side, how it was dealt with, and what shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span


class Side(StrEnum):
    """Whose fault a failure is."""

    AGENT = "agent reasoning"
    TOOL = "external tool"
    MODEL = "model service"
    POLICY = "policy"
    ENVIRONMENT = "environment"
    UNDETERMINED = "undetermined"


class Standing(StrEnum):
    """What became of something that went wrong."""

    FATAL = "fatal"  # the run ended with it
    OPEN = "open"  # the run went on, and nothing made up for it
    RECOVERED = "recovered"  # a later step made up for it


@dataclass(slots=True, frozen=True)
class Evidence:
    """One thing that shows a cause: what it is, and the span in which it can be seen."""

    text: str
    span_id: str | None = None


@dataclass(slots=True, frozen=True, kw_only=True, eq=False)
class Finding:
    """What one rule found in one place.

    Attributes
    ----------
    rule
        Id of the rule.
    side
        Whose fault it is.
    span
        Where it began.
    at
        Place in the story: what comes later may follow from it.
    step
        Number of the agent's message that it belongs to; ``None`` before the first.
    reason
        One sentence.
    """

    rule: str
    side: Side
    span: Span
    at: int
    reason: str
    standing: Standing
    agent: str | None = None
    step: int | None = None
    evidence: tuple[Evidence, ...] = ()
