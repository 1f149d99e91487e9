"""``agenttrace-nb audit ...``: the audit log on the command line."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_USAGE = 2


def add_to(commands: Any) -> None:
    """Add the command ``audit`` to a parser's commands."""
    audit = commands.add_parser("audit", help="prove what agents did: the tamper-evident record beside MLflow")
    audit.set_defaults(command=lambda given: _run(_status, given), parser=audit)
    parts = audit.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, what: Callable[[Any], int], about: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = parts.add_parser(name, help=about)
        parser.set_defaults(command=lambda given: _run(what, given), parser=parser)
        return parser

    add("init", _init, "make the audit log and turn it on")
    add("status", _status, "say how it stands (the default)")
    off = add("off", _off, "turn it off; that is an entry")
    off.add_argument("--reason", required=True, metavar="TEXT")
    add("on", _on, "turn it on again")
    _add_verify(add("verify", _verify, "verify it; 0 sound, 1 tampered with, 3 incomplete"))
    _add_reading(add)
    publish = add("publish", _publish, "commit it to its git repository")
    publish.add_argument("--remote", metavar="URL", help="and push it there")
    cosign = add("cosign", _cosign, "have its last checkpoint signed by a witness")
    cosign.add_argument("url")
    stamp = add("timestamp", _timestamp, "have its last checkpoint stamped by a time stamp authority (RFC 3161)")
    stamp.add_argument("url")
    stamp.add_argument("--to", type=Path, metavar="FILE", help="write a copy of the stamp")
    _add_witness(add("witness", _witness, "be a witness for logs of others"))
    export = add("export", _export, "write an evidence bundle that can be verified without this software")
    export.add_argument("id", nargs="+", help="trace ids")
    export.add_argument("--to", required=True, type=Path, metavar="ZIP")
    export.add_argument("--redacted", action="store_true", help="commitments only, no content")
    handover = add("handover", _handover, "record that a bundle is given to somebody")
    handover.add_argument("bundle", type=Path)
    handover.add_argument("--recipient", required=True, metavar="TEXT")
    _add_erase(add("erase", _erase, "destroy the content of traces; their proofs stay"))
    hold = add("hold", _hold, "put traces on legal hold")
    hold.add_argument("id", nargs="+", help="trace ids")
    hold.add_argument("--reason", required=True, metavar="TEXT")
    hold.add_argument("--release", action="store_true", help="release them instead")
    retain = add("retain", _retain, "say how long contents must be kept: what is younger is not erased")
    _add_period(retain, "--days")
    retain.add_argument("--reason", required=True, metavar="TEXT")
    _add_period(
        add("expire", _expire, "erase what is older than a period, but for what is on hold"), "--older-than-days"
    )
    _add_keys(add)


def _add_reading(add: Callable[..., argparse.ArgumentParser]) -> None:
    show = add("show", _show, "print a sealed trace: prompts, responses and calls in order, from the vault")
    show.add_argument("id", help="a trace id")
    show.add_argument("--purpose", metavar="TEXT", help="what it is read for; has the reading recorded")
    find = add("find", _find, "list sealed traces")
    find.add_argument("text", nargs="?", help="what a prompt, response or call holds")
    find.add_argument("--tag", metavar="KEY=VALUE")
    find.add_argument("--since", metavar="DATE", type=dt.datetime.fromisoformat)
    find.add_argument("--until", metavar="DATE", type=dt.datetime.fromisoformat)
    find.add_argument("--purpose", metavar="TEXT", help="what it is looked for for; has the reading recorded")
    accesses = add("accesses", _accesses, "list who read what, as far as it was recorded")
    accesses.add_argument("id", nargs="?", help="a trace id; by default all")
    record = add("record-access", _record_access, "have each show and find recorded from now on; that is an entry")
    record.add_argument("state", choices=("on", "off"))
    record.add_argument("--reason", required=True, metavar="TEXT")


