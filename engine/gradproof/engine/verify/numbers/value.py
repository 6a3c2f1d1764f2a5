"""Value checks (L0 and L2): outputs of a node and contributions of its rule against their true values, in ulps.

A float that is not close (`ulps.close_enough`) is compared again with every input widened by its rounding. If that
explains the distance, the word is CONDITIONED (or ILL_CONDITIONED, where less than half of the digits are left), else
OFF, and the summary is ``wrong``. Each element is compared by itself; the verdict has the worst word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.errors import text_of
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.floats.balls import Reading, all_narrow
from gradproof.engine.verify.floats.compare import Rounding, compare_with_enclosure, worse
from gradproof.engine.verify.floats.conditioning import (
    MANY,
    confirmed,
    crossings,
    farthest,
    moved_by,
    neighbours,
    unbounded,
)
from gradproof.engine.verify.numbers.truth import (
    MAX_OPERATIONS,
    Application,
    Rows,
    Truth,
    contributions,
    outputs_of,
    true_contributions,
    true_outputs,
)
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, MADE, MEMORY, SIDE, SMALLER, TABLE
from gradproof.engine.verify.verdict.wording import element_text, index_text

MAX_ELEMENTS = 2048  # of a node; up to this number Arb encloses all where the reading of arrays says too little
MAX_SIDES = 64
GROWN = 128.0  # largest factor by which an input may have multiplied an underflow error


@dataclass(frozen=True)
class Checked:
    """Verdicts on an application: on its outputs, and on the contribution to each input (None if there is none)."""

    forward: ValueVerdict
    contributions: tuple[ValueVerdict | None, ...]


def check_values(application: Application) -> Checked:
    """Verdicts on a node of up to `MAX_ELEMENTS` elements, all of which are enclosed."""
    total = sum(y.size for y in application.results)
    enclosures = Enclosures()
    contributions = _guarded(
        lambda: _check_contributions(application, enclosures),
        lambda reason: unjudged(application, ValueWord.UNCHECKED, reason),
    )
    if (
        application.op.elementwise
        and application.size > 1
        and any(v is not None and v.word is ValueWord.UNCHECKED for v in contributions)
    ):
        contributions = _guarded(
            lambda: _element_by_element(application), lambda reason: unjudged(application, ValueWord.UNCHECKED, reason)
        )
    forward = _guarded(
        lambda: check_forward(application, enclosures),
        lambda reason: ValueVerdict(ValueWord.UNCHECKED, total=total, reason=reason),
    )
    return Checked(forward, contributions)


@dataclass
class Enclosures:
    """Enclosures of an application, computed once: the true values, and those at neighbours of the inputs."""

    truth: Truth | None = None
    neighbouring: list[tuple[Reading, Truth]] | None = None
    sides_of_inputs: list[tuple[Rows, Rows]] | None = None
    sign_changes: dict[int, list[bool]] = field(default_factory=dict)

    def at_neighbours(self, application: Application) -> list[tuple[Reading, Truth]]:
        """Readings at neighbours of the inputs, with the true values there."""
        if self.neighbouring is None:
            self.neighbouring = list(neighbours(lambda r: (r, true_contributions(application, r)), application.size))
        return self.neighbouring

    def crosses(self, application: Application, k: int, j: int) -> bool:
        """True if element ``j`` of contribution ``k`` changes its sign within 1/32 of an input that moves."""
        if self.sides_of_inputs is None:
            self.sides_of_inputs = list(_at_both_sides(application))
        if k not in self.sign_changes:
            self.sign_changes[k] = crossings(self.sides_of_inputs, k)
        return any(self.sign_changes[k][j : j + 1])

    def outputs_at_neighbours(self, application: Application) -> Iterator[Rows]:
        """Outputs at neighbours of the inputs.

        They are read anew, since the sign of a zero matters for outputs, and not for contributions, unless that takes
        long and the known ones are narrow.
        """
        if self.neighbouring is None or not application.op.normwise or application.size <= MANY:
            yield from neighbours(lambda reading: true_outputs(application, reading)[0], application.size)
            return
        for reading, truth in self.neighbouring:
            yield truth.outputs if all_narrow(truth.outputs) else true_outputs(application, reading)[0]


def unjudged(application: Application, word: ValueWord, reason: str) -> tuple[ValueVerdict | None, ...]:
    """The same verdict for every contribution."""
    return tuple(None if c is None else ValueVerdict(word, total=c.size, reason=reason) for c in application.contributions)


def _guarded(check: Callable[[], Any], fallback: Callable[[str], Any]) -> Any:
    """The result of ``check()``, or ``fallback(reason)`` if the definition cannot be read."""
    try:
        return check()
    except TooLarge:
        return fallback(f"the definition takes more than {MAX_OPERATIONS} operations; {SMALLER}")
    except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
        return fallback(f"no ball form ({text_of(error)}); {TABLE}")
    except MemoryError:
        return fallback(f"the memory for checks was over; {MEMORY}")
    except Undecided as error:
        return fallback(f"{text_of(error)}; {SIDE}")
    except BaseException as error:  # a definition is plugin code, and the gradient is returned whatever it raises
        reraise_own(error)
        return fallback(f"the definition raised {describe(error)}; {AUTHOR}")


# the forward value


def check_forward(application: Application, enclosures: Enclosures | None = None) -> ValueVerdict:
    """Compare the outputs of a node with their definition. ``enclosures``: those of its contributions. Raises as
    `_guarded` handles."""
    enclosures = enclosures or Enclosures()
    known = enclosures.truth
    truths, bits = (known.outputs, known.bits) if known and all_narrow(known.outputs) else true_outputs(application)
    moved: list[list[arb]] | None = None
    worst = ValueVerdict(ValueWord.ENCLOSED)
    for k, (result, truth) in enumerate(zip(application.results, truths, strict=True)):
        if result.dtype.kind in "biu":
            worst = worse(worst, _same(result, truth))
            continue
        verdict = compare_with_enclosure(result, [truth])
        if verdict.word is ValueWord.OFF:
            moved = moved or farthest(enclosures.outputs_at_neighbours(application), truths)
            grown = [min(GROWN, max(1.0, *map(_largest, application.inputs)))] * len(truth)
            verdict = compare_with_enclosure(result, [truth], Rounding(moved[k], grown, terms=application.terms))
            if verdict.word is ValueWord.OFF and application.op.normwise:
                moved = unbounded(
                    moved, lambda r: outputs_of(application, r), enclosures.outputs_at_neighbours(application), truths
                )
                verdict = compare_with_enclosure(result, [truth], Rounding(moved[k], grown, terms=application.terms))
        worst = worse(worst, verdict)
    size = sum(y.size for y in application.results)
    return replace(worst, checked=size, total=size, bits=bits)


def _same(result: Array, truth: Sequence[arb]) -> ValueVerdict:
    """The verdict on conditions and integers, which are not rounded."""
    for index, true in zip(np.ndindex(result.shape), truth, strict=True):
        if not true.is_finite():
            return ValueVerdict(ValueWord.NONFINITE, reason=f"a number that it depends on is not finite; {MADE}")
        if true != int(result[index]):
            got, expected = repr(result[index].item()), repr(result.dtype.type(float(true)).item())
            reason = "conditions and integers do not round"
            return ValueVerdict(
                ValueWord.OFF, math.inf, element=index_text(index), got=got, expected=expected, reason=reason
            )
    return ValueVerdict(ValueWord.ENCLOSED)


# contributions


def _check_contributions(application: Application, enclosures: Enclosures) -> tuple[ValueVerdict | None, ...]:
    if all(claimed is None for claimed in application.contributions):
        return (None,) * len(application.contributions)
    truth = true_contributions(application)
    enclosures.truth = truth
    sides, jumps = [truth.balls], False
    if truth.ties:
        beside_kink = [true_contributions(application, direction=direction) for direction in _directions(truth.ties)]
        sides, jumps = [side.balls for side in beside_kink], _jumps([side.outputs for side in beside_kink])
    moved: list[list[arb]] | None = None
    sure: list[list[arb]] | None = None
    verdicts: list[ValueVerdict | None] = []
    for k, claimed in enumerate(application.contributions):
        if claimed is None:
            verdicts.append(None)
            continue

        def compare(radii: list[list[arb]] | None, k: int = k, claimed: Array = claimed) -> ValueVerdict:
            row, far = [side[k] for side in sides], None if radii is None else radii[k]
            reach = () if radii is None else _reach(truth.reach[k], application.inputs[k])
            rounding = None
            if far is not None:
                rounding = Rounding(
                    far,
                    reach,
                    elementwise=application.op.elementwise,
                    terms=application.terms,
                    crosses=lambda j: claimed.dtype.kind != "c" and enclosures.crosses(application, k, j),
                )
            return compare_with_enclosure(claimed, row, rounding, application.op.kink_of(k))

        verdict = compare(None)
        if verdict.word is ValueWord.OFF:
            moved = moved or moved_by(
                lambda r: _enclosures_once(application, r),
                (nearby.balls for _, nearby in enclosures.at_neighbours(application)),
                truth.balls,
            )
            verdict = compare(moved)
            if verdict.word is not ValueWord.OFF and "underflow" not in verdict.reason:
                at_neighbours = (nearby.balls for _, nearby in enclosures.at_neighbours(application))
                sure = sure or confirmed(moved, at_neighbours, truth.balls, application.size, claimed.dtype.kind == "c")
                verdict = compare(sure)
            if verdict.word is ValueWord.OFF and application.op.normwise:
                at_neighbours = (nearby.balls for _, nearby in enclosures.at_neighbours(application))
                verdict = compare(
                    unbounded(sure or moved, lambda r: _enclosures_once(application, r), at_neighbours, truth.balls)
                )
        if jumps and verdict.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED):
            verdict = replace(verdict, word=ValueWord.TIE, reason="at a jump: the result itself is another on either side")
        verdicts.append(replace(verdict, checked=claimed.size, total=claimed.size, bits=truth.bits))
    return tuple(verdicts)


def _at_both_sides(application: Application) -> Iterator[tuple[Rows, Rows]]:
    """Contributions at both sides of each input that moves, 1/32 of it away."""
    for k, claimed in enumerate(application.contributions):
        if claimed is None or claimed.dtype.kind == "c":
            continue
        sides = []
        for factor in (31 / 32, 33 / 32):
            inputs = list(application.inputs)
            inputs[k] = np.asarray(inputs[k], np.float64) * factor
            sides.append(replace(application, inputs=inputs))
        try:
            low, high = (true_contributions(side).balls for side in sides)
        except (Undecided, ZeroDivisionError, ValueError):
            continue
        yield low, high


def _jumps(sides: Sequence[list[list[arb]]]) -> bool:
    """True if the outputs differ between the sides of a kink: there is no derivative, whatever the slopes are."""
    first, *others = sides
    return any(
        not a.overlaps(b) for side in others for rows in zip(first, side, strict=True) for a, b in zip(*rows, strict=True)
    )


def _largest(x: Array) -> float:
    """Largest magnitude of a finite number in ``x``."""
    sizes = np.abs(np.asarray(parts(x), np.float64)) if x.dtype.kind not in "biu" else np.zeros(1)
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def _reach(cotangents: Sequence[float], x: Array) -> list[float]:
    """Largest factors of an underflow error in a contribution: a cotangent, and the input."""
    sizes = np.abs(np.asarray(parts(x), np.float64)).ravel().tolist()
    return [g * min(max(1.0, size), GROWN) for g, size in zip(cotangents, sizes, strict=True)]


def _enclosures_once(application: Application, reading: Any) -> list[list[arb]]:
    """Enclosures of the contributions at the current precision, however wide."""
    return contributions(application, Tape(MAX_OPERATIONS), reading)[0]


def _element_by_element(application: Application) -> tuple[ValueVerdict | None, ...]:
    """Worst verdicts of the elements, each checked by itself, so that a branch that cannot be decided affects only its
    element."""
    worst: list[ValueVerdict | None] = [None] * len(application.contributions)
    for index in range(application.results[0].size):
        alone = application.part(np.array([index]))
        verdicts = _guarded(
            lambda: _check_contributions(alone, Enclosures()),  # noqa: B023 - called at once
            lambda reason: unjudged(alone, ValueWord.UNCHECKED, reason),  # noqa: B023
        )
        place = element_text(index, application.results[0].shape)
        for k, verdict in enumerate(verdicts):
            if verdict is not None:
                verdict = replace(verdict, element=place if verdict.element else "")
                known = worst[k]
                checked = verdict.checked + (known.checked if known else 0)
                worst[k] = replace(worse(known, verdict) if known else verdict, checked=checked)
    size = application.results[0].size
    return tuple(verdicts and replace(verdicts, total=size) for verdicts in worst)


def _directions(ties: Sequence[frozenset[int]]) -> list[dict[int, float]]:
    """Directions along which to leave a kink: tied variables move differently from each other, and over all directions
    each comes first and last equally often."""
    groups = [sorted(group) for group in ties]
    count = math.lcm(*map(len, groups))
    if count > MAX_SIDES:
        raise Undecided(f"{sum(map(len, groups))} elements take part in ties: too many sides of a kink")
    return [
        {k: sign * float((rank + shift) % len(group) + 1) for group in groups for rank, k in enumerate(group)}
        for shift in range(count)
        for sign in (1, -1)
    ]


__all__ = [
    "MAX_ELEMENTS",
    "Application",
    "Checked",
    "check_forward",
    "check_values",
    "unjudged",
]
