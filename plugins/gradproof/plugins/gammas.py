"""Gamma functions: Γ and its logarithm, their derivatives, beta functions and the zeta function."""

from fractions import Fraction
from math import factorial

import numpy as np
from scipy import special

from gradproof.engine.extend import (
    ABOVE_ONE,
    NO_GRADIENT,
    POSITIVE,
    REAL,
    Composite,
    Domain,
    Exact,
    InferenceError,
    case,
    ops,
    registering,
)
from gradproof.plugins.axes import integer, refuse
from gradproof.plugins.dtypes import in_float64
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1

NO_POLE = Domain(
    "real but no pole", REAL.assumptions, REAL.chart, lambda random: Fraction(random.randrange(-127, 129, 2), 32)
)
MAX_ORDER = 100  # of polygamma
MAX_DIMENSIONS = 100  # of multigammaln, a sum of as many terms
FAR_LEFT = -20.0  # from where on SciPy's polygamma sums many terms, and reflection is better

EULER = 0.577215664901532860606512090082402431
TERMS = [special.zetac(float(k)) * (-1) ** k / k for k in range(20, 1, -1)] + [1 - EULER, 0.0]
"""Coefficients of ln Γ(2 + t), of the highest power first: (1 - γ) t + Σ (ζ(k) - 1) (-t)ᵏ / k (DLMF 5.7.3)."""
BERNOULLI = [Fraction(1, 6), Fraction(-1, 30), Fraction(1, 42), Fraction(-1, 30), Fraction(5, 66), Fraction(-691, 2730),
             Fraction(7, 6), Fraction(-3617, 510), Fraction(43867, 798)]  # fmt: skip
"""B₂, B₄, ..., of asymptotic expansions."""
FAR = 10.0  # from where on Stirling's series has all digits
LEVELS = 120  # of the fraction of the incomplete gamma function: enough from x = 1.1, and up to a = 200
SERIES = [(-1) ** k / k for k in range(34, 1, -1)] + [0.0, 0.0]
"""Coefficients of t - ln(1 + t), of the highest power first."""


def orders(n, least=0):
    """Raises InferenceError for an order that is out of range."""
    if not least <= n <= MAX_ORDER:
        raise InferenceError(f"n is {n}; it must be from {least} to {MAX_ORDER}")


def gammaln(x):
    """`scipy.special.gammaln`; a power series near its zeros, 1 and 2, where SciPy loses digits; -ln |x| near 0, where it
    gives infinity."""
    y = np.array(np.where(np.abs(x) < 2.0**-1000, -np.log(np.abs(x)), special.gammaln(x)))
    near = (np.abs(x - 1) < 0.25) | (np.abs(x - 2) < 0.25)
    if near.any():
        close = x[near]
        first = close < 1.5
        t = close - np.where(first, 1, 2)
        y[near] = np.polyval(TERMS, t) - np.where(first, np.log1p(np.where(first, t, 0)), 0)
    return y


def gamma(x):
    """`scipy.special.gamma`; from ln Γ where the result is a denormal number, which SciPy takes for 0."""
    y = np.array(special.gamma(x))
    low = (x < -170) & (x > -190) & (np.abs(y) < 2.0**-1022)
    y[low] = special.gammasgn(x[low]) * np.exp(special.gammaln(x[low]))
    return y


def digamma(x):
    """`scipy.special.digamma`; next to the poles left of 0 by recurrence or reflection (DLMF 5.5.2, 5.5.4), with an exact
    distance."""
    y = np.array(special.digamma(x))
    near = (x < 0) & (np.abs(x - np.rint(x)) < 0.45) & (x != np.rint(x))
    t = x[near]
    y[near] = np.where(t > -0.5, special.digamma(1 + t) - 1 / t, special.digamma(1 - t) - np.pi * cotangent(0, t))
    return y


def polygamma(x, *, n):
    """`scipy.special.polygamma`; far left by reflection (DLMF 5.15.6), where SciPy would sum as many terms as x is large.

    Raises InferenceError for an order that is out of range."""
    if not 0 <= n <= MAX_ORDER:
        raise InferenceError(f"n is {n}; it must be from 0 to {MAX_ORDER}")
    far = x < FAR_LEFT
    y = np.array(special.polygamma(n, np.where(far, 1 - x, x)))
    if far.any():
        y[far] = (-1) ** n * y[far] - np.pi ** (n + 1) * cotangent(n, x[far])
    return y


