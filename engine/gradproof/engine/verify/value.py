"""L2: were the numbers right? Each contribution of a run against the true derivative, in units in the last place.

The definition of the op is read on a tape of balls at the exact floats of the run, with the cotangent that the rule really
received, and differentiated there; no rule is used. Precision is doubled until the enclosures are narrow. A float further
off than `CLOSE` ulps is judged again with every input widened by its own rounding: if that explains the distance the
value is CONDITIONED, else it is OFF, and the summary is ``wrong``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.functions import Undecided
from gradproof.engine.op import Attributes, Op
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, DType, Spec
from gradproof.engine.verify.reading import NoDefinition, concrete, read_op
from gradproof.engine.verify.tape import Tape, TooLarge
from gradproof.engine.verify.verdict import Value, ValueVerdict

CLOSE = 64.0
CLOSE_HALF = 8.0
EXPLAINED = 32
EXPLAINED_HALF = 8
GOOD_BITS = 80
PRECISIONS = (128, 256, 512, 1024, 2048, 4096)
MAX_ELEMENTS = 2048  # above this a sample of elementwise ops is enclosed, and other ops are not
MAX_OPERATIONS = 60_000
SAMPLE = 256
MAX_FAVOURED = 64
NEIGHBOURS = 3
NOTHING = arb(2) ** -1100

Reading: TypeAlias = Callable[[Any, DType], arb]  # a float as a ball


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


class _Finite(Exception):
    """No enclosure became narrow enough: the derivative does not exist here, or is out of reach."""


def check_values(application: Application) -> list[ValueVerdict | None]:
    """One verdict per input (None where there is no contribution)."""
    one = application
    arrays = [*one.cotangents, *one.results, *(x for x in one.inputs if x.dtype.kind not in "biu")]
    size = max((array.size for array in [*one.inputs, *one.cotangents]), default=0)
    if one.op.elementwise and size > MAX_ELEMENTS:
        return _sampled(one, size)
    if size > MAX_ELEMENTS:
        return _all(one, Value.UNCHECKED, f"{size} elements are too many to enclose")
    if not all(np.isfinite(array).all() for array in arrays):
        return _all(one, Value.NONFINITE, "an input, the result or a cotangent is not finite")
    try:
        return _enclose(one)
    except TooLarge:
        return _all(one, Value.UNCHECKED, f"the definition takes more than {MAX_OPERATIONS} operations")
    except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
        return _all(one, Value.UNCHECKED, f"no ball form ({error})")
    except (_Finite, ZeroDivisionError, ValueError):  # Arb's power series raise ValueError at a pole
        return _all(one, Value.NONFINITE, "the derivative is not finite, or not defined, at an element")
    except Undecided as error:
        return _all(one, Value.UNCHECKED, str(error))
    except Exception as error:  # a definition is a stranger's code, and a check may not cost anyone a gradient
        return _all(one, Value.UNCHECKED, f"the definition raised {type(error).__name__}: {error}")


def _all(one: Application, word: Value, reason: str) -> list[ValueVerdict | None]:
    return [None if c is None else ValueVerdict(word, 0.0, 0, c.size, reason=reason) for c in one.contributions]


def _sampled(one: Application, size: int) -> list[ValueVerdict | None]:
    """Elements of a large elementwise op: the extremes of each array, and a sample drawn by a fixed generator."""
    picked = set(np.random.default_rng(size).integers(0, size, SAMPLE).tolist())
    for array in (*one.inputs, *one.cotangents, *(c for c in one.contributions if c is not None)):
        flat = np.abs(array).ravel()
        if flat.size == size and flat.dtype.kind == "f":
            picked |= {int(np.argmin(flat)), int(np.argmax(flat))}
    index = np.array(sorted(picked))

    def pick(array: Array) -> Array:
        picked_elements: Array = np.asarray(array).ravel()[index]
        return picked_elements

    small = Application(
        one.op,
        one.attributes,
        [pick(x) for x in one.inputs],
        [Spec((len(index),), spec.dtype) for spec in one.outputs],
        [pick(y) for y in one.results],
        [pick(g) for g in one.cotangents],
        [None if c is None else pick(c) for c in one.contributions],
    )
    shape = next(c.shape for c in one.contributions if c is not None)
    found: list[ValueVerdict | None] = []
    for verdict in check_values(small):
        if verdict is None:
            found.append(None)
            continue
        element = verdict.element
        if element:
            element = str([int(k) for k in np.unravel_index(index[int(element.strip("[]"))], shape)])
        found.append(replace(verdict, total=size, element=element))
    return found


def _enclose(one: Application) -> list[ValueVerdict | None]:
    truths, bits, tied = _true_contributions(one, None)
    sides = [truths]
    if tied:
        sides = [_true_contributions(one, side)[0] for side in (-1, 1)]
        if not all(_hull(got, [s[k][j] for s in sides]) <= CLOSE for k, j, got in _elements(one)):
            sides += _favoured(one)
    verdicts: list[ValueVerdict | None] = []
    widened: list[list[arb]] | None = None  # by how much the rounding of the inputs moves the truth
    for k, claimed in enumerate(one.contributions):
        if claimed is None:
            verdicts.append(None)
            continue
        worst, place = 0.0, 0
        for j, got in enumerate(np.asarray(claimed).flat):
            ulps = _hull(got, [side[k][j] for side in sides])
            if not ulps <= worst:
                worst, place = ulps, j
        word, reason = (Value.TIE if tied else Value.ENCLOSED), ("the convention at a kink, per node" if tied else "")
        if not worst <= _close_enough(claimed.dtype):
            widened = widened or _widened(one, truths)
            word, reason, worst, place = _judge(claimed, [side[k] for side in sides], widened[k] if widened else None)
        shown = {}
        if word is Value.OFF:
            index = [int(i) for i in np.unravel_index(place, claimed.shape)]
            shown = {
                "element": str(index) if index else "",
                "got": repr(float(np.asarray(claimed).flat[place])),
                "expected": " or ".join(dict.fromkeys(side[k][place].str(17, radius=False) for side in sides)),
            }
        verdicts.append(ValueVerdict(word, worst, claimed.size, claimed.size, reason=reason, bits=bits, **shown))
    return verdicts


def _close_enough(dtype: DType) -> float:
    """How many ulps are close: fewer where one is a large part of the number."""
    return CLOSE if dtype.kind == "f" and dtype.itemsize >= 4 else CLOSE_HALF


def _elements(one: Application) -> Iterator[tuple[int, int, Any]]:
    """Input, flat position and float of every element that the rule gave."""
    for k, claimed in enumerate(one.contributions):
        if claimed is not None:
            for j, got in enumerate(np.asarray(claimed).flat):
                yield k, j, got


def _favoured(one: Application) -> list[list[list[arb]]]:
    """More sides of a kink where several elements are equal: each of them in turn a little above, and below, the rest."""
    count = sum(claimed.size for claimed in one.contributions if claimed is not None)
    if count > MAX_FAVOURED:
        raise Undecided(f"more than {MAX_FAVOURED} elements, and several of them equal: too many sides of a kink")
    return [_true_contributions(one, sign, (element, sign))[0] for element in range(count) for sign in (1, -1)]


def _judge(claimed: Array, sides: list[list[arb]], moved: list[arb] | None) -> tuple[Value, str, float, int]:
    """The word for a contribution with an element further off than CLOSE, and that element."""
    worst, place, off = 0.0, 0, False
    factor = EXPLAINED if _close_enough(claimed.dtype) == CLOSE else EXPLAINED_HALF
    for j, got in enumerate(np.asarray(claimed).flat):
        ulps = _hull(got, [side[j] for side in sides])
        if ulps <= _close_enough(claimed.dtype):
            continue
        # Below the smallest normal number a float has few digits, and so has what it was computed from.
        tiny = float(np.finfo(claimed.dtype).smallest_normal) if claimed.dtype.kind == "f" else 2.0**-126
        explained = bool(np.isfinite(got) and abs(got) < tiny and all(abs(side[j]) < tiny for side in sides))
        if not explained and moved is not None and np.isfinite(got):
            explained = bool(abs(arb(float(got)) - sides[0][j]) <= factor * moved[j])
        if (not explained and not off) or (explained <= (not off) and not ulps <= worst):
            worst, place = ulps, j
        off = off or not explained
    if off:
        return Value.OFF, "no rounding of the inputs explains the distance", worst, place
    return Value.CONDITIONED, "the rounding of the inputs explains the distance", worst, place


def _exact(x: Any, dtype: DType) -> arb:
    return arb(float(x))


def _widen(x: Any, dtype: DType) -> arb:
    """The float with one unit in its last place to both sides (none for 0, which is mostly meant as such)."""
    return arb(arb(float(x)), arb(_spacing(float(x), dtype))) if x else arb(0)


def _true_contributions(
    one: Application, ties: int | None, favourite: tuple[int, int] | None = None, reading: Reading = _exact
) -> tuple[list[list[arb]], int, bool]:
    """For each input the enclosures of its true contribution (flat), the bits used, and whether a branch was tied."""
    for bits in PRECISIONS:
        with precision(bits):
            tape = Tape(ties, MAX_OPERATIONS)
            found = _contributions(one, tape, reading, favourite)
            if all(_narrow(ball) for balls in found for ball in balls):
                return found, bits, tape.tied
            if any(ball.is_nan() for balls in found for ball in balls):
                raise _Finite
    raise _Finite


def _widened(one: Application, truths: list[list[arb]]) -> list[list[arb]] | None:
    """How far the true contributions may move when every input moves by one unit in its last place; None where that
    reaches a branch."""
    try:
        with precision(256):
            found = _contributions(one, Tape(None, MAX_OPERATIONS), _widen)
            if all(ball.is_finite() for balls in found for ball in balls):
                return [[arb(ball.rad()) for ball in balls] for balls in found]
    except Undecided:
        return None
    except (ZeroDivisionError, ValueError):
        pass
    return _neighbours(one, truths)


def _neighbours(one: Application, truths: list[list[arb]]) -> list[list[arb]]:
    """The same where balls reach a pole, which they do early (that of a determinant contains 0 long before a matrix in it
    is singular): seen at single points one unit away. Where none of those has a derivative, any distance is explained."""
    moved = [[arb(0) for _ in balls] for balls in truths]
    reached = False
    for seed in range(NEIGHBOURS):
        found = _beside(one, seed, 1) or _beside(one, seed, -1)
        if found is None:
            continue
        reached = True
        for most, theirs, mine in zip(moved, found, truths, strict=True):
            most[:] = [max(m, abs(x - y), key=lambda b: float(b.mid())) for m, x, y in zip(most, theirs, mine, strict=True)]
    return moved if reached else [[arb("inf") for _ in balls] for balls in truths]


def _beside(one: Application, seed: int, side: int) -> list[list[arb]] | None:
    """The true contributions where each input is one unit up or down, at random (``side`` turns all round); None where
    they do not exist."""
    random = Random(seed)

    def moved(x: Any, dtype: DType) -> arb:
        return arb(float(x)) + side * random.choice((-1, 1)) * arb(_spacing(float(x), dtype)) if x else arb(0)

    try:
        return _true_contributions(one, None, reading=moved)[0]
    except (_Finite, Undecided, ZeroDivisionError, ValueError):
        return None


def _contributions(
    one: Application, tape: Tape, reading: Reading, favourite: tuple[int, int] | None = None
) -> list[list[arb]]:
    inputs: list[Array] = []
    moving: list[list[Any] | None] = []
    for x, claimed in zip(one.inputs, one.contributions, strict=True):
        if x.dtype.kind in "biu":
            inputs.append(concrete(x))
            moving.append(None)
            continue
        cells = np.empty(x.shape, object)
        for index in np.ndindex(x.shape):
            ball = reading(x[index], x.dtype)
            cells[index] = ball if claimed is None else tape.variable(ball)
        inputs.append(cells)
        moving.append(None if claimed is None else list(cells.flat))
    variables = [v for cells in moving if cells for v in cells]
    if favourite is not None:
        tape.favourite = (variables[favourite[0]], favourite[1])
    outputs = read_op(one.op, tape, inputs, one.attributes, one.outputs)
    flat = [y for array in outputs for y in array.flat]
    seeds = [reading(g, array.dtype) for array in one.cotangents for g in array.flat]
    balls = iter(tape.gradient(flat, seeds, variables))
    return [[next(balls) for _ in cells] if cells else [] for cells in moving]


def _spacing(x: float, dtype: DType) -> float:
    """One unit in the last place of ``dtype`` at ``x``: for a denormal number that is much of it."""
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return float(np.spacing(dtype.type(abs(x))))
    return 2.0 ** (max(math.frexp(x)[1] - 1, -126) - 7)  # bfloat16


def _narrow(ball: arb) -> bool:
    """Whether a ball says enough: to 80 bits, or, where the truth may be 0, to far below the smallest float."""
    if ball.is_zero() or (ball.is_finite() and ball.rel_accuracy_bits() >= GOOD_BITS):
        return True
    return bool(ball.is_finite() and ball.contains(0) and ball.rad() < NOTHING)


def distance(got: Any, truth: arb) -> float:
    """How far the float ``got`` is from ``truth``, in units in the last place of its dtype at the true value."""
    dtype = np.asarray(got).dtype
    wide = np.float64 if dtype.kind != "f" or dtype.itemsize > 8 else dtype.type
    limit = float(np.finfo(wide).max)
    nearest = float(truth.mid())
    if not np.isfinite(got):
        beyond = abs(nearest) >= limit
        return 0.0 if beyond and np.isinf(got) and (got > 0) == (nearest > 0) else float("inf")
    if abs(nearest) >= limit:
        return float("inf")
    spacing = _spacing(nearest, dtype)
    # The spacing may be the smallest denormal, which a ball divides by without underflow.
    return float(abs((arb(float(got)) - truth) / arb(spacing)).mid())


def _hull(got: Any, sides: Sequence[arb]) -> float:
    """0 inside the hull of the one-sided derivatives, else the distance from it in ulps."""
    if len(sides) > 1 and np.isfinite(got):
        mine = arb(float(got))
        low, high = min(sides, key=lambda b: float(b.mid())), max(sides, key=lambda b: float(b.mid()))
        if low <= mine <= high:
            return 0.0
    return min(distance(got, side) for side in sides)
