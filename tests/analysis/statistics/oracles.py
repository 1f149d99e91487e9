"""Values that the formulas must give, published or computed by other programs.

`SUCCESSES` are the tasks of tau-bench (airline, gpt-4o, 50 tasks of 4 trials) by how many trials succeeded; the order
of tasks and trials changes none of the figures that are tested against them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ORACLES: dict[str, Any] = json.loads((Path(__file__).parent / "oracles.json").read_text("utf-8"))
TAU: dict[str, Any] = ORACLES["tau_bench_airline"]
TRIALS = 4
SUCCESSES = np.repeat(
    [int(k) for k in TAU["tasks_by_number_of_successes"]], [*TAU["tasks_by_number_of_successes"].values()]
)
RUNS = np.array([[float(trial < successes) for trial in range(TRIALS)] for successes in SUCCESSES])
