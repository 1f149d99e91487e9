"""Stands in for a Prometheus server: how long the queue of a made-up warehouse was, at any time one asks for."""

from __future__ import annotations

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

QUERY = "warehouse_queue_length"
_PERIOD_S = 240


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        result: list[dict[str, Any]] = []
        if self.path == "/api/v1/query_range" and form["query"] == [QUERY]:
            start, end, step = (float(form[name][0]) for name in ("start", "end", "step"))
            times = [start + at * step for at in range(int((end - start) / step) + 1)]
            values = [[time, str(round(8 + 6 * math.sin(2 * math.pi * time / _PERIOD_S)))] for time in times]
            result = [{"metric": {"__name__": QUERY, "site": "north"}, "values": values}]
        data: Any = result if self.path.endswith("exemplars") else {"resultType": "matrix", "result": result}
        body = json.dumps({"status": "success", "data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> str:
    """Begin to answer on this machine alone; return the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
