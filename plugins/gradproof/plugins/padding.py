"""Padding: constants, or copies of the elements of an array, around it. The modes are those of `numpy.pad`."""

from collections.abc import Iterator
from fractions import Fraction

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import Cut, at, integers, listed
from gradproof.plugins.names import named
from gradproof.plugins.slicing import constant, few, part

GRADPROOF_API = 1

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(x, *, widths, mode="constant", value=0):
    """``widths``: a pair for each axis, the numbers of elements before and after it."""
    pairs = tuple(integers("widths", listed("widths", pair)) for pair in listed("widths", widths))
    if len(pairs) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise InferenceError(f"widths needs a (before, after) pair >= 0 for each of the {x.ndim} axes")
    if mode not in MODES:
        raise InferenceError(f"mode is {mode!r}; it must be {', '.join(MODES[:-1])} or {MODES[-1]}")
    if mode == "constant":
        return among_constants(x, pairs, value)
    for axis, (before, after) in enumerate(pairs):
        x = continued(x, axis, before, after, mode) if before or after else x
    return x


def among_constants(x, pairs, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise InferenceError(f"value is {value!r}; it must be a number")
    if x.dtype.kind in "biu" and not isinstance(value, int):
        raise InferenceError(f"value is {value!r}; x is {x.dtype.name}, so that it must be an integer")
    shape, start = tuple(n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)), tuple(a for a, _ in pairs)
    if value == 0:
        return ops.unslice(x, shape=shape, start=start, step=(1,) * x.ndim)
    stop = tuple(n + a for n, a in zip(x.shape, start, strict=True))
    return ops.slice_scatter(constant(x, shape, value), x, start=start, stop=stop)


def continued(x, axis, before, after, mode):
    """``x`` continued at both ends of an axis by its own elements."""
    size = x.shape[axis]
    if not size:
        raise InferenceError(f"axis {axis} of {x.spec} has no elements that mode {mode!r} could repeat")
    if mode == "edge" or (mode, size) == ("reflect", 1):
        first, last = part(x, axis, 0, 1), part(x, axis, size - 1, size)
        ends = [ops.broadcast_to(end, shape=at(x.shape, axis, n)) for end, n in ((first, before), (last, after))]
        return ops.concat(ends[0], x, ends[1], axis=axis)
    cuts = periods(size, before, after, mode)
    return ops.concat(*(part(x, axis, *cut) for cut in cuts), axis=axis)


def periods(size: int, before: int, after: int, mode: str) -> Iterator[Cut]:
    """The slices of an axis that follow each other where it is continued periodically, or as between mirrors: in the middle
    of its end elements (``reflect``), or beside them (``symmetric``)."""
    length = size - 1 if mode == "reflect" else size
    few((before + size + after) // length)
    for k in range(-before // length, (size + after - 1) // length + 1):
        first, last = max(k * length, -before) - k * length, min((k + 1) * length, size + after) - 1 - k * length
        if k % 2 and mode != "wrap":
            first, last = size - 1 - first, size - 1 - last
            yield first, last - 1 if last else None, -1
        else:
            yield first, last + 1, 1


AROUND = ((1, 2), (0, 3))
PADDED = (
    case((2, 3), widths=AROUND),
    case((), widths=()),
    case((2, 3), widths=AROUND, value=2.5),
    *(case((2, 4), widths=AROUND, mode=mode) for mode in MODES[1:]),
    case((2,), widths=((0, 5),), mode="reflect"),
)

PADDING = (Composite("pad", pad, cases=PADDED, doc="x, and around it a number, or its own elements once more"),)

register_ops = registering(*named(PADDING))
