"""A plugin whose op has two results, and a rule."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from gradproof.engine.extend import Inferred, Op, Spec, case, ops, registering

GRADPROOF_API = 1
GRADPROOF_NAME = "parts"


def infer(x: Spec, *, sections: Any) -> Inferred:
    sizes = (sections,) * (x.size // sections) if isinstance(sections, int) else tuple(sections)
    return Inferred(tuple(Spec((size,), x.dtype) for size in sizes), {"sections": sizes})


def define(part: int) -> Callable[..., Any]:
    return lambda f, i, x, *, sections: x[sum(sections[:part]) + i[0]]


SPLIT = Op(
    "parts.split",
    lambda x, *, sections: tuple(np.split(x, list(accumulate(sections))[:-1])),
    lambda g, y, x, *, sections: ops.concat(*g, axis=0),
    (define(0), define(1)),
    infer,
    cases=(case((4,), sections=2), case((3,), sections=(1, 2))),
    doc="a vector in two parts",
)

register_ops = registering(SPLIT)
