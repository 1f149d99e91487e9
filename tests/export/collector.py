"""Splunk's HTTP Event Collector, played by its documented rules; Splunk's own client finds nothing odd about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from export.receiver import Response

if TYPE_CHECKING:
    from export.receiver import Request

ENVELOPE = {"time", "host", "source", "sourcetype", "index", "event", "fields"}
"""What may stand beside an event."""


def reply(status: int, text: str, code: int, **more: Any) -> Response:
    body = json.dumps({"text": text, "code": code, **{name.replace("_", "-"): v for name, v in more.items()}}).encode()
    return Response(status, body, {"Content-Type": "application/json"})


@dataclass
class Collector:
    """Takes what Splunk takes, and answers the rest as Splunk does."""

    token: str
    indexes: tuple[str, ...] = ("main", "agents")
    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        taken: list[dict[str, Any]] = []
        text, at = request.body.decode(), 0
        while at < len(text):
            try:
                event, at = json.JSONDecoder().raw_decode(text, at)
            except ValueError:
                return reply(400, "Invalid data format", 6, invalid_event_number=len(taken))
            wrong = self._wrong(event, len(taken))
            if wrong is not None:
                return wrong
            taken.append(event)
            at += len(text[at:]) - len(text[at:].lstrip())
        self.events += taken
        return reply(200, "Success", 0)

    def _refused(self, request: Request) -> Response | None:
        if not request.path.startswith("/services/collector/event"):
            return Response(404, b"<html>The requested URL was not found on this server.</html>")
        given = request.headers.get("authorization")
        if given is None:
            return reply(401, "Token is required", 2)
        if not given.startswith("Splunk "):
            return reply(401, "Invalid authorization", 3)
        if given != f"Splunk {self.token}":
            return reply(403, "Invalid token", 4)
        return None if request.body.strip() else reply(400, "No data", 5)

    def _wrong(self, event: Any, number: int) -> Response | None:
        at = {"invalid_event_number": number}
        if not isinstance(event, dict) or event.keys() - ENVELOPE or not _is_time(event.get("time", 0)):
            return reply(400, "Invalid data format", 6, **at)
        if "event" not in event:
            return reply(400, "Event field is required", 12, **at)
        if event["event"] in ("", None):
            return reply(400, "Event field cannot be blank", 13, **at)
        if event.get("index", self.indexes[0]) not in self.indexes:
            return reply(400, "Incorrect index", 7, **at)
        flat = all(isinstance(value, (str, int, float)) for value in event.get("fields", {}).values())
        return None if flat else reply(400, "Error in handling indexed fields", 15, **at)


def _is_time(value: Any) -> bool:
    try:
        return float(value) >= 0
    except (TypeError, ValueError):
        return False
