"""Matrices for the decompositions, and the decompositions in mpmath."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mpmath import mp

from gradproof.engine.spec import Array

DECOMPOSITIONS = ("solve", "inv", "det", "cholesky")


def matrix(n: int, seed: int, *batch: int) -> Array:
    """Well-conditioned, with a positive definite symmetric part, and not symmetric."""
    return np.random.default_rng(seed).uniform(-1, 1, (*batch, n, n)) + (n + 1) * np.eye(n)


MATRICES: dict[str, Callable[..., Any]] = {
    "solve": lambda a, b: mp.inverse(a) * b,
    "inv": mp.inverse,
    "det": mp.det,
    "cofactors": lambda a: mp.det(a) * mp.inverse(a).T,
    "cholesky": lambda a, *, upper: mp.cholesky((a + a.T) / 2).T if upper else mp.cholesky((a + a.T) / 2),
}
"""What an op that is defined by an equation computes, in mpmath."""


def solved(op: str, arrays: list[Array], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """The output of such an op, matrix by matrix; a vector is a column."""
    result = np.empty(shape, object)
    inner = 0 if op == "det" else min(2, arrays[-1].ndim)
    for index in np.ndindex(shape[: len(shape) - inner]):
        matrices = [x[index[len(index) - (x.ndim - 2) :] if x.ndim > 2 else ()] for x in arrays]
        answer = MATRICES[op](*(mp.matrix(x.tolist()) for x in matrices), **attributes)
        part = np.asarray(answer.tolist(), object) if inner else answer
        result[index] = part.reshape(shape[len(shape) - inner :]) if inner else part
    return result
