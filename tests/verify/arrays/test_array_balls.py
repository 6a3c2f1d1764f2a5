"""Arrays of balls contain what Arb says, or say that nothing is known: arithmetic, comparisons, conditions, flags."""

from __future__ import annotations

import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
from flint import arb

from gradproof.engine.precision import precision
from gradproof.engine.verify.arrays import UNIT, Arrays, BallArray, Mask, exact
from gradproof.engine.verify.arrays import ball as balls
from gradproof.engine.verify.arrays.ball import ball_array, ball_of_arb, number
from gradproof.engine.verify.arrays.conditions import mask_of
from gradproof.engine.verify.arrays.flags import FLAGS, WORK, watched

BITS = 2500  # so that sums of the largest and smallest floats are exact
SHAPES = ((), (1,), (5,), (3, 1), (3, 5), (1, 5))
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 1 / 3, 5e-324, -5e-324, 2.3e-308, 1e-300, 1e300, -1e308, 1.7e308, 1e-160)
OPERATIONS: tuple[Callable[[Any, Any], Any], ...] = (operator.add, operator.sub, operator.mul, operator.truediv)


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Numbers of all sizes, special ones among them."""
    numbers = rng.choice([-1, 1], shape) * np.exp2(rng.uniform(-4, 4, shape) * rng.choice([1, 1, 1, 60, 250]))
    return np.where(rng.random(shape) < 0.2, rng.choice(SPECIAL, shape), numbers)


def known(ball: BallArray) -> Any:
    """Where something is known of an element, and no infinity came in."""
    return np.isfinite(ball.mid) & np.isfinite(ball.radius())


def within(ball: BallArray, truth: Any) -> None:
    """Every element that is known contains the true value, an object array of points, None where it has none."""
    radius, sure = ball.radius(), known(ball)
    assert ball.shape == truth.shape
    for place in np.ndindex(truth.shape):
        if sure[place]:
            true = truth[place]
            assert true is not None, f"a ball of what has no value: {ball.mid[place]} ± {radius[place]}"
            away = abs(true - arb(float(ball.mid[place])))
            assert away <= arb(float(radius[place])), f"{ball.mid[place]} ± {radius[place]} is off by {away}"


def points(array: Any) -> Any:
    return np.vectorize(lambda x: arb(float(x)), otypes=[object])(array)


def in_points(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        if a is None or b is None:
            return None
        result = operation(a, b)
        return result if result.is_finite() else None

    result: Callable[[Any, Any], Any] = np.frompyfunc(apply, 2, 1)
    return result


class Tree:
    """A random expression, computed in balls and at points that are anywhere within the balls that it begins with."""

    def __init__(self, seed: int, unit: float = UNIT) -> None:
        self.rng, self.unit = np.random.default_rng(seed), unit

    def leaf(self) -> tuple[BallArray, Any]:
        rng = self.rng
        mid = draw(rng, SHAPES[rng.integers(len(SHAPES))])
        kind = rng.integers(4)
        if kind == 0:
            return exact(mid, self.unit), points(mid)
        rad = np.abs(draw(rng, mid.shape)) if kind == 1 else np.abs(mid) * rng.choice([0.0, 1e-16, 1e-8, 0.4, 2.0])
        rad = rad if rng.random() < 0.8 else np.asarray(rad.max(initial=0))
        where = rng.choice([-1, -0.5, 0, 0.25, 1], mid.shape)
        truth = points(mid) + points(np.broadcast_to(rad, mid.shape)) * points(where)
        return BallArray(mid, rad, self.unit), np.asarray(truth, object)

    def grow(self, depth: int) -> tuple[BallArray, Any]:
        rng = self.rng
        if depth == 0 or rng.random() < 0.1:
            return self.leaf()
        choice = rng.integers(8)
        a, p = self.grow(depth - 1)
        if choice < 5:
            operation = OPERATIONS[rng.integers(4)]
            b, q = self.grow(depth - 1)
            return operation(a, b), np.asarray(in_points(operation)(p, q), object)
        if choice == 5:
            exponent = int(rng.integers(-3, 5))
            if exponent == 0:
                return a, p
            power = in_points(lambda x, n: prod([x] * abs(n)) if n > 0 else 1 / prod([x] * abs(n)))
            return a**exponent, np.asarray(power(p, exponent), object)
        if choice == 6:
            other = [2, -1, 1, Fraction(1, 3), 0.5, 1e300, 0, 2**-1074 * 1.0][rng.integers(8)]
            operation = OPERATIONS[rng.integers(3)]
            return operation(a, other), np.asarray(in_points(operation)(p, exact_arb(other)), object)
        return a - a * 1, np.asarray(in_points(operator.sub)(p, p), object)


def exact_arb(x: Any) -> arb:
    return arb(Fraction(x).numerator) / arb(Fraction(x).denominator)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [UNIT, 2.0**-24, 2.0**-8])
def test_random_expressions_are_contained_or_not_known(unit: float) -> None:
    sure = 0
    with precision(BITS), np.errstate(all="ignore"):
        for seed in range(1200):
            ball, truth = Tree(seed, unit).grow(4)
            within(ball, truth)
            sure += int(known(ball).sum())
    assert sure > 2000


def test_exact_expressions_keep_nearly_all_digits() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(1, 2, 1000), rng.uniform(1, 2, 1000)
    ball = (exact(x) * y + 1) / (exact(y) * 2 + x)
    assert (ball.radius() <= 16 * UNIT * np.abs(ball.mid)).all()


def test_a_division_by_what_may_be_0_is_not_known() -> None:
    below = BallArray([1.0, 1.0, 1e-3, 0.0, -2.0, 3e-323], [2.0, 1.0, 0.0, 0.0, 1.0, 1.5e-323])
    assert known(1 / below).tolist()[:5] == [False, False, True, False, True]
    assert not known(1 / (exact(np.array([0.0, -0.0])))).any()


def test_underflow_before_a_small_divisor_is_charged() -> None:
    """|mid| rad underflows, and is not small beside a small divisor."""
    a, b = BallArray([1e-320]), BallArray([1e-300], [1e-310])
    with precision(300):
        for sign in (-1, 1):
            truth = np.array([arb(1e-320) / (arb(1e-300) + sign * arb(1e-310))], object)
            within(a / b, truth)
            within((a / b) * 1e20, truth * arb(1e20))


def test_an_overflow_is_not_known_and_stays_so() -> None:
    huge = exact(np.array([1e200, -1e200, 2.0])) * 1e200
    assert known(huge).tolist() == [False, False, True]
    for result in (1 / huge, huge * 0, Arrays().exp(-abs(huge)), Arrays().tanh(huge), abs(huge), -huge, huge - huge):
        assert known(result).tolist() == [False, False, True]


def test_an_infinity_that_came_in_is_one() -> None:
    f = Arrays()
    masked = (exact(np.array([0.5, 2.0])) * 0.3 + exact(np.array([-np.inf, 0.0]))) - f.number(3) / 7
    weights = f.exp(masked)
    assert weights.mid[0] == 0
    assert weights.radius()[0] < 1e-290
    assert known(weights).all()
    assert f.less(masked, 0).true.tolist() == [True, False]
    assert not known(masked * 0)[0]
    assert not known(masked - masked)[0]


def test_underflow_of_narrow_dtypes_is_charged() -> None:
    small = exact(np.array([1e-30]), 2.0**-24) * 1e-20
    assert small.radius()[0] >= 2.0**-149
    half = exact(np.array([1e-4]), 2.0**-11) * 1e-4
    assert half.radius()[0] >= 1e-8


@pytest.mark.parametrize("unit", [2.0**-24, 2.0**-11])
def test_an_evaluation_in_a_narrow_dtype_is_within_its_balls(unit: float) -> None:
    dtype: Any = {2.0**-24: np.float32, 2.0**-11: np.float16}[unit]
    rng = np.random.default_rng(8)
    x, y, z = (rng.uniform(-2, 2, 4000).astype(dtype) for _ in range(3))
    narrow: Any = ((x * y + z) * x - y / (z * z + dtype(1))) * dtype(0.3)
    a, b, c = (exact(array, unit) for array in (x, y, z))
    wide = ((a * b + c) * a - b / (c * c + 1)) * float(dtype(0.3))
    assert (np.abs(wide.mid - narrow.astype(np.float64)) <= wide.radius()).all()


def test_numbers_are_exact_or_contained() -> None:
    assert number(3).rad is None
    assert number(np.float32(0.1)).rad is None
    assert number(2**53 + 1).rad is not None
    for value in (Fraction(1, 3), 10**30 + 1, Fraction(10**400 + 1, 10**390), Fraction(1, 10**320), -(3**200)):
        with precision(3000):
            within(number(value), np.array(exact_arb(value), object))
    assert not known(number(10**400)).any()
    assert not known(ball_of_arb(arb("nan"))).any()
    assert ball_of_arb(arb(1) / 3).rad is not None
    assert not known(ball_of_arb(arb(1) / arb(0))).any()
    with precision(300):
        tiny = ball_of_arb(arb(2) ** -2000)
        assert tiny.rad is not None
    assert ball_array("1") is NotImplemented
    with pytest.raises(NotImplementedError, match=r"2\^53"):
        exact(np.array([2**53 + 1]))
    assert exact(np.array([2**53, -(2**53)])).rad is None
    with pytest.raises(NotImplementedError, match="more digits"):
        exact(np.array([1], np.longdouble))


def test_multiplying_by_1_or_a_power_of_2_costs_no_digits() -> None:
    x = exact(np.array([1 / 3, 7.0]))
    assert x * 1 is x
    assert x + 0 is x
    assert (x * BallArray(1.0)) is x
    assert (x * 0.25).rad is None
    assert (-2 * x).rad is None
    assert not known(x * 2.0**1023)[1]
    assert (x * 2.0**-1074).rad is not None


def test_truth_and_comparisons_are_refused() -> None:
    x = exact(np.arange(3.0))
    for ask in (bool, lambda x: x < 1, lambda x: x == 0, lambda x: x != 0, lambda x: x >= x, lambda x: x < 1):
        with pytest.raises(NotImplementedError, match="definition"):
            ask(x)
    for none in (x, np.array([0.5]), object()):
        with pytest.raises(NotImplementedError, match="no condition"):
            mask_of(none)


def test_comparisons_are_never_wrong() -> None:
    rng = np.random.default_rng(5)
    f = Arrays()
    decided = 0
    with precision(BITS), np.errstate(all="ignore"):
        for _ in range(300):
            mid, other = draw(rng, (40,)), draw(rng, (40,))
            other = np.where(rng.random(40) < 0.5, mid * (1 + rng.choice([0, 1, -1, 4], 40) * UNIT), other)
            rads = [np.abs(mid) * rng.choice([0, UNIT, 0.3]), np.abs(draw(rng, (40,))) * rng.choice([0, 1e-17, 1.0])]
            a, b = BallArray(mid, rads[0]), BallArray(other, rads[1])
            masks = f.less(a, b), f.less_equal(a, b), f.equal(a, b), f.less(b, a)
            for k in range(40):
                low, high = (
                    arb(float(b.mid[k])) - arb(float(a.mid[k])) + s * (arb(float(rads[0][k])) + arb(float(rads[1][k])))
                    for s in (-1, 1)
                )
                less, equal = (True if low > 0 else False if high <= 0 else None), bool(low == 0 and high == 0)
                assert not masks[0].true[k] or less is True
                assert not masks[0].false[k] or high <= 0
                assert not masks[1].true[k] or low >= 0
                assert not masks[1].false[k] or high < 0
                assert not masks[2].true[k] or equal
                assert not masks[2].false[k] or low > 0 or high < 0
                assert not masks[3].true[k] or high < 0
                decided += bool(masks[0].true[k] | masks[0].false[k])
    assert decided > 3000


def test_conditions_are_of_three_values() -> None:
    """Kleene's strong logic, all nine cases."""
    true, false = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0], bool), np.array([0, 0, 0, 1, 1, 1, 0, 0, 0], bool)
    a, b = Mask(true, false), Mask(np.tile([True, False, False], 3), np.tile([False, True, False], 3))
    value = {(True, False): 1, (False, True): -1, (False, False): 0}

    def of(mask: Mask) -> list[int]:
        return [value[bool(t), bool(f)] for t, f in zip(mask.true, mask.false, strict=True)]

    assert of(a & b) == [min(x, y) for x, y in zip(of(a), of(b), strict=True)]
    assert of(a | b) == [max(x, y) for x, y in zip(of(a), of(b), strict=True)]
    assert of(~a) == [-x for x in of(a)]
    assert (a & b).open.tolist() == [x == 0 for x in of(a & b)]
    assert of(a & np.True_) == of(a)
    assert of(True | b) == [1] * 9


