"""Judging whole arrays: units in the last place, distances from balls, kinks; against fractions and single numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradproof.engine.conventions import Kink
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.arrays.selected_products import selected_products
from gradproof.engine.verify.floats.ulps import largest, spacing
from gradproof.engine.verify.nodes.allowances import MAX_EXAMINED, Orders, compare_array
from gradproof.engine.verify.nodes.distances import Tally, at_kinks, distances, overflowed, spacings
from gradproof.engine.verify.nodes.elements import ALIKE, common_limits, far_substitutes, limits
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord

FLOAT64 = np.dtype(np.float64)
DTYPES = [FLOAT64, np.dtype(np.float32), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_units_of_arrays_are_those_of_single_numbers(dtype: Any) -> None:
    top = largest(dtype)
    points = [0.0, 1.0, -1.0, 1.5, 2.0, 3.999, top, top / 2, top / 2.001, top / 4, 1e-30, 6e-8, 1e-45, 5e-324, 2.0**-126]
    drawn = np.random.default_rng(0).normal(size=200) * 10.0 ** np.random.default_rng(1).integers(-4, 4, 200)
    x = np.concatenate([np.array(points), drawn])
    x = x[np.abs(x) <= top]
    assert spacings(x, dtype).tolist() == [spacing(float(number), dtype) for number in x]


def test_distances_contain_the_true_ones() -> None:
    random = np.random.default_rng(2)
    mid = random.normal(size=500)
    rad = np.abs(random.normal(size=500)) * 1e-14
    got = mid + random.normal(size=500) * 2e-14
    far = distances(got, mid, rad, FLOAT64)
    for k in range(500):
        apart = abs(Fraction(got[k]) - Fraction(mid[k]))
        assert Fraction(far.most[k]) >= apart + Fraction(rad[k])
        assert Fraction(far.least[k]) <= max(apart - Fraction(rad[k]), Fraction(0))
        assert far.most[k] <= float(apart + Fraction(rad[k])) * (1 + 1e-12)


def test_distances_of_what_is_not_finite() -> None:
    got = np.array([np.inf, np.inf, np.nan, 1.0, np.nan, -np.inf])
    mid = np.array([np.inf, 1.0, 1.0, np.nan, np.nan, np.inf])
    far = distances(got, mid, np.zeros(6), FLOAT64)
    assert far.close().tolist() == [True, False, False, False, False, False]
    assert far.least.tolist()[:4] == [0.0, np.inf, np.inf, 0.0]  # of an unknown truth nothing is far
    assert overflowed(got, np.full(6, 1.7e308), np.zeros(6), FLOAT64).tolist() == [False] * 6
    assert overflowed(np.array([np.inf, -np.inf]), np.full(2, 7e4), np.zeros(2), np.dtype(np.float16)).tolist() == [
        True,
        False,
    ]


def test_a_zero_is_right_where_the_truth_is_nothing() -> None:
    mid, rad = np.array([0.0, 0.0, 0.0, 1e-280, 1e-323]), np.array([1e-322, 1e-300, 0.0, 0.0, 1e-322])
    assert distances(np.zeros(5), mid, rad, FLOAT64).close().tolist() == [True, False, True, False, True]
    assert not distances(np.full(1, 1e-300), np.zeros(1), np.full(1, 1e-290), FLOAT64).close().any()


@pytest.mark.parametrize(
    ("kink", "right", "wrong"),
    [(Kink.MEAN, 0.5, 0.0), (Kink.SMALLEST, 0.0, 1.0), (Kink.LARGEST, 1.0, 0.5), (None, 0.3, 1.001)],
)
def test_a_kink_has_its_convention(kink: Kink | None, right: float, wrong: float) -> None:
    sides = [BallArray(np.array([0.0, 0.0, 2.0])), BallArray(np.array([1.0, 1.0, 2.0]))]
    apart, close = at_kinks(np.array([right, wrong, 2.0]), sides, kink, FLOAT64)
    assert apart.tolist() == [True, True, False]
    assert close.tolist()[:2] == [True, False]


def test_sides_that_cancel_have_their_mean() -> None:
    """Whatever the rounding of the sides: 0 is the mean of g and -g."""
    g = np.array([0.3, -1e9, 1e-300, 0.3])
    wide = np.abs(g) * 2.0**-53
    sides = [BallArray(g, wide), BallArray(-g, wide)]
    _, close = at_kinks(np.array([0.0, -0.0, 0.0, 1e-9]), sides, Kink.MEAN, FLOAT64)
    assert close.tolist() == [True, True, True, False]


def test_limits_are_what_two_readings_far_out_agree_on() -> None:
    x = np.array([1.0, np.inf, -np.inf, 2.0**70, -(2.0**80)])
    a, b = (far_substitutes(x, np.array([2.0**70, 2.0**80]), seed) for seed in (1, 2))
    assert a[0] == b[0] == 1.0
    assert (np.abs(a[1:]) > 2.0**62).all()
    assert (a[1:] != b[1:]).all()
    assert np.sign(a).tolist() == np.sign(x).tolist()
    assert abs(a[1]) > abs(a[4]) > abs(a[3])  # the order is kept
    ball = limits(BallArray(a), BallArray(b), True)
    assert ball.mid.tolist() == [1.0, np.inf, -np.inf, np.inf, -np.inf]
    assert np.isnan(limits(BallArray(a), BallArray(b), False).mid[1:]).all()
    assert np.isnan(limits(BallArray(np.array([1.0])), BallArray(np.array([1.1])), True).mid).all()


def test_the_middle_of_infinities_is_no_limit() -> None:
    """Of three in a row the second is the same in an order and in its reverse."""
    x = np.full(3, np.inf)
    orders = [BallArray(np.argsort(far_substitutes(x, np.empty(0), seed), kind="stable") * 1.0) for seed in (1, 2, ALIKE)]
    for known, ball in zip(orders[2].mid, common_limits(orders).mid, strict=True):
        assert np.isnan(ball) or ball == known
    same = BallArray(np.array([1.0, np.nan]))
    assert common_limits([same, same, same]).mid[0] == 1.0
    assert np.isnan(common_limits([same, same, BallArray(np.array([2.0, 0]))]).mid).all()


def judged(got: Any, mid: Any, allowed: dict[Orders, float], rad: float = 0.0) -> ValueVerdict:
    array = np.asarray(got)
    tally = Tally(array.shape, array.size)

    def allowance(orders: Orders, at: Any) -> Any:
        assert at.any()
        return np.full(array.size, allowed[orders])

    ball = BallArray(np.asarray(mid, np.float64), np.full(array.shape, rad))
    assert compare_array(array, ball, allowance, tally, finite=True).size == 0
    return tally.worst


def test_an_allowance_explains_a_distance_or_does_not() -> None:
    got = np.ones(10)
    got[3] = 1 + 1e-12
    wide, narrow = dict.fromkeys(Orders, 1e-11), dict.fromkeys(Orders, 1e-14)
    assert judged(got, np.ones(10), wide).word is ValueWord.CONDITIONED
    off = judged(got, np.ones(10), narrow)
    assert (off.word, off.element, off.expected) == (ValueWord.OFF, "[3]", "1")
    got[3] = 1 + 1e-6
    assert judged(got, np.ones(10), dict.fromkeys(Orders, 1e-05)).word is ValueWord.ILL_CONDITIONED


def test_any_order_is_no_excuse_for_what_is_to_be_seen() -> None:
    """A billionth is within what sums in any order may cost, and not within what the usual orders do."""
    got = np.ones(10)
    got[3] = 1 + 1e-9
    assert judged(got, np.ones(10), {Orders.ANY: 1e-8, Orders.LIKELY: 1e-12, Orders.USUAL: 1e-12}).word is ValueWord.OFF
    assert (
        judged(got, np.ones(10), {Orders.ANY: 1e-8, Orders.LIKELY: 1e-12, Orders.USUAL: 1e-8}).word is ValueWord.CONDITIONED
    )
    many = np.full(2 * MAX_EXAMINED, 1 + 1e-9)
    assert judged(many, np.ones(many.size), {Orders.ANY: 1e-8, Orders.LIKELY: 0.0, Orders.USUAL: 0.0}).word is ValueWord.OFF


def test_an_infinity_on_the_way_is_explained_by_large_numbers_only() -> None:
    got = np.array([1.0, np.inf], np.float16)
    assert judged(got, [1.0, 3.0], dict.fromkeys(Orders, 100.0)).word is ValueWord.OVERFLOWED
    assert judged(got, [1.0, 3.0], dict.fromkeys(Orders, 0.01)).word is ValueWord.OFF


def test_chosen_elements_of_a_product_are_charged_what_its_orders_cost() -> None:
    random = np.random.default_rng(5)
    a, b = random.normal(size=(2, 30, 200)), random.normal(size=(2, 200, 20))
    selected = random.random((2, 30, 20)) < 0.1
    unit = 2.0**-24
    ball = selected_products(BallArray(a), BallArray(b), unit, selected)
    assert np.isnan(ball.mid[~selected]).all()
    product = (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64)
    exact = np.einsum("bik,bkj->bij", a.astype(np.float32).astype(np.float64), b.astype(np.float32).astype(np.float64))
    assert (np.abs(product - exact)[selected] <= ball.radius()[selected]).all()
    bound = 200 * unit * np.einsum("bik,bkj->bij", np.abs(a), np.abs(b))
    assert (ball.radius()[selected] < bound[selected]).all()
    assert np.allclose(ball.mid[selected], (a @ b)[selected])


def test_a_unit_at_0_is_the_smallest_number() -> None:
    for dtype in map(np.dtype, (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)):
        least = float(ml_dtypes.finfo(dtype).smallest_subnormal)  # type: ignore[no-untyped-call]
        assert spacing(0.0, dtype) == least
        assert spacings(np.zeros(2), dtype).tolist() == [least, least]
