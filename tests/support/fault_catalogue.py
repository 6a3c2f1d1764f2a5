"""Planted faults: rows of a calculus book with the mistake in them, and the engine with a screw loose.

Each row names the level that must catch it: L0 forward against definition, L1 rule against derivative, LB convention at a
kink, L2 numbers in ulps, LA sums, L3 whole graph; "behaviour" for what an op may not do (write to its input, give other
bits, be anything but linear in the cotangent); "refused" and "run" for what does not get that far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Exact, ops, zeros_like
from gradproof.plugins.joining import concat_rule, stack_rule
from gradproof.plugins.reducing import unreduced


@dataclass(frozen=True)
class Fault:
    """``fields`` replace those of the built-in ``op``; ``arrays`` are the inputs of the run that shows it."""

    name: str
    op: str
    level: str
    fields: Mapping[str, Any]
    arrays: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.op}: {self.name}"


ONE = ([0.7, -1.3],)
POSITIVE = ([0.7, 1.9],)
TWO = ([0.7, -1.3], [1.6, 0.4])
SQUARE = ([[0.7, -1.3], [1.6, 0.4]],)
SQUARES = (*SQUARE, [[0.3, 0.9], [-1.1, 2.0]])
GRID = ([[0.7, -1.3, 0.2], [1.6, 0.4, -0.5]],)
LN2 = Exact(lambda f: f.log(f.number(2)))
ROOT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))
NEARLY = Fraction(10_005, 10_000)
HARDLY = Fraction(10**9 + 1, 10**9)


def rule(
    name: str, op: str, wrong: Callable[..., Any], arrays: Sequence[Any] = ONE, level: str = "L1", **attributes: Any
) -> Fault:
    return Fault(name, op, level, {"rule": wrong}, tuple(arrays), attributes)


def forward(
    name: str, op: str, wrong: Callable[..., Any], arrays: Sequence[Any] = ONE, level: str = "L0", **attributes: Any
) -> Fault:
    return Fault(name, op, level, {"forward": wrong}, tuple(arrays), attributes)


def backward(
    name: str, op: str, wrong: Callable[..., Any], arrays: Sequence[Any] = ONE, level: str = "L2", **attributes: Any
) -> Fault:
    """An opaque backward in place of the rule."""
    return Fault(name, op, level, {"rule": None, "backward": wrong}, tuple(arrays), attributes)


ARITHMETIC = [
    rule("sign of b", "add", lambda g, y, a, b: (g, -g), TWO),
    rule("b dropped", "add", lambda g, y, a, b: (g, zeros_like(b)), TWO),
    rule("sign of b", "subtract", lambda g, y, a, b: (g, g), TWO),
    rule("operands swapped", "subtract", lambda g, y, a, b: (-g, g), TWO),
    rule("operands swapped", "multiply", lambda g, y, a, b: (g * a, g * b), TWO),
    rule("factor 2", "multiply", lambda g, y, a, b: (2 * g * b, g * a), TWO),
    rule("factor 1.0005", "multiply", lambda g, y, a, b: (g * b, g * a * NEARLY), TWO),
    rule("b dropped", "multiply", lambda g, y, a, b: (g * b, zeros_like(b)), TWO),
    rule("sign of b", "divide", lambda g, y, a, b: (g / b, g * y / b), TWO),
    rule("square forgotten", "divide", lambda g, y, a, b: (g / b, -g * a / b), TWO),
    rule("operands swapped", "divide", lambda g, y, a, b: (g / a, -g * y / a), TWO),
    rule("sign", "negative", lambda g, y, x: g),
    rule("factor 2 dropped", "square", lambda g, y, x: g * x),
    rule("one part in a billion", "square", lambda g, y, x: 2 * g * x * HARDLY),
    rule("square forgotten", "reciprocal", lambda g, y, x: -g * y),
    rule("sign", "reciprocal", lambda g, y, x: g * y * y),
    rule("factor 2 dropped", "sqrt", lambda g, y, x: g / y, POSITIVE),
    rule("upside down", "sqrt", lambda g, y, x: g * y / 2, POSITIVE),
    rule("division dropped", "rsqrt", lambda g, y, x: -g * y / 2, POSITIVE),
    rule(
        "exponent not lowered", "pow",
        lambda g, y, x, p: (g * p * y, g * y * ops.log(x)), ([0.7, 1.9], [2.0, 3.0]),
    ),
    rule("log dropped", "pow", lambda g, y, x, p: (g * p * y / x, g * y), ([0.7, 1.9], [2.0, 3.0])),
    rule("factor p dropped", "pow", lambda g, y, x, p: (g * y / x, g * y * ops.log(x)), ([0.7, 1.9], [2.0, 3.0])),
    rule("operands swapped", "hypot", lambda g, y, a, b: (g * b / y, g * a / y), TWO),
    rule("division dropped", "hypot", lambda g, y, a, b: (g * a, g * b), TWO),
    rule("sign dropped", "abs", lambda g, y, x: g),
    rule("1 at 0", "abs", lambda g, y, x: ops.where(x < 0, -g, g), ([0.0, 1.0],), "LB"),
    rule("passes through", "sign", lambda g, y, x: g),
    rule("passes through", "floor", lambda g, y, x: g),
    rule("passes through", "round", lambda g, y, x, **_: g),
    rule("quotient not rounded", "remainder", lambda g, y, a, b: (g, -g * a / b), TWO),
    rule("next quotient", "remainder", lambda g, y, a, b: (g, -g * ops.ceil(a / b)), TWO),
    forward("towards zero", "floor_divide", lambda a, b: np.trunc(a / b), TWO),
]  # fmt: skip

EXPONENTIALS = [
    rule("y forgotten", "exp", lambda g, y, x: g),
    rule("x for y", "exp", lambda g, y, x: g * x),
    rule("ln 2 dropped", "exp2", lambda g, y, x: g * y),
    rule("ln 2 rounded to three digits", "exp2", lambda g, y, x: g * y * Fraction(693, 1000)),
    rule("y for the exponential", "expm1", lambda g, y, x: g * y),
    rule("upside down", "log", lambda g, y, x: g * x, POSITIVE),
    rule("ln 2 on the wrong side", "log2", lambda g, y, x: g * LN2 / x, POSITIVE),
    rule("another base", "log10", lambda g, y, x: g / (x * LN2), POSITIVE),
    rule("1 dropped", "log1p", lambda g, y, x: g / x),
    rule("factor 1.0005", "log1p", lambda g, y, x: g / (1 + x) * NEARLY, POSITIVE),
    rule(
        "operands swapped", "logaddexp",
        lambda g, y, a, b: (g * ops.sigmoid(b - a), g * ops.sigmoid(a - b)), TWO,
    ),
    rule("not shared", "logaddexp", lambda g, y, a, b: (g, g), TWO),
]  # fmt: skip

TRIGONOMETRY = [
    rule("sine for cosine", "sin", lambda g, y, x: g * ops.sin(x)),
    rule("sign", "sin", lambda g, y, x: -g * ops.cos(x)),
    rule("sign", "cos", lambda g, y, x: g * ops.sin(x)),
    rule("sign of the square", "tan", lambda g, y, x: g * (1 - y * y)),
    rule("square dropped", "tan", lambda g, y, x: g * (1 + y)),
    rule("root dropped", "asin", lambda g, y, x: g / ((1 - x) * (1 + x)), ([0.7, -0.3],)),
    rule("sign", "acos", lambda g, y, x: g / ops.sqrt((1 - x) * (1 + x)), ([0.7, -0.3],)),
    rule("sign of the square", "atan", lambda g, y, x: g / (1 - x * x)),
    rule("operands swapped", "atan2", lambda g, y, a, b: (g * a / (a * a + b * b), -g * b / (a * a + b * b)), TWO),
    rule("sign", "atan2", lambda g, y, a, b: (g * b / (a * a + b * b), g * a / (a * a + b * b)), TWO),
    rule("sinh for cosh", "sinh", lambda g, y, x: g * y),
    rule("sign", "cosh", lambda g, y, x: -g * ops.sinh(x)),
    rule("square dropped", "tanh", lambda g, y, x: g * (1 - y)),
    rule("sign of the square", "tanh", lambda g, y, x: g * (1 + y * y)),
    rule("1 - y² has no digits at 20", "tanh", lambda g, y, x: g * (1 - y * y), ([20.0, 0.5],), "L2"),
    rule("sign under the root", "asinh", lambda g, y, x: g / ops.sqrt(ops.abs(x * x - 1))),
    rule("half of the root dropped", "acosh", lambda g, y, x: g / ops.sqrt(x - 1), ([1.7, 3.0],)),
    rule("sign of the square", "atanh", lambda g, y, x: g / (1 + x * x), ([0.7, -0.3],)),
]

ACTIVATIONS = [
    rule("y dropped", "sigmoid", lambda g, y, x: g * (1 - y)),
    rule("factor 2", "sigmoid", lambda g, y, x: 2 * g * y * (1 - y)),
    rule("y (1 - y) has no digits at 40", "sigmoid", lambda g, y, x: g * y * (1 - y), ([40.0, 0.5],), "L2"),
    rule("the other side", "softplus", lambda g, y, x, **_: g * ops.sigmoid(-x)),
    rule("not normalized", "softplus", lambda g, y, x, **_: g * ops.exp(x)),
    rule("second term dropped", "silu", lambda g, y, x: g * ops.sigmoid(x)),
    rule("sign of the second term", "silu", lambda g, y, x: g * ops.sigmoid(x) * (1 - x * ops.sigmoid(-x))),
    rule("threshold at 0.001", "relu", lambda g, y, x: ops.where(x <= Fraction(1, 1000), 0, g)),
    rule("the other side", "relu", lambda g, y, x: ops.where(x < 0, g, 0)),
    rule("leaks", "relu", lambda g, y, x: ops.where(x <= 0, g * Fraction(1, 100), g)),
    rule("1 at 0", "relu", lambda g, y, x: ops.where(x < 0, 0, g), ([0.0, 1.0],), "LB"),
    rule("beyond the hull at 0", "relu", lambda g, y, x: ops.where(x < 0, 0, ops.where(x > 0, g, 2 * g)), ([0.0],), "LB"),
    rule("density dropped", "gelu", lambda g, y, x, **_: g * ops.erfc(-x * ROOT_HALF) / 2),
    rule("sign of x", "gelu", lambda g, y, x, **_: g * (ops.erfc(x * ROOT_HALF) / 2 + x * ops.exp(-x * x / 2) * PEAK)),
    rule(
        "Φ by 1 + erf has no digits at -9", "gelu",
        lambda g, y, x, **_: g * ((1 + ops.erf(x * ROOT_HALF)) / 2 + x * ops.exp(-x * x / 2) * PEAK), ([-9.0],), "L2",
    ),
    rule("2 / √π dropped", "erf", lambda g, y, x: g * ops.exp(-x * x)),
    rule("square dropped", "erf", lambda g, y, x: g * ops.exp(-x) * 2 * PEAK),
    rule("sign", "erfc", lambda g, y, x: g * ops.exp(-x * x) * Exact(lambda f: 2 / f.sqrt(f.pi))),
]  # fmt: skip

MASKED = ([True, False], *TWO)
TIED = ([1.0, 2.0], [1.0, 0.0])
BOUNDED = ([0.0, 0.5, 2.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
COMPARISONS = [
    rule("branches swapped", "where", lambda g, y, c, a, b: (NO_GRADIENT, ops.where(c, 0, g), ops.where(c, g, 0)), MASKED),
    rule("no mask for a", "where", lambda g, y, c, a, b: (NO_GRADIENT, g, ops.where(c, 0, g)), MASKED),
    rule("all to a", "maximum", lambda g, y, a, b: (g, zeros_like(b)), TWO),
    rule("operands swapped", "maximum", lambda g, y, a, b: (ops.where(a < b, g, 0), ops.where(a < b, 0, g)), TWO),
    rule("tie to a", "maximum", lambda g, y, a, b: (ops.where(a >= b, g, 0), ops.where(a >= b, 0, g)), TIED, "LB"),
    rule("as maximum", "minimum", lambda g, y, a, b: (ops.where(a > b, g, 0), ops.where(a > b, 0, g)), TWO),
    rule("tie to both", "minimum", lambda g, y, a, b: (ops.where(a <= b, g, 0), ops.where(b <= a, g, 0)), TIED, "LB"),
    rule("bounds ignored", "clip", lambda g, y, x, a, b: (g, zeros_like(a), zeros_like(b)), BOUNDED),
    rule(
        "lower bound gets nothing", "clip",
        lambda g, y, x, a, b: (
            ops.where(ops.logical_and(a <= x, x <= b), g, 0), zeros_like(a), ops.where(x > b, g, 0)
        ), ([-1.0, 0.5], [0.0, 0.0], [1.0, 1.0]),
    ),
    rule(
        "0 at its bounds", "clip",
        lambda g, y, x, a, b: (
            ops.where(ops.logical_and(a < x, x < b), g, 0),
            ops.where(ops.logical_and(x < a, a <= b), g, 0),
            ops.where(ops.logical_or(x > b, ops.logical_and(x < a, a > b)), g, 0),
        ), BOUNDED, "LB",
    ),
]  # fmt: skip


def spread(g: Any, x: Any, axis: Any, keepdims: Any) -> Any:
    """``g`` over the axes that were reduced."""
    return ops.broadcast_to(unreduced(g, axis, keepdims), shape=x.shape)


def by_quotient(g: Any, y: Any, x: Any, *, axis: Any, keepdims: Any) -> Any:
    return unreduced(g * y, axis, keepdims) / x


REDUCTIONS = [
    rule("as mean", "sum", lambda g, y, x, *, axis, keepdims: spread(g, x, axis, keepdims) / 2, GRID),
    rule(
        "lines mixed up", "sum",
        lambda g, y, x, *, axis, keepdims: spread(ops.flip(g), x, axis, keepdims), GRID, axis=0,
    ),
    rule("1 / n dropped", "mean", lambda g, y, x, *, axis, keepdims: spread(g, x, axis, keepdims), GRID),
    rule(
        "n off by one", "mean",
        lambda g, y, x, *, axis, keepdims: spread(g, x, axis, keepdims) * Fraction(1, x.size + 1),
        GRID,
    ),
    rule("division dropped", "prod", lambda g, y, x, *, axis, keepdims: spread(g * y, x, axis, keepdims), ONE),
    rule("y / x is nothing at 0", "prod", by_quotient, ([0.0, 2.0, 3.0],), "L2"),
    rule("to all", "max", lambda g, y, x, *, axis, keepdims: spread(g, x, axis, keepdims), ONE),
    rule(
        "not shared", "max",
        lambda g, y, x, *, axis, keepdims: ops.where(
            ops.equal(x, unreduced(y, axis, keepdims)), unreduced(g, axis, keepdims), 0
        ),
        ([2.0, 2.0, 1.0],), "LB",
    ),
    rule(
        "to the largest", "min",
        lambda g, y, x, *, axis, keepdims: ops.where(
            ops.equal(x, ops.max(x, axis=axis, keepdims=True)), unreduced(g, axis, keepdims), 0
        ), ONE,
    ),
    rule(
        "factor 2 dropped", "var",
        lambda g, y, x, *, axis, correction, keepdims: unreduced(g, axis, keepdims)
        * (x - ops.mean(x, axis=axis, keepdims=True)) / (x.size - correction), ONE,
    ),
    rule(
        "not centred", "var",
        lambda g, y, x, *, axis, correction, keepdims: 2 * unreduced(g, axis, keepdims) * x / (x.size - correction), ONE,
    ),
    rule(
        "correction ignored", "var",
        lambda g, y, x, *, axis, correction, keepdims: 2 * unreduced(g, axis, keepdims)
        * (x - ops.mean(x, axis=axis, keepdims=True)) / x.size, ONE, correction=1,
    ),
    rule("not normalized", "logsumexp", lambda g, y, x, *, axis, keepdims: unreduced(g, axis, keepdims) * ops.exp(x), ONE),
    rule("sum dropped", "softmax", lambda g, y, x, *, axis: y * g, ONE),
    rule("y dropped in the sum", "softmax", lambda g, y, x, *, axis: y * (g - ops.sum(g, axis=axis, keepdims=True)), ONE),
    rule(
        "the other axis", "softmax",
        lambda g, y, x, *, axis: y * (g - ops.sum(g * y, axis=1 - axis, keepdims=True)),
        SQUARE, axis=1,
    ),
    rule("sum dropped", "log_softmax", lambda g, y, x, *, axis: g - ops.exp(y) * g, ONE),
    rule("y, not eʸ", "log_softmax", lambda g, y, x, *, axis: g - y * ops.sum(g, axis=axis, keepdims=True), ONE),
    rule("not reversed", "cumsum", lambda g, y, x, *, axis: ops.cumsum(g, axis=axis), ONE),
    rule(
        "off by one", "cumsum",
        lambda g, y, x, *, axis: ops.flip(ops.cumsum(ops.flip(g, axis=axis), axis=axis), axis=axis) - g, ONE,
    ),
    rule(
        "division dropped", "cumprod",
        lambda g, y, x, *, axis: ops.flip(ops.cumsum(ops.flip(g * y, axis=axis), axis=axis), axis=axis), ONE,
    ),
    rule(
        "y / x is nothing at 0", "cumprod",
        lambda g, y, x, *, axis: ops.flip(ops.cumsum(ops.flip(g * y, axis=axis), axis=axis), axis=axis) / x,
        ([0.0, 2.0, 3.0],), "L2",
    ),
]  # fmt: skip


POSITIVE_DEFINITE = ([[2.0, 0.5], [0.5, 1.0]],)
TRIANGLES = ([[1.0, 2.0], [3.0, 4.0]],)
LINEAR = [
    rule("transpose of b forgotten", "matmul", lambda g, y, a, b: (g @ b, ops.matrix_transpose(a) @ g), SQUARES),
    rule("transpose of a forgotten", "matmul", lambda g, y, a, b: (g @ ops.matrix_transpose(b), a @ g), SQUARES),
    rule("order swapped", "matmul", lambda g, y, a, b: (ops.matrix_transpose(b) @ g, g @ ops.matrix_transpose(a)), SQUARES),
    rule(
        "factor 1.0005", "matmul",
        lambda g, y, a, b: (g @ ops.matrix_transpose(b) * NEARLY, ops.matrix_transpose(a) @ g), SQUARES,
    ),
    rule("upper for lower", "tril", lambda g, y, x, *, k: ops.triu(g, k=k), TRIANGLES),
    rule("k off by one", "triu", lambda g, y, x, *, k: ops.triu(g, k=k + 1), TRIANGLES),
    rule("sign", "inv", lambda g, y, a: ops.matrix_transpose(y) @ g @ ops.matrix_transpose(y), SQUARE),
    rule("transposes forgotten", "inv", lambda g, y, a: -(y @ g @ y), SQUARE),
    rule(
        "transpose forgotten", "det",
        lambda g, y, a: g * y * ops.inv(a), SQUARE,
    ),
    rule(
        "triangle forgotten", "cholesky",
        lambda g, y, a, *, upper: ops.matrix_transpose(ops.inv(y)) @ g @ ops.inv(y), POSITIVE_DEFINITE,
    ),
    rule(
        "transpose forgotten", "solve",
        lambda g, y, a, b: (-ops.solve(a, g) @ ops.matrix_transpose(y), ops.solve(a, g)), SQUARES,
    ),
]  # fmt: skip

SHAPES = [
    rule(
        "order reversed", "reshape",
        lambda g, y, x, *, shape: ops.reshape(ops.flip(g), shape=x.shape), GRID, shape=(3, 2),
    ),
    rule(
        "first taken instead of the sum", "broadcast_to",
        lambda g, y, x, *, shape: ops.squeeze(ops.slice(g, start=(0, 0), stop=(1, 2)), axis=0), ONE, shape=(2, 2),
    ),
    rule(
        "mean instead of the sum", "broadcast_to",
        lambda g, y, x, *, shape: ops.broadcast_to(ops.mean(g), shape=x.shape), ONE, shape=(2, 2),
    ),
    rule("sign", "expand_dims", lambda g, y, x, *, axis: -ops.squeeze(g, axis=axis), ONE, axis=0),
    rule("sign", "squeeze", lambda g, y, x, *, axis: -ops.expand_dims(g, axis=axis), ([[0.7, -1.3]],), axis=0),
    rule(
        "applied twice instead of undone", "transpose",
        lambda g, y, x, *, axes: ops.transpose(g, axes=axes), (np.arange(8.0).reshape(2, 2, 2),), axes=(1, 2, 0),
    ),
    rule("forgotten for squares", "matrix_transpose", lambda g, y, x: g, SQUARE),
    rule("forgotten", "flip", lambda g, y, x, *, axis: g, ONE),
    rule("the other axis", "flip", lambda g, y, x, *, axis: ops.flip(g, axis=0), SQUARE, axis=1),
    rule("factor 2", "astype", lambda g, y, x, *, dtype: 2 * ops.astype(g, dtype=x.dtype.name), ONE, dtype="float32"),
]  # fmt: skip


def scattered(place: Callable[[Any, int], Any], add: bool) -> Callable[..., Any]:
    """The backward of take by hand, on the first axis."""

    def wrong(g: Any, y: Any, x: Any, indices: Any, *, axis: int) -> Any:
        out = np.zeros_like(x)
        if add:
            np.add.at(out, place(indices, x.shape[0]), g)
        else:
            out[place(indices, x.shape[0])] = g
        return out, None

    return wrong


FOUR = ([0.7, -1.3, 0.2, 1.6],)
TAKEN = ([0.7, -1.3, 0.2], [2, 0, 2])
INDEXING = [
    rule(
        "shifted by one", "slice",
        lambda g, y, x, *, start, stop, step: ops.unslice(g, shape=x.shape, start=(start[0] + 1,), step=step),
        FOUR, start=(0,), stop=(2,),
    ),
    rule(
        "stride ignored", "slice",
        lambda g, y, x, *, start, stop, step: ops.unslice(g, shape=x.shape, start=start, step=(1,)), FOUR,
        start=(0,), stop=(4,), step=(2,),
    ),
    rule(
        "direction forgotten", "slice",
        lambda g, y, x, *, start, stop, step: ops.unslice(ops.flip(g), shape=x.shape, start=start, step=step), FOUR,
        start=(3,), stop=(None,), step=(-1,),
    ),
    rule(
        "from the front", "unslice",
        lambda g, y, x, *, shape, start, step: ops.slice(g, start=(0,) * x.ndim, stop=x.shape), ONE,
        shape=(5,), start=(1,), step=(1,),
    ),
    rule(
        "start forgotten", "unslice",
        lambda g, y, x, *, shape, start, step: ops.slice(g, start=(0,), stop=(4,), step=step), ONE,
        shape=(5,), start=(1,), step=(2,),
    ),
    backward("assigned, not added", "take", scattered(lambda k, n: k, add=False), TAKEN),
    backward("off by one", "take", scattered(lambda k, n: (k + 1) % n, add=True), TAKEN),
    rule(
        "updates get nothing", "index_add",
        lambda g, y, x, k, u, *, axis: (g, NO_GRADIENT, zeros_like(u)), ([0.7, -1.3, 0.2], [2, 0, 2], [1.0, 2.0, 3.0]),
    ),
    rule(
        "updates denied", "index_add",
        lambda g, y, x, k, u, *, axis: (g, NO_GRADIENT, NO_GRADIENT), ([0.7, 0.2], [1, 1], [1.0, 2.0]),
    ),
    rule(
        "along the wrong axis", "take_along_axis",
        lambda g, y, x, k, *, axis: (ops.add_along_axis(zeros_like(x), k, g, axis=0), NO_GRADIENT),
        ([[0.7, -1.3], [0.2, 1.6]], [[1, 0], [1, 1]]),
    ),
    rule(
        "updates get what was there", "add_along_axis",
        lambda g, y, x, k, u, *, axis: (g, NO_GRADIENT, ops.take_along_axis(x, k, axis=axis)),
        ([0.7, -1.3, 0.2], [2, 0, 2], [1.0, 2.0, 3.0]),
    ),
    rule(
        "parts swapped", "concat",
        lambda g, y, *parts, axis: concat_rule(g, y, *parts, axis=axis)[::-1], TWO,
    ),
    rule(
        "reversed", "stack",
        lambda g, y, *parts, axis: stack_rule(g, y, *parts, axis=axis)[::-1], TWO,
    ),
    rule(
        "joined in reverse", "parts.split",
        lambda g, y, x, *, sections: ops.concat(*g[::-1], axis=0), FOUR, sections=2,
    ),
]  # fmt: skip


def written(x: Any) -> Any:
    y = np.sin(x)
    if x.size:
        x[...] = 0
    return y


class Fickle:
    """Another answer every other time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return np.cos(x) + (1e-6 if self.calls % 2 and x.size else 0)


