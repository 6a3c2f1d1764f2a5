"""Norms of vectors and matrices. The gradient of a norm is 0 where the norm is 0, as in PyTorch."""

import math

import numpy as np

from gradproof.engine.extend import POSITIVE, Composite, InferenceError, Inferred, Kink, Spec, case, ops, registering
from gradproof.plugins.axes import axes_of, listed, members, real
from gradproof.plugins.dtypes import in_float32, rounded_once
from gradproof.plugins.families import D, R
from gradproof.plugins.names import named
from gradproof.plugins.reducing import axes_shrink, floating, reduced, unreduced

GRADPROOF_API = 1


def scaled(size, total, end, axis):
    """``total(size)`` over axes that are kept, and an exponent e: about numbers divided by 2ᵉ where the total leaves the
    range. Then 2ᵉ is close to the ``end`` of each line, its largest or smallest number."""
    plain = np.asarray(total(size))
    if (np.isfinite(plain) & (plain > 1e3 * np.finfo(size.dtype).tiny)).all():
        return plain, 0
    power = np.frexp(end(size, axis=axis, keepdims=True))[1]
    return total(np.ldexp(size, -power)), power


def largest(size, *, axis, keepdims):
    return np.max(np.abs(size), axis=axis, keepdims=keepdims, initial=0)


def smallest(size, *, axis, keepdims):
    return np.min(size, axis=axis, keepdims=keepdims, initial=np.inf)


# euclidean_norm


def euclidean_infer(x: Spec, *, axis: object = None, keepdims: object = False) -> Inferred:
    source = np.mean(np.ones((1,), x.dtype)).dtype
    inference = reduced(Spec(x.shape, source), axis, keepdims, np.abs(np.ones((1,), source)).dtype)
    return Inferred(inference.outputs, inference.attributes, (Spec(x.shape, source),))


@rounded_once
def euclidean_norm(x, *, axis, keepdims):
    """√Σ |x|², without leaving the range."""
    with np.errstate(all="ignore"):
        size = np.abs(x) if x.dtype.kind == "c" else x
        square, power = scaled(size, lambda size: np.sum(size * size, axis=axis, keepdims=True), largest, axis)
        result = np.ldexp(np.sqrt(square), power)
        return result if keepdims else np.squeeze(result, axis)


@in_float32
def euclidean_rule(g, y, x, *, axis, keepdims):
    """g x / y."""
    length = unreduced(y, axis, keepdims)
    return unreduced(g, axis, keepdims) * (x / ops.where(ops.equal(length, 0), 1, length))


def euclidean_define(f, i, x, *, axis, keepdims):
    return f.sqrt(f.total(f.real(z) * f.real(z) + f.imag(z) * f.imag(z) for z in members(i, x, axis, keepdims)))


def euclidean_arrays(f, x, *, axis, keepdims):
    return f.sqrt(f.total(x * x, axis, keepdims))


# p_norm


def p_norm_infer(x: Spec, *, p: object, axis: object = None, keepdims: object = False) -> Inferred:
    order = real("p", p)
    if order == 0:
        raise InferenceError("p is 0: the number of elements that are not 0 is count_nonzero")
    if x.dtype.kind == "c":
        raise InferenceError(f"of {x.dtype.name} take the norm of abs(x)")
    return reduced(x, axis, keepdims, np.mean(np.ones((1,), x.dtype)).dtype, p=order)


@rounded_once
def p_norm(x, *, p, axis, keepdims):
    """(Σ xᵖ)^(1/p), without leaving the range."""
    with np.errstate(all="ignore"):
        end = largest if p > 0 else smallest
        total, power = scaled(x, lambda size: np.sum(np.power(size, p), axis=axis, keepdims=True), end, axis)
        result = np.ldexp(np.power(total, 1 / p).astype(x.dtype), power)
        return result if keepdims else np.squeeze(result, axis)


@in_float32
def p_norm_rule(g, y, x, *, p, axis, keepdims):
    """g (x / y)^(p - 1)."""
    origin = ops.equal(x, 0)
    part = ops.where(origin, 1, x / unreduced(y, axis, keepdims))
    return unreduced(g, axis, keepdims) * ops.where(origin, 0, ops.pow(part, p - 1))


def p_norm_define(f, i, x, *, p, axis, keepdims):
    return f.power(f.total(f.power(z, p) for z in members(i, x, axis, keepdims)), 1 / p)


def p_norm_arrays(f, x, *, p, axis, keepdims):
    return f.power(f.total(f.power(x, p), axis, keepdims), 1 / p)


# norms of any order


def magnitudes(x):
    """|x| in a dtype of floats."""
    return ops.abs(floating(x))


