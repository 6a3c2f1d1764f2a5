"""Table of scalar functions: the trusted core.

An op's definition is plain Python over this table, given to it as ``f``: ``lambda f, x: x / (1 + f.exp(-x))``. Every row
has three forms, and a definition read with them gives

- ``SYMBOLIC``  a SymPy expression, for proofs;
- ``BALLS``     an Arb ball that contains the true value (python-flint), for enclosures;
- the power series form, ``series(ball) -> arb_series`` about a point, from which `ScalarFunction.partials` takes rigorous
  derivatives: no derivative formula is written in this file. Rows that Arb has no power series of, with the recurrence that
  their derivative is, are in `special_functions`.

Besides its rows a reading has ``pi``, ``number`` (an exact literal), ``total`` (a sum), the comparisons ``less``,
``less_equal`` and ``equal``, the connectives ``both``, ``either`` and ``negate``, ``where``, ``floor``, ``constant`` (a
number without its derivative), and ``as_number``. ``isnan`` and ``isinf`` hold for floats that are no numbers.
In balls a comparison that the enclosures do not decide raises `Undecided`: a ball that straddles a branch has no side, and
a ball that straddles a step has no floor. For complex numbers there are ``conj``, ``real``, ``imag``, ``modulus``, ``sign``
(z / |z|) and ``compose`` (of two parts). For matrices there are ``eye``, ``det`` and ``cofactors``. These
readings are of real numbers, and `complexes.Complexes` extends any of them to complex numbers.

Trusted are these rows (each is tested against mpmath), SymPy's ``diff`` and zero tests, and Arb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import sympy
from flint import arb, arb_series, ctx
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom, BooleanFunction

from gradproof.engine.attributes import is_not_finite
from gradproof.engine.scalar_function import ScalarFunction, in_arb, in_ball, same
from gradproof.engine.special_functions import SPECIAL_FUNCTIONS

Scalar: TypeAlias = Any  # sympy.Expr, arb, or a tape variable, by reading
Number: TypeAlias = int | float | Fraction
MAX_ROWS = 8  # of a determinant that is expanded: 2^n steps


class Undecided(ArithmeticError):
    """A ball straddles a branch, so neither side may be taken."""


def _expm1(x: Any) -> Any:
    return x.exp() - 1


def _sinh(x: Any) -> Any:
    return (x.exp() - (-x).exp()) / 2


def _cosh(x: Any) -> Any:
    return (x.exp() + (-x).exp()) / 2


def _tanh_series(x: Any) -> Any:
    # 1 - 2/(e^2x + 1) loses no bits of the derivative for large |x| when the exponential is kept small.
    if x[0] < 0:
        small = (2 * x).exp()
        return (small - 1) / (small + 1)
    small = (-2 * x).exp()
    return (1 - small) / (1 + small)


def _acosh(x: Any) -> Any:
    return (x + (x - 1).sqrt() * (x + 1).sqrt()).log()


def _asinh(x: Any) -> Any:
    # Written with |x|, where no cancellation occurs; the function is odd.
    if x[0] < 0:
        return -_asinh(-x)
    return (x + (x * x + 1).sqrt()).log()


def _atan2_series(y: Any, x: Any) -> Any:
    # The constant of the branch does not matter to a derivative, but is kept so that the value is right too.
    if abs(x[0]) > abs(y[0]):
        turn = 0 if x[0] > 0 else (arb.pi() if y[0] >= 0 else -arb.pi())
        return (y / x).atan() + turn
    if abs(y[0]).lower() > 0:
        quarter = arb.pi() / 2 if y[0] > 0 else -arb.pi() / 2
        return quarter - (x / y).atan()
    raise Undecided("atan2 of two balls that contain 0")


def _sinc_series(x: Any) -> Any:
    """Below 1, where sin x / x cancels, 1 - x²/6 (1 - x²/20 (...)): factors are in [0, 1], and their slopes in [-1, 1]."""
    if not abs(x[0]) < 1:
        return x.sin() / x
    factor = arb_series([arb(0.5, 0.5), arb(0, 1) * x[1]], 2)
    for k in range(ctx.prec // 8 + 8, 0, -1):
        factor = 1 - x * x * factor / (2 * k * (2 * k + 1))
    return factor


def _power_series(x: Any, y: Any) -> Any:
    exponent = y[0].unique_fmpz() if y[1].is_zero() and y[0].is_exact() else None
    if exponent is not None:
        return x ** int(exponent)
    return (y * x.log()).exp()


FUNCTIONS: tuple[ScalarFunction, ...] = (
    same("exp", sympy.exp),
    same("expm1", lambda x: sympy.exp(x) - 1, _expm1),
    same("log", sympy.log),
    same("log1p", lambda x: sympy.log(1 + x), lambda x: (1 + x).log()),
    same("sqrt", sympy.sqrt),
    same("sin", sympy.sin),
    same("cos", sympy.cos),
    same("tan", sympy.tan),
    same("asin", sympy.asin),
    same("acos", sympy.acos),
    same("atan", sympy.atan),
    ScalarFunction("atan2", sympy.atan2, arb.atan2, _atan2_series),
    same("sinc", lambda x: sympy.Integer(1) if x == 0 else sympy.sin(x) / x, _sinc_series),
    same("sinh", sympy.sinh, _sinh),
    same("cosh", sympy.cosh, _cosh),
    same("tanh", sympy.tanh, _tanh_series),
    same("asinh", sympy.asinh, _asinh),
    same("acosh", sympy.acosh, _acosh),
    same("atanh", sympy.atanh, lambda x: ((1 + x) / (1 - x)).log() / 2),
    same("erf", sympy.erf),
    same("erfc", sympy.erfc),
    ScalarFunction("power", lambda x, y: sympy.sympify(x) ** y, lambda x, y: in_arb(x) ** in_arb(y), _power_series),
    *SPECIAL_FUNCTIONS,
)

TABLE = {row.name: row for row in FUNCTIONS}


class floor(sympy.floor):  # type: ignore[misc]
    """SymPy's floor, with its derivative between the steps, 0."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(0)


