"""The families of all rows."""

from client_names import activations, elementwise, losses, products, reductions, shapes, special
from client_names.row import Family

BROADCAST = "Shapes broadcast; RuntimeError if they do not."
REDUCED = "The axes go, or stay with size 1 if ``keepdim``."
CORRECTED = "``correction`` is 1, or 0 where ``unbiased``, which may stand first, is False."
RANGE = "Raises IndexError for an axis out of range."
CONVERTED = "Elements are converted to ``dtype`` first."
FITTING = "Raises InvalidRequest if shapes do not fit."
DTYPE = "dtype: DTypeLike | None = None"
AS_DTYPE = "{x} if dtype is None else {x}.to(dtype)"
LOSS = (
    'The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves. '
    "Raises InvalidRequest if shapes do not fit."
)

FAMILIES = (
    Family(elementwise.UNARY, "The shape stays."),
    Family(elementwise.BINARY, BROADCAST, "other: Operand", symmetric=True),
    Family(elementwise.OTHER, BROADCAST),
    Family(special.UNARY, "The shape stays."),
    Family(special.BINARY, BROADCAST, "other: Operand", symmetric=True),
    Family(activations.ACTIVATIONS, "Raises InvalidRequest if parameters are out of range."),
    Family(products.PRODUCTS, FITTING),
    Family(
        reductions.REDUCTIONS,
        f"{REDUCED} {CONVERTED} {RANGE}",
        f"dim: Axes = None, keepdim: bool = False, *, axis: Axes = None, keepdims: bool = False, {DTYPE}",
        f"apply({{op}}, {AS_DTYPE}, axis=axes_of({{x}}, axis if dim is None else dim), keepdims=bool(keepdim or keepdims))",
    ),
    Family(reductions.TRUTHS, f"{REDUCED} {RANGE}", "dim: Axes = None, keepdim: bool = False"),
    Family(
        reductions.VARIANCES,
        f"{CORRECTED} {REDUCED} {RANGE}",
        "dim: Axes = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None, "
        "axis: Axes = None",
        "spread({op}, {x}, axis if dim is None else dim, unbiased, keepdim, correction)",
    ),
    Family(reductions.NORMALISED, f"{CONVERTED} {RANGE}", f"dim: int = -1, *, {DTYPE}", f"along({{op}}, {AS_DTYPE}, dim)"),
    Family(reductions.RUNNING, f"{CONVERTED} {RANGE}", f"dim: int = 0, *, {DTYPE}", f"along({{op}}, {AS_DTYPE}, dim)"),
    Family(reductions.ALONG, RANGE),
    Family(reductions.WEIGHTED, f"{REDUCED} {RANGE}"),
    Family(reductions.NORMS, f"{REDUCED} {CONVERTED} {RANGE}"),
    Family(shapes.SHAPES, RANGE),
    Family(shapes.PARTS, RANGE),
    Family(shapes.UPDATES, f"{FITTING} {RANGE}"),
    Family(activations.DISTANCES, FITTING),
    Family(losses.LOSSES, LOSS),
)
"""Families, in the order of their methods."""
