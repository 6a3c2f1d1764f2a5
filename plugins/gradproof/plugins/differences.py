"""Differences of neighbours along an axis, cumulative sums and products, and integrals by the trapezoidal rule."""

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import at, axis_of, boolean, integer, real
from gradproof.plugins.names import named
from gradproof.plugins.reducing import first, floating
from gradproof.plugins.slicing import constant

GRADPROOF_API = 1


def joined(x, axis, prepend, append):
    """``x`` between two tensors along an axis; one of rank 0 is repeated on each line."""
    single = at(x.shape, axis, 1)

    def end(part):
        return [] if part is None else [part if part.ndim else ops.broadcast_to(part, shape=single)]

    parts = [*end(prepend), x, *end(append)]
    return ops.concat(*parts, axis=axis) if len(parts) > 1 else x


def diff(x, prepend=None, append=None, *, n=1, axis=-1):
    axis = axis_of(axis, x.ndim)
    if integer("n", n) < 0:
        raise InferenceError(f"n is {n}; it must not be negative")
    x = joined(x, axis, prepend, append) if n else x
    for _ in range(min(n, x.shape[axis])):
        before, after = neighbours(x, axis)
        x = ops.not_equal(after, before) if x.dtype.kind == "b" else after - before
    return x


def neighbours(x, axis):
    """The elements before the last along an axis, and those behind the first."""
    count = max(x.shape[axis] - 1, 0)
    return first(x, axis, count), first(x, axis, count, x.shape[axis] - count)


def slabs(y, x, dx, axis):
    """The areas between neighbours along an axis: y at places x, or at a distance dx."""
    y, axis = floating(y), axis_of(axis, y.ndim)
    before, after = neighbours(y, axis)
    area = (before + after) / 2
    if x is None:
        return area * real("dx", dx)
    if x.ndim == 1 and y.ndim > 1:
        x = ops.expand_dims(x, axis=tuple(k for k in range(y.ndim) if k != axis))
    return area * ops.diff(floating(x), axis=axis)


def trapezoid(y, x=None, *, dx=1.0, axis=-1):
    return ops.sum(slabs(y, x, dx, axis), axis=axis)


def cumulative_trapezoid(y, x=None, *, dx=1.0, axis=-1, initial=None):
    area = ops.cumsum(slabs(y, x, dx, axis), axis=axis)
    if initial is None:
        return area
    if real("initial", initial) != 0:
        raise InferenceError(f"initial is {initial}; it must be 0 or None")
    return with_initial(area, 0, axis_of(axis, y.ndim))


def with_initial(x, value, axis):
    """``x`` behind a number on each line."""
    return ops.concat(constant(x, at(x.shape, axis, 1), value), x, axis=axis)


def cumulative(scan, start):
    """A scan with the signature of the Array API standard: ``start`` comes first with ``include_initial``."""

    def function(x, *, axis=None, dtype=None, include_initial=False):
        if axis is None and x.ndim != 1:
            raise InferenceError(f"axis is None, which is for rank 1; {x.spec} has rank {x.ndim}")
        line = axis_of(0 if axis is None else axis, x.ndim)
        result = scan(x, axis=line, dtype=dtype)
        return with_initial(result, start, line) if boolean("include_initial", include_initial) else result

    return function


cumulative_sum = cumulative(ops.cumsum, 0)
cumulative_prod = cumulative(ops.cumprod, 1)

DIFFERENCES = (case((3,)), case((2, 3), n=2), case((3, 2), (1, 2), (), axis=0))
INTEGRALS = (case((3,)), case((2, 3), (3,), axis=1), case((3, 2), (3, 2), axis=0))
CUMULATIVE = (case((3,)), case((2, 3), axis=1, include_initial=True), case((3, 2), axis=0, include_initial=True))

# fmt: off
OPS = (
    # op                               function              cases
    Composite("diff",                  diff,                 cases=DIFFERENCES, doc="differences of neighbours, n times"),
    Composite("trapezoid",             trapezoid,            cases=INTEGRALS,
              doc="the integral of y along an axis by the trapezoidal rule, at places x or at a distance dx"),
    Composite("cumulative_trapezoid",  cumulative_trapezoid, cases=INTEGRALS,
              doc="the integrals of y up to each element by the trapezoidal rule"),
    Composite("cumulative_sum",        cumulative_sum,       cases=CUMULATIVE,
              doc="running sums along an axis, behind 0 with include_initial"),
    Composite("cumulative_prod",       cumulative_prod,      cases=CUMULATIVE,
              doc="running products along an axis, behind 1 with include_initial"),
)
# fmt: on

register_ops = registering(*named(OPS))
