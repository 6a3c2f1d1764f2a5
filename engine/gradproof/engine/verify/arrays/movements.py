"""Propagated errors of functions: bounds of |f(x') - f(x)| for all x' within r of x.

Each function takes arrays: x, r, v = |f(x)|, and the relative error ``part`` of v; x and r twice for two arguments. A bound
is nan or inf where x' may leave the domain, or r is not finite, and never a finite number of an unknown value. They follow
from addition theorems and the mean value theorem, without another call of the function.
"""

from __future__ import annotations

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT
from gradproof.engine.verify.arrays.flags import FLAGS

SAFE = 1 - 16 * UNIT
"""Factor that makes a positive difference of rounded numbers a lower bound."""
FAR = 1e150  # whose square is a float


def growth(r: Array) -> Array:
    """An upper bound of e^r - 1, also for an r that was rounded a few times: r + r² up to 1."""
    if r.max(initial=0) <= 1:
        bound: Array = r + r * r
        return bound
    return np.expm1(r * (1 + 2.0**-46)) * (1 + 2.0**-48)


def still(r: Array, bound: Array) -> Array:
    """The bound, and 0 for an argument with radius 0."""
    return np.where(r == 0, 0.0, bound) if np.isnan(bound).any() or np.isinf(bound).any() else bound


def above(x: Array) -> Array:
    """Positive numbers unchanged, nan for others."""
    return x if x.min(initial=1) > 0 else np.where(x > 0, x, np.nan)


def exp(x: Array, r: Array, v: Array, part: float) -> Array:
    """e^x (e^r - 1); e^(x + r) for a large r, as of a large mask."""
    if r.max(initial=0) <= 1:
        return v * growth(r)
    end = x + r
    end = end + np.abs(end) * (4 * UNIT)
    bound: Array = np.where(r <= 1, v * (r + r * r), np.exp(end) * (1 + 2.0**-40) + 4 * FLAGS.tiny)
    return bound


def expm1(x: Array, r: Array, v: Array, part: float) -> Array:
    """e^x (e^r - 1), with e^x = 1 + f(x)."""
    return (np.where(x < 0, (1 - v) + 2 * part, 1 + v)) * growth(r)


def log(x: Array, r: Array, v: Array, part: float) -> Array:
    """-log(1 - r/x) <= r / (x - r)."""
    return still(r, r / above(x - r))


def log1p(x: Array, r: Array, v: Array, part: float) -> Array:
    """As `log`, at 1 + x."""
    return still(r, r / above((1 + x) * SAFE - r))


def sqrt(x: Array, r: Array, v: Array, part: float) -> Array:
    """√x (1 - √(1 - q)) <= √x (q + q²) / 2 with q = r/x <= 1."""
    q = r / above(x)
    if not q.max(initial=0) <= 1:
        q = np.where(q <= 1, q, np.nan)
    return still(r, v * 0.5 * (q + q * q))


def wave(x: Array, r: Array, v: Array, part: float) -> Array:
    """Sine and cosine: r, as |f'| <= 1."""
    return r


def sinc(x: Array, r: Array, v: Array, part: float) -> Array:
    """|f'| is below 1/2, and below 2 / m at the point m next to 0."""
    return r * np.minimum(0.5, 2 / np.maximum(np.abs(x) * SAFE - r, 1))


def tan(x: Array, r: Array, v: Array, part: float) -> Array:
    """T (1 + t²) / (1 - t T) with T = tan r <= r + r³ up to 1 (addition theorem); a pole is near where t T reaches 1."""
    t = v * (1 + part)
    step = np.where(r <= 1, r + r * r * r, np.nan)
    return step * (1 + t * t) / above(1 - 4 * UNIT - t * step)


def asin(x: Array, r: Array, v: Array, part: float) -> Array:
    """Arc sine and arc cosine: the slope is 1 / √((1 - a)(1 + a)) at the end a of larger magnitude."""
    left = (1 - np.abs(x)) * SAFE - r
    return still(r, r / np.sqrt(above(left) * (1 + np.abs(x))))


