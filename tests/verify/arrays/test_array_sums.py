"""Sums and products over whole arrays of balls, against exact fractions and Arb: they contain the truth, and keep its
digits where terms cancel."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from flint import arb

from gradproof.engine.precision import precision
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import UNIT, Arrays, BallArray, Dual, exact, finely
from gradproof.engine.verify.arrays.products import product_of

SINGLE = 2.0**-24


def apart(ball: BallArray, truths: Sequence[Fraction]) -> BallArray:
    """The largest distance from the truth in radii (0 where both are 0), having seen that all balls contain it."""
    for mid, rad, truth in zip(ball.mid.flat, ball.radius().flat, truths, strict=True):
        assert math.isfinite(mid)
        assert math.isfinite(rad)
        assert abs(Fraction(float(mid)) - truth) <= Fraction(float(rad)), (mid, rad, float(truth))
    return ball


def columns_of(x: Array, axes: tuple[int, ...]) -> Array:
    rest = [k for k in range(x.ndim) if k not in axes]
    return np.transpose(x, (*rest, *axes)).reshape(math.prod(x.shape[k] for k in rest), -1)


def sums(x: Array, axes: tuple[int, ...]) -> list[Fraction]:
    return [sum(map(Fraction, map(float, line)), Fraction(0)) for line in columns_of(x, axes)]


def hard(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """Numbers whose sums are hard to round."""
    x = rng.standard_normal(shape)
    if kind == "wide":
        return x * 2.0 ** rng.integers(-300, 300, shape)
    if kind == "cancelling":
        x = x * 2.0 ** rng.integers(-40, 40, shape)
        flat = x.reshape(-1)
        half = flat.size // 2
        flat[half : 2 * half] = -flat[:half] * (1 + rng.integers(-2, 3, half) * 2.0**-50)
        return flat.reshape(shape)
    if kind == "denormal":
        return x * 2.0**-1060
    if kind == "whole":
        return np.rint(x * 100)
    if kind == "large":
        return x * 2.0**990
    return x


KINDS = ("plain", "wide", "cancelling", "denormal", "whole", "large")
SHAPES = (((1,), (0,)), ((2,), (0,)), ((129,), (0,)), ((20001,), (0,)), ((7, 5), (0,)), ((7, 5), (1,)), ((3, 4, 5), (0, 2)))
TALL = (
    ((3000, 4), (0,)),
    ((3, 3000), (1,)),
    ((40, 300), (0,)),
    ((2, 9000), (0,)),
    ((9, 2, 500), (0, 2)),
    ((5000, 3), (0,)),
)


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "axes"), [*SHAPES, *TALL])
def test_a_sum_contains_the_truth_and_keeps_its_digits(kind: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = hard(np.random.default_rng(3), shape, kind)
    with finely():
        ball = apart(Arrays().total(exact(x), axes), truths := sums(x, axes))
    sizes = sums(np.abs(x), axes)
    for rad, truth, size in zip(ball.radius().flat, truths, sizes, strict=True):
        assert rad <= 2.0**-52 * abs(float(truth)) + 1e-24 * float(size) + 2.0**-1060


@pytest.mark.slow
def test_sums_over_other_memory_layouts() -> None:
    x = hard(np.random.default_rng(4), (60, 50, 8), "cancelling")
    for view in (x.T, x[::2, ::-1], np.asfortranarray(x), x[:, :, 3:5], np.broadcast_to(x[:1], (9, 50, 8))):
        for axes in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
            apart(Arrays().total(exact(view), axes), sums(view, axes))


def test_sums_of_whole_numbers_and_of_nothing_are_exact() -> None:
    f = Arrays()
    whole = f.total(exact(np.arange(30000.0).reshape(300, 100)), 1, True)
    assert whole.rad is None
    assert whole.shape == (300, 1)
    nothing = f.total(exact(np.zeros((0, 3))), 0)
    assert nothing.rad is None
    assert (nothing.mid == 0).all()
    zeros = f.total(BallArray(np.zeros(4000), np.zeros(4000)), 0)
    assert zeros.mid == 0
    assert zeros.radius() == 0
    assert f.total(np.arange(5)).mid == 10
    assert f.total(x for x in (exact(np.ones(2)), 3)).mid.tolist() == [4, 4]


def test_a_number_that_is_not_finite_makes_its_own_sum_unknown() -> None:
    x = np.ones((3, 400))
    x[1, 7] = np.inf
    x[2, 3] = np.nan
    ball = Arrays().total(exact(x), 1)
    known = np.isfinite(ball.mid) & np.isfinite(ball.radius())
    assert known.tolist() == [True, False, False]
    wide = Arrays().total(BallArray(np.ones(40), np.where(np.arange(40) == 3, np.inf, 0.0)), 0)
    assert not np.isfinite(wide.radius())
    far = Arrays().total(exact(np.full(300, 1e308)), 0)
    assert not (np.isfinite(far.mid) and np.isfinite(far.radius()))


@pytest.mark.parametrize("shape", [(700,), (3, 200)])
def test_radii_are_added(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    x, rad = rng.standard_normal(shape), np.abs(rng.standard_normal(shape)) * 1e-9
    f = Arrays()
    ball = f.total(BallArray(x, rad), -1)
    for sign in (-1, 1):
        apart(ball, [sum(map(Fraction, a.tolist())) + sign * sum(map(Fraction, b.tolist())) * (1 - Fraction(1, 2**60))
                      for a, b in zip(x.reshape(-1, shape[-1]), rad.reshape(-1, shape[-1]), strict=True)])  # fmt: skip


def test_running_sums() -> None:
    rng = np.random.default_rng(6)
    for kind in ("plain", "cancelling", "wide", "denormal"):
        for shape, axis in (((1,), 0), ((5000,), 0), ((300, 3), 0), ((3, 300), 1), ((70, 4, 2), 0)):
            x = hard(rng, shape, kind)
            ball = Arrays().running_total(exact(x), axis)
            lines = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])
            truth = [total for line in lines for total in accumulate(map(Fraction, line.tolist()))]
            apart(ball.moved(lambda a: np.moveaxis(a, axis, -1)), truth)  # noqa: B023


@pytest.mark.parametrize("size", [20, 3000])
def test_running_totals_of_integers_are_exact_while_floats_hold_them(size: int) -> None:
    steps = np.random.default_rng(0).integers(-(2**30), 2**30, (size, 3))
    ball = Arrays().running_total(exact(steps.astype(float)), 0)
    assert not ball.radius().any()
    np.testing.assert_array_equal(ball.mid, np.cumsum(steps, axis=0))
    for large in (steps * 2.0**40, steps + 0.5):
        assert Arrays().running_total(exact(large), 0).radius()[-1].all()


def test_sums_at_places() -> None:
    rng = np.random.default_rng(7)
    for size, count, axis in ((5, 40, 0), (3, 1, 1), (400, 2000, 0), (2, 700, 1)):
        x = hard(rng, (size, 4) if axis == 0 else (4, size), "cancelling")
        places = rng.integers(-size, size, (count,))
        updates = hard(rng, (count, 4) if axis == 0 else (4, count), "cancelling")
        ball = Arrays().added(exact(x), places, exact(updates), axis)
        assert ball.shape == x.shape
        rows, more = np.moveaxis(x, axis, 0), np.moveaxis(updates, axis, 0)
        truth = [[Fraction(float(v)) for v in row] for row in rows]
        for place, row in zip(places, more, strict=True):
            truth[place] = [a + Fraction(float(b)) for a, b in zip(truth[place], row, strict=True)]
        apart(ball.moved(lambda a: np.moveaxis(a, axis, 0)), [v for row in truth for v in row])  # noqa: B023


# matrices


def products(a: Array, b: Array) -> list[Fraction]:
    """The exact elements of a product of two matrices."""
    columns = [list(map(Fraction, column)) for column in b.T.tolist()]
    return [sum((p * q for p, q in zip(map(Fraction, row), column, strict=True)), Fraction(0))
            for row in a.tolist() for column in columns]  # fmt: skip


def scaled(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    x = rng.standard_normal(shape)
    if kind == "wide":
        return x * 2.0 ** rng.integers(-200, 200, shape)
    if kind == "rows":
        return x * 2.0 ** rng.integers(-400, 400, (shape[0], 1))
    if kind == "tiny":
        return x * 2.0 ** rng.integers(-1060, -900, (shape[0], 1))
    if kind == "mixed":
        x[rng.random(shape) < 0.3] *= 2.0**-1050
        return x
    if kind == "single":
        return x.astype(np.float32).astype(float)
    if kind == "whole":
        return np.rint(3 * x)
    if kind == "zeros":
        x[rng.random(shape) < 0.7] = 0
        x[0] = 0
        return x
    return x


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("left_kind", ["plain", "wide", "rows", "tiny", "mixed", "single", "whole", "zeros"])
@pytest.mark.parametrize("right_kind", ["plain", "rows", "mixed", "single", "whole", "zeros"])
def test_a_product_contains_the_truth(left_kind: Any, right_kind: Any) -> None:
    rng = np.random.default_rng(8)
    for n, k, m in ((3, 1, 2), (2, 7, 3), (4, 33, 2)):
        a, b = scaled(rng, (n, k), left_kind), scaled(rng, (m, k), right_kind).T
        apart(product_of(exact(a), exact(b)), products(a, b))
        wide_a = BallArray(a, np.abs(a) * 1e-12)
        wide_b = BallArray(b, np.abs(b) * 1e-3)
        for left, right in ((wide_a, exact(b)), (exact(a), wide_b), (wide_a, wide_b)):
            ball = product_of(left, right)
            apart(ball, products(a, b))
            ends = [Fraction(1) + Fraction(1, 10**12) * Fraction(999, 1000) * (left.rad is not None)]
            ends.append(Fraction(1) + Fraction(1, 10**3) * Fraction(999, 1000) * (right.rad is not None))
            apart(ball, [x * ends[0] * ends[1] for x in products(a, b)])


def test_a_product_keeps_digits_where_it_cancels() -> None:
    rng = np.random.default_rng(9)
    a = rng.standard_normal((3, 256))
    b = rng.standard_normal((256, 3))
    rest = products(a[:1, :-1], b[:-1])
    b[-1] = [float(-total / Fraction(float(a[0, -1]))) for total in rest]
    ball = apart(product_of(exact(a), exact(b)), products(a, b))
    sizes = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=0)
    assert (np.abs(ball.mid[0]) < 1e-15).all()
    assert (ball.radius() <= np.abs(ball.mid) * UNIT * 1.01 + 2.0**-64 * sizes).all()


def test_products_of_small_whole_numbers_are_exact_and_rows_of_zeros_are_zero() -> None:
    rng = np.random.default_rng(10)
    a, b = scaled(rng, (9, 40), "whole"), scaled(rng, (40, 5), "whole")
    ball = product_of(exact(a), exact(b))
    assert (ball.mid == a @ b).all()
    assert not np.any(ball.radius() > np.abs(ball.mid) * 2**-40)
    a = rng.standard_normal((4, 30))
    a[2] = 0
    for b in (rng.standard_normal((30, 3)), rng.standard_normal((30, 3)).astype(np.float32).astype(float)):
        ball = product_of(exact(a), exact(b))
        assert (ball.mid[2] == 0).all()
        assert (ball.radius()[2] == 0).all()


def test_what_is_not_finite_is_unknown_in_its_own_row_and_column() -> None:
    rng = np.random.default_rng(11)
    a, b = rng.standard_normal((4, 6)), rng.standard_normal((6, 5))
    a[1, 2], a[3, 0], b[5, 4] = np.inf, np.nan, -np.inf
    ball = product_of(exact(a), exact(b))
    known = np.isfinite(ball.mid) & np.isfinite(ball.radius())
    expected = np.ones((4, 5), bool)
    expected[[1, 3]] = expected[:, 4] = False
    assert (known == expected).all()
    wide = product_of(BallArray(np.ones((2, 3)), np.array([[np.inf, 0, 0], [0, 0, 0]])), exact(b[:3]))
    assert (np.isfinite(wide.mid) & np.isfinite(wide.radius())).tolist() == [[False] * 5, [True] * 5]


@pytest.mark.parametrize(
    ("left_shape", "right_shape"),
    [((5,), (5,)), ((3, 5), (5,)), ((5,), (5, 2)), ((2, 3, 5), (5, 4)), ((2, 1, 3, 5), (4, 5, 2)), ((5,), (2, 5, 3)),
     ((2, 3, 5), (5,)), ((0, 5), (5, 2)), ((3, 0), (0, 2))],
)  # fmt: skip
def test_products_have_the_shapes_of_numpy(left_shape: Any, right_shape: Any) -> None:
    rng = np.random.default_rng(12)
    a, b = rng.standard_normal(left_shape), rng.standard_normal(right_shape)
    ball = product_of(exact(a), exact(b))
    assert ball.shape == (a @ b).shape
    assert (np.abs(ball.mid - a @ b) <= 1e-14 * 5).all()


def test_a_product_of_moving_matrices() -> None:
    rng = np.random.default_rng(13)
    a, b, da, db = (rng.standard_normal(s) for s in ((3, 4), (4, 2), (3, 4), (4, 2)))
    f = Arrays()
    ball = f.matmul(Dual(exact(a), {0: exact(da), 1: exact(da * 2)}), Dual(exact(b), {0: exact(db)}))
    apart(ball.head, products(a, b))
    apart(ball.tangents[0], [x + y for x, y in zip(products(a, db), products(da, b), strict=True)])
    apart(ball.tangents[1], products(2 * da, b))
    total = f.total(Dual(exact(a), {3: BallArray(2.0)}), 0)
    assert total.tangents[3].mid.tolist() == [6.0] * 4


# what an evaluation may give


def evaluations(x: Array, dtype: Any) -> Iterator[Any]:
    """The sum of a line in orders that are common."""
    x = x.astype(dtype)
    yield x.sum()
    yield np.cumsum(x, dtype=dtype)[-1]
    for lanes in (2, 4, 8, 16, 32):
        rows = x[: len(x) // lanes * lanes].reshape(-1, lanes)
        partial = np.cumsum(rows, axis=0, dtype=dtype)[-1]
        total = dtype(0)
        for term in (*partial, *x[len(rows) * lanes :]):
            total = dtype(total + term)
        yield total
    yield np.matmul(x, np.ones(len(x), dtype))
    yield np.add.reduce(np.stack([x, x]).T, axis=0)[0]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("data", ["normal", "equal", "alternating", "a huge number", "descending"])
def test_a_sum_that_an_evaluation_may_give(running: bool, data: str) -> None:
    rng = np.random.default_rng(14)
    for dtype, unit in ((np.float32, SINGLE), (np.float64, UNIT), (np.float16, 2.0**-11)):
        n = 300 if dtype is np.float16 else 20000
        x = {
            "normal": rng.standard_normal(n),
            "equal": np.full(n, 0.1),
            "alternating": np.where(np.arange(n) % 2, 0.1, -0.1),
            "a huge number": np.where(np.arange(n) == n // 2, 1000.0, rng.standard_normal(n)),
            "descending": 1 / np.arange(1, n + 1),
        }[data].astype(dtype)
        f = Arrays(model=not running, running=running)
        ball = f.total(BallArray(x, None, unit), 0)
        for number in evaluations(x, dtype):
            assert abs(float(number) - ball.mid) <= ball.radius()
    assert ball.unit == unit


def test_the_allowance_of_a_sum_is_sharp_where_it_runs() -> None:
    x = np.random.default_rng(15).standard_normal(100_000).astype(np.float32)
    any_order = Arrays(model=True).total(BallArray(x, None, SINGLE), 0)
    running = Arrays(running=True).total(BallArray(x, None, SINGLE), 0)
    assert running.radius() < any_order.radius() / 50


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_that_an_evaluation_may_give(dtype: Any) -> None:
    rng = np.random.default_rng(16)
    unit = SINGLE if dtype is np.float32 else UNIT
    for a, b in (
        (rng.standard_normal((40, 300)), rng.standard_normal((300, 30))),
        (np.full((5, 4000), 0.1), np.full((4000, 3), 0.3)),
        (np.where(np.arange(999) % 2, 0.1, -0.1)[None], np.ones((999, 2))),
    ):
        a, b = a.astype(dtype), b.astype(dtype)
        products_ = (
            (a @ b).astype(float),
            np.add.reduce(a[:, :, None] * b[None], axis=1).astype(float),
            np.einsum("ik,kj", a, b),
        )
        for f in (Arrays(model=True), Arrays(running=True)):
            ball = f.matmul(BallArray(a, None, unit), BallArray(b, None, unit))
            for product in products_:
                assert (np.abs(product - ball.mid) <= ball.radius()).all()
    square = [BallArray(rng.standard_normal((512, 512)).astype(np.float32), None, SINGLE) for _ in range(2)]
    running = Arrays(running=True).matmul(square[0][:4], square[1])
    assert (running.radius() < 2e-3 * np.sqrt(512)).all()


def test_running_sums_that_an_evaluation_may_give() -> None:
    for x in (np.full(5000, 0.1, np.float32), np.random.default_rng(17).standard_normal(5000).astype(np.float32)):
        for f in (Arrays(model=True), Arrays(running=True)):
            ball = f.running_total(BallArray(x, None, SINGLE), 0)
            assert (np.abs(np.cumsum(x, dtype=np.float32) - ball.mid) <= ball.radius()).all()


def test_products_along_axes() -> None:
    rng = np.random.default_rng(18)
    x = rng.standard_normal((6, 5))
    f = Arrays()
    with precision(300):
        for axes in ((0,), (1,), (0, 1)):
            ball = f.product(exact(x), axes)
            for mid, rad, line in zip(ball.mid.flat, ball.radius().flat, columns_of(x, axes), strict=True):
                truth = math.prod(map(arb, line.tolist()))
                assert abs(arb(float(mid)) - truth) <= float(rad)
        runs = f.running_product(exact(x), 1)
        for row, mids, rads in zip(x.tolist(), runs.mid, runs.radius(), strict=True):
            for k in range(5):
                assert abs(arb(float(mids[k])) - math.prod(map(arb, row[: k + 1]))) <= float(rads[k])
