"""Arithmetic and powers."""

import numpy as np

from gradproof.engine.extend import (
    NONZERO,
    POSITIVE,
    REAL,
    Composite,
    Exact,
    Kink,
    full_like,
    ops,
    registering,
    zeros_like,
)
from gradproof.plugins.axes import refuse
from gradproof.plugins.families import D, H, R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def pow_rule(g, y, x, exponent):
    """g p xᵖ⁻¹ and g xᵖ ln x for the exponent p; 0 where the power is constant, as x⁰ in x and 0ᵖ in p > 0.

    A cotangent of 0 times the infinite slope of a root at 0, or of a power that overflowed, is 0."""
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


def pow_define(f, x, exponent):
    return f.power(x, exponent)


def power(x, exponent):
    """`numpy.power`. Raises DataFault at a negative power of an integer."""
    if x.dtype.kind in "iu" and exponent.dtype.kind == "i":
        refuse(exponent < 0, "an integer has no negative power: convert it with astype")
    return np.power(x, exponent)


setattr(power, "ufunc", np.power)  # noqa: B010 - a plan calls the ufunc itself for float32 and float64


def rsqrt(x):
    return 1 / np.sqrt(x)


def divide_rule(g, y, a, b):
    return g / b, -ops.ratio(g, a, b, b)


def hypot_rule(g, y, a, b):
    return ops.ratio(g, a, y, 1), ops.ratio(g, b, y, 1)


def reciprocal_rule(g, y, x):
    """-g / x²; -g y² for complex numbers, where a quotient by infinity is nan."""
    return -g * y * y if x.dtype.kind == "c" else -ops.ratio(g, 1, x, x)


def reciprocal(x):
    """`numpy.reciprocal`; 0 for an infinite complex number, as in C, where NumPy gives nan."""
    quotient = np.reciprocal(x)
    return np.where(np.isinf(x), 0, quotient) if x.dtype.kind == "c" else quotient


def sign_rule(g, y, x):
    """0 for real numbers, (g - y Re(g ȳ)) / |x| for complex ones: the part of g across y = x / |x|, over |x|."""
    if x.dtype.kind != "c":
        return zeros_like(x)
    size = ops.abs(x)
    origin = ops.equal(size, 0)
    across = g - y * ops.real(g * ops.conj(y))
    return ops.where(origin, 0, across / ops.where(origin, 1, size))


def cbrt_rule(g, y, x):
    """g / (3 y²), infinite at 0."""
    return ops.ratio(g, 1, 3 * y, y)


def cbrt_define(f, x):
    third = f.number(1) / 3
    return f.where(f.less(x, 0), -f.power(-x, third), f.power(x, third))


def copysign_rule(g, y, a, b):
    return g * ops.sign(a) * ops.copysign(full_like(b, 1), b), zeros_like(b)


def copysign_define(f, a, b):
    """By the sign of 1 / b, since a zero has a sign too."""
    return f.where(f.less(1 / b, 0), -f.modulus(a), f.modulus(a))


def heaviside_rule(g, y, x, value):
    """0 for x, and for value g where x = 0."""
    return zeros_like(x), ops.where(x < 0, 0, ops.where(ops.equal(ops.stop_gradient(x), 0), g, 0))


def heaviside_define(f, x, value):
    """At 0 x is held constant: it stays there while value moves."""
    return f.where(f.less(x, 0), 0, f.where(f.equal(f.constant(x), 0), value, 1))


def lerp(start, end, weight):
    """start + weight (end - start), from the nearer end, so that both ends are met exactly, as in torch.lerp."""
    step = end - start
    return np.where(np.abs(weight) < 0.5, start + weight * step, end - step * (1 - weight))


def lerp_rule(g, y, start, end, weight):
    return g * (1 - weight), g * weight, g * (end - start)


def lerp_define(f, start, end, weight):
    return start + weight * (end - start)


def float_power(x, exponent):
    wide = "complex128" if "c" in (x.dtype.kind, exponent.dtype.kind) else "float64"
    return ops.pow(ops.astype(x, dtype=wide), ops.astype(exponent, dtype=wide))


def addcmul(x, a, b, *, value=1):
    return x + a * b * value


def addcdiv(x, a, b, *, value=1):
    return x + a / b * value


POWER = "0 for the exponent where x = 0 and p >= 0; 0 for x where p = 0"
AT_ZERO = "0 for a at 0"
RADIANS = Exact(lambda f: f.pi / 180)
DEGREES = Exact(lambda f: 180 / f.pi)
STEP = "0 where x < 0, value where x = 0, 1 where x > 0"
WIDE = "x^exponent in float64 or complex128"

# fmt: off
ARITHMETIC = (
    # op            forward      cotangents of the inputs           definition                  domain, ties
    H("add",        np.add,      lambda g, y, a, b: (g, g),         lambda f, a, b: a + b),
    H("subtract",   np.subtract, lambda g, y, a, b: (g, -g),        lambda f, a, b: a - b),
    H("multiply",   np.multiply, lambda g, y, a, b: (g * b, g * a), lambda f, a, b: a * b),
    H("divide",     np.divide,   divide_rule,                       lambda f, a, b: a / b,      domains=(REAL, NONZERO)),
    H("positive",   np.positive, lambda g, y, x: g,                 lambda f, x: x),
    H("negative",   np.negative, lambda g, y, x: -g,                lambda f, x: -x),
    H("square",     np.square,   lambda g, y, x: g * x * 2,         lambda f, x: x * x),
    H("reciprocal", reciprocal,  reciprocal_rule,                   lambda f, x: 1 / x,         domains=NONZERO),
    H("sqrt",       np.sqrt,     lambda g, y, x: g / (2 * y),       lambda f, x: f.sqrt(x),     domains=POSITIVE),
    H("rsqrt",      rsqrt,       lambda g, y, x: -g / x * (y / 2),  lambda f, x: 1 / f.sqrt(x), domains=POSITIVE),
    H("pow",        power,       pow_rule,                          pow_define,  domains=(POSITIVE, REAL), ties=POWER),
    R("hypot", np.hypot, hypot_rule,                      lambda f, a, b: f.sqrt(a * a + b * b)),
    D("abs",   np.abs,   lambda g, y, x: g * ops.sign(x), lambda f, x: f.modulus(x), ties="0 at 0", kink=Kink.MEAN),
    D("sign",  np.sign,  sign_rule,                       lambda f, x: f.sign(x),    ties="0 at 0"),
    R("cbrt",      np.cbrt,      cbrt_rule,      cbrt_define,      domains=NONZERO, ties="infinite at 0", doc="∛x"),
    R("copysign",  np.copysign,  copysign_rule,  copysign_define,  domains=(REAL, NONZERO), ties=AT_ZERO, kink=Kink.MEAN),
    R("heaviside", np.heaviside, heaviside_rule, heaviside_define, ties="0 for x at 0", doc=STEP),
    H("lerp",      lerp,         lerp_rule,      lerp_define),
    R("deg2rad",   np.deg2rad,   lambda g, y, x: g * RADIANS, lambda f, x: x * f.pi / 180),
    R("rad2deg",   np.rad2deg,   lambda g, y, x: g * DEGREES, lambda f, x: x * 180 / f.pi),
)

COMPOSED = (
    Composite("float_power", float_power, domains=(POSITIVE, REAL), ties=POWER, doc=WIDE),
    Composite("addcmul", addcmul, doc="x + value a b"),
    Composite("addcdiv", addcdiv, domains=(REAL, REAL, NONZERO), doc="x + value a / b"),
)
# fmt: on

register_ops = registering(*named(ARITHMETIC + COMPOSED))
