"""Families of ops, by what complex numbers are to their rules; a letter for each, so that an op fits a line of a table."""

from functools import partial
from typing import Final

from gradproof.engine.extend import DIRECT, HOLOMORPHIC, Op

R: Final = Op
"""Real: no gradient flows through complex numbers."""

H = partial(Op, complex=HOLOMORPHIC)
"""Holomorphic: complex differentiable, with the rule of the reals, g f'(x), traced between two conjugations."""

D = partial(Op, complex=DIRECT)
"""Direct: the rule is written for complex numbers, from dL/dRe + i dL/dIm of the output to that of each input."""
