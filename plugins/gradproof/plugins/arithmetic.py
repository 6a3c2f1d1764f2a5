"""Arithmetic and powers."""

import numpy as np

from gradproof.engine.extend import (
    DIRECT,
    HOLOMORPHIC,
    NONZERO,
    POSITIVE,
    REAL,
    DataFault,
    Kink,
    Op,
    hookimpl,
    ops,
    zeros_like,
)
from gradproof.plugins.axes import first

GRADPROOF_API = 1


def pow_rule(g, y, x, exponent):
    """d(x^p) = p x^(p-1) dx + x^p log(x) dp; 0 where the power is constant, as x^0 in x and 0^p in p > 0. Nothing times the
    infinite slope of a root at 0, or of a power that overflowed, is nothing."""
    if x.dtype.kind == "c":
        slope = ops.where(ops.equal(exponent, 0), 0, exponent * ops.pow(x, exponent - 1))
        flat = ops.equal(x, 0)
        return g * slope, g * ops.where(flat, 0, y * ops.log(ops.where(flat, 1, x)))
    # Below 1 p x^p / x keeps the digits that p - 1 loses, and the range; from 1 on x^p would leave it before x^(p-1). Where
    # p - 1 is not a float it has lost the parity of p, and with it the sign.
    origin, less = ops.equal(x, 0), exponent - 1
    root = ops.logical_and(ops.logical_or(exponent < 1, ops.not_equal(exponent - less, 1)), ops.not_equal(x, 0))
    gentle = ops.logical_and(root, exponent > -1)
    steep = ops.ratio(g, ops.where(gentle, exponent * y, y), ops.where(root, x, 1), 1)
    still, lost = ops.equal(g, 0), ops.not_equal(y * 0, 0)
    none = ops.logical_or(ops.equal(exponent, 0), ops.logical_and(still, ops.logical_or(origin, lost)))
    share = ops.where(none, 0, ops.where(root, steep, g * ops.pow(x, less)))
    flat = ops.logical_and(origin, exponent >= 0)
    idle = ops.logical_or(flat, ops.logical_and(still, lost))
    return share * ops.where(gentle, 1, exponent), ops.where(idle, 0, g * y * ops.log(ops.where(flat, 1, x)))


def power(x, exponent):
    """NumPy's, which refuses negative powers of integers."""
    if x.dtype.kind in "iu" and exponent.dtype.kind == "i" and (exponent < 0).any():
        raise DataFault("an integer has no negative power: convert it with astype", element=first(exponent < 0))
    return np.power(x, exponent)


setattr(power, "ufunc", np.power)  # noqa: B010 - which it is, for float32 and float64


def divide_rule(g, y, a, b):
    return g / b, -ops.ratio(g, a, b, b)


def reciprocal_rule(g, y, x):
    """-1 / x²; of complex numbers -y², since a quotient by infinity is nan."""
    return -g * y * y if x.dtype.kind == "c" else -ops.ratio(g, 1, x, x)


def reciprocal(x):
    """NumPy's; of a complex number that is infinite 0, as in C, where NumPy has nan."""
    found = np.reciprocal(x)
    return np.where(np.isinf(x), 0, found) if x.dtype.kind == "c" else found


def sign_rule(g, y, x):
    """0 of a real number. A complex one is z / |z|: what of g turns it, over |z|."""
    if x.dtype.kind != "c":
        return zeros_like(x)
    size = ops.abs(x)
    origin = ops.equal(size, 0)
    turning = g - y * ops.real(g * ops.conj(y))
    return ops.where(origin, 0, turning / ops.where(origin, 1, size))


ARITHMETIC = (
    Op("add", np.add, lambda g, y, a, b: (g, g), lambda f, a, b: a + b, complex=HOLOMORPHIC, doc="a + b"),
    Op(
        "subtract",
        np.subtract,
        lambda g, y, a, b: (g, -g),
        lambda f, a, b: a - b,
        grad_fn="SubBackward0",
        complex=HOLOMORPHIC,
        doc="a - b",
    ),
    Op(
        "multiply",
        np.multiply,
        lambda g, y, a, b: (g * b, g * a),
        lambda f, a, b: a * b,
        grad_fn="MulBackward0",
        complex=HOLOMORPHIC,
        doc="a b",
    ),
    Op(
        "divide",
        np.divide,
        divide_rule,
        lambda f, a, b: a / b,
        domains=(REAL, NONZERO),
        grad_fn="DivBackward0",
        complex=HOLOMORPHIC,
        doc="a / b",
    ),
    Op("negative", np.negative, lambda g, y, x: -g, lambda f, x: -x, grad_fn="NegBackward0", complex=HOLOMORPHIC, doc="-x"),
    Op(
        "square",
        np.square,
        lambda g, y, x: g * x * 2,
        lambda f, x: x * x,
        grad_fn="PowBackward0",
        complex=HOLOMORPHIC,
        doc="x²",
    ),
    Op(
        "reciprocal",
        reciprocal,
        reciprocal_rule,
        lambda f, x: 1 / x,
        domains=NONZERO,
        complex=HOLOMORPHIC,
        doc="1 / x",
    ),
    Op(
        "sqrt",
        np.sqrt,
        lambda g, y, x: g / (2 * y),
        lambda f, x: f.sqrt(x),
        domains=POSITIVE,
        complex=HOLOMORPHIC,
        doc="√x",
    ),
    Op(
        "rsqrt",
        lambda x: 1 / np.sqrt(x),
        lambda g, y, x: -g / x * (y / 2),
        lambda f, x: 1 / f.sqrt(x),
        domains=POSITIVE,
        complex=HOLOMORPHIC,
        doc="1 / √x",
    ),
    Op(
        "pow",
        power,
        pow_rule,
        lambda f, x, exponent: f.power(x, exponent),
        domains=(POSITIVE, REAL),
        grad_fn="PowBackward1",
        ties="0 for the exponent where x = 0 and p >= 0; 0 for x where p = 0",
        complex=HOLOMORPHIC,
        doc="x raised to the exponent",
    ),
    Op(
        "hypot",
        np.hypot,
        lambda g, y, a, b: (ops.ratio(g, a, y, 1), ops.ratio(g, b, y, 1)),
        lambda f, a, b: f.sqrt(a * a + b * b),
        doc="√(a² + b²)",
    ),
    Op(
        "abs",
        np.abs,
        lambda g, y, x: g * ops.sign(x),
        lambda f, x: f.modulus(x),
        ties="0 at 0",
        kink=Kink.MEAN,
        complex=DIRECT,
        doc="|x|",
    ),
    Op(
        "sign",
        np.sign,
        sign_rule,
        lambda f, x: f.sign(x),
        ties="0 at 0",
        complex=DIRECT,
        doc="-1, 0 or 1; of a complex number z / |z|",
    ),
)


@hookimpl
def register_ops(register):
    for op in ARITHMETIC:
        register(op)
