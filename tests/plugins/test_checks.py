"""The check of ranges: what it lets through, what it names, and its gradient."""

import ml_dtypes
import numpy as np
import pytest
from tests.conftest import Bench

from gradproof.engine.errors import DataFault, InvalidRequest
from gradproof.engine.spec import Array

DTYPES = (np.int8, np.uint8, np.int64, np.float16, ml_dtypes.bfloat16, np.float32, np.float64)


def checked(bench: Bench, x: Array, **limits: float) -> Array:
    return np.asarray(bench.values({"x": x}, [("y = checked(x)", limits)], "y")["y"])


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_what_is_within_the_limits_passes(bench: Bench, dtype: type) -> None:
    x: Array = np.array([[0, 1, 2], [3, 2, 1]], dtype)
    for limits in ({}, {"low": 0}, {"high": 3}, {"low": 0, "high": 3.5}, {"low": -1e9, "high": 1e9}):
        y = checked(bench, x, **limits)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1, 1)])
def test_every_shape_passes(bench: Bench, shape: tuple[int, ...]) -> None:
    assert checked(bench, np.full(shape, 0.5), low=0, high=1).shape == shape


@pytest.mark.parametrize(
    ("value", "limits", "text"),
    [
        (-1.0, {"low": 0}, "-1.0 is out of range: it must be at least 0"),
        (7.0, {"high": 6}, "7.0 is out of range: it must be at most 6"),
        (7.0, {"low": 0, "high": 6}, "7.0 is out of range: it must be at least 0 and at most 6"),
        (np.inf, {"high": 1e300}, "inf is out of range: it must be at most 1e\\+300"),
    ],
)
def test_what_is_outside_is_named_with_its_place(bench: Bench, value: float, limits: dict[str, float], text: str) -> None:
    x = np.zeros((2, 3))
    x[1, 2] = value
    with pytest.raises(DataFault, match=text) as fault:
        checked(bench, x, **limits)
    assert fault.value.element == "[1, 2]"


def test_a_number_that_is_none_passes(bench: Bench) -> None:
    """An infinity or a nan of an earlier node is told of by the verdicts, which name the node."""
    assert np.isnan(checked(bench, np.array(np.nan), low=0, high=1))


def test_the_gradient_is_that_of_the_result(bench: Bench) -> None:
    g = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(bench.apply("checked", [np.array([0.0, 0.5, 1.0])], {"low": 0, "high": 1}, [g])[0], g)


@pytest.mark.parametrize("limits", [{"low": "0"}, {"high": True}, {"high": np.nan}, {"low": [0]}])
def test_a_limit_is_a_number(bench: Bench, limits: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="must be a number, or None for no limit"):
        bench.values({"x": np.zeros(2)}, [("y = checked(x)", limits)], "y")


def test_complex_numbers_have_no_limits(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match="no order"):
        bench.values({"x": np.zeros(2, complex)}, [("y = checked(x)", {"low": 0})], "y")
