"""Tensors that no gradient flows to: of constants, of ranges, and tensors that are held constant."""

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, InferenceError, Inferred, Op, Spec, case, registering
from gradproof.plugins.families import D
from gradproof.plugins.names import named
from gradproof.plugins.shapes import astype_infer

GRADPROOF_API = 1

MAX_SIZE = 2**40


def held(g, y, x, **attributes):
    """None: the result is constant."""
    return NO_GRADIENT


def filled(value):
    """The forward and the definition of a tensor that holds ``value`` in the shape and dtype of another."""

    def forward(x, *, dtype=None):
        return np.full_like(x, value, dtype=dtype_of(dtype))

    def define(f, x, *, dtype=None):
        return f.number(value)

    return forward, held, define


def dtype_of(dtype):
    """A dtype by its name, or None. Raises InferenceError for a name of none."""
    return None if dtype is None else astype_infer(Spec((), np.dtype(np.float64)), dtype=dtype).outputs[0].dtype


def full_like(x, *, value, dtype=None):
    return np.full_like(x, value, dtype=dtype_of(dtype))


def full_like_define(f, x, *, value, dtype=None):
    return f.number(value)


def stop_gradient(x):
    return np.array(x)


# ranges, which have no inputs


def arange_infer(*, start, stop=None, step=1, dtype=None) -> Inferred:
    """⌈(stop - start) / step⌉ elements, those of `numpy.arange`; with ``start`` alone from 0 up to it."""
    start, stop = (0, start) if stop is None else (start, stop)
    if not step:
        raise InferenceError("step is 0")
    count = max(0, -int((start - stop) // step))
    whole = all(isinstance(x, int) for x in (start, stop, step))
    target = dtype_of(dtype) or np.dtype(np.int64 if whole else np.float64)
    attributes = {"start": start, "stop": stop, "step": step, "dtype": target.name}
    return Inferred((Spec((count,), target),), attributes)


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
HELD = "x, held constant"

# fmt: off
CREATION = (
    # op               forward, cotangent, definition
    D("zeros_like",    *filled(0), doc="zeros of the shape of x"),
    D("ones_like",     *filled(1), doc="ones of the shape of x"),
    D("full_like",     full_like,     held, full_like_define,           cases=FULL, doc="the number value in the shape of x"),
    D("stop_gradient", stop_gradient, held, lambda f, x: f.constant(x), doc=HELD),
    Op("arange",       arange,   None, arange_define,   arange_infer,   ARANGES,   doc="start + i step, up to stop"),
    Op("linspace",     linspace, None, linspace_define, linspace_infer, LINSPACES, doc="num numbers from start to stop, evenly spaced"),
    Op("eye",          eye,      None, eye_define,      eye_infer,      EYES,      doc="1 on the k-th diagonal, 0 elsewhere"),
)
# fmt: on

register_ops = registering(*named(CREATION))
