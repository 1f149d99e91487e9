from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from views.hostile import hostile_run
from views.sample_runs import planner_executor
from views.test_wire import decode, payloads

from agenttrace_nb.views.page import page, write_page

if TYPE_CHECKING:
    from pathlib import Path


def test_it_holds_two_scripts_that_its_policy_allows_and_nothing_else() -> None:
    html = page(*planner_executor())
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert [attributes.split('"')[1] for attributes, _ in scripts] == ["application/octet-stream", "module", "module"]
    panels, base = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in scripts[1:])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].replace("&#x27;", "'") == (
        f"default-src 'none'; script-src 'sha256-{panels}' 'sha256-{base}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"""(?:src|href)\s*=\s*["']?https?:|url\(""", html)


def test_it_holds_the_whole_run() -> None:
    run, traces = planner_executor()
    traces[0].spans[5].content_in = "x" * 100_000
    frame = re.search(r'id="agtr-frame">([^<]*)<', page(run, traces))
    assert frame
    header, columns = decode(base64.b64decode(frame[1]))
    assert header["rows"] == 22
    assert payloads(columns)[5]["input"] == "x" * 100_000


def test_hostile_text_stays_inside_the_data() -> None:
    html = page(*hostile_run(large=True))
    assert html.count("<script") == html.count("</script>") == 3
    assert "<img" not in html
    assert "<svg" not in html
    html.encode()


def test_it_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    run, traces = planner_executor()
    target = write_page(tmp_path / "run.html", run, traces)
    assert target == tmp_path / "run.html"
    assert target.read_text("utf-8").startswith("<!doctype html>")
