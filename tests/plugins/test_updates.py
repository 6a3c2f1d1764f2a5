"""Selection and replacement of elements, beside loops: values to the bit, and gradients by the places of elements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.conftest import Bench, Line
from tests.plugins.test_movements import evaluated, filled

from gradproof.engine.errors import DataFault, InvalidRequest
from gradproof.engine.spec import Array

SHAPES = ((4,), (3, 4), (2, 3, 4), (2, 0, 3), (1, 1))
LINE = np.array([1, 0, -1, 1, 0])


def place(index: tuple[int, ...], axis: int, k: Any, size: int) -> tuple[int, ...]:
    """``index`` with the place ``k``, which may be counted from the end, along an axis."""
    return (*index[:axis], int(k) % size, *index[axis + 1 :])


def targets(op: str, x: Array, indices: Array, axis: int) -> tuple[Array, list[tuple[int, ...]]]:
    """The indices of the updates, in C order, and the place in ``x`` that each is for."""
    if op in ("index_copy", "index_add"):
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
        rank = indices.ndim
        return np.zeros(shape), [
            (*j[:axis], int(indices[j[axis : axis + rank]]) % x.shape[axis], *j[axis + rank :]) for j in np.ndindex(shape)
        ]
    return np.zeros(indices.shape), [place(j, axis, indices[j], x.shape[axis]) for j in np.ndindex(indices.shape)]


def check(bench: Bench, op: str, x: Array, indices: Array, axis: int) -> None:
    """Values and gradients of an update: the last one of each place counts, or all where they are added."""
    likeness, places = targets(op, x, indices, axis)
    updates, adds = filled(likeness.shape, x.dtype, first=100), "add" in op
    expected, kept = x.copy(), np.zeros(likeness.shape, bool)
    for j, i in zip(np.ndindex(likeness.shape), places, strict=True):
        expected[i] = expected[i] + updates[j] if adds else updates[j]
    for j, i, rest in zip(np.ndindex(likeness.shape), places, range(len(places)), strict=True):
        kept[j] = adds or i not in places[rest + 1 :]
    [got] = evaluated(bench, op, [x, indices, updates], {"axis": axis})
    np.testing.assert_array_equal(got, expected)
    seed = filled(x.shape, x.dtype)
    to_x, to_indices, to_updates = bench.apply(op, [x, indices, updates], {"axis": axis}, [seed])
    free = seed.copy()
    for i in () if adds else places:
        free[i] = 0
    back = np.array([seed[i] for i in places], x.dtype).reshape(likeness.shape)
    assert to_indices is None
    np.testing.assert_array_equal(to_x, free)
    np.testing.assert_array_equal(to_updates, np.where(kept, back, 0))
    assert to_updates.dtype == x.dtype


@pytest.mark.parametrize("op", ["index_copy", "index_add"])
def test_parts_are_replaced_and_added(bench: Bench, op: str) -> None:
    for shape in SHAPES:
        for axis in range(-len(shape), len(shape)):
            size = shape[axis]
            for indices in (LINE % max(size, 1), -(LINE % max(size, 1)) - 1, LINE[:4].reshape(2, 2) % max(size, 1)):
                if size:
                    check(bench, op, filled(shape), indices, axis % len(shape))
            check(bench, op, filled(shape), np.zeros((0,), np.int64), axis % len(shape))
            check(bench, op, filled(shape), np.array(0 if size else [], np.int64), axis % len(shape))


@pytest.mark.parametrize("op", ["put_along_axis", "add_along_axis", "scatter", "scatter_add"])
def test_elements_are_replaced_and_added(bench: Bench, op: str) -> None:
    random = np.random.default_rng(3)
    for shape in SHAPES:
        for axis in range(len(shape)):
            for count in (0, 1, 5):
                size = max(shape[axis], 1)
                lines = (*shape[:axis], count, *shape[axis + 1 :])
                if shape[axis] or not np.prod(lines):
                    check(bench, op, filled(shape), random.integers(-size, size, lines), axis)


@pytest.mark.parametrize("op", ["scatter", "scatter_add"])
def test_a_corner_is_replaced_and_added(bench: Bench, op: str) -> None:
    """Indices may be for a corner of x, and values larger than the indices, as in PyTorch."""
    x, indices, values = filled((3, 4)), np.array([[1], [-1]]), filled((4, 3), first=100)
    expected = x.copy()
    for j in np.ndindex(indices.shape):
        i = place(j, 0, indices[j], 3)
        expected[i] = values[j] + (expected[i] if op == "scatter_add" else 0)
    [got] = evaluated(bench, op, [x, indices, values], {"axis": 0})
    np.testing.assert_array_equal(got, expected)
    to_x, _, to_values = bench.apply(op, [x, indices, values], {"axis": 0}, [filled((3, 4))])
    assert to_values[:2, :1].ravel().tolist() == [5.0, 9.0]
    assert to_values.sum() == 14.0
    assert to_x.sum() == 78.0 - (14.0 if op == "scatter" else 0.0)


def test_the_last_update_counts_however_indices_lie_in_memory(bench: Bench) -> None:
    random = np.random.default_rng(4)
    for order in ("C", "F", "backwards"):
        indices = random.integers(0, 3, (40, 30))
        indices = np.asfortranarray(indices) if order == "F" else indices[::-1, ::-1] if order == "backwards" else indices
        for axis in (0, 1):
            check(bench, "put_along_axis", filled((40 if axis else 3, 3 if axis else 30)), indices, axis)
        check(bench, "index_copy", filled((3, 2)), indices[:, 0], 0)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.complex64], ids=lambda t: np.dtype(t).name
)
def test_updates_keep_their_dtype(bench: Bench, dtype: Any) -> None:
    for op in ("index_copy", "index_add", "put_along_axis", "add_along_axis"):
        along = "along" in op
        check(bench, op, filled((2, 3), dtype), np.array([[1, 0, 1], [0, -1, 2]]) if along else LINE, 1)


def test_gather_and_its_corner(bench: Bench) -> None:
    x, indices = filled((3, 4)), np.array([[1, 3], [-1, 0]])
    [got] = evaluated(bench, "gather", [x, indices], {"axis": 1})
    np.testing.assert_array_equal(got, np.take_along_axis(x[:2], indices, 1))
    to_x, _ = bench.apply("gather", [x, indices], {"axis": -1}, [np.array([[1.0, 2], [3, 4]])])
    np.testing.assert_array_equal(to_x, [[0, 1, 0, 2], [4, 0, 0, 3], [0, 0, 0, 0]])
    for op, arrays in (("gather", []), ("scatter", [np.array(7.0)]), ("scatter_add", [np.array(7.0)])):
        [single] = evaluated(bench, op, [np.array(5.0), np.array(-1), *arrays], {"axis": 0})
        assert single.tolist() == {"gather": 5.0, "scatter": 7.0, "scatter_add": 12.0}[op]


def test_slices_and_parts_are_replaced(bench: Bench) -> None:
    x = filled((3, 4, 2))
    for cut in ((slice(1, 3), slice(None, None, -2), slice(0, 1)), (slice(0, 0), slice(9, -9, -1), slice(None))):
        start, stop, step = zip(*((s.start, s.stop, s.step) for s in cut), strict=True)
        attributes = {"start": start, "stop": stop, "step": step}
        values = filled(x[cut].shape, first=100)
        expected = x.copy()
        expected[cut] = values
        np.testing.assert_array_equal(evaluated(bench, "slice_scatter", [x, values], attributes)[0], expected)
        to_x, to_values = bench.apply("slice_scatter", [x, values], attributes, [filled(x.shape)])
        np.testing.assert_array_equal(to_values, filled(x.shape)[cut])
        expected = filled(x.shape)
        expected[cut] = 0
        np.testing.assert_array_equal(to_x, expected)
    [part] = evaluated(bench, "select", [x], {"axis": -2, "index": -1})
    np.testing.assert_array_equal(part, x[:, -1])
    [whole] = evaluated(bench, "select_scatter", [x, np.array([[7.0], [8], [9]])], {"axis": 1, "index": 2})
    np.testing.assert_array_equal(whole[:, 2], [[7, 7], [8, 8], [9, 9]])
    np.testing.assert_array_equal(whole[:, [0, 1, 3]], x[:, [0, 1, 3]])
    for offset, a, b in product((-1, 0, 2, 9), (0, 2), (1,)):
        size = x.diagonal(offset, a, b).shape
        [whole] = evaluated(
            bench, "diagonal_scatter", [x, filled(size, first=100)], {"offset": offset, "axis1": a, "axis2": b}
        )
        np.testing.assert_array_equal(whole.diagonal(offset, a, b), filled(size, first=100))
        assert (whole != x).sum() == np.prod(size)


def test_numbers_in_place_of_elements(bench: Bench) -> None:
    x, mask = filled((2, 3)), np.array([[True, False, True], [False, False, True]])
    lines: list[Line] = ["y = masked_fill(x, mask, v)", ("z = index_fill(x, k, v)", {"axis": 1}), ("w = put(x, p, u)", {})]
    leaves = {
        "x": x,
        "mask": mask,
        "v": np.array(7.0),
        "k": np.array([-1, 0]),
        "p": np.array([0, -1, 0]),
        "u": np.array([1.0, 2, 9]),
    }
    values = bench.values(leaves, lines, "y z w")
    np.testing.assert_array_equal(values["y"], np.where(mask, 7.0, x))
    np.testing.assert_array_equal(values["z"], [[7, 2, 7], [7, 5, 7]])
    np.testing.assert_array_equal(values["w"], [[9, 2, 3], [4, 5, 2]])
    gradients = bench.gradients(leaves, lines, "y z w", seeds={k: np.ones((2, 3)) for k in "yzw"})
    np.testing.assert_array_equal(gradients["x"], [[0, 3, 1], [2, 3, 0]])
    assert gradients["v"] == 3 + 4
    np.testing.assert_array_equal(gradients["u"], [0, 1, 1])
    [added] = evaluated(bench, "put", [x, np.array([0, -1, 0]), np.array([1.0, 2, 9])], {"accumulate": True})
    np.testing.assert_array_equal(added, [[11, 2, 3], [4, 5, 8]])


def test_elements_by_a_mask(bench: Bench) -> None:
    x, mask = filled((2, 3)), np.array([[True, False, True], [False, False, True]])
    [kept] = evaluated(bench, "masked_select", [x, mask], {"count": 3})
    np.testing.assert_array_equal(kept, x[mask])
    to_x, _ = bench.apply("masked_select", [x, mask], {"count": 3}, [np.array([1.0, 2, 3])])
    np.testing.assert_array_equal(to_x, [[1, 0, 2], [0, 0, 3]])
    [wide] = evaluated(bench, "masked_select", [x[:, :1], mask], {"count": 3})
    np.testing.assert_array_equal(wide, [1, 1, 4])
    source = np.array([[10.0, 20], [30, 40]])
    [filled_in] = evaluated(bench, "masked_scatter", [x, mask, source], {})
    np.testing.assert_array_equal(filled_in, [[10, 2, 20], [4, 5, 30]])
    to_x, _, to_source = bench.apply("masked_scatter", [x, mask, source], {}, [filled((2, 3))])
    np.testing.assert_array_equal(to_x, [[0, 2, 0], [4, 5, 0]])
    np.testing.assert_array_equal(to_source, [[1, 3], [6, 0]])
    [columns] = evaluated(bench, "compress", [x, mask[0]], {"count": 2, "axis": 1})
    np.testing.assert_array_equal(columns, np.compress(mask[0], x, 1))
    for got, expected in zip(evaluated(bench, "nonzero", [mask], {"count": 3}), np.nonzero(mask), strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(evaluated(bench, "argwhere", [mask], {"count": 3})[0], np.argwhere(mask))
    deep = np.random.default_rng(1).integers(0, 2, (2, 3, 4))
    for got, expected in zip(
        evaluated(bench, "nonzero", [deep], {"count": int(deep.sum())}), np.nonzero(deep), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_positions(bench: Bench) -> None:
    i, j = np.array([[0], [2]]), np.array([1, -1, 0])
    [flat] = evaluated(bench, "ravel_multi_index", [i, j], {"shape": (3, 4)})
    np.testing.assert_array_equal(flat, np.ravel_multi_index((i, j % 4), (3, 4)))
    [hot] = evaluated(bench, "one_hot", [i], {"num_classes": 4})
    np.testing.assert_array_equal(hot, np.eye(4, dtype=np.int64)[i])
    weight = filled((3, 2))
    [rows] = evaluated(bench, "embedding", [weight, j], {})
    np.testing.assert_array_equal(rows, weight[j])
    [padded] = evaluated(bench, "embedding", [weight, j], {"padding_idx": -1})
    np.testing.assert_array_equal(padded, weight[j])
    gradient, _ = bench.apply("embedding", [weight, np.array([1, -1, 2, 1])], {"padding_idx": -1}, [filled((4, 2))])
    np.testing.assert_array_equal(gradient, [[0, 0], [8, 10], [0, 0]])


FAULTS: tuple[tuple[str, Sequence[Any], dict[str, Any], str, str], ...] = (
    ("index_copy", [filled((2, 3)), [0, 3], filled((2, 2))], {"axis": 1}, "index 3 is out of bounds for axis 1", "[1]"),
    ("put_along_axis", [filled((2, 3)), [[0], [-4]], filled((2, 1))], {"axis": 1}, "index -4 is out of bounds", "[1, 0]"),
    ("scatter", [filled((2, 3)), [[2]], filled((1, 1))], {"axis": 0}, "index 2 is out of bounds for axis 0", "[0, 0]"),
    ("ravel_multi_index", [[1, 2], [0, 5]], {"shape": (3, 5)}, "index 5 is out of bounds for axis 1 with size 5", "[1]"),
    ("take", [filled((0, 3)), [0]], {"axis": 0}, "index 0 is out of bounds for axis 0 with size 0", "[0]"),
    ("take", [filled((0, 3)), [3]], {"axis": 1}, "index 3 is out of bounds for axis 1 with size 3", "[0]"),
    ("one_hot", [[0, -1]], {"num_classes": 2}, "class -1 is out of range for 2 classes", "[1]"),
    ("masked_select", [filled((2,)), [True, True]], {"count": 1}, "the mask has 2 true elements, and count is 1", ""),
    ("masked_scatter", [filled((2,)), [True, True], filled((1,))], {}, "index 1 is out of bounds", "[1]"),
)  # fmt: skip


@pytest.mark.parametrize(("op", "arrays", "attributes", "text", "element"), FAULTS)
def test_what_is_out_of_range_is_named(
    bench: Bench, op: str, arrays: Sequence[Any], attributes: dict[str, Any], text: str, element: str
) -> None:
    with pytest.raises(DataFault) as caught:
        evaluated(bench, op, [np.asarray(x) for x in arrays], attributes)
    assert text in str(caught.value)
    assert caught.value.element == element


WRONG: tuple[tuple[str, Sequence[Any], dict[str, Any], str], ...] = (
    ("index_copy", [filled((2, 3)), [0.5], filled((2, 1))], {"axis": 1}, "indices are float64; they must be integers"),
    ("index_copy", [filled((2, 3)), [0], filled((3, 1))], {"axis": 1}, "updates have shape (3, 1)"),
    (
        "slice_scatter",
        [filled((3,)), filled((2,))],
        {"start": (0,), "stop": (3,)},
        "the slice of float64[3] has shape (3,)",
    ),
    ("select", [filled((2, 3))], {"axis": 1, "index": 3}, "index 3 is out of bounds for axis 1 with size 3"),
    ("select_scatter", [filled((2, 3)), filled((3,))], {"axis": 1, "index": 0}, "the part at 0 of axis 1 has shape (2,)"),
    ("put", [filled((2, 3)), [0, 1], filled((3,))], {}, "values have shape (3,); the array of indices has shape (2,)"),
    ("index_put", [filled((2, 3)), filled((4,))], {"key": (0,)}, "values have shape (4,); x at the key has shape (3,)"),
    ("gather", [filled((2, 3)), [0]], {"axis": 0}, "indices have rank 1"),
    ("gather", [filled((2, 3)), [[0, 1, 0, 1]]], {"axis": 0}, "are larger than float64[2, 3] beside axis 0"),
    ("masked_fill", [filled((2,)), [True, False], filled((2,))], {}, "value has shape (2,); it must be a single number"),
    ("masked_select", [filled((2,)), [True, False]], {"count": 3}, "count is 3, and the mask has 2 elements"),
    ("compress", [filled((2,)), [[True]]], {"count": 1}, "it must be a vector"),
    ("ravel_multi_index", [[0]], {"shape": (2, 3)}, "shape (2, 3) has 2 axes, and there are indices for 1"),
    ("one_hot", [[0]], {"num_classes": True}, "num_classes is True; it must be an integer"),
)


@pytest.mark.parametrize(("op", "arrays", "attributes", "text"), WRONG)
def test_what_does_not_fit_is_named(
    bench: Bench, op: str, arrays: Sequence[Any], attributes: dict[str, Any], text: str
) -> None:
    leaves = {f"x{k}": np.asarray(x) for k, x in enumerate(arrays)}
    with pytest.raises(InvalidRequest, match=r"graph\.nodes") as caught:
        bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")
    assert text in str(caught.value)
