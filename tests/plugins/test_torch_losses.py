"""Losses at drawn inputs in PyTorch, where it is installed: values and gradients are equal, to rounding."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench

from gradproof.engine.spec import Array

torch = pytest.importorskip("torch", minversion="2.14")

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (5,), (2, 3), (4, 1, 3), (0, 3))
CLASSES: tuple[tuple[int, ...], ...] = ((5,), (4, 3), (2, 3, 4), (2, 3, 2, 5))
LAST = {"weight": 2, "pos_weight": 3}
"""Inputs that PyTorch takes by name."""

Row = tuple[str, list[Array | None], dict[str, Any]]


def pairs(random: np.random.Generator, shape: tuple[int, ...]) -> Iterator[Row]:
    def normal() -> Array:
        return np.asarray(random.normal(size=shape) * 2)

    def share() -> Array:
        return np.asarray(random.uniform(0.02, 0.98, shape))

    def sign() -> Array:
        return np.asarray(random.choice([-1.0, 1.0], shape))

    for op in ("mse_loss", "l1_loss", "huber_loss"):
        yield op, [normal(), normal()], {}
        yield op, [normal(), normal(), share()], {}
    yield "huber_loss", [normal(), normal()], {"delta": 0.3}
    for beta in (0.0, 0.7):
        yield "smooth_l1_loss", [normal(), normal()], {"beta": beta}
    yield "binary_cross_entropy", [share(), share(), share()], {}
    yield "binary_cross_entropy_with_logits", [normal(), share()], {}
    yield "binary_cross_entropy_with_logits", [normal(), share(), share(), share()], {}
    yield "soft_margin_loss", [normal(), sign()], {}
    yield "hinge_embedding_loss", [normal(), sign()], {"margin": 0.3}
    yield "margin_ranking_loss", [normal(), normal(), sign()], {"margin": 0.5}
    for flag in (False, True):
        yield "kl_div", [-share(), share()], {"log_target": flag}
        yield "poisson_nll_loss", [share(), 4 * share()], {"log_input": flag, "full": not flag}
        yield "gaussian_nll_loss", [normal(), normal(), share()], {"full": flag}
        if shape:
            yield "triplet_margin_loss", [normal(), normal(), normal()], {"swap": flag, "p": 1.0 + 2 * flag}
    if shape:
        yield "triplet_margin_loss", [normal(), normal(), normal()], {"margin": 2.0}
        yield "multilabel_soft_margin_loss", [normal(), share(), share()], {}
    if 0 < len(shape) < 3:
        yield "cosine_embedding_loss", [normal(), normal(), sign()[..., 0]], {"margin": 0.2}


def classes(random: np.random.Generator, shape: tuple[int, ...]) -> Iterator[Row]:
    axis = min(len(shape) - 1, 1)
    count, places = shape[axis], (*shape[:axis], *shape[axis + 1 :])
    x, weight, target = random.normal(size=shape), random.uniform(0.1, 1, count), random.integers(0, count, places)
    for w in (None, weight):
        for smoothing in (0.0, 0.3):
            yield "cross_entropy", [x, target, w], {"label_smoothing": smoothing, "ignore_index": count - 1}
            yield "cross_entropy", [x, random.uniform(size=shape), w], {"label_smoothing": smoothing}
        yield "nll_loss", [x, target, w], {"ignore_index": 0}
        if len(shape) < 3:
            yield "multi_margin_loss", [x, target, w], {"p": 2 if w is None else 1, "margin": 0.7}
    if len(shape) < 3:
        yield "multilabel_margin_loss", [x, random.integers(-1, count, shape)], {}


def rows() -> Iterator[Any]:
    random = np.random.default_rng(0)
    for make, shapes in ((pairs, SHAPES), (classes, CLASSES)):
        for shape in shapes:
            for k, (op, inputs, attributes) in enumerate(make(random, shape)):
                given = [x for x in inputs if x is not None]
                for reduction in ("none", "mean", "sum"):
                    name = f"{op} {shape} {k} {reduction}"
                    yield pytest.param(op, given, {**attributes, "reduction": reduction}, id=name)


def in_torch(op: str, inputs: list[Array], attributes: dict[str, Any], seed: Array) -> tuple[Array, Array]:
    """The value and the gradient of the first input."""
    tensors = [torch.tensor(x) for x in inputs]
    tensors[0].requires_grad_()
    function = getattr(torch.nn.functional, op)
    known = inspect.signature(function).parameters
    named = {name: tensors[k] for name, k in LAST.items() if name in known and k < len(tensors)}
    y = function(*tensors[: len(tensors) - len(named)], **named, **attributes)
    [gradient] = torch.autograd.grad(y, tensors[0], torch.tensor(seed).expand(y.shape))
    return y.detach().numpy(), gradient.numpy()


@pytest.mark.filterwarnings("ignore:reduction. .mean. divides the total loss by both the batch size")
@pytest.mark.parametrize(("op", "inputs", "attributes"), list(rows()))
def test_a_loss_is_that_of_pytorch(bench: Bench, op: str, inputs: list[Array], attributes: dict[str, Any]) -> None:
    leaves = {f"x{k}": x for k, x in enumerate(inputs)}
    y = bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"]
    value, gradient = in_torch(op, inputs, attributes, np.array(0.75))
    assert y.shape == value.shape
    np.testing.assert_allclose(y, value, rtol=1e-9, atol=1e-11)
    got = bench.apply(op, inputs, attributes, [np.full(y.shape, 0.75)])[0]
    np.testing.assert_allclose(got, gradient, rtol=1e-8, atol=1e-11)
