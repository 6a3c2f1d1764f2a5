"""Sums of arrays of balls.

A true sum has a nearly correctly rounded midpoint, so that it keeps its digits where terms cancel. Along columns the error
of each addition (TwoSum: D. Knuth, The Art of Computer Programming 2, section 4.2.2) is added up beside the sum (Sum2: T.
Ogita, S. M. Rump and S. Oishi, Accurate sum and dot product, SIAM J. Sci. Comput. 26, 2005): with d additions of a term the
sum is within u |sum| + d² u² Σ|x|. In lines the high parts of all terms are cut at the same place, below which float64 adds
them exactly, in any order (ExtractVector: S. M. Rump, T. Ogita and S. Oishi, Accurate floating-point summation, SIAM J.
Sci. Comput. 31, 2008), and the rest is small.

A sum that an evaluation may give is charged the rounding of its additions instead: at most (n - 1) u Σ|x| in any order
(Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), and u Σ |partial sums| in a known order.
"""

from __future__ import annotations

import numpy as np

from gradproof.engine.cancellation import look
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray, inflated
from gradproof.engine.verify.readings.axes import without

SMALLEST = 2.0**-1074  # float64
WIDE = 8192
"""Numbers that are added at once, and stay in the cache of a core."""
PIECE = 1024
"""Numbers of a line whose high parts are cut at the same place."""
MARGIN = 1.5
"""Factor by which the rounding of the order taken may exceed that of the orders that are examined."""
LANES = (1, 2, 4, 8, 16, 32)
BLOCK = 128
"""Usual orders: one number after the other, in lanes of a vector unit, and NumPy's blocks, which are added pairwise."""
BROAD = 256
"""Columns above which rows are added by a loop."""


def total_of(
    x: BallArray, axes: tuple[int, ...], keepdims: bool, unit: float | None = None, *, running: bool = False
) -> BallArray:
    """The sum over axes.

    Args:
        unit: None for the true sum, else unit roundoff of an evaluation that adds in any order.
        running: the evaluation adds in a usual order.
    """
    look()
    shape = without(x.shape, axes, keepdims)
    terms = int(np.prod([x.shape[k] for k in axes], dtype=int))
    if terms == 0 or x.size == 0:
        return BallArray(np.zeros(shape), None, x.unit)
    if terms == 1:
        return x.moved(lambda a: np.reshape(a, shape))
    propagated = None if x.rad is None else _plain(x.radius(), axes) * (1 + 2 * terms * UNIT)
    with np.errstate(all="ignore"):
        if unit is None:
            mid, rad = _accurate(x, axes)
        else:
            mid = _plain(x.mid, axes)
            rad = _charged(x, axes, terms, unit, running=running)
        if propagated is not None:
            rad = propagated if rad is None else rad + propagated
        if rad is not None:
            rad = np.where(rad == 0, 0.0, inflated(rad))
            rad = np.where(np.isnan(mid), np.nan, rad).reshape(shape)
    return BallArray(mid.reshape(shape), rad, x.unit)


def columns(array: Array, axes: tuple[int, ...]) -> Array:
    """The array with two axes, the reduced elements along the first. A view where possible."""
    rest = tuple(k for k in range(array.ndim) if k not in axes)
    n = int(np.prod([array.shape[k] for k in axes], dtype=int))
    return np.transpose(array, (*axes, *rest)).reshape(n, array.size // max(n, 1))


def _plain(array: Array, axes: tuple[int, ...]) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.add.reduce(array, axis=axes)).reshape(-1)


# true sums


def _accurate(x: BallArray, axes: tuple[int, ...]) -> tuple[Array, Array | None]:
    """Midpoints and radii of the sums of the midpoints; no radii where all sums are exact."""
    if x.rad is None and _whole(x.mid):
        size = _plain(np.abs(x.mid), axes)
        if (size <= 2.0**53).all():
            return _plain(x.mid, axes), None
    flat = columns(x.mid, axes)
    n, width = flat.shape
    if n > 1 and flat.strides[0] == flat.itemsize and (width == 1 or flat.strides[1] >= n * flat.itemsize) and n >= 8:
        return line_sums(flat.T)
    return column_sums(flat)


