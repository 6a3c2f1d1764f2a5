"""Propagated errors of special functions, as in `movements`: bounds of |f(x') - f(x)| for all x' within r of x.

A function of two arguments is bounded along the second; where the first has a radius, nothing is known."""

from __future__ import annotations

import numpy as np
from scipy import special

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT
from gradproof.engine.verify.arrays.movements import SAFE, above, growth, still

LOOSE = 1 + 2.0**-20
"""Factor by which functions of SciPy, which are accurate to more than that, become upper bounds."""


def _digamma(low: Array, high: Array) -> Array:
    """Bound of |digamma| between two positive numbers, from log x - 1/x < digamma(x) < log x."""
    return 1 / low + np.maximum(np.abs(np.log(low)), np.abs(np.log(high)))


def gamma(x: Array, r: Array, v: Array, part: float) -> Array:
    """f (e^(h r) - 1), where h bounds |digamma|; left of 0 by reflection, |digamma(1 - x)| and π |cot πx| <= 1 / distance
    of the next integer."""
    low, high = x - (r + np.abs(x) * (2 * UNIT)), x + (r + np.abs(x) * (2 * UNIT))
    right = _digamma(np.where(low > 0, low, np.nan), high)
    near = np.minimum(low - np.floor(low), np.ceil(high) - high)
    near = np.where((np.floor(low) == np.floor(high)) & (near > 0), near, np.nan)
    left = _digamma(np.where(high < 0, 1 - high, np.nan), 1 - low) + 1 / near
    return still(r, v * growth(r * np.where(low > 0, right, left) * (1 + 2.0**-40)))


def lgamma(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope is digamma."""
    low = above(x - r)
    return still(r, r * _digamma(low, x + r) * (1 + 2.0**-40))


def digamma(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope is below 1/x + 1/x² at the lower end."""
    low = above(x - r)
    return still(r, r / low * (1 + 1 / low))


def _power_like(exponent: Array, x: Array, r: Array, v: Array) -> Array:
    """f (e^(p q) - 1) with q = r / (x - r), where |x f'(x)| <= p |f(x)|."""
    return still(r, v * growth(exponent * (r / above(x - r)) * (1 + 2.0**-40)))


def polygamma(n: Array, x: Array, rn: Array, r: Array, v: Array, part: float) -> Array:
    """|x f'| <= (n + 1) |f|, as for each term 1 / (x + k)^(n + 1)."""
    return _fixed(rn, _power_like(n + 1, x, r, v))


def zeta(s: Array, q: Array, rs: Array, r: Array, v: Array, part: float) -> Array:
    """|q f'| <= s f along q, as for each term (q + k)^-s. Along s the terms have a factor ln(q + k), which is below
    √(q + k) from 1 on; the first may be less than 1."""
    moved = _power_like(s + rs, q, r, v)
    if not np.asarray(rs).any():
        return moved
    low = above(q - r)
    first = np.maximum(-np.log(low), 0)
    rest = special.zeta(np.maximum(s - rs - 0.5, 0.0), low) * LOOSE
    return moved + still(rs, (v + moved) * growth(rs * first * LOOSE) + rs * rest)


def gammainc(a: Array, x: Array, ra: Array, r: Array, v: Array, part: float) -> Array:
    """x f' <= a f, since a γ(a, x) >= x^a e^-x (DLMF 8.8.1)."""
    return _fixed(ra, _power_like(a, x, r, v))


def gammaincc(a: Array, x: Array, ra: Array, r: Array, v: Array, part: float) -> Array:
    """|f'| <= f for a >= 1, else (1 + 1/x) f (DLMF 8.10.1 and 8.10.5)."""
    return _fixed(ra, still(r, v * growth(r * (1 + 1 / above(x - r)) * (1 + 2.0**-40))))


def erfinv(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope, √π/2 erfcx(f) / (1 - |x|), is below √π/2 over the distance of the end of larger magnitude to 1."""
    return still(r, 0.8862269255 * r / above((1 - np.abs(x)) * SAFE - r))


def erfcinv(x: Array, r: Array, v: Array, part: float) -> Array:
    """As `erfinv`, with the distances to 0 and 2."""
    return still(r, 0.8862269255 * r / above(np.minimum(x, 2 - x) * SAFE - r))


def besselj(n: Array, x: Array, rn: Array, r: Array, v: Array, part: float) -> Array:
    """r, as |J'| <= 1."""
    return _fixed(rn, r)


def bessely(n: Array, x: Array, rn: Array, r: Array, v: Array, part: float) -> Array:
    """Half the sum of the moduli √(J² + Y²) of the neighbouring orders, which decrease, at the lower end."""
    low = above(x - r)
    size = sum(np.hypot(special.jv(k, low), special.yv(k, low)) for k in (n - 1, n + 1))
    return _fixed(rn, still(r, r * size * (LOOSE / 2)))


def besseli(n: Array, x: Array, rn: Array, r: Array, v: Array, part: float) -> Array:
    """|f'| <= (1 + |n| / |x|) |f|; where that is not sharp, |f'| <= cosh x."""
    low = np.abs(x) * SAFE - r
    slope = 1 + np.abs(n) / np.where(low > 0, low, np.nan)
    near = v * growth(r * slope * (1 + 2.0**-40))
    wide = r * np.cosh(np.abs(x) + r) * LOOSE
    return _fixed(rn, still(r, np.fmin(near, wide)))


def besselk(n: Array, x: Array, rn: Array, r: Array, v: Array, part: float) -> Array:
    """|f'| <= (1 + max(|n|, 1) / x) |f|: by DLMF 10.29.2, as K decreases with a lower order and K₁ <= (1 + 1/x) K₀."""
    slope = 1 + np.maximum(np.abs(n), 1) / above(x * SAFE - r)
    return _fixed(rn, still(r, v * growth(r * slope * (1 + 2.0**-40))))


def _fixed(radius: Array, bound: Array) -> Array:
    """The bound where a parameter has no radius, else nan."""
    moves = ~(np.asarray(radius) == 0)
    return np.where(moves, np.nan, bound) if moves.any() else bound
