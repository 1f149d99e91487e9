"""A server on this machine that answers as it is told, and notes what it was asked."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(slots=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    status: int = 200
    body: bytes | str = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(slots=True)
class Answering:
    """``answer`` says what the next request gets; ``asked`` holds all of them."""

    url: str
    answer: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)


@contextlib.contextmanager
def answering(answer: Callable[[Asked], Answer] = lambda _: Answer()) -> Iterator[Answering]:
    made: Answering | None = None

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            assert made is not None
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            made.asked.append(asked)
            told = made.answer(asked)
            data = told.body.encode() if isinstance(told.body, str) else told.body
            self.send_response(told.status)
            for name, value in {**told.headers, "content-length": str(len(data)), "connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        made = Answering(f"http://127.0.0.1:{server.server_port}", answer)
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
