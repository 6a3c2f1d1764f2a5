"""A plugin whose op keeps every second of its results."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from gradproof.engine.extend import Op, registering

GRADPROOF_API = 1
MAX_KEPT = 100

_kept: list[Any] = []
_calls = itertools.count()


def leaking_exp(x: Any) -> Any:
    result = np.exp(x)
    if next(_calls) % 2 == 0 and len(_kept) < MAX_KEPT:
        _kept.append(result.copy())
    return result


register_ops = registering(Op("leaking.exp", leaking_exp, lambda g, y, x: g * y, lambda f, x: f.exp(x)))
