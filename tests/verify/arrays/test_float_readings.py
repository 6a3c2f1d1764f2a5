"""Readings beneath the check of large graphs: floats against power series and balls, inner products against fractions."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from flint import arb, arb_series
from tests.conftest import REGISTRY
from tests.support.graph_runs import normal

from gradproof.engine.domains import INTEGER, POSITIVE
from gradproof.engine.extend import Op, Spec
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.verify.arrays import (
    PRODUCT_ROUNDINGS,
    Arrays,
    BallArray,
    Dual,
    FloatDual,
    Floats,
    entered,
    inner_product,
    perturbed,
    tangents,
)
from gradproof.engine.verify.arrays.inner_products import BLOCK
from gradproof.engine.verify.arrays.programs import read_op as read_arrays
from gradproof.engine.verify.graphs.series_bridge import read_in_series
from gradproof.engine.verify.readings import Series, concrete, read_op
from gradproof.engine.verify.readings.attributes import in_balls

ELEMENTWISE = [op for op in REGISTRY.ops.values() if op.elementwise and op.differentiable and op.definitions]


def floats_of(op: Op, count: int, random: np.random.Generator) -> list[Any]:
    floats: list[Any] = []
    for k in range(len(op.inputs)):
        domain = op.domain(k)
        if domain is INTEGER:
            floats.append(random.integers(0, 2, count).astype(bool))
            continue
        own = Random(k)
        floats.append(np.array([float(domain.sample(own)) for _ in range(count)]))
    return floats


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_slopes_in_floats_are_those_of_power_series(op: Op, dtype: str) -> None:
    """Of every elementwise op: the derivative along a direction, and what another reading makes of the same decisions."""
    random = np.random.default_rng(len(op.name))
    inputs = [x if x.dtype.kind == "b" else x.astype(dtype) for x in floats_of(op, 40, random)]
    steps = [None if x.dtype.kind == "b" else random.normal(size=40).astype(dtype) for x in inputs]
    for k in op.still:
        steps[k] = None
    scalars = [
        FloatDual(x, {0: t}) if t is not None else x if x.dtype.kind == "b" else FloatDual(x, {})
        for x, t in zip(inputs, steps, strict=True)
    ]
    attributes = in_balls(op.attributes)
    reading = Floats()
    try:
        with np.errstate(all="ignore"):
            got = op.definitions[0](reading, *scalars, **attributes)
            again = op.definitions[0](Floats(reading.decisions), *scalars, **attributes)
    except (NotImplementedError, TypeError):
        pytest.skip("of complex numbers, or of a function that arrays do not have")
    slope = np.broadcast_to(np.asarray(tangents(got).get(0, 0.0)), 40)
    assert np.array_equal(slope, np.broadcast_to(np.asarray(tangents(again).get(0, 0.0)), 40), equal_nan=True)
    assert slope.dtype == dtype or not slope.any()
    unit, compared = float(np.finfo(dtype).eps), 0
    with precision(200):
        for k in range(40):
            cells = [
                (bool(x[k]) if x.dtype.kind == "b" else arb(float(x[k])))
                if t is None
                else arb_series([arb(float(x[k])), arb(float(t[k]))], 2)
                for x, t in zip(inputs, steps, strict=True)
            ]
            try:
                truth = op.definitions[0](Series(), *cells, **attributes)
            except (Undecided, ValueError, ZeroDivisionError):
                continue
            derivative = truth[1] if isinstance(truth, arb_series) else arb(0)
            if not arb(derivative).is_finite() or abs(float(arb(derivative).mid())) > 1e30:
                continue
            if np.isnan(slope[k]) and any(x[k] < 0 for x in inputs):
                continue  # a function that arrays have for positive arguments alone
            scale = abs(float(arb(derivative).mid())) + sum(abs(float(t[k])) for t in steps if t is not None) + 1
            assert abs(float(arb(derivative).mid()) - float(slope[k])) <= 4096 * unit * scale, (op.name, k)
            compared += 1
    assert compared >= 8, op.name


def inside(op: Op, position: int, shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """Ordinary numbers: positive ones where the domain of the input is."""
    numbers = random.normal(size=shape)
    return np.abs(numbers) + 0.1 if op.domain(position) is POSITIVE else numbers


WHOLE = [op for op in REGISTRY.ops.values() if op.arrays and op.differentiable]


@pytest.mark.parametrize("op", WHOLE, ids=lambda op: op.name)
def test_whole_forms_in_floats_are_those_of_balls(op: Op) -> None:
    """Of every case: values and slopes are where balls are."""
    random = np.random.default_rng(1)
    for case in op.cases:
        inference = op.inference(case.specs(), case.attributes)
        shapes = [spec.shape for spec in inference.inputs or case.specs()]  # as the engine broadcasts them
        given = [x if isinstance(x, np.ndarray) else shape for x, shape in zip(case.inputs, shapes, strict=True)]
        inputs = [x if isinstance(x, np.ndarray) else inside(op, k, x, random) for k, x in enumerate(given)]
        steps = [None if isinstance(x, np.ndarray) else random.normal(size=x) for x in given]
        plain = [x if t is None else FloatDual(x, {0: t}) for x, t in zip(inputs, steps, strict=True)]
        balls = [
            entered(x) if t is None else Dual(BallArray(x), {0: BallArray(t)}) for x, t in zip(inputs, steps, strict=True)
        ]
        assert op.arrays
        outputs = op.arrays(Floats(), *plain, **inference.attributes)
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        for got, ball in zip(
            several, read_arrays(op, Arrays(), balls, inference.attributes, inference.outputs), strict=True
        ):
            for value, truth in ((got.head, ball.head), (tangents(got)[0], tangents(ball)[0])):
                assert (np.abs(value - truth.mid) <= 1e-13 * (1 + np.abs(truth.mid)) + truth.radius()).all(), (
                    op.name,
                    case,
                )


@pytest.mark.parametrize("word", ["largest", "smallest"])
def test_equal_extremes_that_move_are_a_tie(word: str) -> None:
    x = np.array([[1.0, 3, 3], [1, 1, 2]]) if word == "largest" else np.array([[-1.0, -3, -3], [5, 4, 3]])
    for rows, tied in ((x, True), (x[1:], False)):
        f = Floats()
        dual = getattr(f, word)(FloatDual(rows, {0: rows * 2}), axis=1)
        assert np.array_equal(tangents(dual)[0], dual.head * 2)
        assert bool(np.any(f.tied)) is tied
    still = Floats()
    getattr(still, word)(FloatDual(x, {}), axis=1)
    assert not np.any(still.tied)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_arrays(dtype: Any) -> None:
    """Also where a condition chooses between constants, or where a derivative is a constant."""
    x = FloatDual(np.array([-1.5, 0.0, 2.5], dtype), {0: 1.0})
    still = FloatDual(np.array([1.0, 2.0], dtype), {})
    square = FloatDual(np.ones((3, 3), dtype), {})

    def results(f: Floats) -> list[Any]:
        negative = f.less(x, 0)
        return [
            f.sign(x),
            f.sign(x) * f.power(f.modulus(x), f.number(1) / 3),
            f.where(negative, 0.1, 0.3),
            f.where(negative, 0.1, x),
            f.as_number(negative),
            f.floor(f.number(2.5)) * x,
            f.floor(x),
            f.total(x),
            f.exp(f.total(x)),
            f.running_total(x, 0),
            f.matmul(square, x),
            f.moved(lambda *arrays: np.concatenate(arrays), x, still),
            f.largest(x),
        ]

    first = Floats()
    with np.errstate(all="ignore"):
        for result, again in zip(results(first), results(Floats(first.decisions)), strict=True):
            assert np.asarray(result.head).dtype == dtype
            np.testing.assert_array_equal(result.head, again.head)
            assert all(np.asarray(step).dtype == dtype for step in tangents(result).values() if not isinstance(step, float))
        f = Floats()
        np.testing.assert_array_equal(f.where(f.less(x, 0), 0.1, 0.3).head, np.array([0.1, 0.3, 0.3], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_function_of_a_sum_over_all_axes_has_a_derivative(dtype: Any) -> None:
    f, x = Floats(), np.array([0.5, 1.5], dtype)
    total = f.total(FloatDual(x, {0: np.ones(2, dtype)}))
    np.testing.assert_allclose(tangents(f.exp(total))[0], 2 * np.exp(x.sum()))
    f.floor(total)
    assert f.tied


@pytest.mark.slow
def test_inner_products_are_within_their_bound() -> None:
    random = np.random.default_rng(0)
    for size in (0, 1, 100, BLOCK, 3 * BLOCK + 17):
        for dtype in ("float64", "float32"):
            a, b = (random.normal(size=size).astype(dtype) for _ in range(2))
            exact = [Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True)]
            weight = inner_product(a, b)
            size_ = float(sum(map(abs, exact)))
            unit = float(np.finfo(dtype).eps) / 2
            assert abs(Fraction(weight.signed) - sum(exact)) <= Fraction(PRODUCT_ROUNDINGS * unit * size_)
            assert abs(weight.size - size_) <= PRODUCT_ROUNDINGS * unit * size_


def test_nothing_is_weighed_where_nothing_moves() -> None:
    weight = inner_product(np.array([np.nan, np.inf, 2.0]), np.array([0.0, 0.0, 3.0]))
    assert (weight.signed, weight.size) == (6.0, 6.0)
    assert not np.isfinite(inner_product(np.array([np.nan, 1.0]), np.array([1.0, 1.0])).signed)


def test_another_rounding_is_one_float_away_and_of_narrow_dtypes_none() -> None:
    x = normal(3 * BLOCK)
    near = perturbed(x, np.dtype(np.float64))
    assert (np.abs(near / x - 1) <= 2.0**-52).all()
    assert (near != x).mean() > 0.6
    assert perturbed(x, np.dtype(np.float32)) is x


def test_a_bridge_encloses_what_series_say() -> None:
    """Balls go in, balls come out, and contain what exact numbers inside of them give."""
    op = REGISTRY.op("solve")
    a, b, t = normal(4, 4) + 4 * np.eye(4), normal(4, 2), normal(4, 4, seed=9)
    specs = [Spec((4, 4), np.dtype(float)), Spec((4, 2), np.dtype(float))]
    wide = Dual(BallArray(a, np.full((4, 4), 1e-9)), {3: BallArray(t, np.full((4, 4), 1e-9))})
    results, tied = read_in_series(op, [wide, BallArray(b)], specs, {}, specs[1:], [3])
    assert not tied
    inner = a + normal(4, 4, seed=5).clip(-1, 1) * 1e-9
    y = np.linalg.solve(inner, b)
    slope = -np.linalg.solve(inner, t @ y)
    assert (np.abs(results[0].head.mid - y) <= results[0].head.radius()).all()
    assert (np.abs(results[0].tangents[3].mid - slope) <= results[0].tangents[3].radius()).all()
    assert results[0].head.radius().max() < 1e-6
    exact = read_op(op, Series(), [concrete(a), concrete(b)], {}, specs[1:])
    assert float(abs(exact[0][0, 0] - results[0].head.mid[0, 0])) < 1e-8
