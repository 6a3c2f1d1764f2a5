"""Elements whose balls are too wide to show digits, read once more in Arb, through the same forms, with more bits.

Where the true number is 0, or next to it, since terms cancel (the only element of a line that is not masked), balls of
float64 say that it is small, and no more. Each element is read by itself, with what it is made of: a line, a row.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Exact, Program
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.arrays.deferred import Deferred, Wanted, deferred, each
from gradproof.engine.verify.arrays.programs import NoArrays
from gradproof.engine.verify.floats.balls import agree, narrow
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.readings.reading import read_attributes

BITS = (160, 1200)
"""Precisions: the first is for numbers that cancel, the second tells 0 from what float64 holds. Elements that need it are
mostly alike: after the first of them others are read so at once."""
TICKS = 64
"""The clock is looked at after so many functions and lines."""


class Late(Exception):
    """The time is over."""


class Refining:
    """The elements of what one application computed, and of what its rule gives, until ``deadline``. ``readings``: its
    inputs, or two that take their limits."""

    def __init__(self, one: Application, readings: Sequence[Sequence[Array]], deadline: float) -> None:
        self.one, self.readings, self.deadline = one, readings, deadline
        self._ticks = 0

    def result(self, k: int, at: Array) -> BallArray:
        """Enclosures of elements of a result at flat places, in a row with nan elsewhere. Raises NoArrays, and what a
        stranger's code raises."""

        def read(inputs: Sequence[Array]) -> Deferred:
            return self._op(self.one.op, self._words(), inputs, self.one.attributes, self.one.outputs)[k]

        return self._read(read, at, self.one.outputs[k].size)

    def contribution(self, program: Program, at: Array) -> BallArray:
        """The same of the only output of a part of the rule."""
        one = self.one
        [output] = [k for k in program.outputs if k is not None]

        def read(inputs: Sequence[Array]) -> Deferred:
            f = self._words()
            made = self._op(one.op, f, inputs, one.attributes, one.outputs)
            results = [x if x.dtype.kind in "biu" else y for y, x in zip(made, one.results, strict=True)]
            values: dict[int, Any] = dict(zip(program.inputs, (*one.cotangents, *results, *inputs), strict=True))
            for number, literal in program.literals.items():
                value = literal.define(f.f) if isinstance(literal, Exact) else literal
                values[number] = value if isinstance(value, bool) else f.number(value)
            for step in program.instructions:
                outputs = [program.specs[k] for k in step.outputs]
                found = self._op(step.op, f, [values[k] for k in step.inputs], step.attributes, outputs)
                values.update(zip(step.outputs, found, strict=True))
            return deferred(values[output])

        return self._read(read, at, program.specs[output].size)

    def _words(self) -> Wanted:
        return Wanted(self._tick)

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % TICKS == 0 and time.monotonic() > self.deadline:
            raise Late

    def _op(
        self, op: Op, f: Wanted, inputs: Sequence[Any], attributes: Attributes, outputs: Sequence[Spec]
    ) -> list[Deferred]:
        given = read_attributes(f.f, attributes)
        if op.elementwise:
            if not op.definitions:
                raise NoArrays(f"op {op.name!r} has no definition")
            arrays = [deferred(x) for x in inputs]
            return [
                _elementwise(f, define, arrays, given, spec) for define, spec in zip(op.definitions, outputs, strict=True)
            ]
        if op.arrays is None:
            raise NoArrays(f"op {op.name!r} has no form for whole arrays")
        whole = [x if isinstance(x, np.ndarray) and x.dtype.kind in "iu" else deferred(x) for x in inputs]
        made = op.arrays(f, *whole, **given)
        return [_shaped(op, x, spec) for x, spec in zip(made if isinstance(made, tuple) else (made,), outputs, strict=True)]

    def _read(self, read: Any, at: Array, size: int) -> BallArray:
        mid, rad = np.full(size, np.nan), np.full(size, np.nan)
        left = at.tolist()
        for bits in BITS:
            if left:
                left = self._at(read, left, bits, mid, rad)
        return BallArray(mid, rad)

    def _at(self, read: Any, places: list[int], bits: int, mid: Array, rad: Array) -> list[int]:
        """Read elements with so many bits, until the first that needs more; that, and those after it."""
        with precision(bits):
            arrays = [read(inputs) for inputs in self.readings]
            for count, place in enumerate(places):
                try:
                    found = [_ball(array.cell(place)) for array in arrays]
                except Late:
                    return []
                except (Undecided, ZeroDivisionError, ValueError):
                    found = []
                if found:
                    ball = found[0] if len(found) == 1 or agree(*found) else arb("nan")
                    mid[place], rad[place] = around(ball)
                if bits < BITS[-1] and not (found and narrow(ball)):
                    return places[count:]
        return []


def _elementwise(f: Wanted, define: Any, arrays: Sequence[Deferred], attributes: Attributes, spec: Spec) -> Deferred:
    def made(*scalars: Any) -> Any:
        f.tick()
        return define(f.f, *scalars, **attributes)

    return each(made, *arrays) if arrays else Deferred(spec.shape, lambda _: made())


def _shaped(op: Op, x: Any, spec: Spec) -> Deferred:
    found = deferred(x)
    if found.shape == spec.shape:
        return found
    if found.size == 1:
        return Deferred(spec.shape, lambda _: found.cell(0))
    raise NoArrays(f"op {op.name!r}: its form for whole arrays gives shape {found.shape}, and not {spec.shape}")


def _ball(x: Any) -> arb:
    """A scalar as a ball, conditions as 1 and 0."""
    return arb(int(x) if isinstance(x, bool) else x)


def around(x: arb) -> tuple[float, float]:
    """The nearest float, and a radius around it that contains a ball; nan where it is not known."""
    mid = float(x.mid())
    if not x.is_finite() or not math.isfinite(mid):
        return math.nan, math.nan
    away = abs(x - arb(mid))
    return mid, 0.0 if away.is_zero() else math.nextafter(float(away.upper()), math.inf)


__all__ = ["Refining", "around"]
