"""Elementwise ops by their names, and products of matrices."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
UNARY = (
    Row("abs absolute",                                "abs",         "The absolute value |x| of each element; of complex elements the modulus, of real dtype.", "="),
    Row("neg negative",                                "negative",    "-x of each element.", "negative"),
    Row("square",                                      "square",      "x² of each element.", "="),
    Row("reciprocal",                                  "reciprocal",  "1 / x of each element.", "="),
    Row("sqrt",                                        "sqrt",        "√x of each element.", "="),
    Row("rsqrt",                                       "rsqrt",       "1 / √x of each element."),
    Row("sign sgn",                                    "sign",        "The sign -1, 0 or 1 of each element; x / |x| of complex elements.", "="),
    Row("exp",                                         "exp",         "eˣ of each element.", "="),
    Row("exp2 special.exp2",                           "exp2",        "2ˣ of each element."),
    Row("expm1 special.expm1",                         "expm1",       "eˣ - 1 of each element, accurate near 0.", "="),
    Row("log",                                         "log",         "The natural logarithm of each element.", "="),
    Row("log2",                                        "log2",        "The logarithm to base 2 of each element.", "="),
    Row("log10",                                       "log10",       "The logarithm to base 10 of each element.", "="),
    Row("log1p special.log1p",                         "log1p",       "The natural logarithm of 1 + x of each element, accurate near 0.", "="),
    Row("sin",                                         "sin",         "The sine of each element, in radians.", "="),
    Row("cos",                                         "cos",         "The cosine of each element, in radians.", "="),
    Row("tan",                                         "tan",         "The tangent of each element, in radians.", "="),
    Row("asin arcsin",                                 "asin",        "The inverse sine of each element, in radians.", "="),
    Row("acos arccos",                                 "acos",        "The inverse cosine of each element, in radians.", "="),
    Row("atan arctan",                                 "atan",        "The inverse tangent of each element, in radians.", "="),
    Row("sinh",                                        "sinh",        "The hyperbolic sine of each element.", "="),
    Row("cosh",                                        "cosh",        "The hyperbolic cosine of each element.", "="),
    Row("tanh nn.functional.tanh",                     "tanh",        "The hyperbolic tangent of each element.", "="),
    Row("asinh arcsinh",                               "asinh",       "The inverse hyperbolic sine of each element.", "="),
    Row("acosh arccosh",                               "acosh",       "The inverse hyperbolic cosine of each element.", "="),
    Row("atanh arctanh",                               "atanh",       "The inverse hyperbolic tangent of each element.", "="),
    Row("sigmoid special.expit nn.functional.sigmoid", "sigmoid",     "The logistic function 1 / (1 + e⁻ˣ) of each element."),
    Row("softplus",                                    "softplus",    "ln(1 + eˣ) of each element.", torch="nn.functional.softplus"),
    Row("silu nn.functional.silu",                     "silu",        "x · sigmoid(x) of each element.", torch="nn.functional.silu"),
    Row("relu nn.functional.relu",                     "relu",        "The larger of x and 0, element by element."),
    Row("gelu",                                        "gelu",        "x Φ(x) of each element, Φ the normal distribution function (no tanh approximation).", torch="nn.functional.gelu"),
    Row("erf special.erf",                             "erf",         "The error function of each element."),
    Row("erfc special.erfc",                           "erfc",        "1 - erf(x) of each element, accurate for large x."),
    Row("logical_not",                                 "logical_not", "True where an element is 0; bool.", "="),
    Row("floor",                                       "floor",       "The largest integer up to each element.", "="),
    Row("ceil",                                        "ceil",        "The smallest integer from each element on.", "="),
    Row("trunc fix",                                   "trunc",       "Each element without its fractional part.", "="),
    Row("round special.round",                         "round",       "The nearest integer of each element; a half goes to the even one.", "="),
)

BINARY = (
    Row("subtract",         "subtract",      "``self - other``.", "="),
    Row("mul multiply",     "multiply",      "``self * other``.", "multiply"),
    Row("pow",              "pow",           "``self ** exponent``.", "=", "exponent: Operand"),
    Row("maximum",          "maximum",       "The larger element; a tie shares the gradient evenly.", "="),
    Row("minimum",          "minimum",       "The smaller element; a tie shares the gradient evenly.", "="),
    Row("hypot",            "hypot",         "``sqrt(self**2 + other**2)``, without overflow in between.", "="),
    Row("atan2 arctan2",    "atan2",         "The angle of the point (other, self), in radians.", "="),
    Row("logaddexp",        "logaddexp",     "``log(exp(self) + exp(other))``, without overflow in between.", "="),
    Row("eq",               "equal",         "True where ``self == other``; bool.", "equal"),
    Row("ne not_equal",     "not_equal",     "True where ``self != other``; bool.", "not_equal"),
    Row("lt less",          "less",          "True where ``self < other``; bool.", "less"),
    Row("le less_equal",    "less_equal",    "True where ``self <= other``; bool.", "less_equal"),
    Row("gt greater",       "greater",       "True where ``self > other``; bool.", "greater"),
    Row("ge greater_equal", "greater_equal", "True where ``self >= other``; bool.", "greater_equal"),
    Row("logical_and",      "logical_and",   "True where both are not 0; bool.", "="),
    Row("logical_or",       "logical_or",    "True where either is not 0; bool.", "="),
    Row("floor_divide",     "floor_divide",  "The largest integer up to ``self / other``.", "="),
    Row("remainder",        "remainder",     "``self - other * floor(self / other)``, which has the sign of ``other``.", "="),
)

PRODUCTS = (
    Row("matmul", "matmul", "The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).", "="),
    Row("mm",     "matmul", "The matrix product of (n, k) and (k, m): (n, m).", "-", "mat2: Operand"),
    Row("mv",     "matmul", "The product of a matrix (n, k) and a vector (k,): (n,).", "-", "vec: Operand"),
    Row("dot",    "matmul", "The inner product of two vectors (k,): a scalar.", "-", "tensor: Operand"),
    Row("bmm",    "matmul", "The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).", "-", "mat2: Operand"),
)
# fmt: on
