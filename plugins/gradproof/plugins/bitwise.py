"""Bits of integers, and truth values."""

import numpy as np

from gradproof.engine.extend import INTEGER, registering
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def invert_define(f, x):
    return not x if isinstance(x, bool) else ~x


# fmt: off
BITWISE = (
    # op                      forward                 no rule definition                  domain, doc
    R("bitwise_and",          np.bitwise_and,         None, lambda f, a, b: a & b,        domains=INTEGER, doc="a and b, bit by bit"),
    R("bitwise_or",           np.bitwise_or,          None, lambda f, a, b: a | b,        domains=INTEGER, doc="a or b, bit by bit"),
    R("bitwise_xor",          np.bitwise_xor,         None, lambda f, a, b: a ^ b,        domains=INTEGER, doc="a or b but not both, bit by bit"),
    R("bitwise_invert",       np.bitwise_invert,      None, invert_define,                domains=INTEGER, doc="not x, bit by bit"),
    R("bitwise_left_shift",   np.bitwise_left_shift,  None, lambda f, a, b: a * 2**b,     domains=INTEGER, doc="a 2ᵇ, without the bits that are beyond"),
    R("bitwise_right_shift",  np.bitwise_right_shift, None, lambda f, a, b: a >> b,       domains=INTEGER, doc="⌊a / 2ᵇ⌋"),
)
# fmt: on

register_ops = registering(*named(BITWISE))
