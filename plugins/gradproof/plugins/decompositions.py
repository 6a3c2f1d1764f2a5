"""Linear algebra that solves for something: systems, inverses, determinants, Cholesky factors.

Definitions are equations; rules come from matrix calculus (M. B. Giles, An extended collection of matrix derivative results
for forward and reverse mode algorithmic differentiation, 2008; I. Murray, Differentiation of the Cholesky decomposition,
2016). They share no helper.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.engine.extend import (
    LOWER,
    POSITIVE,
    REAL,
    UPPER,
    Attributes,
    Case,
    DataFault,
    Equation,
    InferenceError,
    Inferred,
    Parametrisation,
    Spec,
    case,
    ops,
    registering,
    zeros_like,
)
from gradproof.plugins.axes import boolean
from gradproof.plugins.families import H, R
from gradproof.plugins.names import named

GRADPROOF_API = 1

INVERTIBLE = replace(REAL, name="invertible")
DEFINITE = replace(REAL, name="with positive definite symmetric part")

# inference, stacks and shape classes


REALS, NUMBERS = ("float32", "float64"), ("float32", "float64", "complex64", "complex128")


def require_dtype(name: str, x: Spec, dtypes: Sequence[str] = NUMBERS) -> None:
    """Raises InferenceError unless the dtype is among ``dtypes``."""
    if x.dtype.name not in dtypes:
        names = f"{', '.join(dtypes[:-1])} or {dtypes[-1]}"
        raise InferenceError(f"takes {names}, and {name} is {x.dtype.name}: convert it with astype")


def require_square(x: Spec, dtypes: Sequence[str] = NUMBERS) -> None:
    """Raises InferenceError unless ``x`` is a stack of square matrices of ``dtypes``."""
    require_dtype("a", x, dtypes)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise InferenceError(f"a must be a square matrix or a stack of them, (..., n, n); its shape is {x.shape}")


def square_infer(a: Spec) -> Inferred:
    require_square(a)
    return Inferred((Spec(a.shape, a.dtype),))


def stacked(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of a stack of matrices (and right sides), with a DataFault that names the first matrix at fault."""

    def forward(a, *others, **attributes):
        try:
            return function(a, *others, **attributes)
        except np.linalg.LinAlgError as error:
            for index in np.ndindex(a.shape[:-2]):
                try:
                    function(a[index], *(b[index] if b.ndim == a.ndim else b for b in others), **attributes)
                except np.linalg.LinAlgError:
                    raise DataFault(str(error), element=str(list(index)) if index else "") from error
            raise

    return forward


def batch_of(x: Spec) -> tuple[int, ...]:
    """The leading axes, each of size 2 at most."""
    return tuple(min(size, 2) for size in x.shape[:-2])


def square_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """Matrices of size 3 stand for larger ones; in stacks, 2."""
    [a] = specs
    n = min(a.shape[-1], 2 if a.ndim > 2 else 3)
    return case((*batch_of(a), n, n), **attributes)


def transposed(x):
    return ops.matrix_transpose(x)


def evened(a):
    """The matrix with rows and columns scaled by powers of two to a common size, and the exponents."""
    sizes = []
    for axis in (-1, -2):
        size = np.frexp(np.max(np.maximum(np.abs(a.real), np.abs(a.imag)), axis, keepdims=True, initial=0))[1]
        sizes.append(size)
        a = scaled(a, -size)
    return a, sizes


def scaled(x, power):
    """x times 2 to the power, of complex numbers in both parts."""
    if x.dtype.kind != "c":
        return np.ldexp(x, power)
    result = np.empty(np.broadcast_shapes(x.shape, np.shape(power)), x.dtype)
    result.real, result.imag = np.ldexp(x.real, power), np.ldexp(x.imag, power)
    return result


# solve


def solve_infer(a: Spec, b: Spec) -> Inferred:
    """As `numpy.linalg.solve`: a right side of rank 1 is a vector, another holds columns; leading axes broadcast."""
    require_square(a)
    require_dtype("b", b)
    if not b.ndim or b.shape[-2 if b.ndim > 1 else 0] != a.shape[-1]:
        raise InferenceError(f"shapes {a.shape} and {b.shape} do not match: (..., n, n) with (n,) or (..., n, k) is needed")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise InferenceError(f"leading axes of {a.shape} and {b.shape} do not broadcast") from None
    dtype = np.result_type(a.dtype, b.dtype)
    right = b.shape if b.ndim == 1 else (*batch, *b.shape[-2:])
    inputs = Spec((*batch, *a.shape[-2:]), dtype), Spec(right, dtype)
    return Inferred((Spec((*batch, *b.shape[-2:]), dtype),), {}, inputs)


SOLVES = Equation("a x = b", lambda f, x, a, b: a @ x - b)


