"""The families of all rows."""

from client_names import elementwise, reductions
from client_names.row import Family

BROADCAST = "Shapes broadcast; RuntimeError if they do not."
REDUCED = "The axes go, or stay with size 1 if ``keepdim``."
CORRECTED = "``correction`` is 1, or 0 where ``unbiased`` is False."
RANGE = "Raises IndexError for an axis out of range."
CONVERTED = "Elements are converted to ``dtype`` first."
DTYPE = "dtype: DTypeLike | None = None"
AS_DTYPE = "{x} if dtype is None else {x}.to(dtype)"
SPREAD = (
    "dim: Axes = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None, axis: Axes = None"
)
VARIANCE = (
    "apply({op}, {x}, axis=axes_of({x}, axis if dim is None else dim), "
    "correction=int(unbiased) if correction is None else correction, keepdims=keepdim)"
)

FAMILIES = (
    Family(elementwise.UNARY, "The shape stays."),
    Family(elementwise.BINARY, BROADCAST, "other: Operand", symmetric=True),
    Family(elementwise.PRODUCTS, "Raises InvalidRequest if shapes do not fit.", "other: Operand"),
    Family(
        reductions.REDUCTIONS,
        f"{REDUCED} {CONVERTED} {RANGE}",
        f"dim: Axes = None, keepdim: bool = False, *, axis: Axes = None, keepdims: bool = False, {DTYPE}",
        f"apply({{op}}, {AS_DTYPE}, axis=axes_of({{x}}, axis if dim is None else dim), keepdims=bool(keepdim or keepdims))",
    ),
    Family(reductions.VARIANCES, f"{CORRECTED} {REDUCED} {RANGE}", SPREAD, VARIANCE),
    Family(reductions.DEVIATIONS, f"{CORRECTED} {REDUCED} {RANGE}", SPREAD, f"apply('sqrt', {VARIANCE})"),
    Family(reductions.NORMALISED, f"{CONVERTED} {RANGE}", f"dim: int = -1, *, {DTYPE}", f"along({{op}}, {AS_DTYPE}, dim)"),
    Family(reductions.RUNNING, f"{CONVERTED} {RANGE}", f"dim: int = 0, *, {DTYPE}", f"along({{op}}, {AS_DTYPE}, dim)"),
)
"""Families, in the order of their methods."""
