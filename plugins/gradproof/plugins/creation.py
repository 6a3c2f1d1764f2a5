"""Tensors that no gradient flows to: of constants, of ranges, and tensors that are held constant."""

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Composite, InferenceError, Inferred, Op, Spec, case, ops, registering
from gradproof.plugins.families import D
from gradproof.plugins.names import named
from gradproof.plugins.shapes import astype_infer

GRADPROOF_API = 1


def dtype_of(name):
    """A dtype by its name, or None. Raises InferenceError for a name of none."""
    return None if name is None else astype_infer(Spec((), np.dtype(np.float64)), dtype=name).outputs[0].dtype


def full_like(x, *, value, dtype=None):
    """The number ``value`` in the shape of x. Raises InferenceError if an integer or boolean dtype does not hold it."""
    target = dtype_of(dtype) or x.dtype
    if target.kind in "biu" and np.array(float(value)).astype(target) != value:
        raise InferenceError(f"value is {value}, which {target.name} does not hold: pass a dtype that does")
    return ops.broadcast_to(x.builder.literal(value, target), shape=x.shape)


def zeros_like(x, *, dtype=None):
    return full_like(x, value=0, dtype=dtype)


def ones_like(x, *, dtype=None):
    return full_like(x, value=1, dtype=dtype)


def stop_gradient(x):
    return np.array(x)


def stop_gradient_rule(g, y, x):
    return NO_GRADIENT


# ranges, which have no inputs


def arange_infer(*, start, stop=None, step=1, dtype=None) -> Inferred:
    """⌈(stop - start) / step⌉ elements, those of `numpy.arange`; with ``start`` alone from 0 up to it."""
    start, stop = (0, start) if stop is None else (start, stop)
    if not step or not np.isfinite([start, stop, step]).all():
        raise InferenceError(f"start {start}, stop {stop} and step {step} must be finite, and the step not 0")
    count = max(0, -int((start - stop) // step))
    whole = all(isinstance(x, int) for x in (start, stop, step))
    target = dtype_of(dtype) or np.dtype(np.int64 if whole else np.float64)
    if target.kind == "b" or (
        target.kind in "iu" and not (whole and fits((start, start + step * max(0, count - 1)), target))
    ):
        raise InferenceError(f"{target.name} does not hold the numbers from {start} to {stop} by {step}")
    return Inferred((Spec((count,), target),), {"start": start, "stop": stop, "step": step, "dtype": target.name})


def fits(ends, dtype):
    """True if an integer dtype holds all of ``ends``."""
    return all(np.iinfo(dtype).min <= end <= np.iinfo(dtype).max for end in ends)


def arange(*, start, stop, step, dtype):
    count = arange_infer(start=start, stop=stop, step=step).outputs[0].shape[0]
    return (start + np.arange(count) * step).astype(dtype)


def arange_define(f, i, *, start, stop, step, dtype):
    return f.number(start) + i[0] * f.number(step)


def linspace_infer(*, start, stop, num, endpoint=True, dtype=None) -> Inferred:
    if num < 0:
        raise InferenceError(f"num is {num}; it is a number of elements")
    attributes = {"start": start, "stop": stop, "num": num, "endpoint": endpoint}
    target = dtype_of(dtype) or np.dtype(np.float64)
    if target.kind in "biu":
        raise InferenceError(f"dtype is {target.name}; it must be a floating point or complex dtype")
    return Inferred((Spec((num,), target),), {**attributes, "dtype": target.name})


def linspace(*, start, stop, num, endpoint, dtype):
    return np.linspace(start, stop, num, endpoint, dtype=dtype)


def linspace_define(f, i, *, start, stop, num, endpoint, dtype):
    steps = max(1, num - 1 if endpoint else num)
    return f.number(start) + (f.number(stop) - f.number(start)) * i[0] / steps


def eye_infer(*, n_rows, n_cols=None, k=0, dtype="float64") -> Inferred:
    shape = (n_rows, n_rows if n_cols is None else n_cols)
    if min(shape) < 0:
        raise InferenceError(f"the shape {shape} has a negative size")
    target = dtype_of(dtype)
    return Inferred((Spec(shape, target),), {"n_rows": shape[0], "n_cols": shape[1], "k": k, "dtype": target.name})


def eye(*, n_rows, n_cols, k, dtype):
    return np.eye(n_rows, n_cols, k, dtype=dtype)


def eye_define(f, i, *, n_rows, n_cols, k, dtype):
    return f.number(int(i[1] - i[0] == k))


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
    # op               forward        rule                definition             inference       cases
    D("stop_gradient", stop_gradient, stop_gradient_rule, lambda f, x: f.constant(x),                       doc=HELD),
    Op("arange",       arange,        None,               arange_define,         arange_infer,   ARANGES,   doc=ARANGE),
    Op("linspace",     linspace,      None,               linspace_define,       linspace_infer, LINSPACES, doc=LINSPACE),
    Op("eye",          eye,           None,               eye_define,            eye_infer,      EYES,      doc=EYE),
)

SHAPED = (
    Composite("zeros_like", zeros_like, doc="zeros in the shape of x"),
    Composite("ones_like",  ones_like,  doc="ones in the shape of x"),
    Composite("full_like",  full_like,  doc="the number value in the shape of x", cases=FULL),
)
# fmt: on

register_ops = registering(*named(CREATION + SHAPED))
