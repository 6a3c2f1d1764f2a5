"""The trusted core against mpmath: every row of the function table, in each of its forms."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
import pytest
import sympy
from flint import arb, arb_series, fmpq
from mpmath import mp
from tests.support.plain_conditions import Plainly

from gradproof.engine.precision import precision
from gradproof.engine.scalar_function import ScalarFunction
from gradproof.engine.scalar_functions import FUNCTIONS, SYMBOLIC, Balls, Undecided

ROWS = {row.name: row for row in FUNCTIONS}
REAL = ("-7/2", "-1", "-1/1024", "0", "1/3", "1", "19/4", "33")
POSITIVE = ("1/1024", "1/3", "1", "5/2", "40")
INCOMPLETE = (("1/2", "1/3"), ("1", "2"), ("5/2", "1/64"), ("7/3", "9"), ("40", "41"))

ORACLES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "exp": (mp.exp, REAL),
    "expm1": (mp.expm1, REAL),
    "log": (mp.log, POSITIVE),
    "log1p": (mp.log1p, ("-1023/1024", "-1/3", "0", "1/1024", "40")),
    "sqrt": (mp.sqrt, POSITIVE),
    "sin": (mp.sin, REAL),
    "cos": (mp.cos, REAL),
    "sinc": (mp.sinc, REAL),
    "tan": (mp.tan, REAL),
    "asin": (mp.asin, ("-127/128", "-1/3", "0", "1/3", "63/64")),
    "acos": (mp.acos, ("-127/128", "-1/3", "0", "1/3", "63/64")),
    "atan": (mp.atan, REAL),
    "atan2": (
        mp.atan2,
        (("1", "2"), ("2", "1"), ("2", "-1"), ("1", "-2"), ("-1", "-2"), ("-2", "-1"), ("-2", "1"), ("-1", "2"),
         ("3", "0"), ("-3", "0"), ("0", "3"), ("5/4", "5/4"), ("5/4", "-5/4"), ("-5/4", "-5/4"), ("-5/4", "5/4")),
    ),
    "sinh": (mp.sinh, REAL),
    "cosh": (mp.cosh, REAL),
    "tanh": (mp.tanh, REAL),
    "asinh": (mp.asinh, REAL),
    "acosh": (mp.acosh, ("1025/1024", "2", "7/2", "100")),
    "atanh": (mp.atanh, ("-127/128", "-1/3", "0", "1/3", "63/64")),
    "erf": (mp.erf, ("-3", "-1/2", "0", "1/3", "5")),
    "erfc": (mp.erfc, ("-3", "-1/2", "0", "1/3", "9")),
    "gamma": (mp.gamma, ("-5/2", "-1/3", "1/3", "1", "7", "41/4")),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), ("1/3", "1", "2", "7", "41/4", "-1/3", "-5/2", "-35/4")),
    "digamma": (mp.digamma, ("1/1024", "1/3", "1", "3/2", "41/4", "-1/3", "-5/2", "-35/4")),
    "polygamma": (
        lambda n, x: mp.polygamma(int(n), x),
        (("1", "1/3"), ("1", "5/2"), ("1", "-5/2"), ("2", "1/3"), ("2", "-4/3"), ("5", "41/4"), ("12", "7/8")),
    ),
    "zeta": (mp.zeta, (("2", "1"), ("5/2", "1/3"), ("3/2", "7"), ("12", "41/4"), ("4", "1/64"))),
    "gammainc": (lambda a, x: mp.gammainc(a, 0, x, regularized=True), INCOMPLETE),
    "gammaincc": (lambda a, x: mp.gammainc(a, x, regularized=True), INCOMPLETE),
    "erfinv": (mp.erfinv, ("-127/128", "-1/3", "0", "1/3", "63/64")),
    "erfcinv": (lambda x: mp.erfinv(1 - x), ("1/1024", "1/3", "1", "4/3", "255/128")),
    "besselj": (mp.besselj, (("0", "0"), ("0", "5/2"), ("1", "-7/3"), ("2", "40"), ("-1", "3/2"))),
    "bessely": (mp.bessely, (("0", "1/64"), ("0", "5/2"), ("1", "7/3"), ("2", "40"), ("-1", "3/2"))),
    "besseli": (mp.besseli, (("0", "0"), ("0", "5/2"), ("1", "-7/3"), ("2", "40"), ("-1", "3/2"))),
    "besselk": (mp.besselk, (("0", "1/64"), ("0", "5/2"), ("1", "7/3"), ("2", "40"), ("-1", "3/2"))),
    "power": (mp.power, (("5/2", "3"), ("1/2", "-3/2"), ("7/3", "0"), ("4", "1/2"), ("1", "9"))),
}  # fmt: skip

POINTS = [
    pytest.param(name, tuple(map(Fraction, p if isinstance(p, tuple) else (p,))), id=f"{name}({p})")
    for name, (_, points) in ORACLES.items()
    for p in points
]


def exact(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))


def real(x: Fraction) -> Any:
    return mp.mpf(x.numerator) / x.denominator


def ends(ball: arb) -> tuple[Any, Any]:
    """Middle and radius, without rounding (mpmath has more digits than the ball)."""
    assert ball.is_finite()
    middle, radius = ball.mid().man_exp(), ball.rad().man_exp()
    return mp.ldexp(int(middle[0]), int(middle[1])), mp.ldexp(int(radius[0]), int(radius[1]))


def assert_encloses(ball: arb, true: Any, bits: int, digits: int = 150) -> None:
    """The ball contains the true value (known to so many digits) and is not much wider than its precision makes it."""
    middle, radius = ends(ball)
    assert abs(middle - true) <= radius + mp.mpf(10) ** -digits * (1 + abs(true))
    assert radius <= mp.ldexp(1, 16 - bits) * (1 + abs(true))


@pytest.mark.parametrize(
    ("s", "q"), [(3 * 10**4, 1 - Fraction(1, 10**4)), (10**5, Fraction(1)), (2 * 10**4, Fraction(41, 40))]
)
def test_a_steep_zeta_function_is_its_first_terms(s: int, q: Fraction) -> None:
    """Σ (q + k)⁻ˢ and its derivatives, of which the third term and all behind it are below 3⁻ˢ."""
    with precision(300), mp.workdps(200):
        bases = [real(q + k) for k in range(2)]
        slopes = [-sum(mp.power(b, -s) * mp.log(b) for b in bases), -s * sum(mp.power(b, -s - 1) for b in bases)]
        assert_encloses(ROWS["zeta"].ball(arb(s), exact(q)), sum(mp.power(b, -s) for b in bases), 300)
        for ball, slope in zip(ROWS["zeta"].partials([arb(s), exact(q)], range(2)), slopes, strict=True):
            assert_encloses(ball, slope, 300)


def test_every_row_has_an_oracle() -> None:
    assert set(ORACLES) == set(ROWS)


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize("bits", [53, 128, 300])
@pytest.mark.parametrize(("name", "point"), POINTS)
def test_ball_encloses_the_function(name: str, point: tuple[Fraction, ...], bits: int) -> None:
    with mp.workdps(200):
        true = ORACLES[name][0](*map(real, point))
        with precision(bits):
            assert_encloses(ROWS[name].ball(*map(exact, point)), true, bits)


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize(("name", "point"), POINTS)
def test_symbolic_form_is_the_function(name: str, point: tuple[Fraction, ...]) -> None:
    with mp.workdps(80):
        true = ORACLES[name][0](*map(real, point))
        expression = sympy.sympify(ROWS[name].symbolic(*(sympy.Rational(x.numerator, x.denominator) for x in point)))
        value = sympy.re(expression.evalf(70))
        assert abs(mp.mpf(str(value)) - true) <= mp.mpf(10) ** -60 * (1 + abs(true))


STILL = {"polygamma", "gammainc", "gammaincc", "besselj", "bessely", "besseli", "besselk"}
"""Functions of a parameter, the first argument, along which they have no derivative here."""


def difference_quotient(function: Callable[..., Any], point: list[Any], axis: int) -> Any:
    """Central differences with so many digits that 60 are left: mpmath's own values and nothing else."""
    step = mp.mpf(10) ** -90
    up, down = list(point), list(point)
    up[axis] += step
    down[axis] -= step
    return (function(*up) - function(*down)) / (2 * step)


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize(("name", "point"), POINTS)
def test_partials_from_the_series_form(name: str, point: tuple[Fraction, ...], bits: int) -> None:
    row = ROWS[name]
    axes = range(name in STILL, len(point))
    with precision(bits):
        balls = row.partials(list(map(exact, point)), axes)
    with mp.workdps(200):
        for axis, ball in zip(axes, balls, strict=True):
            true = difference_quotient(ORACLES[name][0], list(map(real, point)), axis)
            assert_encloses(ball, true, bits, digits=60)


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize(("name", "point"), POINTS)
def test_series_form_has_the_value_of_the_ball_form(name: str, point: tuple[Fraction, ...]) -> None:
    """The constant term must be the function too: a definition composes values, not only derivatives."""
    with precision(128):
        balls = list(map(exact, point))
        line = [arb_series([ball, 1 if k == (name in STILL) else 0], 2) for k, ball in enumerate(balls)]
        assert ROWS[name].series(*line)[0].overlaps(ROWS[name].ball(*balls))


