"""The Array API standard: each function beside NumPy's, its signature, inspection, and SciPy's functions on tensors."""

from __future__ import annotations

import inspect
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_api_compat
import numpy as np
import pytest

import gradproof.client as gp

pytestmark = pytest.mark.usefixtures("tensors")

ARRAYS = {
    "a": np.array([[0.3, -0.7, 1.1], [0.9, 0.5, -0.4]]),
    "b": np.array([[1.2, 0.4, 0.8], [0.6, 1.9, 0.7]]),
    "d": np.array([[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]]),
    "s": np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 2.0]]),
    "u": np.array([0.2, -0.4, 0.7]),
    "v": np.array([1.5, 0.1, -0.8]),
    "i": np.array([[5, 2, 2], [1, 5, 3]]),
    "k": np.array([7, 4], dtype=np.int8),
    "m": np.array([[True, False, True], [False, True, True]]),
    "z": np.array([1.0 + 2.0j, -0.5 + 0.1j]),
    "f": np.array([1.5, -2.5], dtype=np.float32),
}

UNARY = """
    abs acos:a/2 acosh:b+1 asin:a/2 asinh atan atanh:a/2 bitwise_invert:i ceil conj:z cos cosh exp expm1 floor imag:z
    isfinite isinf isnan log:b log10:b log1p:b log2:b logical_not:m negative positive real:z reciprocal:b round sign
    signbit sin sinh square sqrt:b tan tanh trunc
"""
BINARY = """
    add atan2 bitwise_and:i,i bitwise_left_shift:i,2 bitwise_or:i,1 bitwise_right_shift:i,1 bitwise_xor:i,7 copysign
    divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and:m,m logical_or:m,m
    logical_xor:m,m maximum minimum multiply nextafter not_equal pow:b,a remainder subtract maximum:a,0.0
    minimum:1.0,a add:f,2
"""
REDUCTIONS = "all:m any:m count_nonzero:i max mean min prod std sum var argmax argmin sum:k prod:k"

OTHERS = """
    arange(5)
    arange(2, 9, 3)
    arange(1, 2, step=0.25, dtype=xp.float64)
    asarray([[1, 2], [3, 4]])
    asarray(a)
    asarray(1.5, dtype=xp.float64)
    asarray([True, False])
    eye(3, dtype=xp.float64)
    eye(2, 4, k=1, dtype=xp.int32)
    full((2, 3), 1.5, dtype=xp.float64)
    full(3, 7)
    full((), True)
    full_like(a, 2)
    linspace(0, 1, 5, dtype=xp.float64)
    linspace(0, 1, num=5, endpoint=False, dtype=xp.float64)
    ones((2, 1), dtype=xp.int8)
    ones_like(i)
    zeros(4, dtype=xp.float64)
    zeros_like(a, dtype=xp.int16)
    tril(s)
    triu(s, k=1)
    meshgrid(u, v)
    meshgrid(u, v, indexing="ij")
    astype(i, xp.float64)
    astype(a, xp.int64)
    broadcast_arrays(u, a)
    broadcast_to(u, (2, 3))
    concat((a, b))
    concat((a, b), axis=1)
    concat((a, u), axis=None)
    expand_dims(a, axis=1)
    flip(a)
    flip(a, axis=1)
    moveaxis(d, 0, -1)
    permute_dims(d, (2, 0, 1))
    repeat(u, 2)
    repeat(a, 2, axis=1)
    reshape(a, (3, -1))
    reshape(a, (6,), copy=True)
    roll(a, 1)
    roll(a, (1, 2), axis=(0, 1))
    squeeze(d, axis=2)
    stack((a, b), axis=-1)
    tile(u, (2, 2))
    unstack(a, axis=1)
    argmax(a, axis=1, keepdims=True)
    nonzero(m)
    searchsorted(sort(u), v)
    searchsorted(sort(u), v, side="right")
    where(m, a, b)
    where(m, a, 0.0)
    take(u, asarray([2, 0]))
    take(a, asarray([2, 0]), axis=1)
    take_along_axis(a, argsort(a, axis=1), axis=1)
    argsort(a)
    sort(a, axis=0)
    cumulative_sum(u)
    cumulative_sum(a, axis=1, include_initial=True)
    cumulative_prod(u)
    clip(a, -0.5, 0.5)
    clip(a, max=0.2)
    diff(a)
    diff(a, axis=0, n=1, prepend=b)
    max(a, axis=1)
    mean(a, axis=(0, 1), keepdims=True)
    std(a, axis=0, correction=1)
    var(a, correction=1.0)
    sum(a, axis=1, dtype=xp.float32)
    matmul(a, s)
    matrix_transpose(d)
    tensordot(a, b)
    tensordot(a, s, axes=1)
    tensordot(d, a, axes=((1,), (0,)))
    vecdot(a, b)
    vecdot(a, b, axis=0)
    unique_all(i)
    unique_counts(i)
    unique_inverse(i)
    unique_values(a)
    linalg.cholesky(s)
    linalg.cholesky(s, upper=True)
    linalg.cross(u, v)
    linalg.det(s)
    linalg.diagonal(s, offset=1)
    linalg.inv(s)
    linalg.matmul(a, s)
    linalg.matrix_norm(s)
    linalg.matrix_norm(d, ord=1, keepdims=True)
    linalg.matrix_power(s, 3)
    linalg.matrix_transpose(a)
    linalg.outer(u, v)
    linalg.solve(s, u)
    linalg.solve(s, matrix_transpose(a))
    linalg.tensordot(a, b, axes=2)
    linalg.trace(s)
    linalg.vecdot(u, v)
    linalg.vector_norm(a)
    linalg.vector_norm(a, axis=1, ord=3)
"""


