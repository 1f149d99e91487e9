"""Processes beside the kernel: what each side is told, and what becomes of one that ends."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb.journal import companion
from agenttrace_nb.journal.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60

ECHO = """
import os, queue, sys
from agenttrace_nb.journal.companion import begin, change_variables, listen, teller

begin(1)
heard = queue.Queue()
listen(heard.put)
tell = teller()
print("a library prints this")
while (said := heard.get()) is not None:
    change_variables(said.get("env", {}))
    if "exit" in said:
        os._exit(said["exit"])
    if "id" in said:
        facts = {"arguments": sys.argv[2:], "token": os.environ.get("SOME_TOKEN"), "pid": os.getpid()}
        tell({"id": said["id"], "text": said["text"], **facts})
tell({"heard": "the end"})
"""


class Talk:
    """A companion that runs `ECHO`, and what came of it."""

    def __init__(self, folder: Path, variables: Callable[[], dict[str, str]]) -> None:
        self.heard: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.made = Companion(
            "echo_for_tests",
            folder / "one.journal",
            log=".echo.log",
            does="echoes",
            afterwards="Look there.",
            hear=self.heard.append,
            say=self.said.append,
            variables=variables,
            arguments=lambda: ("more",),
        )

    def ask(self, text: str) -> dict[str, Any]:
        """Return what comes back for a text."""
        self.made.start()
        answer = self.made.ask({"text": text}, PATIENCE_S)
        assert answer is not None
        assert answer["text"] == text
        return answer


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


@pytest.fixture
def variables() -> dict[str, str]:
    return {}


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Iterator[Talk]:
    (tmp_path / "echo_for_tests.py").write_text(textwrap.dedent(ECHO))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(companion.__file__).parents[2]}")
    talk = Talk(tmp_path, lambda: dict(variables))
    yield talk
    talk.made.close()
    if talk.made.process is not None:
        talk.made.process.wait(PATIENCE_S)
        wait_until(lambda: talk.made.process.stdout.closed)


def test_both_sides_hear_each_other_and_what_is_printed_goes_to_the_log(talk: Talk) -> None:
    assert talk.ask("hello")["arguments"] == ["more"]
    assert talk.made.log.read_text() == "a library prints this\n"
    talk.made.close()
    wait_until(lambda: {"heard": "the end"} in talk.heard)
    assert talk.said == []


def test_variables_that_are_set_and_taken_away_reach_it(talk: Talk, variables: dict[str, str]) -> None:
    assert talk.ask("before")["token"] is None
    variables["SOME_TOKEN"] = "invented"
    assert talk.ask("with")["token"] == "invented"
    variables.clear()
    assert talk.ask("without")["token"] is None


def test_one_that_is_killed_is_started_again_and_asked_again(talk: Talk) -> None:
    first = talk.ask("one")
    talk.made.process.kill()  # it may still be there when it is asked
    second = talk.ask("two")
    assert first["pid"] != second["pid"]
    assert talk.said == []


def test_one_that_ends_again_and_again_is_left_alone_until_the_next_start(talk: Talk) -> None:
    talk.ask("hello")
    for _ in range(companion.STARTS):
        process = talk.made.process
        talk.made.tell({"exit": 3})
        process.wait(PATIENCE_S)
        wait_until(lambda process=process: talk.made.process is not process or talk.made.is_over)
    wait_until(lambda: talk.said)
    assert talk.said == [f"The process that echoes ended {companion.STARTS} times; see {talk.made.log}. Look there."]
    assert talk.made.is_over
    assert talk.ask("once more")


def test_one_that_ends_by_itself_is_not_started_again(talk: Talk) -> None:
    talk.made.tell({"exit": 0})
    talk.made.start()
    wait_until(lambda: talk.made.launched.is_set() and talk.made.is_over)
    assert talk.said == []
    assert talk.ask("at the next start")


def test_waiting_ends_with_the_process(talk: Talk) -> None:
    talk.ask("hello")
    talk.made.tell({"exit": 0})
    assert talk.made.wait_for(lambda: False, None)


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    talk = Talk(tmp_path / "not there", dict)
    talk.made.start()
    wait_until(lambda: talk.said)
    assert talk.said[0].startswith("The process that echoes cannot be started ([Errno 2]")
