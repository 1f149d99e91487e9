"""Tables of runs made from a seed, with differences that are known because they were put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def runs(
    archs: tuple[str, ...] = ("plain", "planner"),
    cases: int = 40,
    trials: int = 1,
    seed: int = 0,
    faster: dict[str, float] | None = None,
    surer: dict[str, float] | None = None,
    **columns: Any,
) -> pd.DataFrame:
    """One row for each run. ``faster`` multiplies the latency of an architecture, ``surer`` adds to its chance."""
    rng = np.random.default_rng(seed)
    easy, base = rng.beta(1.5, 1.2, cases), rng.lognormal(1.2, 0.5, cases)
    parts = []
    for arch in archs:
        of = np.repeat(np.arange(cases), trials)
        n = of.size
        chance = np.clip(easy[of] + (surer or {}).get(arch, 0.0), 0, 1)
        parts.append(
            pd.DataFrame(
                {
                    "trace_id": [f"{arch}-{i}" for i in range(n)],
                    "arch": arch,
                    "case": [f"task-{c:03d}" for c in of],
                    "trial": np.tile(np.arange(trials), cases).astype(str) if trials > 1 else None,
                    "status": "ok",
                    "success": rng.random(n) < chance,
                    "latency_s": base[of] * rng.lognormal(0, 0.3, n) * (faster or {}).get(arch, 1.0),
                    "cost_usd": 0.01 * base[of] * rng.lognormal(0, 0.2, n),
                    "input_tokens": (1000 * base[of] * rng.lognormal(0, 0.1, n)).astype(int) + 1,
                    "output_tokens": (100 * base[of]).astype(int) + 1,
                    "tool_errors": rng.poisson(0.4, n),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).assign(**columns)
