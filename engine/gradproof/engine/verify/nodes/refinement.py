"""Elements whose balls are too wide to show digits, read again through the same forms in Arb, with more bits.

Where terms cancel to 0 or nearly so (the only element of a line that is not masked), balls of float64 show a small number
without digits. Each element is read by itself, with the line or row it depends on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Exact, Program
from gradproof.engine.verify.arrays import BallArray, NoArrays
from gradproof.engine.verify.floats.balls import agree, narrow
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.readings.deferred import Deferred, DeferredFunctions, deferred, each
from gradproof.engine.verify.readings.reading import read_attributes

BITS = (160, 1200)
"""Precisions in bits: the first for numbers that cancel, the second to tell 0 from float64's smallest. Elements are mostly
alike, so that after the first that needs it the others are read with it at once."""
TICKS = 64
"""Functions and lines between two looks at the clock."""


class OutOfTime(Exception):
    """The deadline has passed."""


class Refiner:
    """Encloses elements of the results of an application, and of its rule, until ``deadline``. ``readings``: its inputs, or
    sets of inputs whose results take their limits."""

    def __init__(self, application: Application, readings: Sequence[Sequence[Array]], deadline: float) -> None:
        self.application, self.readings, self.deadline = application, readings, deadline
        self._ticks = 0

    def result(self, k: int, at: Array) -> BallArray:
        """Enclosures of elements of a result at flat places, in a flat array with nan elsewhere. Raises NoArrays, and any
        exception of the op's code."""

        def read(inputs: Sequence[Array]) -> Deferred:
            return self._op(
                self.application.op, self._functions(), inputs, self.application.attributes, self.application.outputs
            )[k]

        return self._read(read, at, self.application.outputs[k].size)

    def contribution(self, program: Program, at: Array) -> BallArray:
        """The same for the only output of a part of the rule."""
        application = self.application
        [output] = [k for k in program.outputs if k is not None]

        def read(inputs: Sequence[Array]) -> Deferred:
            f = self._functions()
            computed = self._op(application.op, f, inputs, application.attributes, application.outputs)
            results = [x if x.dtype.kind in "biu" else y for y, x in zip(computed, application.results, strict=True)]
            values: dict[int, Any] = dict(zip(program.inputs, (*application.cotangents, *results, *inputs), strict=True))
            for number, literal in program.literals.items():
                value = literal.define(f.f) if isinstance(literal, Exact) else literal
                values[number] = value if isinstance(value, bool) else f.number(value)
            for step in program.instructions:
                outputs = [program.specs[k] for k in step.outputs]
                computed = self._op(step.op, f, [values[k] for k in step.inputs], step.attributes, outputs)
                values.update(zip(step.outputs, computed, strict=True))
            return deferred(values[output])

        return self._read(read, at, program.specs[output].size)

    def _functions(self) -> DeferredFunctions:
        return DeferredFunctions(self._tick)

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % TICKS == 0 and time.monotonic() > self.deadline:
            raise OutOfTime

    def _op(
        self, op: Op, f: DeferredFunctions, inputs: Sequence[Any], attributes: Attributes, outputs: Sequence[Spec]
    ) -> list[Deferred]:
        exact_attributes = read_attributes(f.f, attributes)
        if op.elementwise:
            if not op.definitions:
                raise NoArrays(f"op {op.name!r} has no definition")
            arrays = [deferred(x) for x in inputs]
            return [
                _elementwise(f, define, arrays, exact_attributes, spec)
                for define, spec in zip(op.definitions, outputs, strict=True)
            ]
        if op.arrays is None:
            raise NoArrays(f"op {op.name!r} has no form for whole arrays")
        whole = [x if isinstance(x, np.ndarray) and x.dtype.kind in "iu" else deferred(x) for x in inputs]
        results = op.arrays(f, *whole, **exact_attributes)
        return [
            _shaped(op, x, spec)
            for x, spec in zip(results if isinstance(results, tuple) else (results,), outputs, strict=True)
        ]

    def _read(self, read: Callable[[Sequence[Array]], Deferred], at: Array, size: int) -> BallArray:
        mid, rad = np.full(size, np.nan), np.full(size, np.nan)
        left = at.tolist()
        for bits in BITS:
            if left:
                left = self._at(read, left, bits, mid, rad)
        return BallArray(mid, rad)

    def _at(
        self, read: Callable[[Sequence[Array]], Deferred], places: list[int], bits: int, mid: Array, rad: Array
    ) -> list[int]:
        """Read elements with this precision, up to the first that needs more; return that and those after it."""
        with precision(bits):
            arrays = [read(inputs) for inputs in self.readings]
            for count, place in enumerate(places):
                try:
                    balls = [_ball(array.cell(place)) for array in arrays]
                except OutOfTime:
                    return []
                except (Undecided, ZeroDivisionError, ValueError):
                    balls = []
                if balls:
                    ball = balls[0] if all(agree(balls[0], other) for other in balls[1:]) else arb("nan")
                    mid[place], rad[place] = around(ball)
                if bits < BITS[-1] and not (balls and narrow(ball)):
                    return places[count:]
        return []


def _elementwise(
    f: DeferredFunctions, define: Callable[..., Any], arrays: Sequence[Deferred], attributes: Attributes, spec: Spec
) -> Deferred:
    def element(*scalars: Any) -> Any:
        f.tick()
        return define(f.f, *scalars, **attributes)

    return each(element, *arrays) if arrays else Deferred(spec.shape, lambda _: element())


def _shaped(op: Op, x: Any, spec: Spec) -> Deferred:
    array = deferred(x)
    if array.shape == spec.shape:
        return array
    if array.size == 1:
        return Deferred(spec.shape, lambda _: array.cell(0))
    raise NoArrays(f"op {op.name!r}: its form for whole arrays gives shape {array.shape}, and not {spec.shape}")


def _ball(x: Any) -> arb:
    """A scalar as a ball, conditions as 1 and 0."""
    return arb(int(x) if isinstance(x, bool) else x)


def around(x: arb) -> tuple[float, float]:
    """The nearest float to a ball, and a radius that contains the ball; nan where it is not finite."""
    mid = float(x.mid())
    if not x.is_finite() or not math.isfinite(mid):
        return math.nan, math.nan
    away = abs(x - arb(mid))
    return mid, 0.0 if away.is_zero() else math.nextafter(float(away.upper()), math.inf)


__all__ = ["Refiner", "around"]
