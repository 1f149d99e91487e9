"""A secret is found by its reference, and shows itself nowhere."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import sys
import traceback

import pytest

from agenttrace_nb.secrets import Secret, SecretError, resolve

TOKEN = "invented-token-for-tests"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Secret:
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    return resolve("env:SOME_TOKEN")


def test_a_variable_a_file_and_the_key_ring_are_read(tmp_path, monkeypatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Ring(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return {("grafana", "reader/one"): TOKEN}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

        def delete_password(self, service: str, username: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        assert resolve("keyring:grafana/reader/one").reveal() == TOKEN
        with pytest.raises(SecretError, match=r"keyring set grafana nobody"):
            resolve("keyring:grafana/nobody")
    finally:
        keyring.set_keyring(before)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert resolve(f"file:{tmp_path}/token").reveal() == TOKEN
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("file:~/token").reveal() == TOKEN
    monkeypatch.setenv("SOME_TOKEN", f" {TOKEN} ")
    assert resolve("env:SOME_TOKEN").reveal() == TOKEN


def test_it_shows_itself_nowhere(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!s:>40}", f"{secret:>40}", repr({"token": secret})]
    logging.getLogger("tests").warning("sent %s with %r", secret, secret)
    with pytest.raises(TypeError) as not_json:
        json.dumps({"token": secret})
    shown += [caplog.text, str(not_json.value)]
    assert not [text for text in shown if TOKEN in text]


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_neither_pickled_nor_copied(secret: Secret, copied) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copied(secret)


def test_a_secret_is_its_own_reference(secret: Secret) -> None:
    assert resolve(secret) is secret
    assert secret == Secret(TOKEN, "elsewhere")
    assert len({secret, Secret(TOKEN, "elsewhere")}) == 1
    assert secret != TOKEN


@pytest.mark.parametrize("given", [TOKEN, f"token:{TOKEN}", "", "env:", "file: ", None, 7, f"env:{TOKEN}"])
def test_the_text_itself_is_refused_and_not_repeated(given) -> None:
    with pytest.raises(SecretError) as refused:
        resolve(given)
    assert TOKEN not in "".join(traceback.format_exception_only(refused.value))


def test_what_leads_nowhere_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "empty").touch()
    (tmp_path / "two").write_text("one\ntwo")
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for reference, words in {
        "env:NOT_SET": "NOT_SET is not set",
        f"file:{tmp_path}/absent": "No such file",
        f"file:{tmp_path}": "directory",
        f"file:{tmp_path}/empty": "is empty",
        f"file:{tmp_path}/two": "line break",
        f"file:{tmp_path}/large": "no token",
        f"file:{tmp_path}/binary": "UTF-8",
        "keyring:alone": "SERVICE/NAME",
    }.items():
        with pytest.raises(SecretError, match=words):
            resolve(reference)


def test_a_missing_key_ring_package_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError, match=r"agenttrace-nb\[keyring\]"):
        resolve("keyring:grafana/reader")
