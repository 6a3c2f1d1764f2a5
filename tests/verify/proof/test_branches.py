"""Proofs of rules with branches: right rules are proved, however they are written; wrong rules are not."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from tests.support.registries import registry_of

from gradproof.engine.domains import NONZERO, POSITIVE, REAL, Domain
from gradproof.engine.extend import Exact, Op, full_like, ops
from gradproof.engine.verify.identities.branches import explicit, factored, is_thin
from gradproof.engine.verify.identities.feasible import Unknown, is_nonnegative, point_with
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import RuleWord

LOG2 = Exact(lambda f: f.log(f.number(2)))
ROOT2 = Exact(lambda f: f.sqrt(f.number(2)))


def words(op: Op) -> set[RuleWord]:
    registry = registry_of(op)
    return {prove(registry, op, case_).word for case_ in op.proof_cases()}


def op_of(forward: Any, rule: Any, define: Any, domain: Domain = REAL) -> Op:
    return Op("planted.op", forward, rule, define, domains=domain)


def greater(f: Any, a: Any, b: Any) -> Any:
    return f.where(f.less(a, b), b, a)


def inverse(a: Any, b: Any) -> Any:
    return ops.logical_and(a * b > 0, ops.abs(a) > 1 / ops.abs(b))


def huber(x: Any, *, d: float = 1.0) -> Any:
    return np.where(abs(x) < d, x * x / 2, d * (abs(x) - d / 2)).astype(x.dtype)


RIGHT: dict[str, Op] = {
    "x² > 4 and |x| > 2": op_of(
        lambda x: np.where(x * x > 4, x * x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(ops.abs(x) > 2, 2 * g * x, 0),
        lambda f, x: f.where(f.less(4, x * x), x * x, 0),
    ),
    "x² < 2 and |x| < √2": op_of(
        lambda x: np.where(x * x < 2, x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(ops.abs(x) < ROOT2, g, 0),
        lambda f, x: f.where(f.less(x * x, 2), x, 0),
    ),
    "x³ < 8 and x < 2": op_of(
        lambda x: np.where(x * x * x < 8, x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(x < 2, g, 0),
        lambda f, x: f.where(f.less(x * x * x, 8), x, 0),
    ),
    "√(x - 1)² and sign": op_of(
        lambda x: abs(x - 1), lambda g, y, x: g * ops.sign(x - 1), lambda f, x: f.sqrt((x - 1) * (x - 1))
    ),
    "√(x² - 2x + 1) and a comparison": op_of(
        lambda x: abs(x - 1),
        lambda g, y, x: ops.where(x < 1, -g, g),
        lambda f, x: f.sqrt(x * x - 2 * x + 1),
    ),
    "x |x| and 2 |x|": op_of(
        lambda x: x * abs(x), lambda g, y, x: 2 * g * ops.abs(x), lambda f, x: x * f.sqrt(x * x)
    ),
    "max(x, -x) and sign": op_of(abs, lambda g, y, x: g * ops.sign(x), lambda f, x: greater(f, x, -x)),
    "a maximum by |a - b|": op_of(
        np.maximum,
        lambda g, y, a, b: (g * (1 + ops.sign(a - b)) / 2, g * (1 - ops.sign(a - b)) / 2),
        lambda f, a, b: greater(f, a, b),
    ),
    "|a| < |b| and a² < b²": op_of(
        lambda a, b: np.asarray(np.where(abs(a) < abs(b), a, b), a.dtype),
        lambda g, y, a, b: (ops.where(a * a < b * b, g, 0), ops.where(a * a < b * b, 0, g)),
        lambda f, a, b: f.where(f.less(f.modulus(a), f.modulus(b)), a, b),
    ),
    "clip by comparisons": op_of(
        lambda x: np.clip(x, -1, 3),
        lambda g, y, x: ops.where((x - 1) * (x - 1) < 4, g, 0),
        lambda f, x: f.where(f.less(x, -1), -1, f.where(f.less(3, x), 3, x)),
    ),
    "exp(x) < 2 and x < log 2": op_of(
        lambda x: np.where(np.exp(x) < 2, x * x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(x < LOG2, 2 * g * x, 0),
        lambda f, x: f.where(f.less(f.exp(x), 2), x * x, 0),
    ),
    "log(a) + log(b) < 0 and a b < 1": op_of(
        lambda a, b: np.asarray(np.where(a * b < 1, a, b), a.dtype),
        lambda g, y, a, b: (ops.where(a * b < 1, g, 0), ops.where(a * b < 1, 0, g)),
        lambda f, a, b: f.where(f.less(f.log(a) + f.log(b), 0), a, b),
        POSITIVE,
    ),
    "tanh(x) < 1/3 and x < log(2) / 2": op_of(
        lambda x: np.where(2 * x < np.log(2), x * x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(2 * x < LOG2, 2 * g * x, 0),
        lambda f, x: f.where(f.less(f.tanh(x), Fraction(1, 3)), x * x, 0),
    ),
    "1 / (1 + exp(-x)) < 1/2 and x < 0": op_of(
        lambda x: np.where(x < 0, x * x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(x < 0, 2 * g * x, 0),
        lambda f, x: f.where(f.less(1 / (1 + f.exp(-x)), Fraction(1, 2)), x * x, 0),
    ),
    "exp(x²) < exp(4) and |x| < 2": op_of(
        lambda x: np.where(x * x < 4, x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(ops.abs(x) < 2, g, 0),
        lambda f, x: f.where(f.less(f.exp(x * x), f.exp(f.number(4))), x, 0),
    ),
    "exp(x) < -1, which is nowhere": op_of(
        lambda x: 0 * x,
        lambda g, y, x: ops.where(ops.exp(x) < 0, g, 0),
        lambda f, x: f.where(f.less(f.exp(x), -1), x, 0 * x),
    ),
    "a² + b² < 1 and its root": op_of(
        lambda a, b: np.asarray(np.where(a * a + b * b < 1, a, b), a.dtype),
        lambda g, y, a, b: (ops.where(ops.sqrt(a * a + b * b) < 1, g, 0), ops.where(ops.sqrt(a * a + b * b) < 1, 0, g)),
        lambda f, a, b: f.where(f.less(a * a + b * b, 1), a, b),
    ),
    "a⁵ < b⁵ and a < b": op_of(
        lambda a, b: np.asarray(np.where(a < b, a, b), a.dtype),
        lambda g, y, a, b: (ops.where(a < b, g, 0), ops.where(a < b, 0, g)),
        lambda f, a, b: f.where(f.less(a**5, b**5), a, b),
    ),
    "a b > 1 and |a| > 1 / |b|": op_of(
        lambda a, b: np.asarray(np.where(a * b > 1, a, b), a.dtype),
        lambda g, y, a, b: (ops.where(inverse(a, b), g, 0), ops.where(inverse(a, b), 0, g)),
        lambda f, a, b: f.where(f.less(1, a * b), a, b),
    ),
    "1 / x < 2, on two sides of 0": op_of(
        lambda x: np.where(1 / x < 2, x, 0).astype(x.dtype),
        lambda g, y, x: ops.where(ops.logical_or(x < 0, x > Fraction(1, 2)), g, 0),
        lambda f, x: f.where(f.less(1 / x, 2), x, 0),
        NONZERO,
    ),
    "two float attributes": op_of(
        lambda x, *, low=-0.7, high=0.1: np.asarray(np.clip(x, low, high), x.dtype),
        lambda g, y, x, *, low, high: ops.where(ops.logical_and(low < x, x < high), g, 0),
        lambda f, x, *, low=-0.7, high=0.1: f.where(f.less(x, low), low, f.where(f.less(high, x), high, x)),
    ),
    "an attribute squared": op_of(
        huber,
        lambda g, y, x, *, d: ops.where(x * x < d * d, g * x, d * g * ops.sign(x)),
        lambda f, x, *, d=1.0: f.where(f.less(f.modulus(x), d), x * x / 2, d * (f.modulus(x) - f.number(d) / 2)),
    ),
    "√x < 1 and x < 1": op_of(
        lambda x: np.where(np.sqrt(x) < 1, x, 1).astype(x.dtype),
        lambda g, y, x: ops.where(ops.sqrt(x) < 1, g, 0),
        lambda f, x: f.where(f.less(f.sqrt(x), 1), x, 1),
        POSITIVE,
    ),
}  # fmt: skip


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("op", RIGHT.values(), ids=RIGHT.keys())
def test_a_right_rule_is_proved_however_its_branches_are_written(op: Op) -> None:
    assert words(op) <= {RuleWord.PROVED, RuleWord.PROVED_AE}


def square(condition: Callable[[Any, Any], Any], factor: int = 5) -> Op:
    """x², with a rule that differs wherever a condition holds."""
    return op_of(
        lambda x: x * x,
        lambda g, y, x: ops.where(condition(g, x), factor * g, 2 * g * x),
        lambda f, x: x * x,
    )


THICK: dict[str, Op] = {
    "√(x - 3)² = x - 3": square(lambda g, x: ops.equal(ops.sqrt(ops.square(x - 3)) - (x - 3), 0)),
    "|x| = x": square(lambda g, x: ops.equal(ops.abs(x), x)),
    "|x + 2| <= -x - 2": square(lambda g, x: ops.abs(x + 2) <= -x - 2),
    "max(x, 3) = x": square(lambda g, x: ops.equal(ops.maximum(x, 3), x)),
    "min(x, -1) = -1": square(lambda g, x: ops.equal(ops.minimum(x, full_like(x, -1)), -1)),
    "sign(x) = 1": square(lambda g, x: ops.equal(ops.sign(x), 1)),
    "clip(x) = 2": square(lambda g, x: ops.equal(ops.minimum(ops.maximum(x, 1), 2), 2)),
    "√(x⁴ - 2x² + 1) = x² - 1": square(
        lambda g, x: ops.equal(ops.sqrt(ops.square(ops.square(x)) - 2 * ops.square(x) + 1), ops.square(x) - 1)
    ),
    "atan(x) + atan(1/x) = π/2": square(
        lambda g, x: ops.equal(ops.atan(x) + ops.atan(1 / x), full_like(x, Exact(lambda f: f.pi / 2)))
    ),
    "exp(log(x²) / 2) = x": square(lambda g, x: ops.equal(ops.exp(ops.log(ops.square(x)) / 2), x)),
    "floor(x) = 7": square(lambda g, x: ops.equal(ops.floor(x), 7)),
    "x > 100": square(lambda g, x: x > 100),
    "x < -5000": square(lambda g, x: x < -5000),
    "0 < x < 1/1000": square(lambda g, x: ops.logical_and(x > 0, x < Fraction(1, 1000))),
    "exp(x) > 10⁴": square(lambda g, x: ops.exp(x) > 10_000),
    "x² + x > 50": square(lambda g, x: x * x + x > 50),
}  # fmt: skip


def chosen(condition: Callable[[Any, Any, Any], Any], else_: Callable[[Any, Any], Any]) -> Op:
    """a where a condition holds, else b; with a rule that has another condition."""
    return op_of(
        lambda a, b: np.asarray(np.where(condition(NUMPY, a, b), a, b), a.dtype),
        lambda g, y, a, b: (ops.where(else_(a, b), g, 0), ops.where(else_(a, b), 0, g)),
        lambda f, a, b: f.where(condition(f, a, b), a, b),
    )


class NUMPY:
    less = np.less
    exp = np.exp


BESIDE: dict[str, Op] = {
    "exp(a) < 2 and a < 0.6931": chosen(lambda f, a, b: f.less(f.exp(a), 2), lambda a, b: a < Fraction(6931, 10_000)),
    "exp(a) < exp(b) and a < 2 b": chosen(lambda f, a, b: f.less(f.exp(a), f.exp(b)), lambda a, b: a < 2 * b),
    "a² + b² < 1 and < 4": chosen(lambda f, a, b: f.less(a * a + b * b, 1), lambda a, b: a * a + b * b < 4),
    "a³ < b³ and a < 2 b": chosen(lambda f, a, b: f.less(a * a * a, b * b * b), lambda a, b: a < 2 * b),
    "a b < 1 and a < 1 / b": chosen(lambda f, a, b: f.less(a * b, 1), lambda a, b: a < 1 / b),
    "a² - 3 a b + b² < 0 and a b < 0": chosen(lambda f, a, b: f.less(a * a - 3 * a * b + b * b, 0), lambda a, b: a * b < 0),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("op", BESIDE.values(), ids=BESIDE.keys())
def test_a_condition_that_is_another_is_refuted(op: Op) -> None:
    assert RuleWord.REFUTED in words(op)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("a**2 + a*b + b**2", True),
        ("a**2 - 2*a*b + b**2", True),
        ("a**2 - 3*a*b + b**2", False),
        ("a**4 + a**3*b + a**2*b**2 + a*b**3 + b**4", True),
        ("a**4 - 3*a**2*b**2 + b**4", False),
        ("(a - 1)**2*(a + 2)**2", True),
        ("a**3", False),
        ("a**2 - 1", False),
        ("1 - a**2*b**2", False),
        ("a**2*b**2 + a**2 + b**4", True),
        ("-a**2", False),
        ("(a**2 - b)**2", True),
        ("a*b", False),
    ],
)
def test_a_polynomial_is_below_0_nowhere(text: str, least: bool) -> None:
    """The oracle: the values of the polynomial on a grid."""
    e = sympy.sympify(text, locals={name: sympy.Symbol(name, real=True) for name in "ab"})
    assert is_nonnegative(e) is least
    values = sympy.lambdify(sorted(e.free_symbols, key=str), e)
    grid = np.meshgrid(*[np.linspace(-3, 3, 121)] * len(e.free_symbols))
    assert bool(np.all(values(*grid) >= -1e-9)) is least


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("op", THICK.values(), ids=THICK.keys())
def test_a_rule_that_is_another_somewhere_is_never_proved(op: Op) -> None:
    assert words(op) <= {RuleWord.REFUTED, RuleWord.UNDECIDED}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["√(x - 3)² = x - 3", "|x| = x", "max(x, 3) = x", "x > 100", "exp(x) > 10⁴", "x² + x > 50"]
)
def test_it_is_refuted_beyond_the_branch(name: str) -> None:
    assert words(THICK[name]) == {RuleWord.REFUTED}


X, T = sympy.Symbol("x", real=True), sympy.Symbol("t", positive=True)


@pytest.mark.parametrize(
    ("difference", "thin"),
    [
        (X**3 - 2, True),
        (sympy.exp(X) - X - 2, True),
        (sympy.log(T) - T + 2, True),
        (sympy.sqrt(T) - T, True),
        (sympy.sqrt(1 + X) - X, True),
        (sympy.sqrt(X + 1) * sympy.sqrt(X - 1) - sympy.sqrt(X**2 - 1), False),
        (sympy.Abs(X) - X, False),
        (sympy.atan(X) + sympy.atan(1 / X) - sympy.pi / 2, False),
        (sympy.asin(sympy.sin(X)) - X, False),
        (sympy.floor(X) - 1, False),
    ],
    ids=str,
)
def test_what_is_known_to_be_thin(difference: Any, thin: bool) -> None:
    assert is_thin(difference) is thin


def test_roots_of_squares_and_floats_become_comparisons() -> None:
    assert explicit(sympy.sqrt(X**2 - 2 * X + 1)).subs(X, -3) == 4
    assert not explicit(sympy.Max(X, 0.5)).atoms(sympy.Float, sympy.Max)
    assert factored(4 - X**2) == (-1, ((X - 2, 1), (X + 2, 1)))
    assert factored((X**2 + 1) * (1 - X)) == (-1, ((X - 1, 1),))


def test_signs_of_polynomials_on_a_line() -> None:
    assert point_with([(X**2 - 2, -1), (X - sympy.sqrt(2), 1)]) is None
    assert point_with([(X**3 - 2, 1), (X - 1, -1)]) is None
    assert point_with([(T**2 + T - 2, 1), (T - 1, -1)]) is None
    point = point_with([(X**2 - 2, -1), (X - sympy.Rational(7, 5), 1)])
    assert point is not None
    assert sympy.Rational(7, 5) < point[X] < sympy.sqrt(2)
    with pytest.raises(Unknown):
        point_with([(sympy.exp(X) - 3, 1)])
