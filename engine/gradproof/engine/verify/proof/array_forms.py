"""Forms for whole arrays: whether the form of an op is its definition, and whether its rule may be read through forms.

Large arrays are checked by reading them whole, in balls, through `Op.arrays`. So that this agrees with the definition,
both are read in the small case of a proof: in Arb's balls at exact points, where a difference refutes the op; then with
symbols, where each cell of the form less that of the definition must be zero as an identity. The program of the rule is
read twice too, since it holds ops with forms of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import sympy
from flint import arb

from gradproof.engine.attributes import Attributes
from gradproof.engine.cases import Case
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import SYMBOLIC, Balls, Undecided
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Exact, Program
from gradproof.engine.verify.identities.zero_tests import short, zero_tactic
from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.points import sample_point
from gradproof.engine.verify.readings import TooLarge, read_op
from gradproof.engine.verify.readings.cells import CellArray, CellFunctions, Choices, boxed
from gradproof.engine.verify.readings.reading import read_attributes

BITS = 256
POINTS = 2  # exact points at which a form is refuted
MAX_CHOICES = 96  # readings of a form, where it takes elements
FORM = "the form for whole arrays"


class NoForm(Exception):
    """A program cannot be read through forms; the message says why."""


@dataclass(frozen=True)
class Symbols:
    """Readings with symbols in a proof: inputs, cotangents, the outputs by the definition, and the contributions of the
    rule."""

    inputs: Sequence[Array]
    cotangents: Sequence[Array]
    outputs: Sequence[Array]
    claimed: Sequence[Array | None]


def check_forms(op: Op, case: Case, inference: Inferred, rule: Program, read: Symbols) -> tuple[bool, list[str]]:
    """True if the form of ``op``, and those of the ops in its rule, are shown to be the definitions; and a line of text
    for each. Raises BehaviourFault where the form is another function."""
    if op.elementwise:
        return True, []
    if op.arrays is None:
        return False, []
    arguments = [*read.cotangents, *read.outputs, *read.inputs]
    try:
        _refute(op, case, inference)
        own = _identical(lambda f: form_of(op, f, read.inputs, inference.attributes, inference.outputs), read.outputs)
    except NoForm as error:
        return False, [f"{FORM} may not be used: {error}"]
    lines = [f"{FORM} is the definition: {own}"]
    try:
        through = _identical(lambda f: through_forms(rule, arguments, f), read.claimed)
    except NoForm as error:
        return False, [*lines, f"the rule may not be read through {FORM[4:]}s: {error}"]
    return True, [*lines, f"the rule read through forms for whole arrays is the same: {through}"]


def form_of(
    op: Op, f: CellFunctions, inputs: Sequence[Any], attributes: Attributes, outputs: Sequence[Spec]
) -> list[Array]:
    """The outputs of an op, by its form if the op has a form. Raises NoForm."""
    if op.elementwise:
        return read_op(op, f.f, inputs, attributes, outputs)
    if op.arrays is None:
        raise NoForm(f"op {op.name!r} has none")
    try:
        returned = op.arrays(f, *(CellArray(x) for x in inputs), **read_attributes(f.f, attributes))
    except NotImplementedError as error:
        raise NoForm(f"op {op.name!r}: {error}") from error
    except (Undecided, TooLarge):
        raise
    except BaseException as error:  # a plugin's code
        reraise_own(error)
        raise NoForm(f"op {op.name!r}: it raised {describe(error)}") from error
    results = returned if isinstance(returned, tuple) else (returned,)
    if len(results) != len(outputs):
        raise NoForm(f"op {op.name!r}: it gives {len(results)} arrays, and the op has {len(outputs)} outputs")
    cells = [x.cells if isinstance(x, CellArray) else boxed(x) for x in results]
    return [_shaped(op, x, spec.shape) for x, spec in zip(cells, outputs, strict=True)]


def _shaped(op: Op, cells: Array, shape: tuple[int, ...]) -> Array:
    if cells.ndim and cells.shape != shape:
        raise NoForm(f"op {op.name!r}: it gives shape {cells.shape}, and not {shape}")
    return np.broadcast_to(cells, shape)


def through_forms(program: Program, inputs: Sequence[Array], f: CellFunctions) -> list[Array | None]:
    """The outputs of a program, where ops that are not elementwise are read through their forms. Raises NoForm."""
    values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
    for number, literal in program.literals.items():
        values[number] = boxed(literal.define(f.f) if isinstance(literal, Exact) else f.f.number(literal))
    for instruction in program.instructions:
        outputs = [program.specs[k] for k in instruction.outputs]
        results = form_of(instruction.op, f, [values[k] for k in instruction.inputs], instruction.attributes, outputs)
        values.update(zip(instruction.outputs, results, strict=True))
    return [None if k is None else values[k] for k in program.outputs]


# at exact points


def _refute(op: Op, case: Case, inference: Inferred) -> None:
    for seed in range(POINTS):
        random = Random(f"{op.name} {case} form {seed}")
        try:
            with precision(BITS):
                inputs, coordinates = sample_point(op, case, inference, random)
                truth = read_op(op, Balls(), inputs, inference.attributes, inference.outputs)
                form = form_of(op, _at_point(random), inputs, inference.attributes, inference.outputs)
                _differ(truth, form, coordinates)
        except (Undecided, TooLarge, ZeroDivisionError, ValueError):
            continue


def _at_point(random: Random) -> CellFunctions:
    def anchor(k: int) -> Any:
        return Balls().number(Fraction(random.randint(-64, 64), 32))

    return CellFunctions(Balls(), anchor, random.randrange)


def _differ(truth: Sequence[Array], form: Sequence[Array], coordinates: Sequence[str]) -> None:
    for array, form_array in zip(truth, form, strict=True):
        for index in np.ndindex(array.shape):
            expected, got = (arb(Balls().as_number(x.item(index))) for x in (array, form_array))
            if (got - expected).is_finite() and not (got - expected).contains(0):
                raise BehaviourFault(
                    f"{FORM} is not the definition",
                    element=str(list(index)), point="; ".join(coordinates[:12]),
                    got=got.str(17, radius=False), expected=expected.str(17, radius=False),
                )  # fmt: skip


# with symbols


def _identical(form: Callable[[CellFunctions], Sequence[Array | None]], definition: Sequence[Array | None]) -> str:
    """The tactics that show each cell to be the same, for any anchors and chosen elements. Raises NoForm."""
    choices, tactics = Choices(MAX_CHOICES), dict[Any, str]()
    try:
        for _ in choices.readings():
            forms = form(CellFunctions(SYMBOLIC, lambda k: sympy.Symbol(f"anchor{k}", real=True), choices.next))
            for form_cells, cells in zip(forms, definition, strict=True):
                if cells is None or form_cells is None:
                    continue
                for index in np.ndindex(cells.shape):
                    _show(form_cells[index], cells[index], list(index), tactics)
    except NotImplementedError as error:
        raise NoForm(str(error)) from error
    return " ".join(dict.fromkeys(" ".join(tactics.values()).split())) or "structural"


def _show(form: Any, definition: Any, index: list[int], tactics: dict[Any, str]) -> None:
    if form is definition or form == definition:
        return
    difference = SYMBOLIC.as_number(form) - SYMBOLIC.as_number(definition)
    if difference in tactics:
        return
    tactic = _equal_powers(difference) or zero_tactic(difference)
    if tactic is None:
        raise NoForm(f"no tactic shows that the difference at {index} is 0: {short(difference)}")
    tactics[difference] = tactic


def _equal_powers(difference: Any) -> str | None:
    """The tactic that shows the exponential of a difference of logarithms to be 1: real numbers are equal if their
    exponentials are."""
    if not difference.has(sympy.log) or not difference.is_extended_real:
        return None
    tactic = zero_tactic(sympy.exp(difference) - 1)
    return None if tactic is None else f"exponential {tactic}"
