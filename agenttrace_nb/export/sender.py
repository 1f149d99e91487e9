"""One target: how batches are made for it, and what its answers mean for what waits."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError, current
from agenttrace_nb.export.handler import (
    Answer,
    Context,
    Item,
    Misconfigured,
    Moment,
    Refused,
    Retry,
    Sent,
    TooLarge,
)
from agenttrace_nb.export.outgoing import Cutter
from agenttrace_nb.export.patience import Patience
from agenttrace_nb.export.registry import resolved
from agenttrace_nb.journal.redact import Redactor
from agenttrace_nb.secrets import Secret
from agenttrace_nb.spans import CellRun, Span, SpanKind, Status, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agenttrace_nb.export.feed import Feed, Waiting
    from agenttrace_nb.export.handler import Handler
    from agenttrace_nb.export.patience import Limits
    from agenttrace_nb.export.settings import HandlerSettings

BATCH_ITEMS = 512
BATCH_BYTES = 1 << 20
_REASON_CHARS = 300
_REASONS_KEPT = 20
_OTHER_REASONS = "other reasons"


@dataclass(slots=True)
class Standing:
    """How it goes with a target.

    Attributes
    ----------
    problem
        What is wrong at this moment, in words; ``None`` if nothing is.
    refused
        Whether nothing is sent until the user changes something.
    success_ns, problem_ns
        When something last arrived, and when the problem was last met; nanoseconds since the epoch.
    """

    problem: str | None = None
    refused: bool = False
    success_ns: int | None = None
    problem_ns: int | None = None


class Sender:
    """Sends to one target; used from one thread.

    Parameters
    ----------
    settings
        The handler's settings.
    make
        Makes the handler.
    resource
        Attributes of this process.
    say
        Takes lines for the user.
    limits
        How patient it is.
    """

    def __init__(
        self,
        settings: HandlerSettings,
        make: Callable[[], type[Handler]],
        resource: Mapping[str, str],
        say: Callable[[str], None],
        limits: Limits | None = None,
    ) -> None:
        self.settings = settings
        self.standing = Standing()
        self.patience = Patience(limits)
        self.busy_since: float | None = None
        """Since when a call of the handler has lasted, by the monotonic clock."""
        self._make = make
        self._resource = resource
        self._say = say
        self._handler: Handler | None = None
        self._cutter: Cutter | None = None
        self._mask: list[str] = []
        self._largest = BATCH_ITEMS
        self._said: set[str] = set()

    # -- beginning and end --------------------------------------------------------------------------------------

    def open(self) -> bool:
        """Begin, if need be; tell whether something can be sent."""
        if self._handler is not None:
            return True
        if self.standing.refused:
            return False
        try:
            made = self._make()
            options = resolved(made, self.settings.options)
            self._mask = [value.reveal() for value in options.values() if isinstance(value, Secret)]
            self._cutter = Cutter(self.settings.content, Redactor(current().redact))
            context = Context(
                name=self.settings.name, options=options, content=self.settings.content, resource=self._resource
            )
            handler = made()
            with self._watched():
                handler.open(context)
        except (ValueError, OptionError) as error:
            self._refuse(str(error))
            return False
        except BaseException as error:
            self._refuse(f"it cannot be opened: {type(error).__name__}: {error}")
            return False
        self._handler = handler
        if where := getattr(handler, "where", ""):  # what only the handler knows, such as a port that it chose
            self._say(f"export {self.settings.name}: {where}")
        return True

    def close(self) -> None:
        """End the handler, if it was begun."""
        handler, self._handler = self._handler, None
        if handler is not None:
            with contextlib.suppress(BaseException), self._watched():
                handler.close()

    def try_again(self) -> None:
        """Do not wait any longer, and begin anew if the target had refused."""
        self.patience.hurry()
        if self.standing.refused:
            self.close()
            self.standing.refused = False

    # -- sending ------------------------------------------------------------------------------------------------

    def send(self, feed: Feed) -> None:
        """Send the first of what waits, and note what came of it."""
        count = 1 if self.patience.is_broken else self._largest
        waiting = feed.head(count)
        batch, taken, unreadable = self._batch(waiting)
        answer = self._export(tuple(batch)) if batch else Sent()
        dropped: Counter[str] = Counter({"it cannot be read back": unreadable} if unreadable else {})
        match answer:
            case Sent():
                self._arrived(bool(batch))
            case Refused(reason=reason):
                lost = _refused(answer, batch)
                dropped[self._words(reason)] += lost
                self._arrived(anything=lost < len(batch))
            case TooLarge(reason=reason) if len(batch) > 1:
                self._largest = max(1, len(batch) // 2)
                self._note(reason)
                return
            case TooLarge(reason=reason):
                dropped[self._words(reason)] += 1
            case Misconfigured(reason=reason):
                self._refuse(reason)
                return
            case Retry(reason=reason, after_s=after_s):
                self._failed(reason, after_s)
                return
        self._tell_dropped(dropped)
        feed.settle(taken, _bounded(feed.dropped, dropped))

    def test(self) -> Answer:
        """Send one marked item, whatever waits, and return what came back."""
        self.try_again()
        if not self.open():
            return Misconfigured(reason=self.standing.problem or "it cannot be opened")
        answer = self._export((marked_item(self.settings.name),))
        if isinstance(answer, Sent):
            self._arrived(anything=True)
            return answer
        if isinstance(answer, Misconfigured):
            self._refuse(answer.reason)
        asked = _asked(answer.after_s) if isinstance(answer, Retry) else ""
        return type(answer)(reason=self._words(answer.reason + asked))

    def _batch(self, waiting: list[Waiting]) -> tuple[list[Item], int, int]:
        """Return the items of a batch, how many things that deals with, and how many of these cannot be read."""
        assert self._cutter is not None  # noqa: S101 - it was opened
        self._cutter.begin()
        batch: list[Item] = []
        size = taken = unreadable = 0
        for one in waiting:
            try:
                item, bytes_ = one.item(self._cutter)
            except Exception:
                unreadable += 1
                taken += 1
                continue
            if batch and size + bytes_ > BATCH_BYTES:
                break
            batch.append(item)
            size += bytes_
            taken += 1
        return batch, taken, unreadable

    def _export(self, batch: tuple[Item, ...]) -> Answer:
        handler = self._handler
        assert handler is not None  # noqa: S101 - it was opened
        try:
            with self._watched():
                answer: Any = handler.export(batch)
        except BaseException as error:
            return Retry(reason=f"the handler failed: {type(error).__name__}: {error}")
        if not isinstance(answer, (Sent, Retry, TooLarge, Refused, Misconfigured)):
            names = "Sent(), Retry(...), TooLarge(...), Refused(...) or Misconfigured(...)"
            return Misconfigured(reason=f"its export() returned {answer!r}; it must return {names}")
        return answer

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        self.busy_since = time.monotonic()
        try:
            yield
        finally:
            self.busy_since = None

    # -- what came of it ----------------------------------------------------------------------------------------

    def _arrived(self, anything: bool) -> None:  # noqa: FBT001
        if anything:
            if self.patience.is_broken:
                self._say(f"export {self.settings.name}: the target is back; what waited is sent now.")
            self.standing = Standing(success_ns=time.time_ns())
            self._said.clear()
        self.patience.succeeded()
        # Slowly, or every other batch would be too large for a target that takes little.
        self._largest = min(BATCH_ITEMS, self._largest + max(1, self._largest // 8))

    def _failed(self, reason: str, after_s: float | None) -> None:
        was_broken = self.patience.is_broken
        self.patience.failed(after_s)
        self._note(reason + _asked(after_s))
        if self.patience.is_broken and not was_broken:
            self._tell(f"{self.standing.problem} It is tried again; nothing is lost.")

    def _refuse(self, reason: str) -> None:
        self._note(reason)
        self.standing.refused = True
        self.close()
        name = self.settings.name
        self._tell(f"{self.standing.problem} Nothing is sent until that is put right; then %trace_export resume {name}")

    def _note(self, reason: str) -> None:
        self.standing.problem, self.standing.problem_ns = self._words(reason), time.time_ns()

    def _tell_dropped(self, dropped: Counter[str]) -> None:
        for reason, count in dropped.items():
            if count:
                self._note(reason)
                self._tell(f"{count} dropped: {reason}")

    def _tell(self, text: str) -> None:
        key = text.lstrip("0123456789")
        if key not in self._said:
            self._said.add(key)
            self._say(f"export {self.settings.name}: {text}")

    def _words(self, reason: str) -> str:
        """Return a reason fit to be shown: no secret in it, one line, not too long."""
        text = str(reason)
        for secret in self._mask:
            text = text.replace(secret, "***")
        text = " ".join(Redactor().clean_text(text).split())
        text = text if len(text) <= _REASON_CHARS else text[: _REASON_CHARS - 1] + "…"
        return text if text.endswith((".", "…", "?")) else f"{text}."


def _asked(after_s: float | None) -> str:
    """Return in words for how long a target asked to be left alone."""
    is_time = after_s is not None and 0 < after_s < math.inf
    return f"; it asks to wait {after_s:.0f} s" if is_time else ""


def _refused(answer: Refused, batch: list[Item]) -> int:
    """Return how many of a batch a target will never take; the others have arrived."""
    if answer.event_ids:
        return len(answer.event_ids & {item.event_id for item in batch})
    return len(batch) if answer.count is None else max(0, min(answer.count, len(batch)))


def _bounded(kept: Counter[str], dropped: Counter[str]) -> Counter[str]:
    """Return reasons, with those that are too many under one name: targets put ids into their texts."""
    bounded: Counter[str] = Counter()
    for reason, count in dropped.items():
        known = reason in kept or len(kept) + len(bounded) < _REASONS_KEPT
        bounded[reason if known else _OTHER_REASONS] += count
    return +bounded


def marked_item(handler: str) -> Item:
    """Return an item that says that it is a test."""
    now, trace_id, key = time.time_ns(), uuid.uuid4().hex, uuid.uuid4().hex
    name = f"agenttrace_nb test of {handler}"
    period: dict[str, Any] = {"start_ns": now, "end_ns": now + 1_000_000, "status": Status.OK}
    span = Span(
        trace_id=trace_id, span_id=key[:16], kind=SpanKind.OTHER, name=name, attributes={"agenttrace.test": True},
        **period,
    )  # fmt: skip
    trace = Trace(trace_id=trace_id, name=name, **period)
    run = CellRun(key=key, name=name, trace_ids=[trace_id], **period)
    return Item(moment=Moment.TEST, event_id=f"test:{key}", span=span, trace=trace, run=run)