def test_power_of_a_negative_base_with_an_integer_exponent() -> None:
    with precision(128):
        assert ROWS["power"].partials([arb(-2), arb(3)], [0])[0].contains(12)
        assert not ROWS["power"].partials([arb(-2), arb(3)], [1])[0].is_finite()


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row.name)
def test_outside_its_domain_a_row_has_no_finite_derivative(row: ScalarFunction) -> None:
    outside = {
        "log": -1,
        "sqrt": -1,
        "log1p": -2,
        "asin": 2,
        "acos": 2,
        "acosh": 0,
        "atanh": 2,
        "gamma": -1,
        "lgamma": -1,
        "digamma": -1,
        "erfinv": 2,
        "erfcinv": 3,
    }
    if row.name in outside:
        with precision(64):
            assert not row.partials([arb(outside[row.name])], [0])[0].is_finite()


@pytest.mark.parametrize("name", sorted(STILL))
def test_a_parameter_does_not_move(name: str) -> None:
    with precision(64), pytest.raises(ValueError, match=r"does not move|no series in the parameter"):
        ROWS[name].partials([arb(2), arb(3)], [0])


def test_an_order_is_a_whole_number() -> None:
    with pytest.raises(ValueError, match="an order is a whole number"):
        ROWS["besselj"].ball(arb(0.5), arb(1))


