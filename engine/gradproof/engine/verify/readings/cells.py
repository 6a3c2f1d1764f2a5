"""Forms for whole arrays, read cell by cell: the functions of `WholeArrayFunctions` over any reading of scalars.

With symbols a form is compared with the proved definition; with Arb's balls both are evaluated at a point. The functions
are written here once more, as loops over scalars: a fault in the fast ones shows in no proof, and is covered by their
tests.

A form may take an `anchor`, or an element of each line (`one_of`), and must not depend on the choice: an anchor is a symbol
of its own, or a random number, and each element is taken in turn (`Choices`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gradproof.engine.scalar_functions import TABLE, OnReals
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.axes import Axis, axes_of, without


class CellArray:
    """An array of scalars of a reading; indexing and reductions give arrays too, also without axes."""

    __slots__ = ("cells",)
    __array_ufunc__ = None

    def __init__(self, cells: Any) -> None:
        self.cells: Array = boxed(cells)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.cells.shape

    @property
    def ndim(self) -> int:
        return self.cells.ndim

    @property
    def size(self) -> int:
        return self.cells.size

    def __neg__(self) -> CellArray:
        return CellArray(-self.cells)

    def __add__(self, other: Any) -> CellArray:
        return CellArray(self.cells + cells_of(other))

    def __radd__(self, other: Any) -> CellArray:
        return CellArray(cells_of(other) + self.cells)

    def __sub__(self, other: Any) -> CellArray:
        return CellArray(self.cells - cells_of(other))

    def __rsub__(self, other: Any) -> CellArray:
        return CellArray(cells_of(other) - self.cells)

    def __mul__(self, other: Any) -> CellArray:
        return CellArray(self.cells * cells_of(other))

    def __rmul__(self, other: Any) -> CellArray:
        return CellArray(cells_of(other) * self.cells)

    def __truediv__(self, other: Any) -> CellArray:
        return CellArray(self.cells / cells_of(other))

    def __rtruediv__(self, other: Any) -> CellArray:
        return CellArray(cells_of(other) / self.cells)

    def __pow__(self, exponent: int) -> CellArray:
        return CellArray(self.cells**exponent)

    def __getitem__(self, index: Any) -> CellArray:
        return CellArray(self.cells[index])

    def __bool__(self) -> bool:
        raise NotImplementedError("a form that asks for the truth of a number is not read in arrays: use f.where")


def boxed(cells: Any) -> Array:
    """An array of objects; a scalar as an array without axes."""
    if isinstance(cells, np.ndarray):
        return cells if cells.dtype == object else cells.astype(object)
    box = np.empty((), object)
    box[()] = cells
    return box


def cells_of(x: Any) -> Any:
    """The operand of an operator: an array of objects, or a scalar."""
    if isinstance(x, CellArray):
        return x.cells
    return boxed(x) if isinstance(x, np.ndarray) else x


class Choices:
    """The elements that `one_of` takes: all combinations, in successive readings."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.digits: list[int] = []
        self.sizes: list[int] = []

    def readings(self) -> Iterator[None]:
        """Successive readings. Raises NotImplementedError for more than ``limit`` combinations."""
        while True:
            self.sizes = []
            yield
            if math.prod(self.sizes) > self.limit:
                raise NotImplementedError(f"a form with {math.prod(self.sizes)} choices of elements is not compared")
            self.digits += [0] * (len(self.sizes) - len(self.digits))
            place = next((k for k, size in enumerate(self.sizes) if self.digits[k] + 1 < size), None)
            if place is None:
                return
            self.digits[: place + 1] = [*[0] * place, self.digits[place] + 1]

    def next(self, size: int) -> int:
        """The index of the next choice out of ``size``."""
        self.sizes.append(size)
        k = len(self.sizes) - 1
        return self.digits[k] if k < len(self.digits) else 0


