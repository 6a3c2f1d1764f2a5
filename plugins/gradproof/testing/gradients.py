"""Gradients of a user's own functions of tensors, against differences and by their verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradproof.client as gp
from gradproof.engine.spec import Array
from gradproof.testing.counterexample import literal
from gradproof.testing.differences import ENOUGH, slope
from gradproof.testing.trial import SEEDS

RANKS = ("wrong", "unchecked", "plausible", "verified")
TOLERANCE = 1e-5
"""Largest relative difference of a slope from that of the gradient: differences of float64 hold more digits than this."""


def assert_gradient(f: Callable[..., gp.Tensor], *inputs: Any, required: str | None = None) -> None:
    """Assert that the gradients of a function of tensors are its derivatives.

    Each gradient is compared with extrapolated differences of ``f`` along each element (of more than 16 elements along 16
    directions), and its verdict may not be ``wrong``. The cotangent of the result has either sign.

    Args:
        f: a function of tensors that returns a tensor. It is called several times, and is to be smooth at ``inputs``.
        inputs: numbers or arrays, which become float64 tensors that require grad; tensors are passed on as they are, and
            no gradient of them is compared.
        required: the least verdict that each gradient is to have: ``"plausible"`` or ``"verified"``.

    Raises:
        AssertionError: naming the input and the element, with both numbers.
        ValueError: if no input gets a gradient, or ``required`` is no verdict.
    """
    if required is not None and required not in RANKS:
        raise ValueError(f"required is {required!r}: a verdict is one of {', '.join(RANKS)}")
    arrays = {k: np.asarray(x, np.float64) for k, x in enumerate(inputs) if not isinstance(x, gp.Tensor)}
    if not arrays:
        raise ValueError("no input gets a gradient: give numbers or arrays")

    def called(moved: dict[int, Array], *, requires_grad: bool = False) -> tuple[dict[int, gp.Tensor], gp.Tensor]:
        leaves = {k: gp.tensor(x, requires_grad=requires_grad) for k, x in moved.items()}
        return leaves, f(*(leaves.get(k, x) for k, x in enumerate(inputs)))

    leaves, result = called(arrays, requires_grad=True)
    seed = np.resize(np.array(SEEDS), result.shape).astype(result.dtype)
    result.backward(gp.tensor(seed))
    for k, x in arrays.items():
        grad = leaves[k].grad
        gradient = np.zeros_like(x) if grad is None else np.asarray(grad)
        for direction in _directions(x):

            def along(t: float, k: int = k, x: Array = x, direction: Array = direction) -> float:
                return float(np.sum(np.asarray(called({**arrays, k: x + t * direction})[1]) * seed))

            _compare(k, x, gradient, direction, along)
        verdict = leaves[k].verdict
        summary = "unchecked" if verdict is None else verdict.summary
        least = RANKS.index("unchecked" if required is None else required)
        if RANKS.index(summary) < least:
            raise AssertionError(f"the gradient of input {k} is {summary}: {verdict.reason if verdict else 'no verdict'}")


def _directions(x: Array) -> list[Array]:
    """Unit vectors, or 16 vectors of signs where there are more elements."""
    if x.size <= 16:
        return [np.reshape(unit, x.shape) for unit in np.eye(x.size)]
    random = np.random.default_rng(0)
    return [random.choice([-1.0, 1.0], x.shape) for _ in range(16)]


def _compare(k: int, x: Array, gradient: Array, direction: Array, along: Callable[[float], float]) -> None:
    """Raises AssertionError if the slope of a function is not that of the gradient."""
    found, got = slope(along), float(np.sum(gradient * direction))
    size = max(abs(found.value), abs(got), 1e-6)
    if not np.isfinite(got) or (
        found.error <= ENOUGH * size and abs(found.value - got) > max(TOLERANCE * size, 10 * found.error)
    ):
        single = np.count_nonzero(direction) == 1
        place = f"element {[int(i) for i in np.argwhere(direction)[0]]}" if single else f"direction {direction.tolist()}"
        raise AssertionError(
            f"the gradient of input {k}{f' at {place}' if x.ndim else ''} is {got:.10g}, and the slope of the function "
            f"{found.value:.10g}, where input {k} is {literal(x)}"
        )