def solve_rule(g, y, a, b):
    """ā = -b̄ @ yᵀ with aᵀ @ b̄ = g; a vector right side is a column."""
    if b.ndim > 1:
        gb = ops.solve(transposed(a), g)
        return -(gb @ transposed(y)), gb
    column = ops.solve(transposed(a), ops.expand_dims(g, axis=-1))
    gb = ops.sum(ops.squeeze(column, axis=-1), axis=tuple(range(a.ndim - 2)))
    return -(column @ ops.expand_dims(y, axis=-2)), gb


def solve_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """As `square_shrink`; a square right side stays square, a column stays a column, another stays neither."""
    a, b = specs
    n = min(a.shape[-1], 2 if max(a.ndim, b.ndim) > 2 else 3)
    if b.ndim == 1:
        return case((*batch_of(a), n, n), (n,))
    columns = {a.shape[-1]: n, 1: 1, 0: 0}.get(b.shape[-1], 3 if n == 2 else 2)
    return case((*batch_of(a), n, n), (*batch_of(b), n, columns))


# inv


INVERTS = Equation("a x = 1", lambda f, x, a: a @ x - f.eye(len(a)))


def inv_rule(g, y, a):
    return -(transposed(y) @ g @ transposed(y))


# det


def det_infer(a: Spec) -> Inferred:
    require_square(a)
    return Inferred((Spec(a.shape[:-2], a.dtype),))


def det(a):
    """`numpy.linalg.det` of the scaled matrix: NumPy's exponential of a sum of logarithms loses digits at large sums."""
    with np.errstate(all="ignore"):
        even, sizes = evened(a)
        result = scaled(np.linalg.det(even), sum(np.sum(size, (-1, -2)) for size in sizes))
    return np.asarray(result, a.dtype)


DETERMINES = Equation("x = det a", lambda f, x, a: x - f.det(a))


def det_rule(g, y, a):
    """g times the cofactors of a."""
    return ops.expand_dims(g, axis=(-2, -1)) * ops.cofactors(a)


# cofactors


def cofactors(a):
    """The matrix of cofactors: products for up to three rows, from the inverse or the singular values beyond."""
    n = a.shape[-1]
    if n < 2:
        return np.ones_like(a)
    if n == 2:
        return np.flip(a, (-2, -1)) * np.array([[1, -1], [-1, 1]], a.dtype)
    with np.errstate(all="ignore"):
        if n == 3:
            rolled = [[np.roll(a, (-p, -q), (-2, -1)) for q in (1, 2)] for p in (1, 2)]
            return rolled[0][0] * rolled[1][1] - rolled[0][1] * rolled[1][0]
        even, sizes = evened(a.astype(np.result_type(a.dtype, np.float64)))
        if not np.isfinite(even).all():
            return np.full_like(a, np.nan)
        cells, exponents = cofactors_of_evened(even)
        powers = sum(np.sum(size, (-1, -2), keepdims=True) - size for size in sizes)
        return scaled(cells, powers + exponents).astype(a.dtype)


def cofactors_of_evened(even):
    """Cofactors of four rows or more, as mantissas and exponents.

    Products without a singular value exist for singular matrices too; far from these the inverse keeps more digits."""
    n = even.shape[-1]
    left, singular, right = np.linalg.svd(even)
    signs = np.sign(np.linalg.det(left) * np.linalg.det(right))[..., None]
    part, power = np.ones_like(singular), np.zeros(singular.shape, np.int64)
    for k in range(n):  # products without each singular value, powers of two apart
        part, more = np.frexp(part * np.where(np.arange(n) == k, 1, singular[..., k : k + 1]))
        power = np.where(part == 0, -(2**30), power + more)
    top = np.max(power, -1, keepdims=True)
    from_values = left.conj() * scaled(part * signs, power - top)[..., None, :] @ right.conj()
    whole = np.linalg.det(even)
    inside = (np.abs(whole) > 1e-200) & (np.abs(whole) < 1e200) & (singular[..., -1] > singular[..., 0] / 2**20)
    inside = inside[..., None, None]
    inverse = np.linalg.inv(np.where(inside, even, np.eye(n)))
    cells = np.where(inside, whole[..., None, None] * np.swapaxes(inverse, -1, -2), from_values)
    return cells, np.where(inside, 0, top[..., None])


COFACTORS = Equation("x = cofactors of a", lambda f, x, a: x - f.cofactors(a))


def cofactors_rule(g, y, a):
    """a⁻ᵀ @ (⟨g, y⟩ - gᵀ @ y) for an invertible a of 4 rows or more, from d(det(a) a⁻ᵀ).

    The rule is linear for 2 rows and quadratic for 3, where it needs no inverse."""
    n = a.shape[-1]
    if n == 2:
        return ops.cofactors(g)
    if n == 3:
        a, g = rolled(a), rolled(g)
        return g[2, 2] * a[1, 1] + g[1, 1] * a[2, 2] - g[2, 1] * a[1, 2] - g[1, 2] * a[2, 1]
    if n < 2:
        return zeros_like(a)
    back = transposed(ops.inv(a))
    return back * ops.sum(g * y, axis=(-2, -1), keepdims=True) - back @ transposed(g) @ y