def _add_keys(add: Callable[..., argparse.ArgumentParser]) -> None:
    add("rotate", _rotate, "begin a new key epoch now, and destroy the old key")
    revoke = add("revoke", _revoke, "revoke a key that signs entries, since somebody else may hold it")
    revoke.add_argument("--reason", required=True, metavar="TEXT")
    revoke.add_argument("--epoch", type=int, metavar="N", help="whose key; by default the one that goes on")
    revoke.add_argument(
        "--since", type=int, metavar="ENTRY", help="the first entry in doubt; by default the first that it could sign"
    )


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", choices=("fast", "signatures", "full"), default="full")
    parser.add_argument("--anchor", metavar="TEXT", help="what the log is known by, from elsewhere")
    parser.add_argument(
        "--pin", action="append", default=[], metavar="FILE", help="a checkpoint that was kept, or its line"
    )
    parser.add_argument(
        "--git", action="append", default=[], metavar="URL", help="a git repository that it was pushed to"
    )
    parser.add_argument(
        "--witness", action="append", default=[], nargs=2, metavar=("URL", "KEY"), help="a witness, and its key"
    )
    parser.add_argument(
        "--stamp", action="append", default=[], type=Path, metavar="FILE", help="a time stamp that was kept"
    )
    parser.add_argument(
        "--tsa-root", action="append", default=[], type=Path, metavar="PEM", help="a trusted time stamp authority"
    )
    parser.add_argument("--live", metavar="URI", help="tracking URI of the MLflow to compare")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page too")


def _add_erase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="+", help="trace ids")
    parser.add_argument("--reason", required=True, metavar="TEXT")
    parser.add_argument("--approver", required=True, metavar="TEXT")
    parser.add_argument("--plan", action="store_true", help="only say what would be erased, and what is not reached")
    parser.add_argument(
        "--component", action="append", metavar="PATH", help="erase no more than this, such as 'span/*/inputs'"
    )
    parser.add_argument("--override-hold", action="store_true", help="erase what is on hold too; that is recorded")
    parser.add_argument(
        "--override-retention", action="store_true", help="erase what is to be kept still; that is recorded"
    )


def _add_period(parser: argparse.ArgumentParser, days: str) -> None:
    from agenttrace_nb.audit.retention import PRESETS

    names = "; ".join(f"{name}: {period.rule}" for name, period in PRESETS.items())
    parser.add_argument("--preset", metavar="NAME", help=f"a period by name ({names})")
    parser.add_argument(days, dest="days", type=float, metavar="N", help="or the number of days")


