"""One browser and one JupyterLab for all tests of this folder: they take seconds to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.harness import Harness
from lab.jupyter_server import Server, chromium_browser, jupyter
from requirements_met import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium_browser(chromium()) as started:
        yield started


@pytest.fixture
def harness(browser: Browser) -> Iterator[Harness]:
    with Harness.opened(browser) as opened:
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="session")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jupyter(tmp_path_factory.mktemp("lab"), "lab") as started:
        yield started


@pytest.fixture(scope="session")
def notebook7(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jupyter(tmp_path_factory.mktemp("notebook7"), "notebook") as started:
        yield started
