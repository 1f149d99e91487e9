"""A program for the Python in which the other witness is installed: what its library says of notes.

Reads a JSON list of questions from standard input, and prints a list of answers.
"""

from __future__ import annotations

import json
import sys

from aics_tlog.checkpoint import checkpoint_from_note, verify_checkpoint
from aics_tlog.note import parse_note, parse_vkey


def answer(note: str, log: str, witness: str, origin: str) -> dict:
    found = verify_checkpoint(
        parse_note(note), parse_vkey(log), [parse_vkey(witness)], quorum=1, expected_origin=origin
    )  # fmt: skip
    checkpoint, _ = checkpoint_from_note(note)
    return {"ok": found.ok, "error": str(found.error), "size": checkpoint.size, "root": checkpoint.root.hex()}


json.dump([answer(**question) for question in json.load(sys.stdin)], sys.stdout)