def cotangent(n, x):
    """The derivative of order n of cot t at t = πx: a polynomial in cot t, whose terms all have the same sign."""
    terms = np.polynomial.Polynomial([0, 1])
    for _ in range(n):
        terms = terms.deriv() * np.polynomial.Polynomial([-1, 0, -1])
    t = np.pi * (x - np.rint(x))
    pole = t == 0
    return np.where(pole, (-1.0) ** n * np.inf, terms(1 / np.tan(np.where(pole, 1, t))))


def polygamma_define(f, x, *, n=0):
    return f.digamma(x) if n == 0 else f.polygamma(f.number(n), x)


def polygamma_rise(x, h, *, n):
    """ψ⁽ⁿ⁾(x + h) - ψ⁽ⁿ⁾(x), also where the two are close. Of each term xᵐ of the recurrence (DLMF 5.5.2), and behind it of
    the asymptotic expansion (DLMF 5.15.8), the difference is xᵐ ((1 + h/x)ᵐ - 1). Raises DataFault where x or x + h is
    negative: the expansion is of positive numbers."""
    orders(n)
    x, h = np.broadcast_arrays(x, h)
    refuse((x < 0) | (x + h < 0), "x and x + h must not be negative")
    outside = (x <= 0) | (x + h <= 0)
    low = np.where(outside, 1, x)
    scale = np.where((np.abs(h) < 2.0**-900) & (low > 2.0**-600), 2.0**200, 1)  # there the difference is linear in h
    step = np.where(outside, 1, h) * scale
    total = 0.0
    for _ in range(10 + n):
        total = total + factorial(n) * powers_rise(low, step, n + 1)
        low = low + 1
    lead = -np.log1p(step / low) if n == 0 else factorial(n - 1) * powers_rise(low, step, n)
    total = total + lead + factorial(n) / 2 * powers_rise(low, step, n + 1)
    for k, number in enumerate(BERNOULLI, 1):
        share = float(number * Fraction(factorial(2 * k + n - 1), factorial(2 * k)))
        total = total + share * powers_rise(low, step, 2 * k + n)
    total = (-1) ** (n + 1) * total / scale
    return np.where(outside, special.polygamma(n, x + h) - special.polygamma(n, x), total) if outside.any() else total


def powers_rise(x, h, m):
    """(x + h)⁻ᵐ - x⁻ᵐ."""
    return x**-m * np.expm1(-m * np.log1p(h / x))


def polygamma_rise_define(f, x, h, *, n=0):
    return polygamma_define(f, x + h, n=n) - polygamma_define(f, x, n=n)


def polygamma_rise_rule(g, y, x, h, *, n):
    return g * ops.polygamma_rise(x, h, n=n + 1), g * ops.polygamma(x + h, n=n + 1)


# beta functions


def stirling(x):
    """The rest of Stirling's series, ln Γ(x) - (x - 1/2) ln x + x - ln(2π) / 2, from `FAR` on (DLMF 5.11.1)."""
    terms = [float(number / (2 * k * (2 * k - 1))) for k, number in enumerate(BERNOULLI, 1)]
    return np.polyval(terms[::-1], 1 / (x * x)) / x


def in_parts(a, b, plain, beyond):
    """A function of the smaller and the larger of two positive numbers, the larger beyond `FAR`; others by SciPy."""
    a, b = np.broadcast_arrays(a, b)
    y = np.array(plain(a, b))
    less, more = np.minimum(a, b), np.maximum(a, b)
    far = (less > 0) & (more >= FAR) & (more < np.inf)
    y[far] = beyond(less[far], more[far])
    return y


def correction(p, q):
    """ln Γ(q) - ln Γ(p + q) + p ln q for p < q, without the terms that cancel."""
    return p - (q + p - 0.5) * np.log1p(p / q) + stirling(q) - stirling(p + q)


def near_diagonal(p, q):
    """ln B(p, q) less the powers in it, for p beyond `FAR` too."""
    return np.log(2 * np.pi) / 2 - q * np.log1p(p / q) + stirling(p) + stirling(q) - stirling(p + q)


TINY = 1e-290  # below, B(a, b) is 1 / a + 1 / b in float64


def betaln(a, b):
    """ln B(a, b), by Stirling's series where `scipy.special.betaln` is a difference of large numbers (A. R. DiDonato, A. H.
    Morris, Algorithm 708, ACM Trans. Math. Softw. 18, 1992)."""

    def far(p, q):
        even = np.maximum(p, FAR)
        both = near_diagonal(even, q) - np.log(q) / 2 - (even - 0.5) * np.log1p(q / even)
        return np.where(p < FAR, gammaln(p) - p * np.log(q) + correction(p, q), both)

    y, less, more = in_parts(a, b, special.betaln, far), np.minimum(a, b), np.maximum(a, b)
    tiny = (less > 0) & (less < TINY)  # where SciPy's quotient overflows
    return np.where(tiny, np.log1p(less / np.where(tiny, more, 1)) - np.log(np.where(tiny, less, 1)), y)


