"""Values of the user's own, as data."""

from __future__ import annotations

import json
from typing import Any

from agenttrace_nb.journal.encode import encode


def as_data(value: Any) -> Any:
    """Return a copy of a value that holds data only: what the journal keeps of it, and nothing that lives on.

    Examples
    --------
    >>> as_data({"n": (1, 2), "o": object()})
    {'n': [1, 2], 'o': '[not JSON: builtins.object]'}
    """
    return json.loads(encode(value))
