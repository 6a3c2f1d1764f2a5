"""Complex numbers for tests of gradients."""

from __future__ import annotations

import numpy as np

from gradproof.engine.spec import Array


def complex_numbers(random: np.random.Generator, *shape: int) -> Array:
    """Off the axes, in all four quadrants."""
    size = random.uniform(0.2, 1.6, (2, *shape)) * random.choice([-1, 1], (2, *shape))
    return np.asarray(size[0] + 1j * size[1])
