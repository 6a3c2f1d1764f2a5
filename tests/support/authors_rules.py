"""Rules as authors write them: thirty kinds of mistakes from public bug reports on derivatives, each beside the right rule.

A row names the check that tells the mistake, and words of what it is told in: the input, and the likely cause.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from gradproof.engine.extend import (
    DIRECT,
    HOLOMORPHIC,
    INTEGER,
    NO_GRADIENT,
    POSITIVE,
    REAL,
    Composite,
    Equation,
    InferenceError,
    Inferred,
    Kink,
    Op,
    Spec,
    case,
    ops,
)


@dataclass(frozen=True)
class Row:
    """A right op, and the same op with the mistake."""

    mistake: str
    right: Op
    fields: dict[str, Any]
    check: str
    told: tuple[str, ...]
    beside: tuple[Op, ...] = ()

    @property
    def wrong(self) -> Op:
        return replace(self.right, **self.fields)

    def __str__(self) -> str:
        return self.mistake


def op(name: str, forward: Any, rule: Any, define: Any, **more: Any) -> Op:
    return Op(f"authors.{name}", forward, rule, define, **more)


def opaque(name: str, forward: Any, backward: Any, define: Any, **more: Any) -> Op:
    return Op(f"authors.{name}", forward, None, define, backward=backward, **more)


def along_last(x: Spec, **attributes: Any) -> Inferred:
    """A reduction over the last axis."""
    if not x.ndim:
        raise InferenceError("needs an axis")
    return Inferred((Spec(x.shape[:-1], x.dtype),), attributes)


def along_itself(x: Spec, **attributes: Any) -> Inferred:
    """A result of the shape of the input, which has an axis."""
    if not x.ndim:
        raise InferenceError("needs an axis")
    return Inferred((Spec(x.shape, x.dtype),), attributes)


def matrices(a: Spec, b: Spec) -> Inferred:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise InferenceError("takes two matrices that fit")
    dtype = np.result_type(a.dtype, b.dtype)
    return Inferred((Spec((a.shape[0], b.shape[1]), dtype),), {}, (Spec(a.shape, dtype), Spec(b.shape, dtype)))


def shifted(x: Spec, b: Spec) -> Inferred:
    if b.shape != x.shape[-1:] or x.ndim != 2 or x.dtype != b.dtype:
        raise InferenceError("takes a matrix, and a number for each column")
    return Inferred((x,), {})


def first_row(x: Spec) -> Inferred:
    if not x.ndim or not x.shape[0]:
        raise InferenceError("needs a first row")
    return Inferred((Spec(x.shape[1:], x.dtype),), {})


def fixed(*shape: int) -> tuple[Any, ...]:
    return (case(shape),)


SQUARE = op("square", np.square, lambda g, y, x: 2 * g * x, lambda f, x: x * x)
SIN = op("sin", np.sin, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x))
COS = op("cos", np.cos, lambda g, y, x: -g * ops.sin(x), lambda f, x: f.cos(x))
TIMES = op("times", np.multiply, lambda g, y, a, b: (g * b, g * a), lambda f, a, b: a * b)
OVER = op("over", np.divide, lambda g, y, a, b: (g / b, -g * y / b), lambda f, a, b: a / b)
TANH = op("tanh", np.tanh, lambda g, y, x: g / ops.square(ops.cosh(x)), lambda f, x: f.tanh(x))
ROOT = op("root", np.sqrt, lambda g, y, x: g / (2 * y), lambda f, x: f.sqrt(x), domains=POSITIVE)
ABS = op(
    "abs", np.abs, lambda g, y, x: g * ops.sign(x), lambda f, x: f.where(f.less(x, 0), -x, x), kink=Kink.MEAN,
)  # fmt: skip
CUBE = op("cube", lambda x: x * x * x, lambda g, y, x: 3 * g * x * x, lambda f, x: x * x * x)
POWER = op(
    "power", lambda x, *, n=3: x ** float(n), lambda g, y, x, *, n: n * g * ops.pow(x, n - 1),
    lambda f, x, *, n=3: f.power(x, f.number(n)), domains=POSITIVE,
)  # fmt: skip
SCALE = op(
    "scale", lambda x, *, a=1.0: a * x, lambda g, y, x, *, a: a * g, lambda f, x, *, a=1.0: a * x,
)  # fmt: skip
LEAKY = op(
    "leaky", lambda x: np.where(x < 0, x / 8, x).astype(x.dtype), lambda g, y, x: ops.where(x < 0, g / 8, g),
    lambda f, x: f.where(f.less(x, 0), x / 8, x), kink=Kink.LARGEST,
)  # fmt: skip
LARGER = op(
    "larger", np.maximum, lambda g, y, a, b: _halves(g, a, b), lambda f, a, b: f.where(f.less(a, b), b, a), kink=Kink.MEAN,
)  # fmt: skip
LOGISTIC = op(
    "logistic", lambda x: np.exp(-np.logaddexp(0, -x)).astype(x.dtype), lambda g, y, x: g * y * ops.sigmoid(-x),
    lambda f, x: 1 / (1 + f.exp(-x)),
)  # fmt: skip
TOTAL = op(
    "total", lambda x: x.sum(-1), lambda g, y, x: ops.broadcast_to(ops.expand_dims(g, axis=-1), shape=x.shape),
    lambda f, i, x: f.total([x[(*i, k)] for k in range(x.shape[-1])]), infer=along_last,
    cases=(case((3,)), case((2, 3))),
)  # fmt: skip
MEAN = op(
    "mean", lambda x: x.mean(-1) if x.shape[-1] else np.zeros(x.shape[:-1], x.dtype),
    lambda g, y, x: ops.broadcast_to(ops.expand_dims(g / x.shape[-1], axis=-1), shape=x.shape),
    lambda f, i, x: f.total([x[(*i, k)] for k in range(x.shape[-1])]) / x.shape[-1],
    infer=along_last, cases=(case((3,)), case((2, 4))),
)  # fmt: skip
PRODUCT = op(
    "product", lambda a, b: np.matmul(a, b).astype(a.dtype), lambda g, y, a, b: (g @ _turned(b), _turned(a) @ g),
    lambda f, i, a, b: f.total([a[i[0], k] * b[k, i[1]] for k in range(a.shape[1])]),
    infer=matrices, cases=(case((2, 2), (2, 2)), case((2, 3), (3, 1))),
)  # fmt: skip
SQUARES = replace(PRODUCT, cases=(case((2, 2), (2, 2)),))
SHIFT = op(
    "shift", lambda x, b: x + b, lambda g, y, x, b: (g, ops.sum(g, axis=0)), lambda f, i, x, b: x[i] + b[i[-1]],
    infer=shifted, cases=(case((2, 3), (3,)),),
)  # fmt: skip
PEAK = op(
    "first", lambda x: x[0].copy(), lambda g, y, x: ops.pad(ops.expand_dims(g, axis=0), widths=_below(x)),
    lambda f, i, x: x[(0, *i)], infer=first_row, cases=(case((3,)), case((2, 2))),
)  # fmt: skip
SHARE = op(
    "share", lambda x: _share(x), lambda g, y, x: y * (g - ops.sum(g * y, axis=-1, keepdims=True)),
    lambda f, i, x: f.exp(x[i]) / f.total([f.exp(x[(*i[:-1], k)]) for k in range(x.shape[-1])]),
    infer=along_itself, cases=(case((3,)), case((2, 2))), stress=(0.0, -1.0, 3.0),
)  # fmt: skip
WAVE = op("wave", np.exp, lambda g, y, x: g * y, lambda f, x: f.exp(x), complex=HOLOMORPHIC)
ENERGY = op(
    "energy", lambda z: (z * np.conj(z)).real, lambda g, y, z: 2 * g * z,
    lambda f, z: f.real(z) * f.real(z) + f.imag(z) * f.imag(z), complex=DIRECT,
)  # fmt: skip
SOFT = opaque(
    "soft", lambda x: np.logaddexp(0, x).astype(x.dtype), lambda g, y, x: g * np.exp(-np.logaddexp(0, -x)).astype(x.dtype),
    lambda f, x: f.log(1 + f.exp(x)),
)  # fmt: skip
ROWS = opaque(
    "rows", lambda x, b: x + b, lambda g, y, x, b: (g, g.sum(0)), lambda f, i, x, b: x[i] + b[i[-1]], infer=shifted,
    cases=(case((2, 3), (3,)),),
)  # fmt: skip
PARTS = Op(
    "authors.parts", lambda x: (np.sin(x), np.cos(x)), lambda g, y, x: g[0] * y[1] - g[1] * y[0],
    (lambda f, x: f.sin(x), lambda f, x: f.cos(x)),
)  # fmt: skip
CHOSEN = op(
    "chosen", lambda m, a, b: np.where(m, a, b),
    lambda g, y, m, a, b: (NO_GRADIENT, ops.where(m, g, 0), ops.where(m, 0, g)),
    lambda f, m, a, b: f.where(m, a, b), domains=(INTEGER, REAL, REAL), promotes=(1, 2),
)  # fmt: skip
THIRD = op(
    "third", np.cbrt, lambda g, y, x: g / (3 * y * y), Equation("y³ = x",
    lambda f, y, x: y * y * y - x, start=np.cbrt), domains=POSITIVE,
)  # fmt: skip
LINE = op(
    "line", lambda x, *, k=0.5: k * x + np.sin(k), lambda g, y, x, *, k: g * k,
    lambda f, x, *, k=0.5: k * x + f.sin(f.number(k)),
)  # fmt: skip
COPIED = op(
    "copied", np.copy, lambda g, y, x: g, lambda f, i, x: x[i], infer=lambda x: Inferred((x,), {}), cases=(case((2, 2)),),
)  # fmt: skip
BLEND = Composite(
    "authors.blend", lambda a, b, *, share=0.5: a + share * (b - a), lambda f, a, b, *, share=0.5: a + share * (b - a)
)
FLIPPED = op(
    "flipped", lambda x: x[::-1], lambda g, y, x: ops.flip(g, axis=0), lambda f, i, x: x[(x.shape[0] - 1 - i[0], *i[1:])],
    infer=along_itself, cases=(case((3,)), case((2, 2))), view=True,
)  # fmt: skip
INNER = op("inner", np.sin, lambda g, y, x: g * ops.authors.outer(x), lambda f, x: f.sin(x))
OUTER = op("outer", np.cos, lambda g, y, x: -g * ops.sin(x), lambda f, x: f.cos(x))


def _turned(x: Any) -> Any:
    return ops.matrix_transpose(x)


def _halves(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    half = ops.where(ops.equal(a, b), g / 2, 0)
    return ops.where(a > b, g, half), ops.where(b > a, g, half)


def _below(x: Any) -> tuple[tuple[int, int], ...]:
    return ((0, x.shape[0] - 1), *((0, 0) for _ in x.shape[1:]))


def _share(x: Any) -> Any:
    if not x.size:
        return np.zeros(x.shape, x.dtype)
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(x.dtype)


def _square_in_place(x: Any) -> Any:
    x *= x
    return x.copy()


def _doubled_in_place(g: Any, y: Any, x: Any) -> Any:
    g *= np.exp(-np.logaddexp(0, -x))
    return g


class Counting:
    """A forward that remembers how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return np.square(x) + 1e-3 * (self.calls % 2)


