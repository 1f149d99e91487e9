"""``python -m agenttrace_nb.export JOURNAL``: send on what a journal holds, until its kernel is gone."""

from __future__ import annotations

import sys

from agenttrace_nb.export.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
