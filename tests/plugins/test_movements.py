"""Ops that move elements, beside NumPy and SciPy: values to the bit, and gradients by the places that elements come from.

The oracle of a gradient runs the same function of NumPy on numbered elements: an element gets the seeds of all places where
its number is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.linalg
from tests.conftest import Bench

from gradproof.engine.errors import InvalidRequest
from gradproof.engine.spec import Array, spec_of
from gradproof.plugins import joining

DTYPES = ("float64", "float32", "float16", ml_dtypes.bfloat16, "complex128", "int64", "bool")
SHAPES = ((), (1,), (5,), (0,), (2, 3), (3, 0, 2), (2, 3, 4), (1, 2, 1, 3))

Row = tuple[str, Callable[..., Any], Sequence[tuple[int, ...]], dict[str, Any]]
"""The op, a function of NumPy that takes the arrays and nothing else, the shapes of the arrays, and the attributes."""


def results(reference: Callable[..., Any], arrays: Sequence[Array]) -> list[Array]:
    y = reference(*arrays)
    return [np.asarray(part) for part in (y if isinstance(y, (tuple, list)) else (y,))]


def evaluated(bench: Bench, op: str, arrays: Sequence[Array], attributes: Mapping[str, Any]) -> list[Array]:
    leaves = {f"x{k}": array for k, array in enumerate(arrays)}
    count = len(bench.engine.registry.op(op).inference([spec_of(x) for x in arrays], attributes).outputs)
    names = [f"y{k}" for k in range(count)]
    values = bench.values(leaves, [(f"{', '.join(names)} = {op}({', '.join(leaves)})", attributes)], " ".join(names))
    return [values[name] for name in names]


def agree(bench: Bench, op: str, reference: Callable[..., Any], arrays: Sequence[Array], attributes: Any) -> None:
    """Values and gradients of an op are those of NumPy's function."""
    for got, expected in zip(evaluated(bench, op, arrays, attributes), results(reference, arrays), strict=True):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(got, expected)
    moving = [k for k, x in enumerate(arrays) if x.dtype.kind in "fc"]
    if not moving:
        return
    numbers, first = [], 1
    for k, x in enumerate(arrays):
        numbers.append(np.arange(first, first + x.size).reshape(x.shape) if k in moving else x)
        first += x.size if k in moving else 0
    sources = results(reference, numbers)
    seeds = [np.resize(np.array([1.25, -0.75, 2.0, -1.5]), y.shape).astype(arrays[moving[0]].dtype) for y in sources]
    received = np.zeros(first, seeds[0].dtype)
    for y, seed in zip(sources, seeds, strict=True):
        np.add.at(received, y.ravel(), seed.ravel())
    for k, gradient in enumerate(bench.apply(op, arrays, attributes, seeds)):
        if k in moving:
            np.testing.assert_array_equal(gradient, received[numbers[k]])
            assert gradient.dtype == arrays[k].dtype


