"""What a handler is given, and what it answers: the contract between the pump and every target, ours and yours.

A handler only maps and sends. Reading on, waiting, trying again, redaction and the limits of a batch are the pump's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.spans import CellRun, Span, Trace

API_VERSION = 1
"""Raised when a handler written for an earlier one could no longer work."""


class Content(StrEnum):
    """How much of what people, models and tools wrote leaves this machine."""

    OFF = "off"  # no content, no error texts: names, times, counts, status
    METADATA = "metadata"  # and error messages and tags
    FULL = "full"  # and prompts, answers, arguments and results


class Moment(StrEnum):
    """What an item of a batch tells."""

    SPAN = "span"  # a step ended
    RUN = "run"  # a cell run ended
    ALERT = "alert"  # a rule of a dashboard fired; its span, of kind `OTHER`, says which and by what figure
    TEST = "test"  # a marked item that a user sends to see whether it arrives


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to send.

    Attributes
    ----------
    moment
        What it tells.
    event_id
        ``trace_id:span_id`` for a span, ``run:KEY`` for a run, ``alert:KEY`` for an alert: the same each time it is
        sent, so that a target can drop what it has.
    span
        The step, redacted and cut to the handler's level of content; ``None`` for a run.
    trace
        The span's trace, for its name, session, user and tags; its ``spans`` are not complete.
    run
        The cell run that it belongs to, or that ended.
    parent
        The step that the span hangs under, without content, where it is known: for targets that leave some steps out
        and must hang what is below them elsewhere.
    """

    moment: Moment
    event_id: str
    span: Span | None = None
    trace: Trace | None = None
    run: CellRun | None = None
    parent: Span | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """All of the batch arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """It did not arrive, and may later: the pump sends the same items again.

    Attributes
    ----------
    reason
        One sentence for the user: what the target said, and what to do.
    after_s
        Seconds that the target asked to wait, where it did.
    """

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge:
    """The target refuses the size; the pump halves the batch, and drops a single item that is refused."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The target will never take these items: they are counted as dropped.

    Attributes
    ----------
    event_ids
        Which; empty for the whole batch.
    count
        How many, where the target tells their number and not which (``event_ids`` is empty then).
    """

    reason: str
    event_ids: frozenset[str] = frozenset()
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misconfigured:
    """Nothing will arrive until the user changes something, such as a token: the handler pauses, nothing is lost."""

    reason: str


Answer = Sent | Retry | TooLarge | Refused | Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a handler knows of where it runs.

    Attributes
    ----------
    name
        The name that the user gave it.
    options
        Its options, checked for their names by the pump against `Handler.options`; secrets are resolved already and
        are `Secret` texts, which show themselves as ``***``.
    content
        The level of content that it is sent; for targets whose format says so.
    resource
        Attributes of this process: ``service.name``, ``service.instance.id`` (the journal's).
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    content: Content = Content.METADATA
    resource: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Handler(Protocol):
    """A target. An exception in any method is reported once, counts as `Retry`, and disturbs nobody else.

    Attributes
    ----------
    api_version
        `API_VERSION` of the contract that it was written for.
    options
        The options that it takes: name to one line of help. A name in `required` must be given.
    secrets
        Names of options that must be references (``env:``, ``file:``, ``keyring:``), never the text itself.

    Notes
    -----
    A static or class method ``prepare(options) -> options`` is called, where there is one, in the user's kernel when
    the handler is added, with the options as given (secrets as references). It may complete them, or raise
    `ValueError`.
    """

    api_version: int
    options: Mapping[str, str]
    required: frozenset[str]
    secrets: frozenset[str]

    def open(self, context: Context) -> None:
        """Begin; called once, before the first batch, in the thread that all other calls come from.

        Raises
        ------
        ValueError
            If an option's value is not allowed; the text names the option, what was given and what is allowed.
        """

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Send a batch, in at most about ten seconds."""

    def close(self) -> None:
        """End; called once."""
