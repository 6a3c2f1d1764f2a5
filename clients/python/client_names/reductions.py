"""Ops over axes by their names: reductions, statistics, norms, and ops along an axis."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
REDUCTIONS = (
    Row("sum",       "sum",       "The sum over all axes, or over ``dim``.", "="),
    Row("mean",      "mean",      "The mean over all axes, or over ``dim``.", "="),
    Row("prod",      "prod",      "The product over all axes, or over ``dim``.", "="),
    Row("amax",      "max",       "The largest element over all axes, or over ``dim``; ties share the gradient evenly.", "max"),
    Row("amin",      "min",       "The smallest element over all axes, or over ``dim``; ties share the gradient evenly.", "min"),
    Row("logsumexp special.logsumexp", "logsumexp", "ln Σ eˣ over all axes, or over ``dim``, without overflow in between; ln Σ ``b`` eˣ for weights ``b``.", "-", "dim: Axes = None, keepdim: bool = False, *, b: Operand | None = None, axis: Axes = None, keepdims: bool = False, dtype: DTypeLike | None = None", "apply({op}, {x} if dtype is None else {x}.to(dtype), *given(b), axis=axes_of({x}, axis if dim is None else dim), keepdims=bool(keepdim or keepdims))"),
    Row("nansum",    "nansum",    "The sum of the elements over all axes, or over ``dim``, that are not nan."),
    Row("nanmean",   "nanmean",   "The mean of the elements over all axes, or over ``dim``, that are not nan."),
    Row("torch.nanprod", "nanprod", "The product of the elements over all axes, or over ``dim``, that are not nan.", follows="numpy.nanprod"),
    Row("torch.nanmax", "nanmax", "The largest element over all axes, or over ``dim``, that is not nan.", follows="numpy.nanmax"),
    Row("torch.nanmin", "nanmin", "The smallest element over all axes, or over ``dim``, that is not nan.", follows="numpy.nanmin"),
    Row("torch.ptp", "ptp",       "The largest less the smallest element over all axes, or over ``dim``.", follows="numpy.ptp"),
)

TRUTHS = (
    Row("all",           "all",           "True if all elements, over all axes or ``dim``, are not 0; bool.", "="),
    Row("any",           "any",           "True if an element, over all axes or ``dim``, is not 0; bool.", "="),
    Row("count_nonzero", "count_nonzero", "The number of elements over all axes, or over ``dim``, that are not 0.", "=", "dim: Axes = None"),
)

VARIANCES = (
    Row("var",          "var",    "The variance over all axes, or over ``dim``: the sum of squared deviations over n - ``correction``.", "="),
    Row("std",          "std",    "The standard deviation over all axes, or over ``dim``: the root of `var`.", "="),
)

NORMALISED = (
    Row("softmax special.softmax nn.functional.softmax", "softmax", "eˣ / Σ eˣ along ``dim``; the shape stays."),
    Row("log_softmax special.log_softmax nn.functional.log_softmax", "log_softmax", "x - ln Σ eˣ along ``dim``; the shape stays."),
    Row("nn.functional.softmin", "softmin", "e⁻ˣ / Σ e⁻ˣ along ``dim``; the shape stays."),
)

RUNNING = (
    Row("cumsum",       "cumsum",       "Running sums along ``dim``; the shape stays.", "cumulative_sum"),
    Row("cumprod",      "cumprod",      "Running products along ``dim``; the shape stays.", "cumulative_prod"),
)

ALONG = (
    Row("logcumsumexp", "logcumsumexp", "Running ln Σ eˣ along ``dim``, without overflow in between; the shape stays.", "-", "dim: int"),
    Row("trace",        "trace",        "The sum of the diagonal of a matrix.", "linalg.trace"),
    Row("msort",        "sort",         "The elements sorted along the first axis.", "-", "", "along({op}, {x}, 0)"),
    Row("quantile",     "quantile",     "The quantile of a share ``q``, or of several, over all axes, or over ``dim``.", "-", "q: float | Sequence[float], dim: int | None = None, keepdim: bool = False, *, interpolation: str = 'linear'", "apply({op}, {x}, q=q, axis=axes_of({x}, dim), keepdims=keepdim, method=interpolation)"),
    Row("nanquantile",  "nanquantile",  "The quantile of the elements that are not nan.", "-", "q: float | Sequence[float], dim: int | None = None, keepdim: bool = False, *, interpolation: str = 'linear'", "apply({op}, {x}, q=q, axis=axes_of({x}, dim), keepdims=keepdim, method=interpolation)"),
)

WEIGHTED = (
    Row("torch.average", "average", "The mean over all axes, or over ``dim``, with ``weights`` of their shape.", "-", "dim: Axes = None, *, weights: Operand | None = None, keepdim: bool = False", follows="numpy.average"),
)

NORMS = (
    Row("linalg.vector_norm", "vector_norm", "The norm of order ``ord`` of the elements over all axes, or over ``dim``.", "linalg.vector_norm", "ord: float = 2, dim: Axes = None, keepdim: bool = False, *, dtype: DTypeLike | None = None", first="x"),
    Row("linalg.matrix_norm", "matrix_norm", "The norms of matrices along the axes ``dim``: Frobenius, or the largest or smallest sum of a column (1, -1) or of a row (inf, -inf).", "linalg.matrix_norm", "ord: float | str = 'fro', dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: DTypeLike | None = None", "apply({op}, {x} if dtype is None else {x}.to(dtype), ord=ord, axis=axes_of({x}, dim), keepdims=keepdim)", first="A"),
    Row("linalg.norm",        "norm",        "The norm of vectors along an axis ``dim``, or of matrices along two; without ``dim`` that of a vector or matrix, and without ``ord`` that of all elements.", "-", "ord: float | str | None = None, dim: Axes = None, keepdim: bool = False, *, dtype: DTypeLike | None = None", "apply({op}, {x} if dtype is None else {x}.to(dtype), ord=ord, axis=axes_of({x}, dim), keepdims=keepdim)", first="A"),
)
# fmt: on
