"""The normalised sinc function sin(πx) / (πx) of `numpy.sinc`, and its derivatives."""

import numpy as np

from gradproof.engine.extend import InferenceError, ops

MAX_ORDER = 12
SINC = "sin(πx) / (πx), 1 at 0; or its derivative of the order"


def sinc(x, *, order=0):
    """The derivative of order ``order`` of sin(πx) / (πx), computed in float64 or complex128.

    The limits at infinity are 0. Raises InferenceError for an order that is out of range."""
    if not 0 <= order <= MAX_ORDER:
        raise InferenceError(f"order is {order}; it must be from 0 to {MAX_ORDER}")
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    with np.errstate(all="ignore"):
        near = np.abs(wide) * np.pi < order + 2
        value = np.where(near, sinc_series(np.where(near, wide, 0), order), sinc_far(np.where(near, 1, wide), order))
        value = np.where(np.isinf(wide.real) & (wide.imag == 0), 0, value)
    return value.astype(x.dtype if x.dtype.kind in "fVc" else np.float64)


def sinc_series(x, order):
    """The series at 0, πⁿ Σ (-1)^((n + j) / 2) (πx)ʲ / (j! (n + j + 1)) over all j of the parity of n."""
    z = np.pi * x
    term, total = z ** (order % 2) * (-1.0) ** ((order + order % 2) // 2), 0
    for j in range(order % 2, 2 * order + 40, 2):
        total = total + term / (order + j + 1)
        term = -term * z * z / ((j + 1) * (j + 2))
    return np.pi**order * total


def sinc_far(x, order):
    """Far from 0, where the series cancels: x Sₙ = πⁿ⁻¹ sin(πx + nπ/2) - n Sₙ₋₁. Sines are those of the distance to the
    nearest integer, so that zeros are exact and no digit is lost far out."""
    whole = np.rint(x.real)
    part, sign = x - whole, np.where(whole % 2, -1.0, 1.0)
    sin, cos = np.sin(np.pi * part), np.sin(np.pi * (0.5 - np.where(part.real < 0, -part, part)))
    waves = (sin, cos, -sin, -cos)
    value = 0
    for k in range(order + 1):
        value = (np.pi ** (k - 1.0) * sign * waves[k % 4] - k * value) / x
    return value


def sinc_rule(g, y, x, *, order):
    return g * ops.sinc(x, order=order + 1)


def sinc_define(f, x, *, order=0):
    """By the recurrence of `sinc_far`; its value at 0 is a limit."""
    z, value = f.pi * x, f.sinc(f.pi * x)
    waves = (f.sin(z), f.cos(z), -f.sin(z), -f.cos(z))
    at_zero = f.number((0, 1, 0, -1)[(order + 1) % 4]) / (order + 1)
    for k in range(1, order + 1):
        value, at_zero = (f.pi ** (k - 1) * waves[k % 4] - k * value) / x, at_zero * f.pi
    return f.where(f.equal(x, 0), at_zero, value) if order else value
