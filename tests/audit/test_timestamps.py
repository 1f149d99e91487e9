"""Time stamps of authorities that openssl plays here: what they prove, and what is said where they do not."""

from __future__ import annotations

import base64
import datetime as dt
import json
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from audit.authorities import Authority, answering, kept, openssl, text_of
from audit.logs import new_log, run_draft
from audit.test_pins import rewritten
from audit.test_tampering import cut

from agenttrace_nb.audit import log as log_module
from agenttrace_nb.audit import remote
from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.timestamps import timestamp
from agenttrace_nb.audit.verify import verify
from agenttrace_nb.audit.witness import cosign

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


def judged(log: AuditLog, authority: Authority, stamp: bytes, place: Path):
    """The report of a log together with one stamp that was kept outside."""
    (place / "stamp").write_bytes(stamp)
    return verify(folder=log.folder, tsa_roots=[authority.root], stamps=[place / "stamp"])


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_time_stamp_is_a_pin_against_the_holder_of_the_keys(tmp_path, tmp_path_factory, key):
    authority = Authority(tmp_path_factory.mktemp("tsa"), key)
    log = new_log(tmp_path, runs=3)
    outside, roots = tmp_path / "stamp.json", [authority.root]
    with answering(authority.stamped) as url:
        assert timestamp(url, to=outside, folder=log.folder).startswith("20")
    report = verify(folder=log.folder, tsa_roots=roots)
    assert report.verdict is Verdict.PINNED, report
    assert "4 entries existed before" in report.pins[0]
    assert "entries from 4 on were made after it" in report.pins[0]
    rewritten(log, 2)
    assert verify(folder=log.folder).ok, "without the stamp it cannot be found"
    report = verify(folder=log.folder, tsa_roots=roots, stamps=[outside])
    assert report.verdict is Verdict.DIVERGED
    assert "FORK" in str(report)


def test_a_stamp_of_more_entries_than_there_are_is_a_rollback(authority, tmp_path):
    log = new_log(tmp_path, runs=3)
    stamp = kept(log, authority.stamped(authority.query(text_of(log))))
    other = new_log(tmp_path / "other", runs=1)
    report = judged(other, authority, stamp, tmp_path)
    assert report.verdict is Verdict.DIVERGED
    assert "of another log" in str(report)
    log.close()
    cut(log.folder, 2)
    report = judged(AuditLog(log.folder), authority, stamp, tmp_path)
    assert report.verdict is Verdict.DIVERGED
    assert "ROLLBACK: there were 4 entries (a time stamp of 20" in str(report)


def test_a_stamp_of_an_authority_that_is_not_trusted_shows_nothing(authority, tmp_path, tmp_path_factory):
    log = new_log(tmp_path)
    with answering(authority.stamped) as url:
        timestamp(url, folder=log.folder)
    other = Authority(tmp_path_factory.mktemp("other"))
    report = verify(folder=log.folder, tsa_roots=[other.root])
    assert report.verdict is Verdict.INCOMPLETE
    assert report.exit_status == 3
    assert "shows nothing: it is of no authority whose certificate was given as trusted" in str(report)
    assert verify(folder=log.folder, tsa_roots=[other.root, authority.root]).verdict is Verdict.PINNED


def test_a_certificate_for_something_else_stamps_nothing(authority, tmp_path):
    log = new_log(tmp_path)
    answer = authority.crafted(authority.query(text_of(log)), "server")
    report = judged(log, authority, kept(log, answer), tmp_path)
    assert report.verdict is Verdict.INCOMPLETE
    assert "its signer's certificate is not made for time stamps (extended key usage)" in str(report)


