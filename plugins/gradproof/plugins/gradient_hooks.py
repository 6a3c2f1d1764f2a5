"""Named gradient hooks."""

import numpy as np

from gradproof.engine.extend import DataFault, NamedHook, registering

GRADPROOF_API = 1


def numbers(*, integer=False, optional=False):
    """A ``check`` that all attributes are numbers (integers, or None, where the arguments say so)."""
    kinds = (int,) if integer else (int, float)

    def check(**attributes):
        for name, value in attributes.items():
            if isinstance(value, bool) or not (isinstance(value, kinds) or (optional and value is None)):
                return f"{name} is {value!r}; it must be {'an integer' if integer else 'a number'}"
        return None

    return check


def scale(gradient, *, factor):
    return (gradient * factor).astype(gradient.dtype)


def clip(gradient, *, max_norm=None, min_value=None, max_value=None):
    """Clips by value where ``min_value`` or ``max_value`` is given, then by Euclidean norm where ``max_norm`` is.

    Raises DataFault for values of complex numbers."""
    if min_value is not None or max_value is not None:
        if gradient.dtype.kind == "c":
            raise DataFault("complex numbers have no order to be limited by: clip them by max_norm")
        gradient = np.clip(gradient, min_value, max_value)
    if max_norm is not None:
        norm = float(np.linalg.norm(gradient.ravel()))
        if norm > max_norm:
            gradient = (gradient * (max_norm / norm)).astype(gradient.dtype)
    return gradient


def zero(gradient):
    return np.zeros_like(gradient)


def round_(gradient, *, decimals=0):
    return np.round(gradient, decimals)


def record(gradient):
    return None


HOOKS = (
    NamedHook("scale", scale, "the gradient times factor", numbers()),
    NamedHook(
        "clip", clip, "limited by value (min_value, max_value) and by Euclidean norm (max_norm)", numbers(optional=True)
    ),
    NamedHook("zero", zero, "zeros: nothing flows further up"),
    NamedHook("round", round_, "rounded to decimals", numbers(integer=True)),
    NamedHook("record", record, "unchanged; the trace keeps the gradient as it was at this point"),
)


register_hooks = registering(*HOOKS)
