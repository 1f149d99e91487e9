"""Users' programs, each a process of its own with a folder, a journal folder and a tracking URI of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

TESTS = Path(__file__).parents[1]
LIMIT_S = 180

AGENTS = """
import asyncio, os, pathlib, signal, sys, time
import agenttrace_nb as at
from agents import Agent, Runner, function_tool, set_trace_processors
from agents.testing import ScriptedModel, assistant_message, function_call
set_trace_processors([])
HERE = pathlib.Path.cwd()

@function_tool
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

def asking(*steps, name="Adder", tools=(add,)):
    return Agent(name=name, instructions="You add.", model=ScriptedModel([[step] for step in steps]), tools=list(tools))

def adder(name="Adder"):
    return asking(function_call("add", {"a": 1, "b": 2}, call_id="c1"), assistant_message("3"), name=name)

def ask(agent=None, question="What is 1 + 2?"):
    return asyncio.run(Runner.run(agent or adder(), question)).final_output

def say(**told):
    "Tell the test something, at once."
    import json
    print(json.dumps(told), flush=True)
"""
"""What users' programs begin with: a scripted agent with a tool."""


@dataclass
class Program:
    """A program of a user's.

    Parameters
    ----------
    folder
        Where it runs; its journals go to the folder ``state`` in it, and MLflow's database is ``mlflow.db`` in it.
    environment
        Variables on top of ours; ``None`` takes one away.
    """

    folder: Path
    environment: dict[str, str | None] = field(default_factory=dict)
    started: list[Running] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def _environment(self) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        known |= {
            "AGENTTRACE_STATE_DIR": str(self.state),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
            "PYTHONUNBUFFERED": "1",
        }
        for name, value in self.environment.items():
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value
        return known

    def start(self, code: str, *arguments: str, preamble: str = AGENTS) -> Running:
        """Start it; do not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"program_{time.monotonic_ns()}.py"
        file.write_text(preamble + code, "utf-8")
        return self._started([str(file), *arguments])

    def start_module(self, module: str, *arguments: str) -> Running:
        """Start a module of the tests as a program."""
        return self._started(["-m", module, *arguments])

    def _started(self, words: list[str]) -> Running:
        self.folder.mkdir(parents=True, exist_ok=True)
        complaints = self.folder / f"stderr_{time.monotonic_ns()}.txt"
        with complaints.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=self.folder, env=self._environment(), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8",
            )  # fmt: skip
        self.started.append(Running(self, process, complaints))
        return self.started[-1]

    def run(self, code: str, *arguments: str, status: int | None = 0) -> Ended:
        """Run it to its end."""
        return self.start(code, *arguments).end(status)

    def recover(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run ``agenttrace-nb recover``."""
        return subprocess.run(
            [sys.executable, "-m", "agenttrace_nb.cli", "recover", *options], cwd=self.folder, env=self._environment(),
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip

    def writers(self) -> list[psutil.Process]:
        """The processes that write this program's journals to MLflow."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "agenttrace_nb.mlflow_store" in words and any(word.startswith(str(self.state)) for word in words):
                found.append(process)
        return found

    def wait_for_writers(self, timeout_s: float = LIMIT_S) -> None:
        """Wait until the writing processes have ended."""
        _, alive = psutil.wait_procs(self.writers(), timeout_s)
        assert not alive, f"still writing after {timeout_s} s: {alive}"

    def end_writers(self) -> None:
        """End what still writes."""
        for process in self.writers():
            process.kill()
            psutil.wait_procs([process], 10)

    def clean_up(self) -> None:
        """End all that it started."""
        for running in self.started:
            running.kill()
        self.end_writers()


@dataclass
class Ended:
    """What a program left.

    Attributes
    ----------
    told
        What it said to the test, in order, as one object.
    stderr
        What the user saw of warnings and errors.
    """

    status: int
    told: dict[str, Any]
    stdout: str
    stderr: str


@dataclass
class Running:
    """A program that runs."""

    program: Program
    process: subprocess.Popen[str]
    complaints: Path
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def stderr(self) -> str:
        """What the user sees of warnings and errors."""
        return self.complaints.read_text("utf-8")

    @property
    def notes(self) -> list[str]:
        """The same, line by line."""
        return [line for line in self.stderr.splitlines() if line.strip()]

    def go_on(self) -> None:
        """Let a program that waits for a line go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait until it says something; return that."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.stderr}"
        said = json.loads(line)
        self.told |= said
        return dict(said)

    def kill(self) -> None:
        """End it as the kernel of the operating system does when memory runs out."""
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self, status: int | None = 0, timeout_s: float = LIMIT_S) -> Ended:
        """Wait for its end and return what it left."""
        try:
            out, _ = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert status is None or self.process.returncode == status, self.stderr
        told = dict(self.told)
        for line in out.splitlines():
            if line.startswith("{"):
                told |= json.loads(line)
        return Ended(self.process.returncode, told, out, self.stderr)
