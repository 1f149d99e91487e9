"""Facts about the repository that no single room can see."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest
from requirements_met import require_or_skip

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "agenttrace_nb"
STATIC = PACKAGE / "views" / "static"

# What travels with every widget and is saved with it; the code of the panels is a message, and follows.
JS_LIMIT_BYTES = 80_000
# Two themes, few colours, print and five widths, beside a tree, its bars, the search and the detail: below 12 kB only
# by leaving one of them out. The panels bring their own styles.
CSS_LIMIT_BYTES = 16_000
# 45 kB of code, and these styles.
PANELS_LIMIT_BYTES = 54_000
LINE_LIMIT = 400

# Names a folder of examples may carry; anything else under a home folder is somebody's machine.
HOME_OF_NOBODY = {"jovyan", "user", "you", "me"}
HOME = re.compile(r"(?:/home/|/Users/|[A-Z]:\\+Users\\+)(\w[\w.-]*)")
ADDRESS_OF_A_REGISTRY = re.compile(
    r'"resolved"\s*:\s*"https?://|\b(?:registry|url)\s*=\s*"?https?://|--(?:extra-)?index-url|--find-links'
)


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git would put into a clone."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        require_or_skip(condition=False, reason="needs a git checkout, to know what is committed")
        raise
    names = listed.stdout.decode("utf-8").split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


def texts() -> list[tuple[str, str]]:
    """Relative name and content of every tracked text file."""
    found = []
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" not in raw:
            found.append((path.relative_to(ROOT).as_posix(), raw.decode("utf-8", "replace")))
    return found


def named(pattern: str) -> list[tuple[str, str]]:
    return [(name, text) for name, text in texts() if re.search(pattern, name)]


# ---------------------------------------------------------------------------------------------------- bundles


def bundles(suffix: str) -> list[Path]:
    found = sorted(STATIC.glob(f"*{suffix}"))
    assert found, f"no {suffix} bundle in {STATIC.relative_to(ROOT)}: run `make js` and commit what it builds"
    return found


@pytest.mark.parametrize(("suffix", "limit"), [(".js", JS_LIMIT_BYTES), (".css", CSS_LIMIT_BYTES)])
def test_every_bundle_is_there_and_within_its_size(suffix: str, limit: int) -> None:
    sizes = {path.name: path.stat().st_size for path in bundles(suffix)}
    assert all(0 < size <= limit for size in sizes.values()), f"limit {limit} bytes: {sizes}"


def test_the_panels_are_within_their_size() -> None:
    assert 0 < (STATIC / "trace_panels.js").stat().st_size <= PANELS_LIMIT_BYTES


def test_the_base_has_no_code_of_the_panels() -> None:
    base, panels = ((STATIC / f"trace_{name}.js").read_text("utf-8") for name in ("view", "panels"))
    assert "agtr-said-line" in panels
    assert "agtr-said-line" not in base
    # A name inside Preact: the libraries are in the base alone.
    assert ".diffed" in base
    assert ".diffed" not in panels


def test_the_base_takes_the_panels_that_were_built_with_it_and_no_others() -> None:
    panels = (STATIC / "trace_panels.js").read_text("utf-8")
    version = re.match(r'\(globalThis\.agtrPanels\?\?=\{\}\)\["(\w{16})"]=', panels)
    assert version
    for name in ("trace_view.js", "trace_page.js"):
        assert f'"{version.group(1)}"' in (STATIC / name).read_text("utf-8"), name


def test_no_bundle_fetches_anything() -> None:
    fetching = re.compile(r"""\b(?:import|fetch|importScripts|url)\s*\(?\s*["'`]?https?://|@import\b|\bimport\s*\(""")
    found = {path.name: fetching.findall(path.read_text("utf-8")) for path in bundles(".js") + bundles(".css")}
    # One module is made of a text that is here already: the panels, which the kernel has sent. No request is made.
    assert {name: hits for name, hits in found.items() if hits} == {"trace_view.js": ["import("]}
    (address,) = re.findall(r"\bimport\((\w+)\)", (STATIC / "trace_view.js").read_text("utf-8"))
    made = rf"\b{re.escape(address)}=URL\.createObjectURL\(new Blob\("
    assert re.search(made, (STATIC / "trace_view.js").read_text("utf-8"))


def test_every_bundle_is_committed() -> None:
    missing = {path.name for path in bundles(".js") + bundles(".css")} - {path.name for path in tracked()}
    assert not missing


def test_the_wheel_carries_bundles_and_types_and_needs_no_build_step(tmp_path: Path) -> None:
    try:
        from hatchling.builders.wheel import WheelBuilder
    except ImportError:
        require_or_skip(condition=False, reason="needs hatchling: make test installs it")
        raise

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    inside = set(zipfile.ZipFile(wheel).namelist())
    needed = [*bundles(".js"), *bundles(".css"), PACKAGE / "py.typed", PACKAGE / "export" / "grafana_dashboard.json"]
    wanted = {path.relative_to(ROOT).as_posix() for path in needed}
    assert wanted <= inside
    assert not [name for name in inside if name.startswith(("js/", "tests/", "notebooks/"))]


# --------------------------------------------------------------------------------------------------- machines


def test_no_file_names_a_folder_of_one_machine() -> None:
    own = re.compile(rf"{re.escape(str(ROOT))}(?![\w-])|{re.escape(str(Path.home()))}/")
    found = []
    for name, text in texts():
        found += [f"{name}: {hit.group(0)}" for hit in own.finditer(text)]
        found += [f"{name}: {hit.group(0)}" for hit in HOME.finditer(text) if hit.group(1) not in HOME_OF_NOBODY]
    assert not found


def test_lock_and_requirement_files_name_no_registry() -> None:
    files = named(r"(^|/)(package-lock\.json|\.npmrc|Makefile|pyproject\.toml|requirements.*\.txt|.*\.lock)$|^\.ci/")
    assert any(name.endswith("package-lock.json") for name, _ in files)
    found = [f"{name}: {hit.group(0)}" for name, text in files for hit in ADDRESS_OF_A_REGISTRY.finditer(text)]
    assert not found


def test_every_javascript_dependency_is_pinned_exactly() -> None:
    package = json.loads((ROOT / "js/package.json").read_text("utf-8"))
    wanted = package.get("dependencies", {}) | package.get("devDependencies", {})
    loose = {name: version for name, version in wanted.items() if not re.fullmatch(r"\d+\.\d+\.\d+[\w.+-]*", version)}
    assert wanted
    assert not loose


# ----------------------------------------------------------------------------------------------------- binder


def test_binder_installs_this_checkout_first() -> None:
    lines = [
        line for line in (ROOT / "binder/requirements.txt").read_text("utf-8").splitlines() if line and line[0] != "#"
    ]
    assert lines[0] == "."
    assert any(line.startswith("jupyterlab") for line in lines)


def test_binder_asks_for_a_python_that_the_project_supports() -> None:
    runtime = (ROOT / "binder/runtime.txt").read_text("utf-8").strip()
    match = re.fullmatch(r"python-3\.(\d+)", runtime)
    assert match, runtime
    lowest = re.fullmatch(r">=3\.(\d+)", project()["requires-python"])
    assert lowest
    assert int(match.group(1)) >= int(lowest.group(1))


@pytest.mark.parametrize("script", ["binder/postBuild", ".ci/run"])
def test_scripts_can_be_executed_and_stop_at_the_first_error(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111 == 0o111
    text = path.read_text("utf-8")
    assert text.startswith("#!")
    assert "set -euo pipefail" in text


# ------------------------------------------------------------------------------------------------------ words


def project() -> dict[str, str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_version_is_the_same_everywhere() -> None:
    import agenttrace_nb

    assert agenttrace_nb.__version__ == project()["version"]


def test_the_changelog_has_room_for_what_comes_next() -> None:
    assert re.search(r"^## \[Unreleased\]$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_into_the_repository_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    local = {first or second for first, second in targets if not re.match(r"https?://|#", first or second)}
    assert local
    missing = sorted(target for target in local if not (ROOT / target.partition("#")[0]).exists())
    assert not missing


def test_the_readme_names_every_first_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"make {command}" in text for command in ("demo", "lab", "test"))


def test_no_source_file_is_two_rooms() -> None:
    sources = named(r"\.(py|ts|tsx|mjs|css)$")
    long = {
        name: lines for name, text in sources if "/static/" not in name and (lines := text.count("\n")) > LINE_LIMIT
    }
    assert sources
    assert not long


def test_no_file_has_a_name_that_says_nothing() -> None:
    names = [path.relative_to(ROOT) for path in tracked()]
    vague = {"util", "utils", "helper", "helpers", "common", "misc"}
    assert not [str(name) for name in names if vague & {part.partition(".")[0].lower() for part in name.parts}]
