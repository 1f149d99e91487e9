"""``%trace_agents on | off | status | last``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.error import UsageError

from agenttrace_nb.config import OptionError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from magics.conftest import StandIn


def test_on_traces_every_following_cell_and_off_ends_it(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%trace_agents on --arch x --role A=planner").raise_error()
    shell.run_cell("a = 1").raise_error()
    assert shell.run_cell("import asyncio\nawait asyncio.sleep(0, result=a + 1)").result == 2
    shell.run_cell("%trace_agents off").raise_error()
    shell.run_cell("b = 1").raise_error()
    assert engine.log == ["start at the first event", "finish"] * 2
    assert [(run.options["arch"], run.options["roles"]) for run in engine.runs] == [("x", {"A": "planner"})] * 2


def test_a_cell_with_options_of_its_own_keeps_them(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%trace_agents on --arch every").raise_error()
    shell.run_cell("%%trace_agents --arch own\npass").raise_error()
    shell.run_cell("%%time\n%%trace_agents --arch own\npass").raise_error()
    assert [run.options["arch"] for run in engine.runs] == ["own", "own"]


def test_cells_without_code_and_commands_are_not_traced(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%trace_agents on").raise_error()
    for cell in ("# a note", "", "%trace_agents status", "%%trace_agents?"):
        shell.run_cell(cell).raise_error()
    assert engine.runs == []


def test_a_cell_within_a_cell_is_part_of_its_run(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%trace_agents on").raise_error()
    shell.run_cell("%%capture\na = 1").raise_error()
    assert engine.log == ["start at the first event", "finish"]


def test_an_error_of_a_cell_is_its_runs_error(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%trace_agents on").raise_error()
    shell.run_cell("1 / 0")
    assert isinstance(engine.run.error, ZeroDivisionError)


def test_a_cell_that_does_not_compile_is_a_failed_run(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%trace_agents on").raise_error()
    shell.run_cell("x +* 2")
    assert isinstance(engine.run.error, SyntaxError)


def test_when_the_engine_refuses_the_cells_still_run(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell("%trace_agents on").raise_error()
    engine.refuse = OptionError("experiment='x' was deleted")
    assert shell.run_cell("40 + 2").result == 42
    assert "experiment='x' was deleted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", ["say what to do: %trace_agents on, off, status or last"]),
        ("onn", ["'onn' is no command", "Did you mean on?"]),
        ("--arch x", ["'--arch' is no command"]),
        ("off --arch x", ["%trace_agents off takes no options", "--arch x"]),
        ("on --arhc x", ["Did you mean --arch?"]),
        ("on everything", ["'everything' belongs to no option"]),
    ],
)
def test_a_wrong_command_is_told_what_is_allowed(shell: InteractiveShell, line: str, parts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        shell.run_line_magic("trace_agents", line)
    for part in parts:
        assert part in str(caught.value)


def test_status_says_what_is_traced_and_who_set_which_option(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTTRACE_MLFLOW", "off")
    shell.run_line_magic("trace_agents", "status")
    said = capsys.readouterr().out
    assert "cells that begin with %%trace_agents" in said
    assert "mlflow = False  (environment variable AGENTTRACE_MLFLOW)" in said
    shell.run_line_magic("trace_agents", "on --arch x")
    shell.run_line_magic("trace_agents", "status")
    assert "every cell  --arch x" in capsys.readouterr().out


def test_status_says_where_the_journals_are(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], state_dir: object
) -> None:
    shell.run_line_magic("trace_agents", "status")
    assert str(state_dir) in capsys.readouterr().out