class constant(sympy.Function):  # type: ignore[misc]
    """The same number, held constant: its derivative is 0."""

    @classmethod
    def eval(cls, x: Any) -> Any:
        return x if x.is_number else None

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(0)

    def _eval_is_extended_real(self) -> Any:
        return self.args[0].is_extended_real


class Infinity(arb):
    """A large number that is read in the place of an infinite float."""


class OnReals:
    """Functions of complex numbers on the real line: part of every reading of real numbers."""

    number: Any
    total: Any
    where: Any
    less: Any

    def conj(self, x: Any) -> Any:
        return x

    def real(self, x: Any) -> Any:
        return x

    def imag(self, x: Any) -> Any:
        return self.number(0)

    def modulus(self, x: Any) -> Any:
        return self.where(self.less(x, 0), -x, x)

    def sign(self, x: Any) -> Any:
        return self.where(self.less(x, 0), -1, self.where(self.less(0, x), 1, 0))

    def isnan(self, x: Any) -> Any:
        """Whether the float that ``x`` is read from is nan, which is no number."""
        return False

    def isinf(self, x: Any) -> Any:
        """Whether the float that ``x`` is read from is infinite."""
        return False

    def eye(self, n: int) -> Any:
        """The unit matrix of n rows, in exact numbers."""
        return np.eye(n, dtype=int).astype(object)

    def det(self, a: Any) -> Any:
        """The determinant of an array of scalars by Laplace's expansion, row by row from below; a minor of the lower rows
        is computed once for each set of columns. Equations that are read in whole matrices cost O(n³) instead."""
        if len(a) > MAX_ROWS:
            raise NotImplementedError(f"a determinant of more than {MAX_ROWS} rows is not expanded")
        minors: dict[Any, Any] = {(): self.number(1)}
        for size in range(1, len(a) + 1):
            row = a[-size]
            minors = {
                columns: self.total(
                    row[c] * minors[columns[:k] + columns[k + 1 :]] * (-1) ** k for k, c in enumerate(columns)
                )
                for columns in combinations(range(len(a)), size)
            }
        [whole] = minors.values()
        return whole

    def cofactors(self, a: Any) -> Any:
        """The matrix of cofactors: determinants without row i and column j, with the sign (-1)^(i + j)."""
        cells = np.empty(a.shape, object)
        for row, column in np.ndindex(a.shape):
            cells[row, column] = self.det(np.delete(np.delete(a, row, 0), column, 1)) * (-1) ** (row + column)
        return cells

    def compose(self, real: Any, imag: Any) -> Any:
        """``real`` + i ``imag``, which is no real number. Raises NotImplementedError."""
        raise NotImplementedError("a complex number has no reading in the reals")


