"""An entry of the log: an in-toto statement in a DSSE envelope, in canonical form.

The statement says what kind of entry it is and commits to content by the root of a manifest; it holds no content.
"""

from __future__ import annotations

import base64
import json
import re
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit import canon
from agenttrace_nb.audit.keys import key_id
from agenttrace_nb.audit.note import verify_ed25519
from agenttrace_nb.audit.tiles import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from agenttrace_nb.audit.keys import Signer

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:uuid:6d0f1c6e-7c1b-5b0e-9d53-3f1f0f5a8c21"
"""Names the schema of our entries. A UUID belongs to nobody else, and claims no domain."""

_FIELDS = {"_type", "subject", "predicateType", "predicate"}
_WRITTEN = re.compile(
    rb'\{"payload":"([A-Za-z0-9+/]*={0,2})","payloadType":"application/vnd\.in-toto\+json",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/]*={0,2})"\}\]\}'
)


class EnvelopeError(ValueError):
    """An entry is not well formed, or its signature does not hold."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What an entry says.

    Attributes
    ----------
    subject
        What it is about, such as ``mlflow-trace:tr-...``.
    root
        Root of the manifest of its content, in hex.
    predicate
        ``kind``, ``index`` and whatever belongs to the kind.
    """

    subject: str
    root: str
    predicate: dict[str, Any]

    @property
    def kind(self) -> str:
        """The kind of entry."""
        return str(self.predicate["kind"])

    @property
    def index(self) -> int:
        """Its place in the log."""
        return int(self.predicate["index"])

    def to_bytes(self) -> bytes:
        """Return the in-toto statement in canonical form."""
        return canon.canonical({
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.subject, "digest": {"sha256": self.root}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": self.predicate,
        })  # fmt: skip

    @classmethod
    def parse(cls, data: bytes) -> Statement:
        """Return a statement.

        Raises
        ------
        EnvelopeError
            If it is not in canonical form, or not a statement of ours.
        """
        try:
            said = canon.parse_simple(data)
            sure = said is not None and said.keys() == _FIELDS
            said = json.loads(data) if said is None else said
            (subject,) = said["subject"]
            predicate = said["predicate"] if sure and b'"$' not in data else canon.original(said["predicate"])
            found = cls(subject["name"], subject["digest"]["sha256"], predicate)
            sure = sure and subject.keys() == {"name", "digest"} and subject["digest"].keys() == {"sha256"}
            well_formed = (
                said["_type"] == STATEMENT_TYPE and said["predicateType"] == PREDICATE_TYPE
                and (sure or found.to_bytes() == data)
                and isinstance(found.predicate["index"], int) and isinstance(found.predicate["kind"], str)
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            msg = f"no statement of an audit log ({error})"
            raise EnvelopeError(msg) from error
        if not well_formed:
            msg = "no statement of an audit log"
            raise EnvelopeError(msg)
        return found


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed statement; nothing of it is verified yet."""

    payload: bytes
    key_id: str
    signature: bytes

    @property
    def statement(self) -> Statement:
        """What it says."""
        return Statement.parse(self.payload)

    def to_bytes(self) -> bytes:
        """Return the entry as it stands in the log."""
        # In canonical form by itself: nothing in it needs escaping, and its names are in order
        return b'{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}' % (
            base64.b64encode(self.payload), PAYLOAD_TYPE.encode(), self.key_id.encode("ascii"),
            base64.b64encode(self.signature),
        )  # fmt: skip

    @classmethod
    def parse(cls, entry: bytes) -> Envelope:
        """Return the envelope that an entry is.

        Raises
        ------
        EnvelopeError
            If it is not, byte for byte, what writing it again gives.
        """
        parts = _WRITTEN.fullmatch(entry)
        if parts is None:
            msg = "no envelope, or one that is not in its one written form"
            raise EnvelopeError(msg)
        payload, key, signature = parts.groups()
        try:
            found = cls(a2b_base64(payload), key.decode("ascii"), a2b_base64(signature))
        except ValueError as error:
            msg = f"no envelope ({error})"
            raise EnvelopeError(msg) from error
        if (
            b2a_base64(found.payload, newline=False) != payload
            or b2a_base64(found.signature, newline=False) != signature
        ):
            msg = "an envelope that is not in its one written form"
            raise EnvelopeError(msg)
        return found

    def verify(self, public: bytes) -> None:
        """Check that a key signed it.

        Raises
        ------
        EnvelopeError
            If it names another key.
        NoteError
            If the signature does not hold.
        """
        if self.key_id != key_id(public):
            msg = "the entry names a key that is not the one that was to sign here"
            raise EnvelopeError(msg)
        verify_ed25519(public, self.signature, signed_bytes(self.payload))


def signed_bytes(payload: bytes) -> bytes:
    """Return what is signed of a payload: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def signed(statement: Statement, signer: Signer) -> bytes:
    """Return a statement as a signed entry.

    Raises
    ------
    EnvelopeError
        If it would be longer than an entry may be.
    """
    payload = statement.to_bytes()
    entry = Envelope(payload, key_id(signer.public), signer.sign(signed_bytes(payload))).to_bytes()
    if len(entry) > MAX_ENTRY_BYTES:
        msg = f"the entry has {len(entry)} bytes, more than the {MAX_ENTRY_BYTES} of a log; content belongs in parts"
        raise EnvelopeError(msg)
    return entry