ROWS_OF_MISTAKES = (
    Row("missing factor", SQUARE, {"rule": lambda g, y, x: g * x}, "proof", ("for x", "1/2")),
    Row("wrong sign", COS, {"rule": lambda g, y, x: g * ops.sin(x)}, "proof", ("for x", "sign")),
    Row("cotangents in the order of another op", TIMES,
        {"rule": lambda g, y, a, b: (g * a, g * b)}, "proof", ("for a", "exchanged")),
    Row("cotangent not used", SIN, {"rule": lambda g, y, x: ops.cos(x)}, "proof", ("for x", "factor g is missing")),
    Row("y for x", TANH, {"rule": lambda g, y, x: g * (1 - x * x)}, "proof", ("for x",)),
    Row("square of the denominator forgotten", OVER,
        {"rule": lambda g, y, a, b: (g / b, -g * a / b)}, "proof", ("for b", "factor b is one too many")),
    Row("root upside down", ROOT, {"rule": lambda g, y, x: g * y / 2}, "proof", ("for x", "factor x is one too many")),
    Row("gradient of the other input only", TIMES,
        {"rule": lambda g, y, a, b: (g * b, 0 * g)}, "proof", ("for b", "no gradient")),
    Row("a cotangent too few", TIMES,
        {"rule": lambda g, y, a, b: g * b}, "registration", ("returned 1 cotangents for 2 inputs", "tuple")),
    Row("branch on a value", ABS, {"rule": lambda g, y, x: g if x > 0 else -g}, "registration", ("ops.where",)),
    Row("NumPy in a rule", SIN, {"rule": lambda g, y, x: g * np.cos(x)}, "registration", ("operators and `ops`",)),
    Row("sum over a broadcast forgotten", SHIFT,
        {"rule": lambda g, y, x, b: (g, g)}, "registration", ("input 1 (b)", "sum the cotangent")),
    Row("sum over a broadcast forgotten, in NumPy", ROWS,
        {"backward": lambda g, y, x, b: (g, g)}, "dtypes", ("b", "summed over the axes")),
    Row("factor in the second input only", PRODUCT,
        {"rule": lambda g, y, a, b: (g @ _turned(b), 2 * _turned(a) @ g)}, "proof", ("for b", "2")),
    Row("transpose forgotten", SQUARES, {"rule": lambda g, y, a, b: (g @ b, _turned(a) @ g)}, "proof", ("for a",)),
    Row("result transposed", SQUARES,
        {"rule": lambda g, y, a, b: (b @ _turned(g), _turned(a) @ g)}, "proof", ("for a", "transposed")),
    Row("division by the count forgotten", MEAN, {"rule": TOTAL.rule}, "proof", ("for x",)),
    Row("count of all elements", MEAN,
        {"rule": lambda g, y, x: ops.broadcast_to(ops.expand_dims(g / x.size, axis=-1), shape=x.shape)},
        "proof", ("for x", "(2, 4)", "1/2")),
    Row("sum in a softmax forgotten", SHARE, {"rule": lambda g, y, x: g * y * (1 - y)}, "proof", ("for x",)),
    Row("wrong at negative numbers", LEAKY, {"rule": lambda g, y, x: g}, "proof", ("for x", "negative")),
    Row("wrong where inputs are equal", ABS, {"rule": lambda g, y, x: ops.where(x < 0, -g, g)}, "ties", ("kink",)),
    Row("both get all where inputs are equal", LARGER,
        {"rule": lambda g, y, a, b: (ops.where(a >= b, g, 0), ops.where(b >= a, g, 0))}, "ties", ("kink", "mean")),
    Row("whole division", CUBE, {"rule": lambda g, y, x: (3 // 2) * g * x * x}, "proof", ("for x", "1/3")),
    Row("proved at the default of an attribute only", SCALE, {"rule": lambda g, y, x, *, a: g}, "proof", ("for x", "a=")),
    Row("exponent not lowered", POWER,
        {"rule": lambda g, y, x, *, n: n * g * ops.pow(x, n)}, "proof", ("for x", "factor x is one too many")),
    Row("overflow far out", LOGISTIC, {"rule": lambda g, y, x: g * ops.exp(-x) * y * y}, "stress", ("for x", "overflows")),
    Row("widened dtype", TOTAL, {"forward": lambda x: x.sum(-1, dtype=np.float64)}, "dtypes", ("float64", "float32")),
    Row("forward writes to its input", SQUARE, {"forward": _square_in_place}, "purity", ("input x", "copy")),
    Row("backward writes to the cotangent", SOFT, {"backward": _doubled_in_place}, "purity", ("cotangent g", "copy")),
    Row("forward keeps state", SQUARE, {"forward": Counting()}, "purity", ("other bits", "state")),
    Row("conjugate in a holomorphic rule", WAVE, {"rule": lambda g, y, x: g * ops.conj(y)}, "dtypes", ("complex",)),
    Row("conjugate of the input", ENERGY, {"rule": lambda g, y, z: 2 * g * ops.conj(z)}, "proof", ("for z", "conjugate")),
    Row("chain in the second order", INNER,
        {}, "second order", ("second derivative",), (replace(OUTER, rule=lambda g, y, x: g * ops.sin(x)),)),
    Row("not a small fraction", SQUARE,
        {"rule": lambda g, y, x: g * x * Fraction(1999, 1000)}, "proof", ("for x", "0.9995")),
    Row("`into` of another op", SQUARE,
        {"forward": lambda x: x * x, "into": lambda out, x: np.add(x, x, out=out)}, "memory", ("`into`",)),
    Row("`view` of a copy", PEAK, {"view": True}, "memory", ("`view`",)),
    Row("definition of another function", TANH,
        {"define": lambda f, x: f.tanh(2 * x)}, "proof", ("forward does not compute",)),
)  # fmt: skip

RIGHT: tuple[tuple[Op, tuple[Op, ...]], ...] = (
    *{id(row.right): (row.right, (OUTER,) * bool(row.beside)) for row in ROWS_OF_MISTAKES}.values(),
    *((one, ()) for one in (PARTS, CHOSEN, THIRD, LINE, COPIED, BLEND, FLIPPED)),
)
"""Right ops, with those that their rules use."""
