"""The reading of definitions over whole arrays in plain floats: values and derivatives without error bounds.

Numbers that are only compared with others, and read again in balls where they differ, need no radii, which cost three times
as much. Arrays are float32 or float64, and results have their dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
from flint import arb
from scipy import special

from gradproof.engine.scalar_functions import OnReals
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.arrays.dual import Dual, added, tangents
from gradproof.engine.verify.arrays.folds import Folds
from gradproof.engine.verify.arrays.functions import TABLE, sinc_slope
from gradproof.engine.verify.readings.axes import Axis, axes_of, without


class FloatDual(Dual):
    """A `Dual` of float arrays; a constant is a Python float. The value may be a function without arguments, which is
    called when the value is first used: where only derivatives are needed, most values are not."""

    __slots__ = ("_value",)

    def __init__(self, head: Any, tangents: Mapping[int, Any]) -> None:
        self._value, self.tangents = head, dict(tangents)

    @property
    def head(self) -> Any:
        """The value: an array, or a Python float for a constant."""
        if callable(self._value):
            self._value = self._value()
        if isinstance(self._value, np.generic):  # what NumPy makes of a sum over all axes; a np.float64 is a float too
            self._value = np.asarray(self._value)
        return self._value

    def __neg__(self) -> Self:
        return type(self)(lambda: -self.head, {k: -x for k, x in self.tangents.items()})

    def __abs__(self) -> Self:
        if self.tangents:
            raise NotImplementedError("a magnitude is written as f.modulus")
        return type(self)(lambda: np.abs(self.head), {})

    def __add__(self, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        return type(self)(lambda: self.head + self.number(other), added(self.tangents, tangents(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other if _is_number(other) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        left = {k: times(x, self.number(other)) for k, x in self.tangents.items()}
        right = {k: times(x, self.head) for k, x in tangents(other).items()}
        return type(self)(lambda: self.head * self.number(other), added(left, right))

    __rmul__ = __mul__

    @staticmethod
    def number(x: Any) -> Any:
        if isinstance(x, FloatDual):
            return x.head
        if isinstance(x, np.ndarray):
            return x
        if isinstance(x, arb):
            return float(x.mid())
        if isinstance(x, (int, float, Fraction, np.number)):
            return float(x)
        return NotImplemented

    def moved(self, move: Callable[[Array], Array]) -> Self:
        return type(self)(move(self.head), {k: move(self.along(k)) for k in self.tangents})

    def along(self, direction: int) -> Array:
        """The derivative along a direction, in the shape of the value, and where it is constant in its dtype."""
        step = self.tangents.get(direction, 0.0)
        if isinstance(step, float):
            step = np.result_type(np.float32, self.head).type(step)
        return np.broadcast_to(step, np.shape(self.head))


def _power(f: Any, y: FloatDual, x: FloatDual, a: FloatDual) -> Any:
    """The partial derivative a x^(a - 1) of a power, and 0 for the exponent 0."""
    return FloatDual(np.where(np.equal(a.head, 0), 0, a.head * np.power(x.head, a.head - 1)), {})


def _digamma(f: Any, y: FloatDual, x: FloatDual) -> Any:
    """ψ(x), also where x is negative."""
    return FloatDual(special.digamma(x.head), {})


SLOPES: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "power": (_power, TABLE["power"].partials[1]),
    "sinc": (sinc_slope(1.0),),
    "lgamma": (_digamma,),
    "gamma": (lambda f, y, x: y * _digamma(f, y, x),),
}
"""Partial derivatives that the table of `functions` writes with balls, or knows for fewer arguments."""


class Floats(OnReals, Folds):
    """A reading: the ``f`` of a definition, with a `FloatDual` for each scalar.

    Args:
        decided: the results of the comparisons of another reading of the same definition, in order, which are taken over. A
            definition cannot branch on a condition, so that both readings make the same comparisons. None: compare here.

    ``decisions`` collects the results of the comparisons, and ``tied`` the elements where two equal numbers were compared
    of which at least one has a derivative. ``dtype`` is that of the numbers compared so far: a condition that chooses
    between constants makes an array of it.
    """

    def __init__(self, decided: Sequence[Array] | None = None) -> None:
        self._decided = None if decided is None else iter(decided)
        self.decisions: list[Array] = []
        self.tied: Any = False
        self.dtype: DType | None = None

    def __getattr__(self, name: str) -> Callable[..., FloatDual]:
        """A function of the table."""
        row = TABLE.get(name)
        if row is None:
            raise NotImplementedError(f"{name} is not read in arrays")

        def apply(*arguments: Any) -> FloatDual:
            heads = [_float(x) for x in arguments]
            if all(isinstance(x, float) for x in heads):
                return FloatDual(float(row.numpy(*heads)), {})
            slopes: dict[int, Any] = {}
            moving = [k for k, x in enumerate(arguments) if tangents(x)]
            if moving:
                value, still = FloatDual(lambda: _called(row.numpy, heads), {}), [FloatDual(x, {}) for x in heads]
                partials = SLOPES.get(name, row.partials)
                for k in moving:
                    slope = _float(partials[k](self, value, *still))
                    for direction, along in tangents(arguments[k]).items():
                        part = times(along, slope)
                        slopes[direction] = slopes[direction] + part if direction in slopes else part
                return FloatDual(lambda: value.head, slopes)
            return FloatDual(lambda: _called(row.numpy, heads), slopes)

        setattr(self, name, apply)
        return apply

    @property
    def pi(self) -> FloatDual:
        return self.number(np.pi)

    def number(self, value: Any) -> FloatDual:
        return value if isinstance(value, FloatDual) else FloatDual(_float(value), {})

    def _decide(self, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> Array:
        x, y = _float(a), _float(b)
        floating = [z.dtype for z in (x, y) if isinstance(z, np.ndarray) and z.dtype.kind == "f"]
        if floating:
            self.dtype = np.result_type(self.dtype or np.float32, *floating)
        if self._decided is not None:
            return np.asarray(next(self._decided))
        decision = np.asarray(compare(x, y))
        self.decisions.append(decision)
        if a is not b and (tangents(a) or tangents(b)):
            self.tied = self.tied | np.equal(x, y)
        return decision

    def less(self, a: Any, b: Any) -> Array:
        return self._decide(np.less, a, b)

    def less_equal(self, a: Any, b: Any) -> Array:
        return self._decide(np.less_equal, a, b)

    def equal(self, a: Any, b: Any) -> Array:
        return self._decide(np.equal, a, b)

    def isnan(self, x: Any) -> Array:
        return np.asarray(np.isnan(_float(x)))

    def isinf(self, x: Any) -> Array:
        return np.asarray(np.isinf(_float(x)))

    def both(self, a: Any, b: Any) -> Array:
        return _truth(a) & _truth(b)

    def either(self, a: Any, b: Any) -> Array:
        return _truth(a) | _truth(b)

    def negate(self, a: Any) -> Array:
        return ~_truth(a)

    def as_number(self, x: Any) -> FloatDual:
        """A condition as 1 or 0; a number as itself."""
        if isinstance(x, bool) or (isinstance(x, np.ndarray) and x.dtype.kind == "b"):
            return FloatDual(np.asarray(x, self.dtype or np.float32), {})
        return self.number(x)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """The branch that is taken, for each element."""
        if isinstance(condition, bool):
            return a if condition else b
        mask = _truth(condition)
        slopes = {}
        for k in {**tangents(a), **tangents(b)}:
            if_true, if_false = tangents(a).get(k, 0.0), tangents(b).get(k, 0.0)
            if isinstance(if_true, float) and isinstance(if_false, float):  # without a dtype of their own
                dtype = np.result_type(np.float32, _float(a), _float(b))
                if_true, if_false = dtype.type(if_true), dtype.type(if_false)
            slopes[k] = np.where(mask, if_true, if_false)
        constants = self.dtype
        return FloatDual(lambda: _choose(mask, _float(a), _float(b), constants), slopes)

    def constant(self, x: Any) -> FloatDual:
        return FloatDual(_float(x), {})

    def floor(self, x: Any) -> FloatDual:
        """The largest integer up to ``x``, without a derivative; a tie at its steps."""
        value = _float(x)
        if isinstance(value, float):
            return FloatDual(float(np.floor(value)), {})
        if self._decided is not None:
            return FloatDual(next(self._decided), {})
        whole = np.asarray(np.floor(value))
        self.decisions.append(whole)
        if tangents(x):
            self.tied = self.tied | np.equal(whole, value)
        return FloatDual(whole, {})

    # whole arrays (see `whole_functions`)

    def total(self, terms: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """The sum over axes of an array; or the sum of a few scalars."""
        if not isinstance(terms, (FloatDual, np.ndarray)):
            return sum(terms, self.number(0))
        return self._each(lambda x: np.sum(x, axis=axis, keepdims=keepdims), terms)

    def running_total(self, x: Any, axis: int) -> Any:
        """The cumulative sum along an axis."""
        return self._each(lambda a: np.cumsum(a, axis), x)

    def _each(self, linear: Callable[[Array], Array], x: Any) -> FloatDual:
        """A linear function of the value and of each tangent."""
        x = self.as_number(x)
        return FloatDual(lambda: linear(x.head), {k: linear(x.along(k)) for k in x.tangents})

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product, with a value that is computed when it is used."""
        left, right = self.as_number(a), self.as_number(b)
        left_slopes = {k: left.along(k) @ right.head for k in left.tangents}
        right_slopes = {k: left.head @ right.along(k) for k in right.tangents}
        return FloatDual(lambda: left.head @ right.head, added(left_slopes, right_slopes))

    def moved(self, move: Callable[..., Any], *arrays: Any, **options: Any) -> Any:
        """The elements of arrays at other places."""
        if all(isinstance(x, np.ndarray) for x in arrays):
            return move(*arrays, **options)
        numbers = [self.as_number(x) for x in arrays]
        directions = sorted({k for x in numbers for k in x.tangents})
        slopes = {k: move(*(x.along(k) for x in numbers), **options) for k in directions}
        return FloatDual(lambda: move(*(np.asarray(x.head) for x in numbers), **options), slopes)

    def places(self, indices: Any) -> Array:
        """Indices as integers. Raises NotImplementedError for computed indices."""
        if not isinstance(indices, np.ndarray):
            raise NotImplementedError("places are integers of the run")
        return indices

    def anchor(self, x: Any, axis: Axis, near: str = "largest") -> FloatDual:
        """A constant for each line along axes, close to the largest element or to the mean."""
        value = np.asarray(self.number(x).head)
        finite = np.isfinite(value)
        if near == "mean":
            anchors = np.where(finite, value, 0.0).mean(axis=axis, keepdims=True)
        else:
            anchors = np.max(value, axis=axis, keepdims=True, initial=-np.inf, where=finite)
        return FloatDual(np.where(np.isfinite(anchors), anchors, anchors.dtype.type(0)), {})

    def largest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> FloatDual:
        """The largest element over axes; several of them are a tie if they have derivatives."""
        x = self.as_number(x)
        value = np.asarray(x.head)
        axes = axes_of(axis, value.ndim)
        _, elements = self.one_of(x, axis)
        if x.tangents:
            self.tied = self.tied | bool((np.count_nonzero(value == elements.head, axis=axes) > 1).any())
        return elements.moved(lambda a: np.reshape(a, without(value.shape, axes, keepdims)))

    def smallest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> FloatDual:
        """The smallest element over axes, likewise."""
        return -self.largest(-self.as_number(x), axis, keepdims)

    def added(self, x: Any, indices: Any, updates: Any, axis: int) -> FloatDual:
        """``x`` with the sum of the updates for each index along an axis added to it, as ``np.add.at``."""
        where, base, increments = self.places(indices), self.as_number(x), self.as_number(updates)
        shape, wide = np.shape(base.head), np.shape(increments.head)
        inside = tuple(range(axis, axis + where.ndim))

        def each(a: Any, b: Any) -> Array:
            slopes = np.array(np.broadcast_to(a, shape))
            lines = np.moveaxis(np.broadcast_to(b, wide), inside, tuple(range(where.ndim)))
            np.add.at(np.moveaxis(slopes, axis, 0), where, lines)
            return slopes

        moving = sorted(base.tangents.keys() | increments.tangents.keys())
        dtype = np.result_type(np.float32, base.head, increments.head).type
        slopes = {k: each(base.tangents.get(k, dtype(0)), increments.tangents.get(k, dtype(0))) for k in moving}
        return FloatDual(lambda: each(base.head, increments.head), slopes)

    def one_of(self, x: Any, axis: Axis) -> tuple[Array, FloatDual]:
        """The largest element of each line along axes: its mask, and its value with these axes kept."""
        x = self.as_number(x)
        value = np.asarray(x.head)
        axes = axes_of(axis, value.ndim)
        order = (*(k for k in range(value.ndim) if k not in axes), *axes)
        sizes, kept_shape = tuple(value.shape[k] for k in order), without(value.shape, axes, True)
        outer = sizes[: value.ndim - len(axes)]
        if not value.size:
            return np.zeros(value.shape, bool), FloatDual(np.full(kept_shape, np.nan), {})

        def lines(a: Array) -> Array:
            return np.transpose(a, order).reshape(*outer, -1)

        places = np.argmax(lines(np.where(np.isnan(value), -np.inf, value)), axis=-1)[..., None]
        selected = np.zeros((*outer, value.size // max(int(np.prod(outer, dtype=int)), 1)), bool)
        np.put_along_axis(selected, places, True, -1)
        elements = x.moved(lambda a: np.take_along_axis(lines(a), places, -1).reshape(kept_shape))
        return np.transpose(selected.reshape(sizes), np.argsort(order)), elements

    def finite(self, x: Any) -> tuple[Any, Any]:
        """The mask of the elements that are not -inf, and ``x`` with 0 in place of the others. The mask is True if there
        are none."""
        x = self.as_number(x)
        away = np.isneginf(x.head)
        return (~away, self.where(~away, x, 0)) if np.any(away) else (True, x)

    def cast(self, x: Any, dtype: Any) -> Any:
        """``x``: a conversion keeps the number that is meant."""
        return x


def times(step: Any, x: Any) -> Any:
    """The product with the derivative along a direction, which is often 1."""
    return x if isinstance(step, float) and step == 1 else step * x


def _called(function: Callable[..., Any], heads: Sequence[Any]) -> Array:
    """A function of arrays, and of orders that are Python floats, in the dtype of the arrays."""
    return np.asarray(function(*heads)).astype(np.result_type(np.float32, *heads), copy=False)


def _is_number(x: Any) -> bool:
    return isinstance(x, FloatDual) or FloatDual.number(x) is not NotImplemented


def _float(x: Any) -> Any:
    value = FloatDual.number(x)
    if value is NotImplemented:
        raise TypeError(f"{type(x).__name__} is no number")
    return value


def _choose(mask: Array, a: Any, b: Any, constants: DType | None) -> Array:
    """``np.where`` of heads; two constants make an array of the dtype ``constants``."""
    if isinstance(a, float) and isinstance(b, float):
        a, b = np.asarray(a, constants), np.asarray(b, constants)
    return np.asarray(np.where(mask, a, b))


def _truth(x: Any) -> Array:
    return np.asarray(np.asarray(x) != 0)
