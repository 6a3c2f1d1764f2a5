"""Conventions that an op declares: complex numbers, and points without a derivative."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Complex(StrEnum):
    """Treatment of complex numbers by the rule of an op. The gradient of a real L in z = a + ib is dL/da + i dL/db, as in
    PyTorch."""

    REFUSED = "no gradient flows through complex numbers"
    HOLOMORPHIC = "complex differentiable, and the rule, written for reals, is conjugated: g conj(f'(z))"
    DIRECT = "the rule is written for complex numbers"


REFUSED: Final = Complex.REFUSED
HOLOMORPHIC: Final = Complex.HOLOMORPHIC
DIRECT: Final = Complex.DIRECT


class Kink(StrEnum):
    """The value that a rule gives at a kink, out of the derivatives on its sides."""

    MEAN = "the mean of the one-sided derivatives"
    SMALLEST = "the one-sided derivative of smallest magnitude"
    LARGEST = "the one-sided derivative of largest magnitude"
