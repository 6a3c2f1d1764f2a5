"""Orders, places along lines, and rounding: against Python's own arithmetic and sorting."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.conftest import REGISTRY, Bench
from tests.support.fault_injection import registry_with
from tests.support.verdicts import verdicts_of

from gradproof.engine.engine import Engine
from gradproof.engine.errors import DataFault, InvalidRequest
from gradproof.engine.extend import Op, ops
from gradproof.engine.verify.identities.regions import differences
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import RuleWord

FLOATS = st.one_of(
    st.floats(-1e6, 1e6), st.integers(-9, 9).map(float), st.integers(-9, 9).map(lambda k: k + 0.5), st.just(-0.0)
)
LINES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5), elements=FLOATS)


def value(bench: Bench, op: str, *arrays: Any, **attributes: Any) -> Any:
    leaves = {f"x{k}": np.asarray(x) for k, x in enumerate(arrays)}
    return bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"]


# rounding


@given(x=FLOATS)
def test_rounding_is_pythons(bench: Bench, x: float) -> None:
    assert value(bench, "floor", x) == math.floor(x)
    assert value(bench, "ceil", x) == math.ceil(x)
    assert value(bench, "trunc", x) == math.trunc(x)
    assert value(bench, "round", x) == round(x)


@given(a=FLOATS, b=FLOATS)
def test_division_with_a_remainder_is_exact(bench: Bench, a: float, b: float) -> None:
    """The quotient of the exact fractions; the remainder is of b's sign, and rounds what the fractions give."""
    assume(abs(b) > 1e-3)
    quotient = math.floor(Fraction(a) / Fraction(b))
    assert value(bench, "floor_divide", a, b) == quotient
    exact = Fraction(a) - Fraction(b) * quotient
    remainder = value(bench, "remainder", a, b)
    assert remainder == pytest.approx(float(exact), rel=1e-15, abs=1e-300)
    da, db = bench.apply("remainder", [np.array(a), np.array(b)])
    assert da == 1.0
    assert db == pytest.approx(-quotient, rel=1e-15)


