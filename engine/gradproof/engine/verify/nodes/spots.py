"""Spots: single elements of a large node that Arb reads one by one, where arrays do not enclose them.

One element of a reduction is as dear as a pass over the data; a few of them show a rule that is wrong everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Balls, Undecided
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable
from gradproof.engine.verify.floats.balls import Reading, as_is, balls_of, narrow, widened
from gradproof.engine.verify.floats.compare import Rounding, compare_with_enclosure, worse
from gradproof.engine.verify.floats.ulps import spacing
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge, concrete
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, SMALLER

SPOTS = 6  # elements of an array
MAX_READ = 300_000  # numbers that are looked at for all spots of a node
MAX_TERMS = 20_000  # of larger inputs: numbers for each result
MAX_OUTPUTS = 16  # results of a node whose contributions are read on a tape, each a pass over its inputs
MAX_OPERATIONS = 2_000_000  # on that tape
BITS = 128


class _Late(Exception):
    """The time is over."""


class TooDear(Exception):
    """An element takes more numbers than may be looked at."""


def spot_forward(
    one: Application,
    deadline: float,
    wanted: Sequence[tuple[int, tuple[int, ...]]] | None = None,
    most: int = MAX_READ,
) -> ValueVerdict:
    """The verdict on a few elements of what a node computed, read at its exact inputs until ``deadline``: those ``wanted``
    (the number of a result, and an index), or some of each result; one, and others as long as fewer than ``most`` numbers
    were looked at, which is the same on every machine."""
    total = sum(y.size for y in one.results)
    unseen = ValueVerdict(
        ValueWord.UNCHECKED, total=total, reason=f"{one.size} elements are too many to enclose; {SMALLER}"
    )
    if not _readable(one, MAX_TERMS):
        return unseen
    if wanted is None:
        wanted = [(k, index) for k, result in enumerate(one.results) for index in places(result)]
    spots = wanted

    def truths(reading: Reading, only: int | None = None) -> Iterator[Any]:
        f = Balls()
        clock = Clock(deadline, most)
        cells = [Cells(x, reading, clock) for x in one.inputs]
        for k, index in spots if only is None else spots[only : only + 1]:
            clock.begin()
            yield f.as_number(_element(one.op, one.op.definitions[k], f, index, cells, one.attributes))

    return _seen([(one.results[k], index) for k, index in spots], truths, one.terms, unseen)


def spot_contribution(one: Application, k: int, claimed: Array, deadline: float) -> ValueVerdict:
    """The verdict on a few elements of a contribution of a node with few outputs."""
    reason = f"{one.size} elements are too many to enclose, and {one.op.name} is not linear in this input; {SMALLER}"
    unseen = ValueVerdict(ValueWord.UNCHECKED, total=claimed.size, reason=reason)
    if not _readable(one) or sum(y.size for y in one.results) > MAX_OUTPUTS:
        return unseen
    spots = places(claimed)

    def truths(reading: Reading, only: int | None = None) -> Iterator[Any]:
        tape = Tape(MAX_OPERATIONS)
        cells = _cells(one, reading)
        for place in spots:
            cells[k][place] = tape.variable(cells[k][place])
        outputs, seeds = [], []
        for g, result, define in zip(one.cotangents, one.results, one.op.definitions, strict=False):
            weights = balls_of(g, reading)
            for index in np.ndindex(result.shape):
                _tick(deadline)
                outputs.append(_element(one.op, define, tape, index, cells, one.attributes))
                seeds.append(weights[index])
        found = tape.gradient(outputs, seeds, [cells[k][place] for place in spots])
        if tape.tied:
            raise Undecided("at a kink")
        return iter(found if only is None else found[only : only + 1])

    return _seen([(claimed, place) for place in spots], truths, one.terms, unseen)


def _cells(one: Application, reading: Reading) -> list[Any]:
    return [balls_of(x, reading) if is_differentiable(x.dtype) else concrete(x) for x in one.inputs]


def _seen(
    spots: Sequence[tuple[Array, tuple[int, ...]]],
    truths: Callable[..., Iterator[Any]],
    terms: int,
    unseen: ValueVerdict,
) -> ValueVerdict:
    """The worst word of some elements, of those that there is time for; ``unseen`` if there is none."""
    checked, worst = 0, None
    try:
        with precision(BITS):
            for j, ((array, index), truth) in enumerate(zip(spots, truths(as_is), strict=False)):
                found = _judged(array, index, truth, None, terms)
                if found is not None and found.word is ValueWord.OFF:
                    [moved] = truths(widened, j)
                    found = _judged(array, index, truth, arb(arb(moved).rad()), terms)
                if found is not None:
                    checked += 1
                    worst = found if worst is None else worse(worst, found)
    except (_Late, *_NOT_HERE):
        pass
    except BaseException as error:  # a definition is a stranger's code
        reraise_own(error)
        return replace(unseen, reason=f"the definition raised {describe(error)}; {AUTHOR}")
    return replace(worst, checked=checked, total=unseen.total) if worst is not None else unseen


_NOT_HERE = (Undecided, TooLarge, NoDefinition, ArithmeticError, ValueError, AttributeError, TypeError, NotImplementedError)


def _readable(one: Application, most: int = 0) -> bool:
    """Whether elements can be read one by one. ``most``: inputs may be large if there are at most so many for a result."""
    specs: list[Spec] = [*one.specs, *one.outputs]
    numbers = sum(x.size for x in one.inputs)
    few = numbers <= MAX_READ or numbers <= most * sum(y.size for y in one.results)
    return bool(one.op.definitions) and not any(map(is_complex, specs)) and few


def places(array: Array, count: int = SPOTS, first: Any = ()) -> list[tuple[int, ...]]:
    """Indices of elements: some of the ``first`` (flat), the extremes, and a sample drawn by a fixed generator."""
    if not array.size:
        return []
    sizes = np.abs(np.nan_to_num(np.asarray(array, np.float64))).reshape(-1)
    drawn = np.random.default_rng(array.size).integers(0, array.size, count)
    some = np.asarray(first, int)[: 4 * count].tolist()
    flat = dict.fromkeys([*some, int(np.argmax(sizes)), int(np.argmin(sizes)), *drawn.tolist()])
    return [tuple(int(i) for i in np.unravel_index(place, array.shape)) for place in list(flat)[: count + len(some)]]


class Clock:
    """Ends the reading of elements after a time, and begins none after so many numbers."""

    def __init__(self, deadline: float, most: int) -> None:
        self.deadline, self.most, self.seen = deadline, most, 0

    def begin(self) -> None:
        if self.seen >= self.most:
            raise _Late

    def tick(self, count: int = 1) -> None:
        self.seen += count
        _tick(self.deadline)


class Counter:
    """Lets up to ``limit`` numbers be looked at, and raises TooDear beyond."""

    def __init__(self, limit: int) -> None:
        self.limit, self.seen = limit, 0

    def tick(self, count: int = 1) -> None:
        if self.seen + count > self.limit:
            raise TooDear
        self.seen += count


class Cells:
    """An array of numbers that become balls as they are looked at, while ``clock`` lets them: of a large array an element
    needs few."""

    def __init__(self, array: Array, reading: Reading, clock: Clock | Counter) -> None:
        self.array, self.reading, self.clock = np.asarray(array), reading, clock
        self.shape, self.ndim, self.size = self.array.shape, self.array.ndim, self.array.size

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        if isinstance(found, np.ndarray) and found.ndim:
            return Cells(found, self.reading, self.clock)
        self.clock.tick()
        if self.array.dtype.kind in "biu":
            return found.item()
        number = float(found)
        if self.reading is as_is:
            return as_is(number, 0.0)
        return self.reading(number, spacing(number, self.array.dtype) if number else 0.0)

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim != 1 or not (self.reading is as_is or self.array.dtype.kind in "biu"):
            return (self[k] for k in range(len(self.array)))
        self.clock.tick(self.size)
        if self.array.dtype.kind in "biu":
            return iter(self.array.tolist())
        return map(arb, self.array.astype(np.float64, copy=False).tolist())

    @property
    def flat(self) -> Cells:
        """The same numbers in a row."""
        return Cells(self.array.reshape(-1), self.reading, self.clock)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        cells = np.empty(self.shape, object)
        for index in np.ndindex(self.shape):
            cells[index] = self[index]
        return cells


def _element(op: Op, define: Any, f: Any, index: tuple[int, ...], cells: Sequence[Any], attributes: Any) -> Any:
    return define(f, *(x[index] for x in cells), **attributes) if op.elementwise else define(f, index, *cells, **attributes)


def _judged(array: Array, index: tuple[int, ...], truth: Any, moved: arb | None, terms: int) -> ValueVerdict | None:
    """The word for one element, which the rounding of the inputs moves by ``moved``; None if the truth is not known well
    enough."""
    element = np.asarray(array[index])
    if element.dtype.kind in "biu":
        found = ValueVerdict(ValueWord.ENCLOSED if truth == int(element) else ValueWord.OFF)
    elif not narrow(truth):
        return None
    elif moved is None or moved.is_finite():
        found = compare_with_enclosure(element, [[truth]], None if moved is None else Rounding([moved], terms=terms))
    else:
        return None
    if found.word is not ValueWord.OFF:
        return replace(found, got="", expected="")
    place = str(list(index)) if index else ""
    reason = "found at one of a few elements that were enclosed"
    return ValueVerdict(ValueWord.OFF, element=place, got=repr(element.item()), expected=str(truth), reason=reason)


def _tick(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _Late
