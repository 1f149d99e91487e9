"""What holds for every test of capture: no journal stays open, nothing of ours stays in the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agents import set_trace_processors

from agenttrace_nb.capture import install, state
from capture import recording

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Take the SDK's own exporter away before, and everything of ours afterwards."""
    set_trace_processors([])
    yield
    install.uninstall()
    state.forget_all()
    while recording.OPEN_JOURNALS:
        recording.OPEN_JOURNALS.pop().close()
    set_trace_processors([])
