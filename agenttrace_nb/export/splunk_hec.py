"""Splunk's HTTP Event Collector: an event for each step and each run.

Source of the format and of the replies: Splunk's pages "Format events for HTTP Event Collector" and "Troubleshoot HTTP
Event Collector". Splunk keeps what is sent twice: the field ``event_id`` is the same each time, for ``dedup event_id``.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import (
    API_VERSION,
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
from agenttrace_nb.export.http_options import LookedAtEarly, check_protected, check_url, file_option, switch
from agenttrace_nb.export.http_post import Poster, Reply
from agenttrace_nb.export.jsonl import as_json
from agenttrace_nb.secrets import Secret
from agenttrace_nb.spans import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE, SOURCETYPE = "agenttrace_nb", "agenttrace:event"
_EVENT, _ACK = "/services/collector/event", "/services/collector/ack"
_JSON = {"Content-Type": "application/json"}
_ACK_WAIT_S = 5.0
"""So long a batch is waited for in one call; after that it is asked for again before anything is sent twice."""
_ACK_GIVE_UP_S = 120.0
_FIRST_PAUSE_S = 0.1
_MAX_INVALID = 20


_USER_CODES = {
    1: "the token is disabled: switch it on in Splunk (Settings, Data inputs, HTTP Event Collector)",
    2: "no token arrived: look at the option token",
    3: "the token was not understood: look at the option token",
    4: "there is no such token: look at the option token",
    7: "the token may not write to this index: look at the option index",
    10: "the token asks for acknowledgements: add the handler with ack=on",
    11: "Splunk does not take the channel: look whether the token asks for acknowledgements",
    14: "the token has no acknowledgements: add the handler with ack=off",
}
"""Replies that nothing helps against until the user changes something, by Splunk's code."""
_BUSY_CODES = {8: "Splunk had an error of its own", 9: "Splunk is busy", 18: "Splunk's queues are full"}
_EVENT_CODES = {
    5: "nothing to store",
    6: "Splunk does not understand the event",
    12: "an event is missing",
    13: "an event is empty",
    15: "Splunk does not take the event's fields",
}
"""Replies about single events: the same is answered each time."""


