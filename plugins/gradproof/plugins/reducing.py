"""Shapes, cases and products that reductions and scans share."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gradproof.engine.extend import Attributes, Case, InferenceError, Inferred, Spec, case, full_like, ops
from gradproof.plugins.axes import axes_of, axis_of, boolean, count
from gradproof.plugins.dtypes import number_dtype
from gradproof.plugins.slicing import part, reshaped, transposed

REDUCED = (
    case((2, 3)),
    case((2, 3), axis=0),
    case((2, 3), axis=1, keepdims=True),
    case((2, 2), axis=-1),
    case((1, 2, 2), axis=(0, 2)),
    case((1, 3)),
    case((2,), axis=0),
    case(()),
)
"""Cases of reductions over axes."""

ALONG = (case((3,)), case((2, 3), axis=0), case((2, 2), axis=1), case((2, 1), axis=1))
"""Cases of ops that keep the shape and work along an axis."""


def reduced(x: Spec, axis: object, keepdims: object, dtype: np.dtype[Any], **attributes: object) -> Inferred:
    """The inference of a reduction of ``x`` over ``axis`` (None: every axis) to ``dtype``."""
    axes = axes_of(axis, x.ndim)
    shape = tuple(1 if k in axes else s for k, s in enumerate(x.shape) if keepdims or k not in axes)
    source = x if x.dtype.kind != "b" and dtype.kind == x.dtype.kind else Spec(x.shape, dtype)
    return Inferred(
        (Spec(shape, dtype),), {"axis": axes, "keepdims": boolean("keepdims", keepdims), **attributes}, (source,)
    )


def reduce_infer(function: Callable[..., Any]) -> Callable[..., Inferred]:
    """The ``infer`` of a reduction whose dtype is that of the NumPy function."""

    def infer(x: Spec, *, axis: object = None, keepdims: object = False) -> Inferred:
        return reduced(x, axis, keepdims, function(np.ones((1,), x.dtype)).dtype)

    return infer


def typed_infer(function: Callable[..., Any]) -> Callable[..., Inferred]:
    """As `reduce_infer`, with an attribute ``dtype``: the elements are converted to it first. Canonical attributes have
    none, since the inputs are converted by then."""

    def infer(x: Spec, *, axis: object = None, keepdims: object = False, dtype: object = None) -> Inferred:
        given, result = converted(x, dtype, function)
        return reduced(given, axis, keepdims, result)

    return infer


def converted(x: Spec, dtype: object, function: Callable[..., Any]) -> tuple[Spec, np.dtype[Any]]:
    """``x`` in ``dtype`` (None: in its own), and the dtype of what the NumPy function makes of it. Raises InferenceError
    where that is not ``dtype``."""
    if dtype is None:
        return x, np.asarray(function(np.ones((1,), x.dtype))).dtype
    target = number_dtype(dtype)
    result = np.asarray(function(np.ones((1,), target))).dtype
    if result != target:
        raise InferenceError(f"in {target.name} the result is {result.name}: name that dtype, and cast with astype")
    if x.dtype.kind == "c" and target.kind != "c":
        raise InferenceError(f"a {target.name} does not hold a {x.dtype.name}: take the real part first")
    return Spec(x.shape, target), result


def along(x: Spec, axis: object, dtype: np.dtype[Any]) -> Inferred:
    """The inference of an op that keeps the shape of ``x``, works along ``axis``, and computes in ``dtype``."""
    return Inferred((Spec(x.shape, dtype),), {"axis": axis_of(axis, x.ndim)}, (Spec(x.shape, dtype),))


def not_empty(x: Spec, axes: Sequence[int]) -> None:
    """Raises InferenceError where an axis has size 0: there is no largest of nothing."""
    if any(x.shape[k] == 0 for k in axes):
        raise InferenceError(f"an axis of {x} that is reduced has size 0: there is no largest of nothing")


def unreduced(g, axis, keepdims):
    """``g`` with the reduced axes back in place, with size 1."""
    return g if keepdims or not axis else ops.expand_dims(g, axis=axis)


def in_lines(x, axes):
    """The elements of a tracer over axes in a row, as the last axis, behind the other axes."""
    rest = tuple(k for k in range(x.ndim) if k not in axes)
    return reshaped(transposed(x, (*rest, *axes)), (*(x.shape[k] for k in rest), count(x, axes)))


def floating(x):
    """A tracer in float64 if it has integers or booleans."""
    return ops.astype(x, dtype="float64") if x.dtype.kind in "biu" else x


def axes_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """Two of the reduced axes and another axis stay; a reduced axis as long as that other axis stays as long."""
    (x,), axis = specs, attributes["axis"]
    axis = axis if isinstance(axis, tuple) else (axis,)
    reduced = [a for a in axis if x.shape[a] > 1][:2]
    others = [a for a in range(x.ndim) if a not in axis and x.shape[a] > 1][:1]
    apart = len(reduced) == 1 and all(x.shape[a] != x.shape[reduced[0]] for a in others)
    small = {**dict.fromkeys(others, 2), **dict.fromkeys(reduced, 3 if apart else 2)}
    correction = attributes.get("correction", 0)
    left = min(count(x, axis) - correction, 2)  # the rule of a variance distinguishes 1 degree of freedom from more
    if reduced and correction and left > 0 and math.prod(small[a] for a in reduced) - correction < left:
        small |= dict.fromkeys(reduced[1:], 2 if left == 2 else 1)
        small[reduced[0]] = math.ceil((correction + left) / math.prod(small[a] for a in reduced[1:]))
        small |= dict.fromkeys(others, 2 if correction < 16 else 1)
    return case(tuple(small.get(a, min(size, 1)) for a, size in enumerate(x.shape)), **attributes)


def together(a: Spec, b: Spec, function: Callable[..., Any]) -> Spec:
    """The shape to which two inputs broadcast, in the dtype that the NumPy function makes of both; of truths in int64.
    Raises InferenceError where there is none."""
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
        dtype = function(np.ones((1,), a.dtype), np.ones((1,), b.dtype)).dtype
    except (TypeError, ValueError):
        raise InferenceError(f"{a} and {b} do not broadcast, or have no dtype in common") from None
    return Spec(shape, np.dtype(np.int64) if dtype.kind == "b" else dtype)


def alike_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """As `axes_shrink`, for inputs of the same shape."""
    [shape] = axes_shrink(specs[:1], attributes).inputs
    return case(*[shape] * len(specs), **attributes)


def product(terms: Iterable[Any]) -> Any:
    """The product of the terms of a definition; 1 if there are none."""
    result: Any = 1
    for term in terms:
        result = result * term
    return result


def first(x, axis, count, start=0):
    """``count`` elements of each line of a tracer along an axis, from ``start`` on."""
    return part(x, axis % x.ndim, start, start + count)


def product_before(x, axis=-1):
    """The product of all elements before each element along an axis (1 for the first), in a rule."""
    n = x.shape[axis]
    return ops.cumprod(ops.concat(full_like(first(x, axis, 1), 1), first(x, axis, n - 1), axis=axis), axis=axis) if n else x
