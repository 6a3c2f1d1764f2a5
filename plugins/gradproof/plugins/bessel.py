"""Bessel functions of whole order (DLMF 10.2, 10.25)."""

from fractions import Fraction
from functools import partial
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
NEAR = 1e-9  # below which the leading term has all digits
FAR = 40.0  # from where on the expansion of Laplace's integral has all digits
WAVES = 25.0  # from where on Hankel's expansion has
TERMS = 30  # of these
TINY = 2.0**-1022
SMALL = 1e-19  # share of a node that adds no digit


def of_order(lowest, other, near, far):
    """The forward of a Bessel function of an order n: the functions ``lowest`` of the orders 0 and 1, else ``other`` of n
    and x; ``near`` 0 its leading term, and ``far`` out, if given, its expansion. Raises InferenceError for an order that is
    out of range."""

    def forward(x, *, order=0):
        if not -MAX_ORDER <= order <= MAX_ORDER:
            raise InferenceError(f"order is {order}; it must be from -{MAX_ORDER} to {MAX_ORDER}")
        n, size = abs(order), np.abs(x)
        y = np.array(lowest[n](x) if n < 2 else other(float(n), x))
        close = (size < NEAR) & (n > 0)
        y[close] = near(n, x[close])
        if far is not None:
            beyond = (size > max(WAVES, n * n)) & (size < np.inf)
            y[beyond] = (np.sign(x[beyond]) if n % 2 else 1.0) * far(n, size[beyond])
        return y if far is None or order >= 0 else (-1) ** n * y

    return forward


def powers(n, x):
    """(x/2)ⁿ / n!, the leading term of J and I (DLMF 10.7.3), where SciPy gives 0 or nan."""
    return (x / 2) ** n / special.gamma(n + 1.0)


def poles(n, x):
    """-(n - 1)! (2/x)ⁿ / π, the leading term of Y (DLMF 10.7.4)."""
    return np.where(x > 0, -special.gamma(float(n)) / np.pi * (2 / x) ** n, np.where(x < 0, np.nan, -np.inf))


def hankel(n, x):
    """J and Y by Hankel's expansion (DLMF 10.17.3), with the phase x - (2n + 1) π/4 from the sine and cosine of x, which
    are accurate for all x: SciPy's phase is off by the rounding of x."""
    term, p, q = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    for k in range(1, TERMS):
        term = term * ((4 * n * n - (2 * k - 1) ** 2) / (8 * k) / x)
        signed = -term if k & 2 else term
        p, q = (p, q + signed) if k & 1 else (p + signed, q)
    size = 1 / np.sqrt(np.pi) / np.sqrt(x)
    turn_cos, turn_sin = (1, -1, -1, 1)[n % 4], (1, 1, -1, -1)[n % 4]
    cosine = np.cos(x) * turn_cos + np.sin(x) * turn_sin
    sine = np.sin(x) * turn_cos - np.cos(x) * turn_sin
    return size * (p * cosine - q * sine), size * (p * sine + q * cosine)


FIRST_KIND = of_order((special.j0, special.j1), special.jv, powers, lambda n, x: hankel(n, x)[0])
SECOND_KIND = of_order((special.y0, special.y1), special.yv, poles, lambda n, x: hankel(n, x)[1])
MODIFIED_KIND = of_order((special.i0, special.i1), special.iv, powers, None)


def ordered(function, order):
    """The forward of a function of an order, for this order."""
    return in_float64(partial(function, order=order))


def slope_of(name, sign):
    """The rule of the function ``name`` of any order: g / 2 times that of order n - 1, plus ``sign`` times that of order
    n + 1 (DLMF 10.6.1, 10.29.1)."""

    def rule(g, y, x, *, order):
        function = getattr(ops, name)
        return g * (function(x, order=order - 1) / 2 + function(x, order=order + 1) * Fraction(sign, 2))

    return rule


def second_rule(first, name, sign):
    """The same rule of order 1, with the function ``first`` of order 0."""
    return lambda g, y, x: g * (getattr(ops, first)(x) / 2 + getattr(ops, name)(x, order=2) * Fraction(sign, 2))


