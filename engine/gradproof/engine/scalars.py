"""Scalar forms of ops: a 0-d float64 is a Python float, and an op on it is an expression over floats.

The interpreter and the compiled plan both use these, so that they give the same bits. Where Python raises (a logarithm of
0, an overflow in exp) NumPy decides, with inf or nan. IEEE 754 defines the operations of `EXACT` to the last bit; the
others are those of the C library, which may differ from NumPy's vector loops in the last ulp or two. A forward that is not
a ufunc may have an expression of its own, as its attribute ``numbers``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from scipy import special

from gradproof.engine.op import Op
from gradproof.engine.spec import Spec

EXACT: Final[Mapping[Any, str]] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.square: "{0} * {0}",
    np.reciprocal: "1.0 / {0}",
    np.sqrt: "sqrt({0})",
    np.abs: "abs({0})",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.logical_and: "({0} != 0 and {1} != 0)",
    np.logical_or: "({0} != 0 or {1} != 0)",
    np.logical_not: "{0} == 0",
    np.where: "({1} if {0} else {2})",
    np.maximum: "({0} if {0} >= {1} or {0} != {0} else {1})",
    np.minimum: "({0} if {0} <= {1} or {0} != {0} else {1})",
}
LIBRARY: Final[Mapping[Any, str]] = {
    np.exp: "exp({0})",
    np.exp2: "exp2({0})",
    np.expm1: "expm1({0})",
    np.log: "log({0})",
    np.log2: "log2({0})",
    np.log10: "log10({0})",
    np.log1p: "log1p({0})",
    np.sin: "sin({0})",
    np.cos: "cos({0})",
    np.tan: "tan({0})",
    np.arcsin: "asin({0})",
    np.arccos: "acos({0})",
    np.arctan: "atan({0})",
    np.arctan2: "atan2({0}, {1})",
    np.sinh: "sinh({0})",
    np.cosh: "cosh({0})",
    np.tanh: "tanh({0})",
    np.arcsinh: "asinh({0})",
    np.arccosh: "acosh({0})",
    np.arctanh: "atanh({0})",
    np.power: "pow({0}, {1})",
    special.expit: "1.0 / (1.0 + exp(-{0}))",
}
NAMES: Final[dict[str, Any]] = {name: value for name, value in vars(math).items() if not name.startswith("_")}
"""Namespace in which generated expressions are evaluated."""

RAISED: Final = (ArithmeticError, ValueError)
"""Exceptions raised by `math` where NumPy returns inf or nan."""


def ufunc_of(op: Op, specs: Sequence[Spec]) -> np.ufunc | None:
    """The ufunc that computes ``op`` on inputs of ``specs``, to the same bits as its forward: the forward itself, or the
    ufunc that it declares for float32 and float64, as its attribute ``ufunc``. None if there is none."""
    if isinstance(op.forward, np.ufunc):
        return op.forward
    declared = getattr(op.forward, "ufunc", None)
    return declared if declared is not None and all(spec.dtype.char in "fd" for spec in specs) else None


def is_number(spec: Spec) -> bool:
    """True if values of this spec are Python numbers in scalar forms: 0-d float64 and bool."""
    return spec.shape == () and spec.dtype.char in "d?"


def scalar_form(op: Op, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> str | None:
    """The expression of ``op`` on these inputs, or None if they are not all single numbers, or it has none."""
    if len(outputs) != 1 or outputs[0].shape or not is_number(outputs[0]) or not all(map(is_number, inputs)):
        return None
    return _form(op, "".join([spec.dtype.char for spec in inputs]), outputs[0].dtype.char)


@lru_cache(4096)
def _form(op: Op, inputs: str, output: str) -> str | None:
    """As `scalar_form`, keyed by dtype characters (``d`` float64, ``?`` bool)."""
    if op.name == "astype":
        return "float({0})" if output == "d" else "{0} != 0"
    if op.name in ("broadcast_to", "reshape"):
        return "{0}"
    if op.forward is np.where:
        return EXACT[np.where] if "?" not in inputs[1:] else None
    function = op.forward if isinstance(op.forward, np.ufunc) else getattr(op.forward, "ufunc", None)
    form = EXACT.get(function) or LIBRARY.get(function) or getattr(op.forward, "numbers", None)
    return None if "?" in inputs and function not in _LOGIC else form


_LOGIC: Final = {np.equal, np.not_equal, np.logical_and, np.logical_or, np.logical_not}


def may_raise(form: str) -> bool:
    """True if Python may raise where NumPy returns inf or nan: in a division, and in functions of `math`."""
    return "/" in form or any(f"{name}(" in form for name, value in NAMES.items() if callable(value))


def is_exact(op: Op) -> bool:
    """True if each element of an elementwise op has the same bits in whatever array it is."""
    function = op.forward if op.forward is np.where else getattr(op.forward, "ufunc", op.forward)
    return isinstance(function, (np.ufunc, type(np.where))) and function in EXACT


@lru_cache(256)
def _function(form: str, count: int) -> Callable[..., Any]:
    arguments = [f"x{k}" for k in range(count)]
    function: Callable[..., Any] = eval(f"lambda {', '.join(arguments)}: {form.format(*arguments)}", NAMES)
    return function


def scalar_call(form: str, op: Op, count: int, output: Spec, attributes: Mapping[str, Any]) -> Callable[..., Any]:
    """The function that the interpreter calls for ``op`` on single numbers."""
    function, forward, wrap = _function(form, count), op.forward, output.dtype.type

    def call(*numbers: Any) -> Any:
        try:
            return wrap(function(*numbers))
        except RAISED:
            return forward(*map(wrap, numbers), **attributes)

    return call
