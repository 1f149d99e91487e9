"""The public names: there, typed, documented, and not imported before they are used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import agenttrace_nb as at

SOURCE = Path(at.__file__)


@pytest.mark.parametrize("name", at.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(at, name))


def test_the_public_names_are_in_order_and_each_has_one_home() -> None:
    assert at.__all__ == sorted(at.__all__)
    assert set(at.__all__) == set(at._HOME_OF)


def test_type_checkers_find_every_name_in_the_home_that_it_has_at_run_time() -> None:
    (block,) = [
        node
        for node in ast.parse(SOURCE.read_text("utf-8")).body
        if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING"
    ]
    told = {
        alias.name: node.module.removeprefix("agenttrace_nb.")
        for node in block.body
        for alias in node.names
        if node.module.startswith("agenttrace_nb.")
    }
    assert told == at._HOME_OF


def test_dir_lists_the_public_names() -> None:
    assert set(dir(at)) == {*at.__all__, *at._ROOMS, "__version__"}


def test_a_name_is_the_same_object_each_time() -> None:
    assert at.Span is at.Span
    assert vars(at)["Span"] is at.Span


@pytest.mark.parametrize(("wrong", "right"), [("set_roles", "set_role"), ("Spam", "Span"), ("spankind", "SpanKind")])
def test_a_wrong_name_is_told_the_close_one(wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{wrong}'\. Did you mean {right}\?"):
        getattr(at, wrong)


def test_a_name_like_no_other_is_an_attribute_error() -> None:
    assert not hasattr(at, "qqqq")
    with pytest.raises(ImportError):
        from agenttrace_nb import qqqq  # noqa: F401


def test_the_hint_is_given_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import agenttrace_nb as at; at.set_roles"], capture_output=True, text=True, check=False
    )
    assert done.stderr.count("Did you mean") == 1


def test_a_room_does_not_hide_the_function_of_its_name() -> None:
    code = "import agenttrace_nb.replay.recording, agenttrace_nb as at; at.replay('no such file')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RecordingError" in done.stderr


def fresh(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = fresh("import agenttrace_nb; dir(agenttrace_nb)")
    assert not loaded & {"mlflow", "agents", "openai", "IPython", "pandas", "numpy", "traitlets"}
    assert {name for name in loaded if name.startswith("agenttrace_nb")} == {"agenttrace_nb"}