def atan(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope is 1 / (1 + m²) at the point m next to 0."""
    m = np.clip(np.abs(x) * SAFE - r, 0, FAR)
    return r / (1 + m * m)


def angle(y: Array, x: Array, ry: Array, rx: Array, v: Array, part: float) -> Array:
    """asin q <= q / (1 - q), with q the distance that the point may move over its distance from the origin. The angle jumps
    on the negative axis."""
    r = ry + rx
    q = r / np.maximum(np.abs(x), np.abs(y))
    jump = (x < rx) & (np.abs(y) <= ry) & (ry > 0)
    return still(r, np.where(jump | ~(q < 1), np.nan, q / (1 - q)))


def sinh(x: Array, r: Array, v: Array, part: float) -> Array:
    """cosh x (e^r - 1), with cosh x <= 1 + |sinh x|."""
    return (1 + v) * growth(r)


def cosh(x: Array, r: Array, v: Array, part: float) -> Array:
    """|sinh x| sinh r + cosh x (cosh r - 1), with |sinh x| <= cosh x min(1, |x|), and cosh r - 1 <= (e^r - 1)²."""
    step = growth(r)
    bound: Array = v * step * np.minimum(np.minimum(np.abs(x), 1) + step, 1)
    return bound


def tanh(x: Array, r: Array, v: Array, part: float) -> Array:
    """T (1 - t²) / (1 - t T) with T = tanh r <= min(r, 1) (addition theorem); for a large r the distance to 1 at the end
    next to 0."""
    off = v * part
    step = np.minimum(r, 1)
    left = 1 - 4 * UNIT - (v + off) * step
    bound = step * ((1 - v) * (1 + v) + (2 * off + 4 * UNIT))
    if r.max(initial=0) < 0.25:
        narrow: Array = bound / left
        return narrow
    end = np.abs(x) * SAFE - r
    return np.where(r < 0.25, bound / left, np.where(r < np.inf, 1 - np.tanh(end) + (2 * off + 16 * UNIT), np.nan))


def asinh(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope is 1 / √(1 + m²) <= 1 / max(m, 1) at the point m next to 0."""
    return r / np.maximum(np.abs(x) * SAFE - r, 1)


def acosh(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope is 1 / √((m - 1)(m + 1)) at the lower end m."""
    left = above((x - 1) * SAFE - r)
    return still(r, r / (np.sqrt(left) * np.sqrt(left + 2)))


def atanh(x: Array, r: Array, v: Array, part: float) -> Array:
    """The slope is 1 / ((1 - a)(1 + a)) at the end a of larger magnitude."""
    left = (1 - np.abs(x)) * SAFE - r
    return still(r, r / (above(left) * (1 + np.abs(x))))


def erf(x: Array, r: Array, v: Array, part: float) -> Array:
    """2/√π r."""
    return r * 1.1283791671


def erfc(x: Array, r: Array, v: Array, part: float) -> Array:
    """f (e^(h r) - 1), where h bounds |f'| / f, which increases: below x + √(x² + 2) at x >= 0 (Z. W. Birnbaum, An
    inequality for Mill's ratio, Ann. Math. Stat. 13, 1942), and below 2/√π left of 0."""
    return v * growth(r * (2 * np.maximum(x + r, 0) + 1.4143))


def power(x: Array, a: Array, rx: Array, ra: Array, v: Array, part: float) -> Array:
    """f (e^w - 1), with w = |a| q + ra (|log x| + q) and q = r / (x - r). An integer power of a ball that contains 0 is
    between 0 and the power of the end of larger magnitude."""
    size = np.abs(x)
    q = rx / np.where(size > rx, size - rx, np.nan)
    wander = np.abs(a) * q
    if np.asarray(ra).any():
        wander = wander + np.where(x > 0, ra * (np.abs(np.log(size)) + q), np.where(ra > 0, np.nan, 0.0))
    bound = v * growth(wander)
    whole = (a == np.rint(a)) & (ra == 0)
    bound = np.where((x > 0) | whole, bound, np.nan)
    through = whole & (a >= 1) & ~(size > rx)
    if through.any():
        bound = np.where(through, (np.power(size + rx, np.maximum(a, 1)) * (1 + 2.0**-48)) + v, bound)
    return still(np.maximum(rx, ra), bound)