def beta(a, b):
    """B(a, b), in the same way, with powers for exponentials of large numbers."""

    def far(p, q):
        even = np.maximum(p, FAR)
        both = np.exp(near_diagonal(even, q)) / np.sqrt(q) * (even / (even + q)) ** (even - 0.5)
        return np.where(p < FAR, special.gamma(p) * q**-p * np.exp(correction(p, q)), both)

    return in_parts(a, b, special.beta, far)


def betaln_rule(g, y, a, b):
    return -g * ops.polygamma_rise(a, b, n=0), -g * ops.polygamma_rise(b, a, n=0)


def beta_rule(g, y, a, b):
    share = ops.reciprocal(y)
    return tuple(ops.ratio(-g, ops.polygamma_rise(x, h, n=0), share, 1) for x, h in ((a, b), (b, a)))


def multigammaln(a, *, d=1):
    """d (d - 1) / 4 ln π + Σ ln Γ(a - j / 2) for j < d; see `scipy.special.multigammaln`, `torch.mvlgamma`.
    Raises InferenceError for d out of range."""
    d = integer("d", d)
    if not 1 <= d <= MAX_DIMENSIONS:
        raise InferenceError(f"d is {d}; it must be from 1 to {MAX_DIMENSIONS}")
    shift = Exact(lambda f: f.log(f.pi) * f.number(Fraction(d * (d - 1), 4)))
    return sum((ops.gammaln(a - Fraction(j, 2)) for j in range(1, d)), ops.gammaln(a)) + shift


# incomplete gamma functions


def gamma_density(a, x):
    """xᵃ⁻¹ e⁻ˣ / Γ(a); for a large a about its peak, as powers would overflow (C. Loader, Fast and accurate computation of
    binomial probabilities, 2000). Raises DataFault where x is negative."""
    refuse(x < 0, "x must not be negative")
    far, low = np.maximum(a, FAR), np.minimum(x, 1e4)  # beyond, e⁻ˣ is 0, and a power may overflow
    away = (x - far) / far
    near = np.abs(away) < 0.3
    distance = np.where(near, np.polyval(SERIES, np.where(near, away, 0)), away - np.log(np.where(near, 1, x / far)))
    peak = np.exp(-far * distance - stirling(far)) * np.sqrt(far / (2 * np.pi)) / x
    return np.where(
        (a < FAR) | (x == 0), low ** (np.minimum(a, FAR) - 1) * np.exp(-low) * special.rgamma(np.minimum(a, FAR)), peak
    )


def incomplete(upper):
    """`scipy.special.gammaincc` if ``upper``, else `gammainc`; for parameters up to 200 the density times a sum of positive
    terms, or Legendre's continued fraction (DLMF 8.7.1, 8.9.2), where SciPy's prefactor loses digits."""

    def forward(a, x):
        refuse((a < 0) | (x < 0), "a and x must not be negative")
        a, x = np.broadcast_arrays(a, x)
        y = np.array(special.gammaincc(a, x) if upper else special.gammainc(a, x))
        inside = (a > 0) & (a <= 200) & (x > 1.1) & (x < 700)
        for part, share, of_upper in ((inside & (x < a), lower_share, False), (inside & (x >= a), upper_share, True)):
            if part.any():
                value = gamma_density(a[part], x[part]) * share(a[part], x[part])
                y[part] = value if upper == of_upper else 1 - value
        return y

    return forward


def lower_share(a, x):
    """P(a, x) over the density: x / a Σ xᵏ / (a + 1)ₖ."""
    term, total, k = x / a, x / a, 0
    while (term > total * 1e-18).any():
        k += 1
        term = term * (x / (a + k))
        total = total + term
    return total


def upper_share(a, x):
    """Q(a, x) over the density: the fraction x / (x + 1 - a - (1 - a) / (x + 3 - a - 2 (2 - a) / ...)), from behind."""
    rest = np.zeros_like(x)
    for k in range(LEVELS, 0, -1):
        rest = k * (k - a) / (x + (2 * k + 1) - a - rest)
    return x / (x + 1 - a - rest)


def gamma_density_rule(g, y, a, x):
    return g * y * (ops.log(x) - ops.digamma(a)), g * (ops.gamma_density(a - 1, x) - y)


def density_define(f, a, x):
    return f.power(x, a - 1) * f.exp(-x) / f.gamma(a)


def gammainc_rule(g, y, a, x):
    return NO_GRADIENT, g * ops.gamma_density(a, x)