class CellFunctions(OnReals):
    """The functions over the scalars of ``f``. ``anchor(k)``: the constant of the k-th anchor."""

    def __init__(self, f: Any, anchor: Callable[[int], Any], choose: Callable[[int], int]) -> None:
        self.f, self._anchor, self._choose = f, anchor, choose
        self._anchors = 0

    def __getattr__(self, name: str) -> Any:
        if name not in TABLE:
            raise NotImplementedError(f"{name} is not read in arrays")
        return self._each(getattr(self.f, name))

    def _each(self, function: Callable[..., Any]) -> Callable[..., CellArray]:
        def apply(*arguments: Any) -> CellArray:
            arrays = np.broadcast_arrays(*(boxed(cells_of(x)) for x in arguments))
            result = np.empty(arrays[0].shape, object)
            for index in np.ndindex(result.shape):
                result[index] = function(*(x[index] for x in arrays))
            return CellArray(result)

        return apply

    @property
    def pi(self) -> CellArray:
        return CellArray(self.f.pi)

    def number(self, value: Any) -> CellArray:
        return value if isinstance(value, CellArray) else CellArray(self.f.number(value))

    def where(self, condition: Any, a: Any, b: Any) -> CellArray:
        return self._each(lambda c, x, y: self.f.where(_truth(c), x, y))(condition, a, b)

    def less(self, a: Any, b: Any) -> CellArray:
        return self._each(self.f.less)(a, b)

    def less_equal(self, a: Any, b: Any) -> CellArray:
        return self._each(self.f.less_equal)(a, b)

    def equal(self, a: Any, b: Any) -> CellArray:
        return self._each(self.f.equal)(a, b)

    def both(self, a: Any, b: Any) -> CellArray:
        return self._each(self.f.both)(a, b)

    def either(self, a: Any, b: Any) -> CellArray:
        return self._each(self.f.either)(a, b)

    def negate(self, a: Any) -> CellArray:
        return self._each(self.f.negate)(a)

    def isnan(self, x: Any) -> CellArray:
        return self._each(self.f.isnan)(x)

    def isinf(self, x: Any) -> CellArray:
        return self._each(self.f.isinf)(x)

    def constant(self, x: Any) -> CellArray:
        return self._each(self.f.constant)(x)

    def floor(self, x: Any) -> CellArray:
        return self._each(self.f.floor)(x)

    def as_number(self, x: Any) -> CellArray:
        return self._each(self.f.as_number)(x)

    # whole arrays

    def moved(self, move: Callable[..., Any], *arrays: Any, **options: Any) -> CellArray:
        return CellArray(move(*(boxed(cells_of(x)) for x in arrays), **options))

    def total(self, terms: Any, axis: Axis = None, keepdims: bool = False) -> CellArray:
        if isinstance(terms, Iterable) and not isinstance(terms, (CellArray, np.ndarray)):
            return sum(terms, self.number(0))
        return self._reduced(lambda line: self.f.total(iter(line)), terms, axis, keepdims)

    def product(self, x: Any, axis: Axis = None, keepdims: bool = False) -> CellArray:
        return self._reduced(math.prod, x, axis, keepdims)

    def largest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> CellArray:
        return self._reduced(lambda line: self._best(line, self.f.less)[0], x, axis, keepdims)

    def smallest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> CellArray:
        return self._reduced(lambda line: self._best(line, lambda a, b: self.f.less(b, a))[0], x, axis, keepdims)

    def place_of_largest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> CellArray:
        return self._reduced(lambda line: self._best(line, self.f.less)[1], x, axis, keepdims)

    def place_of_smallest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> CellArray:
        return self._reduced(lambda line: self._best(line, lambda a, b: self.f.less(b, a))[1], x, axis, keepdims)

    def _best(self, line: list[Any], below: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        best, place = line[0], self.f.number(0)
        for k, cell in enumerate(line[1:], 1):
            better = below(best, cell)
            best, place = self.f.where(better, cell, best), self.f.where(better, self.f.number(k), place)
        return best, place

    def _reduced(self, function: Callable[[list[Any]], Any], x: Any, axis: Axis, keepdims: bool) -> CellArray:
        cells = boxed(cells_of(x))
        axes = axes_of(axis, cells.ndim)
        rest = tuple(k for k in range(cells.ndim) if k not in axes)
        lines = np.transpose(cells, (*rest, *axes))
        result = np.empty(lines.shape[: len(rest)], object)
        for index in np.ndindex(result.shape):
            result[index] = function(list(lines[index].flat) if axes else [lines[index]])
        return CellArray(result.reshape(without(cells.shape, axes, keepdims)))

    def running_total(self, x: Any, axis: int) -> CellArray:
        return self._scanned(lambda line: self.f.total(iter(line)), x, axis)

    def running_product(self, x: Any, axis: int) -> CellArray:
        return self._scanned(math.prod, x, axis)

    def _scanned(self, function: Callable[[list[Any]], Any], x: Any, axis: int) -> CellArray:
        lines = np.moveaxis(boxed(cells_of(x)), axis, -1)
        result = np.empty(lines.shape, object)
        for index in np.ndindex(result.shape):
            result[index] = function(list(lines[index[:-1]][: index[-1] + 1]))
        return CellArray(np.moveaxis(result, -1, axis))

    def matmul(self, a: Any, b: Any) -> CellArray:
        left, right = boxed(cells_of(a)), boxed(cells_of(b))
        rows = left if left.ndim > 1 else left[None]
        columns = np.swapaxes(right, -1, -2) if right.ndim > 1 else right[None]
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        rows = np.broadcast_to(rows, (*batch, *rows.shape[-2:]))
        columns = np.broadcast_to(columns, (*batch, *columns.shape[-2:]))
        result = np.empty((*batch, rows.shape[-2], columns.shape[-2]), object)
        for index in np.ndindex(result.shape):
            pairs = zip(rows[index[:-1]], columns[(*index[:-2], index[-1])], strict=True)
            result[index] = self.f.total(p * q for p, q in pairs)
        drop = tuple(axis for axis, x in ((-2, left), (-1, right)) if x.ndim == 1)
        return CellArray(np.squeeze(result, drop))

    def places(self, indices: Any) -> Array:
        return np.asarray(np.array([int(k) for k in boxed(cells_of(indices)).flat], np.intp).reshape(indices.shape))

    def added(self, x: Any, indices: Any, updates: Any, axis: int) -> CellArray:
        cells, places = boxed(cells_of(x)), self.places(indices)
        size = cells.shape[axis]
        inside = tuple(range(axis, axis + places.ndim))
        more = np.moveaxis(boxed(cells_of(updates)), inside, range(places.ndim))
        front = np.moveaxis(cells, axis, 0)
        result = np.empty(front.shape, object)
        for k, *rest in np.ndindex(front.shape):
            hits = [more[(*place, *rest)] for place in np.ndindex(places.shape) if places[place] % size == k]
            result[k, *rest] = self.f.total([front[k, *rest], *hits])
        return CellArray(np.moveaxis(result, 0, axis))

    def order(self, x: Any, axis: int, descending: bool = False) -> CellArray:
        """An element's place is the number of elements before it, which has no short form in symbols."""
        lines = np.moveaxis(boxed(cells_of(x)), axis, -1)
        places = np.empty(lines.shape, object)
        for index in np.ndindex(lines.shape[:-1]):
            line = list(lines[index])
            before = (lambda a, b: self.f.less(b, a)) if descending else self.f.less
            for k, cell in enumerate(line):
                ahead = sum(
                    bool(before(rival, cell)) or (j < k and not bool(before(cell, rival)))
                    for j, rival in enumerate(line)
                    if j != k
                )
                places[*index, ahead] = self.f.number(k)
        return CellArray(np.moveaxis(places, -1, axis))

    def running_place_of_largest(self, x: Any, axis: int) -> CellArray:
        return self._scanned(lambda line: self._best(line, self.f.less_equal)[1], x, axis)

    def place_among(self, lines: Any, values: Any, right: bool = False) -> CellArray:
        rows, sought = boxed(cells_of(lines)), boxed(cells_of(values))
        below = self.f.less_equal if right else self.f.less
        places = np.empty(sought.shape, object)
        for index in np.ndindex(sought.shape):
            row = rows if rows.ndim == 1 else rows[index[:-1]]
            places[index] = self.f.total(self.f.as_number(below(cell, sought[index])) for cell in row)
        return CellArray(places)

    def anchor(self, x: Any, axis: Axis, near: str = "largest") -> CellArray:
        cells = boxed(cells_of(x))
        anchors = np.empty(without(cells.shape, axes_of(axis, cells.ndim), True), object)
        for index in np.ndindex(anchors.shape):
            anchors[index] = self._anchor(self._anchors)
            self._anchors += 1
        return CellArray(anchors)

    def finite(self, x: Any) -> tuple[bool, Any]:
        return True, x

    def one_of(self, x: Any, axis: Axis) -> tuple[CellArray, CellArray]:
        cells = boxed(cells_of(x))
        axes = axes_of(axis, cells.ndim)
        chosen = np.zeros(cells.shape, object)
        elements = np.empty(without(cells.shape, axes, True), object)
        for index in np.ndindex(elements.shape):
            line = [tuple(slice(None) if k in axes else i for k, i in enumerate(index))]
            places = list(np.ndindex(*(cells.shape[k] for k in axes)))
            chosen_index = iter(places[self._choose(len(places))])
            place = tuple(next(chosen_index) if isinstance(i, slice) else i for i in line[0])
            chosen[place], elements[index] = True, cells[place]
        return CellArray(chosen != 0), CellArray(elements)


def _truth(condition: Any) -> Any:
    """``np.bool_`` as ``bool``."""
    return bool(condition) if isinstance(condition, np.bool_) else condition
