"""Real data with planted faults: how many, and in which workloads where time is short."""

from __future__ import annotations

import os

PLANTS = int(os.environ.get("CHECK_PLANTS", "0"))
"""Faults planted in each run; 0 in the usual tests."""

FAST = ("logistic 500x10", "softmax 300x300", "perceptron 1797x64x32x10")
"""Names of the workloads that take seconds."""