def _calls(names: str, arguments: str) -> list[str]:
    return [f"{name}({given or arguments})" for name, _, given in (word.partition(":") for word in names.split())]


CALLS = [
    *_calls(UNARY, "a"),
    *_calls(BINARY, "a, b"),
    *_calls(REDUCTIONS, "a"),
    *(call.replace(")", ", axis=0)") for call in _calls(REDUCTIONS, "a")),
    *(line.strip() for line in OTHERS.strip().splitlines()),
]


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize("call", CALLS)
def test_functions_are_those_of_the_standard_as_numpy_has_them(call: str) -> None:
    tensors = {name: gp.tensor(x) for name, x in ARRAYS.items()}
    expected = eval(call, vars(np) | {"xp": np} | ARRAYS)
    result = eval(call, vars(gp.array_api) | {"xp": gp.array_api} | tensors)
    several = isinstance(expected, (tuple, list))
    for ours, theirs in zip(result if several else [result], expected if several else [expected], strict=True):
        assert isinstance(ours, gp.Tensor)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


def test_names_and_signatures_are_those_of_the_standard() -> None:
    """NumPy's signatures may have more: positional parameters that the standard has for keywords only."""
    public = [name for name in gp.array_api.__all__ if callable(getattr(gp.array_api, name)) and not name.startswith("_")]
    for name in public:
        if not isinstance(function := getattr(gp.array_api, name), type):
            assert hasattr(np, name)
            assert inspect.signature(function).parameters
    for name, expected in SIGNATURES.items():
        function = eval(name, vars(gp.array_api))
        found = [f"{'*' * (p.kind is p.KEYWORD_ONLY)}{p.name}" for p in inspect.signature(function).parameters.values()]
        assert found == expected.split()


SIGNATURES = {
    "sum": "x *axis *keepdims *dtype",
    "std": "x *axis *correction *keepdims",
    "argmax": "x *axis *keepdims",
    "astype": "x dtype *copy *device",
    "clip": "x min max",
    "concat": "arrays *axis",
    "cumulative_sum": "x *axis *dtype *include_initial",
    "expand_dims": "x *axis",
    "linspace": "start stop num *dtype *device *endpoint",
    "reshape": "x shape *copy",
    "searchsorted": "x1 x2 *side *sorter",
    "sort": "x *axis *descending *stable",
    "linalg.vector_norm": "x *axis *keepdims *ord",
    "linalg.cross": "x1 x2 *axis",
}


def test_libraries_find_the_namespace_of_a_tensor() -> None:
    x: Any = gp.tensor([[1.0, 2.0]])
    assert array_api_compat.is_array_api_obj(x)
    assert array_api_compat.array_namespace(x, gp.ones(2)) is gp.array_api
    assert array_api_compat.array_namespace(x, api_version="2024.12") is gp.array_api
    assert (array_api_compat.device(x), array_api_compat.size(x)) == ("cpu", 2)
    assert array_api_compat.to_device(x, "cpu") is x
    assert gp.array_api.__array_api_version__ == "2024.12"
    with pytest.raises(ValueError, match=r"version '2099.12' of the Array API is not there"):
        x.__array_namespace__(api_version="2099.12")