def rolled(a):
    """A stack of matrices with rows and columns rolled by p and q, each 1 or 2, by (p, q)."""
    n, axis = a.shape[-1], a.ndim - 1
    wide = ops.concat(a, a, axis=axis)
    wide = ops.concat(wide, wide, axis=axis - 1)
    start, places = (0,) * (a.ndim - 2), ((p, q) for p in (1, 2) for q in (1, 2))
    return {(p, q): ops.slice(wide, start=(*start, p, q), stop=(*a.shape[:-2], p + n, q + n)) for p, q in places}


def cofactors_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """As `square_shrink`; 4 rows stand for all larger numbers, which have a rule of their own."""
    [a] = specs
    n = min(a.shape[-1], 4)
    return case((*batch_of(a), n, n) if n < 3 else (*(1,) * (a.ndim - 2), n, n))


# cholesky


def symmetric(a):
    """The symmetric part, in a definition."""
    return (a + a.T) / 2


def cholesky_infer(a: Spec, *, upper: object = False) -> Inferred:
    require_square(a, REALS)
    return Inferred((Spec(a.shape, a.dtype),), {"upper": boolean("upper", upper)})


def cholesky_forward(a, *, upper):
    factor = np.linalg.cholesky((a + np.swapaxes(a, -1, -2)) / 2)
    return np.swapaxes(factor, -1, -2) if upper else factor


FACTORS = Equation(
    "L Lᵀ = (a + aᵀ) / 2, L triangular with positive diagonal, x = L or Lᵀ",
    lambda f, x, a, *, upper: (x.T @ x if upper else x @ x.T) - symmetric(a),
    start=lambda a, *, upper: np.linalg.cholesky(symmetric(a), upper=upper),
    positive=lambda f, x, a, *, upper: np.diagonal(x),
    triangular=lambda *, upper: UPPER if upper else LOWER,
)


def cholesky_rule(g, y, a, *, upper):
    """(S + Sᵀ) / 2 with S = L⁻ᵀ Φ(Lᵀ g) L⁻¹; Φ takes the lower triangle with half of the diagonal (Murray 2016)."""
    g, y = (transposed(g), transposed(y)) if upper else (g, y)
    inner = transposed(y) @ g
    phi = (ops.tril(inner) + ops.tril(inner, k=-1)) / 2
    s = ops.solve(transposed(y), transposed(ops.solve(transposed(y), transposed(phi))))
    return (s + transposed(s)) / 2


def cholesky_chart(f, free, a, *, upper):
    """A free factor with positive diagonal, and a free antisymmetric part, on which the op does not depend."""
    x, y = np.empty(a.shape, object), np.full(a.shape, f.number(0))
    for batch in np.ndindex(a.shape[:-2]):
        for r, c in zip(*np.tril_indices(a.shape[-1])):
            y[(*batch, r, c)] = free(f"L{[*batch, int(r), int(c)]}", POSITIVE if r == c else REAL)
        x[batch] = y[batch] @ y[batch].T
        for r, c in zip(*np.tril_indices(a.shape[-1], -1)):
            skew = free(f"K{[*batch, int(r), int(c)]}")
            x[(*batch, r, c)] += skew
            x[(*batch, c, r)] -= skew
    return (x,), (np.swapaxes(y, -1, -2) if upper else y,)


SQUARES = (case((1, 1)), case((2, 2)), case((3, 3)), case((2, 2, 2)))
FACTORED = (*SQUARES, *(replace(square, attributes={"upper": True}) for square in SQUARES[1:]))
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

# fmt: off
DECOMPOSITIONS = (
    # op           forward                    rule            equation    inference     cases
    H("solve",     stacked(np.linalg.solve),  solve_rule,     SOLVES,     solve_infer,  SYSTEMS,
      domains=(INVERTIBLE, REAL), shrink=solve_shrink, normwise=True,
      doc="x of a x = b, for a vector b or for each column of a matrix b"),
    H("inv",       stacked(np.linalg.inv),    inv_rule,       INVERTS,    square_infer, SQUARES,
      domains=INVERTIBLE, shrink=square_shrink, normwise=True, doc="the inverse of a matrix"),
    H("det",       det,                       det_rule,       DETERMINES, det_infer,    SQUARES,
      shrink=square_shrink, normwise=True, doc="the determinant"),
    H("cofactors", cofactors,                 cofactors_rule, COFACTORS,  square_infer, SQUARES,
      shrink=cofactors_shrink, normwise=True,
      doc="the matrix of cofactors: the gradient of the determinant, of singular matrices too"),
    R("cholesky",  stacked(cholesky_forward), cholesky_rule,  FACTORS,    cholesky_infer, FACTORED,
      domains=DEFINITE, shrink=square_shrink, normwise=True, chart=Parametrisation("A = L Lᵀ + K", cholesky_chart),
      doc="the lower factor L with L Lᵀ = (a + aᵀ) / 2, or Lᵀ for upper"),
)
# fmt: on

register_ops = registering(*named(DECOMPOSITIONS))