def test_a_certificate_that_had_expired_stamps_nothing_and_one_that_expires_later_does(authority, tmp_path):
    log = new_log(tmp_path)
    query, certificate = authority.query(text_of(log)), authority.expired()
    report = judged(log, authority, kept(log, authority.stamped(query, signer=certificate)), tmp_path)
    assert report.verdict is Verdict.INCOMPLETE
    assert "the authority's certificate was not valid at that time" in str(report)
    then = authority.crafted(query, certificate, at=b"20200115120000Z")
    report = judged(log, authority, kept(log, then), tmp_path)
    assert report.verdict is Verdict.PINNED, report
    assert "existed before 2020-01-15 12:00:00 UTC" in str(report)
    assert "the clock was ahead: entry 0 says that it was sealed" in str(report)


def test_a_stamp_that_was_altered_is_not_believed(authority, tmp_path):
    log = new_log(tmp_path)
    answer = authority.stamped(authority.query(text_of(log)))
    forged = answer[:-3] + bytes([answer[-3] ^ 1]) + answer[-2:]
    report = judged(log, authority, kept(log, forged), tmp_path)
    assert report.verdict is Verdict.INCOMPLETE
    assert "its signature does not hold" in str(report)
    at = answer.rindex(b"20", 0, answer.index(b"Z", answer.index(b"20")))
    earlier = answer[:at] + b"19" + answer[at + 2 :]
    assert judged(log, authority, kept(log, earlier), tmp_path).verdict is Verdict.INCOMPLETE


def test_a_stamp_of_another_checkpoint_is_told(authority, tmp_path):
    log = new_log(tmp_path, runs=3)
    answer = authority.stamped(authority.query(text_of(log, size=2)))
    report = judged(log, authority, kept(log, answer, size=4), tmp_path)
    assert report.verdict is Verdict.DIVERGED
    assert "is of something else than the checkpoint that it is kept with" in str(report)
    assert judged(log, authority, kept(log, answer, size=2), tmp_path).verdict is Verdict.PINNED


def test_a_stamp_of_a_checkpoint_that_this_log_never_signed_is_told(authority, tmp_path):
    log = new_log(tmp_path, runs=1)
    own = new_log(tmp_path / "own", runs=1)
    note = own.vault.checkpoint(2).replace(own.origin, log.origin)
    text = note.rpartition("\n\n")[0] + "\n"
    stamp = kept(log, authority.stamped(authority.query(text.encode())))
    stamp = json.dumps({**json.loads(stamp), "checkpoint": note}).encode()
    report = judged(log, authority, stamp, tmp_path)
    assert report.verdict is Verdict.DIVERGED
    assert "is not signed by this log's key" in str(report)


def test_a_stamp_that_cannot_be_read_is_not_called_tampering(authority, tmp_path):
    log = new_log(tmp_path)
    for stamp in (b"no stamp", b"[]", b'{"checkpoint":"x","response":""}', kept(log, b"garbage"), kept(log, b"")):
        report = judged(log, authority, stamp, tmp_path)
        assert report.ok
        assert report.verdict is Verdict.UNANCHORED
        assert "cannot be read, and shows nothing" in report.notes[0]


def test_certificates_in_an_order_that_der_does_not_want_are_read_all_the_same(authority, tmp_path):
    log = new_log(tmp_path)
    with answering(lambda query: authority.stamped(query, chain=True)) as url:
        timestamp(url, folder=log.folder)
    assert verify(folder=log.folder, tsa_roots=[authority.root]).verdict is Verdict.PINNED


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda _authority, _query: b"garbage", "no time stamp that can be read"),
        (lambda _authority, _query: b"", "no time stamp that can be read"),
        (lambda _authority, _query: b"\x30\x05\x30\x03\x02\x01\x02", "no time stamp|the authority refuses"),
        (lambda authority, _query: authority.stamped(authority.query(b"x")), "something else than was asked for"),
        (
            lambda authority, _query: authority.stamped(authority.query(authority.text)),
            r"another request \(its nonce\)",
        ),
    ],
    ids=["garbage", "nothing", "refused", "wrong imprint", "wrong nonce"],
)
def test_an_answer_that_is_not_the_stamp_that_was_asked_for_is_not_kept(authority, tmp_path, broken, said):
    log = new_log(tmp_path, runs=1)
    authority.text = text_of(log)
    with answering(lambda query: broken(authority, query)) as url, pytest.raises(AuditError, match=said):
        timestamp(url, to=tmp_path / "stamp", folder=log.folder)
    assert not (tmp_path / "stamp").exists()
    assert (log.vault.size(), log.vault.pins()) == (2, [])
    with answering(lambda _: b"", status=500) as url, pytest.raises(AuditError, match=r"refuses \(500\)"):
        timestamp(url, folder=log.folder)


