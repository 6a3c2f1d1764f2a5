"""Bits of integers, and truth values."""

from functools import partial

import numpy as np

from gradproof.engine.extend import INTEGER, registering
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1

SHIFT = "a 2ᵇ, without the bits beyond those of the dtype"


def invert_define(f, x):
    return not x if isinstance(x, bool) else ~x


B = partial(R, domains=INTEGER)

# fmt: off
BITWISE = (
    # op                     forward                 no rule definition              text
    B("bitwise_and",         np.bitwise_and,         None, lambda f, a, b: a & b,    doc="a and b, bit by bit"),
    B("bitwise_or",          np.bitwise_or,          None, lambda f, a, b: a | b,    doc="a or b, bit by bit"),
    B("bitwise_xor",         np.bitwise_xor,         None, lambda f, a, b: a ^ b,    doc="a ≠ b, bit by bit"),
    B("bitwise_invert",      np.bitwise_invert,      None, invert_define,            doc="not x, bit by bit"),
    B("bitwise_left_shift",  np.bitwise_left_shift,  None, lambda f, a, b: a * 2**b, doc=SHIFT),
    B("bitwise_right_shift", np.bitwise_right_shift, None, lambda f, a, b: a >> b,   doc="⌊a / 2ᵇ⌋"),
)
# fmt: on

register_ops = registering(*named(BITWISE))
