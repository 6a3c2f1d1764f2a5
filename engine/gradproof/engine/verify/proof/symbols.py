"""Symbols for the elements of an input of an op."""

from __future__ import annotations

import numpy as np
import sympy

from gradproof.engine.domains import Domain
from gradproof.engine.spec import Array


def symbols(prefix: str, shape: tuple[int, ...], domain: Domain) -> tuple[Array, Array]:
    """An object array of SymPy symbols, of ``shape``, and the array of their images in the domain (equal unless the domain
    has a chart)."""
    names, images = np.empty(shape, object), np.empty(shape, object)
    for index in np.ndindex(shape):
        suffix = "_".join(map(str, index))
        names[index] = sympy.Symbol(f"{prefix}{suffix}", **domain.assumptions)
        images[index] = domain.chart(names[index])
    return names, images
