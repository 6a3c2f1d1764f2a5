"""Diagonals: strided slices of matrices, whose rows follow each other in memory."""

from dataclasses import dataclass

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import axis_of, integer
from gradproof.plugins.names import named
from gradproof.plugins.slicing import part, reshaped, transposed

GRADPROOF_API = 1


@dataclass(frozen=True)
class Diagonal:
    """A diagonal of matrices (..., n, m) whose elements are counted in C order: its first place, the place beyond its
    last, the step from each to the next, and its length."""

    start: int
    stop: int
    step: int
    length: int


def diagonal_of(rows: int, columns: int, offset: int) -> Diagonal:
    """The diagonal ``offset`` places right of the main one; it may have no elements."""
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    start = (offset if offset >= 0 else -offset * columns) if length else 0
    return Diagonal(start, start + (length - 1) * (columns + 1) + 1 if length else 0, columns + 1, length)


def planes(x, axis1, axis2):
    """The order that brings two axes to the end, the first of them first."""
    first, second = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    if first == second:
        raise InferenceError(f"axis1 and axis2 are both {first}")
    return [*(k for k in range(x.ndim) if k not in (first, second)), first, second]


def flat(x, axis1, axis2):
    """``x`` with two axes brought to the end and joined."""
    moved = transposed(x, planes(x, axis1, axis2))
    return reshaped(moved, (*moved.shape[:-2], moved.shape[-2] * moved.shape[-1]))


def diagonal(x, *, offset=0, axis1=0, axis2=1):
    """The diagonal comes last, as in NumPy."""
    lines = flat(x, axis1, axis2)
    place = diagonal_of(x.shape[axis1], x.shape[axis2], integer("offset", offset))
    return part(lines, lines.ndim - 1, place.start, place.stop, place.step)


def diagonal_scatter(x, values, *, offset=0, axis1=0, axis2=1):
    """``values`` have the shape of the diagonal, or one that broadcasts to it."""
    order, lines = planes(x, axis1, axis2), flat(x, axis1, axis2)
    place, batch = diagonal_of(x.shape[axis1], x.shape[axis2], integer("offset", offset)), lines.shape[:-1]
    written = ops.slice_scatter(
        lines,
        values,
        start=(*(0,) * len(batch), place.start),
        stop=(*batch, place.stop),
        step=(*(1,) * len(batch), place.step),
    )
    matrices = reshaped(written, tuple(x.shape[k] for k in order))
    return transposed(matrices, [order.index(k) for k in range(x.ndim)])


def diag_embed(x, *, offset=0, axis1=-2, axis2=-1):
    """``axis1`` and ``axis2`` are axes of the result, in which the last axis of x becomes a diagonal."""
    if not x.ndim:
        raise InferenceError("needs rank 1 or more: the last axis becomes a diagonal")
    size = x.shape[-1] + abs(integer("offset", offset))
    place, batch = diagonal_of(size, size, offset), x.shape[:-1]
    lines = ops.unslice(
        x,
        shape=(*batch, size * size),
        start=(*(0,) * len(batch), place.start),
        step=(*(1,) * len(batch), place.step),
    )
    matrices = reshaped(lines, (*batch, size, size))
    order = planes(matrices, axis1, axis2)
    return transposed(matrices, [order.index(k) for k in range(matrices.ndim)])


def diag(x, *, k=0):
    if x.ndim not in (1, 2):
        raise InferenceError(f"needs a vector or a matrix, got shape {x.shape}")
    return diag_embed(x, offset=k) if x.ndim == 1 else diagonal(x, offset=k)


def diagflat(x, *, k=0):
    return diag_embed(reshaped(x, (x.size,)), offset=k)


DIAGONALS = (
    case((3, 4)),
    case((2, 4), offset=1),
    case((2, 3, 4), offset=-1, axis1=2, axis2=0),
    case((2, 3), offset=9),
)
EMBEDDED = (case((3,)), case((2, 3), offset=1), case((2, 3), offset=-1, axis1=0, axis2=2))

# fmt: off
TABLE = (
    Composite("diagonal", diagonal, cases=DIAGONALS, doc="a diagonal of two axes, which become the last axis"),
    Composite("diagonal_scatter", diagonal_scatter,
              cases=(case((3, 4), (3,)), case((2, 3, 4), (3, 1), offset=-1, axis1=2, axis2=0)),
              doc="x with values on a diagonal of two axes"),
    Composite("diag_embed", diag_embed, cases=EMBEDDED, doc="zeros, with the last axis of x on a diagonal of two new axes"),
    Composite("diag", diag, cases=(case((3,), k=1), case((3, 4), k=-1)),
              doc="the matrix with a vector on diagonal k; of a matrix, its diagonal k"),
    Composite("diagflat", diagflat, cases=(case((2, 3)), case((2,), k=-1)),
              doc="the matrix with all elements of x on diagonal k"),
)
# fmt: on

register_ops = registering(*named(TABLE))
