"""Run the quickstart without a browser, and print what it recorded.

``make demo`` calls this. The notebook runs in a kernel of its own, as JupyterLab would run it, in a copy in memory:
the file is not changed. A last cell is added to the copy that prints the call tree, the MLflow run and the page.
Settings stay in force, so the run goes where yours would go: to ``MLFLOW_TRACKING_URI`` when it is set, else to the
embedded SQLite database.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "01_quickstart.ipynb"
PAGE = HERE.parent / "build" / "quickstart.html"
CELL_LIMIT_S = 300  # the first cell imports MLflow and makes its database

REPORT = """\
# `run` is the notebook's own: the run of its first traced cell
if not run.wait({limit_s}):
    raise TimeoutError("the run is recorded, but not yet in MLflow: `agenttrace-nb recover` delivers it")
print(run.text())
print()
print("MLflow run:", run.run_id)
run.to_html({page!r})
"""


def run_quickstart(notebook: Path, page: Path) -> str:
    """Execute `notebook` in memory, write its last run's tree to `page`, and return the printed report.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raised; the message holds the cell and its traceback.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    copy = nbformat.read(notebook, as_version=4)
    copy.cells.append(nbformat.v4.new_code_cell(REPORT.format(limit_s=CELL_LIMIT_S - 60, page=str(page))))
    NotebookClient(
        copy,
        timeout=CELL_LIMIT_S,
        resources={"metadata": {"path": str(notebook.parent)}},
        extra_arguments=["--log-level=ERROR"],  # ipykernel warns at each start that loopback is not encrypted
    ).execute()
    outputs = copy.cells[-1].outputs
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def main() -> int:
    """Run the quickstart and print its report; return the exit status for the shell."""
    parser = argparse.ArgumentParser(description="Run the quickstart notebook and print what it recorded.")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the HTML page (%(default)s)")
    page = parser.parse_args().page.resolve()
    print(f"Running {NOTEBOOK.name} …", flush=True)
    try:
        report = run_quickstart(NOTEBOOK, page)
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    print()
    print(report.rstrip())
    print("Page with this tree:", page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