def line_sums(x: Array) -> tuple[Array, Array]:
    """Midpoints and radii of the sums of contiguous lines of exact numbers."""
    width, n = x.shape
    pieces = -(-n // PIECE)
    length = -(-n // pieces)
    if pieces == 1:
        rows = x
    elif n == pieces * length and x.flags.c_contiguous:
        rows = x.reshape(-1, length)
    else:
        padded = np.zeros((width, pieces * length))
        padded[:, :n] = x
        rows = padded.reshape(-1, length)
    high, low, size = _cut(rows)
    if pieces > 1:
        parts = (a.reshape(width, pieces).T for a in (high, low, size))
        high, low, size = _in_pairs(*parts)
    whole = high + low
    return whole, np.abs(whole) * UNIT + size * 2.0**-80 + np.minimum(size, SMALLEST)


def _cut(rows: Array) -> tuple[Array, Array, Array]:
    """The exact sums of the high parts of rows of at most `PIECE` numbers, the sums of the rest, and Σ|x|. With Σ|x| < 2^e
    high parts are multiples of 2^(e-51), and the rest is at most 2^(e-52) each, so that n² 2^(e-105) is lost of its sum."""
    count, n = rows.shape
    high, low, size = np.empty(count), np.empty(count), np.empty(count)
    ones = np.ones(n)
    step = max(WIDE // n, 1)
    room = np.empty((step, n))
    for start in range(0, count, step):
        x = rows[start : start + step]
        some = slice(start, start + len(x))
        part = room[: len(x)]
        np.abs(x, out=part)
        top = np.matmul(part, ones, out=size[some])
        top *= 1 + 2.0**-40
        sigma = np.ldexp(3.0, np.frexp(top)[1])[:, None]
        np.add(x, sigma, out=part)
        part -= sigma
        np.matmul(part, ones, out=high[some])
        np.subtract(x, part, out=part)
        np.matmul(part, ones, out=low[some])
    return high, low, size


def _whole(array: Array) -> bool:
    """True if all numbers are integers."""
    first = array.reshape(-1)[:32] if array.flags.c_contiguous else array[(slice(0, 4),) * array.ndim]
    return bool((first == np.rint(first)).all() and (array == np.rint(array)).all())


def column_sums(x: Array) -> tuple[Array, Array]:
    """Midpoints and radii of the sums of columns of exact numbers."""
    n, width = x.shape
    mid, rad = np.empty(width), np.empty(width)
    step = max(WIDE if x.strides[1] == x.itemsize else 4 * WIDE // n, 1)
    for start in range(0, width, step):
        some = slice(start, start + step)
        part = x[:, some]
        high, low, size, depth = _with_errors(part if part.shape[1] == WIDE else np.ascontiguousarray(part))
        whole = high + low
        mid[some] = whole
        rad[some] = np.abs(whole) * UNIT + size * (1.01 * (depth * UNIT) ** 2) + np.minimum(size, SMALLEST)
    return mid, rad


def _with_errors(x: Array) -> tuple[Array, Array, Array, int]:
    """The rounded sum of each column, the sum of the errors of its additions, the sum of magnitudes, and the largest number
    of additions of a term."""
    n, width = x.shape
    together = max(WIDE // max(width, 1), 1)
    steps, left = divmod(n, together)
    if together > 1 and steps > 2 and x.flags.c_contiguous:
        rows = x[: steps * together].reshape(steps, together * width)
    else:
        rows, together, steps, left = x, 1, n, 0
    if steps <= 2 or (together == 1 and width < 256):  # a few rows, or short ones: in pairs at once
        return *_in_pairs(x, np.zeros_like(x), np.abs(x)), 2 * (int(n).bit_length() + 1)
    high: Array = rows[0].copy()
    low: Array = np.zeros(rows.shape[1])
    size: Array = np.abs(rows[0])
    total, entered = np.empty_like(high), np.empty_like(high)
    error = np.empty_like(high)
    for row in rows[1:]:
        np.add(high, row, out=total)
        np.subtract(total, high, out=entered)  # the part of the row that was added
        np.subtract(total, entered, out=error)
        np.subtract(high, error, out=error)
        low += error
        np.subtract(row, entered, out=error)
        low += error
        np.abs(row, out=error)
        size += error
        high, total = total, high
    high, low, size = (a.reshape(together, width) for a in (high, low, size))
    if left:
        rest = x[steps * together :]
        high, low = np.concatenate([high, rest]), np.concatenate([low, np.zeros_like(rest)])
        size = np.concatenate([size, np.abs(rest)])
    return *_in_pairs(high, low, size), 2 * (steps + len(high).bit_length() + 1)


def _in_pairs(high: Array, low: Array, size: Array) -> tuple[Array, Array, Array]:
    while len(high) > 1:
        half, odd = divmod(len(high), 2)
        a, b = high[:half], high[half : 2 * half]
        s, e = two_sum(a, b)
        e += low[:half]
        e += low[half : 2 * half]
        t = size[:half] + size[half : 2 * half]
        if odd:
            s, e, t = (np.concatenate([p, q[-1:]]) for p, q in ((s, high), (e, low), (t, size)))
        high, low, size = s, e, t
    return high[0], low[0], size[0]


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and its error, which is a float too (TwoSum)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


# results that an evaluation may give


def _charged(x: BallArray, axes: tuple[int, ...], terms: int, unit: float, *, running: bool) -> Array:
    """The rounding of the additions of an evaluation, and of the midpoints in float64."""
    sizes = np.abs(x.mid) if x.rad is None else np.abs(x.mid) + x.radius()
    whole = _plain(sizes, axes)
    own = whole * (terms * UNIT)
    if not running:
        return np.asarray(own + whole * ((terms - 1) * unit))
    return np.asarray(own + (MARGIN * unit) * partial_sum_sizes(columns(x.mid, axes)))


def partial_sum_sizes(x: Array, lanes: tuple[int, ...] = LANES) -> Array:
    """The sum of the magnitudes of the partial sums of each column, in the usual order in which it is largest."""
    most = np.zeros(x.shape[1])
    for count in lanes:
        look()
        if count <= len(x):
            most = np.fmax(most, _in_lanes(x, count))
    if len(x) > BLOCK:
        most = np.fmax(most, _in_blocks(x))
    return most


def _in_lanes(x: Array, lanes: int) -> Array:
    """The same, where every ``lanes``-th term is added to the same partial sum, these pairwise, and the rest at the end."""
    steps = len(x) // lanes
    if x.shape[1] < BROAD:
        partials = np.cumsum(x[: steps * lanes].reshape(steps, lanes, -1), axis=0)
        sizes, ends = np.abs(partials[1:]).sum(axis=(0, 1)), partials[-1]
    else:  # in place, step by step
        sizes, ends = np.zeros(x.shape[1]), x[:lanes].copy()
        size = np.empty_like(ends)
        for start in range(lanes, steps * lanes, lanes):
            ends += x[start : start + lanes]
            np.abs(ends, out=size)
            sizes += size[0] if lanes == 1 else size.sum(axis=0)
    last, more = _pairs(ends)
    rest = np.cumsum(np.concatenate([last[None], x[steps * lanes :]]), axis=0)[1:]
    return np.asarray(sizes + more + np.abs(rest).sum(axis=0))


def _in_blocks(x: Array) -> Array:
    """The same for blocks of 128 in eight lanes each, whose sums are added pairwise."""
    blocks = [x[k : k + BLOCK] for k in range(0, len(x), BLOCK)]
    sizes = sum(_in_lanes(block, min(8, len(block))) for block in blocks)
    _, more = _pairs(np.stack([block.sum(axis=0) for block in blocks]))
    return np.asarray(sizes + more)


def _pairs(x: Array) -> tuple[Array, Array]:
    """The pairwise sum of rows, and the magnitudes of the partial sums."""
    sizes: Array = np.zeros(x.shape[1:])
    while len(x) > 1:
        half, odd = divmod(len(x), 2)
        s = x[:half] + x[half : 2 * half]
        sizes = sizes + np.abs(s).sum(axis=0)
        x = np.concatenate([s, x[-1:]]) if odd else s
    return x[0], sizes
