"""The plugin gradproof-mkl, where MKL is installed: its kernels are right here, used, and named."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine, GradientEvent
from gradproof.engine.extend import Kernel, registering
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array, spec
from gradproof.plugins import BUILTIN

FOLDER = Path(__file__).parents[2] / "plugins" / "gradproof-mkl"


@pytest.fixture(scope="module")
def mkl() -> Any:
    """The plugin's module."""
    try:
        distribution("mkl")
    except PackageNotFoundError:
        pytest.skip("mkl is not installed")
    pytest.importorskip("cffi")
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("gradproof_mkl")
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def registry(mkl: Any) -> Registry:
    return build_registry(BUILTIN, others=[mkl])


def test_every_kernel_is_right_here(mkl: Any, registry: Registry) -> None:
    assert not registry.refused
    used = list(registry.kernels)
    assert len(used) == sum(len(kernel.dtypes) for kernel in mkl.kernels())
    assert {k.plugin for k in used} == {"mkl"}
    assert all(k.kernel.name.startswith("mkl ") and k.kernel.build.startswith("mkl 2") for k in used)
    assert all(k.ulps < (2 if k.kernel.op == "sigmoid" else 1) for k in used)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sigmoid_keeps_its_tail(registry: Registry, dtype: type) -> None:
    """Down to denormal numbers, where 1 + e^-x is infinite."""
    used = registry.kernels.table.get(("sigmoid", np.dtype(dtype).name))
    if used is None:
        pytest.skip("NumPy is faster on this processor")
    x: Array = np.array([-745.0, -720.5, -709.9, -708.0, -707.9, -103.0, -89.0, -87.1, -86.9, -1.0, 0.0, 3.0, 40.0], dtype)
    out = np.empty_like(x)
    used.kernel.call(x, out)
    with mpmath.workdps(400):
        exact = [1 / (1 + mpmath.exp(-mpmath.mpf(float(value)))) for value in x]
    info = np.finfo(dtype)
    for got, truth in zip(out.tolist(), exact, strict=True):
        assert abs(got - truth) <= max(2 * float(info.eps) * truth, float(info.smallest_subnormal))


def test_both_executors_agree(registry: Registry) -> None:
    engine = Engine(registry, compilations=Compilations(Plans.ALWAYS))
    nodes = [
        Node(op, (before,), (op,))
        for op, before in zip(
            ("tanh", "sigmoid", "exp", "sin", "log1p"), ("x", "tanh", "sigmoid", "exp", "sin"), strict=True
        )
    ]
    graph = Graph((Leaf("x", spec((40_000, 4)), requires_grad=True),), (*nodes, Node("sum", ("log1p",), ("y",))), ("y",))
    x = np.random.default_rng(0).normal(size=(40_000, 4))
    (event,) = list(engine.differentiate(Job(graph, (("x", x),))))  # compared by the policy: a difference raises
    plain = Engine(build_registry(BUILTIN))
    (other,) = list(plain.differentiate(Job(graph, (("x", x),))))
    assert isinstance(event, GradientEvent)
    assert isinstance(other, GradientEvent)
    assert event.gradient is not None
    assert other.gradient is not None
    np.testing.assert_allclose(event.gradient, other.gradient, rtol=1e-12, atol=1e-15)
    names = engine.prepare(Job(graph, (("x", x),))).plan.kernels
    assert names == {} or "mkl vmdSin" in names[3]


def test_the_ufuncs_of_mkl_umath_are_refused() -> None:
    """They have other bits in arrays of other lengths."""
    mkl_umath = pytest.importorskip("mkl_umath")

    class Ufuncs:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "ufuncs"
        register_kernels = staticmethod(registering(Kernel("exp", mkl_umath.exp, name="mkl_umath exp")))

    registry = build_registry(BUILTIN, others=[Ufuncs()])
    (refused,) = registry.refused
    assert "kernel 'mkl_umath exp' of op 'exp' in float64 gives other bits" in str(refused)