def decay_order(order):
    """Raises InferenceError for an order that is out of range."""
    if not 0 <= order <= MAX_ORDER // 4:
        raise InferenceError(f"order is {order}; it must be from 0 to {MAX_ORDER // 4}")


def i0e_decay(x, *, order):
    """(-1)ⁿ times the derivative of order n of e⁻ˣ I₀(x), which is the mean of (1 - cos t)ⁿ e^(-x (1 - cos t)) over t (DLMF
    10.32.1): a sum of positive terms, by the trapezoidal rule; far out by the expansion of Laplace's integral.

    Raises InferenceError for an order that is out of range."""
    decay_order(order)
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


def k0e_decay(x, *, order):
    """(-1)ⁿ times the derivative of order n of eˣ K₀(x), which is the integral of (cosh t - 1)ⁿ e^(-x (cosh t - 1)) over
    t > 0 (DLMF 10.32.9): a sum of positive terms, by the trapezoidal rule in s, where x (cosh t - 1) = eˢ.

    Raises InferenceError for an order that is out of range."""
    decay_order(order)
    x = np.asarray(x)
    if order == 0:
        return special.k0e(x)
    steps = 5 + order / 8
    w = np.exp(np.arange(-42 * steps, 6 * steps) / steps)
    share = w**order * np.exp(-w)
    total = np.zeros(x.shape)
    for node, weight in zip(w[share > SMALL], (share * np.sqrt(w))[share > SMALL], strict=True):
        total = total + weight / np.sqrt(node + 2 * x)
    return total / steps * x**-order


def from_zero(function, leading):
    """K or eˣ K, with its ``leading`` term at denormal numbers, half of which SciPy takes for 0."""
    return in_float64(lambda x: np.where((x > 0) & (x < TINY), leading(x), function(x)))


def logarithm(x):
    return np.log(2) - np.euler_gamma - np.log(x)


def decay_define(name, sign):
    """The definition of the derivatives of e^(``sign`` x) times the function ``name`` of order 0, where powers of cos t or
    cosh t are sums of those of multiples of t."""

    def define(f, x, *, order=0):
        terms = []
        for j in range(order + 1):
            for m in range(j + 1):
                share = f.number(comb(order, j) * comb(j, m) * (-1) ** j * (-sign) ** order) / 2**j
                terms.append(share * getattr(f, name)(f.number(abs(j - 2 * m)), x))
        return f.exp(sign * x) * f.total(terms)

    return define


def i0e_rule(g, y, x):
    """-g sign(x) (I₀ - I₁) e^-|x|, without the difference, which cancels far out."""
    return -g * ops.sign(x) * ops.i0e_decay(magnitude(x), order=1)


def i1e_rule(g, y, x):
    a = magnitude(x)
    return g * (ops.i0e_decay(a, order=2) - ops.i0e_decay(a, order=1))


def k1e_rule(g, y, x):
    """-g eˣ (K₀ - K₁ + K₁ / x), without the difference, which cancels far out."""
    return -g * (ops.k0e_decay(x, order=1) + ops.k0e_decay(x, order=2))


def decay_rule(name):
    """The rule of derivatives of an order: the next, with the other sign."""
    return lambda g, y, x, *, order: -g * getattr(ops, name)(x, order=order + 1)


def bessel(name, order):
    """The definition of the function ``name`` of the function table, of an order."""
    return lambda f, x: getattr(f, name)(f.number(order), x)


def bessel_of_order(name):
    """The definition of the function ``name`` of the function table, of any order."""

    def define(f, x, *, order=0):
        return getattr(f, name)(f.number(order), x)

    return define


def scaled(order):
    """The definition of e^-|x| I(x)."""
    return lambda f, x: f.exp(-f.modulus(x)) * f.besseli(f.number(order), x)


def grown(order):
    """The definition of eˣ K(x)."""
    return lambda f, x: f.exp(x) * f.besselk(f.number(order), x)