@contextmanager
def silent(first: bytes = b"", then: bytes = b""):
    """A server that takes a connection, says the first bytes, and then the others one by one, or nothing."""
    ended = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as connection:
                connection.sendall(first)
                while not ended.wait(0.05):
                    try:
                        connection.sendall(then)
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize("asked", [timestamp, cosign])
@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x")],
    ids=["silent", "endless head", "drop by drop"],
)
def test_who_is_asked_and_does_not_answer_in_time_is_named(tmp_path, monkeypatch, asked, first, then):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.5)
    log = new_log(tmp_path)
    with silent(first, then) as url, pytest.raises(AuditError, match=r"does not answer \(not within 0.5 s\)"):
        asked(url, folder=log.folder)


@pytest.mark.parametrize("asked", [timestamp, cosign])
def test_who_is_down_or_speaks_no_http_is_named(tmp_path, asked):
    log = new_log(tmp_path)
    with pytest.raises(AuditError, match="does not answer"):
        asked("http://127.0.0.1:9/", folder=log.folder)
    with silent(b"SSH-2.0-x\r\n\r\n") as url, pytest.raises(AuditError, match="does not answer"):
        asked(url, folder=log.folder)
    for address in ("nonsense", "ftp://x/", "http://", "http://x:y/"):
        with pytest.raises(AuditError, match="has the form https://HOST/PATH"):
            asked(address, folder=log.folder)


def test_sealing_goes_on_while_an_authority_keeps_silent(tmp_path):
    log = new_log(tmp_path)
    arrived = threading.Event()
    go_on = threading.Event()

    def answer(_query: bytes) -> bytes:
        arrived.set()
        go_on.wait(60)
        return b""

    failed: list[str] = []

    def stamp(url: str) -> None:
        try:
            timestamp(url, folder=log.folder)
        except AuditError as error:
            failed.append(str(error))

    with answering(answer) as url:
        asking = threading.Thread(target=stamp, args=[url])
        asking.start()
        assert arrived.wait(60)
        with closing(AuditLog(log.folder)) as other:
            assert [other.append(run_draft(n)).index for n in range(5)] == [1, 2, 3, 4, 5]
        go_on.set()
        asking.join()
    assert failed
    assert verify(folder=log.folder).ok


def test_a_clock_that_a_stamp_contradicts_is_told(authority, tmp_path, monkeypatch):
    log = new_log(tmp_path)
    for hours, word in ((2, "ahead"), (-2, "behind")):
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
        monkeypatch.setattr(log_module, "now_text", lambda at=moment: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        log.append(run_draft(hours))
        with answering(authority.stamped) as url:
            timestamp(url, folder=log.folder)
        report = verify(folder=log.folder, tsa_roots=[authority.root])
        assert report.verdict is Verdict.PINNED, report
        assert any(f"the clock was {word}: entry" in note for note in report.notes), report


def test_openssl_itself_verifies_a_stamp_that_was_kept(authority, tmp_path):
    log = new_log(tmp_path)
    with answering(authority.stamped) as url:
        timestamp(url, to=tmp_path / "stamp", folder=log.folder)
    known = json.loads((tmp_path / "stamp").read_bytes())
    (tmp_path / "token.tsr").write_bytes(base64.b64decode(known["response"]))
    (tmp_path / "checkpoint.txt").write_text(known["checkpoint"].rpartition("\n\n")[0] + "\n")
    words = ["-in", "token.tsr", "-data", "checkpoint.txt", "-CAfile", str(authority.root)]
    openssl("ts", "-verify", *words, cwd=tmp_path)