def gammaincc_rule(g, y, a, x):
    return NO_GRADIENT, -g * ops.gamma_density(a, x)


def zeta(s, q):
    """`scipy.special.zeta`. Raises DataFault where s is below 1 or q is negative, from where SciPy adds 1 until it is
    not."""
    refuse((s < 1) | (q < 0), "s must be at least 1 and q must not be negative")
    return special.zeta(s, q)


def zeta_rule(g, y, s, q):
    return NO_GRADIENT, -g * (s * ops.zeta(s + 1, q))


def gammaln_rule(g, y, x):
    return g * ops.digamma(x)


def gamma_rule(g, y, x):
    return ops.ratio(g, y, ops.reciprocal(ops.digamma(x)), 1)


def digamma_rule(g, y, x):
    return g * ops.polygamma(x, n=1)


def polygamma_rule(g, y, x, *, n):
    return g * ops.polygamma(x, n=n + 1)


def betaln_define(f, a, b):
    return f.lgamma(a) + f.lgamma(b) - f.lgamma(a + b)


def beta_define(f, a, b):
    return f.gamma(a) * f.gamma(b) / f.gamma(a + b)


INSIDE = (1e-300, 1e-3, 0.5, 1.0, 1.5, 40.0)  # stress
POLYGAMMA = "the derivative of order n of digamma"
RISE = "ψ⁽ⁿ⁾(x + h) - ψ⁽ⁿ⁾(x), also where the two are close"
LOWER = "the regularised lower incomplete gamma function P(a, x), without a derivative along a"
UPPER = "the regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), without a derivative along a"
DENSITY = "xᵃ⁻¹ e⁻ˣ / Γ(a), the derivative of gammainc"
ZETA = "the zeta function of Hurwitz, Σ (q + k)⁻ˢ over k from 0 on, without a derivative along s"
MULTI = "the logarithm of the multivariate gamma function of d dimensions"
ORDERS = tuple(case(shape, n=n) for shape, n in (((), 1), ((1, 2), 0), ((2, 3), 2)))
RISES = tuple(case(shape, shape, n=n) for shape, n in (((), 0), ((1, 2), 1), ((2, 3), 2)))
DIMENSIONS = (case((), d=2), case((2, 3), d=3))

# fmt: off
GAMMAS = (
    # op                forward                        cotangents      definition
    R("gammaln",        in_float64(gammaln),           gammaln_rule,   lambda f, x: f.lgamma(x),  domains=NO_POLE,
      doc="ln |Γ(x)|"),
    R("gamma",          in_float64(gamma),             gamma_rule,     lambda f, x: f.gamma(x),   domains=NO_POLE,
      doc="Γ(x)"),
    R("digamma",        in_float64(digamma),           digamma_rule,   lambda f, x: f.digamma(x), domains=NO_POLE,
      doc="ψ(x) = Γ'(x) / Γ(x)"),
    R("polygamma",      in_float64(polygamma),         polygamma_rule, polygamma_define, cases=ORDERS, domains=NO_POLE,
      doc=POLYGAMMA),
    R("polygamma_rise", in_float64(polygamma_rise),    polygamma_rise_rule, polygamma_rise_define, cases=RISES,
      domains=POSITIVE, stress=INSIDE, doc=RISE),
    R("betaln",         in_float64(betaln),            betaln_rule, betaln_define, domains=POSITIVE, doc="ln B(a, b)"),
    R("beta",           in_float64(beta),              beta_rule, beta_define, domains=POSITIVE, doc="B(a, b)"),
    R("gamma_density",  in_float64(gamma_density),     gamma_density_rule, density_define, domains=POSITIVE,
      stress=INSIDE, doc=DENSITY),
    R("gammainc",       in_float64(incomplete(False)), gammainc_rule,  lambda f, a, x: f.gammainc(a, x),  domains=POSITIVE,
      still=(0,), stress=INSIDE, doc=LOWER),
    R("gammaincc",      in_float64(incomplete(True)),  gammaincc_rule, lambda f, a, x: f.gammaincc(a, x), domains=POSITIVE,
      still=(0,), stress=INSIDE, doc=UPPER),
    R("zeta",           in_float64(zeta),              zeta_rule, lambda f, s, q: f.zeta(s, q),
      domains=(ABOVE_ONE, POSITIVE), still=(0,), stress=(1.001, 1.5, 2.0, 40.0, 700.0), doc=ZETA),
    Composite("multigammaln", multigammaln, cases=DIMENSIONS, domains=ABOVE_ONE, doc=MULTI),
)
# fmt: on

register_ops = registering(*named(GAMMAS))
