"""Differences of increasing functions: exp(u) < exp(v) where u < v, tanh(u) < 1/2 where u < atanh(1/2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import sympy


class Growing(NamedTuple):
    """A function that increases on all of its domain: its inverse, the open interval of its values, and whether it is
    defined for positive numbers only."""

    inverse: Callable[[Any], Any]
    low: Any = -sympy.oo
    high: Any = sympy.oo
    positive: bool = False


GROWING: dict[Any, Growing] = {
    sympy.exp: Growing(sympy.log, low=sympy.Integer(0)),
    sympy.log: Growing(sympy.exp, positive=True),
    sympy.sinh: Growing(sympy.asinh),
    sympy.asinh: Growing(sympy.sinh),
    sympy.tanh: Growing(sympy.atanh, sympy.Integer(-1), sympy.Integer(1)),
    sympy.atan: Growing(sympy.tan, -sympy.pi / 2, sympy.pi / 2),
    sympy.erf: Growing(sympy.erfinv, sympy.Integer(-1), sympy.Integer(1)),
}


def unwrapped(difference: Any) -> Any:
    """An expression of the same sign as ``difference`` wherever that is defined, with a function less around it; None
    if there is none. The result 1 or -1 is a constant sign."""
    e = sympy.logcombine(sympy.powsimp(difference))
    terms = sympy.Add.make_args(e)
    if len(terms) > 2:
        return None
    scale, grown = terms[-1].as_independent(*terms[-1].free_symbols, as_Add=False)
    rest = e - terms[-1]
    if not grown.free_symbols or rest.free_symbols:
        scale, grown = terms[0].as_independent(*terms[0].free_symbols, as_Add=False)
        rest = e - terms[0]
    if not (scale.is_positive or scale.is_negative):
        return None
    sign = 1 if scale.is_positive else -1
    argument = _beside(grown, sympy.expand(-rest / scale))
    return None if argument is None else sign * argument


def _beside(grown: Any, side: Any) -> Any:
    """An expression of the sign of ``grown - side``, or None."""
    if grown.is_Pow and grown.exp.is_Rational and not grown.exp.is_Integer and grown.exp > 0 and grown.base.is_nonnegative:
        return _beside_root(grown, side)
    growing = GROWING.get(grown.func)
    if growing is None or not grown.args[0].is_extended_real or (growing.positive and not grown.args[0].is_positive):
        return None
    if side.func is grown.func:
        fits = side.args[0].is_extended_real and (side.args[0].is_positive or not growing.positive)
        return grown.args[0] - side.args[0] if fits else None
    if side.free_symbols or not side.is_real:
        return None
    if _not_above(side, growing.low):
        return sympy.Integer(1)
    if _not_above(growing.high, side):
        return sympy.Integer(-1)
    return grown.args[0] - growing.inverse(side) if _above(side, growing.low) and _above(growing.high, side) else None


def _beside_root(root: Any, side: Any) -> Any:
    if side.is_Pow and side.exp == root.exp and side.base.is_nonnegative:
        return root.base - side.base
    if side.free_symbols or not side.is_real:
        return None
    if side.is_negative:
        return sympy.Integer(1)
    return root.base - side ** (1 / root.exp) if side.is_nonnegative else None


def _above(a: Any, b: Any) -> bool:
    return (a - b).is_extended_positive is True


def _not_above(a: Any, b: Any) -> bool:
    return (a - b).is_extended_nonpositive is True