def filled(shape: tuple[int, ...], dtype: Any = np.float64, first: int = 1) -> Array:
    return np.arange(first, first + int(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)


def orders() -> Iterator[Row]:
    for shape in SHAPES:
        yield "ravel", np.ravel, [shape], {}
        yield "flatten", np.ravel, [shape], {}
        yield "roll", lambda x: np.roll(x, -7), [shape], {"shift": -7}
        yield "permute_dims", np.transpose, [shape], {"axes": tuple(range(len(shape)))[::-1]}
        for axis in range(-len(shape), len(shape)):
            moved = {"source": axis, "destination": -1}
            yield "moveaxis", lambda x, axis=axis: np.moveaxis(x, axis, -1), [shape], moved
            yield "swapaxes", lambda x, axis=axis: np.swapaxes(x, axis, 0), [shape], {"axis1": axis, "axis2": 0}
            yield "roll", lambda x, axis=axis: np.roll(x, 2, axis), [shape], {"shift": 2, "axis": axis}
    for k in range(-5, 6):
        yield "rot90", lambda x, k=k: np.rot90(x, k), [(2, 3)], {"k": k}
        yield "rot90", lambda x, k=k: np.rot90(x, k, (2, 0)), [(2, 3, 4)], {"k": k, "axes": (2, 0)}
    for shift, over in (((1, 2), (0, 2)), ((1, 2), (2, 2)), (3, (0, 1)), ((1, 2), -1)):
        yield "roll", lambda x, s=shift, a=over: np.roll(x, s, a), [(2, 3, 4)], {"shift": shift, "axis": over}
    two = {"source": (0, 1), "destination": (-1, 0)}
    yield "moveaxis", lambda x: np.moveaxis(x, (0, 1), (-1, 0)), [(2, 3, 4)], two
    yield "fliplr", np.fliplr, [(2, 3, 4)], {}
    yield "flipud", np.flipud, [(3,)], {}
    yield "flatten", lambda x: x.reshape(2, 12, 5), [(2, 3, 4, 5)], {"start_axis": 1, "end_axis": -2}
    yield "unflatten", lambda x: x.reshape(2, 3, 4, 5), [(2, 12, 5)], {"axis": -2, "shape": (3, -1)}
    yield "unflatten", lambda x: x.reshape(2, 0, 4), [(2, 0)], {"axis": 1, "shape": (0, 4)}
    yield "adjoint", lambda x: np.swapaxes(x, -1, -2), [(2, 3, 4)], {}
    yield "slice", lambda x: x[-9::-1, 1:1:-1], [(3, 4)], {"start": (-9, 1), "stop": (None, 1), "step": (-1, -1)}


def repetitions() -> Iterator[Row]:
    for counts in (2, (2, 1, 3), (2, 3), (2, 1, 1, 3), 0, ()):
        yield "tile", lambda x, counts=counts: np.tile(x, counts), [(2, 3, 4)], {"repetitions": counts}
    yield "tile", lambda x: np.tile(x, (2, 3)), [()], {"repetitions": (2, 3)}
    for repeats, axis in ((2, None), (2, 1), ((1, 0, 2), 1), ((2,), -1), ((0, 0, 0, 0), 2), (0, 0), ((3, 3, 3), 1)):
        attributes = {"repeats": repeats, "axis": axis}
        yield "repeat", lambda x, r=repeats, a=axis: np.repeat(x, r, a), [(2, 3, 4)], attributes
    yield "repeat", lambda x: np.repeat(x, 3), [()], {"repeats": 3}
    yield "broadcast_arrays", np.broadcast_arrays, [(2, 1), (3,), ()], {}
    yield "broadcast_arrays", np.broadcast_arrays, [(0, 1), (3,)], {}
    for indexing in ("xy", "ij"):
        for shapes in ([(2,), (3,), (4,)], [(3,)], [(2,), (0,)], [(), (2,)]):
            mesh = {"indexing": indexing}
            yield "meshgrid", lambda *x, i=indexing: tuple(np.meshgrid(*x, indexing=i)), shapes, mesh


def joins() -> Iterator[Row]:
    for shape in ((), (3,), (0,), (2, 3), (2, 3, 4), (2, 1, 3, 2)):
        for name in ("vstack", "hstack", "dstack", "column_stack"):
            if name != "column_stack" or shape:
                yield name, lambda *x, name=name: getattr(np, name)(x), [shape, shape], {}
        for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
            yield name, getattr(np, name), [shape], {}
            yield name, getattr(np, name), [shape, ()], {}
    yield "column_stack", lambda *x: np.column_stack(x), [(3,), (3, 2)], {}
    yield "block_diag", scipy.linalg.block_diag, [(2, 3), (3,), (), (1, 2)], {}
    yield "block_diag", scipy.linalg.block_diag, [(2, 3)], {}
    yield "cartesian_prod", lambda a, b: np.stack([np.repeat(a, 3), np.tile(b, 2)], 1), [(2,), (3,)], {}
    yield "cartesian_prod", lambda a: a, [(3,)], {}
    for axis in (0, 1, -1):
        yield "unstack", lambda x, a=axis: tuple(np.moveaxis(x, a, 0)), [(2, 3, 4)], {"axis": axis}
        for cut in (1, 2, 3, 5, (1, 2), (2, 1), (0, 9), (-1,)):
            attributes = {"indices_or_sections": cut, "axis": axis}
            yield "array_split", lambda x, c=cut, a=axis: tuple(np.array_split(x, c, a)), [(2, 3, 4)], attributes
    for name in ("vsplit", "hsplit", "dsplit"):
        for cut in (2, (1, 3)):
            attributes = {"indices_or_sections": cut}
            yield name, lambda x, n=name, c=cut: tuple(getattr(np, n)(x, c)), [(2, 4, 6)], attributes
    yield "hsplit", lambda x: tuple(np.hsplit(x, 2)), [(6,)], {"indices_or_sections": 2}
    yield "split", lambda x: tuple(np.split(x, [0, 2])), [(5, 2)], {"sections": (0, 2, 3)}
    yield "split", lambda x: tuple(np.split(x, 20, 1)), [(2, 20)], {"sections": 20, "axis": -1}


def pads() -> Iterator[Row]:
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        for widths in (((1, 2), (0, 3), (2, 2)), ((5, 9), (0, 0), (7, 0))):
            attributes = {"widths": widths, "mode": mode}
            yield "pad", lambda x, w=widths, m=mode: np.pad(x, w, m), [(2, 3, 4)], attributes
        rows: Any = ((3, 2), (0, 0))
        yield "pad", lambda x, w=rows, m=mode: np.pad(x, w, m), [(1, 0)], {"widths": rows, "mode": mode}
    yield "pad", lambda x: np.pad(x, ((1, 0), (2, 3))), [(2, 0)], {"widths": ((1, 0), (2, 3))}
    yield "pad", lambda x: x, [()], {"widths": ()}


def embedded(x: Array) -> Array:
    """The rows of a matrix, each below the main diagonal of a matrix."""
    return np.stack([np.diag(row, -1) for row in x])


def diagonals() -> Iterator[Row]:
    for offset in range(-5, 6):
        for a, b in ((0, 1), (2, 0), (-1, 1)):
            attributes = {"offset": offset, "axis1": a, "axis2": b}
            yield "diagonal", lambda x, o=offset, a=a, b=b: np.diagonal(x, o, a, b), [(2, 3, 4)], attributes
        yield "diag", lambda x, o=offset: np.diag(x, o), [(3,)], {"k": offset}
        yield "diag", lambda x, o=offset: np.diag(x, o), [(3, 4)], {"k": offset}
        yield "diagflat", lambda x, o=offset: np.diagflat(x, o), [(2, 3)], {"k": offset}
        yield "diag_embed", lambda x, o=offset: np.diag(x, o), [(3,)], {"offset": offset}
    yield "diagonal", lambda x: np.diagonal(x), [(0, 3)], {}
    yield "diag_embed", lambda x: np.diag(x, 1), [(0,)], {"offset": 1}
    yield "diag_embed", embedded, [(2, 3)], {"offset": -1}
    yield "diag_embed", lambda x: np.moveaxis(embedded(x), 0, 1), [(2, 3)], {"offset": 1, "axis1": 2, "axis2": 0}


def windows() -> Iterator[Row]:
    view = np.lib.stride_tricks.sliding_window_view
    yield "sliding_window_view", lambda x: view(x, (2, 3), (1, 2)), [(2, 3, 4)], {"window_shape": (2, 3), "axis": (1, 2)}
    yield "sliding_window_view", lambda x: view(x, (2, 2)), [(2, 3)], {"window_shape": (2, 2)}
    for size, step in ((1, 1), (2, 1), (3, 2), (2, 3), (7, 1), (7, 9)):
        attributes = {"axis": -2, "size": size, "step": step}
        yield "unfold", lambda x, n=size, s=step: view(x, n, 1)[:, ::s], [(2, 7, 3)], attributes
    yield "unfold", lambda x: view(x, 2, 1), [(0, 3)], {"axis": 1, "size": 2}


def images() -> Iterator[Row]:
    """As PyTorch's documentation of these layers has them."""

    def shuffled(x: Array) -> Array:
        return x.reshape(2, 3, 2, 2, 4, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 8, 10)

    def unshuffled(x: Array) -> Array:
        return x.reshape(2, 3, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)

    yield "pixel_shuffle", shuffled, [(2, 12, 4, 5)], {"upscale_factor": 2}
    yield "pixel_unshuffle", unshuffled, [(2, 3, 4, 6)], {"downscale_factor": 2}
    interleaved = {"groups": 3}
    yield "channel_shuffle", lambda x: x[:, [0, 2, 4, 1, 3, 5]], [(2, 6, 4)], interleaved


FAMILIES = (orders, repetitions, joins, pads, diagonals, windows, images)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_ops_move_elements_as_numpy_does(bench: Bench, family: Callable[[], Iterator[Row]]) -> None:
    for op, reference, shapes, attributes in family():
        sizes = np.cumsum([1, *(int(np.prod(shape, dtype=int)) for shape in shapes)])
        arrays = [filled(shape, first=first) for shape, first in zip(shapes, sizes, strict=False)]
        agree(bench, op, reference, arrays, attributes)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_elements_keep_their_dtype(bench: Bench, dtype: Any) -> None:
    seen = set()
    for family in FAMILIES:
        for op, reference, shapes, attributes in family():
            if op not in seen and shapes[0] not in ((), (0,)):
                seen.add(op)
                agree(bench, op, reference, [filled(shape, dtype) for shape in shapes], attributes)


@pytest.mark.parametrize("value", [2.5, -np.inf, np.nan, 0.0])
def test_a_pad_may_have_any_value(bench: Bench, value: float) -> None:
    widths, x = ((1, 2), (0, 3)), filled((2, 3))
    [padded] = evaluated(bench, "pad", [x], {"widths": widths, "value": value})
    np.testing.assert_array_equal(padded, np.pad(x, widths, constant_values=value))
    seed = filled(padded.shape)
    [gradient] = bench.apply("pad", [x], {"widths": widths, "value": value}, [seed])
    np.testing.assert_array_equal(gradient, seed[1:3, :3])


@pytest.mark.parametrize(("size", "step", "length"), [(3, 1, 6), (3, 2, 9), (2, 3, 12), (1, 1, 4)])
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_overlapping_windows_are_summed(bench: Bench, size: int, step: int, length: int, dtype: Any) -> None:
    x = (np.random.default_rng(1).integers(-8, 8, (2, 4, 3, size)) / 4).astype(dtype)
    expected = np.zeros((2, length, 3))
    for k in range(4):
        for j in range(size):
            expected[:, k * step + j] += x[:, k, :, j]
    attributes = {"length": length, "axis": 1, "step": step}
    [total] = evaluated(bench, "overlap_add", [x], attributes)
    np.testing.assert_array_equal(total, expected)
    assert total.dtype == dtype
    seed = filled((2, length, 3), dtype)
    [gradient] = bench.apply("overlap_add", [x], attributes, [seed])
    windows = [[seed[:, k * step + j] for j in range(size)] for k in range(4)]
    np.testing.assert_array_equal(gradient, np.moveaxis(np.array(windows), (0, 1), (1, 3)))


WRONG: tuple[tuple[str, Sequence[tuple[int, ...]], dict[str, Any], str], ...] = (
    ("moveaxis", [(2, 3)], {"source": (0, 0), "destination": (0, 1)}, "axis (0, 0) names an axis twice"),
    ("moveaxis", [(2, 3)], {"source": (0, 1), "destination": 0}, "source names 2 axes, and destination 1"),
    ("swapaxes", [(2, 3)], {"axis1": True, "axis2": 0}, "axis is True; it must be an integer"),
    ("flatten", [(2, 3)], {"start_axis": 1, "end_axis": 0}, "start_axis 1 comes after end_axis 0"),
    ("unflatten", [(2, 3)], {"axis": 1, "shape": (2, -1)}, "cannot unflatten axis 1 of size 3 into (2, -1)"),
    ("rot90", [(2, 3)], {"axes": (0, 0)}, "axis (0, 0) names an axis twice"),
    ("rot90", [(2, 3)], {"axes": (0,)}, "a plane has two axes"),
    ("roll", [(2, 3)], {"shift": (1, 2, 3), "axis": (0, 1)}, "shift has 3 entries, and axis 2"),
    ("tile", [(2,)], {"repetitions": -1}, "no count may be negative"),
    ("repeat", [(2,)], {"repeats": (1, 2, 3), "axis": 0}, "repeats has 3 entries, and axis 0 has size 2"),
    ("meshgrid", [(2, 3)], {}, "a mesh is made of vectors"),
    ("meshgrid", [(2,)], {"indexing": "yx"}, "indexing is 'yx'; it must be 'xy' or 'ij'"),
    ("broadcast_arrays", [(2,), (3,)], {}, "shapes (2,) and (3,) do not broadcast"),
    ("hsplit", [(2, 3)], {"indices_or_sections": 2}, "cannot split the 3 of axis 1 into 2 equal sections"),
    ("array_split", [(2,)], {"indices_or_sections": 0}, "there must be a section"),
    ("array_split", [(2,)], {"indices_or_sections": 1 << 40}, "at most 10000 parts"),
    ("unstack", [(0, 3)], {}, "axis 0 of float64[0, 3] has no elements, and so there are no results"),
    ("block_diag", [(2, 2, 2)], {}, "a block is a matrix, a vector or a number"),
    ("diagonal", [(2, 3)], {"axis1": 1, "axis2": -1}, "axis1 and axis2 are both 1"),
    ("diag", [(2, 3, 4)], {}, "needs a vector or a matrix"),
    ("pad", [(2,)], {"widths": ((1, 1),), "mode": "replicate"}, "it must be constant, edge, reflect, symmetric or wrap"),
    ("pad", [(0,)], {"widths": ((1, 1),), "mode": "edge"}, "has no elements that mode 'edge' could repeat"),
    ("pad", [(2,)], {"widths": ((1 << 40, 1),), "mode": "wrap"}, "at most 10000 parts"),
    ("unfold", [(3,)], {"axis": 0, "size": 4}, "a window of 4 is longer than axis 0"),
    ("unfold", [(3,)], {"axis": 0, "size": 2, "step": 0}, "step is 0; it must be at least 1"),
    ("overlap_add", [(3, 2)], {"axis": 0, "length": 3}, "length is 3; 3 windows of 2 by steps of 1 need 4"),
    ("pixel_shuffle", [(3, 2, 2)], {"upscale_factor": 2}, "needs (..., c * 2², h, w)"),
)


@pytest.mark.parametrize(("op", "shapes", "attributes", "text"), WRONG)
def test_what_does_not_fit_is_named(
    bench: Bench, op: str, shapes: Sequence[tuple[int, ...]], attributes: dict[str, Any], text: str
) -> None:
    leaves = {f"x{k}": np.zeros(shape) for k, shape in enumerate(shapes)}
    with pytest.raises(InvalidRequest, match=r"graph\.nodes") as caught:
        bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")
    assert text in str(caught.value)


def test_joined_windows_are_copied_in_longer_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that continue one another in memory are a single view; whatever lies otherwise is left as it is."""
    joined: Any = joining._joined
    concat_into: Any = joining.concat_into
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    windows = [x[:, i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    assert [part.shape[3] for part in joined(windows, 3)] == [9, 9, 9]
    monkeypatch.setattr(joining, "LARGE", 0)
    line = np.arange(12.0)
    cases = [(windows, axis) for axis in range(4)] + [
        (parts, 0)
        for parts in (
            [line[:3], line[3:5], line[5:9]],
            [line[6:3:-1], line[3:0:-1]],
            [line[6:3:-1], line[7:9]],
            [line[::2], line[1::2]],
            [line[:0], line[:3]],
            [line[:3], line[3:3], line[3:5]],
            [np.broadcast_to(line[1], 3), np.broadcast_to(line[1], 2)],
            [line[:2], line[2:4].astype(np.float32).astype(float)],
        )
    ]
    for parts, axis in cases:
        expected = np.concatenate(parts, axis)
        out = np.empty_like(expected)
        concat_into(out, *parts, axis=axis)
        np.testing.assert_array_equal(out, expected)
