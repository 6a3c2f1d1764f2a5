"""Activations of neural networks, and the error function."""

import numpy as np
from scipy import special

from gradproof.engine.extend import Exact, Kink, Op, hookimpl, ops
from gradproof.plugins.dtypes import narrow

GRADPROOF_API = 1

TWO_OVER_SQRT_PI = Exact(lambda f: 2 / f.sqrt(f.pi))
SQRT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
NORMAL_PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))


def gelu_rule(g, y, x):
    """Φ(x) + x φ(x), with Φ from erfc, which keeps its digits in the left tail."""
    return g * (ops.erfc(-x * SQRT_HALF) / 2 + x * ops.exp(-x * x / 2) * NORMAL_PEAK)


ACTIVATIONS = (
    Op(
        "sigmoid",
        narrow(special.expit),
        lambda g, y, x: g * y * ops.sigmoid(-x),
        lambda f, x: 1 / (1 + f.exp(-x)),
        doc="1 / (1 + e⁻ˣ)",
    ),
    Op(
        "softplus",
        narrow(lambda x: np.logaddexp(x, 0)),
        lambda g, y, x: g * ops.sigmoid(x),
        lambda f, x: f.log(1 + f.exp(x)),
        doc="ln(1 + eˣ)",
    ),
    Op(
        "silu",
        narrow(lambda x: x * special.expit(x)),
        lambda g, y, x: g * ops.sigmoid(x) * (1 + x * ops.sigmoid(-x)),
        lambda f, x: x / (1 + f.exp(-x)),
        doc="x sigmoid(x)",
    ),
    Op(
        "relu",
        lambda x: np.maximum(x, 0),
        lambda g, y, x: ops.where(x <= 0, 0, g),
        lambda f, x: f.where(f.less(0, x), x, 0 * x),
        ties="0 at 0",
        kink=Kink.SMALLEST,
        doc="x where x > 0, else 0",
    ),
    Op(
        "gelu",
        narrow(lambda x: x * special.ndtr(x)),
        gelu_rule,
        lambda f, x: x * (1 + f.erf(x / f.sqrt(f.number(2)))) / 2,
        doc="x Φ(x), exact",
    ),
    Op(
        "erf",
        narrow(special.erf),
        lambda g, y, x: g * TWO_OVER_SQRT_PI * ops.exp(-x * x),
        lambda f, x: f.erf(x),
        doc="error function",
    ),
    Op(
        "erfc",
        narrow(special.erfc),
        lambda g, y, x: -g * TWO_OVER_SQRT_PI * ops.exp(-x * x),
        lambda f, x: f.erfc(x),
        doc="1 - erf x",
    ),
)


@hookimpl
def register_ops(register):
    for op in ACTIVATIONS:
        register(op)
