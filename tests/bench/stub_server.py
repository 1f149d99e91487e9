"""A loopback server that speaks OpenAI's Responses and Chat Completions APIs and answers from a script.

with StubServer(script) as server:
    client = openai.OpenAI(base_url=server.base_url, api_key="stub", max_retries=0)
"""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast

from bench import dialects
from bench.script import ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from bench.script import Script, Turn

DELTAS = ("response.output_text.delta", "chat.completion.chunk")


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it arrived. Header names are lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))


class StubServer:
    """The server as a context manager; leaving it ends every connection and joins every thread.

    Attributes
    ----------
    base_url
        What an ``openai`` client needs.
    requests
        Everything that was asked, in the order of arrival.
    problems
        Requests that the script had no answer for (they were answered with HTTP 400).
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[RecordedRequest] = []
        self.problems: list[str] = []
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="openai-stub")
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once, also in the middle of a delayed or streamed answer."""
        self.closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() then joins the connections' threads

    def __init__(self, stub: StubServer) -> None:
        self.stub = stub
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End idle keep-alive connections, whose threads would wait for a next request for ever."""
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: with Nagle's algorithm 40 ms apart

    @property
    def stub(self) -> StubServer:
        return cast("_Server", self.server).stub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing on stderr."""

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # a client that cancels hangs up in the middle: that is part of the play

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.stub.requests.append(RecordedRequest(self.path, headers, body))
        if self.path == "/v1/responses":
            self._answer(body, _instructions_of_response(body))
        elif self.path == "/v1/chat/completions":
            self._answer(body, _instructions_of_chat(body))
        else:
            self._send_json(404, dialects.error_body(400, f"no such path {self.path}"), "req_none")

    def _answer(self, body: dict[str, Any], instructions: str | None) -> None:
        try:
            turn = self.stub.script.take(instructions)
        except ScriptError as error:
            self.stub.problems.append(str(error))
            self._send_json(400, dialects.error_body(400, str(error)), "req_none")
            return
        if self.stub.closing.wait(turn.step.delay_s):
            self.close_connection = True
        elif turn.step.http_error is not None:
            error = dialects.error_body(turn.step.http_error)
            self._send_json(turn.step.http_error, error, turn.id("req"), turn.step.retry_after)
        elif body.get("stream"):
            self._send_stream(turn, body)
        else:
            whole = dialects.chat_body if "messages" in body else dialects.response_body
            self._send_json(200, whole(turn, body), turn.id("req"))

    def _send_json(self, status: int, body: dict[str, Any], request_id: str, retry_after: str = "0") -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("x-request-id", request_id)
        if status == 429:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(content)

    def _send_stream(self, turn: Turn, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-request-id", turn.id("req"))
        self.end_headers()
        chat = "messages" in body
        events = dialects.chat_chunks(turn, body) if chat else dialects.response_events(turn, body)
        if self._send_events(turn, events):
            if chat:
                self._send_chunk(b"data: [DONE]\n\n")
            self._send_chunk(b"")
        else:
            self.close_connection = True

    def _send_events(self, turn: Turn, events: Iterable[dict[str, Any]]) -> bool:
        """Send the events at the pace of the script; False if the server was closed before the last one."""
        for event in events:
            kind = event.get("type")
            head = f"event: {kind}\n" if kind else ""
            self._send_chunk(f"{head}data: {json.dumps(event)}\n\n".encode())
            is_delta = (kind or event.get("object")) in DELTAS
            if is_delta and self.stub.closing.wait(turn.step.token_delay_s):
                return False
        return True

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def _instructions_of_response(body: dict[str, Any]) -> str | None:
    return cast("str | None", body.get("instructions"))


def _instructions_of_chat(body: dict[str, Any]) -> str | None:
    systems = (message for message in body["messages"] if message["role"] in {"system", "developer"})
    return next((str(message["content"]) for message in systems), None)