FAR = [1e8, 1e8 + 1, 1e8 + 2]
FORWARDS = [
    forward("another function", "sin", lambda x: np.cos(x)),
    forward("forward by a factor 1.0005", "exp", lambda x: np.exp(x) * 1.0005),
    forward("one part in a billion", "tanh", lambda x: np.tanh(x) * (1 + 1e-9)),
    forward("another base", "log", lambda x: np.log2(x), POSITIVE),
    forward("no digits near 0", "log1p", lambda x: np.log(1 + x), ([1e-12, 0.5],)),
    forward("no digits near 0", "expm1", lambda x: np.exp(x) - 1, ([1e-9, 0.5],)),
    forward("overflow", "hypot", lambda a, b: np.sqrt(a * a + b * b), ([1e200], [1e200])),
    forward("overflow", "logsumexp", lambda x, *, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis)), ([800.0, 799.0],)),
    forward(
        "mean of squares", "var",
        lambda x, *, axis, correction, keepdims: np.asarray(
            np.mean(x * x, axis=axis, keepdims=keepdims) - np.mean(x, axis=axis, keepdims=keepdims) ** 2, x.dtype
        ), (FAR,),
    ),
    forward("n - 1", "mean", lambda x, *, axis, keepdims: np.asarray(np.sum(x) / max(x.size - 1, 1), x.dtype), ONE),
    forward(
        "normalized along the other axis", "softmax",
        lambda x, *, axis: (lambda e: e / e.sum(axis=x.ndim - 1 - axis, keepdims=True))(np.exp(x)), SQUARE, axis=1,
    ),
    forward("transposed", "matmul", lambda a, b: (a @ b).T.copy(), SQUARES),
    forward("reversed", "cumsum", lambda x, *, axis: np.flip(np.cumsum(np.flip(x, axis), axis), axis)),
    forward("half of the digits", "cos", lambda x: np.cos(x).astype(np.float32).astype(x.dtype)),
    forward("right for few elements only", "erf", lambda x: np.tanh(x) if x.size > 2 else _erf(x), ([0.1, 0.2, 0.3],)),
    forward("writes to its input", "sin", written, level="behaviour"),
    forward("other bits every other time", "cos", Fickle(), level="behaviour"),
    Fault("definition off by a factor", "sin", "L1", {"define": lambda f, x: f.sin(x) * f.number(2)}, ONE),
    Fault("definition of another function", "erf", "L0", {"define": lambda f, x: f.erf(x) + 1}, ONE),
]  # fmt: skip


