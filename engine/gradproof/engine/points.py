"""Points where functions of floats are hard: all magnitudes, near zeros and poles, ends of domains, denormal numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from gradproof.engine.spec import Array

COUNT = 4003
"""Points for each function; odd, so that vector loops have a tail."""
SPECIAL = (
    0.0,
    -0.0,
    0.5,
    1.0,
    -1.0,
    2.0,
    -1.5,
    -2.0,
    3.0,
    1e300,
    -1e300,
    5e-324,
    -5e-324,
    2.3e-308,
    1.7976931348623157e308,
)

Draw: TypeAlias = Callable[[np.random.Generator, int], Array]


def between(low: float, high: float) -> Draw:
    """Uniform numbers of an interval."""
    return lambda rng, n: rng.uniform(low, high, n)


def sized(low: float, high: float, sign: int = 0) -> Draw:
    """Numbers with log2 |x| uniform in an interval, of either sign unless ``sign`` is 1 or -1."""
    return lambda rng, n: np.exp2(rng.uniform(low, high, n)) * (sign or rng.choice([-1, 1], n))


def near(*centres: float, least: float = -52, most: float = -2, sign: int = 0) -> Draw:
    """Numbers at distances of all magnitudes from the centres."""
    return lambda rng, n: rng.choice(centres, n) + sized(least, most, sign)(rng, n)


def turns(most: float) -> Draw:
    """Floats next to multiples of π / 2."""
    return lambda rng, n: np.rint(rng.uniform(-most, most, n)) * (np.pi / 2)


def whole(low: int, high: int) -> Draw:
    """Integers as floats."""
    return lambda rng, n: rng.integers(low, high, n).astype(np.float64)


ALL = sized(-1074, 1023.9)
TRIGONOMETRIC = (between(-4, 4), between(-1e4, 1e4), sized(-60, 60), turns(1e3), turns(1e9), turns(2.0**50), ALL)
UNIT_INTERVAL = (between(-1, 1), near(1, -1, least=-53), sized(-1074, 0))
HYPERBOLIC = (between(-711, 711), between(-3, 3), sized(-1074, 9.4), sized(-30, 5))
ORDERS = (whole(-3, 4), whole(0, 3), whole(0, 9), whole(0, 3))
SHAPES = (between(0, 5), between(0, 100), sized(-10, 10, 1), sized(-3, 3, 1))
PARTS = (between(0, 5), between(0, 100), sized(-30, 10, 1), sized(-60, 6, 1))

DRAWS: dict[str, tuple[tuple[Draw, ...], ...]] = {
    "exp": ((between(-746, 710), between(-1, 1), sized(-1074, 9.4), between(-746, -700), between(700, 709.8)),),
    "expm1": ((between(-50, 709.7), between(-1, 1), sized(-1074, 9), sized(-60, 4)),),
    "log": ((sized(-1074, 1023.9, 1), near(1), between(0, 2), between(0.5, 1.5)),),
    "log1p": ((between(-1, 2), sized(-1074, 1023.9, 1), sized(-60, -1), near(-1, least=-53, sign=1)),),
    "sqrt": ((sized(-1074, 1023.9, 1), between(0, 4), near(1, 4)),),
    "sin": (TRIGONOMETRIC,),
    "cos": (TRIGONOMETRIC,),
    "sinc": (TRIGONOMETRIC,),
    "tan": (TRIGONOMETRIC,),
    "asin": (UNIT_INTERVAL,),
    "acos": (UNIT_INTERVAL,),
    "atan": ((between(-5, 5), ALL, sized(-30, 30)),),
    "atan2": ((between(-3, 3), ALL, sized(-30, 30), ALL), (between(-3, 3), ALL, sized(-30, 30), between(-1, 1))),
    "sinh": (HYPERBOLIC,),
    "cosh": (HYPERBOLIC,),
    "tanh": (HYPERBOLIC,),
    "asinh": ((between(-3, 3), ALL, sized(-30, 30)),),
    "acosh": ((between(1, 5), near(1, sign=1), sized(0, 1023.9, 1)),),
    "atanh": (UNIT_INTERVAL,),
    "erf": ((between(-6, 6), between(-1.5, 1.5), sized(-1074, 3)),),
    "erfc": (
        (between(-6, 27.3), between(-1.5, 1.5), between(5, 27), between(26, 27.3), sized(-1074, 3), near(-6, 0, 0.5, 1)),
    ),
    "gamma": ((between(-175, 172), between(-5, 5), between(0, 171.7), sized(-1022, 7), near(*range(-20, 4), least=-30)),),
    "lgamma": ((between(0, 10), between(0, 200), sized(-1074, 1014, 1), near(1, 2), near(1, 2, least=-12, most=0)),),
    "digamma": ((between(0, 10), between(0, 200), sized(-1022, 1023.9, 1), near(1.4616321449683623, 1, 2)),),
    "polygamma": (
        (whole(1, 4), whole(1, 20), whole(1, 8)),
        (between(0, 10), between(0, 200), sized(-30, 1023.9, 1), sized(-30, 12, 1)),
    ),
    "zeta": (
        (between(1, 6), near(1, sign=1), whole(2, 20), between(1, 40)),
        (between(0, 10), between(0, 200), sized(-30, 60, 1), sized(-3, 12, 1)),
    ),
    "gammainc": (SHAPES, PARTS),
    "gammaincc": (SHAPES, PARTS),
    "erfinv": (UNIT_INTERVAL,),
    "erfcinv": ((between(0, 2), near(1), near(2, least=-52, sign=-1), sized(-1074, 0, 1)),),
    "besselj": (ORDERS, (between(-20, 20), sized(-3, 6.6), between(-100, 100), between(-5, 5))),
    "bessely": (ORDERS, (between(0, 20), sized(-60, 6.6, 1), between(0, 100), between(0, 2))),
    "besseli": (ORDERS, (between(-20, 20), sized(-60, 6.6), between(-100, 100), sized(-1000, 0))),
    "besselk": (ORDERS, (between(0, 20), sized(-60, 9.5, 1), between(0, 700), sized(-1000, 0, 1))),
    "power": (
        (between(0, 4), sized(-1074, 1023.9, 1), sized(-300, 300, 1), near(1), between(-50, 50), sized(-30, 30)),
        (between(-20, 20), sized(-12, 0), between(-4, 4), sized(-20, 40), whole(-30, 30), whole(-3, 4)),
    ),
}


def of(name: str) -> tuple[Array, ...]:
    """The points of a function: an array for each of its arguments, the same at each call."""
    rng = np.random.default_rng(len(name) * 1000 + sum(map(ord, name)))
    arguments = []
    for k, draws in enumerate(DRAWS[name]):
        each = (COUNT - len(SPECIAL)) // len(draws)
        parts = [draw(rng, each) for draw in draws[1:]]
        parts.insert(0, draws[0](rng, COUNT - len(SPECIAL) - each * len(parts)))
        arguments.append(np.concatenate([*parts, SPECIAL if k == 0 else rng.permutation(SPECIAL)]))
    return tuple(arguments)
