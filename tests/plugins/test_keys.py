"""Indexing with keys, beside NumPy: random keys of every kind, read, written and added to."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench
from tests.plugins.test_movements import evaluated, filled

from gradproof.engine.errors import InvalidRequest
from gradproof.engine.spec import Array

DRAWS = 250
KINDS = ("integer", "slice", "slice", "new", "rest", "array", "array", "mask", "end")


def drawn_slice(random: Random) -> tuple[int | None, int | None, int | None]:
    start, stop = (random.choice((None, random.randint(-6, 6))) for _ in range(2))
    return start, stop, random.choice((None, 1, 2, -1, -2))


def drawn(random: Random) -> tuple[tuple[int, ...], list[Any], list[Any], list[Array]]:
    """A shape, a key for it, the key as NumPy takes it, and the arrays for it."""
    shape = tuple(random.choice((1, 2, 3, 4)) if random.random() < 0.95 else 0 for _ in range(random.randint(0, 4)))
    together = [random.choice((1, 2, 3)) for _ in range(random.randint(0, 2))]
    key: list[Any] = []
    plain: list[Any] = []
    arrays: list[Array] = []
    axis = 0
    while (kind := random.choice(KINDS)) != "end":
        size = shape[axis] if axis < len(shape) else 0
        if kind == "new":
            key.append(None)
            plain.append(None)
        elif kind == "rest" and "..." not in key:
            key.append("...")
            plain.append(...)
            axis += random.randint(0, len(shape) - axis)
        elif kind == "mask":
            covered = shape[axis : axis + random.randint(0, 2)]
            mask = np.array([random.random() < 0.5 for _ in range(int(np.prod(covered)))], bool).reshape(covered)
            key.append(("mask", int(mask.sum())))
            plain.append(mask)
            arrays.append(mask)
            axis += len(covered)
        elif axis < len(shape) and kind == "slice":
            key.append(drawn_slice(random))
            plain.append(slice(*key[-1]))
            axis += 1
        elif size and kind == "integer":
            key.append(random.randrange(-size, size))
            plain.append(key[-1])
            axis += 1
        elif size and kind == "array":
            wide = [n if random.random() < 0.7 else 1 for n in together][random.randint(0, len(together)) :]
            places = [random.randrange(-size, size) for _ in range(int(np.prod(wide, dtype=int)))]
            key.append("array")
            plain.append(np.array(places, np.int64).reshape(wide))
            arrays.append(plain[-1])
            axis += 1
    return shape, key, plain, arrays


def situations() -> list[Any]:
    """Draws that NumPy takes: arrays that do not broadcast, and masks behind an ellipsis that do not fit, are left out."""
    taken = []
    for seed in range(DRAWS):
        shape, key, plain, arrays = drawn(Random(seed))
        try:
            numbers = filled(shape, np.int64, first=0)[tuple(plain)]
        except IndexError:
            continue
        taken.append((shape, key, arrays, numbers))
    return taken


SITUATIONS = situations()


def test_the_draws_are_many_and_of_every_kind() -> None:
    assert len(SITUATIONS) > 0.9 * DRAWS
    assert {type(entry) for _, key, _, _ in SITUATIONS for entry in key} == {int, str, tuple, type(None)}
    assert sum(len(arrays) > 1 for _, _, arrays, _ in SITUATIONS) > 40


def test_elements_at_a_key(bench: Bench) -> None:
    for shape, key, arrays, numbers in SITUATIONS:
        x = filled(shape)
        [got] = evaluated(bench, "getitem", [x, *arrays], {"key": key})
        np.testing.assert_array_equal(got, numbers + 1.0)
        assert got.shape == numbers.shape
        seed = np.resize([1.25, -0.75, 2.0], numbers.shape)
        gradient = bench.apply("getitem", [x, *arrays], {"key": key}, [seed])[0]
        expected = np.zeros(x.size)
        np.add.at(expected, numbers.ravel(), seed.ravel())
        np.testing.assert_array_equal(gradient, expected.reshape(shape))


def test_elements_put_at_a_key(bench: Bench) -> None:
    for shape, key, arrays, numbers in SITUATIONS:
        x, values = filled(shape), filled(numbers.shape, first=100)
        values = values[0] if len(key) % 2 and numbers.ndim and len(values) else values
        wide = np.broadcast_to(values, numbers.shape).ravel()
        put, added, last = x.ravel().copy(), x.ravel().copy(), np.full(x.size, -1)
        for k, (number, value) in enumerate(zip(numbers.ravel(), wide, strict=True)):
            put[number] = value
            added[number] += value
            last[number] = k
        inputs, seed = [x, values, *arrays], filled(shape, first=1)
        np.testing.assert_array_equal(evaluated(bench, "index_put", inputs, {"key": key})[0], put.reshape(shape))
        total = {"key": key, "accumulate": True}
        np.testing.assert_array_equal(evaluated(bench, "index_put", inputs, total)[0], added.reshape(shape))
        for attributes in ({"key": key}, total):
            adds = "accumulate" in attributes
            to_x, to_values, *_ = bench.apply("index_put", inputs, attributes, [seed])
            np.testing.assert_array_equal(to_x, np.where((last < 0) | adds, seed.ravel(), 0).reshape(shape))
            stays = (last[numbers.ravel()] == np.arange(numbers.size)) | adds
            back = np.where(stays, seed.ravel()[numbers.ravel()], 0).reshape(numbers.shape)
            back = back.sum(0) if values.shape != numbers.shape else back
            np.testing.assert_array_equal(to_values, back)


def test_no_key_is_for_the_first_axes(bench: Bench) -> None:
    x, i, j = filled((3, 4, 2)), np.array([[2], [0]]), np.array([1, -1])
    np.testing.assert_array_equal(evaluated(bench, "getitem", [x, i, j], {})[0], x[i, j])
    np.testing.assert_array_equal(evaluated(bench, "getitem", [x], {})[0], x)
    expected = x.copy()
    expected[i, j] = 7
    np.testing.assert_array_equal(evaluated(bench, "index_put", [x, np.array(7.0), i, j], {})[0], expected)


@pytest.mark.parametrize(
    ("key", "arrays", "text"),
    [
        ((0, 0, 0), [], "is for 3 axes, and x has 2"),
        ((2,), [], "index 2 is out of bounds for axis 0 with size 2"),
        ((0, -4), [], "index -4 is out of bounds for axis 1 with size 3"),
        (("array",), [], "does not fit 0 inputs"),
        ((0,), [[1]], "does not fit 1 inputs"),
        (("...", "..."), [], "does not fit"),
        ((True,), [], "a part of the key is True; it must be an integer"),
        (("none",), [], "the key has the entry 'none'"),
        (((0, 1),), [], "the key has the entry (0, 1)"),
        (((0, 1, 0),), [], "the key has the entry (0, 1, 0)"),
        ((("mask", 1),), [[True]], "it must be bool, and of the shape (2,)"),
        ((("mask", 1),), [[0, 1]], "it must be bool"),
        ((("mask", 3),), [[True, True]], "count is 3, and the mask has 2 elements"),
        (("array",), [[0.5]], "indices are float64; they must be integers"),
        (("array", "array"), [[0, 1], [0, 1, 2]], "do not broadcast"),
        (0, [], "key is 0; it must be a list"),
    ],
)
def test_a_key_that_does_not_fit_is_named(bench: Bench, key: Any, arrays: list[Any], text: str) -> None:
    leaves = {"x": filled((2, 3)), **{f"k{k}": np.asarray(x) for k, x in enumerate(arrays)}}
    with pytest.raises(InvalidRequest, match=r"graph\.nodes") as caught:
        bench.values(leaves, [(f"y = getitem({', '.join(leaves)})", {"key": key})], "y")
    assert text in str(caught.value)
