"""The command line, the public names, and the words that are used."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import agenttrace_nb as at
from agenttrace_nb.cli import main
from agenttrace_nb.journal import sealing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(own_state_dir: Path) -> Path:
    return own_state_dir


@pytest.mark.parametrize("name", at.audit.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(at.audit, name))
    assert not inspect.ismodule(getattr(at.audit, name))


def test_a_wrong_name_is_told_the_close_one() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'verfy'\. Did you mean verify\?"):
        _ = at.audit.verfy


def test_the_log_is_made_turned_off_and_on_and_verified(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["audit"]) == 0
    assert "at.audit.init() makes one" in capsys.readouterr().out
    assert main(["audit", "init"]) == 0
    anchor = re.search(r"anchor +(\S+)", capsys.readouterr().out)[1]
    assert sealing.is_on()
    assert main(["audit", "off", "--reason", "maintenance"]) == 0
    assert "OFF: what is recorded now goes on unsealed" in capsys.readouterr().out
    assert not sealing.is_on()
    assert main(["audit", "on"]) == 0
    assert main(["audit", "init"]) == 0, "again is harmless"
    assert main(["audit", "rotate"]) == 0
    capsys.readouterr()
    page = place / "report.html"
    assert main(["audit", "verify", "--anchor", anchor, "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("UNANCHORED: audit log agenttrace-nb/")
    assert "the anchor as given" in out
    assert "Not proven:" in page.read_text("utf-8")
    assert main(["audit", "verify", "--anchor", anchor[:-1] + "x", "--json"]) == 1
    assert '"verdict": "INVALID"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify"], "there is no audit log"),
        (["verify", "--pin", "nonsense"], "there is no audit log"),
        (["show", "tr-1"], "there is no audit log"),
    ],
)
def test_without_a_log_the_next_step_is_named(place: Path, capsys: pytest.CaptureFixture, words, said) -> None:
    assert main(["audit", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "at.audit.init() makes one" in told


def test_what_is_not_understood_is_said(place: Path, capsys: pytest.CaptureFixture) -> None:
    main(["audit", "init"])
    capsys.readouterr()
    assert main(["audit", "verify", "--pin", "nonsense"]) == 2
    assert "'nonsense' is no checkpoint" in capsys.readouterr().err
    assert main(["audit", "show", "tr-1"]) == 2
    assert "at.audit.find() lists what there is" in capsys.readouterr().err
    assert main(["audit", "find", "--tag", "x"]) == 2
    assert "it has the form KEY=VALUE" in capsys.readouterr().err
    with pytest.raises(at.audit.AuditError, match=r"level='ful' is not allowed.*Did you mean full\?"):
        at.audit.verify(level="ful")


def test_nobody_says_immutable_but_to_deny_it() -> None:
    files = [*(ROOT / "agenttrace_nb" / "audit").glob("*.py"), ROOT / "docs" / "audit.md", ROOT / "CHANGELOG.md"]
    found = [
        line
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if re.search(r"immutable|tamper-proof|tamperproof|unforgeable", line) and "Do not call it" not in line
    ]
    assert not found
