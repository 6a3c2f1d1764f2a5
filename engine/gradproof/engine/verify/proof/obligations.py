"""Obligations of a rule: an identity for each element of each input, and the tactic that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import sympy

from gradproof.engine.domains import REAL
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, Spec, is_differentiable
from gradproof.engine.verify.identities.branches import exact
from gradproof.engine.verify.identities.regions import Unproved, differences, discharge, ties_of
from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import parts_shape
from gradproof.engine.verify.readings.reading import place_of

FAR = sympy.Rational(1, 10**20)  # a difference of two numbers of 40 digits that is none of rounding
BESIDE = (sympy.Rational(1, 2**14), sympy.Rational(1, 2**30))  # distances from a round point
ROUNDED = sympy.Rational(1, 10**12)  # the same, relative, where SymPy rounded floats


def cotangents_of(inference: Inferred) -> list[Array]:
    """A symbol for each number of the cotangents."""
    return [symbols(f"g{k}_", parts_shape(spec), REAL)[0] for k, spec in enumerate(inference.outputs)]


def prove_obligations(
    op: Op,
    specs: Sequence[Spec],
    variables: Sequence[Array | None],
    cotangents: Sequence[Array],
    outputs: Sequence[Array],
    claimed: Sequence[Array | None],
) -> tuple[dict[str, str], set[str]]:
    """The tactics that show the contributions that a rule claims to be the derivatives of ``outputs`` along
    ``variables``, by obligation, and the ties that were left out. Raises Unproved."""
    weighted = [(g, y) for gs, ys in zip(cotangents, outputs, strict=True) for g, y in zip(gs.flat, ys.flat, strict=True)]
    tactics: dict[str, str] = {}
    ties = {tie for _, y in weighted for difference in differences(y) for tie in ties_of(difference)}
    for k, contribution in enumerate(claimed):
        cells = variables[k]
        if cells is None or k in op.still:
            continue
        if contribution is None:
            if is_differentiable(specs[k].dtype) and any(sympy.diff(y, n) != 0 for _, y in weighted for n in cells.flat):
                raise Unproved(f"the rule says NO_GRADIENT for input {op.input_name(k)}, which the result depends on")
            continue
        for index in np.ndindex(cells.shape):
            symbol = cells[index]
            truth = sympy.Add(*(g * sympy.diff(y, symbol) for g, y in weighted if symbol in _free(y)))
            residual = sympy.sympify(contribution[index]) - truth
            place = f"input {op.input_name(k)}{place_of(index, specs[k]) if index else ''}"
            try:
                tactics[place] = discharge(residual, ties)
            except Unproved as error:
                _look_inside(op, k, index, contribution.item(index), truth, error)
                raise Unproved(f"{place}: {error}", region=error.region) from None
    return tactics, ties


def _look_inside(op: Op, k: int, index: tuple[int, ...], claimed: Any, truth: Any, error: Unproved) -> None:
    """Raises BehaviourFault if rule and derivative differ at the point of an open region, which random points do not
    reach, or near to it: they may agree by chance at a point of round coordinates."""
    if not error.point:
        return
    random = Random(f"{op.name} {k} {index}")
    free = sorted(_free(sympy.sympify(claimed)) | _free(truth), key=sympy.default_sort_key)
    rounded = any(sympy.sympify(e).has(sympy.Float) for e in (claimed, truth))  # by SymPy, in a definition with floats
    for near in (0, *BESIDE):
        point = {s: sympy.Rational(random.randint(1, 63), 16) for s in free}
        point |= {s: value + near * random.randint(1, 63) for s, value in error.point.items()}
        got, expected = (sympy.N(exact(e).xreplace(point), 40) for e in (claimed, truth))
        finite = got.is_Number and expected.is_Number and got.is_finite and expected.is_finite
        if finite and abs(got - expected) > (ROUNDED * max(1, abs(expected)) if rounded else FAR):
            coordinates = "; ".join(f"{s} = {value}" for s, value in point.items())
            raise BehaviourFault(
                "differs at an exact point of a region that is cut out by branches", point=coordinates,
                input=op.input_name(k), element=str(list(index)), got=str(got.n(17)), expected=str(expected.n(17)),
            )  # fmt: skip


def _free(expression: Any) -> set[Any]:
    return set(getattr(expression, "free_symbols", ()))
