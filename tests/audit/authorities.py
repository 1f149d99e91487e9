"""Time stamp authorities that openssl plays: sound ones, and ones of which something is wrong."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from requirements_met import require_or_skip

from agenttrace_nb.audit.note import Note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agenttrace_nb.audit.log import AuditLog

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
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,serverAuth
[ca]
default_ca = issuing
[issuing]
database = index.txt
new_certs_dir = .
serial = issued
default_md = sha256
policy = any
[any]
commonName = supplied
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
TST_INFO = "1.2.840.113549.1.9.16.1.4"
KEYS = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


def openssl(*words: str, cwd: Path, given: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *words], cwd=cwd, capture_output=True, input=given, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """An authority in a folder: its root, its key and certificates of different worth for it."""

    def __init__(self, folder: Path, key: str = "ec") -> None:
        require_or_skip(condition=shutil.which("openssl") is not None, reason="needs openssl")
        self.folder, self.root = folder, folder / "root.pem"
        for name, text in (("c.cnf", CONFIG), ("serial", "01\n"), ("issued", "01\n"), ("index.txt", "")):
            (folder / name).write_text(text)
        new = ["-newkey", *KEYS[key], "-nodes", "-config", "c.cnf"]
        self._run("req", *new, "-keyout", "root.key", "-out", "root.csr")
        self._issue("root", "-selfsign", start="20190101000000Z", end="20490101000000Z")
        self._run("req", *new, "-subj", "/CN=stamps", "-keyout", "tsa.key", "-out", "tsa.csr")
        for name in ("stamp", "server"):
            self._run(
                "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days",
                "9", "-out", f"{name}.pem", "-extfile", "c.cnf", "-extensions", name,
            )  # fmt: skip

    def _run(self, *words: str) -> bytes:
        return openssl(*words, cwd=self.folder)

    def _issue(self, name: str, *words: str, start: str, end: str, request: str = "root", kind: str = "root") -> None:
        """Make a certificate for a time of one's own choice."""
        self._run(
            "ca", "-batch", "-config", "c.cnf", *words, "-keyfile", "root.key", "-in", f"{request}.csr", "-extfile",
            "c.cnf", "-extensions", kind, "-startdate", start, "-enddate", end, "-notext", "-out", f"{name}.pem",
        )  # fmt: skip

    def expired(self) -> str:
        """A certificate for the same key that was good for a month of 2020."""
        times = {"start": "20200101000000Z", "end": "20200201000000Z"}
        self._issue("expired", "-cert", "root.pem", **times, request="tsa", kind="stamp")
        return "expired"

    def stamped(self, query: bytes, *, signer: str = "stamp", chain: bool = False) -> bytes:
        """The answer to a request."""
        (self.folder / "q.tsq").write_bytes(query)
        words = ["-queryfile", "q.tsq", "-config", "c.cnf", "-section", "authority"]
        more = ["-chain", "root.pem"] if chain else []
        return self._run("ts", "-reply", *words, "-signer", f"{signer}.pem", "-inkey", "tsa.key", *more)

    def crafted(self, query: bytes, signer: str, at: bytes | None = None) -> bytes:
        """As above, but as openssl's own authority refuses to sign: under any certificate, and at any time."""
        (self.folder / "good.tsr").write_bytes(self.stamped(query))
        self._run("ts", "-reply", "-in", "good.tsr", "-token_out", "-out", "good.der")
        self._run("cms", "-verify", "-noverify", "-inform", "DER", "-in", "good.der", "-out", "info.der")
        if at is not None:
            said = (self.folder / "info.der").read_bytes()
            (self.folder / "info.der").write_bytes(re.sub(rb"20[0-9]{12}Z", at, said))
        self._run(
            "cms", "-sign", "-binary", "-nodetach", "-cades", "-in", "info.der", "-econtent_type", TST_INFO, "-signer",
            f"{signer}.pem", "-inkey", "tsa.key", "-outform", "DER", "-out", "token.der",
        )  # fmt: skip
        return self._run("ts", "-reply", "-in", "token.der", "-token_in")

    def query(self, text: bytes) -> bytes:
        (self.folder / "text").write_bytes(text)
        return self._run("ts", "-query", "-data", "text", "-sha512", "-cert")


def kept(log: AuditLog, answer: bytes, size: int | None = None) -> bytes:
    """A stamp as it is kept, whatever it is of."""
    note = log.vault.checkpoint(log.vault.size() if size is None else size)
    return json.dumps({"checkpoint": note, "response": base64.b64encode(answer).decode()}).encode()


def text_of(log: AuditLog, size: int | None = None) -> bytes:
    return Note.parse(log.vault.checkpoint(log.vault.size() if size is None else size)).text.encode()


@contextmanager
def answering(answer: Callable[[bytes], bytes], status: int = 200):
    """A server on this machine that answers with bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
