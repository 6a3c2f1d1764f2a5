"""Ops with attributes, whose rules read them rightly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import NONZERO, POSITIVE, Exact, Inferred, Op, Spec, case, ops


def op_of(forward: Any, rule: Any, define: Any, **more: Any) -> Op:
    """The op ``planted.op``."""
    return Op("planted.op", forward, rule, define, **more)


def same(x: Spec, **attributes: Any) -> Inferred:
    """The result is as the input."""
    return Inferred((x,), attributes)


def line(slope: Callable[[Any], Any], s: Any, **more: Any) -> Op:
    """s sin x, with another function of s as its rule."""
    return op_of(
        lambda x, *, s=s: s * np.sin(x),
        lambda g, y, x, *, s: g * slope(s) * ops.cos(x),
        lambda f, x, *, s=s: s * f.sin(x),
        **more,
    )


def power(factor: Callable[[Any], Any], **more: Any) -> Op:
    """x^n, with another factor as its rule."""
    return op_of(
        lambda x, *, n=3: x ** float(n),
        lambda g, y, x, *, n: factor(n) * g * ops.pow(x, n - 1),
        lambda f, x, *, n=3: f.power(x, f.number(n)),
        **more,
    )


def polynomial(derivative: Callable[[Any, Any], Any], c: Any) -> Op:
    """c[0] x + c[1] x^2, with another derivative."""
    return op_of(
        lambda x, *, c=c: c[0] * x + c[1] * x * x,
        lambda g, y, x, *, c: g * derivative(c, x),
        lambda f, x, *, c=c: c[0] * x + c[1] * x * x,
    )


def leaky(slope: Callable[[Any], Any]) -> Op:
    """Leaky ReLU, with another slope in its rule."""
    return op_of(
        lambda x, *, s=0.5: np.where(x < 0, s * x, x).astype(x.dtype),
        lambda g, y, x, *, s: ops.where(x < 0, slope(s) * g, g),
        lambda f, x, *, s=0.5: f.where(f.less(x, 0), s * x, x),
    )


def rolled(shift: Callable[[int], int]) -> Op:
    """A roll by k, whose rule rolls by ``shift(k)``."""

    def rule(g: Any, y: Any, x: Any, *, k: int) -> Any:
        n = x.shape[0]
        k = shift(k) % n
        parts = [ops.slice(g, start=(k,), stop=(n,)), ops.slice(g, start=(0,), stop=(k,))]
        return ops.concat(*parts, axis=0) if k else 1 * g

    return op_of(
        lambda x, *, k: np.roll(x, k),
        rule,
        lambda f, i, x, *, k: x[(i[0] - k) % x.shape[0]],
        infer=lambda x, *, k=1: same(x, k=k),
        cases=(case((3,)),),
    )


def flagged(derivative: Callable[[bool, Any], Any]) -> Op:
    """sin x or -sin x, with another derivative."""
    return op_of(
        lambda x, *, turned=False: -np.sin(x) if turned else np.sin(x),
        lambda g, y, x, *, turned: g * derivative(turned, x),
        lambda f, x, *, turned=False: -f.sin(x) if turned else f.sin(x),
    )


def worded(derivative: Callable[[str, Any], Any]) -> Op:
    """sin x or cos x, with another derivative."""
    return op_of(
        lambda x, *, mode="sine": np.cos(x) if mode == "cosine" else np.sin(x),
        lambda g, y, x, *, mode: g * derivative(mode, x),
        lambda f, x, *, mode="sine": f.cos(x) if mode == "cosine" else f.sin(x),
    )


def huber(x: Any, *, d: Any = 0.5) -> Any:
    return np.where(abs(x) < d, x * x / 2, d * (abs(x) - d / 2)).astype(x.dtype)


def softshrink(x: Any, *, at: Any = 0.5) -> Any:
    return np.where(x > at, x - at, np.where(x < -at, x + at, 0)).astype(x.dtype)


RIGHT: dict[str, Op] = {
    "Huber's loss": op_of(
        huber,
        lambda g, y, x, *, d: ops.where(ops.abs(x) < d, g * x, d * g * ops.sign(x)),
        lambda f, x, *, d=0.5: f.where(f.less(f.modulus(x), d), x * x / 2, d * (f.modulus(x) - d / 2)),
    ),
    "a radius, squared": op_of(
        lambda x, *, d=0.1: np.where(x * x < d * d, x, 0).astype(x.dtype),
        lambda g, y, x, *, d: ops.where(ops.abs(x) < d, g, 0),
        lambda f, x, *, d=0.1: f.where(f.less(x * x, d * d), x, 0),
    ),
    "a threshold": op_of(
        softshrink,
        lambda g, y, x, *, at: ops.where(ops.abs(x) > at, g, 0),
        lambda f, x, *, at=0.5: f.where(f.less(at, x), x - at, f.where(f.less(x, -at), x + at, 0)),
    ),
    "a product of two": op_of(
        lambda x, *, a=0.1, b=0.3: a * b * x * x,
        lambda g, y, x, *, a, b: 2 * a * b * g * x,
        lambda f, x, *, a=0.1, b=0.3: a * b * x * x,
    ),
    "a sum of two": op_of(
        lambda x, *, a=0.1, b=0.2: (a + b) * x * x,
        lambda g, y, x, *, a, b: 2 * (a + b) * g * x,
        lambda f, x, *, a=0.1, b=0.2: (a + b) * x * x,
    ),
    "one over": op_of(
        lambda x, *, w=3.0: np.tanh(x / w),
        lambda g, y, x, *, w: g * (1 - y * y) * (1 / w),
        lambda f, x, *, w=3.0: f.tanh(x / w),
    ),
    "one over an integer": op_of(
        lambda x, *, n=3: x * x / n, lambda g, y, x, *, n: 2 * g * x * (1 / n), lambda f, x, *, n=3: x * x / n
    ),
    "a width, squared": op_of(
        lambda x, *, w=0.1: np.exp(-x * x / (2 * w**2)),
        lambda g, y, x, *, w: -g * y * x / w**2,
        lambda f, x, *, w=0.1: f.exp(-x * x / (2 * w**2)),
    ),
    "an exponent of 0.1": op_of(
        lambda x, *, p=0.1: x**p,
        lambda g, y, x, *, p: p * g * ops.pow(x, p - 1),
        lambda f, x, *, p=0.1: f.power(x, p),
        domains=POSITIVE,
    ),
    "a base of logarithms": op_of(
        lambda x, *, b=10.0: np.log(x) / np.log(b),
        lambda g, y, x, *, b: g / (x * Exact(lambda f: f.log(f.number(b)))),
        lambda f, x, *, b=10.0: f.log(x) / f.log(b),
        domains=POSITIVE,
    ),
    "the root of a share": op_of(
        lambda x, *, p=0.5: x * np.sqrt(1 - p),
        lambda g, y, x, *, p: g * Exact(lambda f: f.sqrt(f.number(1 - p))),
        lambda f, x, *, p=0.5: x * f.sqrt(f.number(1 - p)),
    ),
    "an integer and one": op_of(
        lambda x, *, n=2: x * x / (n + 1), lambda g, y, x, *, n: g * x * (2 / (1 + n)), lambda f, x, *, n=2: x * x / (n + 1)
    ),
    "an integer without its sign": op_of(
        lambda x, *, n=-5: x * x * abs(n) / 7, lambda g, y, x, *, n: 2 * g * x * (abs(n) / 7),
        lambda f, x, *, n=-5: abs(n) * x * x / 7
    ),
    "an integer, halved": op_of(
        lambda x, *, n=5: x * x * (n // 2) / 7, lambda g, y, x, *, n: 2 * g * x * (n // 2 / 7),
        lambda f, x, *, n=5: x * x * (n // 2) / 7
    ),
    "a fraction and a float": op_of(
        lambda x, *, d=0.3, s=0.7: (1 - d * d) * s * x * x,
        lambda g, y, x, *, d, s: 2 * g * x * ((1 - d * d) * s),
        lambda f, x, *, d=0.3, s=0.7: x * x * s - d * d * s * x * x,
    ),
    "a sum of a tuple": op_of(
        lambda x, *, c=(0.1, 0.2, 0.3): sum(c) * x * x,
        lambda g, y, x, *, c: 2 * g * x * sum(c),
        lambda f, x, *, c=(0.1, 0.2, 0.3): f.total(factor * x * x for factor in c),
    ),
    "a whole part": op_of(
        lambda x, *, d=2.6: round(d) * x * x / 7, lambda g, y, x, *, d: 2 * g * x * (round(d) / 7),
        lambda f, x, *, d=2.6: round(d) * x * x / 7
    ),
    "no bound": op_of(
        lambda x, *, d=math.inf: np.minimum(x, d),
        lambda g, y, x, *, d: ops.where(x < d, g, 0),
        lambda f, x, *, d=math.inf: f.where(f.less(x, d), x, d),
    ),
    "huge": line(lambda s: s, 1e300),
    "an exponent": power(lambda n: n, domains=NONZERO),
    "a slope": leaky(lambda s: s),
    "a flag": flagged(lambda turned, x: -ops.cos(x) if turned else ops.cos(x)),
    "a text": worded(lambda mode, x: -ops.sin(x) if mode == "cosine" else ops.cos(x)),
    "a text that nobody else may say": op_of(
        lambda x, *, mode="sine": {"sine": np.sin}[mode](x),
        lambda g, y, x, *, mode: g * ops.cos(x),
        lambda f, x, *, mode="sine": f.sin(x),
    ),
    "a tuple": polynomial(lambda c, x: c[0] + 2 * c[1] * x, (0.1, 0.2)),
    "a shift": rolled(lambda k: k),
    "factorials": op_of(
        lambda x, *, n=3: x * float(math.factorial(n)),
        lambda g, y, x, *, n: g * math.factorial(n),
        lambda f, x, *, n=3: x * math.factorial(n),
    ),
    "two bounds": op_of(
        lambda x, *, low=-1.0, high=1.0: np.clip(x, low, high),
        lambda g, y, x, *, low, high: ops.where(ops.logical_and(low < x, x < high), g, 0),
        lambda f, x, *, low=-1.0, high=1.0: f.where(f.less(x, low), low, f.where(f.less(high, x), high, x)),
    ),
}  # fmt: skip
