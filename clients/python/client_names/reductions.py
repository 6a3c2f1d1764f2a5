"""Ops over axes by their names: reductions, and ops along an axis."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
REDUCTIONS = (
    Row("sum",                         "sum",       "The sum over all axes, or over ``dim``.", "="),
    Row("mean",                        "mean",      "The mean over all axes, or over ``dim``.", "="),
    Row("prod",                        "prod",      "The product over all axes, or over ``dim``.", "="),
    Row("amax",                        "max",       "The largest element over all axes, or over ``dim``; ties share the gradient evenly.", "max"),
    Row("amin",                        "min",       "The smallest element over all axes, or over ``dim``; ties share the gradient evenly.", "min"),
    Row("logsumexp special.logsumexp", "logsumexp", "ln Σ eˣ over all axes, or over ``dim``, without overflow in between."),
)

VARIANCES = (
    Row("var", "var", "The variance over all axes, or over ``dim``: the sum of squared deviations over n - ``correction``.", "="),
)

DEVIATIONS = (
    Row("std", "var", "The standard deviation over all axes, or over ``dim``: the root of `var`.", "="),
)

NORMALISED = (
    Row("softmax",     "softmax",     "eˣ / Σ eˣ along ``dim``; the shape stays."),
    Row("log_softmax", "log_softmax", "x - ln Σ eˣ along ``dim``; the shape stays.", torch="nn.functional.log_softmax"),
)

RUNNING = (
    Row("cumsum",  "cumsum",  "Running sums along ``dim``; the shape stays.", "cumulative_sum"),
    Row("cumprod", "cumprod", "Running products along ``dim``; the shape stays.", "cumulative_prod"),
)
# fmt: on
