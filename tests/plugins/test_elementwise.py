"""Elementwise ops and creation ops against Python, NumPy, mpmath and published values; floats that are no numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.support.fault_injection import registry_with
from tests.support.verdicts import judge, numbers, verdicts_of

from gradproof.engine.engine import Engine
from gradproof.engine.errors import InvalidRequest
from gradproof.engine.verify.verdict import SummaryWord, ValueWord

NONE: Mapping[str, Any] = {}
FLOATS = st.one_of(st.floats(-1e6, 1e6), st.integers(-40, 40).map(lambda k: k / 4), st.sampled_from((0.0, -0.0)))
NUMBERS = (0.0, -0.0, 5e-324, -1e-310, 0.3, -2.5, 1.0, 7.0, -1e300, math.inf, -math.inf, math.nan)


def value(bench: Bench, op: str, *arrays: Any, **attributes: Any) -> Any:
    leaves = {f"x{k}": np.asarray(x) for k, x in enumerate(arrays)}
    return bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"]


# values


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("positive", lambda x: x), ("signbit", lambda x: math.copysign(1, x) < 0), ("isnan", math.isnan),
        ("isinf", math.isinf), ("isfinite", math.isfinite),
        ("isposinf", lambda x: x == math.inf), ("isneginf", lambda x: x == -math.inf),
        ("isreal", lambda x: True), ("deg2rad", math.radians), ("rad2deg", math.degrees), ("cbrt", math.cbrt),
        ("frac", lambda x: math.modf(x)[0]), ("nan_to_num", lambda x: {math.inf: 1.7976931348623157e308}.get(x, x)),
        ("angle", lambda x: x if math.isnan(x) else math.pi * (x < 0)),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_of_a_number(bench: Bench, op: str, function: Any) -> None:
    known = [x for x in NUMBERS if op != "nan_to_num" or x > -math.inf]
    np.testing.assert_allclose(value(bench, op, known), list(map(function, known)), rtol=4e-16)


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("copysign", math.copysign), ("nextafter", math.nextafter),
        ("fmax", lambda a, b: b if math.isnan(a) or a < b else a),
        ("fmin", lambda a, b: b if math.isnan(a) or b < a else a),
        ("heaviside", lambda a, b: b if a == 0 else float(a > 0)),
        ("isclose", lambda a, b: a == b or abs(a - b) <= 1e-8 + 1e-5 * abs(b) < math.inf),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_of_two_numbers(bench: Bench, op: str, function: Any) -> None:
    rows = [(a, b) for a in NUMBERS for b in NUMBERS if op != "heaviside" or not math.isnan(a)]
    got = value(bench, op, *np.array(rows).T)
    np.testing.assert_array_equal(got, [function(a, b) for a, b in rows])


@given(a=FLOATS, b=FLOATS.filter(lambda b: abs(b) > 1e-3), n=st.integers(-60, 60), weight=st.floats(-2, 3))
def test_exact_functions_are_pythons(bench: Bench, a: float, b: float, n: int, weight: float) -> None:
    assert value(bench, "fmod", a, b) == math.fmod(a, b)
    assert value(bench, "ldexp", a, n) == math.ldexp(a, n)
    assert value(bench, "lerp", a, b, weight) == pytest.approx(a + weight * (b - a), rel=1e-12, abs=1e-9)
    assert value(bench, "lerp", a, b, 1.0) == b
    assert value(bench, "lerp", a, b, 0.0) == a


@given(x=st.floats(-1e5, 1e5), decimals=st.integers(-4, 6))
def test_rounding_to_decimals_is_numpys(bench: Bench, x: float, decimals: int) -> None:
    assert value(bench, "round", x, decimals=decimals) == np.round(x, decimals)


def test_rounding_where_there_are_no_such_decimals(bench: Bench) -> None:
    np.testing.assert_array_equal(value(bench, "round", [1e300, -math.inf, 0.25], decimals=20), [1e300, -math.inf, 0.25])
    halves = value(bench, "round", np.array([0.123, 1234.0], np.float16), decimals=2)
    np.testing.assert_array_equal(halves, np.array([0.12, 1234.0], np.float16))
    assert value(bench, "round", np.array([15, 25, -15]), decimals=-1).tolist() == [20, 20, -20]
    assert value(bench, "round", np.array([15, 25])).dtype == np.int64


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_bits_are_pythons(bench: Bench, dtype: str) -> None:
    a, b = (np.array(x, dtype) for x in ([0, 1, 5, 77, 100], [3, 0, 6, 2, 1]))
    functions: dict[str, Callable[[int, int], int]] = {
        "bitwise_and": operator.and_,
        "bitwise_or": operator.or_,
        "bitwise_xor": operator.xor,
        "bitwise_right_shift": operator.rshift,
        "bitwise_left_shift": lambda x, y: np.array(x << y).astype(dtype).item(),
    }
    for op, function in functions.items():
        assert value(bench, op, a, b).tolist() == [function(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert value(bench, "bitwise_invert", np.array([True, False])).tolist() == [False, True]
    assert value(bench, "bitwise_invert", np.array([5, -1])).tolist() == [-6, 0]
    assert value(bench, "logical_xor", np.array([2, 0, 3]), np.array([1, 4, 0])).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("order", "dtype"), [(0, "float32"), (1, "float64"), (2, "complex128"), (3, "bfloat16"), (8, "float64")]
)
def test_sinc_and_its_derivatives(bench: Bench, order: int, dtype: str) -> None:
    """Against the integral of (πt)ⁿ cos(πxt + nπ/2) over t from 0 to 1."""

    def truth(x: complex) -> complex:
        def wave(t: Any) -> Any:
            return (mp.pi * t) ** order * mp.cos(mp.pi * (mp.mpmathify(x) * t + mp.mpf(order) / 2))

        with mp.workdps(30):
            return complex(mp.quad(wave, [0, 0.5, 1]))

    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x = np.array([0.0, 1e-9, -0.03, 0.4, 1.0, -1.9, 2.75, 6.3, -11.5]).astype(kind)
    x = x * kind.type(1 + 0.2j) if kind.kind == "c" else x
    tolerance = 4 * float(ml_dtypes.finfo(kind).eps) + 1e-13 * order  # type: ignore[no-untyped-call]
    for point, got in zip(x.tolist(), value(bench, "sinc", x, order=order).tolist(), strict=True):
        true = truth(point)
        assert abs(got - true) <= tolerance * (abs(true) + 0.02 * math.pi**order * (order > 0)) + 1e-17


def test_sinc_is_exact_far_out(bench: Bench) -> None:
    x = np.array([1e6, 2.0**40 + 0.5, -3.0, math.inf, -math.inf])
    np.testing.assert_allclose(value(bench, "sinc", x), [0, 1 / (math.pi * (2.0**40 + 0.5)), 0, 0, 0], rtol=1e-15)
    with pytest.raises(InvalidRequest, match="order is 13; it must be from 0 to 12"):
        value(bench, "sinc", x, order=13)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.int64, np.complex64])
def test_powers_of_floats_are_wide(bench: Bench, dtype: Any) -> None:
    got = value(bench, "float_power", np.array([2, 3], dtype), np.array([-1, 5], dtype))
    assert got.dtype == (np.complex128 if dtype is np.complex64 else np.float64)
    np.testing.assert_array_equal(got, [0.5, 243])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_a_sum_of_powers_of_two_does_not_overflow(bench: Bench, dtype: Any) -> None:
    top = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
    got = value(bench, "logaddexp2", np.array([top, 3, -top], dtype), np.array([top / 2, 3, -top], dtype))
    np.testing.assert_array_equal(got.astype(float), [top, 4, -top])


def test_polar_coordinates_and_back(bench: Bench) -> None:
    z = np.array([3 + 4j, -1 + 1e-200j, -2j, 0j, 1e-310 + 1e-310j])
    modulus, angle = value(bench, "abs", z), value(bench, "angle", z)
    np.testing.assert_allclose(angle, [math.atan2(4, 3), math.pi, -math.pi / 2, 0, math.pi / 4], rtol=1e-13)
    np.testing.assert_allclose(value(bench, "polar", modulus, angle), z, rtol=1e-12, atol=1e-15)
    [gradient] = bench.apply("angle", [z])
    np.testing.assert_allclose(gradient[:3], [(-4 + 3j) / 25, -1j, 0.5], rtol=1e-15, atol=1e-190)
    assert gradient[3] == 0
    np.testing.assert_array_equal(bench.apply("angle", [np.array([2.0, -3.0, 0.0])])[0], [0, 0, 0])


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_fused_products_and_quotients(bench: Bench, shape: tuple[int, ...]) -> None:
    x, a, b = (np.full(shape, number) for number in (1.0, 3.0, 4.0))
    np.testing.assert_array_equal(value(bench, "addcmul", x, a, b, value=0.5), np.full(shape, 7.0))
    np.testing.assert_array_equal(value(bench, "addcdiv", x, a, b), np.full(shape, 1.75))
    gradients = bench.apply("addcdiv", [x, a, b], {"value": 2.0})
    for got, truth in zip(gradients, (1, 0.5, -0.375), strict=True):
        np.testing.assert_array_equal(got, np.full(shape, truth))


# creation


@pytest.mark.parametrize(
    ("attributes", "truth"),
    [
        ({"start": 4}, [0, 1, 2, 3]), ({"start": 7, "stop": 1, "step": -3}, [7, 4]), ({"start": 3, "stop": 3}, []),
        ({"start": 0, "stop": 1, "step": 0.25}, [0.0, 0.25, 0.5, 0.75]),
        ({"start": 1, "stop": 1.3, "step": 0.1}, [1, 1.1, 1.2, 1.3]),
        ({"start": 0, "stop": 3, "dtype": "float32"}, [0, 1, 2]),
    ],
)  # fmt: skip
def test_ranges(bench: Bench, attributes: dict[str, Any], truth: list[float]) -> None:
    got = value(bench, "arange", **attributes)
    whole = all(isinstance(x, int) for x in attributes.values())
    assert got.dtype == attributes.get("dtype", np.int64 if whole else np.float64)
    np.testing.assert_allclose(got, truth, rtol=1e-15)


@pytest.mark.parametrize(
    ("op", "attributes", "fault"),
    [
        ("arange", {"start": 0, "stop": 1, "step": 0}, "must be finite, and the step not 0"),
        ("arange", {"start": 0, "stop": math.inf}, "must be finite"),
        (
            "arange",
            {"start": 0, "stop": 2, "step": 0.5, "dtype": "int64"},
            "int64 does not hold the numbers from 0 to 2 by 0.5",
        ),
        ("arange", {"start": 0, "stop": 200, "dtype": "int8"}, "int8 does not hold the numbers"),
        ("arange", {"start": 0, "dtype": "text"}, "there is no dtype 'text'"),
        ("linspace", {"start": 0, "stop": 1, "num": -1}, "num is -1; it must be a number of elements"),
        ("linspace", {"start": 0, "stop": 1, "num": 3, "dtype": "int64"}, "it must be a floating point or complex dtype"),
        ("eye", {"n_rows": 2, "n_cols": 2.5}, "n_cols is 2.5; it must be an integer"),
    ],
)
def test_what_cannot_be_created(bench: Bench, op: str, attributes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidRequest, match=fault):
        value(bench, op, **attributes)


def test_numbers_at_even_distances(bench: Bench) -> None:
    np.testing.assert_array_equal(value(bench, "linspace", start=1, stop=-1.0, num=5), [1, 0.5, 0, -0.5, -1])
    np.testing.assert_array_equal(value(bench, "linspace", start=0, stop=1, num=4, endpoint=False), [0, 0.25, 0.5, 0.75])
    assert value(bench, "linspace", start=0, stop=1, num=0).shape == (0,)
    np.testing.assert_array_equal(value(bench, "eye", n_rows=2, n_cols=3, k=1), [[0, 1, 0], [0, 0, 1]])
    assert value(bench, "eye", n_rows=0).shape == (0, 0)


@pytest.mark.parametrize("shape", [(), (0, 2), (3,)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "bool", "complex64"])
def test_tensors_of_one_number(bench: Bench, shape: tuple[int, ...], dtype: str) -> None:
    x = np.ones(shape).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    for op, attributes, number in (("zeros_like", {}, 0), ("ones_like", {}, 1), ("full_like", {"value": 1}, 1)):
        got = value(bench, op, x, **attributes)
        assert (got.shape, got.dtype) == (shape, x.dtype)
        assert (got == number).all()
    assert value(bench, "zeros_like", x, dtype="float32").dtype == np.float32
    if dtype == "int8":
        for beyond in (2.5, 300, math.nan):
            with pytest.raises(InvalidRequest, match="which int8 does not hold"):
                value(bench, "full_like", x, value=beyond)


def test_no_gradient_flows_into_what_is_held(bench: Bench) -> None:
    x = np.array([1.0, 2.0, -3.0])
    for line in ("h = stop_gradient(x)", "h = zeros_like(x)", "h = ones_like(x)"):
        assert bench.gradients({"x": x}, [line], "h", seeds={"h": np.ones(3)}) == {"x": None}
    held = bench.gradients({"x": x}, ["h = stop_gradient(x)", "y = multiply(x, h)"], "y", seeds={"y": np.ones(3)})
    np.testing.assert_array_equal(held["x"], x)
    z = x + 1j
    held = bench.gradients({"z": z}, ["h = stop_gradient(z)", "y = multiply(z, h)"], "y", seeds={"y": np.ones(3, complex)})
    np.testing.assert_array_equal(held["z"], np.conj(z))


# verdicts


def summaries(bench: Bench, leaves: Mapping[str, Any], lines: list[Any], seed: Any) -> dict[str, SummaryWord]:
    job = bench.job(leaves, lines, "y", seeds={"y": seed})
    return {name: verdict.summary for name, verdict in verdicts_of(REGISTRY, job).items()}


@pytest.mark.parametrize("size", [6, 3000])
@pytest.mark.parametrize("op", ["isfinite", "isreal", "isnan", "isinf", "isposinf", "isneginf", "signbit"])
def test_a_mask_of_what_is_no_number_is_vouched_for(bench: Bench, op: str, size: int) -> None:
    """Numbers are chosen where they are numbers; the mask is checked at nan and infinities too."""
    others: dict[str, list[Any]] = {"isreal": [1j, 2.0, -1.5], "signbit": [0.3, -2.0, math.inf, -math.inf]}
    x = np.resize(others.get(op, [0.3, math.nan, math.inf, -math.inf, -1.0, 2.0]), size)
    lines = [f"m = {op}(x)", "y = where(m, a, b)"]
    a, b = np.linspace(1, 2, size), np.linspace(3, 4, size)
    job = bench.job({"x": x, "a": a, "b": b}, lines, "y", seeds={"y": np.ones(size)})
    for name, verdict in verdicts_of(REGISTRY, job).items():
        assert verdict.summary is SummaryWord.VERIFIED, (name, verdict.reason)


@pytest.mark.parametrize("size", [4, 3000])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("equal_nan", [False, True])
def test_what_is_close_is_vouched_for_beside_nan(bench: Bench, size: int, dtype: Any, equal_nan: bool) -> None:
    a, b = (np.resize(x, size).astype(dtype) for x in ([1, math.nan, 2, math.nan], [1.000001, math.nan, 3, 4]))
    lines = [("m = isclose(a, b)", {"equal_nan": equal_nan}), "y = where(m, x, x)"]
    assert value(bench, "isclose", a, b, equal_nan=equal_nan)[:4].tolist() == [True, equal_nan, False, False]
    assert summaries(bench, {"a": a, "b": b, "x": np.ones(size)}, lines, np.ones(size))["x"] is SummaryWord.VERIFIED


def test_a_wrong_mask_is_refuted_at_an_infinity() -> None:
    wrong = replace(REGISTRY.op("isinf"), name="planted.op", forward=np.isposinf)
    registry = registry_with(wrong)
    bench = Bench(Engine(registry))
    leaves = {"x": np.array([1.0, -math.inf]), "a": np.ones(2)}
    job = bench.job(leaves, ["m = planted.op(x)", "y = where(m, a, a)"], "y", seeds={"y": np.ones(2)})
    assert verdicts_of(registry, job)["a"].summary is SummaryWord.WRONG


@pytest.mark.parametrize("size", [3, 3000])
def test_gradients_beside_what_is_held_are_verified(bench: Bench, size: int) -> None:
    x, ones = np.resize([0.3, -2.5, 4.75], size), np.ones(size)
    for lines in (
        ["h = stop_gradient(x)", "s = sin(x)", "y = multiply(s, h)"],
        [("h = full_like(x)", {"value": 0.1}), "y = multiply(x, h)"],
        [("h = arange()", {"start": size}), "y = multiply(x, h)"],
        [("h = linspace()", {"start": 0.1, "stop": 1, "num": size}), "y = multiply(x, h)"],
    ):
        assert summaries(bench, {"x": x}, lines, ones) == {"x": SummaryWord.VERIFIED}


def test_a_gradient_through_what_is_held_is_refuted() -> None:
    """The definition holds its input constant, so that a rule which lets a gradient through is wrong."""
    leaky = replace(REGISTRY.op("stop_gradient"), name="planted.op", rule=lambda g, y, x: g)
    registry = registry_with(leaky)
    assert judge(registry, "planted.op", np.array([2.0]))["x0"].summary is SummaryWord.WRONG


@pytest.mark.parametrize("attributes", [NONE, {"nan": 2.5, "posinf": 3.0, "neginf": -1.0}])
def test_replaced_floats_have_no_slope(attributes: Mapping[str, Any]) -> None:
    verdict = judge(REGISTRY, "nan_to_num", np.array([1.5, math.nan, math.inf, -math.inf]), **attributes)["x0"]
    assert numbers(verdict).word is ValueWord.ENCLOSED
    assert verdict.summary is SummaryWord.VERIFIED


def test_what_is_no_number_is_replaced_in_each_dtype(bench: Bench) -> None:
    for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64):
        info = ml_dtypes.finfo(np.float32 if dtype is np.complex64 else dtype)  # type: ignore[no-untyped-call]
        x = np.array([math.nan, math.inf, -math.inf, 1.5], dtype)
        got = value(bench, "nan_to_num", x)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got.astype(complex), [0, float(info.max), float(info.min), 1.5])
        np.testing.assert_array_equal(
            value(bench, "nan_to_num", x, nan=2.0, posinf=3.0, neginf=4.0).astype(complex), [2, 3, 4, 1.5]
        )


@pytest.mark.parametrize("op", ["remainder", "fmod", "frac"])
def test_the_remainder_of_an_infinity_is_no_number(op: str) -> None:
    """Nothing is said against nan: a remainder has no limit."""
    arrays = [np.array([math.inf]), np.array([1.0])][: 2 - (op == "frac")]
    for verdict in judge(REGISTRY, op, *arrays).values():
        assert verdict.summary is not SummaryWord.WRONG
        assert verdict.uses[0].forward is not None
        assert verdict.uses[0].forward.word is ValueWord.NONFINITE


@pytest.mark.slow
def test_many_bits_are_sampled(bench: Bench) -> None:
    leaves = {"x": np.linspace(1, 2, 3000), "k": np.resize([1, 2, 3], 3000)}
    lines = ["a = bitwise_xor(k, k)", "b = bitwise_or(a, k)", "y = multiply(x, b)"]
    assert summaries(bench, leaves, lines, np.ones(3000)) == {"x": SummaryWord.PLAUSIBLE}


@pytest.mark.parametrize("x", [0.0, 1e-300, 0.4, 1.0, 2.5, 1e10, 123.456])
def test_sinc_is_verified_at_0_and_far_out(x: float) -> None:
    assert judge(REGISTRY, "sinc", np.array([x]))["x0"].summary is SummaryWord.VERIFIED


@pytest.mark.parametrize("kind", ["integers", "floats", "complex"])
def test_numbers_are_truths_if_they_are_not_0(bench: Bench, kind: str) -> None:
    a, b = np.array([0.0, 2.5, 3.0]), np.array([3.0, 0.0, 5.0])
    dtype = {"integers": np.int64, "floats": np.float64, "complex": np.complex128}[kind]
    lines = [
        "c = logical_xor(a, b)",
        "d = logical_and(a, b)",
        "e = logical_or(c, d)",
        "f = logical_not(b)",
        "h = logical_xor(e, f)",
    ]
    leaves = {"a": a.astype(dtype), "b": b.astype(dtype), "x": np.ones(3)}
    verdicts = summaries(bench, leaves, [*lines, "y = where(h, x, x)"], np.ones(3))
    assert verdicts["x"] is SummaryWord.VERIFIED
