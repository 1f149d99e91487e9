"""A real MLflow tracking server, and a gate before it that can be shut, mute or unwelcoming."""

from __future__ import annotations

import contextlib
import http.client
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

STARTS_WITHIN_S = 90
Manner = Literal["open", "shut", "mute", "401"]
_UNAUTHORISED = (
    b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=mlflow\r\ncontent-type: text/plain\r\n"
    b"content-length: 25\r\nconnection: close\r\n\r\nYou are not authenticated"
)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class TrackingServer:
    """``mlflow server`` on this machine, with a SQLite database in a folder.

    Parameters
    ----------
    folder
        Where its database and its artifacts are.
    port
        Where it listens.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        self.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; `wait` waits until it answers."""
        words = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}",
            "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        own["MLFLOW_DISABLE_TELEMETRY"] = "true"
        own["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # nine more processes, and nothing here needs them
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)) as asking,
            ):
                asking.request("GET", "/health")
                if asking.getresponse().status == http.HTTPStatus.OK:
                    return
            time.sleep(0.2)
        raise TimeoutError((self.folder / "server.log").read_text("utf-8"))

    def stop(self) -> None:
        """End it and its workers at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None


class Gate:
    """A port that passes on to a server, as long as it is open.

    ``shut``: nobody listens. ``mute``: connections are taken and never answered. ``401``: every request is refused for
    its credentials.

    Parameters
    ----------
    port
        The port of the server behind it.
    """

    def __init__(self, port: int, manner: Manner = "open") -> None:
        self._behind = port
        self.port = free_port()
        self.manner: Manner = "shut"
        self._listening: threading.Thread | None = None
        self._held: list[socket.socket] = []
        self.become(manner)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.become("shut")

    def become(self, manner: Manner) -> None:
        """Behave in another manner from now on; what was connected is cut off."""
        self.manner = "shut"
        if self._listening is not None:
            self._listening.join()
            self._listening = None
        held, self._held = self._held, []
        for connection in held:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        if manner != "shut":
            self.manner = manner
            port = socket.create_server(("127.0.0.1", self.port), backlog=50)
            self._listening = threading.Thread(target=self._take, args=(port, manner))
            self._listening.start()

    def _take(self, port: socket.socket, manner: Manner) -> None:
        port.settimeout(0.1)
        with port:
            while self.manner == manner:
                with contextlib.suppress(TimeoutError):
                    connection, _ = port.accept()
                    self._held.append(connection)
                    threading.Thread(target=self._serve, args=(connection, manner), daemon=True).start()

    def _serve(self, connection: socket.socket, manner: Manner) -> None:
        with contextlib.suppress(OSError):
            if manner == "401":
                connection.recv(65536)
                connection.sendall(_UNAUTHORISED)
                connection.close()
            elif manner == "open":
                with socket.create_connection(("127.0.0.1", self._behind)) as behind:
                    self._held.append(behind)
                    _pass_on(connection, behind)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65536)
                if not data:
                    return
                key.data.sendall(data)
