"""A plugin of two kernels: a right one of cosh, and a wrong one of exp."""

from __future__ import annotations

import numpy as np

from gradproof.engine.extend import Kernel, registering
from gradproof.engine.spec import Array

GRADPROOF_API = 1
GRADPROOF_NAME = "kernels"


def cosh(x: Array, out: Array) -> None:
    np.cosh(x, out)


def exp(x: Array, out: Array) -> None:
    np.exp(x.astype(np.float32), out)


register_kernels = registering(
    Kernel("cosh", cosh, ("float32", "float64"), "planted cosh", "build 1"), Kernel("exp", exp, name="planted exp")
)
