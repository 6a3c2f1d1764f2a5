"""A sweep against mpmath: no `wrong` where it says right, no `verified` where it says wrong by more than the stated digits.

Points are drawn over the whole range of each dtype, and so are cotangents. ``CHECK_SWEEP`` sets how many; `make check`
draws twenty thousand.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from mpmath import mpf
from tests.conftest import REGISTRY
from tests.support.proof_sources import LocalProofs
from tests.support.sample_inputs import job_of
from tests.support.verdicts import finish

from gradproof.engine.engine import Engine
from gradproof.engine.verify.floats.ulps import NEAREST, close_enough, largest, needed_bits, spacing
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.testing import Trial

POINTS = int(os.environ.get("CHECK_SWEEP", "400"))
DTYPES = [np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)]
ENGINE = Engine(REGISTRY)
VERIFIER = Verifier(REGISTRY, LocalProofs(REGISTRY))
DIGITS = 400


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _phi(x: Any) -> Any:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


ONE: dict[str, Callable[[Any], Any]] = {
    "negative": lambda x: mpf(-1),
    "square": lambda x: 2 * x,
    "reciprocal": lambda x: -1 / x**2,
    "sqrt": lambda x: 1 / (2 * mpmath.sqrt(x)),
    "rsqrt": lambda x: -1 / (2 * x * mpmath.sqrt(x)),
    "abs": mpmath.sign,
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.ln(2) * mpf(2) ** x,
    "expm1": mpmath.exp,
    "log": lambda x: 1 / x,
    "log2": lambda x: 1 / (x * mpmath.ln(2)),
    "log10": lambda x: 1 / (x * mpmath.ln(10)),
    "log1p": lambda x: 1 / (1 + x),
    "sin": mpmath.cos,
    "cos": lambda x: -mpmath.sin(x),
    "sinh": mpmath.cosh,
    "cosh": mpmath.sinh,
    "tanh": lambda x: mpmath.sech(x) ** 2,
    "atan": lambda x: 1 / (1 + x * x),
    "asin": lambda x: 1 / mpmath.sqrt((1 - x) * (1 + x)),
    "acos": lambda x: -1 / mpmath.sqrt((1 - x) * (1 + x)),
    "asinh": lambda x: 1 / mpmath.sqrt(1 + x * x),
    "acosh": lambda x: 1 / mpmath.sqrt((x - 1) * (x + 1)),
    "atanh": lambda x: 1 / ((1 - x) * (1 + x)),
    "sigmoid": lambda x: _sigmoid(x) * _sigmoid(-x),
    "softplus": _sigmoid,
    "silu": lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x)),
    "gelu": lambda x: mpmath.ncdf(x) + x * _phi(x),
    "erf": lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x),
    "erfc": lambda x: -2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x),
}
TWO: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "multiply": lambda a, b: (b, a),
    "divide": lambda a, b: (1 / b, -a / b**2),
    "hypot": lambda a, b: (a / mpmath.hypot(a, b), b / mpmath.hypot(a, b)),
    "logaddexp": lambda a, b: (_sigmoid(a - b), _sigmoid(b - a)),
    "atan2": lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
}
BOUNDS = {
    "sqrt": (0.0, math.inf), "rsqrt": (0.0, math.inf), "log": (0.0, math.inf), "log2": (0.0, math.inf),
    "log10": (0.0, math.inf), "log1p": (-1.0, math.inf), "asin": (-1.0, 1.0), "acos": (-1.0, 1.0), "atanh": (-1.0, 1.0),
    "acosh": (1.0, math.inf), "sin": (-1e4, 1e4), "cos": (-1e4, 1e4), "abs": (0.0, math.inf), "reciprocal": (0.0, math.inf),
}  # fmt: skip


def drawn(random: Random, dtype: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """A number of any magnitude, or near 1; strictly between the bounds."""
    top, bottom = math.log2(largest(dtype)), math.log2(spacing(0.0, dtype))
    while True:
        kind = random.randrange(4)
        size = 2 ** random.uniform(bottom, top) if kind == 0 else 2 ** random.uniform(-8, 8) if kind < 3 else 1.0
        value = random.choice((-1, 1)) * size * random.uniform(0.5, 1)
        if kind == 3:
            value = random.choice((low, high, 1.0, -1.0)) * (1 + random.choice((-1, 1)) * 2 ** random.uniform(-20, -1))
        array = np.asarray(value).astype(dtype)
        if low < float(array) < high and math.isfinite(float(array)) and float(array) != 0:
            return array


def judged(point: Trial) -> dict[str, tuple[float, GradientVerdict]]:
    run = finish(ENGINE, job_of(point))
    verdicts = {}
    for verdict in VERIFIER.check(run, budget=60.0):
        number = run.plan.backward.raw[run.plan.lowered.values[verdict.name]]
        verdicts[verdict.name] = float(np.asarray(run.values[number])), verdict
    return verdicts


def compared(got: float, truth: Any, dtype: Any) -> tuple[bool, bool]:
    """True if a number is close, in units in the last place; and true if it has the stated digits."""
    if not math.isfinite(got):
        beyond = abs(truth) > mpf(largest(dtype)) * (1 - mpf(2) ** -12) and math.isinf(got) and (got > 0) == (truth > 0)
        return beyond, False
    nearest = min(abs(float(truth)), largest(dtype)) if abs(truth) > mpf("1e-400") else 0.0
    away, step = abs(mpf(got) - truth), mpf(spacing(nearest, dtype))
    digits = away <= NEAREST * step or away <= abs(truth) * mpf(2) ** -needed_bits(dtype)
    return bool(away <= close_enough(dtype) * step), bool(digits)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_words_agree_with_mpmath(dtype: Any) -> None:
    random = Random(f"{dtype} {POINTS}")
    words: Counter[SummaryWord] = Counter()
    names = [*ONE, *TWO]
    with mpmath.workdps(DIGITS):
        for _ in range(POINTS // len(DTYPES)):
            name = random.choice(names)
            low, high = BOUNDS.get(name, (-math.inf, math.inf))
            arrays = tuple(drawn(random, dtype, low, high) for _ in range(1 if name in ONE else 2))
            g = drawn(random, dtype)
            point = Trial(name, arrays, {}, (g,))
            exact = [mpf(float(x)) for x in arrays]
            if any(abs(x) > 1e6 for x in exact) and name not in PLAIN:
                continue  # an exponential of that is beyond all floats, and beyond the oracle
            slopes = (ONE[name](*exact),) if name in ONE else TWO[name](*exact)
            for k, (got, verdict) in enumerate(judged(point).values()):
                truth = mpf(float(g)) * slopes[k]
                close, digits = compared(got, truth, dtype)
                words[verdict.summary] += 1
                if verdict.summary is SummaryWord.WRONG:
                    assert not close, f"{point}: {got} is right, and {verdict.reason}"
                if verdict.summary is SummaryWord.VERIFIED:
                    assert digits, f"{point}: {got} is verified, the truth is {mpmath.nstr(truth, 17)}"
    assert words[SummaryWord.VERIFIED] > sum(words.values()) / 2, words


PLAIN = {
    "negative", "square", "reciprocal", "sqrt", "rsqrt", "abs", "log", "log2", "log10", "log1p", "atan", "asinh", "acosh",
    "multiply", "divide", "hypot", "atan2",
}  # fmt: skip
