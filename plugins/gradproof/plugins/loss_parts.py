"""Parts that losses are made of: inputs of a common dtype, weights, reductions, and attributes that are numbers."""

import functools

from gradproof.engine.extend import InferenceError, ops
from gradproof.plugins.axes import number
from gradproof.plugins.dtypes import is_half


def in_float32(loss):
    """``loss``, a function of tracers, traced in float32 for float16 and bfloat16, and rounded once at the end."""

    @functools.wraps(loss)
    def wide(*inputs, **attributes):
        given = [x for x in inputs if x is not None]
        narrow = [x.dtype.name for x in given if is_half(x)]
        widened = [ops.astype(x, dtype="float32") if x is not None and is_half(x) else x for x in inputs]
        result = loss(*widened, **attributes)
        wider = any(x.dtype.kind in "fV" and not is_half(x) for x in given)
        return ops.astype(result, dtype=narrow[0]) if narrow and not wider else result

    return wide


def of_numbers(loss):
    """`in_float32`, with integers and booleans, such as labels, in the dtype of the first input that has none of them; in
    float64 where all have."""

    @functools.wraps(loss)
    def of_floats(*inputs, **attributes):
        given = [x for x in inputs if x is not None]
        dtype = next((x.dtype.name for x in given if x.dtype.kind not in "biu"), "float64")
        whole = [x is not None and x.dtype.kind in "biu" for x in inputs]
        numbers = [ops.astype(x, dtype=dtype) if cast else x for x, cast in zip(inputs, whole, strict=True)]
        return in_float32(loss)(*numbers, **attributes)

    return of_floats


def of_reals(loss):
    """`of_numbers`, which raises InferenceError for complex numbers."""

    @functools.wraps(loss)
    def real(*inputs, **attributes):
        if any(x is not None and x.dtype.kind == "c" for x in inputs):
            raise InferenceError("is not defined for complex numbers")
        return of_numbers(loss)(*inputs, **attributes)

    return real


def reduced(losses, reduction):
    """All losses, their mean or their sum. Raises InferenceError for another ``reduction``."""
    if reduction == "none":
        return losses
    if reduction in ("mean", "sum"):
        return ops.mean(losses) if reduction == "mean" else ops.sum(losses)
    raise InferenceError(f"reduction is {reduction!r}; it must be none, mean or sum")


def weighted(losses, weight):
    """Losses times their weights, if there are any."""
    return losses if weight is None else losses * weight


def averaged(losses, weights, reduction):
    """`reduced` of losses that are multiplied by ``weights``; the mean is their sum over that of the weights, which is nan
    where all of these are 0, as in PyTorch."""
    if weights is None or reduction != "mean":
        return reduced(weighted(losses, weights), reduction)
    products = losses * weights
    return ops.sum(products) / ops.sum(ops.broadcast_to(weights, shape=products.shape))


def above_zero(name, value):
    """``value``. Raises InferenceError unless it is a number above 0."""
    if not number(name, value) > 0:
        raise InferenceError(f"{name} is {value}; it must be above 0")
    return value
