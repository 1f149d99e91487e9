"""The examination of contents: each is what was committed to, or an entry says that it was erased."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import content
from agenttrace_nb.audit.components import matching
from agenttrace_nb.audit.log import bound_to
from agenttrace_nb.audit.merkle import EMPTY_ROOT
from agenttrace_nb.audit.place import AuditError
from agenttrace_nb.audit.report import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agenttrace_nb.audit.envelope import Statement
    from agenttrace_nb.audit.report import Report
    from agenttrace_nb.audit.vault import Vault


@dataclass(slots=True)
class _Erasures:
    """What entries say was erased of one content.

    Attributes
    ----------
    whole
        The entry that says that all of it was.
    parts
        Entries that name components, each with its patterns.
    """

    whole: int | None = None
    parts: list[tuple[int, list[str]]] = field(default_factory=list)

    def of(self, paths: list[str]) -> dict[str, int]:
        """Return which of the paths were erased, and by which entry."""
        return {path: by for by, patterns in self.parts for path in matching(patterns, paths)}


def check_content(
    report: Report, vault: Vault, statements: Sequence[Statement], key_of_keys: Callable[[], bytes]
) -> None:
    """Compare the contents of a vault with what its entries commit to.

    Parameters
    ----------
    report
        Takes what is found.
    vault
        The vault.
    statements
        What its entries say; verified.
    key_of_keys
        Gives what contents are opened with.
    """
    try:
        key = key_of_keys()
    except AuditError as error:
        report.findings.append(Finding(Verdict.INCOMPLETE, f"contents cannot be opened: {error}"))
        return
    orphans = vault.db.execute("SELECT i FROM content_key WHERE i NOT IN (SELECT i FROM content)").fetchall()
    if orphans:
        report.find(f"there are keys of no content: {[row[0] for row in orphans][:5]}")
    erased = dict(_erasures(report, statements))
    check = _Check(report, vault, key)
    for statement in statements:
        known = erased.get(statement.index, _Erasures())
        if not statement.predicate.get("components"):
            if statement.root != EMPTY_ROOT.hex():
                report.find("it has no content, but commits to some", index=statement.index)
        elif known.whole is not None:
            check.erased(statement, known.whole)
        else:
            check.one(statement, known)
    report.checks["contents opened and compared with their commitments"] = check.opened
    report.checks["contents erased with an entry that says so"] = check.gone
    if check.gone_parts:
        report.checks["components erased with an entry that says so"] = check.gone_parts


def _erasures(report: Report, statements: Sequence[Statement]) -> Iterator[tuple[int, _Erasures]]:
    """Yield what was erased of which entry, and find what was erased although it was held."""
    found: dict[int, _Erasures] = {}
    held: set[str] = set()
    for statement in statements:
        said: dict[str, Any] = statement.predicate
        trace = str(said.get("traceId"))
        if statement.kind == "legal-hold":
            (held.discard if said.get("release") else held.add)(trace)
        if statement.kind not in ("erase", "retain-expire"):
            continue
        if trace in held and said.get("overrodeHold"):
            report.notes.append(
                f"entry {statement.index} erased what was on legal hold, with an override that it names"
            )
        elif trace in held:
            report.find("it erased what was on legal hold, without an override", index=statement.index, trace_id=trace)
        for target in said.get("targets", []):
            if int(target) >= statement.index:
                continue
            known = found.setdefault(int(target), _Erasures())
            if said.get("paths"):
                known.parts.append((statement.index, [str(pattern) for pattern in said["paths"]]))
            else:
                known.whole = statement.index
    yield from found.items()


class _Check:
    """Looks at contents one by one, and counts."""

    def __init__(self, report: Report, vault: Vault, key: bytes) -> None:
        self._report = report
        self._vault = vault
        self._key = key
        self.opened = 0
        self.gone = 0
        self.gone_parts = 0

    def one(self, statement: Statement, known: _Erasures) -> None:
        report, index, trace = self._report, statement.index, statement.predicate.get("traceId")
        try:
            manifest = self._vault.manifest(index)
            if manifest is None:
                return  # said where tables were checked
            if content.manifest_root(manifest) != statement.root:
                report.find("its manifest is not the one that was committed to", index=index, trace_id=trace)
                return
            if len(content.manifest_lines(manifest)) != statement.predicate["components"]:
                report.find("its manifest has another number of parts", index=index, trace_id=trace)
            sealed = self._vault.sealed(index, self._key)
            if sealed is None:
                report.find("its content is gone, and no entry says that it was erased", index=index, trace_id=trace)
                return
            parts = content.unseal(sealed, bound_to(report.origin, index))
        except (AuditError, content.ContentError, TypeError, ValueError) as error:
            report.find(str(error), index=index, trace_id=trace)
            return
        self.opened += 1
        self._parts(index, trace, known, manifest, parts)

    def _parts(
        self, index: int, trace: str | None, known: _Erasures, manifest: bytes, parts: list[content.Part]
    ) -> None:
        gone = content.erased_paths(manifest, parts)
        said = known.of([path for path, _ in content.manifest_lines(manifest)])
        for path in gone:
            if path not in said:
                self._report.find(f"{path} is gone, and no entry says that it was erased", index=index, trace_id=trace)
        for path in said.keys() - set(gone):
            what = f"{path} was erased by entry {said[path]}, but it is there"
            self._report.find(what, index=index, trace_id=trace)
        for by in sorted(set(said.values())):
            paths = [path for path in said if said[path] == by]
            self._report.notes.append(f"{_listed(paths)} of entry {index} erased, authorised by entry {by}")
        self.gone_parts += len(said)

    def erased(self, statement: Statement, by: int) -> None:
        index = statement.index
        self.gone += 1
        row = self._vault.db.execute(
            "SELECT ciphertext, wrapped FROM content LEFT JOIN content_key USING (i) WHERE i = ?", (index,)
        ).fetchone()
        try:
            manifest = self._vault.manifest(index)
        except AuditError as error:
            self._report.find(str(error), index=index)
            return
        if row is not None and row != (None, None):
            self._report.find(f"it was erased by entry {by}, but content of it is there", index=index)
        if manifest is None or content.manifest_root(manifest) != statement.root:
            self._report.find("its manifest is not the one that was committed to", index=index)
        self._report.notes.append(f"entry {index} was erased, authorised by entry {by}")


def _listed(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more parts" if len(paths) > 3 else "")  # noqa: PLR2004
