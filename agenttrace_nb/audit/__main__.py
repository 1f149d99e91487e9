"""``python -m agenttrace_nb.audit JOURNAL``: seal a journal until its kernel is gone."""

from __future__ import annotations

import sys

from agenttrace_nb.audit.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
