"""Time stamps of an authority that openssl plays on this machine."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from audit.logs import new_log
from audit.test_pins import rewritten
from requirements_met import require_or_skip

from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Verdict
from agenttrace_nb.audit.timestamps import timestamp
from agenttrace_nb.audit.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = test authority
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[stamp]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = authority
[authority]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(*words: str, cwd: Path, given: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *words], cwd=cwd, capture_output=True, input=given, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    require_or_skip(condition=shutil.which("openssl") is not None, reason="needs openssl")
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "c.cnf").write_text(CONFIG)
    (folder / "serial").write_text("01\n")
    new = ["-newkey", "rsa:2048", "-nodes", "-config", "c.cnf"]
    openssl(
        "req", "-x509", *new, "-keyout", "root.key", "-out", "root.pem", "-extensions", "root", "-days", "9", cwd=folder
    )
    openssl("req", *new, "-subj", "/CN=stamps", "-keyout", "tsa.key", "-out", "tsa.csr", cwd=folder)
    openssl(
        "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-out", "tsa.pem",
        "-extfile", "c.cnf", "-extensions", "stamp", "-days", "9", cwd=folder,
    )  # fmt: skip
    return folder


@contextmanager
def stamping(folder: Path):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "q.tsq").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            data = openssl(
                "ts", "-reply", "-queryfile", "q.tsq", "-config", "c.cnf", "-section", "authority", "-signer",
                "tsa.pem", "-inkey", "tsa.key", cwd=folder,
            )  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_time_stamp_is_a_pin_against_the_holder_of_the_keys(authority, tmp_path):
    log = new_log(tmp_path, runs=3)
    kept, roots = tmp_path / "stamp.json", [authority / "root.pem"]
    with stamping(authority) as url:
        assert timestamp(url, to=kept, folder=log.folder).startswith("20")
    report = verify(folder=log.folder, tsa_roots=roots)
    assert report.verdict is Verdict.PINNED, report
    assert "existed before" in report.pins[0]
    rewritten(log, 2)
    assert verify(folder=log.folder).ok, "without the stamp it cannot be found"
    report = verify(folder=log.folder, tsa_roots=roots, stamps=[kept])
    assert report.verdict is Verdict.DIVERGED
    assert "FORK" in str(report)


def test_a_stamp_of_an_authority_that_is_not_trusted_is_no_pin(authority, tmp_path):
    log = new_log(tmp_path)
    with stamping(authority) as url:
        timestamp(url, folder=log.folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.cnf").write_text(CONFIG)
    new = ["-newkey", "rsa:2048", "-nodes", "-config", "c.cnf"]
    openssl("req", "-x509", *new, "-keyout", "k", "-out", "r.pem", "-extensions", "root", cwd=other)
    assert verify(folder=log.folder, tsa_roots=[other / "r.pem"]).verdict is Verdict.DIVERGED


def test_a_stamp_that_cannot_be_read_is_not_called_tampering(authority, tmp_path):
    log = new_log(tmp_path)
    (tmp_path / "s").write_bytes(b"no stamp")
    report = verify(folder=log.folder, tsa_roots=[authority / "root.pem"], stamps=[tmp_path / "s"])
    assert report.ok
    assert "cannot be read" in report.notes[0]


def test_an_authority_that_does_not_answer_is_named(tmp_path):
    log = new_log(tmp_path)
    with pytest.raises(AuditError, match="does not answer"):
        timestamp("http://127.0.0.1:9/", folder=log.folder)