def test_atan2_of_balls_around_the_origin_is_undecided() -> None:
    around = arb(0, 1)
    with pytest.raises(Undecided):
        ROWS["atan2"].partials([around, around], [0])


class TestComparisons:
    def test_decided(self) -> None:
        f = Balls()
        assert f.less(arb(1), arb(2))
        assert not f.less(arb(2), arb(1))
        assert f.less_equal(arb(1), 2)
        assert f.equal(arb(2), arb(2))
        assert not f.equal(arb(2), arb(3))

    @pytest.mark.parametrize("compare", ["less", "less_equal", "equal"])
    def test_a_ball_that_straddles_is_undecided(self, compare: str) -> None:
        with pytest.raises(Undecided):
            getattr(Balls(), compare)(arb(0, 1), arb(0))

    def test_two_overlapping_balls_are_undecided_even_if_equal(self) -> None:
        with pytest.raises(Undecided):
            Balls().equal(arb(1, 0.5), arb(1, 0.5))

    def test_equal_sides_are_equal_and_a_tie(self) -> None:
        f = Balls()
        assert not f.tied
        assert not f.less(arb(2), arb(2))
        assert f.tied
        assert f.less_equal(arb(2), arb(2))
        assert f.equal(arb(2), arb(2))

    def test_no_tie_is_reported_where_none_was(self) -> None:
        f = Balls()
        assert f.less(arb(1), arb(2))
        assert not f.tied


def test_connectives_and_choice_agree_in_both_readings() -> None:
    balls = Balls()
    for a in (True, False):
        assert balls.negate(a) is not a
        assert bool(SYMBOLIC.negate(sympy.sympify(a))) is not a
        assert balls.where(a, 1, 2) == SYMBOLIC.where(a, 1, 2) == (1 if a else 2)
        assert int(float(balls.as_number(a))) == SYMBOLIC.as_number(a) == int(a)
        for b in (True, False):
            assert balls.both(a, b) == bool(SYMBOLIC.both(a, b)) == (a and b)
            assert balls.either(a, b) == bool(SYMBOLIC.either(a, b)) == (a or b)


def test_total_and_number_are_exact() -> None:
    tenth = Fraction(0.1)
    assert SYMBOLIC.number(0.1) == sympy.Rational(tenth.numerator, tenth.denominator)
    assert SYMBOLIC.total([]) == 0
    with precision(53):
        assert Balls().number(0.1).is_exact()
        assert Balls().total([arb(1), 2, arb(3)]).contains(6)
        assert mpmath.almosteq(float(Balls().pi), mpmath.pi)


def test_the_symbolic_reading_knows_no_floats() -> None:
    x = sympy.Symbol("x")
    expression = SYMBOLIC.number(0.5) * SYMBOLIC.exp(x)
    assert not expression.atoms(sympy.Float)


def test_a_missing_row_is_named_with_those_that_exist() -> None:
    for reading in (SYMBOLIC, Balls()):
        with pytest.raises(AttributeError, match=r"no 'hankel'; it has exp"):
            reading.hankel(1)


def chosen(f: Any, x: Any, y: Any, z: Any) -> list[Any]:
    """Conditions on numbers that were chosen by conditions, some of them by the same."""
    larger = f.where(f.less(x, y), y, x)
    largest = f.where(f.less(larger, z), z, larger)
    step = f.where(f.equal(largest, x), 1, f.where(f.less_equal(y, 0), -1, 0))
    return [
        f.where(f.equal(x, largest), 1, 0),
        f.where(f.both(f.less(larger, largest), f.negate(f.equal(y, largest))), 1, 0),
        f.where(f.less(step, f.where(f.less(step, 1), larger, x)), largest, step),
        f.where(f.either(f.less_equal(largest + larger, step), f.less(step * y, larger)), 1, 0),
    ]


@pytest.mark.slow
def test_a_comparison_of_what_is_chosen_is_made_in_pieces() -> None:
    """No branch is left inside of a comparison, and the truth is the same at every point, ties among them."""
    symbols = sympy.symbols("x y z", real=True)
    read = chosen(SYMBOLIC, *symbols)
    for expression in read:
        assert not any(r.has(sympy.Piecewise) for r in expression.atoms(sympy.core.relational.Relational))
    for point in product((-1, 0, 1, 2), repeat=3):
        values = [expression.xreplace(dict(zip(symbols, map(sympy.Integer, point), strict=True))) for expression in read]
        assert values == chosen(Plainly(), *point), point
