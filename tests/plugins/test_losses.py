"""Losses: PyTorch's values and gradients, formulas in mpmath at hard points, reductions, weights, faults of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from ml_dtypes import finfo
from tests.conftest import REGISTRY, Bench
from tests.support.graph_runs import DTYPES, every_dtype
from tests.support.torch_losses import LISTED, LOGS, PYTORCH, SIGNS, P, Q, V, W, X, Y
from tests.support.verdicts import graph_of, judge

from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import GradientEvent
from gradproof.engine.errors import DataFault, InvalidRequest
from gradproof.engine.job import Job
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.verdict import SummaryWord

REDUCTIONS = ("none", "mean", "sum")


def loss(bench: Bench, op: str, *inputs: Any, **attributes: Any) -> Array:
    leaves = {f"x{k}": np.asarray(x) for k, x in enumerate(inputs)}
    return np.asarray(bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"])


def gradients(bench: Bench, op: str, *inputs: Any, **attributes: Any) -> list[Any]:
    return bench.apply(op, [np.asarray(x) for x in inputs], attributes)


def called(rows: Sequence[tuple[Any, ...]]) -> Any:
    """Parameters with ids that say which op it is, and which of its rows."""
    return [pytest.param(*row, id=f"{row[0]} {k}") for k, row in enumerate(rows)]


def limits(dtype: DType) -> tuple[float, float, float]:
    """The unit in the last place of 1, the smallest normal and the largest number."""
    info = finfo(dtype)  # type: ignore[no-untyped-call]
    return float(info.eps), float(info.smallest_normal), float(info.max)


# PyTorch


@pytest.mark.parametrize(("op", "inputs", "attributes", "value", "gradient"), called(PYTORCH))
def test_values_and_gradients_are_those_of_pytorch(
    bench: Bench, op: str, inputs: list[Any], attributes: dict[str, Any], value: float, gradient: list[Any]
) -> None:
    np.testing.assert_allclose(loss(bench, op, *inputs, **attributes), value, rtol=1e-11)
    np.testing.assert_allclose(gradients(bench, op, *inputs, **attributes)[0], gradient, rtol=1e-10, atol=1e-12)


# formulas, at hard points

Terms = Callable[..., list[Any]]
"""The terms of a loss, whose sum it is: rounding may be as large as that of the largest."""


def huber(x: Any, t: Any, limit: Any) -> Any:
    d = abs(x - t)
    return d * d / 2 if d < limit else limit * (d - limit / 2)


def logarithm(x: Any) -> Any:
    return max(mp.log(x), -100) if x else -100


def stirling(t: Any) -> list[Any]:
    return [t * mp.log(t), -t, mp.log(2 * mp.pi * t) / 2] if t > 1 else []


WIDE = (-700.0, -88.0, -40.0, -1.0, -1e-3, 0.0, 1e-7, 0.5, 1.0, 3.0, 40.0, 100.0, 1e4)
SHARES = (0.0, 0.25, 0.5, 1.0)
BETWEEN = (0.0, 1e-30, 1e-3, 0.25, 0.5, 0.9375, 1.0)
FORMULAS: dict[str, tuple[str, Terms, dict[str, Any], Sequence[float], Sequence[float]]] = {
    "mse": ("mse_loss", lambda x, t: [(x - t) ** 2], {}, WIDE[2:-1], WIDE[2:-1]),
    "l1": ("l1_loss", lambda x, t: [abs(x - t)], {}, WIDE, WIDE),
    "huber": ("huber_loss", lambda x, t: [huber(x, t, 1)], {}, WIDE, WIDE),
    "huber 3": ("huber_loss", lambda x, t: [huber(x, t, 3)], {"delta": 3}, WIDE, WIDE),
    "smooth l1": ("smooth_l1_loss", lambda x, t: [2 * huber(x, t, mp.mpf("0.5"))], {"beta": 0.5}, WIDE, WIDE),
    "smooth l1 0": ("smooth_l1_loss", lambda x, t: [abs(x - t)], {"beta": 0.0}, WIDE, WIDE),
    "bce": ("binary_cross_entropy",
            lambda x, t: [-t * logarithm(x), (t - 1) * logarithm(1 - x)], {}, BETWEEN, SHARES),
    "bce of logits": ("binary_cross_entropy_with_logits",
                      lambda x, t: [t * mp.log1p(mp.exp(-x)), (1 - t) * mp.log1p(mp.exp(x))], {}, WIDE, SHARES),
    "soft margin": ("soft_margin_loss", lambda x, t: [mp.log1p(mp.exp(-x * t))], {}, WIDE, (-1.0, 1.0)),
    "hinge": ("hinge_embedding_loss", lambda x, t: [x if t == 1 else max(0, 2 - x)], {"margin": 2}, WIDE, (-1.0, 1.0)),
    "kl": ("kl_div", lambda x, t: [t * mp.log(t) if t else 0, -t * x], {}, WIDE, SHARES),
    "kl of logs": ("kl_div", lambda x, t: [mp.exp(t) * t, -mp.exp(t) * x], {"log_target": True}, WIDE, (-20.0, -1.0, 0.0)),
    "poisson": ("poisson_nll_loss", lambda x, t: [mp.exp(x), -t * x], {}, WIDE[:-3], (0.0, 1.0, 7.0)),
    "poisson full": ("poisson_nll_loss",
                     lambda x, t: [mp.exp(x), -t * x, *stirling(t)], {"full": True}, WIDE[:-3], (0.0, 1.5, 7.0)),
    "poisson of rates": ("poisson_nll_loss", lambda x, t: [x, -t * mp.log(x + mp.mpf(2) ** -10)],
                         {"log_input": False, "eps": 2.0**-10}, (0.0, 0.5, 40.0), (0.0, 1.0, 7.0)),
}  # fmt: skip


def moved(points: Sequence[float], dtype: DType) -> Array:
    """The points in a dtype, without those that are beyond its range there."""
    array = np.array(points).astype(dtype)
    return np.asarray(array[np.isfinite(array.astype(float))])


@pytest.mark.sweep(of=3)
@every_dtype
@pytest.mark.parametrize("name", FORMULAS)
def test_losses_keep_their_digits(bench: Bench, name: str, dtype: DType) -> None:
    op, terms, attributes, points, targets = FORMULAS[name]
    x, t = moved(points, dtype)[:, None], moved(targets, dtype)
    y = loss(bench, op, x, t, reduction="none", **attributes)
    assert y.dtype == dtype
    unit, smallest, largest = limits(dtype)
    with mp.workprec(2000):
        for (i, j), got in np.ndenumerate(y.astype(float)):
            parts = terms(mp.mpf(float(x[i, 0])), mp.mpf(float(t[j])))
            true, scale = mp.fsum(parts), max(map(abs, parts))
            if scale < largest / 2:
                assert abs(got - true) <= 4 * unit * scale + smallest, (x[i], t[j], got, float(true))


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients_are_the_slopes_of_the_formula(bench: Bench, name: str) -> None:
    op, terms, attributes, points, targets = FORMULAS[name]
    x, t = np.meshgrid(np.array(points) + 1 / 64, targets)
    inside = (x < 1) if name == "bce" else np.full(x.shape, True)
    got, _ = gradients(bench, op, x[inside], t[inside], reduction="sum", **attributes)
    with mp.workdps(400):
        for at, target, slope in zip(x[inside].tolist(), t[inside].tolist(), got.tolist(), strict=True):
            target = mp.mpf(target)
            true = mp.diff(lambda z: mp.fsum(terms(z, target)), mp.mpf(at), h=mp.mpf(10) ** -100)  # noqa: B023
            assert abs(slope - true) <= 1e-13 * abs(true) + 1e-15, (at, target, slope, float(true))


def logits_in_words(x: Array, target: Array, weight: Any, smoothing: float, ignored: int) -> tuple[list[Any], list[Any]]:
    """Losses and weights of cross_entropy with classes along axis 1, place by place."""
    losses, weights = [], []
    for place in np.ndindex(target.shape):
        line = [mp.mpf(v) for v in x[place[0], :, *place[1:]]]
        total = mp.log(mp.fsum(map(mp.exp, line)))
        logs = [v - total for v in line]
        w = [mp.mpf(1)] * len(line) if weight is None else [mp.mpf(v) for v in weight]
        k = int(target[place])
        spread = mp.fsum(-a * b for a, b in zip(w, logs, strict=True)) * smoothing / len(line)
        losses.append(0 if k == ignored else -w[k] * logs[k] * (1 - mp.mpf(smoothing)) + spread)
        weights.append(0 if k == ignored else w[k])
    return losses, weights


@pytest.mark.parametrize("smoothing", [0.0, 0.125, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 2, 3, 2), (1, 1)])
def test_cross_entropy_is_what_it_says(bench: Bench, shape: tuple[int, ...], weighted: bool, smoothing: float) -> None:
    random = np.random.default_rng(shape)
    x, weight = random.normal(size=shape) * 5, random.uniform(0.5, 2, shape[1])
    target = random.integers(0, shape[1], (shape[0], *shape[2:]))
    target.flat[-1] = 7 if target.size > 1 else 0
    more = [weight] if weighted else []
    with mp.workdps(40):
        losses, weights = logits_in_words(x, target, weight if weighted else None, smoothing, 7)
        expected = {"none": losses, "sum": mp.fsum(losses), "mean": mp.fsum(losses) / mp.fsum(weights)}
    for reduction in REDUCTIONS:
        y = loss(bench, "cross_entropy", x, target, *more, ignore_index=7, label_smoothing=smoothing, reduction=reduction)
        assert y.shape == (target.shape if reduction == "none" else ())
        np.testing.assert_allclose(y.ravel(), np.array(expected[reduction], float).ravel(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_of_one_class_are_that_class(bench: Bench, weighted: bool) -> None:
    """The mean over places differs: of classes it is by their weights, of probabilities by the count of places."""
    x, target, weight = np.array(X), np.array([2, 0]), [np.array(V)] if weighted else []
    for smoothing in (0.0, 0.25):
        for reduction in REDUCTIONS if not weighted else ("none", "sum"):
            options = {"label_smoothing": smoothing, "reduction": reduction}
            of_classes = loss(bench, "cross_entropy", x, target, *weight, **options)
            np.testing.assert_allclose(loss(bench, "cross_entropy", x, np.eye(3)[target], *weight, **options), of_classes)


def test_cross_entropy_is_nll_loss_of_log_softmax(bench: Bench) -> None:
    x, target = np.array(X), np.array([2, 0])
    logs = bench.values({"x": x}, [("y = log_softmax(x)", {"axis": 1})], "y")["y"]
    for more in ([], [np.array(V)]):
        np.testing.assert_allclose(
            loss(bench, "nll_loss", logs, target, *more), loss(bench, "cross_entropy", x, target, *more)
        )


@pytest.mark.parametrize("p", [1, 2])
def test_margins_of_classes(bench: Bench, p: int) -> None:
    x, target, weight = np.array(X), np.array([2, 0]), np.array(V)
    expected = [
        weight[k] * sum(max(0.0, 0.75 - line[k] + line[j]) ** p for j in range(3) if j != k) / 3
        for line, k in zip(x, target, strict=True)
    ]
    for options in ({"p": p, "margin": 0.75, "reduction": "none"},):
        np.testing.assert_allclose(loss(bench, "multi_margin_loss", x, target, weight, **options), expected)
    np.testing.assert_allclose(
        loss(bench, "multi_margin_loss", x[1], target[1], weight, p=p, margin=0.75, reduction="none"), expected[1]
    )


def test_margins_of_several_labels(bench: Bench) -> None:
    expected = []
    for line, labels in zip(X, LISTED, strict=True):
        chosen = labels[: labels.index(-1)]
        others = [line[k] for k in range(3) if k not in chosen]
        expected.append(sum(max(0.0, 1 - line[k] + other) for k in chosen for other in others) / 3)
    np.testing.assert_allclose(loss(bench, "multilabel_margin_loss", X, LISTED, reduction="none"), expected)
    assert loss(bench, "multilabel_margin_loss", X, np.full((2, 3), -1)) == 0


# distances


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5, np.inf])
@pytest.mark.parametrize("swap", [False, True])
def test_triplets(bench: Bench, p: float, swap: bool) -> None:
    a, b, c = np.random.default_rng(3).normal(size=(3, 5, 4))
    d = [np.linalg.norm(u - v + 1e-6, p, axis=-1) for u, v in ((a, b), (a, c), (b, c))]
    expected = np.maximum(d[0] - (np.minimum(d[1], d[2]) if swap else d[1]) + 1.5, 0)
    options = {"p": p, "swap": swap, "margin": 1.5}
    np.testing.assert_allclose(loss(bench, "triplet_margin_loss", a, b, c, reduction="none", **options), expected)
    np.testing.assert_allclose(loss(bench, "triplet_margin_loss", a[0], b[0], c[0], **options), expected[0])


def test_a_triplet_of_equal_points_has_no_gradient(bench: Bench) -> None:
    """As in PyTorch: a distance has the gradient 0 where it is 0, and not nan. Nor does a large one overflow."""
    for p in (1.0, 2.0, 3.0):
        for gradient in gradients(bench, "triplet_margin_loss", X, X, X, eps=0.0, p=p):
            assert not gradient.any()
        far = np.array(X) * 1e200
        assert np.isfinite(gradients(bench, "triplet_margin_loss", far, -far, far, p=p)[0]).all()


def test_cosines(bench: Bench) -> None:
    a, b = np.random.default_rng(4).normal(size=(2, 4, 3))
    cosine = np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    target = np.array([1, -1, 1, -1])
    expected = np.where(target == 1, 1 - cosine, np.maximum(cosine + 0.5, 0))
    np.testing.assert_allclose(loss(bench, "cosine_embedding_loss", a, b, target, margin=-0.5), np.mean(expected))
    np.testing.assert_allclose(loss(bench, "cosine_embedding_loss", a[1], b[1], target[1], margin=-0.5), expected[1])
    assert loss(bench, "cosine_embedding_loss", np.zeros(3), np.zeros(3), 1) == 1


# reductions, weights, shapes, dtypes

PAIRS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
         "soft_margin_loss", "hinge_embedding_loss", "kl_div", "poisson_nll_loss")  # fmt: skip
WEIGHTED = (*PAIRS[:2], *PAIRS[3:6])


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize("op", PAIRS)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 0), (0,), (3, 1, 2)])
def test_reductions_are_those_of_the_losses(bench: Bench, op: str, shape: tuple[int, ...]) -> None:
    x, t = np.random.default_rng(1).uniform(0.1, 0.9, (2, *shape))
    losses = loss(bench, op, x, t, reduction="none")
    assert losses.shape == shape
    np.testing.assert_allclose(loss(bench, op, x, t, reduction="sum"), np.sum(losses))
    mean = loss(bench, op, x, t)
    np.testing.assert_allclose(mean, np.mean(losses) if losses.size else np.nan)
    for gradient in gradients(bench, op, x, t):
        assert gradient is None or gradient.shape == shape


@pytest.mark.parametrize("op", WEIGHTED)
def test_weights_are_factors(bench: Bench, op: str) -> None:
    losses, w = loss(bench, op, P, Q, reduction="none"), np.array(W)
    np.testing.assert_allclose(loss(bench, op, P, Q, W, reduction="none"), losses * w)
    np.testing.assert_allclose(loss(bench, op, P, Q, V, reduction="sum"), np.sum(losses * V))
    share = np.sum(w) if op in ("mse_loss", "l1_loss") else w.size
    np.testing.assert_allclose(loss(bench, op, P, Q, W), np.sum(losses * w) / share)
    *_, gradient = gradients(bench, op, P, Q, W, reduction="sum")
    np.testing.assert_allclose(gradient, losses)


def test_the_mean_over_the_batch(bench: Bench) -> None:
    total = loss(bench, "kl_div", LOGS, Q, reduction="sum")
    np.testing.assert_allclose(loss(bench, "kl_div", LOGS, Q, reduction="batchmean"), total / 2)
    np.testing.assert_allclose(loss(bench, "kl_div", -1.0, 0.5, reduction="batchmean"), 0.5 * np.log(0.5) + 0.5)
    assert np.isnan(loss(bench, "kl_div", np.zeros((0, 2)), np.zeros((0, 2)), reduction="batchmean"))


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_a_mean_of_nothing_is_no_number(bench: Bench, op: str) -> None:
    """As in PyTorch: all targets ignored, none at all, or weights of 0."""
    for x, target, *weight in ((X, [-100, -100]), (np.zeros((0, 3)), np.zeros(0, int)), (X, [1, 1], [1.0, 0.0, 2.0])):
        assert np.isnan(loss(bench, op, x, target, *weight))
        assert loss(bench, op, x, target, *weight, reduction="sum") == 0
    assert loss(bench, op, X, [-100, 2], reduction="none")[0] == 0


def test_ignored_places_have_no_gradient(bench: Bench) -> None:
    x, _ = gradients(bench, "cross_entropy", X, [-100, 2], label_smoothing=0.25)
    assert not x[0].any()
    assert x[1].all()


def test_the_variance_has_a_shape_of_its_own(bench: Bench) -> None:
    x, t, var = np.array(X), np.array(Y), np.array([0.5, 2.0])
    expected = (np.log(var[:, None]) + (x - t) ** 2 / var[:, None]) / 2
    for given in (var, var[:, None], np.repeat(var[:, None], 3, 1)):
        np.testing.assert_allclose(loss(bench, "gaussian_nll_loss", x, t, given, reduction="none"), expected)
    full = loss(bench, "gaussian_nll_loss", x, t, var, full=True)
    np.testing.assert_allclose(full, np.mean(expected) + np.log(2 * np.pi) / 2)
    small = loss(bench, "gaussian_nll_loss", 1.0, 1.0, 0.0, eps=0.25)
    np.testing.assert_allclose(small, np.log(0.25) / 2)


@pytest.mark.parametrize("labels", ["bool", "int8", "int64"])
@pytest.mark.parametrize("op", PAIRS)
def test_labels_may_be_integers(bench: Bench, op: str, labels: str) -> None:
    """They have the dtype of the other input, as in PyTorch, and do not widen it."""
    x, t = np.array(P, np.float32), np.array([[1, 0, 1], [0, 1, 1]])
    y = loss(bench, op, x, t.astype(labels), reduction="none")
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, loss(bench, op, x, t.astype(np.float32), reduction="none"), rtol=1e-6)


def test_integers_do_not_wrap(bench: Bench) -> None:
    a, b = np.array([1, 2], np.uint8), np.array([2, 1], np.uint8)
    for op in ("l1_loss", "mse_loss", "huber_loss"):
        y = loss(bench, op, a, b)
        assert y == (0.5 if op == "huber_loss" else 1)
        assert y.dtype == np.float64


def test_distances_of_complex_numbers(bench: Bench) -> None:
    np.testing.assert_allclose(loss(bench, "l1_loss", [3 + 4j, 1j], [0, 0]), 3)
    np.testing.assert_allclose(gradients(bench, "l1_loss", [3 + 4j], [0j])[0], [0.6 + 0.8j])


@every_dtype
@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss", "multi_margin_loss"])
def test_losses_of_classes_have_the_dtype_of_x(bench: Bench, op: str, dtype: DType) -> None:
    x = np.array(X).astype(dtype)
    for target in (np.array([2, 0], kind) for kind in (np.uint8, np.int32, np.int64)):
        y = loss(bench, op, x, target)
        assert y.dtype == dtype
        np.testing.assert_allclose(float(y), loss(bench, op, X, target), rtol=2 * limits(dtype)[0])


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_a_mean_of_many_halves_is_in_range(bench: Bench, half: str) -> None:
    """Neither the sum of 100,000 losses nor their count is a number of float16."""
    dtype, count = DTYPES[half], 100_000
    x = np.zeros((count, 3)).astype(dtype)
    y = loss(bench, "cross_entropy", x, np.arange(count) % 3)
    np.testing.assert_allclose(float(y), np.log(3), rtol=limits(dtype)[0])
    y = loss(bench, "mse_loss", x + np.array(200).astype(dtype), x)
    assert float(y) == 4e4 if half == "float16" else abs(float(y) - 4e4) < 200


# faults


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss", "multi_margin_loss"])
@pytest.mark.parametrize("bad", [3, -1, 2**40])
def test_a_class_out_of_range_is_named(bench: Bench, op: str, bad: int) -> None:
    with pytest.raises(DataFault, match=f"{bad} is out of range: it must be at least 0 and at most 2") as fault:
        loss(bench, op, X, [0, bad])
    assert (fault.value.element, fault.value.op) == ("[1]", op)


def test_a_listed_label_out_of_range_is_named(bench: Bench) -> None:
    assert loss(bench, "multilabel_margin_loss", X, [[0, -1, 9], [-1, 9, 9]]) >= 0
    with pytest.raises(DataFault, match="9 is out of range") as fault:
        loss(bench, "multilabel_margin_loss", X, [[0, -1, 9], [1, 9, -1]])
    assert fault.value.element == "[1, 1]"


@pytest.mark.parametrize(
    ("op", "inputs", "element"),
    [
        ("binary_cross_entropy", [[0.5, 1.5], [1.0, 1.0]], "[1]"),
        ("binary_cross_entropy", [[-1e-3, 0.5], [1.0, 1.0]], "[0]"),
        ("gaussian_nll_loss", [[0.5, 1.5], [1.0, 1.0], [1.0, -0.5]], "[1]"),
    ],
)
def test_a_number_out_of_range_is_named(bench: Bench, op: str, inputs: list[Any], element: str) -> None:
    with pytest.raises(DataFault, match="is out of range") as fault:
        loss(bench, op, *inputs)
    assert fault.value.element == element


REFUSED: list[tuple[str, list[Any], dict[str, Any], str]] = [
    ("mse_loss", [X, Y], {"reduction": "avg"}, "reduction is 'avg'; it must be none, mean or sum"),
    ("mse_loss", [X, Y], {"reduction": "batchmean"}, "reduction is 'batchmean'"),
    ("mse_loss", [X, [1.0, 2.0]], {}, "do not broadcast"),
    ("mse_loss", [np.zeros(2, complex), np.zeros(2)], {}, "not defined for complex numbers"),
    ("huber_loss", [X, Y], {"delta": 0.0}, "delta is 0.0; it must be above 0"),
    ("smooth_l1_loss", [X, Y], {"beta": -1.0}, "beta is -1.0; it must be above 0"),
    ("smooth_l1_loss", [X, Y], {"beta": "1"}, "beta is '1'; it must be a number"),
    ("kl_div", [X, Y], {"log_target": 1}, "log_target is 1; it must be true or false"),
    ("cross_entropy", [X, [0, 1, 2]], {}, r"target has shape \(3,\); it must be \(2,\), a class for each place"),
    ("cross_entropy", [X, [[0, 1, 2], [0, 1, 2]]], {}, r"target has shape \(2, 3\); it must be \(2,\)"),
    ("cross_entropy", [X, [0.5, 0.5]], {}, "probabilities of classes have that of x"),
    ("cross_entropy", [X, [True, False]], {}, "target is bool; classes are integers"),
    ("cross_entropy", [X, [0, 1], [1.0, 2.0]], {}, r"weight has shape \(2,\); it must hold a number for each of 3 classes"),
    ("cross_entropy", [X, [0, 1]], {"label_smoothing": 1.5}, "label_smoothing is 1.5; it must be from 0 to 1"),
    ("cross_entropy", [X, [0, 1]], {"ignore_index": 1.5}, "ignore_index is 1.5; it must be an integer"),
    ("cross_entropy", [1.0, 0], {}, "has no classes"),
    ("cross_entropy", [np.zeros((2, 0)), [0, 0]], {}, "has no classes"),
    ("nll_loss", [np.zeros((2, 3), complex), [0, 0]], {}, "not defined for complex numbers"),
    ("multi_margin_loss", [X, [0, 1]], {"p": 3}, "p is 3; it must be 1 or 2"),
    ("multi_margin_loss", [np.zeros((2, 3, 4)), [0, 1]], {}, "x has rank 3; it must be 1 or 2"),
    ("cosine_embedding_loss", [X, Y, SIGNS], {}, "that of target must be one less"),
    ("triplet_margin_loss", [X, Y, V], {}, "the ranks must be equal"),
    ("triplet_margin_loss", [X, Y, Y], {"p": 0.0}, "p is 0.0; it must be above 0"),
    ("triplet_margin_loss", [X, Y, Y], {"eps": None}, "eps is None; it must be a number"),
    ("poisson_nll_loss", [X, Y], {"eps": "0", "log_input": False}, "eps is '0'; it must be a number"),
    *(
        (op, [X, Y, *more], {"margin": True}, "margin is True; it must be a number")
        for op, more in (("hinge_embedding_loss", []), ("margin_ranking_loss", [Y]), ("triplet_margin_loss", [Y]))
    ),
    ("multi_margin_loss", [X, [0, 1]], {"margin": "1"}, "margin is '1'; it must be a number"),
    ("multilabel_soft_margin_loss", [1.0, 1.0], {}, "needs an axis of labels"),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "text"), called(REFUSED))
def test_what_does_not_fit_is_refused(
    bench: Bench, op: str, inputs: list[Any], attributes: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidRequest, match=text):
        loss(bench, op, *inputs, **attributes)


# corners, where PyTorch 2.14 takes the slope of smallest magnitude


def test_slopes_at_corners(bench: Bench) -> None:
    assert gradients(bench, "l1_loss", 1.0, 1.0) == [0, 0]
    assert gradients(bench, "margin_ranking_loss", 1.0, 1.0, 1.0)[:2] == [0, 0]
    assert gradients(bench, "hinge_embedding_loss", 1.0, -1) == [0, None]
    assert [gradients(bench, "huber_loss", x, 0.0)[0] for x in (-1.0, 0.0, 1.0, np.inf)] == [-1, 0, 1, 1]
    assert not gradients(bench, "multi_margin_loss", [1.0, 0.0, -2.0], 0)[0].any()


def test_a_certain_probability_has_a_finite_loss(bench: Bench) -> None:
    """Its logarithm is limited to -100, and flat there: the gradient is that of the limited function."""
    x, t = [0.0, 1.0, 0.0, 1.0, 1e-50], [1.0, 0.0, 0.0, 1.0, 1.0]
    np.testing.assert_array_equal(loss(bench, "binary_cross_entropy", x, t, reduction="none"), [100, 100, 0, 0, 100])
    np.testing.assert_array_equal(gradients(bench, "binary_cross_entropy", x, t, reduction="sum")[0], [0, 0, 1, -1, 0])


def test_the_gradients_of_what_a_limit_hides(bench: Bench) -> None:
    """A variance below eps, and the logarithm of a target of 0; PyTorch gives others."""
    assert gradients(bench, "gaussian_nll_loss", 0.5, 0.0, 1e-7)[2] == 0
    assert gradients(bench, "gaussian_nll_loss", 0.5, 0.0, 0.125, eps=0.125)[2] == (1 / 0.125 - 0.25 / 0.125**2) / 2
    np.testing.assert_array_equal(gradients(bench, "kl_div", [-2.0, -1.0], [0.0, 1.0], reduction="sum")[1], [2, 2])


def test_a_masked_class_costs_nothing(bench: Bench) -> None:
    x = [[1.0, 2.0, -np.inf]]
    np.testing.assert_allclose(loss(bench, "cross_entropy", x, [1]), np.log1p(np.exp(-1)))
    np.testing.assert_allclose(gradients(bench, "cross_entropy", x, [1])[0], [[0.268941421369995, -0.268941421369995, 0]])


# second derivatives


SECOND = [
    ("mse_loss", [X, Y]),
    ("huber_loss", [X, Y]),
    ("binary_cross_entropy", [P, Q]),
    ("binary_cross_entropy_with_logits", [X, Q, W, V]),
    ("gaussian_nll_loss", [X, Y, W]),
    ("triplet_margin_loss", [X, Y, Y[::-1]]),
    ("cross_entropy", [X, [2, 0], V]),
    ("cross_entropy", [X, Q]),
]


@pytest.mark.parametrize(("op", "inputs"), called(SECOND))
def test_the_gradient_of_a_gradient(bench: Bench, op: str, inputs: list[Any]) -> None:
    """Against central differences of the gradient."""
    x, *rest = (np.asarray(value) for value in inputs)
    graph, values = graph_of(op, x, *rest)
    derived = derive(graph, REGISTRY, Mode.GRADIENT, ["x0"])
    [gradient] = [str(derivative.value) for derivative in derived.derivatives]
    seed, known = np.random.default_rng(0).normal(size=x.shape), {leaf.name for leaf in derived.graph.leaves}
    given = {name: value for name, value in (*values, *derived.values) if name in known}
    job = Job(replace(derived.graph, outputs=(gradient,)), tuple(given.items()), ((gradient, seed),))
    [second] = [e.gradient for e in bench.events(job)[0] if isinstance(e, GradientEvent) and e.name == "x0"]
    assert second is not None
    step = 1e-5
    for place in np.ndindex(x.shape):
        moved = np.zeros(x.shape)
        moved[place] = step
        apart = gradients(bench, op, x + moved, *rest)[0] - gradients(bench, op, x - moved, *rest)[0]
        assert second[place] == pytest.approx(np.sum(seed * apart) / (2 * step), rel=1e-6, abs=1e-7)


# verdicts


@pytest.mark.parametrize("shape", [(1000, 10), (128, 1000)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_gradients_of_real_size_are_verified(shape: tuple[int, int], dtype: type) -> None:
    random = np.random.default_rng(0)
    x: Array = random.normal(size=shape).astype(dtype)
    target = random.integers(0, shape[1], shape[0])
    target[3] = -100
    verdict = judge(REGISTRY, "cross_entropy", x, target)["x0"]
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(("op", "inputs", "attributes", "value", "gradient"), called(PYTORCH))
def test_gradients_are_verified(
    op: str, inputs: list[Any], attributes: dict[str, Any], value: float, gradient: list[Any]
) -> None:
    """That of the first input: some targets are at a jump of a formula in the target."""
    verdict = judge(REGISTRY, op, *map(np.asarray, inputs), **attributes)["x0"]
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
