"""A real Jupyter kernel, driven as a front end drives it."""

from __future__ import annotations

import os
import queue
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

LIMIT_S = 60


@dataclass
class Answer:
    """What a kernel said to one cell."""

    reply: dict[str, Any] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    values: list[str] = field(default_factory=list)
    displayed: list[dict[str, Any]] = field(default_factory=list)
    traceback: str = ""

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    @property
    def shown(self) -> str:
        """What a front end without widgets would show."""
        return "\n".join(data.get("text/plain", "") for data in self.displayed)


class Kernel:
    """A kernel of its own for some tests.

    Parameters
    ----------
    folder
        Where it runs.
    **environment
        Variables of its environment, on top of ours.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        # MLflow notes in the environment what it was told in this process; that is nothing to the kernel.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        self._manager = KernelManager(transport="ipc", ip=str(folder / "ipc"))
        self._manager.start_kernel(cwd=str(folder), extra_arguments=["--log-level=ERROR"], env={**ours, **environment})
        self._client = self._manager.blocking_client()

    def __enter__(self) -> Self:
        self._client.start_channels()
        self._client.wait_for_ready(timeout=LIMIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def send(self, code: str, *, cell_id: str | None = None, stop_on_error: bool = True) -> str:
        """Send a cell as JupyterLab does, and do not wait for it."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": stop_on_error,
        }
        message = self._client.session.msg("execute_request", content, metadata={"cellId": cell_id} if cell_id else {})
        self._client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def receive(self, sent: str) -> Answer:
        """Wait for the end of a cell and return what came of it."""
        answer = Answer()
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            message = self._client.get_iopub_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
            _note(answer, message["msg_type"], message["content"])
        while not answer.reply:
            message = self._client.get_shell_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") == sent:
                answer.reply = message["content"]
        return answer

    def run(self, code: str, *, cell_id: str | None = None) -> Answer:
        """Run a cell to its end."""
        return self.receive(self.send(code, cell_id=cell_id))

    def value(self, expression: str) -> Any:
        """Return what an expression is in the kernel, for numbers, texts, lists and the like."""
        import ast

        answer = self.run(f"print(repr({expression}))")
        assert answer.status == "ok", answer.traceback
        return ast.literal_eval(answer.stdout)

    def interrupt_when(self, seen: Path) -> None:
        """Interrupt the running cell as the Stop button does, once a file is there."""
        until = time.monotonic() + LIMIT_S
        while not seen.exists():
            if time.monotonic() > until:
                raise queue.Empty
            time.sleep(0.01)
        self._manager.interrupt_kernel()


def _note(answer: Answer, kind: str, content: dict[str, Any]) -> None:
    if kind == "stream":
        setattr(answer, content["name"], getattr(answer, content["name"]) + content["text"])
    elif kind == "execute_result":
        answer.values.append(content["data"]["text/plain"])
    elif kind in {"display_data", "update_display_data"}:
        answer.displayed.append(content["data"])
    elif kind == "error":
        answer.traceback = "\n".join(content["traceback"])
