"""A receiver on this machine that keeps what it is sent and answers what a test wants: HTTP, with or without TLS."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    was_gzip: bool


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """What was received, and what is answered next (the last of `answers` for good)."""

    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    answers: list[Response | Callable[[Request], Response]] = field(default_factory=lambda: [Response()])

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def answer(self, *answers: Response | Callable[[Request], Response]) -> None:
        self.answers = list(answers)


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(scheme="https" if context else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            was_gzip = self.headers.get("Content-Encoding") == "gzip"
            body = gzip.decompress(raw) if was_gzip else raw
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body, was_gzip)
            receiver.requests.append(request)
            answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            made = answer(request) if callable(answer) else answer
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that breaks off is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
