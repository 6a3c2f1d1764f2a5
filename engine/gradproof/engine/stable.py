"""Stable forms of expressions: those that cancel or overflow, written with functions that keep the digits.

exp(u) - 1 is expm1(u), 1 - erf(u) is erfc(u), log(1 + u) is log1p(u), log(1 + exp(u)) is softplus(u), 1 / (1 + exp(u)) is
the logistic function of -u, 1 - tanh(u)² is 1 / cosh(u)², 1 - u² is (1 - u) (1 + u).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

Expression: TypeAlias = Any  # sympy.Expr, which is not imported here
SUM, NEGATIVE, PRODUCT, POWER, ATOM = range(5)
"""Levels of precedence, from the loosest to the tightest."""


class Form(NamedTuple):
    """A form: ``template`` over the texts of ``operands``, with the name of ``function``; ``level`` of precedence."""

    template: str
    operands: tuple[Expression, ...]
    function: str = ""
    level: int = ATOM


def stable(node: Expression) -> Form | None:
    """The stable form of a value, or None if it is written as it stands."""
    return next(_forms(node), None)


def _forms(node: Expression) -> Iterator[Form]:
    kind = node.func.__name__
    if kind == "log":
        [u] = node.args
        if u.is_Add and u.args[0] == 1:
            rest = u - 1
            if rest.func.__name__ == "exp":
                yield Form("{function}({0})", (rest.args[0],), "softplus")
            yield Form("{function}({0})", (rest,), "log1p")
    elif kind == "Add":
        yield from _differences(node)
    elif kind in ("Pow", "Mul"):
        yield from _logistic(node)


def _differences(node: Expression) -> Iterator[Form]:
    """The forms of a number and a function that it may cancel with, and of a difference of 1 and a square."""
    number = node.args[0]
    if not number.is_Rational:
        return
    for term in node.args[1:]:
        ratio = term / number
        rest = node - number - term
        if ratio.func.__name__ == "erf":
            yield _scaled("erfc", -ratio.args[0], number, rest)
        elif (-ratio).func.__name__ == "erf":
            yield _scaled("erfc", (-ratio).args[0], number, rest)
        elif (-ratio).func.__name__ == "exp":
            yield _scaled("expm1", (-ratio).args[0], -number, rest)
    taken = -(node - 1)
    if number == 1 and taken.is_Pow and taken.args[1] == 2:
        u = taken.args[0]
        if u.func.__name__ == "tanh":
            yield Form("1 / {function}({0}) ** 2", (u.args[0],), "cosh", PRODUCT)
        elif u.is_Symbol:
            yield Form("(1 - {0}) * (1 + {0})", (u,), "", PRODUCT)


def _scaled(function: str, argument: Expression, factor: Expression, rest: Expression) -> Form:
    """``rest + factor function(argument)``."""
    operands: tuple[Expression, ...] = (argument,)
    if factor == 1:
        template, level = "{function}({0})", ATOM
    elif factor == -1:
        template, level = "-{function}({0})", NEGATIVE
    else:
        template, operands, level = "{1} * {function}({0})", (argument, factor), PRODUCT
    if rest == 0:
        return Form(template, operands, function, level)
    return Form(f"{{{len(operands)}}} + {template}".replace("+ -", "- "), (*operands, rest), function, SUM)


def _multiple(factor: Expression, u: Expression) -> int:
    """The whole number k for which a factor is exp(k u), or 0."""
    quotient = factor.args[0] / u if factor.func.__name__ == "exp" else None
    return int(quotient) if quotient is not None and quotient.is_Integer else 0


def _logistic(node: Expression) -> Iterator[Form]:
    """The forms of 1 / (1 + exp(u))ⁿ, alone or in a product: the logistic function of -u, to the n; where exp(k u) is a
    factor too, exp(u) / (1 + exp(u)) is the logistic function of u."""
    factors = node.args if node.is_Mul else (node,)
    for factor in factors:
        if not factor.is_Pow or not factor.args[1].is_Integer or factor.args[1] >= 0:
            continue
        base, power = factor.args[0], -int(factor.args[1])
        if not base.is_Add or len(base.args) != 2 or base.args[0] != 1 or base.args[1].func.__name__ != "exp":
            continue
        u = base.args[1].args[0]
        rising, k = next(((x, k) for x in factors for k in (_multiple(x, u),) if 0 < k <= power), (None, 0))
        others = node / factor if rising is None else node / factor / rising
        powers = [(name, n) for name, n in (("{function}({0})", k), ("{function}({1})", power - k)) if n]
        text = " * ".join(name + (f" ** {n}" if n > 1 else "") for name, n in powers)
        operands: tuple[Expression, ...] = (u, -u)
        if not k:
            text, operands = text.replace("{1}", "{0}"), (-u,)
        elif k == power:
            operands = (u,)
        if others == 1:
            yield Form(text, operands, "sigmoid", PRODUCT if "*" in text else ATOM)
        else:
            yield Form(f"{{{len(operands)}}} * {text}", (*operands, others), "sigmoid", PRODUCT)
        return
