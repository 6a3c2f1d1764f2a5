"""Complex numbers as pairs of real numbers: a reading of definitions over any reading of real numbers.

A complex number is its real and its imaginary part, each a scalar of the underlying reading (a symbol, a ball, a variable
on a tape, a power series), and a function of it is a formula in the parts. The properties of the underlying reading (balls
contain, the tape differentiates, symbols prove) then hold for the parts, and no other module has to know of complex
numbers: the gradient dL/da + i dL/db of z = a + ib is the two real derivatives.

The formulas are those of the Digital Library of Mathematical Functions (https://dlmf.nist.gov), sections 4.21, 4.23, 4.35
and 4.37, with the branch cuts of W. Kahan, "Branch cuts for complex elementary functions" (1987). Logarithms, and functions
of them, have their principal values, and no value on their cut: there two floats of the same value, whose zeros differ in
sign, lie on two sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flint import arb, arb_series

from gradproof.engine.scalar_functions import Number, OnReals, Undecided


class Pair:
    """A complex number. An imaginary part that is the Python number 0 marks a real number."""

    __slots__ = ("im", "re")

    def __init__(self, re: Any, im: Any = 0) -> None:
        self.re, self.im = re, im

    @property
    def is_real(self) -> bool:
        return type(self.im) is int and self.im == 0

    def __neg__(self) -> Pair:
        return Pair(-self.re, -self.im)

    def __add__(self, other: Any) -> Pair:
        z = pair(other)
        return Pair(self.re + z.re, _plus(self.im, z.im))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Pair:
        return self + -pair(other)

    def __rsub__(self, other: Any) -> Pair:
        return pair(other) + -self

    def __mul__(self, other: Any) -> Pair:
        z = pair(other)
        if z.is_real:
            return Pair(self.re * z.re, _times(self.im, z.re))
        if self.is_real:
            return Pair(self.re * z.re, self.re * z.im)
        return Pair(self.re * z.re - self.im * z.im, self.re * z.im + self.im * z.re)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Pair:
        z = pair(other)
        if z.is_real:
            return Pair(self.re / z.re, 0 if self.is_real else self.im / z.re)
        size = z.re * z.re + z.im * z.im
        above = self * Pair(z.re, -z.im)
        return Pair(above.re / size, above.im / size)

    def __rtruediv__(self, other: Any) -> Pair:
        return pair(other) / self

    def __pow__(self, exponent: int) -> Pair:
        if not isinstance(exponent, int):
            raise NotImplementedError("a power of a complex number is written as f.power")
        result = Pair(1)
        for _ in range(abs(exponent)):
            result = result * self
        return result if exponent >= 0 else 1 / result


def pair(x: Any) -> Pair:
    """A scalar as a complex number."""
    return x if isinstance(x, Pair) else Pair(x)


def _plus(a: Any, b: Any) -> Any:
    """The sum of two imaginary parts, which stays the Python 0 where both are."""
    if type(a) is int and a == 0:
        return b
    return a if type(b) is int and b == 0 else a + b


def _times(a: Any, b: Any) -> Any:
    return 0 if type(a) is int and a == 0 else a * b


class Complexes:
    """The reading of complex numbers over ``f``, a reading of real numbers. All its scalars are pairs; functions of real
    numbers are those of ``f``."""

    def __init__(self, f: Any) -> None:
        self.f = f
        self.pi = Pair(f.pi)

    def __getattr__(self, name: str) -> Callable[..., Pair]:
        """A row of the table."""
        real, formula = getattr(self.f, name), FORMULAS.get(name)

        def apply(*arguments: Any) -> Pair:
            pairs = [pair(x) for x in arguments]
            if all(z.is_real for z in pairs):
                return Pair(real(*(z.re for z in pairs)))
            if formula is None:
                raise NotImplementedError(f"{name} of complex numbers is not in the function table")
            return formula(self, *pairs)

        setattr(self, name, apply)
        return apply

    def number(self, value: Number) -> Pair:
        return Pair(self.f.number(value))

    eye, det, cofactors = OnReals.eye, OnReals.det, OnReals.cofactors
    """Sums of products of elements, which are numbers of this reading."""

    def total(self, terms: Iterable[Any]) -> Pair:
        pairs = [pair(z) for z in terms]
        imaginary = [z.im for z in pairs if not z.is_real]
        return Pair(self.f.total([z.re for z in pairs]), self.f.total(imaginary) if imaginary else 0)

    # parts

    def conj(self, z: Any) -> Pair:
        return Pair(pair(z).re, -pair(z).im)

    def real(self, z: Any) -> Pair:
        return Pair(pair(z).re)

    def imag(self, z: Any) -> Pair:
        return Pair(self.f.number(0) if pair(z).is_real else pair(z).im)

    def compose(self, real: Any, imag: Any) -> Pair:
        return Pair(pair(real).re, pair(imag).re)

    def modulus(self, z: Any) -> Pair:
        z = pair(z)
        return Pair(self.f.modulus(z.re) if z.is_real else self.f.sqrt(z.re * z.re + z.im * z.im))

    def sign(self, z: Any) -> Pair:
        z = pair(z)
        return Pair(self.f.sign(z.re)) if z.is_real else z / self.modulus(z)

    # conditions

    def less(self, a: Any, b: Any) -> Any:
        return self.f.less(self._ordered(a), self._ordered(b))

    def less_equal(self, a: Any, b: Any) -> Any:
        return self.f.less_equal(self._ordered(a), self._ordered(b))

    def _ordered(self, z: Any) -> Any:
        if not pair(z).is_real:
            raise NotImplementedError("complex numbers have no order, and the definition compares")
        return pair(z).re

    def equal(self, a: Any, b: Any) -> Any:
        a, b = pair(a), pair(b)
        same = self.f.equal(a.re, b.re)
        if a.is_real and b.is_real:
            return same
        return self.f.both(same, self.f.equal(a.im, b.im)) if same is not False else False

    def floor(self, z: Any) -> Pair:
        return Pair(self.f.floor(self._ordered(z)))

    def constant(self, z: Any) -> Pair:
        z = pair(z)
        return Pair(self.f.constant(z.re), 0 if z.is_real else self.f.constant(z.im))

    def isnan(self, z: Any) -> Any:
        return self.f.either(self.f.isnan(pair(z).re), self.f.isnan(self.imag(z).re))

    def isinf(self, z: Any) -> Any:
        return self.f.either(self.f.isinf(pair(z).re), self.f.isinf(self.imag(z).re))

    def truth(self, z: Any) -> Any:
        """A condition as itself; of a number, whether it is not 0."""
        return self.f.negate(self.equal(z, 0)) if isinstance(z, Pair) else z

    def both(self, a: Any, b: Any) -> Any:
        return self.f.both(self.truth(a), self.truth(b))

    def either(self, a: Any, b: Any) -> Any:
        return self.f.either(self.truth(a), self.truth(b))

    def negate(self, a: Any) -> Any:
        return self.f.negate(self.truth(a))

    def as_number(self, x: Any) -> Pair:
        return x if isinstance(x, Pair) else Pair(self.f.as_number(x))

    def where(self, condition: Any, a: Any, b: Any) -> Pair:
        a, b = pair(a), pair(b)
        if a.is_real and b.is_real:
            return Pair(self.f.where(condition, a.re, b.re))
        return Pair(self.f.where(condition, a.re, b.re), self.f.where(condition, a.im, b.im))


# formulas of functions of z = a + ib in its parts, or by functions that have such formulas

I = Pair(0, 1)  # noqa: E741 - its name


def _exp(c: Complexes, z: Pair) -> Pair:
    size = c.f.exp(z.re)
    return Pair(size * c.f.cos(z.im), size * c.f.sin(z.im))


def _log(c: Complexes, z: Pair) -> Pair:
    if _may_be_cut(z):
        raise Undecided("on the cut of a complex logarithm, or root")
    return Pair(c.f.log(z.re * z.re + z.im * z.im) / 2, c.f.atan2(z.im, z.re))


def _may_be_cut(z: Pair) -> bool:
    re, im = _ball(z.re), _ball(z.im)
    return isinstance(im, arb) and im.contains(0) and not re > 0


def _ball(x: Any) -> Any:
    """The value of a variable on a tape, of a series, or of a ball; a number as a ball, a symbol as itself."""
    x = getattr(x, "ball", x)
    if isinstance(x, arb_series):
        x = x[0]
    return arb(x) if isinstance(x, (int, arb)) else x


def _sqrt(c: Complexes, z: Pair) -> Pair:
    return _exp(c, _log(c, z) / 2)


def _sin(c: Complexes, z: Pair) -> Pair:
    return Pair(c.f.sin(z.re) * c.f.cosh(z.im), c.f.cos(z.re) * c.f.sinh(z.im))


def _cos(c: Complexes, z: Pair) -> Pair:
    return Pair(c.f.cos(z.re) * c.f.cosh(z.im), -(c.f.sin(z.re) * c.f.sinh(z.im)))


def _sinh(c: Complexes, z: Pair) -> Pair:
    return Pair(c.f.sinh(z.re) * c.f.cos(z.im), c.f.cosh(z.re) * c.f.sin(z.im))


def _cosh(c: Complexes, z: Pair) -> Pair:
    return Pair(c.f.cosh(z.re) * c.f.cos(z.im), c.f.sinh(z.re) * c.f.sin(z.im))


def _tanh(c: Complexes, z: Pair) -> Pair:
    """With 1 / cosh² a as 1 - tanh² a, of which a ball stays narrow where its own cosh² is wide."""
    t, sin = c.f.tanh(z.re), c.f.sin(z.im)
    slope = 1 - t * t
    below = 1 - slope * sin * sin
    return Pair(t / below, slope * sin * c.f.cos(z.im) / below)


def _asin(c: Complexes, z: Pair) -> Pair:
    return -I * c.log(I * z + c.sqrt(1 - z) * c.sqrt(1 + z))


def _atanh(c: Complexes, z: Pair) -> Pair:
    return (c.log(1 + z) - c.log(1 - z)) / 2


FORMULAS: dict[str, Callable[..., Pair]] = {
    "exp": _exp,
    "expm1": lambda c, z: _exp(c, z) - 1,
    "log": _log,
    "log1p": lambda c, z: _log(c, 1 + z),
    "sqrt": _sqrt,
    "sin": _sin,
    "cos": _cos,
    "tan": lambda c, z: -I * _tanh(c, I * z),
    "sinc": lambda c, z: _sin(c, z) / z,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "asin": _asin,
    "acos": lambda c, z: c.pi / 2 - _asin(c, z),
    "atan": lambda c, z: -I * _atanh(c, I * z),
    "asinh": lambda c, z: I * _asin(c, -I * z),
    "acosh": lambda c, z: c.log(z + c.sqrt(z - 1) * c.sqrt(z + 1)),
    "atanh": _atanh,
    "power": lambda c, x, y: _exp(c, y * c.log(x)),
}
"""Functions that are not here (`atan2`, `erf`, `gamma`...) are functions of real numbers only."""
