"""One JupyterLab for all tests of this folder, and one browser for each file: they take seconds to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.harness import Harness
from lab.jupyter_server import Server, chromium_browser, jupyter
from requirements_met import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the session: while Playwright is open, its event loop counts as running in every later test.
    with chromium_browser(chromium()) as started:
        yield started


@pytest.fixture
def harness(browser: Browser) -> Iterator[Harness]:
    with Harness.opened(browser) as opened:
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    chromium()
    with jupyter(tmp_path_factory.mktemp("lab"), "lab") as started:
        yield started


@pytest.fixture(scope="session")
def notebook7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    chromium()
    with jupyter(tmp_path_factory.mktemp("notebook7"), "notebook") as started:
        yield started