def test_another_device_is_refused() -> None:
    calls: list[Callable[[], object]] = [
        lambda: gp.tensor(1.0).to_device("gpu"),
        lambda: gp.array_api.zeros(2, device="gpu"),
        lambda: gp.array_api.asarray(2, device="gpu"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="unsupported device 'gpu'"):
            call()


def test_inspection_lists_dtypes_devices_and_capabilities() -> None:
    info: Any = gp.array_api.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert (info.default_device(), info.devices()) == ("cpu", ["cpu"])
    assert list(info.dtypes(kind="signed integer")) == ["int8", "int16", "int32", "int64"]
    assert list(info.dtypes(kind=("bool", "complex floating"))) == ["bool", "complex64", "complex128"]
    assert all(getattr(gp.array_api, name) == dtype for name, dtype in info.dtypes().items())
    assert info.default_dtypes()["real floating"] == gp.float32
    gp.set_default_dtype(gp.float64)
    try:
        defaults = {key: dtype.name for key, dtype in info.default_dtypes().items()}
        names = "float64", "complex128", "int64", "int64"
        assert defaults == dict(zip(("real floating", "complex floating", "integral", "indexing"), names, strict=True))
        assert gp.array_api.asarray(1.0).dtype == gp.float64
    finally:
        gp.set_default_dtype(gp.float32)


def test_dtypes() -> None:
    xp: Any = gp.array_api
    assert xp.result_type(gp.ones(2, dtype=xp.float32), xp.float64) == xp.float64
    assert xp.result_type(xp.int8, xp.int16, 2) == xp.int16
    assert xp.result_type(xp.float32, 2.5) == xp.float32
    assert xp.can_cast(xp.float32, xp.float64)
    assert not xp.can_cast(gp.ones(2, dtype=xp.float64), xp.float32)
    assert xp.isdtype(xp.float32, ("real floating", "bool"))
    assert xp.isdtype(xp.int8, xp.int8)
    assert not xp.isdtype(xp.int8, "unsigned integer")
    assert xp.isdtype(gp.bfloat16, "real floating")
    with pytest.raises(ValueError, match="kind"):
        xp.isdtype(xp.int8, "whole")
    for dtype in ("float32", "float64", "complex64"):
        ours, theirs = xp.finfo(np.dtype(dtype)), np.finfo(dtype)
        names = "bits", "eps", "max", "min", "smallest_normal"
        assert ours[:5] == tuple(float(getattr(theirs, name)) for name in names)
        assert type(ours.eps) is float
        assert ours.dtype == theirs.dtype
    assert xp.finfo(gp.bfloat16).eps == 2.0**-7
    assert xp.iinfo(xp.uint8)[:3] == (8, 255, 0)
    assert xp.iinfo(gp.tensor([1])).max == 2**63 - 1
    with pytest.raises(TypeError, match="take its real or imag part"):
        xp.astype(gp.tensor([1j]), xp.float32)
    assert [xp.e, xp.pi, xp.inf, xp.newaxis] == [math.e, math.pi, math.inf, None]


def test_history_stays_through_asarray_lists_and_fills() -> None:
    xp: Any = gp.array_api
    x = gp.tensor([2.0, 3.0], requires_grad=True)
    assert xp.asarray(x) is x
    whole = xp.asarray([[x[0], 1.0], [x[1], x[1]]])
    xp.sum(whole * xp.full((2, 2), x[0]) + xp.asarray(x, copy=True)).backward()
    # Σ x₀ (x₀ + 1 + 2 x₁) + 2 (x₀ + x₁): 2 x₀ + 1 + 2 x₁ + 2 and 2 x₀ + 2
    np.testing.assert_array_equal(x.grad, [13.0, 6.0])
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray([1.0], copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        xp.from_dlpack(np.ones(2), copy=False)


def test_arrays_travel_by_dlpack() -> None:
    np.testing.assert_array_equal(np.from_dlpack(gp.tensor([1.0, 2.0])), [1.0, 2.0])
    np.testing.assert_array_equal(gp.array_api.from_dlpack(np.arange(3.0)), [0.0, 1.0, 2.0])


def test_gradients_of_unique_values_flow_to_the_first_of_equal_elements() -> None:
    x = gp.tensor([3.0, 1.0, 3.0], requires_grad=True)
    (gp.array_api.unique_values(x) * gp.tensor([10.0, 20.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [20.0, 10.0, 0.0])


SCIPY = Path(__file__).with_name("scipy_on_tensors.py")


@pytest.mark.slow
def test_functions_of_scipy_run_on_tensors_with_gradients() -> None:
    """SciPy reads the variable when it is imported, so that this takes a process of its own."""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, str(SCIPY)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