class Symbolic(OnReals):
    """The SymPy reading. Floats become the rationals they are, since a SymPy Float would poison every zero test."""

    pi: Any = sympy.pi

    def __init__(self) -> None:
        for function in FUNCTIONS:
            setattr(self, function.name, function.symbolic)

    def __getattr__(self, name: str) -> Any:  # pragma: no cover - only reached for a name that is not in the table
        raise AttributeError(f"the function table has no {name!r}; it has {', '.join(TABLE)}")

    def number(self, value: Number) -> Any:
        if is_not_finite(value):
            return sympy.sympify(float(value))
        exact = Fraction(value)
        return sympy.Rational(exact.numerator, exact.denominator)

    def total(self, terms: Iterable[Any]) -> Any:
        return sympy.Add(*terms)

    def less(self, a: Any, b: Any) -> Any:
        return sympy.sympify(a) < b

    def less_equal(self, a: Any, b: Any) -> Any:
        return sympy.sympify(a) <= b

    def equal(self, a: Any, b: Any) -> Any:
        return sympy.Eq(a, b)

    def floor(self, x: Any) -> Any:
        return floor(x)

    def constant(self, x: Any) -> Any:
        return constant(x)

    def truth(self, x: Any) -> Any:
        """A condition as itself; of a number, whether it is not 0."""
        if isinstance(x, (bool, Relational, BooleanFunction, BooleanAtom)):
            return x
        return sympy.Ne(x, 0)

    def both(self, a: Any, b: Any) -> Any:
        return sympy.And(self.truth(a), self.truth(b))

    def either(self, a: Any, b: Any) -> Any:
        return sympy.Or(self.truth(a), self.truth(b))

    def negate(self, a: Any) -> Any:
        return sympy.Not(self.truth(a))

    def as_number(self, x: Any) -> Any:
        """A condition as 1 or 0; a number as itself."""
        if isinstance(x, (bool, Relational, BooleanFunction, BooleanAtom)):
            return self.where(x, sympy.Integer(1), sympy.Integer(0))
        return x

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        if isinstance(condition, (bool, int)):
            return a if condition else b
        return sympy.Piecewise((a, _in_pieces(sympy.sympify(condition))), (b, True))


def _in_pieces(condition: Any) -> Any:
    """The same condition without a branch inside of a comparison: it holds in any of the pieces. SymPy, left to itself,
    brings it to a normal form, which takes far longer."""
    inside = {r: _of_pieces(r) for r in condition.atoms(Relational) if r.has(sympy.Piecewise)}
    return condition.xreplace(inside) if inside else condition


def _of_pieces(relation: Any) -> Any:
    inner = next((p for p in relation.atoms(sympy.Piecewise) if not any(x.has(sympy.Piecewise) for x in p.args)), None)
    if inner is None:
        return relation
    cases, left = [], sympy.true
    for value, condition in inner.args:
        cases.append(sympy.And(left, condition, _in_pieces(sympy.sympify(relation.xreplace({inner: value})))))
        left = sympy.And(left, sympy.Not(condition))
    return sympy.Or(*cases)


