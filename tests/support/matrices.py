"""Matrices for the decompositions."""

from __future__ import annotations

import numpy as np

from gradproof.engine.spec import Array

DECOMPOSITIONS = ("solve", "inv", "det", "cholesky")


def matrix(n: int, seed: int, *batch: int) -> Array:
    """Well-conditioned, with a positive definite symmetric part, and not symmetric."""
    return np.random.default_rng(seed).uniform(-1, 1, (*batch, n, n)) + (n + 1) * np.eye(n)