@pytest.mark.parametrize("op", ["floor", "ceil", "trunc", "round"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_rounded_keeps_its_dtype_and_has_no_slope(bench: Bench, op: str, dtype: str) -> None:
    x = np.array([-1.5, 0.25, 2.0], dtype)
    assert value(bench, op, x).dtype == x.dtype
    np.testing.assert_array_equal(bench.apply(op, [x])[0], np.zeros(3, dtype))


def test_a_definition_with_steps_is_proved_between_them() -> None:
    verdict = prove(REGISTRY, REGISTRY.op("floor"), REGISTRY.op("floor").proof_cases()[0])
    assert verdict.word is RuleWord.PROVED_AE
    assert verdict.tie_set == "x - floor(x) = 0"


def test_where_steps_are_equal_is_no_thin_set() -> None:
    """The rule is wrong between 1000 and 1001 only, where floor(x) = 1000: no random point comes there."""
    op = Op(
        "planted.op",
        lambda x: np.where(np.floor(x) == 1000, x, 2 * x),
        lambda g, y, x: 2 * g,
        lambda f, x: f.where(f.equal(f.floor(x), f.number(1000)), x, 2 * x),
    )
    verdict = prove(registry_with(op), op, op.proof_cases()[0])
    assert not verdict.proved
    right = Op(
        "planted.op",
        op.forward,
        lambda g, y, x: ops.where(ops.equal(ops.floor(x), 1000), g, 2 * g),
        op.define,
        ties="as between the steps",
    )
    assert prove(registry_with(right), right, right.proof_cases()[0]).proved


# orders


@given(x=LINES, axis=st.sampled_from([0, 1]), keepdims=st.booleans())
def test_the_place_of_an_extremum_is_the_first(bench: Bench, x: Any, axis: int, keepdims: bool) -> None:
    lines = x.T.tolist() if axis == 0 else x.tolist()
    for op, best in (("argmax", max), ("argmin", min)):
        places = value(bench, op, x, axis=axis, keepdims=keepdims)
        assert places.dtype == np.int64
        assert places.shape == tuple(1 if k == axis else s for k, s in enumerate(x.shape) if keepdims or k != axis)
        assert places.reshape(-1).tolist() == [line.index(best(line)) for line in lines]
        flat = x.reshape(-1).tolist()
        assert value(bench, op, x) == flat.index(best(flat))


@given(x=LINES, descending=st.booleans())
def test_sorting_is_stable(bench: Bench, x: Any, descending: bool) -> None:
    expected = [sorted(range(len(line)), key=line.__getitem__, reverse=descending) for line in x.tolist()]
    assert value(bench, "argsort", x, descending=descending).tolist() == expected


NAN_LINES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
    elements=st.one_of(st.integers(-2, 2).map(float), st.sampled_from([np.nan, np.inf, -np.inf, -0.0])),
)


def places_in_order(line: list[float], descending: bool = False) -> list[int]:
    """Python's stable sort, with nan above all numbers."""
    return sorted(range(len(line)), key=lambda k: (math.isnan(line[k]), 0 if math.isnan(line[k]) else line[k]),
                  reverse=descending)  # fmt: skip


@given(x=NAN_LINES, data=st.data())
def test_selected_elements_are_those_of_the_sorted_line(bench: Bench, x: Any, data: st.DataObject) -> None:
    n, largest = x.shape[1], data.draw(st.booleans())
    k, rank = data.draw(st.integers(0, n)), data.draw(st.integers(0, n - 1))
    first = [places_in_order(line, largest)[:k] for line in x.tolist()]
    assert value(bench, "argtopk", x, k=k, largest=largest).tolist() == first
    assert value(bench, "argtopk", x.T.copy(), k=k, largest=largest, axis=0).T.tolist() == first
    at_rank = [places_in_order(line)[rank] for line in x.tolist()]
    assert value(bench, "argkth", x, rank=rank)[:, 0].tolist() == at_rank


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_nan_is_last_in_narrow_dtypes_too(bench: Bench, dtype: Any) -> None:
    x = np.array([2, np.nan, np.inf, -1], dtype)
    assert value(bench, "argsort", x).tolist() == [3, 0, 2, 1]
    assert value(bench, "argsort", x, descending=True).tolist() == [1, 2, 0, 3]
    assert value(bench, "argtopk", x, k=2).tolist() == [1, 2]
    assert value(bench, "argkth", x, rank=2).tolist() == [2]
    assert value(bench, "searchsorted", x[[3, 0, 2, 1]], x).tolist() == [1, 3, 2, 0]


@given(x=NAN_LINES)
def test_running_extrema_are_the_last(bench: Bench, x: Any) -> None:
    """Of the numbers up to each; after a nan the last nan."""
    for op, better in (("argcummax", float.__ge__), ("argcummin", float.__le__)):
        places = value(bench, op, x, axis=1)
        for line, row in zip(x.tolist(), places.tolist(), strict=True):
            best, expected = 0, []
            for k, term in enumerate(line):
                if math.isnan(term) or (not math.isnan(line[best]) and better(term, line[best])):
                    best = k
                expected.append(best)
            assert row == expected


def test_gradients_go_to_the_chosen_of_equal_elements(bench: Bench) -> None:
    x, seed = np.array([1.0, 3, 2, 3, 1]), np.array([1.0, 2, 4, 8, 16])
    for op, attributes, seeds, gradient in (
        ("sort", {}, [seed], [1, 8, 4, 16, 2]), ("sort", {"descending": True}, [seed], [8, 1, 4, 2, 16]),
        ("topk", {"k": 3}, [seed[:3], np.zeros(3, int)], [0, 1, 4, 2, 0]),
        ("kthvalue", {"k": 4}, [np.array(5.0), np.array(0)], [0, 5, 0, 0, 0]),
        ("cummax", {"axis": 0}, [seed, np.zeros(5, int)], [1, 2 + 4, 0, 8 + 16, 0]),
        ("cummin", {"axis": 0}, [seed, np.zeros(5, int)], [1 + 2 + 4 + 8, 0, 0, 0, 16]),
    ):  # fmt: skip
        np.testing.assert_array_equal(bench.apply(op, [x], attributes, seeds)[0], gradient)


@given(x=LINES, data=st.data(), right=st.booleans())
def test_places_among_sorted_elements(bench: Bench, x: Any, data: st.DataObject, right: bool) -> None:
    lines = np.sort(x, axis=1)
    values = data.draw(hnp.arrays(np.float64, (len(x), 3), elements=FLOATS))
    below = float.__le__ if right else float.__lt__
    counts = [
        [sum(below(a, v) for a in line) for v in row] for line, row in zip(lines.tolist(), values.tolist(), strict=True)
    ]
    assert value(bench, "searchsorted", lines, values, right=right).tolist() == counts
    single = [[sum(below(a, v) for a in lines[0].tolist()) for v in row] for row in values.tolist()]
    assert value(bench, "searchsorted", lines[0], values, right=right).tolist() == single


def test_a_line_that_is_not_sorted_is_a_fault_of_the_run(bench: Bench) -> None:
    with pytest.raises(DataFault, match="a line is not sorted") as caught:
        value(bench, "searchsorted", [[1, 2, 3], [1, 3, 2]], [[1], [1]])
    assert caught.value.element == "[1, 1]"


@pytest.mark.parametrize(("op", "x", "attributes", "message"), [
    ("topk", np.ones(2), {"k": 3}, r"k is 3; axis -1 of float64\[2\] has 2 elements"),
    ("topk", np.ones(2), {"k": True}, "k is True; it must be an integer"),
    ("kthvalue", np.ones(2), {"k": 0}, "k is 0; it is counted from 1"),
    ("cummax", np.ones(2), {"axis": False}, "axis is False; it must be an integer"),
    ("sort", np.array(1.0), {}, "axis -1 is out of range for rank 0"),
    ("median", np.ones(2, complex), {}, "numbers of dtype complex128 have no order"),
    ("argmax", np.ones((2, 0)), {"axis": 1}, "there is no largest of nothing"),
    ("argmin", np.ones(2), {"axis": 1}, "axis 1 is out of range for rank 1"),
    ("argsort", np.ones(2, complex), {}, "numbers of dtype complex128 have no order"),
    ("argsort", np.ones(2), {"descending": 1}, "descending is 1; it must be true or false"),
])  # fmt: skip
def test_what_has_no_order_is_refused(bench: Bench, op: str, x: Any, attributes: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        value(bench, op, x, **attributes)


# places along lines


@pytest.mark.slow
@given(x=LINES, data=st.data())
def test_elements_at_places_and_where_their_gradients_go(bench: Bench, x: Any, data: st.DataObject) -> None:
    n, m = x.shape
    count = data.draw(st.integers(0, 4))
    places = data.draw(hnp.arrays(np.int64, (n, count), elements=st.integers(-m, m - 1)))
    seed = data.draw(hnp.arrays(np.float64, (n, count), elements=st.integers(-8, 8).map(float)))
    values = value(bench, "take_along_axis", x, places)
    assert values.tolist() == [[x[i, k] for k in places[i]] for i in range(n)]
    gradient = np.zeros((n, m))
    for i in range(n):
        for j in range(count):
            gradient[i, places[i, j]] += seed[i, j]
    np.testing.assert_array_equal(bench.apply("take_along_axis", [x, places], {}, [seed])[0], gradient)
    np.testing.assert_array_equal(value(bench, "add_along_axis", np.zeros((n, m)), places, seed), gradient)


def test_the_other_axes_are_broadcast(bench: Bench) -> None:
    x, places = np.arange(6.0).reshape(2, 3), np.array([[2, 0]])
    np.testing.assert_array_equal(value(bench, "take_along_axis", x, places, axis=1), [[2, 0], [5, 3]])
    np.testing.assert_array_equal(bench.apply("take_along_axis", [x, places], {"axis": 1})[0], [[1, 0, 1], [1, 0, 1]])
    np.testing.assert_array_equal(value(bench, "take_along_axis", x[:1], np.array([[0], [2]])), [[0], [2]])


@pytest.mark.parametrize(("op", "arrays", "message"), [
    ("take_along_axis", [np.ones((2, 3)), np.ones((2, 1))], "indices are float64; they must be integers"),
    ("take_along_axis", [np.ones((2, 3)), np.array([1])], "indices have rank 1"),
    ("take_along_axis", [np.ones((2, 3)), np.zeros((3, 1), int)], "do not broadcast"),
    ("add_along_axis", [np.ones((2, 3)), np.zeros((2, 1), int), np.ones((2, 2))], "updates have shape \\(2, 2\\)"),
])  # fmt: skip
def test_places_that_do_not_fit_are_refused(bench: Bench, op: str, arrays: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        value(bench, op, *arrays)


@pytest.mark.parametrize(("op", "rest"), [("take_along_axis", []), ("add_along_axis", [np.ones((2, 1))])])
@pytest.mark.parametrize("place", [3, -4])
def test_a_place_outside_is_a_fault_of_the_run(bench: Bench, op: str, rest: Any, place: int) -> None:
    with pytest.raises(DataFault, match=f"{op}.*out of bounds for axis 1 with size 3"):
        value(bench, op, np.ones((2, 3)), np.full((2, 1), place), *rest)


def test_a_sorted_line_has_the_gradient_of_its_elements(bench: Bench) -> None:
    x, seed = np.array([0.3, -1.0, 2.0, 0.3]), np.array([1.0, 2.0, 3.0, 4.0])
    lines = ["order = argsort(x)", "y = take_along_axis(x, order)"]
    np.testing.assert_array_equal(bench.gradients({"x": x}, lines, "y", seeds={"y": seed})["x"], [2, 1, 4, 3])


@pytest.mark.slow
def test_places_are_checked_of_long_sorts_too(bench: Bench) -> None:
    """A gradient rests on where it goes to; where that is not checked, nobody vouches for it."""

    def reversed_places(x: Any, *, axis: int, descending: bool) -> Any:
        return REGISTRY.op("argsort").forward(x, axis=axis, descending=not descending)

    registry = registry_with(replace(REGISTRY.op("argsort"), name="planted.op", forward=reversed_places))
    lines = ["order = {}(x)", "y = take_along_axis(x, order)", "z = square(y)", "s = sum(z)"]
    for op, n, summary in (
        ("argsort", 20, "verified"),
        ("planted.op", 20, "wrong"),
        ("planted.op", 1000, "wrong"),
        ("argsort", 1000, "verified"),
    ):
        x = np.random.default_rng(0).random(n)
        job = Bench(Engine(registry)).job({"x": x}, [line.format(op) for line in lines], "s")
        verdict = verdicts_of(registry, job)["x"]
        assert verdict.summary.value == summary
        if summary == "wrong":
            assert verdict.reason.startswith("node 0 (planted.op), element [0]: the node computed")


@pytest.mark.slow
def test_long_lines_with_infinities_are_no_false_alarm(bench: Bench) -> None:
    x = np.random.default_rng(1).normal(size=5000)
    x[7:20] = np.inf
    lines: list[Any] = ["i = argsort(x)", "y = take_along_axis(x, i)", "w = atan(y)", "s = sum(w)"]
    assert verdicts_of(REGISTRY, bench.job({"x": x}, lines, "s"))["x"].summary.value != "wrong"


def test_steps_are_where_a_definition_has_no_derivative() -> None:
    import sympy

    x = sympy.Symbol("x", real=True)
    assert list(differences(sympy.floor(x / 2))) == [x / 2 - sympy.floor(x / 2)]
