"""Activations: values and slopes against mpmath, and PyTorch's conventions at corners and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench

from gradproof.engine.derive import Mode, derive
from gradproof.engine.graph import Node
from gradproof.engine.inference import InferenceError
from gradproof.engine.job import Job
from gradproof.engine.spec import Array, DType, Spec

mp = mpmath.mp
DTYPES = [np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)]
Attributes = Mapping[str, Any]


def logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def limited(x: Any, low: Any, high: Any) -> Any:
    return max(min(x, high), low)


def exponential(alpha: Any) -> Callable[[Any], Any]:
    return lambda x: x if x > 0 else alpha * mp.expm1(x)


TANH = {"approximate": "tanh"}
FORMULAS: tuple[tuple[str, Attributes, Callable[[Any], Any]], ...] = (
    ("softplus", {}, lambda x: mp.log1p(mp.exp(x))),
    ("softplus", {"beta": 2.5}, lambda x: mp.log1p(mp.exp(2.5 * x)) / 2.5),
    ("softplus", {"beta": 0.5, "threshold": 2.0}, lambda x: x if x > 4 else 2 * mp.log1p(mp.exp(x / 2))),
    ("mish", {}, lambda x: x * mp.tanh(mp.log1p(mp.exp(x)))),
    ("softsign", {}, lambda x: x / (1 + abs(x))),
    ("tanhshrink", {}, lambda x: x - mp.tanh(x)),
    ("gelu", {}, lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2),
    ("gelu", TANH, lambda x: x * logistic(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))),
    ("logsigmoid", {}, lambda x: -mp.log1p(mp.exp(-x))),
    ("relu6", {}, lambda x: limited(x, 0, 6)),
    ("leaky_relu", {"negative_slope": 0.25}, lambda x: x if x > 0 else x / 4),
    ("rrelu", {"lower": 0.25, "upper": 0.75}, lambda x: x if x > 0 else x / 2),
    ("elu", {"alpha": 1.5}, exponential(1.5)),
    ("selu", {}, lambda x: mp.mpf("1.05070098735548049") * exponential(mp.mpf("1.67326324235437728"))(x)),
    ("celu", {"alpha": 2.0}, lambda x: x if x > 0 else 2 * mp.expm1(x / 2)),
    ("hardtanh", {"min": -2.0, "max": 0.5}, lambda x: limited(x, -2, 0.5)),
    ("hardsigmoid", {}, lambda x: limited(x + 3, 0, 6) / 6),
    ("hardswish", {}, lambda x: x * limited(x + 3, 0, 6) / 6),
    ("hardshrink", {"lambd": 0.75}, lambda x: x if abs(x) > 0.75 else 0),
    ("softshrink", {"lambd": 0.75}, lambda x: mp.sign(x) * max(abs(x) - 0.75, 0)),
    ("threshold", {"threshold": 0.125, "value": -7.0}, lambda x: x if x > 0.125 else -7),
)
IDS = [" ".join([op, *(f"{name}={value}" for name, value in attributes.items())]) for op, attributes, _ in FORMULAS]
POINTS = (
    -90.0,
    -30.0,
    -9.5,
    -5.5,
    -3.25,
    -2.25,
    -1.0,
    -0.3,
    -1e-2,
    -1e-7,
    1e-7,
    1e-2,
    0.3,
    1.0,
    2.75,
    5.5,
    7.0,
    30.0,
    90.0,
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("op", "attributes", "formula"), FORMULAS, ids=IDS)
def test_values_and_slopes(
    bench: Bench, op: str, attributes: Attributes, formula: Callable[[Any], Any], dtype: DType
) -> None:
    """To a few units in the last place, between the corners of the formula."""
    x = np.array(POINTS).astype(dtype)
    (value,) = bench.values({"x": x}, [(f"y = {op}(x)", attributes)], "y").values()
    (slope,) = bench.apply(op, [x], attributes)
    assert value.dtype == slope.dtype == dtype
    with mp.workdps(60):
        points = [mp.mpf(float(at)) for at in x]
        assert_near(value, [formula(at) for at in points])
        assert_near(slope, [mp.diff(formula, at, h=mp.mpf(10) ** -25) for at in points])


def assert_near(numbers: Array, truth: Sequence[Any]) -> None:
    info = ml_dtypes.finfo(numbers.dtype)  # type: ignore[no-untyped-call]
    for got, true, at in zip(numbers.astype(float), truth, POINTS, strict=True):
        unit = max(abs(true) * float(info.eps), float(info.smallest_subnormal))
        assert abs(got - true) <= 20 * unit, (at, got, float(true))


CORNERS: tuple[tuple[str, Attributes, float, float, float], ...] = (
    ("relu6", {}, 0.0, 0.0, 0.0),
    ("relu6", {}, 6.0, 6.0, 0.0),
    ("leaky_relu", {"negative_slope": 0.25}, 0.0, 0.0, 0.25),
    ("leaky_relu", {"negative_slope": -0.5}, 0.0, 0.0, -0.5),
    ("rrelu", {}, 0.0, 0.0, 11 / 48),
    ("elu", {"alpha": 2.0}, 0.0, 0.0, 2.0),
    ("selu", {}, 0.0, 0.0, 1.7580993408473766),
    ("celu", {"alpha": 2.0}, 0.0, 0.0, 1.0),
    ("celu", {"alpha": -2.0}, -1.0, -1.2974425414002564, 1.6487212707001282),
    ("hardtanh", {}, -1.0, -1.0, 0.0),
    ("hardtanh", {}, 1.0, 1.0, 0.0),
    ("hardsigmoid", {}, -3.0, 0.0, 0.0),
    ("hardsigmoid", {}, 3.0, 1.0, 0.0),
    ("hardswish", {}, -3.0, 0.0, 0.0),
    ("hardswish", {}, 3.0, 3.0, 1.0),
    ("hardshrink", {}, 0.5, 0.0, 0.0),
    ("hardshrink", {}, -0.5, 0.0, 0.0),
    ("softshrink", {}, 0.5, 0.0, 0.0),
    ("softshrink", {}, -0.5, 0.0, 0.0),
    ("threshold", {"threshold": 1.0, "value": 7.0}, 1.0, 7.0, 0.0),
    ("softplus", {"threshold": 20.0}, 20.0, 20.000000002061153, 0.9999999979388464),
    ("softplus", {"beta": -2.0}, 3.0, -0.0012378425688652247, 0.0024726231566347748),
    ("softsign", {}, 0.0, 0.0, 1.0),
    ("mish", {}, 0.0, 0.0, 0.6),
    ("gelu", TANH, 0.0, 0.0, 0.5),
    ("tanhshrink", {}, 0.0, 0.0, 0.0),
    ("logsigmoid", {}, -1000.0, -1000.0, 1.0),
)
"""Values and slopes of PyTorch 2.14."""


@pytest.mark.parametrize(("op", "attributes", "at", "value", "slope"), CORNERS, ids=lambda part: str(part)[:24])
def test_corners_are_those_of_pytorch(
    bench: Bench, op: str, attributes: Attributes, at: float, value: float, slope: float
) -> None:
    (got,) = bench.values({"x": np.array([at])}, [(f"y = {op}(x)", attributes)], "y").values()
    np.testing.assert_allclose(got, [value], rtol=4e-15)
    np.testing.assert_allclose(bench.apply(op, [np.array([at])], attributes)[0], [slope], rtol=1e-14)


LIMITS = {
    "softplus": ((0, 0), (np.inf, 1)),
    "silu": ((0, 0), (np.inf, 1)),
    "mish": ((0, 0), (np.inf, 1)),
    "gelu": ((0, 0), (np.inf, 1)),
    "softsign": ((-1, 0), (1, 0)),
    "tanhshrink": ((-np.inf, 1), (np.inf, 1)),
    "relu6": ((0, 0), (6, 0)),
    "leaky_relu": ((-np.inf, 0.01), (np.inf, 1)),
    "elu": ((-1, 0), (np.inf, 1)),
    "celu": ((-1, 0), (np.inf, 1)),
    "hardtanh": ((-1, 0), (1, 0)),
    "hardsigmoid": ((0, 0), (1, 0)),
    "hardshrink": ((-np.inf, 1), (np.inf, 1)),
    "softshrink": ((-np.inf, 1), (np.inf, 1)),
    "logsigmoid": ((-np.inf, 1), (0, 0)),
}
"""Value and slope at -∞ and ∞."""


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", LIMITS)
def test_limits(bench: Bench, op: str, dtype: DType) -> None:
    ends = np.array([-np.inf, np.inf], dtype)
    values = bench.values({"x": ends}, [f"y = {op}(x)"], "y")["y"].astype(float)
    slopes = bench.apply(op, [ends])[0].astype(float)
    expected = np.array(LIMITS[op]).astype(dtype).astype(float)
    np.testing.assert_array_equal(np.stack([values, slopes], 1), expected)
    assert np.isnan(bench.values({"x": np.array([np.nan], dtype)}, [f"y = {op}(x)"], "y")["y"].astype(float))


def test_hardswish_at_the_ends(bench: Bench) -> None:
    """-∞ times 0 is nan, as in PyTorch; the slopes are their limits."""
    ends = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(bench.values({"x": ends}, ["y = hardswish(x)"], "y")["y"], [np.nan, np.inf])
    np.testing.assert_array_equal(bench.apply("hardswish", [ends])[0], [0, 1])


REFUSED: tuple[tuple[str, tuple[Spec, ...], Attributes, str], ...] = tuple(
    (op, tuple(Spec(shape, np.dtype(dtype)) for shape in shapes), attributes, text)
    for op, dtype, shapes, attributes, text in (
        ("hardtanh", "f8", [(2,)], {"min": 2.0, "max": 1.0}, "min is 2.0, which is above max, 1.0"),
        ("rrelu", "f8", [(2,)], {"lower": 0.5, "upper": 0.25}, "lower is 0.5, which is above upper, 0.25"),
        ("softshrink", "f8", [(2,)], {"lambd": -1.0}, "lambd is -1.0; it must be 0 or more"),
        ("celu", "f8", [(2,)], {"alpha": 0.0}, "alpha is 0; x / alpha has no value"),
        ("softplus", "f8", [(2,)], {"beta": 0.0}, "beta is 0; 1 / beta has no value"),
        ("softplus", "f8", [(2,)], {"beta": (None,)}, "it must be a number"),
        ("softplus", "f8", [(2,)], {"threshold": "x"}, "threshold is 'x'; it must be a number"),
        ("gelu", "f8", [(2,)], {"approximate": "erf"}, "approximate is 'erf'; it must be 'none' or 'tanh'"),
        ("glu", "f8", [(2, 3)], {}, r"axis 1 of float64\[2, 3\] has an odd size: it has no halves"),
        ("glu", "f8", [()], {}, "axis -1 is out of range for rank 0"),
        ("prelu", "f8", [(2, 3), (2,)], {}, r"weight has shape \(2,\); it must be a number, or one for each of 3 channels"),
        ("prelu", "f8", [(3,), (3,)], {}, r"weight has shape \(3,\); it must be a number, or one for each of 1 channels"),
        ("logcumsumexp", "c16", [(2,)], {}, "is of real numbers"),
        ("elu", "c16", [(2,)], {}, "does not take complex128: complex numbers have no order"),
    )
)


@pytest.mark.parametrize(("op", "specs", "attributes", "text"), REFUSED, ids=[f"{row[0]}-{row[3][:16]}" for row in REFUSED])
def test_what_is_refused(op: str, specs: tuple[Spec, ...], attributes: Attributes, text: str) -> None:
    with pytest.raises(InferenceError, match=text):
        REGISTRY.op(op).inference(specs, attributes)


@pytest.mark.parametrize(("op", "attributes", "formula"), FORMULAS, ids=IDS)
def test_shapes_and_integers(bench: Bench, op: str, attributes: Attributes, formula: Callable[[Any], Any]) -> None:
    line = (f"y = {op}(x)", attributes)
    for shape in ((), (0, 3), (2, 0)):
        x = np.full(shape, 0.5)
        assert bench.values({"x": x}, [line], "y")["y"].shape == shape
        assert bench.apply(op, [x], attributes)[0].shape == shape
    for integers in (np.array([-4, 1, 9]), np.array([False, True])):
        if op == "logsigmoid" and integers.dtype == bool:
            continue  # NumPy has no negative of a truth value
        value = bench.values({"x": integers}, [line], "y")["y"]
        truth = [float(formula(mp.mpf(int(at)))) for at in integers]
        assert value.dtype.kind in "if"
        np.testing.assert_allclose(value.astype(float), truth, rtol=1e-2 if integers.dtype == bool else 1e-14)


# several inputs, and axes


def test_a_weight_of_prelu_belongs_to_a_channel(bench: Bench) -> None:
    x = np.arange(-6.0, 6.0).reshape(2, 3, 2)
    weight = np.array([0.5, -2.0, 4.0])
    value = bench.values({"x": x, "w": weight}, ["y = prelu(x, w)"], "y")["y"]
    each = np.broadcast_to(weight[None, :, None], x.shape)
    np.testing.assert_array_equal(value, np.where(x > 0, x, each * x))
    of_x, of_weight = bench.apply("prelu", [x, weight])
    np.testing.assert_array_equal(of_x, np.where(x > 0, 1, each))
    np.testing.assert_array_equal(of_weight, np.where(x > 0, 0, x).sum((0, 2)))
    for single in (np.array(0.25), np.array([0.25])):
        of_x, of_weight = bench.apply("prelu", [np.array([0.0, -1.0, 2.0]), single])
        assert of_x.tolist() == [0.25, 0.25, 1.0]
        assert (of_weight.shape, of_weight.sum()) == (single.shape, -1.0)


def test_glu_halves_an_axis(bench: Bench) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    first, second = x[:2], x[2:]
    for axis in (0, -2):
        value = bench.values({"x": x}, [("y = glu(x)", {"axis": axis})], "y")["y"]
        np.testing.assert_allclose(value, first / (1 + np.exp(-second)), rtol=1e-15)
    share = 1 / (1 + np.exp(-second))
    expected = np.concatenate([share, first * share * (1 - share)])
    np.testing.assert_allclose(bench.apply("glu", [x], {"axis": 0})[0], expected, rtol=1e-13)
    assert bench.values({"x": np.zeros((2, 0))}, ["y = glu(x)"], "y")["y"].shape == (2, 0)


def test_softmin_prefers_the_smallest(bench: Bench) -> None:
    value = bench.values({"x": np.array([[1000.0, 1001.0], [3.0, 3.0]])}, ["y = softmin(x)"], "y")["y"]
    np.testing.assert_allclose(value, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], [0.5, 0.5]], rtol=1e-15)


# derivatives of derivatives

SQUASHED: dict[str, Callable[[Any], Any]] = {
    "sigmoid": logistic,
    "tanh": mp.tanh,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "silu": lambda x: x * logistic(x),
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "gelu": lambda x: max(x, 0) if abs(x) > 50 else x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "tanhshrink": lambda x: x - mp.tanh(x),
    "softsign": lambda x: x / (1 + abs(x)),
    "elu": exponential(1),
    "logsigmoid": lambda x: -mp.log1p(mp.exp(-x)),
}


def derivative(bench: Bench, op: str, x: Array, order: int) -> Array:
    """The derivative of an elementwise op, from graphs of derivatives."""
    graph, values = bench.graph({"x": x}, [f"y = {op}(x)"], "y"), {"x": x}
    for k in range(order):
        total = Node("sum", graph.outputs, (f"s{k}",), {})
        derived = derive(replace(graph, nodes=(*graph.nodes, total), outputs=(f"s{k}",)), REGISTRY, Mode.GRADIENT)
        values |= derived.values
        graph = replace(derived.graph, outputs=(derived.derivatives[0].value or "",))
    return next(bench.engine.evaluate(Job(graph, tuple(values.items())))).value


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("op", SQUASHED)
def test_higher_derivatives_are_finite_and_right(bench: Bench, op: str, order: int) -> None:
    """Far out too, where a factor of the slope is 0 and another infinite."""
    x = np.array([-2000.0, -800.0, -90.0, -3.0, -0.5, 0.5, 3.0, 90.0, 800.0, 2000.0])
    with mp.workdps(1000):
        truth = [float(mp.diff(SQUASHED[op], mp.mpf(at), order, h=mp.mpf(10) ** -30)) for at in x]
    np.testing.assert_allclose(derivative(bench, op, x, order), truth, rtol=1e-12, atol=1e-300)
    narrow = derivative(bench, op, x.astype(np.float32), order)
    np.testing.assert_allclose(narrow, truth, rtol=1e-4, atol=1e-6)
