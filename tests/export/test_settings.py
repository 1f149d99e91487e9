"""The handlers that a user has added: kept privately and whole, whoever writes at the same time."""

from __future__ import annotations

import errno
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttrace_nb.config import OptionError
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.handler import Content
from agenttrace_nb.export.settings import HandlerSettings
from agenttrace_nb.export.status import statuses

ONE = HandlerSettings(name="one", type="jsonl", options={"path": "/x"}, content=Content.FULL, backlog=7200.0)


def test_what_is_added_is_read_back(tmp_path):
    added = kept.add(ONE, tmp_path)
    assert kept.read(tmp_path) == {"one": added}
    assert (added.content, added.backlog, added.options) == (Content.FULL, 7200.0, {"path": "/x"})
    assert kept.settings_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.new"))


def test_the_same_name_is_refused_and_another_key_is_given_each_time(tmp_path):
    first = kept.add(ONE, tmp_path)
    with pytest.raises(OptionError, match="there is a handler 'one' already; remove it first"):
        kept.add(ONE, tmp_path)
    kept.remove("one", tmp_path)
    assert kept.add(ONE, tmp_path).key != first.key


def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path):
    kept.add(ONE, tmp_path)
    with pytest.raises(OptionError, match=r"there is no handler 'on'; there are one\. Did you mean one"):
        kept.remove("on", tmp_path)


def test_pausing_keeps_the_handler_and_resuming_makes_it_begin_anew(tmp_path):
    added = kept.add(ONE, tmp_path)
    kept.pause("one", paused=True, folder=tmp_path)
    assert kept.read(tmp_path)["one"].paused
    kept.pause("one", paused=False, folder=tmp_path)
    (again,) = kept.read(tmp_path).values()
    assert (again.paused, again.key, again != added) == (False, added.key, True)


def test_a_damaged_file_is_told_with_the_next_step(tmp_path):
    kept.settings_file(tmp_path).write_text('{"handlers": {"one": 5}}')
    with pytest.raises(OptionError, match=r"handlers.json cannot be read .*; remove it and add the handlers again"):
        kept.read(tmp_path)


@pytest.mark.parametrize("use", [kept.read, kept.settings_file, statuses, lambda: kept.add(ONE)])
def test_a_folder_that_cannot_be_used_is_told_with_the_next_step(use, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path / "file" / "inside"))
    with pytest.raises(OptionError, match=r"cannot be kept: .*; free some space there, or set AGENTTRACE_STATE_DIR"):
        use()


def test_a_full_disk_is_told_and_what_was_kept_stays(tmp_path, monkeypatch):
    kept.add(ONE, tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OptionError, match=r"cannot be kept: .*No space left on device; free some space"):
        kept.remove("one", tmp_path)
    assert list(kept.read(tmp_path)) == ["one"]
    assert not list(tmp_path.glob("*.new"))


def test_many_that_add_at_once_lose_none(tmp_path):
    def add(number: int) -> None:
        kept.add(HandlerSettings(name=f"n{number}", type="jsonl"), tmp_path)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.read(tmp_path)) == 12


@pytest.mark.parametrize(
    ("check", "value", "words"),
    [
        (kept.check_name, "My Handler", "name='My Handler' is not allowed; it must be 1 to 40 of a-z"),
        (kept.check_name, "../x", "is not allowed"),
        (kept.check_name, "x" * 41, "is not allowed"),
        (kept.check_content, "ful", "must be off, metadata or full. Did you mean full"),
        (kept.check_backlog, "al", "must be new, all, or a time such as .* Did you mean all"),
        (kept.check_backlog, "-5s", "backlog="),
        (kept.check_backlog, float("nan"), "backlog="),
        (kept.check_max_age, "0", "max_age='0' is not allowed; it must be a time"),
        (kept.check_max_age, True, "max_age=True is not allowed"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_what_is(check, value, words):
    with pytest.raises(OptionError, match=words):
        check(value)


@pytest.mark.parametrize(
    ("given", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800), (5, 5), ("5", 5)]
)
def test_times_are_read(given, seconds):
    assert kept.check_backlog(given) == kept.check_max_age(given) == seconds


@given(st.text(), st.integers(0, 10), st.integers(0, 10), st.integers(0, 2**63))
def test_all_is_for_everything_and_new_for_what_came_later(journal, seen, seq, time_ns):
    everything = HandlerSettings(name="x", type="x", backlog="all", seen={journal: seen})
    new = HandlerSettings(name="x", type="x", backlog="new", seen={journal: seen})
    assert everything.wants(journal, seq, time_ns)
    assert new.wants(journal, seq, time_ns) == (seq > seen)
    assert new.wants(f"{journal}/another", 1, time_ns)


def test_no_secret_is_in_the_file(tmp_path, monkeypatch):
    from agenttrace_nb.export import control

    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("SOME_TOKEN", "invented-token-for-tests")
    monkeypatch.setattr(control, "begin", lambda: None)
    control.export_to("splunk-hec", url="https://localhost:8088", token="env:SOME_TOKEN")
    text = kept.settings_file().read_text()
    assert "invented-token" not in text
    assert json.loads(text)["handlers"]["splunk-hec"]["options"]["token"] == "env:SOME_TOKEN"
