"""One request to a target: TLS is verified, a secret goes only where it should, what went wrong is told in words."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trustme
from export.receiver import Response, receiving

from agenttrace_nb.export.handler import Misconfigured, Retry
from agenttrace_nb.export.http_options import check_protected, check_url
from agenttrace_nb.export.http_post import Poster, Reply, retry_after
from agenttrace_nb.export.http_trouble import explain
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "invented-for-this-test"
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def serving(cert: trustme.LeafCert, trusts: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    if trusts is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        trusts.configure_trust(context)
    return context


def post(url: str, body: bytes = b"x", **options) -> Reply | Retry | Misconfigured:
    poster = Poster(**options)
    try:
        return poster.post(url, body, {})
    finally:
        poster.close()


def refused(answer: object) -> str:
    assert isinstance(answer, Misconfigured), answer
    return answer.reason


# ---------------------------------------------------------------------------------------------------------------- TLS


def test_a_certificate_of_an_own_authority_is_trusted_where_it_is_named(authority, ca_file) -> None:
    with receiving(serving(authority.issue_cert("localhost"))) as server:
        answer = post(server.url, ca_file=ca_file)
        assert isinstance(answer, Reply)
        assert answer.status == 200
        words = refused(post(server.url))
    assert f"localhost:{server.port}" in words
    assert "give ca_file" in words


def test_a_certificate_for_another_host_is_refused(authority, ca_file) -> None:
    with receiving(serving(authority.issue_cert("other.example"))) as server:
        words = refused(post(server.url, headers={"X-Token": Secret(TOKEN, "env:T")}, ca_file=ca_file))
    assert "it is for another name" in words
    assert server.requests == []


def test_an_expired_certificate_is_refused(authority, ca_file) -> None:
    with receiving(serving(authority.issue_cert("localhost", not_after=YESTERDAY))) as server:
        words = refused(post(server.url, ca_file=ca_file))
    assert "expired" in words
    assert "clock" in words


def test_a_server_that_wants_a_certificate_gets_the_one_that_is_given(authority, ca_file, tmp_path) -> None:
    mine = authority.issue_cert("me.example")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    strange = trustme.CA().issue_cert("me.example")
    strange.private_key_and_cert_chain_pem.write_to_path(tmp_path / "strange.pem")
    with receiving(serving(authority.issue_cert("localhost"), trusts=authority)) as server:
        for given in (
            {"client_cert": str(tmp_path / "both.pem")},
            {"client_cert": str(tmp_path / "cert.pem"), "client_key": str(tmp_path / "key.pem")},
        ):
            answer = post(server.url, ca_file=ca_file, **given)
            assert isinstance(answer, Reply), answer
        # What the server says of it is lost where it closes at once: then it is tried again, with a hint.
        for given in ({}, {"client_cert": str(tmp_path / "strange.pem")}):
            answer = post(server.url, ca_file=ca_file, **given)
            assert isinstance(answer, Misconfigured | Retry)
            assert "client_cert" in answer.reason
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "asks this side for"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "does not trust the authority"),
    ],
)
def test_what_a_server_says_of_the_certificate_that_it_was_shown_is_told(said: str, words: str) -> None:
    from requests.exceptions import SSLError

    assert words in refused(explain(SSLError(ssl.SSLError(1, said)), "https://localhost:4318/v1/traces"))


def test_a_server_without_tls_is_named() -> None:
    with receiving() as server:
        words = refused(post(f"https://localhost:{server.port}"))
    assert "does not speak TLS" in words
    assert "http://" in words


def test_files_that_hold_no_certificate_are_refused_at_once(ca_file, tmp_path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    locked = tmp_path / "locked.pem"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    for given, words in (
        ({"ca_file": "/absent.pem"}, "ca_file: there is no file /absent.pem"),
        ({"ca_file": str(tmp_path / "no.pem")}, "holds no certificate"),
        ({"client_cert": str(tmp_path / "no.pem")}, "client_cert"),
        ({"client_cert": str(locked)}, "unlocked"),
        ({"client_key": ca_file}, "needs client_cert"),
    ):
        with pytest.raises(ValueError, match=words):
            Poster(**given)


# ------------------------------------------------------------------------------------------------ where a secret goes


def test_a_web_page_is_no_success_and_names_the_address() -> None:
    with receiving() as receiver:
        receiver.answer(Response(200, b"<html>Sign in</html>", {"Content-Type": "text/html; charset=utf-8"}))
        answer = post(receiver.url)
    assert isinstance(answer, Misconfigured)
    assert f"{receiver.url} answers with a web page" in answer.reason


@pytest.mark.parametrize(
    "said",
    [
        "Client sent an HTTP request to an HTTPS server.",
        "<center>The plain HTTP request was sent to HTTPS port</center>",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
    ],
)
def test_a_server_that_wants_tls_is_named_and_no_step_is_lost_to_it(said: str) -> None:
    with receiving() as receiver:
        receiver.answer(Response(400, said.encode()))
        answer = post(receiver.url)
    assert isinstance(answer, Misconfigured)
    assert "speaks TLS at this port: write https://" in answer.reason


def test_a_redirect_is_not_followed() -> None:
    with receiving() as elsewhere, receiving() as server:
        server.answer(Response(307, headers={"Location": elsewhere.url}))
        answer = post(server.url, headers={"X-Token": Secret(TOKEN, "env:T")})
        assert isinstance(answer, Reply)
        assert (answer.status, answer.location) == (307, elsewhere.url)
        assert server.requests[0].headers["x-token"] == TOKEN
        assert elsewhere.requests == []


def test_a_password_of_the_users_netrc_does_not_take_the_tokens_place(tmp_path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("machine localhost login somebody password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with receiving() as server:
        post(server.url, headers={"Authorization": Secret(f"Bearer {TOKEN}", "env:T")})
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_header_that_cannot_be_sent_is_refused_without_its_value() -> None:
    for headers in ({"X-Token": Secret(f"{TOKEN}\u2603", "env:T")}, {"X Token": Secret(TOKEN, "env:T")}):
        with pytest.raises(ValueError, match="header") as told:
            Poster(headers=headers)
        assert TOKEN not in str(told.value)


@pytest.mark.parametrize("url", ["http://10.0.0.1:4318", "http://collector.example/v1/traces"])
def test_a_token_is_not_sent_in_the_clear_to_another_machine(url: str) -> None:
    with pytest.raises(ValueError, match="without TLS"):
        check_protected("endpoint", url)
    check_protected("endpoint", url.replace("http://", "https://"))


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1", "http://[::1]:4318", "http://a.localhost"])
def test_this_machine_needs_no_tls(url: str) -> None:
    check_protected("endpoint", check_url("endpoint", url))


@pytest.mark.parametrize(
    "given",
    [
        "localhost:4318",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://ho st",
        "https://x#y",
        "",
        "http:///v1",
        None,
    ],
)
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="endpoint: an address begins with http"):
        check_url("endpoint", given)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="no user and password") as told:
        check_url("endpoint", f"https://me:{TOKEN}@host")
    assert TOKEN not in str(told.value)


# ------------------------------------------------------------------------------------------------------ what went wrong


def test_nobody_at_the_port_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = post(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert isinstance(answer, Retry)
    assert "nobody listens at 127.0.0.1" in answer.reason


def test_a_name_that_is_not_known_is_told() -> None:
    from requests.exceptions import ConnectionError as NoConnection
    from urllib3.connection import HTTPConnection
    from urllib3.exceptions import NameResolutionError

    reason = NameResolutionError("no.example", HTTPConnection("no.example"), socket.gaierror(-2, "unknown"))
    answer = explain(NoConnection(reason), "https://no.example/v1/traces")
    assert answer == Retry(reason="no such host: no.example (is the address right, is the network there?)")


def test_a_connection_that_breaks_is_tried_again() -> None:
    def break_off(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with _each_connection(break_off) as url:
        answer = post(url)
    assert isinstance(answer, Retry)
    assert "broke" in answer.reason
    assert "write https://" in answer.reason


def test_a_target_that_never_answers_is_given_up_in_time() -> None:
    hold = threading.Event()
    with _each_connection(lambda _: hold.wait(20)) as url:
        answer = post(url, total_s=0.3)
        hold.set()
    assert isinstance(answer, Retry)
    assert "did not answer within 0.3 s" in answer.reason


def test_an_answer_that_trickles_in_is_given_up_in_time() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"x" * 9_000)
            time.sleep(0.1)

    with _each_connection(trickle) as url:
        answer = post(url, total_s=0.4)
    assert isinstance(answer, Retry)
    assert "did not finish its answer within 0.4 s" in answer.reason


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with receiving() as server:
        server.answer(Response(503, b"y" * 3_000_000))
        answer = post(server.url)
    assert isinstance(answer, Reply)
    assert len(answer.body) < 100_000
    assert len(answer.text) < 300


def test_a_date_to_come_back_at_is_understood() -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    assert 80 < retry_after(soon.strftime("%a, %d %b %Y %H:%M:%S GMT")) <= 90
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert [retry_after(text) for text in ("-5", "nan", "", "soon")] == [None] * 4


def test_large_bodies_are_compressed_and_arrive_whole() -> None:
    with receiving() as server:
        for body in (b"small", b"large " * 10_000):
            post(server.url, body)
    assert [(r.was_gzip, len(r.body)) for r in server.requests] == [(False, 5), (True, 60_000)]


@contextmanager
def _each_connection(do) -> Iterator[str]:
    """Give an address at which something is done with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                do(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(30)