def _add_witness(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", required=True, type=Path, help="where its key and what it has seen are kept")
    parser.add_argument("--log", action="append", required=True, metavar="KEY", help="the key of a log to be witnessed")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--host", default="127.0.0.1")


def _run(what: Callable[[Any], int], given: Any) -> int:
    from agenttrace_nb.audit.content import ContentError
    from agenttrace_nb.audit.note import NoteError
    from agenttrace_nb.audit.place import AuditError

    try:
        return what(given)
    except (AuditError, ContentError, NoteError) as error:
        print(f"agenttrace-nb: {error}", file=sys.stderr)
        return _USAGE


def _init(_given: Any) -> int:
    from agenttrace_nb.audit.switch import init

    print(init())
    return 0


def _status(_given: Any) -> int:
    from agenttrace_nb.audit.switch import status

    print(status())
    return 0


def _on(_given: Any) -> int:
    from agenttrace_nb.audit.switch import on

    print(on())
    return 0


def _off(given: Any) -> int:
    from agenttrace_nb.audit.switch import off

    print(off(reason=given.reason))
    return 0


def _verify(given: Any) -> int:
    from agenttrace_nb.audit.log import read_settings
    from agenttrace_nb.audit.note import Verifier
    from agenttrace_nb.audit.place import audit_folder
    from agenttrace_nb.audit.repository import pin_of
    from agenttrace_nb.audit.verify import verify
    from agenttrace_nb.audit.witness import pin_from

    pins: list[Any] = [*given.pin, *(pin_of(url) for url in given.git)]
    if given.witness:
        origin = read_settings(audit_folder())["origin"]
        pins += [pin_from(url, Verifier.parse(key), origin) for url, key in given.witness]
    report = verify(
        level=given.level, anchor=given.anchor, pins=pins, live=given.live, stamps=given.stamp, tsa_roots=given.tsa_root
    )
    if given.html is not None:
        given.html.write_text(report.to_html(), "utf-8")
    print(report.to_json() if given.json else report)
    return report.exit_status


def _show(given: Any) -> int:
    from agenttrace_nb.audit.retrieve import show

    print(show(given.id, purpose=given.purpose))
    return 0


def _find(given: Any) -> int:
    from agenttrace_nb.audit.place import AuditError
    from agenttrace_nb.audit.retrieve import find

    tag = None
    if given.tag is not None:
        key, sign, value = given.tag.partition("=")
        if not sign:
            msg = f"--tag {given.tag!r} is not allowed; it has the form KEY=VALUE"
            raise AuditError(msg)
        tag = (key, value)
    for hit in find(given.text, tag=tag, since=given.since, until=given.until, purpose=given.purpose):
        print(hit)
    return 0


def _accesses(given: Any) -> int:
    from agenttrace_nb.audit.access import accesses

    for access in accesses(given.id):
        print(access)
    return 0


def _record_access(given: Any) -> int:
    from agenttrace_nb.audit.access import record_access

    print(f"entry {record_access(on=given.state == 'on', reason=given.reason)}")
    return 0


def _publish(given: Any) -> int:
    from agenttrace_nb.audit.repository import publish

    print(publish(remote=given.remote) or "nothing new")
    return 0


def _cosign(given: Any) -> int:
    from agenttrace_nb.audit.witness import cosign

    print(cosign(given.url), end="")
    return 0


def _timestamp(given: Any) -> int:
    from agenttrace_nb.audit.timestamps import timestamp

    print(timestamp(given.url, to=given.to))
    return 0


def _witness(given: Any) -> int:
    from agenttrace_nb.audit.note import Verifier
    from agenttrace_nb.audit.witness import Witness

    witness = Witness(given.folder, [Verifier.parse(key) for key in given.log])
    server = witness.serve(given.port, given.host)
    print(f"witness {witness.verifier}\nat http://{given.host}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


def _export(given: Any) -> int:
    from agenttrace_nb.audit.evidence import export

    print(export(given.id, given.to, redacted=given.redacted))
    return 0


def _handover(given: Any) -> int:
    from agenttrace_nb.audit.evidence import hand_over

    print(f"entry {hand_over(given.bundle, recipient=given.recipient)}")
    return 0


def _erase(given: Any) -> int:
    from agenttrace_nb.audit.erase import erase

    print(
        erase(
            given.id, reason=given.reason, approver=given.approver, component=given.component, plan=given.plan,
            override_hold=given.override_hold, override_retention=given.override_retention,
        )
    )  # fmt: skip
    return 0


def _hold(given: Any) -> int:
    from agenttrace_nb.audit.retention import hold

    print(f"entry {hold(given.id, reason=given.reason, release=given.release)}")
    return 0


def _retain(given: Any) -> int:
    from agenttrace_nb.audit.retention import retain

    print(f"entry {retain(preset=given.preset, days=given.days, reason=given.reason)}")
    return 0


def _expire(given: Any) -> int:
    from agenttrace_nb.audit.retention import expire

    print(expire(preset=given.preset, older_than_days=given.days))
    return 0


def _rotate(_given: Any) -> int:
    import contextlib

    from agenttrace_nb.audit.log import AuditLog

    with contextlib.closing(AuditLog()) as log:
        print(f"entry {log.rotate().index}")
    return 0


def _revoke(given: Any) -> int:
    from agenttrace_nb.audit.revocation import revoke

    print(f"entry {revoke(reason=given.reason, epoch=given.epoch, since=given.since)}")
    print("Publish or pin the log now: a pin shows that the key was revoked, whatever its thief writes.")
    return 0
