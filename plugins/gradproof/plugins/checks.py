"""Checks of values, as ops: data that a formula is not meant for ends the run, and the error says where it is."""

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, InferenceError, Inferred, Memory, Spec, case, registering
from gradproof.plugins.axes import refuse
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def checked_infer(x: Spec, *, low: object = None, high: object = None) -> Inferred:
    """``low`` and ``high`` are None, for no limit, or numbers."""
    for name, limit in (("low", low), ("high", high)):
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit != limit):
            raise InferenceError(f"{name} is {limit!r}; it must be a number, or None for no limit")
    if x.dtype.kind == "c":
        raise InferenceError(f"numbers of dtype {x.dtype.name} have no order")
    return Inferred((Spec(x.shape, x.dtype),), {"low": low, "high": high})


def checked_into(out, x, *, low, high):
    """A copy of x. Raises DataFault where an element is outside the limits; nan is not."""
    outside = np.zeros(x.shape, bool)
    for limit, beyond in ((low, np.less), (high, np.greater)):
        if limit is not None:
            outside |= beyond(x, limit)
    texts = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    refuse(outside, f"{{}} is out of range: it must be {' and '.join(texts)}", x)
    np.copyto(out, x)


def checked(x, *, low, high):
    out = np.empty(x.shape, x.dtype)
    checked_into(out, x, low=low, high=high)
    return out


def checked_rule(g, y, x, *, low, high):
    return NO_GRADIENT if x.dtype.kind in "biu" else g


def checked_define(f, i, x, *, low, high):
    return x[i]


def checked_arrays(f, x, *, low, high):
    return x


CHECKED = (case((2, 3)), case((3,), low=-8, high=8), case((), low=-4.5), case((1, 2), high=4))

# fmt: off
CHECKS = (
    # op         forward  rule          definition      inference      cases
    R("checked", checked, checked_rule, checked_define, checked_infer, CHECKED,
      arrays=checked_arrays, doc="x, all of whose elements must be from low to high"),
)
# fmt: on

MEMORY = {"checked": Memory(into=checked_into)}

register_ops = registering(*named(CHECKS), memory=MEMORY)
