"""The faults: their names, whose side each is on, and the words in which things fail."""

from __future__ import annotations

import json
from dataclasses import dataclass

from agenttrace_nb.analysis.failures.findings import Side

SIDES = {
    "tool_raises": Side.TOOL,
    "tool_times_out": Side.TOOL,
    "soft_error": Side.TOOL,
    "mcp_error": Side.TOOL,
    "empty_output": Side.TOOL,
    "slow_tool": Side.TOOL,
    "schema_invalid_arguments": Side.AGENT,
    "non_json_arguments": Side.AGENT,
    "unknown_tool": Side.AGENT,
    "invented_id": Side.AGENT,
    "call_loop": Side.AGENT,
    "ping_pong": Side.AGENT,
    "wrong_handoff": Side.AGENT,
    "max_turns": Side.AGENT,
    "guardrail": Side.POLICY,
    "model_error": Side.MODEL,
}


class BackendError(Exception):
    """What a backend raises; may carry a status as HTTP libraries do."""

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        if status_code is not None:
            self.status_code = status_code


EXCEPTIONS = (
    ConnectionError("connection reset by peer"),
    BackendError("no answer from the backend", 503),
    RuntimeError("cursor already closed"),
    KeyError("price"),
    OSError("host is down"),
    ValueError("could not convert string to float: 'n/a'"),
    BackendError("gateway", 502),
    PermissionError("token of the service account expired"),
)
SOFT_ERRORS = (
    "Error: the reservation backend is unavailable",
    json.dumps({"error": "upstream request failed"}),
    json.dumps({"status": 500, "message": "internal error"}),
    "HTTP 503 Service Unavailable",
    "Fehler: Zeitüberschreitung bei der Datenbank",
    json.dumps({"success": False, "message": "lock timeout"}),
    "Error code: 502 - Bad Gateway",
    json.dumps({"isError": True, "content": "connection closed"}),
    "Traceback (most recent call last):\n  File \"server.py\", line 8, in handle\nKeyError: 'rows'",
    "错误\uff1a服务超时",
    json.dumps({"ok": False, "error": {"code": 429, "message": "slow down"}}),
    "Erreur : service indisponible",
)
EMPTY = ("", None, "null", "{}")
MISSING = (
    "Error: {key} not found",
    '{{"error": "no {key} of that number"}}',
    '{{"status": 404, "message": "not found"}}',
)
APOLOGIES = (
    "I am sorry, I could not do this.",
    "Unfortunately something went wrong; please try again later.",
    "Das hat leider nicht geklappt.",
    "It did not work out this time.",
    "Lo siento, no ha funcionado.",
)
INVENTED = ("ZZ{n}QX", "usr_{n}_demo", "{n}7701", "R-{n}-K")


@dataclass(frozen=True)
class Truth:
    """What is known of a fault by construction: its side, and how its span is recognised.

    Attributes
    ----------
    side
        `Side.UNDETERMINED` where nothing was done.
    where
        ``("tool", call id)``, ``("llm", number of the answer)``, ``("agent", name)``, ``("guardrail", name)`` or
        ``("handoff", number)``.
    """

    side: Side
    where: tuple[str, str | int] | None = None
