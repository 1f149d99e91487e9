"""Notes are read in exactly one written form, and believed only under the key that is trusted."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agenttrace_nb.audit.note import (
    COSIGNATURE,
    Checkpoint,
    Note,
    NoteError,
    Signature,
    Verifier,
    checkpoint_of,
    cosigned_at,
    cosigned_text,
)

# The key and note of the specification's example of Go's golang.org/x/mod/sumdb/note
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = Verifier("agenttrace-nb/test", PRIVATE.public_key().public_bytes_raw())


def signed(text: str, name: str = LOG.name) -> str:
    return str(Note(text, (Signature(name, LOG.key_id, PRIVATE.sign(text.encode())),)))


TEXT = str(Checkpoint(LOG.name, 7, bytes(range(32))))


def test_the_example_of_another_implementation_verifies():
    assert Note.parse(GO_NOTE).verified_by(Verifier.parse(GO_KEY))
    assert str(Verifier.parse(GO_KEY)) == GO_KEY


def test_a_checkpoint_is_read_back():
    assert checkpoint_of(signed(TEXT), LOG) == Checkpoint(LOG.name, 7, bytes(range(32)))


def test_every_changed_character_of_a_note_is_found():
    note = signed(TEXT)
    kept = []
    for at in range(len(note) + 1):
        changes = [note[:at] + extra + note[at:] for extra in (" ", "\n", "A", "\r", "\t", "=")]
        changes += [note[:at] + note[at + 1 :]] if at < len(note) else []
        changes += [note[:at] + other + note[at + 1 :] for other in ("A", "B", "-", " ")] if at < len(note) else []
        for changed in changes:
            if changed == note:
                continue
            try:
                checkpoint_of(changed, LOG)
            except NoteError:
                continue
            kept.append((at, changed))
    assert not kept


@pytest.mark.parametrize(
    "text",
    [
        "x\n07\n" + base64.b64encode(bytes(32)).decode() + "\n", "x\n-1\nAAAA\n", "x\n1\nAAAA\n", "x\n1\n", "",
        "x\n1\n" + base64.b64encode(bytes(32)).decode() + "\nmore\n",
        "a b\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_hostile_notes_are_refused_quickly():
    line = Signature(LOG.name, LOG.key_id, bytes(64)).line()
    for note in (
        TEXT + "\n" + line * 101,
        "a" * 10_000_000,
        "a\n\n" + "\ufeff" + line,
        b"\xff\n\n",
        "a\n\n— x\u00a0y AAAA\n",
    ):
        with pytest.raises(NoteError):
            Note.parse(note)


def test_another_log_or_another_key_is_not_believed():
    other = Ed25519PrivateKey.generate()
    with pytest.raises(NoteError, match="not signed by"):
        checkpoint_of(signed(TEXT), Verifier(LOG.name, other.public_key().public_bytes_raw()))
    with pytest.raises(NoteError, match="is of the log"):
        checkpoint_of(signed(TEXT), Verifier("agenttrace-nb/other", LOG.public))
    forged = str(Note(TEXT, (Signature(LOG.name, LOG.key_id, other.sign(TEXT.encode())),)))
    with pytest.raises(NoteError, match="does not hold"):
        checkpoint_of(forged, LOG)


def test_a_cosignature_says_when():
    witness = Verifier("witness.example", LOG.public, COSIGNATURE)
    signature = (1_700_000_000).to_bytes(8, "big") + PRIVATE.sign(cosigned_text(TEXT, 1_700_000_000))
    line = Signature(witness.name, witness.key_id, signature)
    assert cosigned_at(line, TEXT, witness) == 1_700_000_000
    assert Note(TEXT, (line,)).verified_by(witness)
    with pytest.raises(NoteError):
        cosigned_at(Signature(witness.name, witness.key_id, b"\1" + signature[1:]), TEXT, witness)


@pytest.mark.parametrize("key", ["", "a+b", "a b+00000000+AAAA", GO_KEY.replace("c7", "c8"), GO_KEY + "=", GO_KEY[:-4]])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(NoteError):
        Verifier.parse(key)
