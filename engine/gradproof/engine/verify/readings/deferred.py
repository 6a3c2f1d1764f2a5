"""Forms for whole arrays, read in Arb's balls where a few elements are needed: the functions of `WholeArrayFunctions` over
arrays whose scalars are computed when they are used, and kept. An element of a softmax costs its line, and an element of a
matrix product a row and a column.

A form may take an anchor, or an element of each line, and must not depend on the choice: here it is nearly the largest.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.scalar_functions import TABLE, Balls, OnReals
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.axes import Axis, axes_of, without


class Deferred:
    """An array of scalars; ``make`` computes the scalar at a flat place."""

    __slots__ = ("_known", "_make", "shape")
    __array_ufunc__ = None

    def __init__(self, shape: Sequence[int], make: Callable[[int], Any]) -> None:
        self.shape = tuple(shape)
        self._make = make
        self._known: dict[int, Any] = {}

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def cell(self, place: int) -> Any:
        """The scalar at a flat place."""
        scalar = self._known.get(place)
        if scalar is None:
            scalar = self._known[place] = self._make(place)
        return scalar

    def line(self, places: Array) -> list[Any]:
        """The scalars at some flat places."""
        return [*map(self.cell, places.tolist())]

    def __neg__(self) -> Deferred:
        return each(operator.neg, self)

    def __abs__(self) -> Deferred:
        return each(abs, self)

    def __add__(self, other: Any) -> Deferred:
        return each(operator.add, self, other)

    def __radd__(self, other: Any) -> Deferred:
        return each(operator.add, other, self)

    def __sub__(self, other: Any) -> Deferred:
        return each(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Deferred:
        return each(operator.sub, other, self)

    def __mul__(self, other: Any) -> Deferred:
        return each(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Deferred:
        return each(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Deferred:
        return each(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Deferred:
        return each(operator.truediv, other, self)

    def __pow__(self, exponent: int) -> Deferred:
        return each(lambda x: x**exponent, self)

    def __getitem__(self, index: Any) -> Deferred:
        return moved(lambda x: x[index], self)

    def __bool__(self) -> bool:
        raise NotImplementedError("a form that asks for the truth of a number is not read in arrays: use f.where")


def deferred(x: Any) -> Deferred:
    """A scalar or an array as a deferred array: floats as exact balls, conditions and integers as Python's."""
    if isinstance(x, Deferred):
        return x
    if not isinstance(x, np.ndarray):
        return Deferred((), lambda _: x)
    flat = x.reshape(-1)
    if x.dtype.kind in "biu":
        return Deferred(x.shape, lambda k: flat[k].item())
    return Deferred(x.shape, lambda k: arb(float(flat[k])))


def each(function: Callable[..., Any], *arguments: Any) -> Deferred:
    """A function of scalars, applied to arrays that broadcast."""
    arrays = [deferred(x) for x in arguments]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    if len(arrays) == 1:
        [array] = arrays
        return Deferred(shape, lambda k: function(array.cell(k)))
    readers = [_broadcast(x, shape) for x in arrays]
    if len(readers) == 2:  # the most frequent case, and each scalar comes through here
        first, second = readers
        return Deferred(shape, lambda k: function(first(k), second(k)))
    return Deferred(shape, lambda k: function(*(read(k) for read in readers)))


def _broadcast(x: Deferred, shape: tuple[int, ...]) -> Callable[[int], Any]:
    """A function that reads the element of ``x`` for a flat place of the shape that ``x`` is broadcast to."""
    if x.shape == shape:
        return x.cell
    if x.size == 1:
        return lambda _: x.cell(0)
    places = np.broadcast_to(np.arange(x.size).reshape(x.shape), shape).flat
    return lambda k: x.cell(int(places[k]))


def moved(move: Callable[..., Any], *arrays: Any, **options: Any) -> Deferred:
    """The elements of arrays at other places, and zeros: ``move`` is applied to numbers of the elements."""
    operands = [deferred(x) for x in arrays]
    starts = np.cumsum([1, *(x.size for x in operands)])
    numbers = [np.arange(s, s + x.size).reshape(x.shape) for s, x in zip(starts, operands, strict=False)]
    sources = np.asarray(move(*numbers, **options))
    flat = sources.reshape(-1)
    if len(operands) == 1:
        [operand] = operands
        return Deferred(sources.shape, lambda k: operand.cell(int(flat[k]) - 1) if flat[k] else 0)

    def make(k: int) -> Any:
        number = int(flat[k])
        if number == 0:
            return 0
        source = int(np.searchsorted(starts, number, side="right")) - 1
        return operands[source].cell(number - int(starts[source]))

    return Deferred(sources.shape, make)


