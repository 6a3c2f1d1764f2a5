"""Products over axes, for balls and floats alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradproof.engine.verify.arrays.scans import folded
from gradproof.engine.verify.readings.axes import Axis, axes_of, without


class Folds:
    """Functions composed of a reading's own products and moves."""

    as_number: Any
    moved: Any

    def product(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """The product over axes."""
        x = self.as_number(x)
        axes = axes_of(axis, x.ndim)
        rest = tuple(k for k in range(x.ndim) if k not in axes)
        shape = without(x.shape, axes, keepdims)
        count = int(np.prod([x.shape[k] for k in axes], dtype=int))
        if count == 0:
            return self.as_number(np.ones(shape))
        lines = x.moved(lambda a: np.transpose(a, (*axes, *rest)).reshape(count, *(a.shape[k] for k in rest)))
        whole = folded(lambda a, b: a * b, lambda a, start, stop: a[start:stop], lines, count)
        return whole.moved(lambda a: np.reshape(a, shape))

    def running_product(self, x: Any, axis: int) -> Any:
        """The cumulative product along an axis, by recursive doubling."""
        x = self.moved(np.moveaxis, self.as_number(x), source=axis, destination=0)
        step = 1
        while step < x.shape[0]:
            x = self.moved(lambda *parts: np.concatenate(parts), x[:step], x[step:] * x[:-step])
            step *= 2
        return self.moved(np.moveaxis, x, source=0, destination=axis)
