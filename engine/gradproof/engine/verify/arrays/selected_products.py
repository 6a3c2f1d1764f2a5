"""Rounding of selected elements of a matrix product: the usual orders of all elements would cost the product many times."""

from __future__ import annotations

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray
from gradproof.engine.verify.arrays.sums import MARGIN, partial_sum_sizes

ROOM = 1 << 22
"""Largest number of products in memory at once."""


def selected_products(a: BallArray, b: BallArray, unit: float, selected: Array, *, running: bool = True) -> BallArray:
    """The matrix product at the ``selected`` elements, a mask of the shape of the result, as an evaluation gives it with
    this unit roundoff, in any order or, if ``running``, in a usual order; nan elsewhere. ``a`` and ``b`` are stacks of
    matrices or vectors, as for ``np.matmul``."""
    if a.ndim == 1:
        return selected_products(a[None], b, unit, selected[..., None, :], running=running)[..., 0, :]
    if b.ndim == 1:
        return selected_products(a, b[:, None], unit, selected[..., None], running=running)[..., 0]
    shape, terms = selected.shape, a.shape[-1]
    mid, rad = np.full(shape, np.nan), np.full(shape, np.nan)
    where = np.nonzero(selected)
    step = max(1, ROOM // max(terms, 1))
    for start in range(0, len(where[0]), step):
        at = tuple(k[start : start + step] for k in where)
        x, rx = (_lines(array, shape[:-2], at, -1) for array in (a.mid, a.radius()))
        y, ry = (_lines(array, shape[:-2], at, -2) for array in (b.mid, b.radius()))
        products = x * y
        sizes = np.abs(products).sum(axis=0)
        propagated = (np.abs(x) * ry + rx * (np.abs(y) + ry)).sum(axis=0)
        mid[at] = products.sum(axis=0)
        if running:
            rad[at] = propagated + sizes * (unit + terms * UNIT) + MARGIN * unit * (partial_sum_sizes(products) + sizes)
        else:
            rad[at] = propagated + sizes * (terms * (unit + UNIT))
    return BallArray(mid, rad, max(a.unit, b.unit))


def _lines(x: Array, batch: tuple[int, ...], at: tuple[Array, ...], axis: int) -> Array:
    """The rows (``axis`` -1) or columns that form the selected elements, as columns."""
    stack = np.broadcast_to(x, (*batch, *x.shape[-2:]))
    if axis == -1:
        return np.asarray(stack[(*at[:-2], at[-2])]).T
    return np.asarray(np.moveaxis(stack, -1, -2)[(*at[:-2], at[-1])]).T
