"""Plugin with a deliberate fault, for the demo and the tests: an op whose backward rule lacks a factor."""

import numpy as np

from gradproof.engine.extend import Op, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "planted"

CUBE = Op(
    "planted.cube",
    lambda x: np.multiply(np.multiply(x, x), x),
    lambda g, y, x: 2 * g * ops.square(x),  # wrong: the derivative is 3 g x²
    lambda f, x: x * x * x,
    doc="x³, with a wrong rule",
)


@hookimpl
def register_ops(register):
    """Register the op."""
    register(CUBE)
