"""Spots: single elements of a large node that Arb reads where arrays do not enclose them.

An element of a reduction costs a pass over the data; a few of them show a rule that is wrong everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Balls, Undecided
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable
from gradproof.engine.verify.floats.balls import Reading, as_is, balls_of, narrow, widened
from gradproof.engine.verify.floats.compare import Rounding, compare_with_enclosure, worse
from gradproof.engine.verify.floats.ulps import spacing
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge, concrete
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, SMALLER
from gradproof.engine.verify.verdict.wording import index_text

SPOTS = 6  # elements read of an array
MAX_READ = 300_000  # numbers read for all spots of a node
MAX_TERMS = 20_000  # numbers read for each result of larger inputs
MAX_OUTPUTS = 16  # results of a node whose contributions are read on a tape, each a pass over the inputs
MAX_OPERATIONS = 2_000_000  # on that tape
BITS = 128
UNREADABLE = (
    Undecided,
    TooLarge,
    NoDefinition,
    ArithmeticError,
    ValueError,
    AttributeError,
    TypeError,
    NotImplementedError,
)
"""Exceptions of an element that cannot be read."""


class _OutOfTime(Exception):
    """The deadline has passed."""


class TooExpensive(Exception):
    """An element needs more numbers than may be read."""


def spot_forward(
    application: Application,
    deadline: float,
    chosen: Sequence[tuple[int, tuple[int, ...]]] | None = None,
    most: int = MAX_READ,
) -> ValueVerdict:
    """The verdict on a few elements of the results of a node.

    Args:
        chosen: number of a result and index of each element; None: some of each result.
        most: numbers read after which no further element is begun, which is the same on every machine.
    """
    total = sum(y.size for y in application.results)
    unseen = ValueVerdict(
        ValueWord.UNCHECKED, total=total, reason=f"{application.size} elements are too many to enclose; {SMALLER}"
    )
    if not _readable(application, MAX_TERMS):
        return unseen
    if chosen is None:
        chosen = [(k, index) for k, result in enumerate(application.results) for index in places(result)]
    spots = chosen

    def truths(reading: Reading, only: int | None = None) -> Iterator[Any]:
        f = Balls()
        clock = Clock(deadline, most)
        cells = [LazyArray(x, reading, clock) for x in application.inputs]
        for k, index in spots if only is None else spots[only : only + 1]:
            clock.begin()
            yield f.as_number(
                _element(application.op, application.op.definitions[k], f, index, cells, application.attributes)
            )

    return _worst_of([(application.results[k], index) for k, index in spots], truths, application.terms, unseen)


def spot_contribution(application: Application, k: int, claimed: Array, deadline: float) -> ValueVerdict:
    """The verdict on a few elements of a contribution of a node with few outputs."""
    name = application.op.name
    reason = f"{application.size} elements are too many to enclose, and {name} is not linear in this input; {SMALLER}"
    unseen = ValueVerdict(ValueWord.UNCHECKED, total=claimed.size, reason=reason)
    if not _readable(application) or sum(y.size for y in application.results) > MAX_OUTPUTS:
        return unseen
    spots = places(claimed)

    def truths(reading: Reading, only: int | None = None) -> Iterator[Any]:
        tape = Tape(MAX_OPERATIONS)
        cells = _cells(application, reading)
        for place in spots:
            cells[k][place] = tape.variable(cells[k][place])
        outputs, seeds = [], []
        for g, result, define in zip(application.cotangents, application.results, application.op.definitions, strict=False):
            weights = balls_of(g, reading)
            for index in np.ndindex(result.shape):
                _check_time(deadline)
                outputs.append(_element(application.op, define, tape, index, cells, application.attributes))
                seeds.append(weights[index])
        slopes = tape.gradient(outputs, seeds, [cells[k][place] for place in spots])
        if tape.tied:
            raise Undecided("at a kink")
        return iter(slopes if only is None else slopes[only : only + 1])

    return _worst_of([(claimed, place) for place in spots], truths, application.terms, unseen)


def _cells(application: Application, reading: Reading) -> list[Any]:
    return [balls_of(x, reading) if is_differentiable(x.dtype) else concrete(x) for x in application.inputs]


def _worst_of(
    spots: Sequence[tuple[Array, tuple[int, ...]]],
    truths: Callable[..., Iterator[Any]],
    terms: int,
    unseen: ValueVerdict,
) -> ValueVerdict:
    """The worst verdict on the elements that there is time for; ``unseen`` if there are none."""
    checked, worst = 0, None
    try:
        with precision(BITS):
            for j, ((array, index), truth) in enumerate(zip(spots, truths(as_is), strict=False)):
                verdict = _compared(array, index, truth, None, terms)
                if verdict is not None and verdict.word is ValueWord.OFF:
                    [moved] = truths(widened, j)
                    verdict = _compared(array, index, truth, arb(arb(moved).rad()), terms)
                if verdict is not None:
                    checked += 1
                    worst = verdict if worst is None else worse(worst, verdict)
    except (_OutOfTime, *UNREADABLE):
        pass
    except BaseException as error:  # a definition is third-party code
        reraise_own(error)
        return replace(unseen, reason=f"the definition raised {describe(error)}; {AUTHOR}")
    return replace(worst, checked=checked, total=unseen.total) if worst is not None else unseen


def _readable(application: Application, most: int = 0) -> bool:
    """True if elements can be read singly. ``most``: numbers for each result up to which inputs may be large."""
    specs: list[Spec] = [*application.specs, *application.outputs]
    numbers = sum(x.size for x in application.inputs)
    few = numbers <= MAX_READ or numbers <= most * sum(y.size for y in application.results)
    return bool(application.op.definitions) and not any(map(is_complex, specs)) and few


def places(array: Array, count: int = SPOTS, first: Sequence[int] | Array = ()) -> list[tuple[int, ...]]:
    """Indices of elements: some of the ``first`` flat places, the extremes, and a sample drawn by a fixed generator."""
    if not array.size:
        return []
    sizes = np.abs(np.nan_to_num(np.asarray(array, np.float64))).reshape(-1)
    draws = np.random.default_rng(array.size).integers(0, array.size, count)
    leading = np.asarray(first, int)[: 4 * count].tolist()
    flat = dict.fromkeys([*leading, int(np.argmax(sizes)), int(np.argmin(sizes)), *draws.tolist()])
    return [tuple(int(i) for i in np.unravel_index(place, array.shape)) for place in list(flat)[: count + len(leading)]]


class Clock:
    """Ends the reading of elements at a deadline, and begins none after ``most`` numbers."""

    def __init__(self, deadline: float, most: int) -> None:
        self.deadline, self.most, self.seen = deadline, most, 0

    def begin(self) -> None:
        if self.seen >= self.most:
            raise _OutOfTime

    def tick(self, count: int = 1) -> None:
        self.seen += count
        _check_time(self.deadline)


class Counter:
    """Permits ``limit`` numbers, and raises TooExpensive beyond."""

    def __init__(self, limit: int) -> None:
        self.limit, self.seen = limit, 0

    def tick(self, count: int = 1) -> None:
        if self.seen + count > self.limit:
            raise TooExpensive
        self.seen += count


class LazyArray:
    """An array whose numbers become balls when they are used, as long as ``clock`` permits: an element needs few of
    them."""

    def __init__(self, array: Array, reading: Reading, clock: Clock | Counter) -> None:
        self.array, self.reading, self.clock = np.asarray(array), reading, clock
        self.shape, self.ndim, self.size = self.array.shape, self.array.ndim, self.array.size

    def __getitem__(self, index: Any) -> Any:
        selected = self.array[index]
        if isinstance(selected, np.ndarray) and selected.ndim:
            return LazyArray(selected, self.reading, self.clock)
        self.clock.tick()
        if self.array.dtype.kind in "biu":
            return selected.item()
        number = float(selected)
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
    def flat(self) -> LazyArray:
        """The same numbers in a row."""
        return LazyArray(self.array.reshape(-1), self.reading, self.clock)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        cells = np.empty(self.shape, object)
        for index in np.ndindex(self.shape):
            cells[index] = self[index]
        return cells


def _element(
    op: Op, define: Callable[..., Any], f: Any, index: tuple[int, ...], cells: Sequence[Any], attributes: Attributes
) -> Any:
    return define(f, *(x[index] for x in cells), **attributes) if op.elementwise else define(f, index, *cells, **attributes)


def _compared(array: Array, index: tuple[int, ...], truth: Any, moved: arb | None, terms: int) -> ValueVerdict | None:
    """The verdict on an element; None if the truth is wide. ``moved``: how far the rounding of the inputs moves it."""
    element = np.asarray(array[index])
    if element.dtype.kind in "biu":
        verdict = ValueVerdict(ValueWord.ENCLOSED if truth == int(element) else ValueWord.OFF)
    elif not narrow(truth):
        return None
    elif moved is None or moved.is_finite():
        verdict = compare_with_enclosure(element, [[truth]], None if moved is None else Rounding([moved], terms=terms))
    else:
        return None
    if verdict.word is not ValueWord.OFF:
        return replace(verdict, got="", expected="")
    reason = "off at an element of a sample that was enclosed"
    return ValueVerdict(
        ValueWord.OFF, element=index_text(index), got=repr(element.item()), expected=str(truth), reason=reason
    )


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _OutOfTime
