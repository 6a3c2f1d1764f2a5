"""Zero tests: tactics that show an expression to be zero as an identity, from the cheapest to the strongest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from gradproof.engine.verify.identities.rational import rational_zero


def _to_exponentials(e: Any) -> Any:
    """Hyperbolic functions as exponentials, a^b as exp(b log a), so that a single kind of kernel is left."""
    e = e.rewrite((sympy.sinh, sympy.cosh, sympy.tanh), sympy.exp).replace(sympy.erfc, lambda u: 1 - sympy.erf(u))
    e = e.replace(
        lambda p: isinstance(p, sympy.Pow) and not p.exp.is_Rational,
        lambda p: sympy.exp(sympy.expand(p.exp * sympy.log(p.base))),
    )
    return sympy.expand(sympy.powsimp(e), power_base=False, log=False)


def _kernel(e: Any) -> bool:
    """Rewrite to a single kind of kernel, expand exponents, and cancel over the kernels as independent generators."""
    numerator, _ = sympy.fraction(sympy.together(_to_exponentials(e)))
    return bool(sympy.expand(sympy.expand(numerator), trig=False).rewrite(sympy.exp) == 0 or _polynomial_zero(numerator))


def _polynomial_zero(numerator: Any) -> bool:
    expanded = sympy.expand_power_exp(sympy.expand(numerator))
    return bool(sympy.cancel(sympy.together(sympy.powsimp(sympy.expand(expanded)))) == 0)


ZERO_TESTS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("structural", lambda e: e == 0),
    ("rational", rational_zero),
    ("expand", lambda e: sympy.expand(e) == 0),
    ("cancel", lambda e: sympy.cancel(sympy.together(e)) == 0),
    ("kernel", _kernel),
    ("simplify", lambda e: sympy.simplify(e) == 0),
)


def zero_tactic(expression: Any) -> str | None:
    """The name of the first tactic that shows ``expression`` to be zero, or None. An expression with nan or infinity is
    never shown to be zero; a SymPy Float counts as the rational number it is."""
    e = sympy.sympify(expression)
    if e.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return None
    floats = e.atoms(sympy.Float)
    if floats:
        e = e.xreplace({x: sympy.Rational(*float(x).as_integer_ratio()) for x in floats})
    for name, tactic in ZERO_TESTS:
        try:
            if tactic(e):
                return name
        except (sympy.PolynomialError, NotImplementedError, TypeError, ValueError, RecursionError):
            continue
    return None


def short(expression: Any) -> str:
    """An expression as text of at most 160 characters."""
    text = str(expression)
    return text if len(text) <= 160 else f"{text[:157]}..."
