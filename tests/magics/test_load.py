"""Loading, reloading and unloading the extension, and ``%config AgentTrace``."""

from __future__ import annotations

import contextvars
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb import config, magics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from magics.conftest import StandIn


def hooks(shell: InteractiveShell) -> dict[str, Any]:
    """Return everything of a shell that an extension can hook."""
    return {
        "transformers": list(shell.input_transformers_cleanup),
        "line transformers": list(shell.input_transformers_post),
        "events": {event: list(callbacks) for event, callbacks in shell.events.callbacks.items()},
        "line magics": set(shell.magics_manager.magics["line"]),
        "cell magics": set(shell.magics_manager.magics["cell"]),
        "registry": set(shell.magics_manager.registry),
        "configurables": [type(c).__name__ for c in shell.configurables],
        "completion": {name: dict(d.strs) for name, d in shell.strdispatchers.items()},
        "matchers": list(shell.Completer.custom_matchers),
        "names": set(shell.user_ns),
    }


def load_by_magic(shell: InteractiveShell) -> None:
    shell.run_cell("%load_ext agenttrace_nb").raise_error()


def test_unloading_leaves_nothing_behind(bare_shell: InteractiveShell) -> None:
    bare_shell.run_cell("%config")  # IPython loads its own magics late
    before = hooks(bare_shell)
    load_by_magic(bare_shell)
    assert hooks(bare_shell) != before
    bare_shell.run_cell("%config AgentTrace.arch = 'x'").raise_error()
    bare_shell.run_cell("%unload_ext agenttrace_nb").raise_error()
    assert hooks(bare_shell) == before
    assert config.current().arch is None


def test_reloading_stacks_nothing(bare_shell: InteractiveShell) -> None:
    load_by_magic(bare_shell)
    once = {name: len(found) for name, found in hooks(bare_shell).items()}
    for _ in range(2):
        bare_shell.run_cell("%reload_ext agenttrace_nb").raise_error()
    assert {name: len(found) for name, found in hooks(bare_shell).items()} == once


def test_loading_twice_changes_nothing(shell: InteractiveShell, engine: StandIn) -> None:
    before = hooks(shell)
    magics.load(shell, engine=engine)
    assert hooks(shell) == before
    shell.run_cell("%%trace_agents\npass").raise_error()
    assert engine.log == ["start", "finish"]


def test_unloading_what_is_not_loaded_changes_nothing(bare_shell: InteractiveShell) -> None:
    before = hooks(bare_shell)
    magics.unload(bare_shell)
    assert hooks(bare_shell) == before


def test_without_the_extension_the_magic_is_unknown_again(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    magics.unload(shell)
    assert not shell.run_cell("%%trace_agents\nran = True").success
    assert "ran" not in shell.user_ns
    assert "`%%trace_agents` not found" in capsys.readouterr().err


def test_unloading_within_a_traced_cell_ends_its_run_once(shell: InteractiveShell, engine: StandIn) -> None:
    shell.user_ns["unload"] = lambda: magics.unload(shell)
    shell.run_cell("%%trace_agents\nunload()\na = 1").raise_error()
    assert engine.run.state == "ended"


def test_no_context_variable_stays_set_after_a_traced_cell(shell: InteractiveShell) -> None:
    shell.run_cell("pass")
    before = {variable.name for variable in contextvars.copy_context()}
    shell.run_cell("%%trace_agents\npass").raise_error()
    assert {variable.name for variable in contextvars.copy_context()} == before


FRESH = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
quiet = Config()
quiet.HistoryManager.enabled = False
shell = InteractiveShell(config=quiet)
began = time.process_time()
shell.run_line_magic("load_ext", "agenttrace_nb")
took = time.process_time() - began
heavy = {"mlflow", "agents", "openai", "pandas", "numpy", "ipywidgets", "anywidget", "altair"} & set(sys.modules)
print(f"{took * 1000:.0f} {' '.join(sorted(heavy))}")
"""


def test_loading_is_quick_and_imports_nothing_heavy() -> None:
    took_ms = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
        took, *heavy = done.stdout.split()
        assert heavy == []
        took_ms.append(int(took))
    assert min(took_ms) < 200  # of processor time: on a busy machine the clock would say more


# ------------------------------------------------------------------------------------------------------------- %config


def test_config_sets_a_default_that_an_argument_outranks(shell: InteractiveShell) -> None:
    shell.run_cell("%config AgentTrace.arch = 'from-config'").raise_error()
    assert config.current().arch == "from-config"
    assert config.current(arch="from-argument").arch == "from-argument"


def test_config_shows_the_value_in_force_wherever_it_was_set(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTTRACE_EXPERIMENT", "from-environment")
    assert shell.run_cell("%config AgentTrace.experiment").result == "from-environment"


def test_config_lists_every_option_with_its_meaning(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell("%config AgentTrace").raise_error()
    shown = " ".join(capsys.readouterr().out.split())
    for name, about in config.ABOUT.items():
        assert f"AgentTrace.{name}=" in shown
        assert about in shown


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("live = 'sometimes'", ["live='sometimes' (%config AgentTrace) is not allowed", "auto, on or off"]),
        ("redact = ['(']", ["'(' is none"]),
        ("message_runs = 'fasle'", ["Did you mean false?"]),
    ],
)
def test_config_refuses_a_value_that_is_not_allowed(
    shell: InteractiveShell, caplog: pytest.LogCaptureFixture, setting: str, parts: list[str]
) -> None:
    before = config.current()
    shell.run_cell(f"%config AgentTrace.{setting}")
    assert config.current() == before
    for part in parts:
        assert part in caplog.text


def test_config_tells_the_name_that_was_meant(shell: InteractiveShell) -> None:
    with pytest.warns(UserWarning, match=r"`arhc` not recognized by `AgentTrace`.*`arch`"):
        shell.run_cell("%config AgentTrace.arhc = 'x'")


def test_none_takes_a_default_back(shell: InteractiveShell) -> None:
    shell.run_cell("%config AgentTrace.arch = 'x'").raise_error()
    shell.run_cell("%config AgentTrace.arch = None").raise_error()
    assert config.current().arch is None


def test_a_profile_sets_defaults_and_extends_lists(bare_shell: InteractiveShell) -> None:
    bare_shell.config.AgentTrace.arch = "from-profile"
    bare_shell.config.AgentTrace.redact.append("secret-[0-9]+")
    magics.load(bare_shell)
    assert config.current().arch == "from-profile"
    assert config.current().redact == ("secret-[0-9]+",)
