"""A traced cell runs as it would untraced, and its run gets its beginning, its place and its end."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

from agenttrace_nb.config import CellInfo, OptionError
from agenttrace_nb.magics.extension import AgentTraceMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from magics.conftest import StandIn


def source_hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


# ----------------------------------------------------------------------------------------------- the cell is the same


def test_the_value_of_the_last_expression_is_the_cells(shell: InteractiveShell, engine: StandIn) -> None:
    assert shell.run_cell("%%trace_agents\na = 20\na + 1").result == 21
    assert engine.run.state == "ended"


def test_a_semicolon_hides_the_value(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.history_manager.enabled = True
    shell.run_cell("%%trace_agents\n6 * 7", store_history=True)
    assert "Out[1]: 42" in capsys.readouterr().out
    shell.run_cell("%%trace_agents\n6 * 7;", store_history=True)
    assert "42" not in capsys.readouterr().out


def test_a_cell_may_await(shell: InteractiveShell, engine: StandIn) -> None:
    cell = "%%trace_agents\nimport asyncio\nawait asyncio.sleep(0, result='slept')"
    assert shell.run_cell(cell).result == "slept"
    assert engine.run.error is None


def test_names_of_the_cell_stay_in_the_namespace(shell: InteractiveShell) -> None:
    shell.run_cell("%%trace_agents\ndef double(x):\n    return 2 * x\n")
    assert shell.run_cell("double(4)").result == 8


def test_strings_over_several_lines_keep_their_form(shell: InteractiveShell) -> None:
    shell.run_cell("%%trace_agents\ntext = '''one\n  two\n'''")
    assert shell.user_ns["text"] == "one\n  two\n"


@pytest.mark.parametrize("before", ["", "\n\n", "# a note\n\n"])
def test_errors_point_at_the_line_that_raised(
    shell: InteractiveShell, engine: StandIn, before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = f"{before}%%trace_agents --arch x\nx = 1\n\nraise KeyError('here')"
    untraced = cell.replace("%%trace_agents --arch x", "pass")
    with pytest.raises(KeyError) as plain:
        shell.run_cell(untraced).raise_error()
    with pytest.raises(KeyError) as traced:
        shell.run_cell(cell).raise_error()
    assert traced.tb.tb_next.tb_lineno == plain.tb.tb_next.tb_lineno
    assert "raise KeyError('here')" in capsys.readouterr().out
    assert isinstance(engine.run.error, KeyError)


def test_a_cell_that_does_not_compile_names_its_line_and_is_no_run(shell: InteractiveShell, engine: StandIn) -> None:
    result = shell.run_cell("%%trace_agents\nx = 1\nx +* 2\n")
    assert isinstance(result.error_before_exec, SyntaxError)
    assert result.error_before_exec.lineno == 3
    assert engine.runs == []


def test_line_ends_of_windows_change_nothing(shell: InteractiveShell, engine: StandIn) -> None:
    assert shell.run_cell("%%trace_agents --arch x\r\na = 1\r\na + 1\r\n").result == 2
    assert engine.run.options["arch"] == "x"
    assert engine.run.options["cell"].source_hash == source_hash("a = 1\na + 1")


def test_an_indented_cell_is_traced_as_ipython_runs_it(shell: InteractiveShell, engine: StandIn) -> None:
    assert shell.run_cell("    %%trace_agents\n    a = 2\n    a").result == 2
    assert engine.run.state == "ended"


def test_cells_that_speak_of_paste_stay_in_the_history(shell: InteractiveShell) -> None:
    shell.history_manager.enabled = True
    shell.run_cell("%%trace_agents\ntext = 'paste'", store_history=True)
    assert shell.history_manager.input_hist_raw[-1] == "%%trace_agents\ntext = 'paste'"


@pytest.mark.parametrize("ending", ["", "\n", "a = 1\n"])
def test_a_terminal_waits_for_the_rest_of_the_cell(shell: InteractiveShell, ending: str) -> None:
    assert shell.check_complete(f"%%trace_agents --arch x\n{ending}")[0] == shell.check_complete(f"%%time\n{ending}")[0]


@pytest.mark.parametrize("cell", ["%%trace_agents", "%%trace_agents --arch x\n\n", "%%trace_agents\n# only a note\n"])
def test_a_cell_without_code_is_no_run(
    shell: InteractiveShell, engine: StandIn, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shell.run_cell(cell)
    result.raise_error()
    assert result.result is None
    assert engine.runs == []
    assert "nothing to trace" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------- with other cell magics


def test_time_may_stand_below(shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run_cell("%%trace_agents --arch x\n%%time\na = 1\na + 1").result == 2
    assert "Wall time" in capsys.readouterr().out
    assert engine.log == ["start", "finish"]


def test_time_may_stand_above(shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run_cell("%%time\n%%trace_agents --arch x\na = 1\na + 1").result == 2
    assert "Wall time" in capsys.readouterr().out
    assert engine.log == ["start", "finish"]
    assert engine.run.options["arch"] == "x"


def test_capture_may_stand_below_and_the_run_lasts_to_the_end_of_the_cell(
    shell: InteractiveShell, engine: StandIn
) -> None:
    shell.user_ns["log"] = engine.log
    shell.run_cell("%%trace_agents\n%%capture out\nprint('seen')\nlog.append('inner')").raise_error()
    assert engine.log == ["start", "inner", "finish"]
    assert shell.user_ns["out"].stdout == "seen\n"


def test_capture_may_stand_above(shell: InteractiveShell, engine: StandIn) -> None:
    shell.user_ns["log"] = engine.log
    shell.run_cell("%%capture out\n%%trace_agents\nprint('seen')\nlog.append('inner')").raise_error()
    assert engine.log == ["start", "inner", "finish"]
    assert shell.user_ns["out"].stdout == "seen\n"


def test_an_error_below_time_is_the_runs_error(shell: InteractiveShell, engine: StandIn) -> None:
    with pytest.raises(ZeroDivisionError):
        shell.run_cell("%%trace_agents\n%%time\n1 / 0").raise_error()
    assert isinstance(engine.run.error, ZeroDivisionError)


def test_the_magic_twice_on_one_cell_is_told_and_traces_once(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run_cell("%%trace_agents --arch x\n%%time\n%%trace_agents --arch y\nran = True").success
    assert shell.user_ns["ran"] is True
    assert [run.options["arch"] for run in engine.runs] == ["x"]
    assert "one %%trace_agents is enough" in capsys.readouterr().err


def test_the_magic_called_by_hand_traces_too(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("get_ipython().run_cell_magic('trace_agents', '--arch x', 'a = 5')").raise_error()
    assert shell.user_ns["a"] == 5
    assert (engine.run.options["arch"], engine.run.state) == ("x", "ended")


def test_an_error_in_a_call_by_hand_is_the_cells_error(shell: InteractiveShell, engine: StandIn) -> None:
    result = shell.run_cell("get_ipython().run_cell_magic('trace_agents', '', '1 / 0')")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert isinstance(engine.run.error, ZeroDivisionError)


# ------------------------------------------------------------------------------------------------------ the run's end


def test_each_traced_cell_is_a_run_of_its_own(shell: InteractiveShell, engine: StandIn) -> None:
    for case in ("a", "b"):
        shell.run_cell(f"%%trace_agents --case {case}\npass")
    shell.run_cell("pass")
    assert [run.options["case"] for run in engine.runs] == ["a", "b"]
    assert engine.log == ["start", "finish", "start", "finish"]


def test_an_interrupted_cell_ends_with_its_interrupt(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%%trace_agents\nraise KeyboardInterrupt")
    assert isinstance(engine.run.error, KeyboardInterrupt)


def test_a_cell_that_exits_ends_with_its_exit(shell: InteractiveShell, engine: StandIn) -> None:
    with pytest.warns(UserWarning, match="To exit"):
        shell.run_cell("%%trace_agents\nraise SystemExit(3)")
    assert isinstance(engine.run.error, SystemExit)


def test_a_cell_cancelled_from_outside_ends_as_cancelled(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%%trace_agents\nimport asyncio\nraise asyncio.CancelledError")
    assert isinstance(engine.run.error, asyncio.CancelledError)


def test_a_cell_without_a_result_ends_as_cancelled(shell: InteractiveShell, engine: StandIn) -> None:
    magics = shell.magics_manager.registry[AgentTraceMagics.__name__]
    magics.cell_begins(ExecutionInfo("%%trace_agents\npass", True, False, True, None))
    magics.begin("")
    shell.events.trigger("post_run_cell", None)
    assert isinstance(engine.run.error, asyncio.CancelledError)


def test_a_second_record_of_the_same_cell_ends_it_too(shell: InteractiveShell, engine: StandIn) -> None:
    magics = shell.magics_manager.registry[AgentTraceMagics.__name__]
    magics.cell_begins(ExecutionInfo("%%trace_agents\npass", True, False, True, None))
    magics.begin("")
    result = ExecutionResult(ExecutionInfo("%%trace_agents\npass", True, False, True, None))
    result.error_in_exec = RuntimeError("the loop is running")
    shell.events.trigger("post_run_cell", result)
    assert isinstance(engine.run.error, RuntimeError)


def test_a_blank_cell_within_a_traced_one_does_not_end_it(shell: InteractiveShell, engine: StandIn) -> None:
    shell.user_ns["log"] = engine.log
    shell.run_cell("%%trace_agents\nget_ipython().run_cell('')\nlog.append('inner')").raise_error()
    assert engine.log == ["start", "inner", "finish"]


def test_a_cell_within_a_traced_cell_does_not_end_it(shell: InteractiveShell, engine: StandIn) -> None:
    shell.user_ns["log"] = engine.log
    shell.run_cell("%%trace_agents\nget_ipython().run_cell('x = 1')\nlog.append('inner')").raise_error()
    assert engine.log == ["start", "inner", "finish"]


def test_a_traced_cell_within_a_traced_cell_is_a_run_within_a_run(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%%trace_agents --case a\nget_ipython().run_cell('%%trace_agents --case b\\n1/0')")
    assert engine.log == ["start", "start", "finish", "finish"]
    outer, inner = engine.runs
    assert outer.error is None
    assert isinstance(inner.error, ZeroDivisionError)


# ----------------------------------------------------------------------------------------------------- the cell's place


def test_the_run_knows_its_cell(shell: InteractiveShell, engine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/notebooks/rebooking.ipynb")
    shell.run_cell("pass", store_history=True)
    shell.run_cell("%%trace_agents\na = 1\n", store_history=True, cell_id="cell-7")
    assert engine.run.options["cell"] == CellInfo(
        notebook="/notebooks/rebooking.ipynb",
        cell_id="cell-7",
        execution_count=2,
        source_hash=source_hash("a = 1"),
    )


def test_what_is_not_known_of_a_cell_is_none(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%%trace_agents\npass")
    place = engine.run.options["cell"]
    assert (place.notebook, place.cell_id, place.execution_count) == (None, None, None)


def test_below_capture_the_cell_is_still_the_whole_cell(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("%%capture\n%%trace_agents\npass", store_history=True, cell_id="cell-7")
    place = engine.run.options["cell"]
    assert (place.cell_id, place.execution_count) == ("cell-7", 1)
    assert place.source_hash == source_hash("%%capture\npass")


def test_vs_code_names_the_notebook(shell: InteractiveShell, engine: StandIn) -> None:
    shell.user_ns["__vsc_ipynb_file__"] = "/home/user/plan.ipynb"
    shell.run_cell("%%trace_agents\npass")
    assert engine.run.options["cell"].notebook == "/home/user/plan.ipynb"


def test_the_cell_ids_of_vs_code_name_the_notebook(shell: InteractiveShell, engine: StandIn) -> None:
    cell_id = "vscode-notebook-cell:/home/user/my%20plan.ipynb#W0sZmlsZQ%3D%3D"
    shell.run_cell("%%trace_agents\npass", cell_id=cell_id)
    assert engine.run.options["cell"].notebook == "/home/user/my plan.ipynb"


def test_a_console_is_no_notebook(shell: InteractiveShell, engine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/user/console-1-0c3f")
    shell.run_cell("%%trace_agents\npass")
    assert engine.run.options["cell"].notebook is None


# --------------------------------------------------------------------------------------------- when the engine refuses


def test_an_option_that_the_engine_refuses_is_told_and_the_cell_runs(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.refuse = OptionError("experiment='x' was deleted")
    assert shell.run_cell("%%trace_agents --experiment x\nran = True").success
    assert shell.user_ns["ran"] is True
    assert "experiment='x' was deleted" in capsys.readouterr().err


def test_when_tracing_cannot_start_the_cell_runs_without_it(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.refuse = OSError("disk full")
    assert shell.run_cell("%%trace_agents\n40 + 2").result == 42
    assert "the cell runs without it: OSError: disk full" in capsys.readouterr().err


def test_a_run_that_cannot_end_does_not_disturb_the_cell(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.trouble_at_the_end = OSError("disk full")
    assert shell.run_cell("%%trace_agents\n40 + 2").result == 42
    assert "could not be recorded: OSError: disk full" in capsys.readouterr().err


def test_a_silent_cell_runs_untraced(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell("%%trace_agents\nran = True", silent=True).raise_error()
    assert shell.user_ns["ran"]
    assert engine.runs == []
    assert "not traced" in capsys.readouterr().err
