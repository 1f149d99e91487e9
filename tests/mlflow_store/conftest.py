"""A database, a folder and a journal for one test; a real tracking server for those that need one."""

from __future__ import annotations

import contextlib
import http
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import mlflow
import pytest

from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.place import SUFFIX
from agenttrace_nb.mlflow_store.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without anything in it: making one takes seconds, copying one does not."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").get_experiment("0")
    return path


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """The folder that the traced run works in."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def uri(empty_database: Path, cwd: Path) -> str:
    """A tracking URI of this test's own."""
    shutil.copy(empty_database, cwd / "mlflow.db")
    return f"sqlite:///{cwd / 'mlflow.db'}"


@pytest.fixture
def client(uri: str, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    # MLflow puts artifacts where the database is first opened
    with monkeypatch.context() as patch:
        patch.chdir(cwd)
        return mlflow.MlflowClient(uri)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    folder = tmp_path / "journals"
    folder.mkdir()
    made = Journal(folder / f"20260101T000000-{os.getpid()}-test{SUFFIX}")
    yield made
    made.close()


@pytest.fixture
def told() -> list[dict]:
    """What the writer told the kernel."""
    return []


@pytest.fixture
def stores(told: list[dict]) -> Stores:
    return Stores(lambda text: told.append({"problem": text}))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


START_S = 150
"""A server takes ten seconds to start, and much longer on a machine that is busy."""


class Server:
    """A real MLflow tracking server on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}",
            "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        # Its jobs would be nine more processes, and nothing here has to do with them.
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.2)
        self.stop()
        raise TimeoutError((self.folder / "server.log").read_text("utf-8"))

    def _answers(self) -> bool:
        health = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        with contextlib.closing(health), contextlib.suppress(OSError):
            health.request("GET", "/health")
            with health.getresponse() as answer:
                return answer.status == http.HTTPStatus.OK
        return False

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, 15)
            self._process.wait(20)
            self._process = None


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    """One tracking server for all tests that only need some server; each writes traces with ids of its own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "server.db")
    server = Server(folder)
    server.start()
    yield server
    server.stop()


class Gate:
    """An address in front of a server that can be shut, so that the server seems to be down."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._own = free_port()
        self.uri = f"http://127.0.0.1:{self._own}"
        self._listening: socket.socket | None = None
        self._open: list[socket.socket] = []

    def open(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self._own), reuse_port=False)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def shut(self) -> None:
        for one in [self._listening, *self._open]:
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._listening, self._open = None, []

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = listening.accept()
                there = socket.create_connection(("127.0.0.1", self._behind))
                self._open += [here, there]
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def gate(shared_server: Server) -> Iterator[Gate]:
    """The shared server behind a gate that is still shut."""
    made = Gate(shared_server.port)
    yield made
    made.shut()
