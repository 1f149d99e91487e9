"""Small pure functions on numbers: tests, intervals, effect sizes and sample sizes, each with its source.

The unit is the case (task): arrays hold one value for each case, in the same order for both sides where they are
paired. Whatever draws random numbers takes a seed and gives the same answer each time.
"""

from __future__ import annotations
