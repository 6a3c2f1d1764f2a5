"""Digits that an op loses: how many, and where, of forward and gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gradproof.engine.op import Op
from gradproof.engine.verify.numbers import check_values
from gradproof.engine.verify.verdict import ValueWord
from gradproof.testing.checking import subject_of
from gradproof.testing.fault import Broken
from gradproof.testing.samples import stress_points, trial_of
from gradproof.testing.trial import run

POINTS = 8
DIGITS = 53 * math.log10(2)
"""Decimal digits of a float64."""


@dataclass(frozen=True)
class LostDigits:
    """The most digits that a result or a gradient loses.

    Attributes:
        what: ``result``, or ``gradient of x``.
        digits: decimal digits that are lost, of the 15.95 of a float64.
        point: the inputs where they are.
    """

    what: str
    digits: float
    point: str

    def __str__(self) -> str:
        return f"{self.what}: {self.digits:.1f} digits lost at {self.point}"


def lost_digits(op: Op | str, plugin: Any = None) -> list[LostDigits]:
    """The digits that the result and each gradient of an op lose at ordinary points and at its stress values, in float64,
    against the true values in balls.

    Args:
        op: the op, or the name of an op of ``plugin``.
        plugin: as for `check_op`.

    Returns:
        A row for the result, and one for each gradient that is compared, at the worst point each; a number that is not
        finite where the truth is loses all.
    """
    subject = subject_of(op, plugin)
    known = subject.op
    cases = known.declared_cases()
    trials = [*(trial_of(known, case, seed=seed) for case in cases for seed in range(POINTS)), *stress_points(known)]
    worst: dict[str, LostDigits] = {}
    for trial in trials:
        try:
            checked = check_values(run(subject.registry, trial))
        except Broken:
            continue
        point = ", ".join(f"{known.input_name(k)} = {x.tolist()}" for k, x in enumerate(trial.arrays))
        for k, verdict in enumerate((checked.forward, *checked.contributions)):
            if verdict is None or verdict.word in (ValueWord.UNCHECKED, ValueWord.NONFINITE, ValueWord.OVERFLOWED):
                continue
            what = "result" if k == 0 else f"gradient of {known.input_name(k - 1)}"
            digits = min(DIGITS, math.log10(max(1.0, verdict.max_ulps)) if verdict.max_ulps < math.inf else DIGITS)
            if what not in worst or digits > worst[what].digits:
                worst[what] = LostDigits(what, digits, point)
    return list(worst.values())