class Balls(OnReals):
    """The ball reading. After a reading ``tied`` tells whether a comparison had equal sides."""

    def __init__(self) -> None:
        self.tied = False

    def __getattr__(self, name: str) -> Any:
        """A row of the table, looked up when it is first used: most definitions use few."""
        row = TABLE.get(name)
        if row is None:
            raise AttributeError(f"the function table has no {name!r}; it has {', '.join(TABLE)}")
        setattr(self, name, self.reading(row))
        return getattr(self, name)

    def reading(self, row: ScalarFunction) -> Callable[..., Any]:
        """The function that a definition calls for this row."""
        return row.ball

    @property
    def pi(self) -> Any:
        return arb.pi()

    def number(self, value: Number) -> Any:
        if isinstance(value, arb):
            return value
        return arb(float(value)) if is_not_finite(value) else in_ball(Fraction(value))

    def total(self, terms: Iterable[Any]) -> Any:
        return sum(terms, arb(0))

    def block(self, inputs: Sequence[Any], solve: Callable[[Sequence[Any]], Any]) -> Any:
        """Numbers that are solved for together: the values of ``solve(balls)``, whose ``push`` and ``pull`` are its
        derivative (see `equations.Solution`)."""
        return solve([_balls(array) for array in inputs]).values

    def ball(self, x: Any) -> arb:
        """An enclosure of ``x``, a scalar of this reading."""
        return arb(x)

    def compare(self, a: Any, b: Any) -> int:
        """-1, 0 or 1 as ``a`` is below, exactly equal to, or above ``b``."""
        difference = arb(in_arb(a)) - arb(in_arb(b))
        if difference < 0:
            return -1
        if difference > 0:
            return 1
        if difference.is_zero():
            self.tied = True
            return 0
        raise Undecided("a ball straddles a branch")

    def less(self, a: Any, b: Any) -> bool:
        return self.compare(a, b) < 0

    def less_equal(self, a: Any, b: Any) -> bool:
        return self.compare(a, b) <= 0

    def equal(self, a: Any, b: Any) -> bool:
        return self.compare(a, b) == 0

    def floor(self, x: Any) -> Any:
        """The largest integer up to ``x``, as a constant: its derivative is 0 but at a step."""
        whole = self.ball(x).floor()
        if not whole.is_exact():
            raise Undecided("a ball straddles a step")
        return whole - 1 if self.compare(x, whole) < 0 else whole

    def constant(self, x: Any) -> Any:
        """The same number, without its derivative."""
        return self.ball(x)

    def isnan(self, x: Any) -> Any:
        return self._none(x)

    def isinf(self, x: Any) -> Any:
        return self._none(x)

    def _none(self, x: Any) -> bool:
        """False, for a number. Raises Undecided for a ball that is not finite, and may stand for a number."""
        if not self.ball(x).is_finite():
            raise Undecided("a ball that is not finite may stand for a number")
        return False

    def truth(self, x: Any) -> bool:
        """A condition as itself; of a number, whether it is not 0."""
        return bool(x) if isinstance(x, (bool, int)) else not self.equal(x, 0)

    def both(self, a: Any, b: Any) -> bool:
        return self.truth(a) and self.truth(b)

    def either(self, a: Any, b: Any) -> bool:
        return self.truth(a) or self.truth(b)

    def negate(self, a: Any) -> bool:
        return not self.truth(a)

    def as_number(self, x: Any) -> Any:
        return arb(int(x)) if isinstance(x, bool) else x

    def where(self, condition: bool, a: Any, b: Any) -> Any:
        return a if condition else b


def _balls(array: Any) -> Any:
    cells = np.empty(array.shape, object)
    cells.reshape(-1)[:] = [arb(x) for x in array.flat]
    return cells


SYMBOLIC = Symbolic()
