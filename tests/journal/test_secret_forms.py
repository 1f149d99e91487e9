"""Secrets of a known form are found wherever they stand; what only resembles them is left alone."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from urllib.parse import quote

import pytest
from journal.invented_secrets import DEFAULT, EACH, LETTERS, SECRETS, cleaned, invented

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.journal.secret_forms import MARK


@EACH
def test_a_secret_of_a_known_form_is_taken_out_of_a_sentence(secret: str) -> None:
    assert cleaned(f"use {secret} for it") == f"use {MARK} for it"


AROUND = ["{}", '"{}"', "'{}'", "({})", "a={},", "a:{};", "<{}>", "`{}`", "x/{}", "[{}]", "é{}é"]
BEFORE = ["\n", "\t", "\r\n", "\b", "\f", "\x1f", "\x00", '"', "\\", "é", "\n\n"]


@EACH
def test_a_secret_is_found_whatever_stands_around_it(secret: str) -> None:
    assert [around for around in AROUND if secret in cleaned(around.format(secret))] == []


@EACH
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_secret_is_found_behind_a_control_character_however_often_it_was_encoded(secret: str, depth: int) -> None:
    def wrapped(text: Any) -> Any:
        for _ in range(depth):
            text = json.dumps({"v": text})
        return text

    assert [before for before in BEFORE if secret in cleaned(wrapped(f"key:{before}{secret}"))] == []


@EACH
def test_a_secret_is_found_as_a_value_as_a_key_and_deep_inside(secret: str) -> None:
    value = cleaned({"a": [{"b": secret}], secret: 1, "c": {"d": [[secret]]}})
    assert value == {"a": [{"b": MARK}], MARK: 1, "c": {"d": [[MARK]]}}


@EACH
def test_all_of_several_secrets_are_found(secret: str) -> None:
    other = SECRETS["github"]
    assert cleaned([secret, f"{secret} {other}\n{secret}"]) == [MARK, f"{MARK} {MARK}\n{MARK}"]


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc123def456",
        "authorization: bearer  Zm9vYmFyOjEyMzQ",
        "send 'Bearer a.b.c-1234567' along",
        "BEARER 0123456789",
        "curl -H 'Authorization: Bearer opaquetokenwithoutdigitsbutlong'",
    ],
)
def test_bearer_tokens_are_taken_out(text: str) -> None:
    after = cleaned(text)
    assert MARK in after
    for word in ("abc123def456", "Zm9vYmFyOjEyMzQ", "a.b.c-1234567", "0123456789", "opaquetoken"):
        assert word not in after


@pytest.mark.parametrize("user", ["user:password", "ada:hunter2", ":x", "a:"])
def test_basic_credentials_are_taken_out(user: str) -> None:
    hidden = base64.b64encode(user.encode()).decode()
    assert cleaned(f"sent Basic {hidden} to it") == f"sent Basic {MARK} to it"


@pytest.mark.parametrize(
    ("url", "after"),
    [
        ("postgresql://ada:hunter2@db.example.org:5432/x", f"postgresql://{MARK}@db.example.org:5432/x"),
        ("redis://:hunter2@cache:6379/0", f"redis://{MARK}@cache:6379/0"),
        ("https://ada:" + quote("hunter/2@!", safe="") + "@example.org/a:b?c@d", f"https://{MARK}@example.org/a:b?c@d"),
        ("see (http://a:hunter2@b)", f"see (http://{MARK}@b)"),
        (r"https:\/\/ada:hunter2@example.org", rf"https:\/\/{MARK}@example.org"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_passwords_in_urls_are_taken_out(url: str, after: str, depth: int) -> None:
    for _ in range(depth):
        url, after = json.dumps([url]), json.dumps([after])
    assert cleaned(url) == after


def pem(kind: str, lines: int = 20, end: str = "\n") -> str:
    body = end.join(invented(64, LETTERS + "+/", seed) for seed in range(lines))
    return f"-----BEGIN {kind}-----{end}{body}==\n-----END {kind}-----{end}"


@pytest.mark.parametrize(
    "kind",
    [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_private_keys_of_many_lines_are_taken_out_however_often_they_were_encoded(
    kind: str, end: str, depth: int
) -> None:
    value: Any = f"before\n{pem(kind, end=end)}after"
    for _ in range(depth):
        value = json.dumps({"file": value})
    after = cleaned({"output": value})["output"]
    assert invented(64, LETTERS + "+/", 0) not in after
    assert invented(64, LETTERS + "+/", 19) not in after
    for _ in range(depth):
        after = json.loads(after)["file"]
    assert after.startswith("before\n-----BEGIN ")
    assert after.endswith("after")
    assert f"-----{MARK}-----END" in after


def test_a_private_key_with_headers_is_taken_out() -> None:
    head = "-----BEGIN RSA PRIVATE KEY-----\n"
    text = (
        head + "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123\n\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
    )
    assert cleaned(text) == "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_private_key_cut_off_before_its_end_is_taken_out_and_the_text_around_it_stays(depth: int) -> None:
    value: Any = pem("PRIVATE KEY").split("-----END")[0]
    for _ in range(depth):
        value = json.dumps({"file": value, "next": "stays"})
    after = cleaned({"output": value, "other": "-----END of it"})
    assert after["other"] == "-----END of it"
    assert invented(64, LETTERS + "+/", 0) not in after["output"]
    if depth:
        assert json.loads(after["output"])["next"] == "stays"


@pytest.mark.parametrize("encoder", [base64.b64encode, base64.urlsafe_b64encode])
def test_long_images_and_encrypted_reasoning_are_left_alone(encoder: Any) -> None:
    for seed in range(2):
        raw = encode(
            {"image_url": "data:image/png;base64," + encoder(random.Random(seed).randbytes(1_000_000)).decode()}
        )
        assert DEFAULT.clean(raw) is raw


@EACH
def test_what_looks_like_a_key_inside_a_long_run_of_letters_is_left_alone(secret: str) -> None:
    run = invented(500, LETTERS + "_-", 5) + "-" + secret + invented(500, LETTERS + "_-", 6)
    if "." in secret:
        return  # no run of letters holds a dot
    assert cleaned(run) == run