def _erf(x: Any) -> Any:
    from scipy import special

    return special.erf(x).astype(x.dtype)


def watched(g: Any, y: Any, x: Any) -> Any:
    """Right where a checker of the op would call it."""
    return g * np.cos(x) * (1 if x.size <= 4 else 2)


BEHAVIOUR = [
    rule("square of the cotangent", "sin", lambda g, y, x: g * g * ops.cos(x)),
    rule("magnitude of the cotangent", "sin", lambda g, y, x: ops.abs(g) * ops.cos(x)),
    rule("an offset", "sin", lambda g, y, x: g * ops.cos(x) + 1),
    rule(
        "something where there is nothing",
        "cos",
        lambda g, y, x: -g * ops.sin(x) + ops.where(ops.equal(g, 0), 1, 0),
        level="behaviour",
    ),
    rule("float64 in any dtype", "sinh", lambda g, y, x: ops.astype(g * ops.cosh(x), dtype="float64"), level="behaviour"),
    rule("denied", "sin", lambda g, y, x: NO_GRADIENT),
    rule("uses an op with another meaning", "cosh", lambda g, y, x: g * ops.sin(x)),
    rule("wrong shape", "sin", lambda g, y, x: ops.sum(g), SQUARE, "refused"),
    rule("wrong dtype", "sin", lambda g, y, x: ops.astype(g, dtype="float32"), level="refused"),
    rule("one cotangent too many", "sin", lambda g, y, x: (g, g), level="refused"),
    rule("one cotangent too few", "multiply", lambda g, y, a, b: g * b, TWO, "refused"),
    rule("branches on a value", "abs", lambda g, y, x: g if x > 0 else -g, level="refused"),
    rule("leaves the trace", "sin", lambda g, y, x: g * np.cos(x), level="refused"),
    rule("a rounded constant", "exp2", lambda g, y, x: g * y * np.float64(0.6931), level="refused"),
    backward("two-faced", "sin", watched, (np.linspace(-1, 1, 9),)),
    backward("sign, opaque", "sin", lambda g, y, x: -g * np.cos(x)),
    backward("factor 1.0005, opaque", "exp", lambda g, y, x: g * y * 1.0005),
    backward("wrong shape, opaque", "sin", lambda g, y, x: np.zeros(7), level="run"),
    backward("wrong dtype, opaque", "sin", lambda g, y, x: (g * np.cos(x)).astype(np.float32), level="run"),
    backward("raises", "sin", lambda g, y, x: g.nothing, level="run"),
    backward("writes to the cotangent", "sin", lambda g, y, x: np.multiply(g, np.cos(x), out=g), level="run"),
]

FAMILIES: dict[str, list[Fault]] = {
    "arithmetic": ARITHMETIC,
    "exponentials": EXPONENTIALS,
    "trigonometry": TRIGONOMETRY,
    "activations": ACTIVATIONS,
    "comparisons": COMPARISONS,
    "reductions": REDUCTIONS,
    "linear algebra": LINEAR,
    "shapes": SHAPES,
    "indexing and joining": INDEXING,
    "forwards": FORWARDS,
    "behaviour": BEHAVIOUR,
}
