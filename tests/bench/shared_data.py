"""Where the recordings lie that are too large for the repository."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "AGENTTRACE_SHARED_DATA"
_BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "data"


def folder(name: str) -> Path | None:
    """Return the folder of a data set, or None where it is not at hand."""
    root = Path(os.environ.get(VARIABLE) or _BESIDE_THE_REPOSITORY)
    path = root / name
    return path if path.is_dir() else None


def reason_to_skip(name: str) -> str:
    """Return what to tell whoever runs the tests without the data."""
    return f"no recordings {name!r}: set {VARIABLE} to the folder that holds them, or put them into ../shared/data"
