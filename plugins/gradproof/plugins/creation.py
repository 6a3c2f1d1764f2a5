"""Tensors that no gradient flows to: of constants, of ranges, and tensors that are held constant."""

import math

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Composite, InferenceError, Inferred, Op, Spec, case, ops, registering
from gradproof.plugins.axes import boolean, integer, number, size
from gradproof.plugins.dtypes import number_dtype
from gradproof.plugins.families import D
from gradproof.plugins.names import named

GRADPROOF_API = 1


def dtype_of(name):
    """A dtype by its name, or None. Raises InferenceError for a name of none."""
    return None if name is None else number_dtype(name)


def holds(dtype, value):
    """True if a dtype has the number ``value``, which a floating point dtype may round."""
    if dtype.kind == "b":
        return value in (0, 1)
    if dtype.kind in "iu":
        return math.isfinite(value) and value == int(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    with np.errstate(over="ignore"):
        return not math.isfinite(value) or np.isfinite(np.array(value).astype(dtype))


def full_like(x, *, value, dtype=None):
    """The number ``value`` in the shape of x. Raises InferenceError if the dtype does not hold it."""
    target = dtype_of(dtype) or x.dtype
    if not holds(target, number("value", value)):
        raise InferenceError(f"value is {value}, which {target.name} does not hold: pass a dtype that does")
    return ops.broadcast_to(x.builder.literal(value, target), shape=x.shape)


def zeros_like(x, *, dtype=None):
    return full_like(x, value=0, dtype=dtype)


def ones_like(x, *, dtype=None):
    return full_like(x, value=1, dtype=dtype)


def stop_gradient(x):
    return np.array(x)


def stop_gradient_rule(g, y, x):
    """No gradient flows back."""
    return NO_GRADIENT


# ranges, which have no inputs


def arange_infer(*, start, stop=None, step=1, dtype=None) -> Inferred:
    """⌈(stop - start) / step⌉ elements, those of `numpy.arange`; with ``start`` alone from 0 up to it."""
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop, step = number("start", start), number("stop", stop), number("step", step)
    if not step or not np.isfinite([start, stop, step]).all():
        raise InferenceError(f"start {start}, stop {stop} and step {step} must be finite, and the step not 0")
    if math.isinf((stop - start) / step):
        raise InferenceError(f"step {step} is too small: there are more numbers from {start} to {stop} than can be counted")
    count = count_of(start, stop, step)
    whole = all(isinstance(x, int) for x in (start, stop, step))
    target = dtype_of(dtype) or np.dtype(np.int64 if whole else np.float64)
    if target.kind in "biu" and not (whole and holds(target, start) and holds(target, start + step * max(0, count - 1))):
        raise InferenceError(f"{target.name} does not hold the numbers from {start} to {stop} by {step}")
    return Inferred((Spec((count,), target),), {"start": start, "stop": stop, "step": step, "dtype": target.name})


def count_of(start, stop, step):
    """The number of elements of a range, ⌈(stop - start) / step⌉ or 0, as `numpy.arange` rounds it."""
    start, stop, step = (int(x) if isinstance(x, int) else float(x) for x in (start, stop, step))
    whole = isinstance(start - stop, int) and isinstance(step, int)
    return max(0, -((start - stop) // step) if whole else math.ceil((stop - start) / step))


def arange(*, start, stop, step, dtype):
    return (start + np.arange(count_of(start, stop, step)) * step).astype(dtype)


def arange_define(f, i, *, start, stop, step, dtype):
    return f.number(start) + i[0] * f.number(step)


def arange_arrays(f, *, start, stop, step, dtype):
    return f.number(start) + f.number(np.arange(count_of(start, stop, step))) * f.number(step)


def linspace_infer(*, start, stop, num, endpoint=True, dtype=None) -> Inferred:
    attributes = {"start": number("start", start), "stop": number("stop", stop)}
    attributes |= {"num": size("num", num), "endpoint": boolean("endpoint", endpoint)}
    target = dtype_of(dtype) or np.dtype(np.float64)
    if target.kind in "biu":
        raise InferenceError(f"dtype is {target.name}; it must be a floating point or complex dtype")
    return Inferred((Spec((num,), target),), {**attributes, "dtype": target.name})


def linspace(*, start, stop, num, endpoint, dtype):
    return np.linspace(start, stop, num, endpoint, dtype=dtype)


def linspace_define(f, i, *, start, stop, num, endpoint, dtype):
    steps = max(1, num - 1 if endpoint else num)
    return f.number(start) + (f.number(stop) - f.number(start)) * i[0] / steps


def linspace_arrays(f, *, start, stop, num, endpoint, dtype):
    steps = max(1, num - 1 if endpoint else num)
    return f.number(start) + (f.number(stop) - f.number(start)) * f.number(np.arange(num)) / steps


def eye_infer(*, n_rows, n_cols=None, k=0, dtype=None) -> Inferred:
    shape = (size("n_rows", n_rows), size("n_cols", n_rows if n_cols is None else n_cols))
    target = dtype_of(dtype) or np.dtype(np.float64)
    return Inferred(
        (Spec(shape, target),), {"n_rows": shape[0], "n_cols": shape[1], "k": integer("k", k), "dtype": target.name}
    )


def eye(*, n_rows, n_cols, k, dtype):
    return np.eye(n_rows, n_cols, k, dtype=dtype)


def eye_define(f, i, *, n_rows, n_cols, k, dtype):
    return f.number(int(i[1] - i[0] == k))


def eye_arrays(f, *, n_rows, n_cols, k, dtype):
    return f.number(np.eye(n_rows, n_cols, k))


ARANGES = (case(start=3), case(start=1, stop=8, step=2), case(start=0.5, stop=-1.0, step=-0.5))
LINSPACES = (case(start=0.0, stop=1.0, num=5), case(start=1, stop=-3.0, num=3, endpoint=False))
EYES = (case(n_rows=2), case(n_rows=2, n_cols=3, k=1))
FULL = (case((), value=2.5), case((1, 2), value=2.5))
HELD = "x, held constant: no gradient flows back through it"
ARANGE = "start, start + step, ... up to stop, which is left out"
LINSPACE = "num numbers from start to stop, evenly spaced"
EYE = "1 on diagonal k, 0 elsewhere"

# fmt: off
CREATION = (
    # op               forward        rule                definition
    D("stop_gradient", stop_gradient, stop_gradient_rule, lambda f, x: f.constant(x), doc=HELD),
    Op("arange",   arange,   None, arange_define,   arange_infer,   ARANGES,   arrays=arange_arrays,   doc=ARANGE),
    Op("linspace", linspace, None, linspace_define, linspace_infer, LINSPACES, arrays=linspace_arrays, doc=LINSPACE),
    Op("eye",      eye,      None, eye_define,      eye_infer,      EYES,      arrays=eye_arrays,      doc=EYE),
)

SHAPED = (
    Composite("zeros_like", zeros_like, doc="zeros in the shape of x"),
    Composite("ones_like",  ones_like,  doc="ones in the shape of x"),
    Composite("full_like",  full_like,  doc="the number value in the shape of x", cases=FULL),
)
# fmt: on

register_ops = registering(*named(CREATION + SHAPED))
