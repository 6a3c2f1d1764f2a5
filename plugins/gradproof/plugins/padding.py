"""Padding: constants, or copies of the elements of an array, around it. The modes are those of `numpy.pad`."""

from collections.abc import Iterator, Sequence

import numpy as np

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import at, integers, listed
from gradproof.plugins.names import named
from gradproof.plugins.slicing import constant, part

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
    shape, start = tuple(n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)), tuple(a for a, _ in pairs)
    if value == 0:
        return ops.unslice(x, shape=shape, start=start, step=(1,) * x.ndim)
    stop = tuple(n + a for n, a in zip(x.shape, start, strict=True))
    return ops.slice_scatter(constant(x, shape, value), x, start=start, stop=stop)


def continued(x, axis, before, after, mode):
    """``x`` continued at both ends of an axis by its own elements."""
    if not x.shape[axis]:
        raise InferenceError(f"axis {axis} of {x.spec} has no elements that mode {mode!r} could repeat")
    places = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode).tolist()
    return ops.concat(*(run_of(x, axis, run) for run in runs(places)), axis=axis)


def runs(places: Sequence[int]) -> Iterator[list[int]]:
    """``places`` taken apart where the difference from each to the next, which is -1, 0 or 1 in a run, changes."""
    run: list[int] = []
    for place in places:
        step = place - run[-1] if run else 0
        if run and (abs(step) > 1 or (len(run) > 1 and step != run[1] - run[0])):
            yield run
            run = []
        run.append(place)
    yield run


def run_of(x, axis, run):
    """The elements of ``x`` at the places of a run along an axis."""
    step = run[1] - run[0] if len(run) > 1 else 1
    if not step:
        return ops.broadcast_to(part(x, axis, run[0], run[0] + 1), shape=at(x.shape, axis, len(run)))
    end = run[-1] + step
    return part(x, axis, run[0], None if end < 0 else end, step)


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
