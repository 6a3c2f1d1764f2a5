"""More rows: right algebra that loses its digits, axes mixed up where shapes do not tell, branches a little off."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from scipy import special
from tests.support.fault_catalogue import (
    FAMILIES,
    GRID,
    ONE,
    SQUARE,
    SQUARES,
    TRIANGLES,
    TWO,
    Fault,
    backward,
    forward,
    rule,
)

from gradproof.engine.extend import NO_GRADIENT, full_like, ops, zeros_like
from gradproof.plugins.comparisons import clip_rule
from gradproof.plugins.reducing import unreduced

MILLI = Fraction(1, 1000)
FLAT = ([0.7, -1.3, 0.2, 1.6],)

DIGITS = [
    rule("by y + 1, nothing left at -40", "expm1", lambda g, y, x: g * (y + 1), ([-40.0, 0.5],), "L2"),
    rule("by 1 - e⁻ʸ, nothing left at -40", "softplus", lambda g, y, x, **_: g * (1 - ops.exp(-y)), ([-40.0],), "L2"),
    rule("eˣ / (1 + eˣ) at 800", "softplus", lambda g, y, x, **_: g * ops.exp(x) / (1 + ops.exp(x)), ([800.0],), "L2"),
    rule(
        "e⁻ˣ / (1 + e⁻ˣ)² at -400",
        "sigmoid",
        lambda g, y, x: g * ops.exp(-x) / ops.square(1 + ops.exp(-x)),
        ([-400.0],),
        "L2",
    ),
    rule(
        "eᵃ / (eᵃ + eᵇ) at 800",
        "logaddexp",
        lambda g, y, a, b: (g * ops.exp(a) / (ops.exp(a) + ops.exp(b)), g * ops.exp(b) / (ops.exp(a) + ops.exp(b))),
        ([800.0], [799.0]),
        "L2",
    ),
    rule(
        "eˣ / Σ eˣ at 800",
        "logsumexp",
        lambda g, y, x, *, axis, keepdims: (
            unreduced(g, axis, keepdims) * ops.exp(x) / ops.sum(ops.exp(x), axis=axis, keepdims=True)
        ),
        ([800.0, 799.0],),
        "L2",
    ),
    rule("a / (b b) at 1e200", "divide", lambda g, y, a, b: (g / b, -g * a / (b * b)), ([1e300], [1e200]), "L2"),
    rule(
        "√(a² + b²) at 1e200",
        "hypot",
        lambda g, y, a, b: (g * a / ops.sqrt(a * a + b * b), g * b / ops.sqrt(a * a + b * b)),
        ([1e200], [2e200]),
        "L2",
    ),
    rule(
        "a² + b² at 1e200",
        "atan2",
        lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b)),
        ([1e200], [2e200]),
        "L2",
    ),
    rule("√(x² + 1) at 1e200", "asinh", lambda g, y, x: g / ops.sqrt(x * x + 1), ([1e200],), "L2"),
    rule("√(x² - 1) at 1e200", "acosh", lambda g, y, x: g / ops.sqrt(x * x - 1), ([1e200],), "L2"),
    rule("x eʸ at 1e-300", "log", lambda g, y, x: g * ops.exp(-y), ([1e-300],), "L2"),
    rule(
        "float32 on the way",
        "sin",
        lambda g, y, x: ops.astype(ops.astype(g * ops.cos(x), dtype="float32"), dtype=x.dtype.name),
        ONE,
        "L2",
    ),
    rule(
        "from log, not log1p, near 0",
        "log1p",
        lambda g, y, x: g * (ops.exp(-y) - 1) / (-y) * (y / x),
        ([1e-12],),
        "L2",
    ),
]

AXES = [
    rule(
        "axis forgotten for squares",
        "sum",
        lambda g, y, x, *, axis, keepdims: ops.broadcast_to(g, shape=x.shape),
        SQUARE,
        axis=1,
    ),
    rule(
        "axis forgotten for squares",
        "mean",
        lambda g, y, x, *, axis, keepdims: ops.broadcast_to(g / 2, shape=x.shape),
        SQUARE,
        axis=1,
    ),
    rule(
        "axis forgotten for squares",
        "logsumexp",
        lambda g, y, x, *, axis, keepdims: g * ops.exp(x - unreduced(y, axis, keepdims)),
        SQUARE,
        axis=1,
    ),
    rule(
        "axis forgotten for squares",
        "max",
        lambda g, y, x, *, axis, keepdims: ops.where(ops.equal(x, unreduced(y, axis, keepdims)), g, 0),
        SQUARE,
        axis=1,
    ),
    rule(
        "keepdims forgotten for squares",
        "softmax",
        lambda g, y, x, *, axis: y * (g - ops.sum(g * y, axis=axis)),
        SQUARE,
        axis=1,
    ),
    rule(
        "keepdims forgotten for squares",
        "log_softmax",
        lambda g, y, x, *, axis: g - ops.exp(y) * ops.sum(g, axis=axis),
        SQUARE,
        axis=1,
    ),
    rule(
        "mean of everything",
        "var",
        lambda g, y, x, *, axis, correction, keepdims: unreduced(g, axis, keepdims) * (x - ops.mean(x)),
        SQUARE,
        axis=1,
    ),
    rule(
        "n of everything",
        "mean",
        lambda g, y, x, *, axis, keepdims: ops.broadcast_to(unreduced(g, axis, keepdims) / x.size, shape=x.shape),
        GRID,
        axis=1,
    ),
    rule(
        "the other axis",
        "cumsum",
        lambda g, y, x, *, axis: ops.flip(ops.cumsum(ops.flip(g, axis=1 - axis), axis=1 - axis), axis=1 - axis),
        SQUARE,
        axis=0,
    ),
    rule(
        "product over everything",
        "prod",
        lambda g, y, x, *, axis, keepdims: unreduced(g, axis, keepdims) * ops.prod(x) / x,
        SQUARE,
        axis=1,
    ),
    rule("identity for squares", "transpose", lambda g, y, x, *, axes: g, SQUARE),
    rule(
        "in column order",
        "reshape",
        lambda g, y, x, *, shape: ops.transpose(ops.reshape(g, shape=x.shape[::-1])),
        GRID,
        shape=(6,),
    ),
    rule(
        "summed over the other axis",
        "broadcast_to",
        lambda g, y, x, *, shape: ops.expand_dims(ops.sum(g, axis=0), axis=1),
        ([[0.7], [-1.3]],),
        shape=(2, 2),
    ),
    rule("diagonal dropped", "tril", lambda g, y, x, *, k: ops.tril(g, k=k - 1), TRIANGLES),
    rule("everything", "triu", lambda g, y, x, *, k: g, TRIANGLES),
    rule(
        "outer product the wrong way",
        "matmul",
        lambda g, y, a, b: (ops.expand_dims(b, axis=1) * ops.expand_dims(g, axis=0), ops.matrix_transpose(a) @ g),
        ([[0.7, -1.3], [1.6, 0.4]], [0.3, 0.9]),
    ),
    rule("b gets nothing", "matmul", lambda g, y, a, b: (g @ ops.matrix_transpose(b), zeros_like(b)), SQUARES),
]

BRANCHES = [
    rule("threshold at 0.001", "abs", lambda g, y, x: ops.where(x < MILLI, -g, g), ([0.0005, 1.0],), "LB"),
    rule(
        "threshold at 0.001",
        "maximum",
        lambda g, y, a, b: (ops.where(a > b + MILLI, g, 0), ops.where(a > b + MILLI, 0, g)),
        TWO,
        "LB",
    ),
    rule(
        "right unless the bounds cross",
        "clip",
        lambda g, y, x, a, b: (
            ops.where(ops.logical_and(a <= x, x <= b), g, 0),
            ops.where(x < a, g, 0),
            ops.where(x > b, g, 0),
        ),
        ([0.5, -2.0], [1.0, 1.0], [0.0, -1.0]),
    ),
    rule(
        "upper and lower exchanged",
        "clip",
        lambda g, y, x, a, b: (lambda d: (d[0], d[2], d[1]))(clip_rule(g, y, x, a, b)),
        ([-1.0, 2.0], [0.0, 0.0], [1.0, 1.0]),
    ),
    rule("-1 at 0", "abs", lambda g, y, x: ops.where(x <= 0, -g, g), ([0.0, 1.0],), "LB"),
    rule("2 at 0", "abs", lambda g, y, x: ops.where(x < 0, -g, ops.where(x > 0, g, 2 * g)), ([0.0],), "LB"),
    rule(
        "tie to neither",
        "maximum",
        lambda g, y, a, b: (ops.where(a > b, g, 0), ops.where(b > a, g, 0)),
        ([1.0], [1.0]),
        "LB",
    ),
    rule(
        "to the first and the last",
        "min",
        lambda g, y, x, *, axis, keepdims: ops.where(
            ops.equal(x, unreduced(y, axis, keepdims)), unreduced(g, axis, keepdims), 0
        ),
        ([1.0, 1.0, 2.0],),
        "LB",
    ),
    rule("7 at one number", "sin", lambda g, y, x: g * ops.where(ops.equal(x, 3), 7, ops.cos(x)), ([3.0, 0.5],), "L2"),
    rule("another function beyond 1000", "exp", lambda g, y, x: g * ops.where(x < -1000, 1, y), ([-2000.0],)),
]

INDEXED = ([0.7, -1.3, 0.2], [2, 0, 0], [1.0, 2.0, 3.0])
PLACES = [
    rule(
        "every update gets its gradient",
        "index_copy",
        lambda g, y, x, k, u, *, axis: (
            ops.index_copy(g, k, zeros_like(u), axis=axis),
            NO_GRADIENT,
            ops.take(g, k, axis=axis),
        ),
        INDEXED,
    ),
    rule(
        "the first update stays",
        "index_copy",
        lambda g, y, x, k, u, *, axis: (
            ops.index_copy(g, k, zeros_like(u), axis=axis),
            NO_GRADIENT,
            ops.where(ops.flip(ops.last_occurrence(ops.flip(k), size=x.size)), ops.take(g, k, axis=axis), 0),
        ),
        INDEXED,
    ),
    rule(
        "as if it added",
        "put_along_axis",
        lambda g, y, x, k, u, *, axis: (g, NO_GRADIENT, ops.take_along_axis(g, k, axis=axis)),
        INDEXED,
    ),
    rule(
        "what is replaced keeps its gradient",
        "slice_scatter",
        lambda g, y, x, u, *, start, stop, step: (g, ops.slice(g, start=start, stop=stop, step=step)),
        ([0.7, -1.3, 0.2], [1.0, 2.0]),
        start=(1,),
        stop=(3,),
    ),
    rule(
        "windows in reverse",
        "unfold",
        lambda g, y, x, *, axis, size, step: ops.overlap_add(ops.flip(g, axis=1), length=x.size, axis=axis, step=step),
        ([0.7, -1.3, 0.2],),
        axis=0,
        size=2,
    ),
    rule(
        "only the first of a window",
        "overlap_add",
        lambda g, y, x, *, length, axis, step: ops.broadcast_to(
            ops.slice(ops.unfold(g, axis=axis, size=x.shape[1], step=step), start=(0, 0), stop=(x.shape[0], 1)),
            shape=x.shape,
        ),
        ([[0.7, -1.3], [0.2, 1.6]],),
        axis=0,
        length=3,
    ),
    rule(
        "as if it overwrote",
        "index_add",
        lambda g, y, x, k, u, *, axis: (
            g * (ops.index_add(full_like(g, 0), k, full_like(u, 1), axis=axis) < 1),
            NO_GRADIENT,
            ops.take(g, k, axis=axis),
        ),
        INDEXED,
    ),
    rule(
        "updates in reverse",
        "index_add",
        lambda g, y, x, k, u, *, axis: (g, NO_GRADIENT, ops.flip(ops.take(g, k, axis=axis), axis=axis)),
        INDEXED,
    ),
    rule(
        "duplicates counted once",
        "take",
        lambda g, y, x, k, *, axis: (
            ops.index_add(zeros_like(x), k, g, axis=axis)
            / ops.maximum(ops.index_add(zeros_like(x), k, full_like(g, 1), axis=axis), 1),
            NO_GRADIENT,
        ),
        ([0.7, -1.3, 0.2], [2, 0, 2]),
    ),
    rule(
        "one too early",
        "unslice",
        lambda g, y, x, *, shape, start, step: ops.slice(g, start=(start[0] - 1,), stop=(start[0] - 1 + x.size,)),
        ONE,
        shape=(5,),
        start=(1,),
        step=(1,),
    ),
    rule(
        "before and after exchanged",
        "unslice",
        lambda g, y, x, *, shape, start, step: ops.slice(
            g, start=(shape[0] - start[0] - x.size,), stop=(shape[0] - start[0],)
        ),
        ONE,
        shape=(5,),
        start=(1,),
        step=(1,),
    ),
    rule(
        "every second, from 1",
        "slice",
        lambda g, y, x, *, start, stop, step: ops.unslice(g, shape=x.shape, start=(start[0] + 1,), step=step),
        FLAT,
        start=(0,),
        stop=(4,),
        step=(2,),
    ),
    rule(
        "sections exchanged",
        "parts.split",
        lambda g, y, x, *, sections: ops.concat(g[1], g[0], axis=0),
        ([0.7, -1.3, 0.2],),
        sections=(1, 2),
    ),
    rule(
        "each part the first",
        "stack",
        lambda g, y, *parts, axis: tuple(ops.squeeze(ops.slice(g, start=(0, 0), stop=(1, 2)), axis=0) for _ in parts),
        TWO,
    ),
    rule(
        "each part the first",
        "concat",
        lambda g, y, *parts, axis: tuple(ops.slice(g, start=(0,), stop=(2,)) for _ in parts),
        TWO,
    ),
    rule(
        "value dropped", "det", lambda g, y, a: ops.expand_dims(g, axis=(0, 1)) * ops.matrix_transpose(ops.inv(a)), SQUARE
    ),
    rule(
        "not negated",
        "solve",
        lambda g, y, a, b: (
            ops.solve(ops.matrix_transpose(a), g) @ ops.matrix_transpose(y),
            ops.solve(ops.matrix_transpose(a), g),
        ),
        SQUARES,
    ),
]


def exponentials(x: Any) -> Any:
    return np.exp(x)


FORWARDS = [
    forward("ln(1 + eˣ), nothing left at -40", "softplus", lambda x, **_: np.log(1 + np.exp(x)), ([-40.0],)),
    forward("by e²ˣ, no digits near 0", "tanh", lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), ([1e-9],)),
    forward("by eˣ, no digits near 0", "sinh", lambda x: (np.exp(x) - np.exp(-x)) / 2, ([1e-9],)),
    forward("ln(x + √(x² + 1)) at -1e9", "asinh", lambda x: np.log(x + np.sqrt(x * x + 1)), ([-1e7],)),
    forward("by a quotient, no digits near 0", "atanh", lambda x: np.log((1 + x) / (1 - x)) / 2, ([1e-9],)),
    forward("1 - erf, nothing left at 7", "erfc", lambda x: (1 - special.erf(x)).astype(x.dtype), ([7.0],)),
    forward(
        "1 + erf, nothing left at -9",
        "gelu",
        lambda x, **_: (x * (1 + special.erf(x * 0.5**0.5)) / 2).astype(x.dtype),
        ([-9.0],),
    ),
    forward("without the largest", "logaddexp", lambda a, b: np.log(np.exp(a) + np.exp(b)), ([800.0], [799.0])),
    forward(
        "without the largest",
        "softmax",
        lambda x, *, axis: exponentials(x) / np.sum(exponentials(x), axis=axis, keepdims=True),
        ([800.0, 799.0],),
    ),
    forward(
        "logarithm of a softmax",
        "log_softmax",
        lambda x, *, axis: np.log((lambda e: e / np.sum(e, axis=axis, keepdims=True))(np.exp(x - np.max(x)))),
        ([0.0, 800.0],),
    ),
    forward(
        "by logarithms",
        "prod",
        lambda x, *, axis, keepdims: np.asarray(np.exp(np.sum(np.log(x), axis=axis, keepdims=keepdims)), x.dtype),
        ONE,
    ),
    forward(
        "computed along the other axis", "cumsum", lambda x, *, axis: np.cumsum(x, axis=x.ndim - 1 - axis), SQUARE, axis=0
    ),
    forward("the smallest", "max", lambda x, *, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims), ONE),
    forward("computed with operands swapped", "subtract", lambda a, b: b - a, TWO),
    forward("below, not above", "tril", lambda x, *, k: np.tril(x, k - 1), TRIANGLES),
    forward(
        "wraps around",
        "take",
        lambda x, indices, *, axis: np.take(x, (indices + 1) % x.shape[axis], axis),
        ([0.7, 0.2], [0, 1]),
    ),
    forward(
        "right for a few elements",
        "matmul",
        lambda a, b: a @ b if a.size <= 4 else a @ b * (1 + 1e-6),
        (np.ones((3, 2)), np.ones((2, 3))),
    ),
]

BEHAVIOUR = [
    rule("largest of the cotangents", "exp", lambda g, y, x: ops.max(g) * y, ONE),
    rule("cotangent clipped", "exp", lambda g, y, x: ops.clip(g, -1, 1) * y, ONE),
    rule("cotangent rounded away", "exp", lambda g, y, x: ops.where(ops.abs(g) < MILLI, 0, g) * y, ONE),
    rule(
        "keepdims forgotten",
        "sum",
        lambda g, y, x, *, axis, keepdims: ops.broadcast_to(g, shape=x.shape),
        GRID,
        "refused",
        axis=1,
    ),
    rule("a float for a rule", "sin", lambda g, y, x: 1.0, ONE, "refused"),
    rule("None for a rule", "sin", lambda g, y, x: None, ONE, "refused"),
    rule("an op that there is not", "sin", lambda g, y, x: g * ops.cosine(x), ONE, "refused"),
    rule(
        "a cotangent for an index",
        "take",
        lambda g, y, x, k, *, axis: (zeros_like(x), zeros_like(k)),
        ([0.7, 0.2], [0, 1]),
        "refused",
    ),
    backward(
        "right for a few elements, opaque",
        "tanh",
        lambda g, y, x: g * (1 - y * y) * (1 if x.size < 8 else 1.01),
        (np.linspace(-1, 1, 9),),
    ),
    backward("sign where negative, opaque", "square", lambda g, y, x: 2 * g * np.abs(x)),
]

EVERY: dict[str, list[Fault]] = {
    **FAMILIES,
    "digits": DIGITS,
    "axes": AXES,
    "branches": BRANCHES,
    "places": PLACES,
    "forwards, less plainly": FORWARDS,
    "behaviour, less plainly": BEHAVIOUR,
}
FAULTS = [fault for family in EVERY.values() for fault in family]