ORDERS = tuple(case(shape, order=order) for shape, order in (((), 1), ((1, 2), 0), ((2, 3), 2)))
FIRST = "the Bessel function of the first kind"
SECOND = "the Bessel function of the second kind"
MODIFIED = "the modified Bessel function"
MODIFIED_SECOND = "the modified Bessel function of the second kind"
DECAY = "(-1)ⁿ times the derivative of order n of"

# fmt: off
BESSEL = (
    # op       forward                  cotangent                         definition
    R("j0",    ordered(FIRST_KIND, 0),  lambda g, y, x: -g * ops.j1(x),   bessel("besselj", 0), doc=f"{FIRST} of order 0"),
    R("j1",    ordered(FIRST_KIND, 1),  second_rule("j0", "jv", -1),      bessel("besselj", 1), doc=f"{FIRST} of order 1"),
    R("jv",    in_float64(FIRST_KIND), slope_of("jv", -1),               bessel_of_order("besselj"), cases=ORDERS,
      doc=f"{FIRST} of a whole order"),
    R("y0",    ordered(SECOND_KIND, 0),  lambda g, y, x: -g * ops.y1(x),   bessel("bessely", 0), domains=POSITIVE,
      doc=f"{SECOND} of order 0"),
    R("y1",    ordered(SECOND_KIND, 1),  second_rule("y0", "yv", -1),      bessel("bessely", 1), domains=POSITIVE,
      doc=f"{SECOND} of order 1"),
    R("yv",    in_float64(SECOND_KIND),slope_of("yv", -1),               bessel_of_order("bessely"), cases=ORDERS,
      domains=POSITIVE, doc=f"{SECOND} of a whole order"),
    R("i0",    in_float64(special.i0),  lambda g, y, x: g * ops.i1(x),    bessel("besseli", 0),
      doc=f"{MODIFIED} of order 0"),
    R("i1",    in_float64(special.i1),  second_rule("i0", "iv", 1),       bessel("besseli", 1),
      doc=f"{MODIFIED} of order 1"),
    R("iv",    in_float64(MODIFIED_KIND),slope_of("iv", 1),                bessel_of_order("besseli"), cases=ORDERS,
      doc=f"{MODIFIED} of a whole order"),
    R("i0e",   in_float64(special.i0e), i0e_rule,                         scaled(0), ties="0 at 0", kink=Kink.MEAN,
      doc="e^-|x| I₀(x)"),
    R("i1e",   in_float64(special.i1e), i1e_rule,                         scaled(1), ties="1/2 at 0", doc="e^-|x| I₁(x)"),
    R("i0e_decay", in_float64(i0e_decay), decay_rule("i0e_decay"),        decay_define("besseli", -1), cases=ORDERS,
      domains=POSITIVE, doc=f"{DECAY} e⁻ˣ I₀(x)"),
    R("k0", from_zero(special.k0, logarithm), lambda g, y, x: -g * ops.k1(x), bessel("besselk", 0), domains=POSITIVE,
      doc=f"{MODIFIED_SECOND} of order 0"),
    R("k1", from_zero(special.k1, np.reciprocal), lambda g, y, x: -g * (ops.k0(x) + y / x), bessel("besselk", 1),
      domains=POSITIVE, doc=f"{MODIFIED_SECOND} of order 1"),
    R("k0e", from_zero(special.k0e, logarithm), lambda g, y, x: -g * ops.k0e_decay(x, order=1), grown(0), domains=POSITIVE,
      doc="eˣ K₀(x)"),
    R("k1e", from_zero(special.k1e, np.reciprocal), k1e_rule, grown(1), domains=POSITIVE, doc="eˣ K₁(x)"),
    R("k0e_decay", in_float64(k0e_decay), decay_rule("k0e_decay"),        decay_define("besselk", 1), cases=ORDERS,
      domains=POSITIVE, doc=f"{DECAY} eˣ K₀(x)"),
)
# fmt: on

register_ops = registering(*named(BESSEL))
