"""Matrix products and triangles."""

from collections.abc import Sequence

import numpy as np

from gradproof.engine.extend import Attributes, Case, InferenceError, Inferred, Spec, case, ops, registering
from gradproof.plugins.axes import integer, smaller
from gradproof.plugins.dtypes import narrow
from gradproof.plugins.families import H
from gradproof.plugins.names import named

GRADPROOF_API = 1

# matmul


def matmul_infer(a: Spec, b: Spec) -> Inferred:
    """As `numpy.matmul`: vectors are rows on the left and columns on the right; leading axes broadcast."""
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise InferenceError(f"shapes {a.shape} and {b.shape} do not match: (..., n, k) @ (..., k, m) is needed")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise InferenceError(f"leading axes of {a.shape} and {b.shape} do not broadcast") from None
    dtype = np.result_type(a.dtype, b.dtype)
    wide_a = a.shape if a.ndim == 1 else (*batch, *a.shape[-2:])
    wide_b = b.shape if b.ndim == 1 else (*batch, *b.shape[-2:])
    shape = (*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
    return Inferred((Spec(shape, dtype),), {}, (Spec(wide_a, dtype), Spec(wide_b, dtype)))


def matmul_rule(g, y, a, b):
    """g @ bᵀ and aᵀ @ g; for a vector operand an outer product, and a sum over the leading axes."""
    if a.ndim == 1 and b.ndim == 1:
        return g * b, g * a
    if b.ndim == 1:
        column = ops.expand_dims(g, axis=-1)
        return column * b, ops.sum(column * a, axis=tuple(range(a.ndim - 1)))
    if a.ndim == 1:
        row = ops.expand_dims(g, axis=-2)
        column = ops.expand_dims(a, axis=-1)
        return ops.sum(row * b, axis=(*range(b.ndim - 2), b.ndim - 1)), column * row
    return g @ ops.matrix_transpose(b), ops.matrix_transpose(a) @ g


def matmul_define(f, i, a, b):
    left = a.ndim - 2 if a.ndim > 1 else b.ndim - 2
    batch, rest = i[: max(left, 0)], i[max(left, 0) :]
    row = (*batch, rest[0]) if a.ndim > 1 else ()
    column = rest[-1:] if b.ndim > 1 else ()
    start = batch if b.ndim > 1 else ()
    return f.total(x * y for x, y in zip(a[(*row, slice(None))], b[(*start, slice(None), *column)], strict=True))


def matmul_arrays(f, a, b):
    return f.matmul(a, b)


def matmul_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """A single leading axis stays, with size 2."""
    sizes = tuple(sorted({size for x in specs for size in x.shape[-2:]}))
    small = dict(zip(sizes, smaller(sizes, 24), strict=True))
    return case(*((*smaller(x.shape[:-2], 2), *(small[size] for size in x.shape[-2:])) for x in specs))


# tril and triu


def triangle_infer(x: Spec, *, k: object = 0) -> Inferred:
    if x.ndim < 2:
        raise InferenceError(f"needs rank 2 or more, got {x}")
    rows, columns = x.shape[-2:]
    return Inferred((x,), {"k": max(-rows, min(columns, integer("k", k)))})


def triangle_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """A diagonal outside of the matrix stays outside; a diagonal inside becomes the main diagonal or its neighbour."""
    [x], k = specs, attributes["k"]
    small = smaller(x.shape, first=(x.ndim - 2, x.ndim - 1))
    return case(small, k=max(-1, min(1, k)) if -x.shape[-2] < k < x.shape[-1] else 4 if k > 0 else -4)


def below(x, k):
    """The mask of the elements on and below diagonal k."""
    return np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None] <= k


def tril(x, *, k):
    return np.tril(x, k)


def tril_rule(g, y, x, *, k):
    return ops.tril(g, k=k)


def tril_define(f, i, x, *, k):
    return x[i] if i[-1] - i[-2] <= k else f.number(0)


def tril_arrays(f, x, *, k):
    return f.moved(lambda a: np.where(below(a, k), a, 0), x)


def triu(x, *, k):
    return np.triu(x, k)


def triu_rule(g, y, x, *, k):
    return ops.triu(g, k=k)


def triu_define(f, i, x, *, k):
    return x[i] if i[-1] - i[-2] >= k else f.number(0)


def triu_arrays(f, x, *, k):
    return f.moved(lambda a: np.where(below(a, k - 1), 0, a), x)


MATRICES = (
    case((2, 3), (3, 1)),
    case((2, 2), (2, 2)),
    case((1, 3), (3, 2)),
    case((3,), (3,)),
    case((2, 3), (3,)),
    case((2,), (2, 3)),
    case((2, 1, 3), (3, 2)),
    case((2, 2, 1), (1, 1, 2)),
    case((2, 2, 2), (2,)),
    case((2,), (2, 2, 2)),
)
SQUARES = (case((2, 3)), case((3, 2), k=1), case((2, 2), k=-1), case((2, 2, 2)))

# fmt: off
LINEAR = (
    # op        forward            rule         definition     inference       cases
    H("matmul", narrow(np.matmul), matmul_rule, matmul_define, matmul_infer,   MATRICES,
      shrink=matmul_shrink, arrays=matmul_arrays, contracts=True, doc="matrix product"),
    H("tril",   tril,              tril_rule,   tril_define,   triangle_infer, SQUARES,
      shrink=triangle_shrink, arrays=tril_arrays, doc="the lower triangle"),
    H("triu",   triu,              triu_rule,   triu_define,   triangle_infer, SQUARES,
      shrink=triangle_shrink, arrays=triu_arrays, doc="the upper triangle"),
)
# fmt: on

register_ops = registering(*named(LINEAR))
