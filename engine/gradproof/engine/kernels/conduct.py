"""Conduct of a kernel: the same bits for an element wherever it stands, and no other memory touched.

Both executors use a kernel on arrays of other lengths: the interpreter on the whole, a compiled plan on blocks. So a loop
whose tail has other bits than its vectors, or that looks at alignment, strides or length, may not be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np

from gradproof.engine.spec import Array, DType

LARGE: Final = 100_003  # elements: several blocks, beyond thresholds at which libraries take other loops or threads
FILL, GUARD = 7.25, 9.5  # in memory that is to be written, and in memory that is not
MARGIN: Final = 9
LENGTHS: Final = (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33, 64, 100, 129, 1000)

Call = Callable[..., Any]


class Misconduct(Exception):
    """A kernel that may not be used; the message says why."""


class Way(NamedTuple):
    """A way to call a kernel: its name, the arrays, the memory for the result, and the indices of the elements in it."""

    name: str
    inputs: tuple[Array, ...]
    out: Array
    places: Array


def reference(call: Call, inputs: Sequence[Array], dtype: DType) -> Array:
    """The result on contiguous arrays. Raises Misconduct if the kernel raises, writes to its inputs or beyond its result,
    or gives other bits when it is called again."""
    first = _called(call, Way("a contiguous array", tuple(inputs), _guarded(inputs[0].shape, dtype), _all(inputs[0])))
    again = _called(call, Way("a contiguous array", tuple(inputs), _guarded(inputs[0].shape, dtype), _all(inputs[0])))
    _demand("when it is called again", again, first, inputs)
    return first


def demand_same_bits(call: Call, inputs: Sequence[Array], expected: Array, dtype: DType) -> None:
    """Raises Misconduct unless the elements have the bits of ``expected`` in every way that a run may call the kernel."""
    for way in _ways(inputs, dtype):
        _demand(f"in {way.name}", _called(call, way), expected[way.places], [x[way.places] for x in inputs])
    with ThreadPoolExecutor(2) as threads:
        ways = [Way("two threads", tuple(inputs), _guarded(inputs[0].shape, dtype), _all(inputs[0])) for _ in range(4)]
        for result in threads.map(lambda way: _called(call, way), ways):
            _demand("in two threads", result, expected, inputs)


def _ways(inputs: Sequence[Array], dtype: DType) -> Iterator[Way]:
    random = np.random.default_rng(0)
    count = inputs[0].size

    def made(name: str, places: Array, layout: Callable[[Array], Array] = np.array, out: Array | None = None) -> Way:
        arrays = tuple(layout(x[places]) for x in inputs)
        return Way(name, arrays, _guarded(arrays[0].shape, dtype) if out is None else out, places)

    every = np.arange(count)
    for length in LENGTHS:  # tails, and any place of an element in a vector
        for _ in range(4):
            start, shift = int(random.integers(0, count - length)), int(random.integers(0, MARGIN))
            places = np.arange(start, start + length)
            out = np.full(shift + length + MARGIN, GUARD, dtype)[shift : shift + length]
            out.fill(FILL)
            yield made(f"an array of {length}", places, lambda x, s=shift: _shifted(x, s), out)  # type: ignore[misc]
    yield made("an empty array", every[:0])
    yield made("an array of 0 x 3", every[:0].reshape(0, 3))
    yield made("a single number", np.asarray(every[1]))
    rows = every[: count // 6 * 6].reshape(2, 3, -1)
    yield made("an array of three axes", rows)
    yield made("a transposed array", rows, _transposed)
    yield made("an array of every third element", every, lambda x: np.repeat(x, 3)[::3])
    yield made("a reversed array", every, lambda x: np.array(x[::-1])[::-1])
    wide = np.broadcast_to(every[:50, None], (50, 37))
    yield made("a broadcast array", wide, lambda x: np.broadcast_to(np.array(x[:, :1]), x.shape))
    yield made("a broadcast row", np.broadcast_to(every[:50], (37, 50)), lambda x: np.broadcast_to(np.array(x[0]), x.shape))
    yield made("an array of one repeated number", np.full((3, 70), every[-1]), lambda x: np.broadcast_to(x[0, 0], x.shape))
    large = np.resize(every, LARGE)
    yield made("a large array", large)
    for k in range(len(inputs)):  # the result takes the memory of an input
        for name, places in ((f"the memory of input {k}", every), (f"the memory of input {k}, few elements", every[:5])):
            arrays = [np.array(x[places]) for x in inputs]
            yield Way(name, tuple(arrays), arrays[k], places)


def _called(call: Call, way: Way) -> Array:
    before = [x.tobytes() for x in way.inputs]
    shared = [x is way.out for x in way.inputs]
    for x, is_out in zip(way.inputs, shared, strict=True):
        x.flags.writeable = is_out
    around = way.out.base if way.out.base is not None else way.out
    try:
        with np.errstate(all="ignore"):
            call(*way.inputs, way.out)
    except Exception as error:
        raise Misconduct(f"raises {type(error).__name__} on {way.name}: {error}") from error
    for k, (x, bits, is_out) in enumerate(zip(way.inputs, before, shared, strict=True)):
        if not is_out and x.tobytes() != bits:
            raise Misconduct(f"writes to its input {k}, on {way.name}")
    if around is not way.out and around.ndim == 1:
        start = (way.out.__array_interface__["data"][0] - around.__array_interface__["data"][0]) // way.out.itemsize
        if not ((around[:start] == GUARD).all() and (around[start + way.out.size :] == GUARD).all()):
            raise Misconduct(f"writes beyond its result, on {way.name}")
    return np.array(way.out)


def _guarded(shape: tuple[int, ...], dtype: DType) -> Array:
    """Memory for a result, in the middle of memory that is not to be written."""
    size = int(np.prod(shape, dtype=int))
    whole = np.full(size + 2 * MARGIN, GUARD, dtype)
    out = whole[MARGIN : MARGIN + size].reshape(shape)
    out.fill(FILL)
    return out


def _all(x: Array) -> Array:
    return np.arange(x.size).reshape(x.shape)


def _shifted(x: Array, shift: int) -> Array:
    """A copy at another alignment."""
    whole = np.empty(shift + x.size, x.dtype)
    whole[shift:] = x
    return whole[shift:]


def _transposed(x: Array) -> Array:
    return np.array(np.transpose(x), order="C").T


def _demand(where: str, got: Array, expected: Array, inputs: Sequence[Array]) -> None:
    """Raises Misconduct where two results differ in a bit; the payload and the sign of a nan do not count."""
    nan = np.isnan(got) & np.isnan(expected)
    same = nan | ((got == expected) & (np.signbit(got) == np.signbit(expected)))
    if not same.all():
        k = np.unravel_index(int(np.argmin(same)), same.shape) if same.shape else ()
        at = ", ".join(repr(float(x[k])) for x in inputs)
        raise Misconduct(
            f"gives other bits {where}: at ({at}) it gives {float(got[k])!r}, and {float(expected[k])!r} in a long array; "
            "the bits of an element may not depend on its place, nor on length, alignment or strides of the array"
        )
