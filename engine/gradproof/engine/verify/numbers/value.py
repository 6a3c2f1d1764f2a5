"""L0 and L2: were the numbers right? What a node computed, and what its rule gave, against the truth, in ulps.

A float further off than what is close (`ulps.close_enough`) is judged again with every input widened by its own rounding:
if that explains the distance it is CONDITIONED (or ILL_CONDITIONED, where less than half of its digits are left), else OFF,
and the summary is ``wrong``. Each element is judged by itself, and the worst word is said of all.
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
from gradproof.engine.verify.floats.compare import compare_with_enclosure, worse
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

MAX_ELEMENTS = 2048  # of one node: up to so many are enclosed by Arb together where arrays say too little
MAX_SIDES = 64
GROWN = 128.0  # by how much an input may have multiplied what underflowed


@dataclass(frozen=True)
class Checked:
    """Verdicts on an application: on what it computed, and on what its rule gave for each input (None where nothing)."""

    forward: ValueVerdict
    contributions: tuple[ValueVerdict | None, ...]


def check_values(one: Application) -> Checked:
    """The verdicts on a node of up to `MAX_ELEMENTS` elements, every one of them enclosed."""
    total = sum(y.size for y in one.results)
    seen = Seen()
    found = _guarded(lambda: _check_contributions(one, seen), lambda reason: unjudged(one, ValueWord.UNCHECKED, reason))
    if one.op.elementwise and one.size > 1 and any(v is not None and v.word is ValueWord.UNCHECKED for v in found):
        found = _guarded(lambda: _singly(one), lambda reason: unjudged(one, ValueWord.UNCHECKED, reason))
    forward = _guarded(
        lambda: check_forward(one, seen), lambda reason: ValueVerdict(ValueWord.UNCHECKED, total=total, reason=reason)
    )
    return Checked(forward, found)


@dataclass
class Seen:
    """What has been read of an application: the truth, and the truth one unit beside it."""

    truth: Truth | None = None
    beside: list[tuple[Reading, Truth]] | None = None
    across: list[tuple[Rows, Rows]] | None = None
    crossed: dict[int, list[bool]] = field(default_factory=dict)

    def around(self, one: Application) -> list[tuple[Reading, Truth]]:
        """The contributions, and the outputs that were seen with them, at neighbours of the inputs."""
        if self.beside is None:
            self.beside = list(neighbours(lambda r: (r, true_contributions(one, r)), one.size))
        return self.beside

    def crosses(self, one: Application, k: int, j: int) -> bool:
        """Whether element ``j`` of contribution ``k`` changes its sign within 1/32 of an input that moves."""
        if self.across is None:
            self.across = list(_across(one))
        if k not in self.crossed:
            self.crossed[k] = crossings(self.across, k)
        return any(self.crossed[k][j : j + 1])

    def outputs_around(self, one: Application) -> Iterator[Rows]:
        """The outputs there: read anew, unless that takes long and they are known well enough. A zero has two signs for
        them, and none for contributions; a norm does not ask."""
        if self.beside is None or not one.op.normwise or one.size <= MANY:
            yield from neighbours(lambda reading: true_outputs(one, reading)[0], one.size)
            return
        for reading, truth in self.beside:
            yield truth.outputs if all_narrow(truth.outputs) else true_outputs(one, reading)[0]


def unjudged(one: Application, word: ValueWord, reason: str) -> tuple[ValueVerdict | None, ...]:
    """The same word for every contribution."""
    return tuple(None if c is None else ValueVerdict(word, total=c.size, reason=reason) for c in one.contributions)


def _guarded(check: Callable[[], Any], fallback: Callable[[str], Any]) -> Any:
    """``check()``, or the honest word for why there is nothing to say."""
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
    except BaseException as error:  # a definition is a stranger's code, and a check may not cost anyone a gradient
        reraise_own(error)
        return fallback(f"the definition raised {describe(error)}; {AUTHOR}")


# the forward value


def check_forward(one: Application, seen: Seen | None = None) -> ValueVerdict:
    """Whether the node computed what its op is defined to be; ``seen``: what its derivative showed of that. Raises as
    `_guarded` knows."""
    seen = seen or Seen()
    known = seen.truth
    truths, bits = (known.outputs, known.bits) if known and all_narrow(known.outputs) else true_outputs(one)
    moved: list[list[arb]] | None = None
    worst = ValueVerdict(ValueWord.ENCLOSED)
    for k, (result, truth) in enumerate(zip(one.results, truths, strict=True)):
        if result.dtype.kind in "biu":
            worst = worse(worst, _same(result, truth))
            continue
        found = compare_with_enclosure(result, [truth], None)
        if found.word is ValueWord.OFF:
            moved = moved or farthest(seen.outputs_around(one), truths)
            grown = [min(GROWN, max(1.0, *map(_largest, one.inputs)))] * len(truth)
            found = compare_with_enclosure(result, [truth], moved[k], reach=grown, terms=one.terms)
            if found.word is ValueWord.OFF and one.op.normwise:
                moved = unbounded(moved, lambda r: outputs_of(one, r), seen.outputs_around(one), truths)
                found = compare_with_enclosure(result, [truth], moved[k], reach=grown, terms=one.terms)
        worst = worse(worst, found)
    size = sum(y.size for y in one.results)
    return replace(worst, checked=size, total=size, bits=bits)


def _same(result: Array, truth: Sequence[arb]) -> ValueVerdict:
    """The word for conditions and integers, which do not round."""
    for index, true in zip(np.ndindex(result.shape), truth, strict=True):
        if not true.is_finite():
            return ValueVerdict(ValueWord.NONFINITE, reason=f"a number that it rests on is not finite; {MADE}")
        if true != int(result[index]):
            got, expected = repr(result[index].item()), repr(result.dtype.type(float(true)).item())
            reason = "conditions and integers do not round"
            return ValueVerdict(
                ValueWord.OFF, math.inf, element=str(list(index)), got=got, expected=expected, reason=reason
            )
    return ValueVerdict(ValueWord.ENCLOSED)


# contributions


def _check_contributions(one: Application, seen: Seen) -> tuple[ValueVerdict | None, ...]:
    if all(claimed is None for claimed in one.contributions):
        return (None,) * len(one.contributions)
    truth = true_contributions(one)
    seen.truth = truth
    sides, jumps = [truth.balls], False
    if truth.ties:
        leant = [true_contributions(one, leaning=leaning) for leaning in _leanings(truth.ties)]
        sides, jumps = [side.balls for side in leant], _jumps([side.outputs for side in leant])
    moved: list[list[arb]] | None = None
    sure: list[list[arb]] | None = None
    verdicts: list[ValueVerdict | None] = []
    for k, claimed in enumerate(one.contributions):
        if claimed is None:
            verdicts.append(None)
            continue

        def judged(radii: list[list[arb]] | None, k: int = k, claimed: Array = claimed) -> ValueVerdict:
            mine, far = [side[k] for side in sides], None if radii is None else radii[k]
            reach = () if radii is None else _reach(truth.reach[k], one.inputs[k])
            return compare_with_enclosure(
                claimed,
                mine,
                far,
                one.op.kink_of(k),
                reach,
                elementwise=one.op.elementwise,
                terms=one.terms,
                crosses=lambda j: claimed.dtype.kind != "c" and seen.crosses(one, k, j),
            )

        found = judged(None)
        if found.word is ValueWord.OFF:
            moved = moved or moved_by(lambda r: _wide(one, r), (there.balls for _, there in seen.around(one)), truth.balls)
            found = judged(moved)
            if found.word is not ValueWord.OFF and "underflow" not in found.reason:
                around = (there.balls for _, there in seen.around(one))
                sure = sure or confirmed(moved, around, truth.balls, one.size, claimed.dtype.kind == "c")
                found = judged(sure)
            if found.word is ValueWord.OFF and one.op.normwise:
                around = (there.balls for _, there in seen.around(one))
                found = judged(unbounded(sure or moved, lambda r: _wide(one, r), around, truth.balls))
        if jumps and found.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED):
            found = replace(found, word=ValueWord.TIE, reason="at a jump: the result itself is another on either side")
        verdicts.append(replace(found, checked=claimed.size, total=claimed.size, bits=truth.bits))
    return tuple(verdicts)


def _across(one: Application) -> Iterator[tuple[Rows, Rows]]:
    """The contributions to both sides of each input that moves, 1/32 of it away."""
    for k, claimed in enumerate(one.contributions):
        if claimed is None or claimed.dtype.kind == "c":
            continue
        sides = []
        for factor in (31 / 32, 33 / 32):
            inputs = list(one.inputs)
            inputs[k] = np.asarray(inputs[k], np.float64) * factor
            sides.append(replace(one, inputs=inputs))
        try:
            low, high = (true_contributions(side).balls for side in sides)
        except (Undecided, ZeroDivisionError, ValueError):
            continue
        yield low, high


def _jumps(sides: Sequence[list[list[arb]]]) -> bool:
    """Whether the results of a node differ between the sides of a kink: there is no derivative, whatever the slopes are."""
    first, *others = sides
    return any(
        not a.overlaps(b) for side in others for rows in zip(first, side, strict=True) for a, b in zip(*rows, strict=True)
    )


def _largest(x: Array) -> float:
    """The largest magnitude of finite numbers in ``x``."""
    sizes = np.abs(np.asarray(parts(x), np.float64)) if x.dtype.kind not in "biu" else np.zeros(1)
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def _reach(cotangents: Sequence[float], x: Array) -> list[float]:
    """The largest numbers that elements of a contribution may have been multiplied with: a cotangent, and the input."""
    sizes = np.abs(np.asarray(parts(x), np.float64)).ravel().tolist()
    return [g * min(max(1.0, size), GROWN) for g, size in zip(cotangents, sizes, strict=True)]


def _wide(one: Application, reading: Any) -> list[list[arb]]:
    """Enclosures of the contributions at one precision, however wide."""
    return contributions(one, Tape(MAX_OPERATIONS), reading)[0]


def _singly(one: Application) -> tuple[ValueVerdict | None, ...]:
    """The worst of what is said of each element by itself: where one of them reaches a branch, others have their say."""
    worst: list[ValueVerdict | None] = [None] * len(one.contributions)
    for index in range(one.results[0].size):
        alone = one.part(np.array([index]))
        found = _guarded(
            lambda: _check_contributions(alone, Seen()),  # noqa: B023 - called at once
            lambda reason: unjudged(alone, ValueWord.UNCHECKED, reason),  # noqa: B023
        )
        place = str(list(map(int, np.unravel_index(index, one.results[0].shape))))
        for k, mine in enumerate(found):
            if mine is not None:
                mine = replace(mine, element=place if mine.element else "")
                known = worst[k]
                checked = mine.checked + (known.checked if known else 0)
                worst[k] = replace(worse(known, mine) if known else mine, checked=checked)
    size = one.results[0].size
    return tuple(found and replace(found, total=size) for found in worst)


def _leanings(ties: Sequence[frozenset[int]]) -> list[dict[int, float]]:
    """Directions along which to leave a kink: of the variables that are tied with each other every one moves differently,
    and over all directions each comes first, and last, equally often."""
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
