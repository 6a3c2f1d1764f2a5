"""L0 and L2: were the numbers right? What a node computed, and what its rule gave, against the truth, in ulps.

The definition of the op is read at the exact floats of the run: in balls for the forward value; on a tape of balls, with
the cotangent that the rule really received, for the derivative. No rule is used. Precision is doubled until the enclosures
are narrow. A float further off than what is close (`ulps.close_enough`) is judged again with every input widened by its own
rounding: if that explains the distance it is CONDITIONED, else it is OFF, and the summary is ``wrong``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.functions import Undecided
from gradproof.engine.op import Attributes, Op
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, Spec, spec_of
from gradproof.engine.verify.balls import NotFinite, Reading, all_narrow, as_is, balls_of
from gradproof.engine.verify.conditioning import confirmed, moved_by
from gradproof.engine.verify.judge import RANK, judge
from gradproof.engine.verify.reading import NoDefinition, concrete, read_parts
from gradproof.engine.verify.tape import Bounded, Tape, TooLarge, ball_of
from gradproof.engine.verify.ulps import finite
from gradproof.engine.verify.verdict import Value, ValueVerdict

PRECISIONS = (128, 256, 512, 1024, 2048, 4096)
MAX_ELEMENTS = 2048  # of one node: above this elementwise ops are screened, and a sample of them enclosed
MAX_OPERATIONS = 60_000
MAX_COMPARISONS = 300_000
MAX_SIDES = 64


@dataclass(frozen=True)
class Application:
    """One op applied in a run: its input arrays, specs and arrays of its outputs, the cotangents its rule received, and
    what the rule gave (None where nothing was asked of it)."""

    op: Op
    attributes: Attributes
    inputs: Sequence[Array]
    outputs: Sequence[Spec]
    results: Sequence[Array]
    cotangents: Sequence[Array]
    contributions: Sequence[Array | None]

    @property
    def specs(self) -> list[Spec]:
        """Of the inputs."""
        return [spec_of(x) for x in self.inputs]

    @property
    def size(self) -> int:
        return max((array.size for array in [*self.inputs, *self.cotangents]), default=0)


@dataclass(frozen=True)
class Checked:
    """Verdicts on an application: on what it computed, and on what its rule gave for each input (None where nothing)."""

    forward: ValueVerdict
    contributions: tuple[ValueVerdict | None, ...]


def check_values(one: Application) -> Checked:
    """The verdicts on a node of up to `MAX_ELEMENTS` elements, every one of them enclosed."""
    total = sum(y.size for y in one.results)
    seen: list[Truth] = []
    contributions = _guarded(lambda: _check_contributions(one, seen), lambda word, reason: unjudged(one, word, reason))
    forward = _guarded(
        lambda: check_forward(one, seen), lambda word, reason: ValueVerdict(word, total=total, reason=reason)
    )
    return Checked(forward, contributions)


def unjudged(one: Application, word: Value, reason: str) -> tuple[ValueVerdict | None, ...]:
    """The same word for every contribution."""
    return tuple(None if c is None else ValueVerdict(word, total=c.size, reason=reason) for c in one.contributions)


def _guarded(check: Callable[[], Any], fallback: Callable[[Value, str], Any]) -> Any:
    """``check()``, or the honest word for why there is nothing to say."""
    try:
        return check()
    except TooLarge:
        return fallback(Value.UNCHECKED, f"the definition takes more than {MAX_OPERATIONS} operations")
    except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
        return fallback(Value.UNCHECKED, f"no ball form ({error})")
    except NotFinite as error:
        return fallback(Value.NONFINITE, str(error))
    except (ZeroDivisionError, ValueError):  # Arb's power series raise ValueError at a pole
        return fallback(Value.NONFINITE, "not finite, or not defined, at an element")
    except Undecided as error:
        return fallback(Value.UNCHECKED, str(error))
    except Exception as error:  # a definition is a stranger's code, and a check may not cost anyone a gradient
        return fallback(Value.UNCHECKED, f"the definition raised {type(error).__name__}: {error}")


# the forward value


def check_forward(one: Application, seen: Sequence[Truth] = ()) -> ValueVerdict:
    """Whether the node computed what its op is defined to be; ``seen``: what its derivative showed of that. Raises as
    `_guarded` knows."""
    if not all(finite(x) for x in one.inputs if x.dtype.kind not in "biu"):
        raise NotFinite("an input is not finite")
    known = next(((truth.outputs, truth.bits) for truth in seen if all_narrow(truth.outputs)), None)
    truths, bits = known or _true_outputs(one, as_is)
    moved: list[list[arb]] | None = None
    worst = ValueVerdict(Value.ENCLOSED)
    for k, (result, truth) in enumerate(zip(one.results, truths, strict=True)):
        if result.dtype.kind in "biu":
            worst = max(worst, _same(result, truth), key=lambda v: v.word is Value.OFF)
            continue
        found = judge(result, [truth], None)
        if found.word is Value.OFF:
            moved = moved or moved_by(partial(_outputs, one), lambda reading: _true_outputs(one, reading)[0], truths)
            found = judge(result, [truth], moved[k] if moved else None)
            if moved and found.word is Value.CONDITIONED and finite(result):
                found = confirmed(
                    found,
                    lambda beside: judge(result, [truth], beside),  # noqa: B023 - called at once
                    lambda reading: _true_outputs(one, reading)[0][k],  # noqa: B023
                    (truth, moved[k]),
                    one.size,
                    result.dtype.kind == "c",
                )
        worst = max(worst, found, key=lambda v: (v.word is Value.OFF, v.word is Value.CONDITIONED, v.max_ulps))
    size = sum(y.size for y in one.results)
    return ValueVerdict(
        worst.word, worst.max_ulps, size, size, worst.element, worst.got, worst.expected, worst.reason, bits
    )


def _same(result: Array, truth: Sequence[arb]) -> ValueVerdict:
    """The word for conditions and integers, which do not round."""
    for index, true in zip(np.ndindex(result.shape), truth, strict=True):
        if true != int(result[index]):
            got, expected = repr(result[index].item()), repr(result.dtype.type(float(true)).item())
            reason = "conditions and integers do not round"
            return ValueVerdict(Value.OFF, math.inf, element=str(list(index)), got=got, expected=expected, reason=reason)
    return ValueVerdict(Value.ENCLOSED)


def _true_outputs(one: Application, reading: Reading) -> tuple[list[list[arb]], int]:
    for bits in PRECISIONS:
        with precision(bits):
            found = _outputs(one, reading)
            if all_narrow(found):
                return found, bits
            if any(ball.is_nan() for balls in found for ball in balls):
                raise NotFinite("the result is not defined at an element")
    raise NotFinite("the result has no narrow enclosure at an element")


def _outputs(one: Application, reading: Reading) -> list[list[arb]]:
    f = Bounded(MAX_COMPARISONS)
    inputs = [
        concrete(x) if x.dtype.kind in "biu" else balls_of(x, reading, normwise=one.op.normwise, zero=True)
        for x in one.inputs
    ]
    outputs = read_parts(one.op, f, inputs, one.specs, one.attributes, one.outputs)
    return [[arb(f.as_number(y)) for y in cells.flat] for cells in outputs]


# contributions


def _check_contributions(one: Application, seen: list[Truth]) -> tuple[ValueVerdict | None, ...]:
    if all(claimed is None for claimed in one.contributions):
        return (None,) * len(one.contributions)
    arrays = [*one.cotangents, *one.results, *(x for x in one.inputs if x.dtype.kind not in "biu")]
    if not all(map(finite, arrays)):
        raise NotFinite("an input, the result or a cotangent is not finite")
    truth = true_contributions(one, as_is)
    seen.append(truth)
    sides = [truth.balls]
    if truth.ties:
        sides = [true_contributions(one, as_is, leaning).balls for leaning in _leanings(truth.ties)]
    verdicts: list[ValueVerdict | None] = []
    moved: list[list[arb]] | None = None
    for k, claimed in enumerate(one.contributions):
        if claimed is None:
            verdicts.append(None)
            continue
        mine = [side[k] for side in sides]
        kink = one.op.kink_of(k)
        found = judge(claimed, mine, None, kink)
        if found.word is Value.OFF:
            moved = moved or moved_by(
                lambda reading: _contributions(one, Tape(MAX_OPERATIONS), reading)[0],
                lambda reading: true_contributions(one, reading).balls,
                truth.balls,
            )
            if moved is None and one.op.elementwise and one.size > 1:
                return _singly(one)
            scale = max(float(np.max(np.abs(g), initial=0)) for g in one.cotangents)
            found = judge(claimed, mine, moved[k] if moved else None, kink, scale)
            if moved and found.word is Value.CONDITIONED and finite(claimed):
                found = confirmed(
                    found,
                    lambda beside: judge(claimed, mine, beside, kink, scale),  # noqa: B023 - called at once
                    lambda reading: true_contributions(one, reading).balls[k],  # noqa: B023
                    (truth.balls[k], moved[k]),
                    one.size,
                    claimed.dtype.kind == "c",
                )
        verdicts.append(
            ValueVerdict(
                found.word, found.max_ulps, claimed.size, claimed.size, found.element, found.got, found.expected,
                found.reason, truth.bits,
            )
        )  # fmt: skip
    return tuple(verdicts)


def _singly(one: Application) -> tuple[ValueVerdict | None, ...]:
    """The worst of what is said of each element by itself: next to a branch that one of them reaches, others have their
    rounding explained."""
    worst: list[ValueVerdict | None] = [None] * len(one.contributions)
    for index in np.ndindex(one.results[0].shape):
        alone = replace(
            one,
            inputs=[np.asarray(x[index]) for x in one.inputs],
            outputs=[replace(spec, shape=()) for spec in one.outputs],
            results=[np.asarray(y[index]) for y in one.results],
            cotangents=[np.asarray(g[index]) for g in one.cotangents],
            contributions=[None if c is None else np.asarray(c[index]) for c in one.contributions],
        )
        for k, found in enumerate(_check_contributions(alone, [])):
            known = worst[k]
            if found and (known is None or (RANK[found.word], found.max_ulps) > (RANK[known.word], known.max_ulps)):
                worst[k] = replace(found, element=str(list(map(int, index))) if found.word is Value.OFF else "")
    size = one.results[0].size
    return tuple(found and replace(found, checked=size, total=size) for found in worst)


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


@dataclass(frozen=True)
class Truth:
    """For each input the enclosures of its true contribution (flat), those of the outputs, the bits used, and the variables
    that are tied, in groups."""

    balls: list[list[arb]]
    outputs: list[list[arb]]
    bits: int
    ties: tuple[frozenset[int], ...]


def true_contributions(one: Application, reading: Reading, leaning: dict[int, float] | None = None) -> Truth:
    """Enclosed narrowly. Raises NotFinite, Undecided, TooLarge, NoDefinition."""
    for bits in PRECISIONS:
        with precision(bits):
            tape = Tape(MAX_OPERATIONS, leaning)
            found, outputs = _contributions(one, tape, reading)
            if all_narrow(found):
                return Truth(found, outputs, bits, tuple(map(frozenset, tape.ties)))
            if any(ball.is_nan() for balls in found for ball in balls):
                break
    raise NotFinite("the derivative is not finite, or not defined, at an element")


def _contributions(one: Application, tape: Tape, reading: Reading) -> tuple[list[list[arb]], list[list[arb]]]:
    """For each input its contribution, and for each output its value."""
    inputs: list[Array] = []
    moving: list[list[Any] | None] = []
    for x, claimed in zip(one.inputs, one.contributions, strict=True):
        if x.dtype.kind in "biu":
            inputs.append(concrete(x))
            moving.append(None)
            continue
        cells = balls_of(x, reading, normwise=one.op.normwise)
        if claimed is not None:
            flat = cells.reshape(-1)  # a view: what was made just now is contiguous
            flat[:] = [tape.variable(ball) for ball in flat]
        inputs.append(cells)
        moving.append(None if claimed is None else list(cells.flat))
    outputs = read_parts(one.op, tape, inputs, one.specs, one.attributes, one.outputs)
    results = [y for array in outputs for y in array.flat]
    together = one.op.normwise or not one.op.elementwise  # a rule that adds cotangents is accurate for the largest
    seeds = [g for array in one.cotangents for g in balls_of(array, reading, normwise=together).flat]
    variables = [v for cells in moving if cells for v in cells]
    balls = iter(tape.gradient(results, seeds, variables))
    values = [[arb(ball_of(tape.as_number(y))) for y in array.flat] for array in outputs]
    return [[next(balls) for _ in cells] if cells else [] for cells in moving], values
