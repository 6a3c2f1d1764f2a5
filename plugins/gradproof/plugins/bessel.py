"""Bessel functions of whole order (DLMF 10.2, 10.25)."""

from math import comb

import numpy as np
from scipy import special

from gradproof.engine.extend import POSITIVE, InferenceError, Kink, case, ops, registering
from gradproof.plugins.dtypes import in_float64
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import magnitude

GRADPROOF_API = 1

MAX_ORDER = 100
NODES = 64  # of the trapezoidal rule, which has all digits up to x = FAR
FAR = 40.0
TERMS = 30  # of the asymptotic expansion


def of_order(function):
    """The forward of a function of an order. Raises InferenceError for an order that is out of range."""

    def forward(x, *, order):
        if not -MAX_ORDER <= order <= MAX_ORDER or order != int(order):
            raise InferenceError(f"order is {order}; it must be a whole number from -{MAX_ORDER} to {MAX_ORDER}")
        return function(float(order), x)

    return in_float64(forward)


def slope_of(name, sign):
    """The rule g (of order n - 1, plus ``sign`` times of order n + 1) / 2 of the function ``name`` (DLMF 10.6.1, 10.29.1)."""

    def rule(g, y, x, *, order):
        function = getattr(ops, name)
        return g * ((function(x, order=order - 1) + sign * function(x, order=order + 1)) / 2)

    return rule


def i0e_decay(x, *, order):
    """(-1)ⁿ times the derivative of order n of e⁻ˣ I₀(x), which is the mean of (1 - cos t)ⁿ e^(-x (1 - cos t)) over t (DLMF
    10.32.1): a sum of positive terms, by the trapezoidal rule; far out by the expansion of Laplace's integral.

    Raises InferenceError for an order that is out of range."""
    if not 0 <= order <= MAX_ORDER // 4:
        raise InferenceError(f"order is {order}; it must be from 0 to {MAX_ORDER // 4}")
    x = np.asarray(x)
    near, total = np.minimum(x, FAR + order), np.zeros(x.shape)
    for j in range(NODES + 1):
        u = 2 * np.sin(np.pi * j / (2 * NODES)) ** 2
        total = total + (0.5 if j in (0, NODES) else 1.0) * u**order * np.exp(-near * u)
    far = np.maximum(x, FAR + order)
    term = special.gamma(order + 0.5) * far ** -(order + 0.5) / (np.pi * np.sqrt(2))
    tail = np.zeros(x.shape)
    for j in range(TERMS):
        tail, term = tail + term, term * ((j + 0.5) * (order + j + 0.5) / (2 * (j + 1))) / far
    return np.where(x <= FAR + order, total / NODES, tail)


def i0e_decay_define(f, x, *, order):
    terms = []
    for j in range(order + 1):
        for m in range(j + 1):
            share = f.number(comb(order, j) * comb(j, m) * (-1) ** j) / 2**j
            terms.append(share * f.besseli(f.number(abs(j - 2 * m)), x))
    return f.exp(-x) * f.total(terms)


def i0e_rule(g, y, x):
    """-g sign(x) (I₀ - I₁) e^-|x|, without the difference, which cancels far out."""
    return -g * ops.sign(x) * ops.i0e_decay(magnitude(x), order=1)


def i1e_rule(g, y, x):
    a = magnitude(x)
    return g * (ops.i0e_decay(a, order=2) - ops.i0e_decay(a, order=1))


def bessel(name, order):
    """The definition of the function ``name`` of the function table, of an order."""
    return lambda f, x: getattr(f, name)(f.number(order), x)


def bessel_of_order(name):
    """The definition of the function ``name`` of the function table, of any order."""

    def define(f, x, *, order):
        return getattr(f, name)(f.number(order), x)

    return define


def scaled(order):
    """The definition of e^-|x| I(x)."""
    return lambda f, x: f.exp(-f.modulus(x)) * f.besseli(f.number(order), x)


ORDERS = tuple(case(shape, order=order) for shape, order in (((), 1), ((1, 2), 0), ((2, 3), 2)))
DECAYS = tuple(case(shape, order=order) for shape, order in (((), 1), ((1, 2), 0), ((2, 3), 2)))
FIRST, SECOND, MODIFIED = (
    "the Bessel function of the first kind",
    "the Bessel function of the second kind",
    "the modified Bessel function",
)
DECAY = "(-1)ⁿ times the derivative of order n of e⁻ˣ I₀(x)"

# fmt: off
BESSEL = (
    # op       forward                  cotangent                                  definition
    R("j0",    in_float64(special.j0),  lambda g, y, x: -g * ops.j1(x),            bessel("besselj", 0), doc=f"{FIRST} of order 0"),
    R("j1",    in_float64(special.j1),  lambda g, y, x: g * ((ops.j0(x) - ops.jv(x, order=2)) / 2), bessel("besselj", 1),
      doc=f"{FIRST} of order 1"),
    R("jv",    of_order(special.jv),    slope_of("jv", -1),                        bessel_of_order("besselj"), cases=ORDERS,
      doc=f"{FIRST}, of a whole order"),
    R("y0",    in_float64(special.y0),  lambda g, y, x: -g * ops.y1(x),            bessel("bessely", 0), domains=POSITIVE,
      doc=f"{SECOND} of order 0"),
    R("y1",    in_float64(special.y1),  lambda g, y, x: g * ((ops.y0(x) - ops.yv(x, order=2)) / 2), bessel("bessely", 1),
      domains=POSITIVE, doc=f"{SECOND} of order 1"),
    R("yv",    of_order(special.yv),    slope_of("yv", -1),                        bessel_of_order("bessely"), cases=ORDERS,
      domains=POSITIVE, doc=f"{SECOND}, of a whole order"),
    R("i0",    in_float64(special.i0),  lambda g, y, x: g * ops.i1(x),             bessel("besseli", 0),
      doc=f"{MODIFIED} of order 0"),
    R("i1",    in_float64(special.i1),  lambda g, y, x: g * ((ops.i0(x) + ops.iv(x, order=2)) / 2), bessel("besseli", 1),
      doc=f"{MODIFIED} of order 1"),
    R("iv",    of_order(special.iv),    slope_of("iv", 1),                         bessel_of_order("besseli"), cases=ORDERS,
      doc=f"{MODIFIED}, of a whole order"),
    R("i0e",   in_float64(special.i0e), i0e_rule,                                  scaled(0), ties="0 at 0", kink=Kink.MEAN,
      doc="e^-|x| I₀(x)"),
    R("i1e",   in_float64(special.i1e), i1e_rule,                                  scaled(1), doc="e^-|x| I₁(x)"),
    R("i0e_decay", in_float64(i0e_decay), lambda g, y, x, *, order: -g * ops.i0e_decay(x, order=order + 1), i0e_decay_define,
      cases=DECAYS, domains=POSITIVE, doc=DECAY),
)
# fmt: on

register_ops = registering(*named(BESSEL))
