"""What a journal holds: the kinds of events and their bodies. This is schema version 1.

An event is a kind, a time, the ids that it belongs to and a JSON body. Bodies hold data only, never objects of the
SDK. A value of conversation size is kept apart as an *item* and stands in the body as a reference::

    {"$i": 17}              the item with id 17 of this journal
    {"$l": [3, 4, 17]}      a list of items (a prompt: each conversation item is stored once)

Kinds and what their bodies hold (every field may be absent; absent means unknown):

``run-start``
    The fields of `CellRun` that are known at the start: name, arch, case, trial, experiment, session, tracking_uri,
    cwd, notebook, cell_id, execution_count, source_hash, git_commit, versions, roles, tags, message_runs,
    deterministic, parent_key; ``joined`` (true in the journal of a forked child: the run and its end are its parent's).
``run-data``
    What the user said of the run: ``metric`` {key, value, step}, ``param`` {key, value}, ``tag`` {key, value},
    ``artifact`` {path, name} or ``success`` (true or false).
``run-end``
    status, error {type, message, http_status, chain, traceback}, success.
``feedback``
    What somebody said of a trace that may be anywhere: key, trace_id, span_id, name, value, comment, user, time_ns,
    tracking_uri, cwd. It belongs to no run of this journal.
``alert``
    A rule of a dashboard that fired: rule, says, value, runs, since_ns, experiment, arch. It belongs to no run.
``trace-start``
    name, session, metadata, ``resumed`` (true where the trace goes on in another cell run).
``trace-end``
    status, error.
``agent``
    The fields of `Agent`, once for each agent and trace.
``span-start``, ``span-update``, ``span-end``
    Any fields of `Span` that became known: kind, name, parent_id, agent, role, status, error, input, output,
    attributes (merged), input_tokens, output_tokens, cached_tokens, reasoning_tokens, model, ttft_s, and
    ``end_ns`` where the step ended earlier than the event was written. Updates may follow the end.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.journal.redact import Redactor

SCHEMA_VERSION = 1

ITEM = "$i"
ITEM_LIST = "$l"

STRUCTURE = frozenset({"kind", "status", "parent_id", "parent_key", "tracking_uri", "cwd", "artifact"})
"""Fields of a body that no redaction rule applies to: what a run is made of, and where its record goes.

A password in ``tracking_uri`` is kept, since nothing could be delivered without it; the file is its owner's alone.
"""

RECORDS = frozenset({"error", "metric", "param", "tag"})
"""Fields of a body that are mappings of ours: rules apply to what their fields hold, not to the names of these."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE items (id INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, time_ns INTEGER NOT NULL, run TEXT, trace TEXT, span TEXT, body BLOB
);
"""


class EventKind(StrEnum):
    """The kinds of journal events."""

    RUN_START = "run-start"
    RUN_DATA = "run-data"
    RUN_END = "run-end"
    FEEDBACK = "feedback"
    ALERT = "alert"
    TRACE_START = "trace-start"
    TRACE_END = "trace-end"
    AGENT = "agent"
    SPAN_START = "span-start"
    SPAN_UPDATE = "span-update"
    SPAN_END = "span-end"


class Event:
    """One line of a journal.

    Parameters
    ----------
    seq
        Position in its journal, from 1, without gaps (but those that the rescue of a damaged journal leaves).
    kind
        What happened.
    time_ns
        When, nanoseconds since the epoch.
    run_key, trace_id, span_id
        What it belongs to.
    body
        Its data, as JSON text or decoded; large values are references to items.
    redactor
        What is still to take out of the body: before anybody sees it, and before it is stored.
    references
        Fields of the body that hold references to items.
    """

    __slots__ = (
        "_body", "_raw", "_redactor", "_references", "kind", "run_key", "seq", "span_id", "time_ns", "trace_id"
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 - a row of the journal, in the order of its columns
        self,
        seq: int,
        kind: EventKind,
        time_ns: int,
        run_key: str | None,
        trace_id: str | None,
        span_id: str | None,
        body: bytes | str | dict[str, Any],
        redactor: Redactor | None = None,
        references: Sequence[str] = (),
    ) -> None:
        self.seq = seq
        self.kind = kind
        self.time_ns = time_ns
        self.run_key = run_key
        self.trace_id = trace_id
        self.span_id = span_id
        self._raw = body
        self._redactor = redactor
        self._references = references
        self._body: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """Its data, redacted, decoded when it is first read: the agent does not wait for what only watchers need."""
        body = self._body
        if body is None:
            data = self.clean()
            body = self._body = data if isinstance(data, dict) else json.loads(data)
        return body

    def clean(self) -> Any:
        """Return its body, redacted, as it was given: JSON text if it comes from a journal of this process."""
        redactor, raw = self._redactor, self._raw
        if redactor is not None and isinstance(raw, bytes):
            # Two threads may do this at once: twice is no harm.
            try:
                self._raw = redactor.clean_body(raw, self._references)
            except Exception:  # what cannot be looked through is not kept
                self._raw = b"{}"
            self._redactor = None
        return self._raw

    def __repr__(self) -> str:
        """Return the event in one line."""
        ids = (self.run_key, self.trace_id, self.span_id)
        return f"<Event {self.seq} {self.kind.value} {' '.join(i or '-' for i in ids)} {self.body}>"


def clean_all(events: Sequence[Event]) -> None:
    """Redact what waits for it, all at once.

    Mostly there is nothing to take out of any of them, and to look at all together costs little more than to look at
    one.
    """
    waiting = [event for event in events if event._redactor is not None]  # noqa: SLF001 - one thing with the class
    if not waiting:
        return
    texts = b"\n".join([event._raw for event in waiting])  # type: ignore[misc]  # noqa: SLF001
    if waiting[0]._redactor.finds_nothing(texts):  # type: ignore[union-attr]  # noqa: SLF001
        for event in waiting:
            event._redactor = None  # noqa: SLF001
    else:
        for event in waiting:
            event.clean()
