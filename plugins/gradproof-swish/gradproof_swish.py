"""swish(x, beta) = x / (1 + exp(-beta x)): a plugin of a single op."""

from typing import Any

import numpy as np

from gradproof.engine.extend import Op, ops, registering

GRADPROOF_API = 1


def forward(x: Any, beta: Any) -> Any:
    """x / (1 + exp(-beta x)), without a warning where the exponential overflows, and the quotient is 0."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-beta * x))


def rule(g: Any, y: Any, x: Any, beta: Any) -> Any:
    """With s = sigmoid(beta x): s (1 + beta x (1 - s)) for x, and x² s (1 - s) for beta."""
    rising, falling = ops.sigmoid(beta * x), ops.sigmoid(-beta * x)
    return g * rising * (1 + beta * x * falling), g * x * x * rising * falling


SWISH = Op("swish.swish", forward, rule, lambda f, x, beta: x / (1 + f.exp(-beta * x)), doc="x sigmoid(beta x)")


register_ops = registering(SWISH)
