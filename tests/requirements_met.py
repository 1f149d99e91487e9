"""What a test needs from the machine, and what happens when it is not there.

On a contributor's machine a missing browser, Node or kernel skips the tests that need it, with the reason.
On a build server nothing may be missing, so there the same test fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def in_ci() -> bool:
    """Tell whether this run must be complete: ``AGENTTRACE_CI``, or else ``CI``, is set and not a no."""
    value = os.environ.get("AGENTTRACE_CI", os.environ.get("CI", ""))
    return value.strip().lower() not in {"", "0", "false", "no", "off"}


def require_or_skip(condition: object, reason: str) -> None:
    """Go on if `condition` holds; else skip with `reason`, or fail where nothing may be missing.

    Parameters
    ----------
    condition : object
        What the test needs, as anything that is true or false.
    reason : str
        What is missing and how to get it, such as ``"needs Chromium: apt-get install chromium"``.
    """
    if condition:
        return
    if in_ci():
        pytest.fail(f"{reason} (a build server must have it; unset CI to skip instead)", pytrace=False)
    pytest.skip(reason)


def chromium() -> Path:
    """Find the system's Chromium or Chrome; skip or fail without one."""
    given = os.environ.get("AGENTTRACE_CHROMIUM")
    found = given or next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    require_or_skip(found, "needs Chromium: apt-get install chromium, or set AGENTTRACE_CHROMIUM to the program's path")
    return Path(str(found))


def node() -> Path:
    """Find Node; skip or fail without it."""
    found = shutil.which("node")
    require_or_skip(found, "needs Node 20 or newer: https://nodejs.org")
    return Path(str(found))
