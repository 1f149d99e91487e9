"""What a journal holds: the kinds of events and their bodies. This is schema version 1.

An event is a kind, a time, the ids that it belongs to and a JSON body. Bodies hold data only, never objects of the
SDK. A value of conversation size is kept apart as an *item* and stands in the body as a reference::

    {"$i": 17}              the item with id 17 of this journal
    {"$l": [3, 4, 17]}      a list of items (a prompt: each conversation item is stored once)

Kinds and what their bodies hold (every field may be absent; absent means unknown):

``run-start``
    The fields of `CellRun` that are known at the start: name, arch, case, trial, experiment, session, tracking_uri,
    cwd, notebook, cell_id, execution_count, source_hash, git_commit, versions, roles, tags, message_runs,
    deterministic, parent_key.
``run-data``
    What the user said of the run: ``metric`` {key, value, step}, ``param`` {key, value}, ``tag`` {key, value},
    ``artifact`` {path, name} or ``success`` (true or false).
``run-end``
    status, error {type, message, http_status, chain, traceback}, success.
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

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1

ITEM = "$i"
ITEM_LIST = "$l"


class EventKind(StrEnum):
    """The kinds of journal events."""

    RUN_START = "run-start"
    RUN_DATA = "run-data"
    RUN_END = "run-end"
    TRACE_START = "trace-start"
    TRACE_END = "trace-end"
    AGENT = "agent"
    SPAN_START = "span-start"
    SPAN_UPDATE = "span-update"
    SPAN_END = "span-end"


@dataclass(slots=True, frozen=True)
class Event:
    """One line of a journal.

    Attributes
    ----------
    seq
        Position in its journal, from 1, without gaps.
    kind
        What happened.
    time_ns
        When, nanoseconds since the epoch.
    run_key, trace_id, span_id
        What it belongs to.
    body
        Its data, decoded; large values are references to items.
    """

    seq: int
    kind: EventKind
    time_ns: int
    run_key: str | None
    trace_id: str | None
    span_id: str | None
    body: dict[str, Any]