def test_the_flags_of_the_processor_are_seen_here() -> None:
    assert WORK

    @watched
    def flagged(a: float, b: float) -> tuple[bool, bool]:
        FLAGS.lower()
        assert np.isfinite(np.full(100, a) * 0.5).all()
        result = np.full(100, a) * np.full(100, b)
        return result.size and FLAGS.under, FLAGS.lost

    with np.errstate(all="ignore"):
        assert flagged(1e-200, 1e-200) == (True, False)
        assert flagged(1e200, 1e200) == (False, True)
        assert flagged(1e200, 1e-200) == (False, False)


def test_flags_of_another_thread_are_not_seen() -> None:
    many = exact(np.full(200_000, 1e-200))
    plain_array = exact(np.full(200_000, 1.5))
    with ThreadPoolExecutor(2) as pool:
        for under, plain in zip(*(pool.map(lambda x: x * x, [x] * 30) for x in (many, plain_array)), strict=True):
            assert plain.spread is None
            assert under.spread is not None


def test_balls_are_right_without_flags_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.arrays.flags.WORK", False)
    with precision(BITS), np.errstate(all="ignore"):
        for seed in range(200):
            within(*Tree(seed).grow(3))
    assert known(exact(np.array([2.0])) * 3).all()
    assert balls.TINY > 0
