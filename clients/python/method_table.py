"""The tensor methods that share signatures: name, op of the server, text, counterparts in PyTorch and in the Array API.

A name of PyTorch or the standard that is the method's own is written ``=``, none is written ``-``.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A method: its name, op, first sentence, and its counterparts in PyTorch and in the Array API standard."""

    name: str
    op: str
    text: str
    torch: str = "="
    array_api: str = "-"


# fmt: off
# ruff: noqa: E501
UNARY = (
    Row("abs",         "abs",         "The absolute value |x| of each element; of complex elements the modulus, of real dtype.", "=", "="),
    Row("neg",         "negative",    "-x of each element.",                                                   "=", "negative"),
    Row("square",      "square",      "x² of each element.",                                                   "=", "="),
    Row("reciprocal",  "reciprocal",  "1 / x of each element.",                                                "=", "="),
    Row("sqrt",        "sqrt",        "√x of each element.",                                                   "=", "="),
    Row("rsqrt",       "rsqrt",       "1 / √x of each element."),
    Row("sign",        "sign",        "The sign -1, 0 or 1 of each element; x / |x| of complex elements.",     "sgn", "="),
    Row("exp",         "exp",         "eˣ of each element.",                                                   "=", "="),
    Row("exp2",        "exp2",        "2ˣ of each element."),
    Row("expm1",       "expm1",       "eˣ - 1 of each element, accurate near 0.",                              "=", "="),
    Row("log",         "log",         "The natural logarithm of each element.",                                "=", "="),
    Row("log2",        "log2",        "The logarithm to base 2 of each element.",                              "=", "="),
    Row("log10",       "log10",       "The logarithm to base 10 of each element.",                             "=", "="),
    Row("log1p",       "log1p",       "The natural logarithm of 1 + x of each element, accurate near 0.",      "=", "="),
    Row("sin",         "sin",         "The sine of each element, in radians.",                                 "=", "="),
    Row("cos",         "cos",         "The cosine of each element, in radians.",                               "=", "="),
    Row("tan",         "tan",         "The tangent of each element, in radians.",                              "=", "="),
    Row("asin",        "asin",        "The inverse sine of each element, in radians.",                         "=", "="),
    Row("acos",        "acos",        "The inverse cosine of each element, in radians.",                       "=", "="),
    Row("atan",        "atan",        "The inverse tangent of each element, in radians.",                      "=", "="),
    Row("sinh",        "sinh",        "The hyperbolic sine of each element.",                                  "=", "="),
    Row("cosh",        "cosh",        "The hyperbolic cosine of each element.",                                "=", "="),
    Row("tanh",        "tanh",        "The hyperbolic tangent of each element.",                               "=", "="),
    Row("asinh",       "asinh",       "The inverse hyperbolic sine of each element.",                          "=", "="),
    Row("acosh",       "acosh",       "The inverse hyperbolic cosine of each element.",                        "=", "="),
    Row("atanh",       "atanh",       "The inverse hyperbolic tangent of each element.",                       "=", "="),
    Row("sigmoid",     "sigmoid",     "The logistic function 1 / (1 + e⁻ˣ) of each element."),
    Row("softplus",    "softplus",    "ln(1 + eˣ) of each element.",                                           "nn.functional.softplus"),
    Row("silu",        "silu",        "x · sigmoid(x) of each element.",                                       "nn.functional.silu"),
    Row("relu",        "relu",        "The larger of x and 0, element by element."),
    Row("gelu",        "gelu",        "x Φ(x) of each element, Φ the normal distribution function (no tanh approximation).", "nn.functional.gelu"),
    Row("erf",         "erf",         "The error function of each element."),
    Row("erfc",        "erfc",        "1 - erf(x) of each element, accurate for large x."),
    Row("logical_not", "logical_not", "True where an element is 0; bool.",                                     "=", "="),
    Row("floor",       "floor",       "The largest integer up to each element.",                               "=", "="),
    Row("ceil",        "ceil",        "The smallest integer from each element on.",                            "=", "="),
    Row("trunc",       "trunc",       "Each element without its fractional part.",                             "=", "="),
    Row("round",       "round",       "The nearest integer of each element; a half goes to the even one.",     "=", "="),
)

