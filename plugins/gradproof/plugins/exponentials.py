"""Exponentials and logarithms."""

import numpy as np

from gradproof.engine.extend import ABOVE_MINUS_ONE, HOLOMORPHIC, POSITIVE, Exact, Op, hookimpl, ops

GRADPROOF_API = 1

LN2 = Exact(lambda f: f.log(f.number(2)))
LN10 = Exact(lambda f: f.log(f.number(10)))


def log1p(x):
    """NumPy's, which of complex numbers takes the logarithm of 1 + x, and x is lost in it where it is small."""
    if x.dtype.kind != "c":
        return np.log1p(x)
    beyond = x.real * (2 + x.real) + x.imag * x.imag  # |1 + x|² - 1
    near = np.abs(beyond) < 0.5
    out = np.array(np.log(1 + x))
    out.real = np.where(near, np.log1p(np.where(near, beyond, 0)) / 2, out.real)
    return out


EXPONENTIALS = (
    Op("exp", np.exp, lambda g, y, x: g * y, lambda f, x: f.exp(x), complex=HOLOMORPHIC, doc="eˣ"),
    Op(
        "exp2",
        np.exp2,
        lambda g, y, x: g * (y * LN2),
        lambda f, x: f.exp(x * f.log(f.number(2))),
        complex=HOLOMORPHIC,
        doc="2ˣ",
    ),
    Op("expm1", np.expm1, lambda g, y, x: g * ops.exp(x), lambda f, x: f.expm1(x), complex=HOLOMORPHIC, doc="eˣ - 1"),
    Op("log", np.log, lambda g, y, x: g / x, lambda f, x: f.log(x), domains=POSITIVE, complex=HOLOMORPHIC, doc="ln x"),
    Op(
        "log2",
        np.log2,
        lambda g, y, x: g / x / LN2,
        lambda f, x: f.log(x) / f.log(f.number(2)),
        domains=POSITIVE,
        complex=HOLOMORPHIC,
        doc="log₂ x",
    ),
    Op(
        "log10",
        np.log10,
        lambda g, y, x: ops.ratio(g, 1, x, LN10),
        lambda f, x: f.log(x) / f.log(f.number(10)),
        domains=POSITIVE,
        complex=HOLOMORPHIC,
        doc="log₁₀ x",
    ),
    Op(
        "log1p",
        log1p,
        lambda g, y, x: g / (1 + x),
        lambda f, x: f.log1p(x),
        domains=ABOVE_MINUS_ONE,
        grad_fn="Log1PBackward0",
        complex=HOLOMORPHIC,
        doc="ln(1 + x)",
    ),
    Op(
        "logaddexp",
        np.logaddexp,
        lambda g, y, a, b: (g * ops.sigmoid(a - b), g * ops.sigmoid(b - a)),
        lambda f, a, b: f.log(f.exp(a) + f.exp(b)),
        doc="ln(eᵃ + eᵇ)",
    ),
)


@hookimpl
def register_ops(register):
    for op in EXPONENTIALS:
        register(op)
