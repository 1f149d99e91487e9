"""``python -m agenttrace_nb.mlflow_store JOURNAL``: the process that writes to MLflow. Started by `Delivery`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from agenttrace_nb.mlflow_store.worker import main

    sys.exit(main(sys.argv[1:]))
