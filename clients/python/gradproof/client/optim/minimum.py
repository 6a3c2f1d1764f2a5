"""Minimum: what `minimize` has found. This module needs SciPy."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.optimize import OptimizeResult

from gradproof.client.events import Array, Verdict
from gradproof.client.optim.objective import Objective, Packing


class Minimum(OptimizeResult):
    """SciPy's `OptimizeResult`, whose ``x`` is a tree like ``x0``, and ``jac``, the gradient, as well.

    What else a method reports is about the vector of all elements.
    """

    _checked: tuple[Objective, Array]

    def __init__(self, result: OptimizeResult, objective: Objective, packing: Packing) -> None:
        super().__init__(result)  # type: ignore[call-arg]  # a dict
        object.__setattr__(self, "_checked", (objective, np.array(result.x)))
        self["x"] = packing.tree(result.x)
        gradient = result.get("jac")
        if isinstance(gradient, np.ndarray):  # of trust-constr a list, of the Jacobians of the constraints
            self["jac"] = packing.tree(gradient)

    @cached_property
    def verdict(self) -> Verdict | None:
        """The verdict on the gradient at ``x``, with respect to the vector of all elements: computed when it is asked for,
        by the request that gave the gradient, with all checks."""
        objective, x = self._checked
        return objective.gradient(x)[1].verdict