class DeferredFunctions(OnReals):
    """The functions. ``tick`` is called for each function and each line, and may raise."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.f, self.tick = Balls(), tick

    def __getattr__(self, name: str) -> Any:
        if name not in TABLE:
            raise NotImplementedError(f"{name} is not read in arrays")
        return self._elementwise(getattr(self.f, name))

    def _elementwise(self, function: Callable[..., Any]) -> Callable[..., Deferred]:
        def ticked(*arguments: Any) -> Any:
            self.tick()
            return function(*(self.f.number(x) if type(x) is int else x for x in arguments))

        return lambda *arguments: each(ticked, *arguments)

    @property
    def pi(self) -> Deferred:
        return deferred(self.f.pi)

    def number(self, value: Any) -> Deferred:
        return deferred(value if isinstance(value, (Deferred, np.ndarray)) else self.f.number(value))

    def as_number(self, x: Any) -> Any:
        return x if isinstance(x, np.ndarray) and x.dtype.kind != "b" else each(self.f.as_number, x)

    def where(self, condition: Any, a: Any, b: Any) -> Deferred:
        arrays = [deferred(x) for x in (condition, a, b)]
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
        truth, if_true, if_false = (_broadcast(x, shape) for x in arrays)
        return Deferred(shape, lambda k: if_true(k) if truth(k) else if_false(k))

    def less(self, a: Any, b: Any) -> Deferred:
        return each(self.f.less, a, b)

    def less_equal(self, a: Any, b: Any) -> Deferred:
        return each(self.f.less_equal, a, b)

    def equal(self, a: Any, b: Any) -> Deferred:
        return each(self.f.equal, a, b)

    def both(self, a: Any, b: Any) -> Deferred:
        return each(lambda x, y: bool(x) and bool(y), a, b)

    def either(self, a: Any, b: Any) -> Deferred:
        return each(lambda x, y: bool(x) or bool(y), a, b)

    def negate(self, a: Any) -> Deferred:
        return each(operator.not_, a)

    def isnan(self, x: Any) -> Deferred:
        return each(self.f.isnan, x)

    def isinf(self, x: Any) -> Deferred:
        return each(self.f.isinf, x)

    def constant(self, x: Any) -> Deferred:
        return each(self.f.constant, x)

    def floor(self, x: Any) -> Deferred:
        return each(self.f.floor, x)

    # whole arrays

    def moved(self, move: Callable[..., Any], *arrays: Any, **options: Any) -> Any:
        if all(isinstance(x, np.ndarray) for x in arrays):
            return move(*arrays, **options)
        return moved(move, *arrays, **options)

    def _lines(self, function: Callable[[list[Any]], Any], x: Any, axis: Axis, keepdims: bool) -> Deferred:
        """A function of each line along axes."""
        array = deferred(x)
        axes = axes_of(axis, array.ndim)
        rest = tuple(k for k in range(array.ndim) if k not in axes)
        count = math.prod(array.shape[k] for k in axes)
        places = np.transpose(np.arange(array.size).reshape(array.shape), (*rest, *axes)).reshape(-1, count)

        def make(k: int) -> Any:
            self.tick()
            return function(array.line(places[k]))

        return Deferred(without(array.shape, axes, keepdims), make)

    def total(self, terms: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        if not isinstance(terms, (Deferred, np.ndarray)):
            return sum(terms, self.number(0))
        return self._lines(lambda line: sum(line, arb(0)), terms, axis, keepdims)

    def product(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Deferred:
        return self._lines(math.prod, x, axis, keepdims)

    def largest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Deferred:
        return self._lines(lambda line: line[self._best(line, self.f.less)], x, axis, keepdims)

    def smallest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Deferred:
        return self._lines(lambda line: line[self._best(line, self._above)], x, axis, keepdims)

    def place_of_largest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Deferred:
        return self._lines(lambda line: arb(self._best(line, self.f.less)), x, axis, keepdims)

    def place_of_smallest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Deferred:
        return self._lines(lambda line: arb(self._best(line, self._above)), x, axis, keepdims)

    def _above(self, a: Any, b: Any) -> bool:
        return self.f.less(b, a)

    def _best(self, line: list[Any], below: Callable[[Any, Any], bool]) -> int:
        best = 0
        for k, cell in enumerate(line[1:], 1):
            best = k if below(line[best], cell) else best
        return best

    def running_place_of_largest(self, x: Any, axis: int) -> Deferred:
        array = deferred(x)
        stride, count = math.prod(array.shape[axis % array.ndim + 1 :]), array.shape[axis]

        def make(k: int) -> Any:
            start = k - (k // stride % count) * stride
            return arb(self._best(array.line(np.arange(start, k + 1, stride)), self.f.less_equal))

        return Deferred(array.shape, make)

    def place_among(self, lines: Any, values: Any, right: bool = False) -> Deferred:
        rows, sought = deferred(lines), deferred(values)
        below, n = self.f.less_equal if right else self.f.less, rows.shape[-1]

        def make(k: int) -> Any:
            start = 0 if rows.ndim == 1 else k // sought.shape[-1] * n
            value = sought.cell(k)
            return arb(sum(below(cell, value) for cell in rows.line(np.arange(start, start + n))))

        return Deferred(sought.shape, make)

    def running_total(self, x: Any, axis: int) -> Deferred:
        return self._running(operator.add, x, axis)

    def running_product(self, x: Any, axis: int) -> Deferred:
        return self._running(operator.mul, x, axis)

    def _running(self, function: Callable[[Any, Any], Any], x: Any, axis: int) -> Deferred:
        array = deferred(x)
        stride = math.prod(array.shape[axis % array.ndim + 1 :])
        count = array.shape[axis]
        result = Deferred(array.shape, lambda k: make(k))

        def make(k: int) -> Any:
            self.tick()
            start = k - (k // stride % count) * stride
            value = array.cell(start)
            for place in range(start + stride, k + 1, stride):
                value = function(value, array.cell(place))
            return value

        return result

    def matmul(self, a: Any, b: Any) -> Deferred:
        left, right = deferred(a), deferred(b)
        rows, columns = (np.arange(x.size).reshape(x.shape) for x in (left, right))
        rows = rows if rows.ndim > 1 else rows[None]
        columns = np.swapaxes(columns, -1, -2) if columns.ndim > 1 else columns[None]
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        rows = np.broadcast_to(rows, (*batch, *rows.shape[-2:]))
        columns = np.broadcast_to(columns, (*batch, *columns.shape[-2:]))
        whole = (*batch, rows.shape[-2], columns.shape[-2])

        def make(k: int) -> Any:
            self.tick()
            *outer, row, column = np.unravel_index(k, whole)
            lines = left.line(rows[(*outer, row)]), right.line(columns[(*outer, column)])
            return sum(map(operator.mul, *lines), arb(0))

        drop = tuple(axis for axis, x in ((-2, left), (-1, right)) if x.ndim == 1)
        kept = np.delete(whole, [len(whole) + axis for axis in drop])
        return Deferred([int(n) for n in kept], make)

    # places

    def places(self, indices: Any) -> Array:
        if isinstance(indices, np.ndarray):
            return indices.astype(np.intp)
        whole = [int(self.f.number(x).unique_fmpz()) for x in indices.line(np.arange(indices.size))]
        return np.array(whole, np.intp).reshape(indices.shape)

    def added(self, x: Any, indices: Any, updates: Any, axis: int) -> Deferred:
        array, more, places = deferred(x), deferred(updates), self.places(indices)
        size = array.shape[axis]
        inside = tuple(range(axis, axis + places.ndim))
        numbers = np.arange(more.size).reshape(more.shape)
        rows = np.moveaxis(numbers, inside, range(places.ndim)).reshape(max(places.size, 1) if more.size else 0, -1)
        order = np.argsort(places.reshape(-1) % max(size, 1), kind="stable")
        ends = np.searchsorted((places.reshape(-1) % max(size, 1))[order], np.arange(size + 1))

        def make(k: int) -> Any:
            self.tick()
            index = list(np.unravel_index(k, array.shape))
            at = int(index.pop(axis))
            rest = int(np.ravel_multi_index(index, [n for j, n in enumerate(array.shape) if j != axis])) if index else 0
            hits = order[ends[at] : ends[at + 1]]
            return sum(more.line(rows[hits, rest]), array.cell(k))

        return Deferred(array.shape, make)

    def order(self, x: Any, axis: int, descending: bool = False) -> Deferred:
        array = deferred(x)
        before = self._above if descending else self.f.less
        lines: dict[int, list[int]] = {}
        stride, count = math.prod(array.shape[axis % array.ndim + 1 :]), array.shape[axis]

        def make(k: int) -> Any:
            rank = k // stride % count
            start = k - rank * stride
            if start not in lines:
                lines[start] = self._sorted(array.line(np.arange(start, start + count * stride, stride)), before)
            return arb(lines[start][rank])

        return Deferred(array.shape, make)

    def _sorted(self, line: list[Any], before: Callable[[Any, Any], bool]) -> list[int]:
        """The places of the elements of a line in stable order, by binary insertion."""
        ranked: list[int] = []
        for place, cell in enumerate(line):
            self.tick()
            low, high = 0, len(ranked)
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if before(cell, line[ranked[middle]]) else (middle + 1, high)
            ranked.insert(low, place)
        return ranked

    # functions that leave the value unchanged

    def anchor(self, x: Any, axis: Axis, near: str = "largest") -> Deferred:
        return self._lines(lambda line: arb(arb(max(line, key=_middle)).mid()), x, axis, True)

    def finite(self, x: Any) -> tuple[bool, Any]:
        return True, x

    def one_of(self, x: Any, axis: Axis) -> tuple[Deferred, Deferred]:
        array = deferred(x)

        def place(line: list[Any]) -> int:
            return max(range(len(line)), key=lambda k: _middle(line[k]))

        axes = axes_of(axis, array.ndim)
        best = self._lines(place, array, axis, True)
        elements = self._lines(lambda line: line[place(line)], array, axis, True)
        order = (*(k for k in range(array.ndim) if k not in axes), *axes)
        sizes = tuple(array.shape[k] for k in order)
        ranks = np.arange(math.prod(array.shape[k] for k in axes)).reshape(sizes[len(order) - len(axes) :])
        ranks = np.transpose(np.broadcast_to(ranks, sizes), np.argsort(order))
        return each(operator.eq, np.asarray(ranks), best), elements


def _middle(x: Any) -> float:
    midpoint = float(arb(x).mid())
    return -math.inf if math.isnan(midpoint) else midpoint


__all__ = ["Deferred", "DeferredFunctions", "deferred", "each"]