BINARY = (
    Row("subtract",     "subtract",      "``self - other``.",                                               "=", "="),
    Row("mul",          "multiply",      "``self * other``.",                                               "=", "multiply"),
    Row("multiply",     "multiply",      "``self * other``.",                                               "=", "="),
    Row("pow",          "pow",           "``self ** other``.",                                              "=", "="),
    Row("maximum",      "maximum",       "The larger element; a tie shares the gradient evenly.",           "=", "="),
    Row("minimum",      "minimum",       "The smaller element; a tie shares the gradient evenly.",          "=", "="),
    Row("hypot",        "hypot",         "``sqrt(self**2 + other**2)``, without overflow in between.",      "=", "="),
    Row("atan2",        "atan2",         "The angle of the point (other, self), in radians.",               "=", "="),
    Row("logaddexp",    "logaddexp",     "``log(exp(self) + exp(other))``, without overflow in between.",  "=", "="),
    Row("eq",           "equal",         "True where ``self == other``; bool.",                             "=", "equal"),
    Row("ne",           "not_equal",     "True where ``self != other``; bool.",                             "=", "not_equal"),
    Row("lt",           "less",          "True where ``self < other``; bool.",                              "=", "less"),
    Row("le",           "less_equal",    "True where ``self <= other``; bool.",                             "=", "less_equal"),
    Row("gt",           "greater",       "True where ``self > other``; bool.",                              "=", "greater"),
    Row("ge",           "greater_equal", "True where ``self >= other``; bool.",                             "=", "greater_equal"),
    Row("logical_and",  "logical_and",   "True where both are not 0; bool.",                                "=", "="),
    Row("logical_or",   "logical_or",    "True where either is not 0; bool.",                               "=", "="),
    Row("floor_divide", "floor_divide",  "The largest integer up to ``self / other``.",                     "=", "="),
    Row("remainder",    "remainder",     "``self - other * floor(self / other)``, which has the sign of ``other``.", "=", "="),
)

PRODUCTS = (
    Row("matmul", "matmul", "The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).", "=", "="),
    Row("mm",     "matmul", "The matrix product of (n, k) and (k, m): (n, m)."),
    Row("mv",     "matmul", "The product of a matrix (n, k) and a vector (k,): (n,)."),
    Row("dot",    "matmul", "The inner product of two vectors (k,): a scalar."),
    Row("bmm",    "matmul", "The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m)."),
)

REDUCTIONS = (
    Row("sum",       "sum",       "The sum over all axes, or over ``dim``.", "=", "="),
    Row("mean",      "mean",      "The mean over all axes, or over ``dim``.", "=", "="),
    Row("prod",      "prod",      "The product over all axes, or over ``dim``.", "=", "="),
    Row("amax",      "max",       "The largest element over all axes, or over ``dim``; ties share the gradient evenly.",  "=", "max"),
    Row("amin",      "min",       "The smallest element over all axes, or over ``dim``; ties share the gradient evenly.", "=", "min"),
    Row("logsumexp", "logsumexp", "ln Σ eˣ over all axes, or over ``dim``, without overflow in between."),
)

VARIANCES = (
    Row("var", "var", "The variance over all axes, or over ``dim``: the sum of squared deviations over n - ``correction``.", "=", "="),
)

DEVIATIONS = (
    Row("std", "var", "The standard deviation over all axes, or over ``dim``: the root of `var`.", "=", "="),
)

NORMALISED = (
    Row("softmax",     "softmax",     "eˣ / Σ eˣ along ``dim``; the shape stays."),
    Row("log_softmax", "log_softmax", "x - ln Σ eˣ along ``dim``; the shape stays.", "nn.functional.log_softmax"),
)

RUNNING = (
    Row("cumsum",      "cumsum",      "Running sums along ``dim``; the shape stays.",     "=", "cumulative_sum"),
    Row("cumprod",     "cumprod",     "Running products along ``dim``; the shape stays.", "=", "cumulative_prod"),
)
# fmt: on

FUNCTIONS = (
    *(
        row.name
        for table in (UNARY, BINARY, PRODUCTS, REDUCTIONS, VARIANCES, DEVIATIONS, NORMALISED, RUNNING)
        for row in table
        if row.name not in ("maximum", "minimum")
    ),
    "add", "all", "any", "argmax", "argmin", "argsort", "broadcast_to", "chunk", "clamp", "clamp_max", "clamp_min", "clip",
    "clone", "conj", "det", "diagonal", "div", "divide", "flatten", "flip", "frac", "gather", "imag", "index_select",
    "inverse", "is_complex", "is_floating_point", "isfinite", "isinf", "isnan", "logical_xor", "masked_fill",
    "masked_select", "max", "min", "narrow", "norm", "numel", "outer", "permute", "real", "reshape", "select", "sort",
    "split", "squeeze", "sub", "t", "take", "topk", "trace", "transpose", "tril", "triu", "unbind", "unsqueeze",
)  # fmt: skip
"""Methods that are functions too: ``exp(x)`` is ``x.exp()``. `maximum` and `minimum` are functions of any operands."""
