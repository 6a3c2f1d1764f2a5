"""The shipped ops at the ends of the range: wherever the truth is a number that the dtype has, the answer is that number.
The oracle is mpmath, with textbook derivatives that share nothing with the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench

from gradproof.engine.spec import Array

mp = mpmath.mp.clone() if hasattr(mpmath.mp, "clone") else mpmath.mp
DTYPES: dict[str, Any] = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
Slopes = Callable[..., tuple[Any, ...]]


def normal(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def share(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


SLOPES: dict[str, Slopes] = {
    "square": lambda x: (2 * x,),
    "reciprocal": lambda x: (-1 / x**2,),
    "sqrt": lambda x: (1 / (2 * mp.sqrt(x)),),
    "rsqrt": lambda x: (-1 / (2 * x * mp.sqrt(x)),),
    "exp": lambda x: (mp.exp(x),),
    "exp2": lambda x: (mp.exp(x * mp.log(2)) * mp.log(2),),
    "expm1": lambda x: (mp.exp(x),),
    "log": lambda x: (1 / x,),
    "log2": lambda x: (1 / (x * mp.log(2)),),
    "log10": lambda x: (1 / (x * mp.log(10)),),
    "log1p": lambda x: (1 / (1 + x),),
    "sin": lambda x: (mp.cos(x),),
    "cos": lambda x: (-mp.sin(x),),
    "tan": lambda x: (1 / mp.cos(x) ** 2,),
    "asin": lambda x: (1 / mp.sqrt((1 - x) * (1 + x)),),
    "acos": lambda x: (-1 / mp.sqrt((1 - x) * (1 + x)),),
    "atan": lambda x: (1 / (1 + x * x),),
    "sinh": lambda x: (mp.cosh(x),),
    "cosh": lambda x: (mp.sinh(x),),
    "tanh": lambda x: (1 / mp.cosh(x) ** 2,),
    "asinh": lambda x: (1 / mp.sqrt(1 + x * x),),
    "acosh": lambda x: (1 / mp.sqrt((x - 1) * (x + 1)),),
    "atanh": lambda x: (1 / ((1 - x) * (1 + x)),),
    "sigmoid": lambda x: (share(x) * share(-x),),
    "softplus": lambda x: (share(x),),
    "silu": lambda x: (share(x) * (1 + x * share(-x)),),
    "gelu": lambda x: (mp.erfc(-x / mp.sqrt(2)) / 2 + x * normal(x) if abs(x) < 1000 else mp.mpf(x > 0),),
    "erf": lambda x: (2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
    "erfc": lambda x: (-2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
    "multiply": lambda a, b: (b, a),
    "divide": lambda a, b: (1 / b, -a / b**2),
    "hypot": lambda a, b: (a / mp.hypot(a, b), b / mp.hypot(a, b)),
    "atan2": lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    "logaddexp": lambda a, b: (share(a - b), share(b - a)),
    "pow": lambda a, b: (b * a ** (b - 1), a**b * mp.log(a)),
}
DOMAINS: dict[str, Callable[..., bool]] = {
    **dict.fromkeys(("reciprocal",), lambda x: x != 0),
    **dict.fromkeys(("sqrt", "rsqrt", "log", "log2", "log10"), lambda x: x > 0),
    "log1p": lambda x: x > -1,
    **dict.fromkeys(("asin", "acos", "atanh"), lambda x: abs(x) < 1),
    "acosh": lambda x: x > 1,
    "divide": lambda a, b: b != 0,
    **dict.fromkeys(("hypot", "atan2"), lambda a, b: a != 0 or b != 0),
    "pow": lambda a, b: a > 0,
}
BY_VALUE = ("exp", "exp2", "expm1", "sinh", "cosh", "pow", "hypot")
"""Where their value is not there (it is beyond the range, or has lost its digits) neither is their slope."""


def magnitudes(dtype: Any, count: int) -> list[float]:
    """Numbers of ``dtype`` of all sizes, from the smallest to the largest there are, and of middle size."""
    info = ml_dtypes.finfo(dtype)
    low, high = np.log10(float(info.smallest_subnormal)), np.log10(float(info.max)) 
    spread = 10.0 ** np.linspace(low + 0.05, high - 0.01, count)
    found = np.array([*spread, 0.3, 0.999, 1.5, 6.0, 11.0, 40.0, 88.0]).astype(dtype)
    found = np.concatenate([found, [info.smallest_subnormal, info.max, info.smallest_normal]]).astype(dtype)
    return sorted({float(x) for x in found if np.isfinite(float(x))})


def points(op: str, dtype: Any) -> Array:
    """Rows of a cotangent and inputs."""
    inputs = len(REGISTRY.op(op).inputs)
    some = magnitudes(dtype, 7 if inputs > 1 else 16)
    signed = sorted({*some, *(-x for x in some)})
    few = [0.0, *(some if inputs > 1 else signed)] if inputs > 1 else [0.0, *signed]
    inside = DOMAINS.get(op, lambda *_: True)
    cotangents = [*magnitudes(dtype, 7)[::2], 1.0]
    rows = [(g, *xs) for g in cotangents for xs in np.stack(np.meshgrid(*[few] * inputs), -1).reshape(-1, inputs) if inside(*xs)]
    return np.array(rows, np.float64).astype(dtype)


def sweep(bench: Bench, op: str, dtype: Any) -> list[tuple[Any, ...]]:
    """What is off: input, row, number, truth, in units of the last place of the dtype."""
    rows = points(op, dtype)
    info = ml_dtypes.finfo(dtype)
    with np.errstate(all="ignore"):
        values = np.abs(REGISTRY.op(op).forward(*rows[:, 1:].T).astype(np.float64))
        has_value = (values >= float(info.smallest_normal)) & (values <= float(info.max)) | (op not in BY_VALUE)
        found = bench.apply(op, list(rows[:, 1:].T), seeds=[rows[:, 0]])
    off = []
    slopes: dict[Any, Any] = {}
    with mp.workprec(200):
        for j, row in enumerate(rows.astype(np.float64).tolist()):
            key = tuple(row[1:])
            if key not in slopes:
                size = 200 + int(2 * max([0.0, *(abs(np.log2(abs(x))) for x in key if x)]))
                with mp.workprec(size):
                    slopes[key] = SLOPES[op](*map(mp.mpf, key))
            for k, slope in enumerate(slopes[key]):
                truth = mp.mpf(row[0]) * slope
                if abs(truth) > float(info.max) or not has_value[j]:
                    continue
                got = float(found[k][j])
                unit = max(abs(truth) * float(info.eps), mp.mpf(float(info.smallest_subnormal)))
                error = abs(mp.mpf(got) - truth) / unit if np.isfinite(got) else mp.inf
                if error > 8:
                    off.append((k, row, got, float(truth), float(error)))
    return off
