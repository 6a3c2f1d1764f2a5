"""Vectors of length 1, and distances and angles between vectors: names, formulas and defaults of ``torch.nn.functional``.

The gradient of a distance is 0 where the distance is 0. Numbers of float16 and bfloat16 are computed in float32, and are
rounded once.
"""

import numpy as np

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import number
from gradproof.plugins.loss_parts import of_numbers
from gradproof.plugins.names import named

GRADPROOF_API = 1


def unit(x, p, axis, eps):
    """x divided by its p-norms along an axis, or by eps where they are smaller."""
    length = ops.vector_norm(x, ord=p, axis=axis, keepdims=True)
    return x / ops.where(length < number("eps", eps), eps, length)


@of_numbers
def normalize(x, *, p=2.0, axis=1, eps=1e-12):
    return unit(x, p, axis, eps)


@of_numbers
def cosine_similarity(x1, x2, *, axis=1, eps=1e-8):
    """Raises InferenceError for shapes that do not broadcast: the axis is that of the common shape.

    The gradient is the derivative of the value. PyTorch's differs where a norm is below eps.
    """
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise InferenceError(f"shapes {x1.shape} and {x2.shape} do not broadcast") from None
    a, b = (unit(ops.broadcast_to(x, shape=shape), 2, axis, eps) for x in (x1, x2))
    return ops.sum(a * b, axis=axis)


@of_numbers
def pairwise_distance(x1, x2, *, p=2.0, eps=1e-6, keepdims=False):
    return ops.vector_norm(x1 - x2 + number("eps", eps), ord=p, axis=-1, keepdims=keepdims)


@of_numbers
def cdist(x1, x2, *, p=2.0):
    """Raises InferenceError unless both are stacks of vectors of the same size, and p is 0 or more."""
    if min(x1.ndim, x2.ndim) < 2 or x1.shape[-1] != x2.shape[-1]:
        raise InferenceError(
            f"of shapes {x1.shape} and {x2.shape}; rows of the same size are needed: (..., n, d) and (..., m, d)"
        )
    if not number("p", p) >= 0:
        raise InferenceError(f"p is {p}; it must be 0 or more")
    differences = ops.expand_dims(x1, axis=-2) - ops.expand_dims(x2, axis=-3)
    return ops.vector_norm(differences, ord=p if x1.shape[-1] else 1, axis=-1)


ROWS = (case((2, 3)), case((3, 2), axis=0, p=3.0), case((2, 3), p=1.0))
PAIRS = (case((2, 3), (2, 3)), case((3, 2), (1, 2), axis=0), case((4,), (4,), axis=0))
APART = (case((2, 3), (2, 3)), case((2, 3), (3,), p=3.0, keepdims=True), case((3,), (3,), p=1.0))
STACKS = (
    case((2, 3), (4, 3)),
    case((1, 2), (3, 2), p=1.0),
    case((2, 1, 2), (3, 2), p=3.0),
    case((2, 2), (1, 2), p=float("inf")),
)
CLAMPED = "of a norm that is eps, that of the norm"
AT_ZERO = "0 where a distance is 0; of equal largest differences shared evenly"

# fmt: off
DISTANCES = (
    # op                            graph              cases         ties
    Composite("normalize",          normalize,         cases=ROWS,   ties=CLAMPED,
              doc="x divided by its p-norm along an axis, or by eps where that is larger"),
    Composite("cosine_similarity",  cosine_similarity, cases=PAIRS,  ties=CLAMPED,
              doc="the cosine of the angle between vectors along an axis, whose norms count as eps where they are smaller"),
    Composite("pairwise_distance",  pairwise_distance, cases=APART,  ties=AT_ZERO,
              doc="the p-norm of x1 - x2 + eps along the last axis"),
    Composite("cdist",              cdist,             cases=STACKS, ties=AT_ZERO,
              doc="the p-norms of the differences of each row of x1 and each row of x2"),
)
# fmt: on

register_ops = registering(*named(DISTANCES))
