"""Derivatives of special functions for mpmath's numbers, from textbooks, which share nothing with the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from flint import acb, arb

from gradproof.engine.precision import precision

mp = mpmath.mp


def by_arb(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of python-flint, for and with mpmath's numbers: its special functions are a hundred times as fast."""

    def call(*numbers: Any) -> Any:
        with precision(mp.prec):
            ball = function(*map(arb, numbers))
        if not ball.is_finite():
            return mp.nan
        mantissa, exponent = ball.mid().man_exp()
        return mp.ldexp(int(mantissa), int(exponent))

    return call


digamma = by_arb(arb.digamma)
trigamma = by_arb(lambda x: acb(x).polygamma(1).real)
lgamma = by_arb(arb.lgamma)
zeta = by_arb(arb.zeta)
erfcinv = by_arb(arb.erfcinv)
J, Y, MODIFIED = (by_arb(lambda n, x, kind=kind: getattr(x, f"bessel_{kind}")(n)) for kind in "jyi")


def normal(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def log_beta(a: Any, b: Any) -> Any:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def gamma_slope(x: Any) -> Any:
    return mp.gamma(x) * digamma(x) if abs(x) < 200 else mp.inf


def gamma_slopes(a: Any, x: Any) -> tuple[Any, Any]:
    """Those of x^(a - 1) e^-x / Γ(a)."""
    density = gamma_density(a, x)
    return density * (mp.log(x) - digamma(a)), density * ((a - 1) / x - 1)


def gamma_density(a: Any, x: Any) -> Any:
    return mp.exp((a - 1) * mp.log(x) - x - lgamma(a))


def bessel_mean(function: Callable[..., Any], sign: int, x: Any) -> Any:
    """The slope of a Bessel function of order 1."""
    return (function(0, x) + sign * function(2, x)) / 2


def decayed(x: Any, order: int) -> Any:
    """The derivative of some order of e^-x I0(x), by Kummer's function (DLMF 10.39.5, 13.3.15)."""
    share = mp.mpf(-2) ** order * mp.rf(mp.mpf(1) / 2, order) / mp.factorial(order)
    return share * by_arb(lambda y: (-2 * y).hypgeom_1f1(order + arb(1) / 2, order + 1))(x)


def second(n: int, x: Any) -> Any:
    """The modified Bessel function of the second kind, with the digits that its sum about the origin loses."""
    with mp.workprec(mp.prec + int(min(4 * x, 3000))):
        return by_arb(lambda y: y.bessel_k(n))(x)


def decayed_second(x: Any, order: int) -> Any:
    """(-1)ⁿ times the derivative of some order of e^x K0(x), by Kummer's function U (DLMF 10.39.6, 13.3.25)."""
    rise = mp.rf(mp.mpf(1) / 2, order) * mp.mpf(2) ** order * mp.sqrt(mp.pi)
    return rise * by_arb(lambda y: (2 * y).hypgeom_u(order + arb(1) / 2, order + 1))(x)


SPECIAL_SLOPES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "gammaln": lambda x: (digamma(x),),
    "gamma": lambda x: (gamma_slope(x),),
    "digamma": lambda x: (trigamma(x),),
    "polygamma": lambda x: (trigamma(x),),
    "polygamma_rise": lambda x, h: (trigamma(x + h) - trigamma(x), trigamma(x + h)),
    "betaln": lambda a, b: tuple(digamma(x) - digamma(a + b) for x in (a, b)),
    "beta": lambda a, b: tuple(mp.exp(log_beta(a, b)) * (digamma(x) - digamma(a + b)) for x in (a, b)),
    "gamma_density": gamma_slopes,
    "gammainc": lambda a, x: (None, gamma_density(a, x)),
    "gammaincc": lambda a, x: (None, -gamma_density(a, x)),
    "zeta": lambda s, q: (None, -s * zeta(s + 1, q)),
    "ndtr": lambda x: (normal(x),),
    "log_ndtr": lambda x: (2 * normal(x) / mp.erfc(-x / mp.sqrt(2)) if x > -1e4 else -x,),
    "ndtri": lambda p: (1 / normal(mp.sqrt(2) * erfcinv(2 * min(p, 1 - p))),),
    "erfinv": lambda x: (mp.exp(erfcinv(1 - abs(x)) ** 2) * mp.sqrt(mp.pi) / 2,),
    "erfcinv": lambda x: (-mp.exp(erfcinv(min(x, 2 - x)) ** 2) * mp.sqrt(mp.pi) / 2,),
    "xlogy": lambda x, y: (mp.log(y), x / y),
    "xlog1py": lambda x, y: (mp.log1p(y), x / (1 + y)),
    "entr": lambda x: (-1 - mp.log(x),),
    "logit": lambda x: (1 / (x * (1 - x)),),
    "j0": lambda x: (-J(1, x),),
    "jv": lambda x: (-J(1, x),),
    "j1": lambda x: (bessel_mean(J, -1, x),),
    "y0": lambda x: (-Y(1, x),),
    "yv": lambda x: (-Y(1, x),),
    "y1": lambda x: (bessel_mean(Y, -1, x),),
    "i0": lambda x: (MODIFIED(1, x),),
    "iv": lambda x: (MODIFIED(1, x),),
    "i1": lambda x: (bessel_mean(MODIFIED, 1, x),),
    "i0e": lambda x: (mp.sign(x) * decayed(abs(x), 1),),
    "i1e": lambda x: (decayed(abs(x), 1) + decayed(abs(x), 2),),
    "i0e_decay": lambda x: (decayed(x, 1),),
    "k0": lambda x: (-second(1, x),),
    "k1": lambda x: (bessel_mean(second, 1, x) * -1,),
    "k0e": lambda x: (-decayed_second(x, 1),),
    "k1e": lambda x: (-decayed_second(x, 1) - decayed_second(x, 2),),
    "k0e_decay": lambda x: (-decayed_second(x, 1),),
}
"""The derivative along each input, None where there is none."""
WAVES = ("j0", "jv", "j1", "y0", "yv", "y1")
DIGAMMAS = ("gammaln", "digamma", "polygamma", "polygamma_rise", "betaln")
"""Ops whose slopes are polygamma functions."""
SPECIAL_DOMAINS: dict[str, Callable[..., bool]] = {
    **dict.fromkeys(("gammaln", "gamma", "digamma", "polygamma"), lambda x: x > 0 or x != np.floor(x)),
    **dict.fromkeys(("polygamma_rise", "betaln"), lambda a, b: a > 0 and b > 0),
    "beta": lambda a, b: min(a, b) > 1e-30 * max(a, b),
    "gamma_density": lambda a, x: min(a, x) > 1e-3 and max(a, x) < 1e3 and abs(a - x) > a / 3,
    **dict.fromkeys(("gammainc", "gammaincc"), lambda a, x: min(a, x) > 1e-3 and max(a, x) < 1e3),
    "zeta": lambda s, q: s > 1 and q > 0 and s < 200,
    **dict.fromkeys(("ndtri", "logit"), lambda x: 0 < x < 1),
    "erfinv": lambda x: abs(x) < 1,
    "erfcinv": lambda x: 0 < x < 2,
    "xlogy": lambda x, y: y > 0,
    "xlog1py": lambda x, y: y > -1,
    "entr": lambda x: x > 0,
    **dict.fromkeys(WAVES, lambda x: 0 < x < 50),
    "y1": lambda x: 0.01 < x < 50,
    "i0e_decay": lambda x: x >= 0,
    **dict.fromkeys(("k0", "k1", "k0e", "k1e", "k0e_decay"), lambda x: x > 0),
}
"""Where these are compared: most on all of their domain, some where they do not lose digits."""