def vector_norm(x, *, ord=2, axis=None, keepdims=False, dtype=None):  # noqa: A002 - the name in NumPy and the Array API
    x, places = x if dtype is None else ops.astype(x, dtype=dtype), {"axis": axis, "keepdims": keepdims}
    if ord in (math.inf, -math.inf):
        return ops.max(magnitudes(x), **places) if ord > 0 else ops.min(magnitudes(x), **places)
    order = real("ord", ord)
    if order == 0:
        return ops.sum(ops.sign(magnitudes(x)), **places)  # with zeros for a gradient
    if order == 1:
        return ops.sum(magnitudes(x), **places)
    return ops.euclidean_norm(x, **places) if order == 2 else ops.p_norm(magnitudes(x), p=order, **places)


def matrix_norm(x, *, ord="fro", axis=(-2, -1), keepdims=False):  # noqa: A002 - the name in NumPy and the Array API
    axes = listed("axis", axis)
    if len(axes_of(axes, x.ndim)) != 2:
        raise InferenceError(f"axis is {axis!r}; it must be two axes, of rows and of columns")
    if ord == "fro":
        return ops.euclidean_norm(x, axis=axes, keepdims=keepdims)
    if ord not in (1, -1, math.inf, -math.inf) or isinstance(ord, bool):
        raise InferenceError(f"ord is {ord!r}; it must be 'fro', 1, -1, inf or -inf: others need singular values")
    added, compared = axes if abs(ord) == 1 else axes[::-1]
    totals = ops.sum(magnitudes(x), axis=added, keepdims=True)
    extreme = (ops.max if ord > 0 else ops.min)(totals, axis=compared, keepdims=True)
    return extreme if keepdims else ops.squeeze(extreme, axis=axes)


def norm(x, *, ord=None, axis=None, keepdims=False):  # noqa: A002 - the name in NumPy
    """A norm of vectors along an axis, or of matrices along two: as `numpy.linalg.norm`."""
    if ord is None:
        return ops.euclidean_norm(x, axis=axis, keepdims=keepdims)
    axes = axes_of(axis, x.ndim) if axis is None or not isinstance(axis, (tuple, list)) else tuple(axis)
    if len(axes) not in (1, 2):
        raise InferenceError(f"ord is {ord!r}, which is for an axis or two; {x.spec} over {len(axes)} axes has none")
    if len(axes) == 1:
        return ops.vector_norm(x, ord=ord, axis=axes, keepdims=keepdims)
    return ops.matrix_norm(x, ord=ord, axis=axes, keepdims=keepdims)


EUCLIDEAN = (
    case((2, 3)),
    case((2, 3), axis=1),
    case((3, 2), axis=0, keepdims=True),
    case((2, 2, 1), axis=(0, 1)),
    case(()),
)
POWERS = (
    case((2, 3), p=3),
    case((2, 3), axis=1, p=1.5),
    case((3, 2), axis=0, p=-1, keepdims=True),
    case((2,), p=0.5),
    case((), p=2),
)
VECTORS = (case((3,)), *(case((2, 3), axis=1, ord=order) for order in (2, 0, 1, 3, math.inf, -math.inf)))
MATRICES = (
    *(case((2, 3), ord=order) for order in ("fro", 1, -1, math.inf)),
    case((3, 1, 2), axis=(2, 0), keepdims=True),
)
NORMS = (case((2, 3)), case((2, 3), axis=1), case((3,), ord=3), case((2, 3), ord=1))
AT_ZERO = "0 where the norm is 0"

# fmt: off
PRIMITIVES = (
    # op                forward         rule            definition        inference        cases
    D("euclidean_norm", euclidean_norm, euclidean_rule, euclidean_define, euclidean_infer, EUCLIDEAN, shrink=axes_shrink,
      arrays=euclidean_arrays, ties=AT_ZERO, kink=Kink.MEAN, doc="√Σ |x|² over axes"),
    R("p_norm",         p_norm,         p_norm_rule,    p_norm_define,    p_norm_infer,    POWERS, shrink=axes_shrink,
      arrays=p_norm_arrays, domains=POSITIVE, doc="(Σ xᵖ)^(1/p) over axes, for numbers that are not negative"),
)

COMPOSITES = (
    # op                       function     cases
    Composite("vector_norm",   vector_norm, cases=VECTORS,  ties="0 at 0; of equal largest numbers shared evenly",
              grad_fn="LinalgVectorNormBackward0", doc="the norm of vectors over axes, of any order"),
    Composite("matrix_norm",   matrix_norm, cases=MATRICES, ties="0 at 0; of equal largest sums shared evenly",
              doc="the norm of matrices: Frobenius, the largest or smallest sum of a column (1, -1), of a row (inf, -inf)"),
    Composite("norm",          norm,        cases=NORMS,    ties="0 at 0; of equal largest numbers shared evenly",
              grad_fn="LinalgVectorNormBackward0", doc="a norm of vectors over an axis, or of matrices over two"),
)
# fmt: on

register_ops = registering(*named(PRIMITIVES), *named(COMPOSITES))
