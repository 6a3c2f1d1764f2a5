"""Linear algebra that solves for something: systems, inverses, determinants, Cholesky factors.

Definitions are equations, rules those of matrix calculus; they share nothing.
"""

from dataclasses import replace

import numpy as np

from gradproof.engine.extend import (
    POSITIVE,
    REAL,
    DataFault,
    Equation,
    InferenceError,
    Inferred,
    Op,
    Parametrisation,
    Spec,
    case,
    hookimpl,
    ops,
    zeros_like,
)

GRADPROOF_API = 1

INVERTIBLE = replace(REAL, name="invertible")
DEFINITE = replace(REAL, name="with positive definite symmetric part")


def check_dtype(name, x):
    if x.dtype not in (np.float32, np.float64):
        raise InferenceError(f"takes float32 or float64, and {name} is {x.dtype.name}: convert it with astype")


def check_square(x):
    check_dtype("a", x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise InferenceError(f"a must be a square matrix or a stack of them, (..., n, n); its shape is {x.shape}")


def square_infer(a):
    check_square(a)
    return Inferred((Spec(a.shape, a.dtype),))


def det_infer(a):
    check_square(a)
    return Inferred((Spec(a.shape[:-2], a.dtype),))


def solve_infer(a, b):
    """As numpy.linalg.solve: a right side of rank 1 is a vector, any other a matrix of columns; leading axes broadcast."""
    check_square(a)
    check_dtype("b", b)
    if not b.ndim or b.shape[-2 if b.ndim > 1 else 0] != a.shape[-1]:
        raise InferenceError(f"shapes {a.shape} and {b.shape} do not match: (..., n, n) with (n,) or (..., n, k) is needed")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise InferenceError(f"leading axes of {a.shape} and {b.shape} do not broadcast") from None
    dtype = np.result_type(a.dtype, b.dtype)
    right = b.shape if b.ndim == 1 else (*batch, *b.shape[-2:])
    wanted = Spec((*batch, *a.shape[-2:]), dtype), Spec(right, dtype)
    return Inferred((Spec((*batch, *b.shape[-2:]), dtype),), {}, wanted)


# definitions


def symmetric(a):
    return (a + a.T) / 2


SOLVES = Equation("a x = b", lambda f, x, a, b: a @ x - b)
INVERTS = Equation("a x = 1", lambda f, x, a: a @ x - f.eye(len(a)))
DETERMINES = Equation("x = det a", lambda f, x, a: x - f.det(a))
COFACTORS = Equation("x = cofactors of a", lambda f, x, a: x - f.cofactors(a))
FACTORS = Equation(
    "L Lᵀ = (a + aᵀ) / 2, L triangular with positive diagonal",
    lambda f, x, a: x @ x.T - symmetric(a),
    start=lambda a: np.linalg.cholesky(symmetric(a)),
    positive=lambda f, x, a: np.diagonal(x),
    triangular=True,
)


def cholesky_chart(f, free, a):
    """A free factor with positive diagonal, and a free antisymmetric part, which the op does not see."""
    x, y = np.empty(a.shape, object), np.full(a.shape, f.number(0))
    for batch in np.ndindex(a.shape[:-2]):
        for r, c in zip(*np.tril_indices(a.shape[-1])):
            y[(*batch, r, c)] = free(f"L{[*batch, int(r), int(c)]}", POSITIVE if r == c else REAL)
        x[batch] = y[batch] @ y[batch].T
        for r, c in zip(*np.tril_indices(a.shape[-1], -1)):
            skew = free(f"K{[*batch, int(r), int(c)]}")
            x[(*batch, r, c)] += skew
            x[(*batch, c, r)] -= skew
    return (x,), (y,)


def stacked(function):
    """``function`` of a stack of matrices, and maybe of right sides; the first matrix that has no answer is named."""

    def forward(a, *others):
        try:
            return function(a, *others)
        except np.linalg.LinAlgError as error:
            for index in np.ndindex(a.shape[:-2]):
                try:
                    function(a[index], *(b[index] if b.ndim == a.ndim else b for b in others))
                except np.linalg.LinAlgError:
                    raise DataFault(str(error), element=str(list(index)) if index else "") from error
            raise

    return forward


# forwards that NumPy does not have, or rounds more than it must


def evened(a):
    """Rows and columns brought to one size, and the powers of two by which they were divided."""
    sizes = []
    for axis in (-1, -2):
        size = np.frexp(np.max(np.abs(a), axis, keepdims=True, initial=0))[1]
        sizes.append(size)
        a = np.ldexp(a, -size)
    return a, sizes


def det(a):
    """NumPy's is the exponential of a sum of logarithms, which loses digits where the sum is large."""
    with np.errstate(all="ignore"):
        even, sizes = evened(a)
        found = np.ldexp(np.linalg.det(even), sum(np.sum(size, (-1, -2)) for size in sizes))
    return np.asarray(found, a.dtype)


def cofactors(a):
    """Of up to three rows as they are written; of more from the inverse, or from the singular values, whose products but
    one are there for singular matrices too. Rows and columns are brought to one size first, and sizes are kept apart as
    powers of two."""
    n = a.shape[-1]
    if n < 2:
        return np.ones_like(a)
    if n == 2:
        return np.flip(a, (-2, -1)) * np.array([[1, -1], [-1, 1]], a.dtype)
    with np.errstate(all="ignore"):
        if n == 3:
            turned = [[np.roll(a, (-p, -q), (-2, -1)) for q in (1, 2)] for p in (1, 2)]
            return turned[0][0] * turned[1][1] - turned[0][1] * turned[1][0]
        even, sizes = evened(a.astype(np.float64))
        powers = sum(np.sum(size, (-1, -2), keepdims=True) - size for size in sizes)
        if not np.isfinite(even).all():
            return np.full_like(a, np.nan)
        left, singular, right = np.linalg.svd(even)
        turns = np.sign(np.linalg.det(left) * np.linalg.det(right))[..., None]
        part, power = np.ones_like(singular), np.zeros(singular.shape, np.int64)
        for k in range(n):  # the product of all but one, its powers of two apart
            part, more = np.frexp(part * np.where(np.arange(n) == k, 1, singular[..., k : k + 1]))
            power = np.where(part == 0, -(2**30), power + more)
        top = np.max(power, -1, keepdims=True)
        found = left * np.ldexp(part * turns, power - top)[..., None, :] @ right
        # Far from singular matrices the inverse keeps more digits.
        whole = np.linalg.det(even)
        inside = (np.abs(whole) > 1e-200) & (np.abs(whole) < 1e200) & (singular[..., -1] > singular[..., 0] / 2**20)
        inside = inside[..., None, None]
        inverse = np.linalg.inv(np.where(inside, even, np.eye(n)))
        found = np.where(inside, whole[..., None, None] * np.swapaxes(inverse, -1, -2), found)
        return np.ldexp(found, powers + np.where(inside, 0, top[..., None])).astype(a.dtype)


# rules


def transposed(x):
    return ops.matrix_transpose(x)


def solve_rule(g, y, a, b):
    """Aᵀ gb = g and gA = -gb yᵀ; a vector right side is a column."""
    if b.ndim > 1:
        gb = ops.solve(transposed(a), g)
        return -(gb @ transposed(y)), gb
    column = ops.solve(transposed(a), ops.expand_dims(g, axis=-1))
    gb = ops.sum(ops.squeeze(column, axis=-1), axis=tuple(range(a.ndim - 2)))
    return -(column @ ops.expand_dims(y, axis=-2)), gb


def cofactors_rule(g, y, a):
    """Those of 2 x 2 are linear, those of 3 x 3 of second degree: no inverse is needed. Beyond, for an invertible a, from
    d(det(a) a⁻ᵀ) = a⁻ᵀ (<g, y> - gᵀ y)."""
    n = a.shape[-1]
    if n == 2:
        return ops.cofactors(g)
    if n == 3:
        a, g = turned(a), turned(g)
        return g[2, 2] * a[1, 1] + g[1, 1] * a[2, 2] - g[2, 1] * a[1, 2] - g[1, 2] * a[2, 1]
    if n < 2:
        return zeros_like(a)
    back = transposed(ops.inv(a))
    return back * ops.sum(g * y, axis=(-2, -1), keepdims=True) - back @ transposed(g) @ y


def turned(a):
    """A stack of matrices with rows and columns turned by 1 or 2, by these numbers."""
    n, axis = a.shape[-1], a.ndim - 1
    wide = ops.concat(a, a, axis=axis)
    wide = ops.concat(wide, wide, axis=axis - 1)
    start, places = (0,) * (a.ndim - 2), ((p, q) for p in (1, 2) for q in (1, 2))
    return {(p, q): ops.slice(wide, start=(*start, p, q), stop=(*a.shape[:-2], p + n, q + n)) for p, q in places}


def cholesky_rule(g, y, a):
    """S = L⁻ᵀ Φ(Lᵀ g) L⁻¹, symmetrised; Φ takes the lower triangle, half of it on the diagonal."""
    inner = transposed(y) @ g
    phi = (ops.tril(inner) + ops.tril(inner, k=-1)) / 2
    s = ops.solve(transposed(y), transposed(ops.solve(transposed(y), transposed(phi))))
    return (s + transposed(s)) / 2


# shape classes


def batch_of(x):
    """Leading axes, of 2 at most."""
    return tuple(min(size, 2) for size in x.shape[:-2])


def square_shrink(specs, attributes):
    """Matrices of size 3 stand for larger ones; in stacks, 2."""
    [a] = specs
    n = min(a.shape[-1], 2 if a.ndim > 2 else 3)
    return case((*batch_of(a), n, n))


def cofactors_shrink(specs, attributes):
    """As for one matrix; the rule for 4 rows is that for all more of them, and has a class of its own."""
    [a] = specs
    n = min(a.shape[-1], 4)
    return case((*batch_of(a), n, n) if n < 3 else (*(1,) * (a.ndim - 2), n, n))


def solve_shrink(specs, attributes):
    """As for one matrix. As many columns as rows stay so, one stays one, and any other number stays another."""
    a, b = specs
    n = min(a.shape[-1], 2 if max(a.ndim, b.ndim) > 2 else 3)
    if b.ndim == 1:
        return case((*batch_of(a), n, n), (n,))
    columns = {a.shape[-1]: n, 1: 1, 0: 0}.get(b.shape[-1], 3 if n == 2 else 2)
    return case((*batch_of(a), n, n), (*batch_of(b), n, columns))


SQUARES = (case((1, 1)), case((2, 2)), case((3, 3)), case((2, 2, 2)))
SYSTEMS = (
    case((1, 1), (1,)),
    case((2, 2), (2,)),
    case((3, 3), (3,)),
    case((2, 2), (2, 1)),
    case((2, 2), (2, 2)),
    case((2, 2), (2, 3)),
    case((3, 3), (3, 2)),
    case((3, 3), (3, 3)),
    case((2, 2, 2), (2,)),
    case((2, 2, 2), (2, 1)),
    case((1, 2, 2), (2, 2, 2)),
)

DECOMPOSITIONS = (
    Op(
        "solve",
        stacked(np.linalg.solve),
        solve_rule,
        SOLVES,
        solve_infer,
        SYSTEMS,
        domains=(INVERTIBLE, REAL),
        shrink=solve_shrink,
        grad_fn="LinalgSolveExBackward0",
        normwise=True,
        doc="x of a x = b, for a vector b or for each column of a matrix b",
    ),
    Op(
        "inv",
        stacked(np.linalg.inv),
        lambda g, y, a: -(transposed(y) @ g @ transposed(y)),
        INVERTS,
        square_infer,
        SQUARES,
        domains=INVERTIBLE,
        shrink=square_shrink,
        grad_fn="LinalgInvExBackward0",
        normwise=True,
        doc="the inverse of a matrix",
    ),
    Op(
        "det",
        det,
        lambda g, y, a: ops.expand_dims(g, axis=(-2, -1)) * ops.cofactors(a),
        DETERMINES,
        det_infer,
        SQUARES,
        shrink=square_shrink,
        grad_fn="LinalgDetBackward0",
        normwise=True,
        doc="the determinant",
    ),
    Op(
        "cofactors",
        cofactors,
        cofactors_rule,
        COFACTORS,
        square_infer,
        SQUARES,
        shrink=cofactors_shrink,
        normwise=True,
        doc="the matrix of cofactors: the gradient of the determinant, of singular matrices too",
    ),
    Op(
        "cholesky",
        stacked(lambda a: np.linalg.cholesky((a + np.swapaxes(a, -1, -2)) / 2)),
        cholesky_rule,
        FACTORS,
        square_infer,
        SQUARES,
        domains=DEFINITE,
        shrink=square_shrink,
        chart=Parametrisation("A = L Lᵀ + K", cholesky_chart),
        grad_fn="LinalgCholeskyExBackward0",
        normwise=True,
        doc="the lower factor L with L Lᵀ = (a + aᵀ) / 2",
    ),
)


@hookimpl
def register_ops(register):
    for op in DECOMPOSITIONS:
        register(op)