class SplunkHecHandler(LookedAtEarly):
    """Sends steps and runs to Splunk Enterprise or Splunk Cloud.

    An event holds what `JsonlHandler` writes in a line; ``time`` is when the step began. Indexed fields are
    ``event_id``, ``moment``, ``trace_id``, ``span_id``, ``kind``, ``status``, ``agent``, ``arch`` and ``run``.

    Examples
    --------
    >>> SplunkHecHandler.options["index"]
    "index to write to (default: the token's)"
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "url": "address of the collector, such as https://splunk.example.com:8088",
        "token": "token of the collector",
        "index": "index to write to (default: the token's)",
        "source": f"source of the events (default: {SOURCE})",
        "sourcetype": f"their sourcetype (default: {SOURCETYPE})",
        "host": "their host (default: what Splunk sees)",
        "ack": "on: wait until Splunk has stored a batch; the token must have acknowledgements (default: off)",
        "ca_file": "certificates to trust instead of the system's (PEM)",
        "client_cert": "certificate that this side shows (PEM)",
        "client_key": "its key, if it is in a file of its own (PEM)",
    }
    required = frozenset({"url", "token"})
    secrets = frozenset({"token"})

    _base: str
    _post: Poster
    _around: dict[str, str]
    _channel: str | None

    def open(self, context: Context) -> None:
        """Look at the options; nothing is sent yet.

        Raises
        ------
        ValueError
            If an option has a wrong value; the text names it.
        """
        options = context.options
        self._base = check_url("url", options["url"]).removesuffix("/event").removesuffix("/services/collector")
        check_protected("url", self._base)
        token = options["token"]
        known = token.reveal() if isinstance(token, Secret) else str(token)
        self._channel = str(uuid.uuid4()) if switch("ack", options.get("ack", False)) else None
        headers: dict[str, str | Secret] = {"Authorization": Secret(f"Splunk {known}", "token")}
        if self._channel is not None:
            headers["X-Splunk-Request-Channel"] = self._channel
        self._post = Poster(
            headers=headers, ca_file=file_option(options, "ca_file"),
            client_cert=file_option(options, "client_cert"), client_key=file_option(options, "client_key"),
        )  # fmt: skip
        given = {name: options.get(name) for name in ("index", "source", "sourcetype", "host")}
        defaults = {"source": SOURCE, "sourcetype": SOURCETYPE}
        self._around = defaults | {name: str(value) for name, value in given.items() if value is not None}
        self._asked: tuple[int, frozenset[str], float] | None = None
        self._stored: set[str] = set()

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Send a batch, without the events that Splunk calls invalid; with ``ack=on`` wait until it is stored."""
        unsure = self._look_again()
        if unsure is not None:
            return unsure
        rest = [item for item in batch if item.event_id not in self._stored]
        invalid: dict[str, str] = {}
        answer: Answer = Sent()
        while rest and len(invalid) < _MAX_INVALID:
            reply = self._send(rest)
            at = _invalid_at(reply, len(rest))
            if at is None:
                answer = self._meaning(reply, rest)
                break
            invalid[rest.pop(at).event_id] = _said(reply)
            answer = Sent() if not rest else Retry(reason=f"{self._base} refuses one event after the other")
        if not isinstance(answer, Sent):
            return answer
        self._stored -= {item.event_id for item in batch}
        if invalid:
            return Refused(reason=next(iter(invalid.values())), event_ids=frozenset(invalid))
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._post.close()

    # -- one request ----------------------------------------------------------------------------------------------

    def _send(self, items: list[Item]) -> Reply | Retry | Misconfigured:
        body = "\n".join(json.dumps(self._event(item), separators=(",", ":"), allow_nan=False) for item in items)
        return self._post.post(self._base + _EVENT, body.encode(), _JSON)

    def _event(self, item: Item) -> dict[str, Any]:
        span, run = item.span, item.run
        fields = {
            "event_id": item.event_id,
            "moment": item.moment.value,
            "trace_id": span.trace_id if span else None,
            "span_id": span.span_id if span else None,
            "kind": span.kind.value if span else None,
            "agent": span.agent if span else None,
            "status": span.status.value if span else run.status.value if run else None,
            "arch": run.arch if run else None,
            "run": run.key if run else None,
        }
        told = as_json(item)
        if item.moment is Moment.TEST:
            told["message"] = "a test of agenttrace_nb"
        known = {name: value for name, value in fields.items() if value is not None}
        return {"time": _time(item), **self._around, "fields": known, "event": told}

    def _meaning(self, reply: Reply | Retry | Misconfigured, items: list[Item]) -> Answer:
        if not isinstance(reply, Reply):
            return reply
        if reply.is_taken:
            ack_id = _object(reply).get("ackId")
            if self._channel is None or not isinstance(ack_id, int):
                return Sent()
            return self._await(ack_id, frozenset(item.event_id for item in items), time.monotonic())
        return _refusal(reply)

    # -- acknowledgements -----------------------------------------------------------------------------------------

    def _await(self, ack_id: int, ids: frozenset[str], since: float) -> Answer:
        """Wait until Splunk has stored a batch; note it where that takes too long."""
        give_up, pause = time.monotonic() + _ACK_WAIT_S, _FIRST_PAUSE_S
        while True:
            stored = self._is_stored(ack_id)
            if stored is True:
                return Sent()
            if stored is not False or time.monotonic() + pause > give_up:
                break
            time.sleep(pause)
            pause *= 2
        self._asked = (ack_id, ids, since)
        if stored is False:
            return Retry(reason=f"{self._base} took the events and has not stored them yet")
        return stored

    def _look_again(self) -> Answer | None:
        """Ask once more for a batch that was taken, before it is sent again; return an answer if that is not known."""
        if self._asked is None:
            return None
        ack_id, ids, since = self._asked
        self._asked = None
        if time.monotonic() - since > _ACK_GIVE_UP_S:
            return None  # Splunk lost it, or was started anew and knows no such channel
        answer = self._await(ack_id, ids, since)
        if isinstance(answer, Sent):
            self._stored |= ids
            return None
        return answer

    def _is_stored(self, ack_id: int) -> bool | Retry | Misconfigured:
        asked = json.dumps({"acks": [ack_id]}).encode()
        reply = self._post.post(f"{self._base}{_ACK}?channel={self._channel}", asked, _JSON)
        if not isinstance(reply, Reply):
            return reply
        if reply.is_taken:
            return bool((_object(reply).get("acks") or {}).get(str(ack_id)))
        refusal = _refusal(reply)
        return refusal if isinstance(refusal, Misconfigured) else Retry(reason=_said(reply), after_s=reply.after_s)


def _refusal(reply: Reply) -> Answer:
    told, said = _object(reply), _said(reply)
    code = told.get("code")
    if reply.is_too_large:
        return TooLarge(reason=said)
    if code in _USER_CODES:
        return Misconfigured(reason=f"{said}: {_USER_CODES[code]}")
    if reply.is_busy:
        return Retry(reason=f"{said}{_because(code, _BUSY_CODES)}", after_s=reply.after_s)
    if code is None:
        hint = "that is no HTTP Event Collector; its port is mostly 8088, not that of the web pages"
        if reply.is_unauthorised:
            hint = "something before the collector refuses the token; look at the options token and url"
        return Misconfigured(reason=f"{said}: {hint}")
    return Refused(reason=f"{said}{_because(code, _EVENT_CODES)}")


def _time(item: Item) -> str:
    """Return the seconds since the epoch as text: a float has not the digits for nanoseconds."""
    about = item.span or item.run
    start_ns = about.start_ns if about is not None else time.time_ns()
    return f"{start_ns // NS_PER_S}.{start_ns % NS_PER_S:09d}"


def _invalid_at(reply: Reply | Retry | Misconfigured, count: int) -> int | None:
    """Return the place of the event that Splunk names as invalid."""
    if not isinstance(reply, Reply) or reply.is_taken:
        return None
    told = _object(reply)
    at = told.get("invalid-event-number")
    is_one = told.get("code") in _EVENT_CODES and isinstance(at, int) and 0 <= at < count
    return at if is_one else None


def _object(reply: Reply) -> dict[str, Any]:
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _said(reply: Reply | Retry | Misconfigured) -> str:
    if not isinstance(reply, Reply):
        return reply.reason
    told = _object(reply)
    text = told.get("text") or reply.text
    code = f", code {told['code']}" if "code" in told else ""
    return f"Splunk answers {reply.status}{code}{f' ({text})' if text else ''}"


def _because(code: Any, words: Mapping[int, str]) -> str:
    return f": {words[code]}" if code in words else ""
