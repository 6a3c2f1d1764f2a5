"""Kernels: a right one is used by both executors, with the same bits; one that is wrong in any way is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.errors import ForwardFault, KernelRefused
from gradproof.engine.extend import Kernel, registering
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.kernels import acceptance
from gradproof.engine.kernels.accuracy import MOST_ULPS
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array, spec
from gradproof.plugins import BUILTIN

Call = Callable[..., Any]


def registry_with(*kernels: Kernel, use: bool = True) -> Registry:
    """The built-in ops with the kernels of a plugin ``fast``."""

    class Fast:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "fast"
        register_kernels = staticmethod(registering(*kernels))

    return build_registry(BUILTIN, others=[Fast()], kernels=use)


def refusal(call: Call, op: str = "exp", dtype: str = "float64") -> str:
    """The text with which a kernel is refused; its plugin stays."""
    registry = registry_with(Kernel(op, call, (dtype,), "planted"))
    assert not len(registry.kernels)
    assert registry.plugins[-1].name == "fast"
    (refused,) = registry.refused
    assert isinstance(refused, KernelRefused)
    assert "planted" in refused.public
    return str(refused)


def other_exp(x: Array, out: Array) -> None:
    """e^x by NumPy, on a copy."""
    np.copyto(out, np.exp(np.array(x)))


def test_a_right_kernel_is_used_and_named() -> None:
    registry = registry_with(Kernel("exp", other_exp, ("float32", "float64"), "copied exp"))
    assert not registry.refused
    used = list(registry.kernels)
    assert [(k.kernel.name, k.plugin, k.dtype) for k in used] == [("copied exp", "fast", d) for d in ("float32", "float64")]
    for k in used:  # the stated error is that against mpmath at the stated point
        with mpmath.workdps(60):
            kind = np.dtype(k.dtype).type
            (x,) = k.at
            out = np.empty(1, k.dtype)
            other_exp(np.array([x], k.dtype), out)
            exact = mpmath.exp(mpmath.mpf(float(kind(x))))
            ulps = abs(mpmath.mpf(float(out[0])) - exact) / mpmath.mpf(float(np.spacing(out[0])))
        assert abs(float(ulps) - k.ulps) < 1e-6
        assert 0.4 < k.ulps <= MOST_ULPS
        assert re.fullmatch(rf"copied exp \(exp, {k.dtype}, \d\.\d\d ulp\)", str(k))


def doubled(x: Array, out: Array) -> None:
    """A kernel whose results show that it ran, for tests that need no right one."""
    np.multiply(x, 2.0, out)


def one_ulp_up(x: Array, out: Array) -> None:
    """e^x, and one unit more: at most 1.6 units away, and other bits than NumPy's."""
    y = np.exp(x)
    np.copyto(out, np.where(np.isfinite(y) & (y != 0), np.nextafter(y, np.asarray(np.inf, y.dtype)), y))
    out[np.isinf(out) & np.isfinite(y)] = np.finfo(y.dtype).max


def graph_of(*nodes: Node, shape: tuple[int, ...]) -> Graph:
    return Graph((Leaf("x", spec(shape), requires_grad=True),), nodes, (nodes[-1].outputs[0],))


@pytest.mark.parametrize("count", [1, 5, 1000, 1 << 17])
def test_both_executors_use_it(count: int) -> None:
    """The values that leave are those of the kernel, and both executors agree bit by bit, in blocks too."""
    engine = Engine(registry_with(Kernel("exp", one_ulp_up, name="up")), compilations=Compilations(Plans.ALWAYS))
    graph = graph_of(
        Node("sin", ("x",), ("s",)), Node("exp", ("s",), ("e",)), Node("multiply", ("e", "s"), ("m",)),
        Node("sum", ("m",), ("y",)), shape=(count,),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=count)
    seen: dict[str, Array] = {}
    for _ in range(2):
        run = engine.differentiate(Job(graph, (("x", x),), fetch=("e",)))
        for event in run:  # compared by the policy: a difference raises
            if hasattr(event, "value"):
                seen[event.name] = event.value
    expected = np.empty(count)
    one_ulp_up(np.sin(x), expected)
    assert seen["e"].tobytes() == expected.tobytes()
    assert seen["e"].tobytes() != np.exp(np.sin(x)).tobytes()
    (_,), (gradient,) = engine.function(graph)(x)
    np.testing.assert_allclose(gradient, (np.sin(x) + 1) * np.exp(np.sin(x)) * np.cos(x), rtol=1e-9, atol=1e-14)


def test_broadcast_and_transposed_inputs_are_whole() -> None:
    """A kernel is given inputs of the shape of its result: the plan does not use them before they are broadcast."""
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def watching(x: Array, out: Array) -> None:
        shapes.append((x.shape, out.shape))
        np.exp(x, out)

    engine = Engine(registry_with(Kernel("exp", watching, name="watching")), compilations=Compilations(Plans.ALWAYS))
    graph = graph_of(
        Node("broadcast_to", ("x",), ("b",), {"shape": (4, 3)}), Node("matrix_transpose", ("b",), ("t",)),
        Node("exp", ("t",), ("e",)), Node("exp", ("b",), ("f",)), Node("matmul", ("f", "e"), ("m",)),
        Node("sum", ("m",), ("y",)), shape=(3,),
    )  # fmt: skip
    shapes.clear()
    (value,), (gradient,) = engine.function(graph)(np.array([0.5, -1.0, 2.0]))
    e = np.exp([0.5, -1.0, 2.0])
    np.testing.assert_allclose(value, 16 * (e @ e), rtol=1e-13)
    np.testing.assert_allclose(gradient, 32 * e * e, rtol=1e-13)
    assert shapes
    assert all(x == out for x, out in shapes)


def test_single_numbers_have_no_kernel() -> None:
    """They are Python's, in both executors, whatever kernels there are."""
    calls: list[int] = []

    def counting(x: Array, out: Array) -> None:
        calls.append(x.size)
        np.exp(x, out)

    engine = Engine(registry_with(Kernel("exp", counting, name="counting")))
    calls.clear()
    (value,), _ = engine.function(graph_of(Node("exp", ("x",), ("y",)), shape=()))(0.5)
    assert value == float(np.exp(0.5))
    assert calls == []


def test_a_sum_of_slices_is_no_addition() -> None:
    """A compiled plan writes it as a single ``add`` of many parts, which a kernel of ``add`` does not take."""
    engine = Engine(registry_with(Kernel("add", np.add, name="added")), compilations=Compilations(Plans.ALWAYS))
    assert len(engine.registry.kernels) == 1
    every = {"start": (0,), "stop": (6,)}
    nodes = (
        Node("slice", ("x",), ("a",), every),
        Node("sin", ("a",), ("p",)),
        Node("slice", ("x",), ("b",), every),
        Node("multiply", ("b", "p"), ("m",)),
        Node("sum", ("m",), ("y",)),
    )
    graph = graph_of(*nodes, shape=(6,))
    x = np.linspace(0.1, 2, 6)
    for _ in range(2):
        (event,) = list(engine.differentiate(Job(graph, (("x", x),))))
    expected = np.sin(x) + x * np.cos(x)
    gradient: Any = getattr(event, "gradient", None)
    np.testing.assert_allclose(gradient, np.asarray(expected), rtol=1e-12)


def test_without_kernels_none_is_used() -> None:
    registry = registry_with(Kernel("exp", one_ulp_up, name="up"), use=False)
    assert not len(registry.kernels)
    assert not registry.refused
    assert [kernel.name for kernel in registry.plugins[-1].kernels] == ["up"]


# wrong kernels, each in a way of its own


def off_by_four(x: Array, out: Array) -> None:
    y = np.exp(x)
    np.copyto(out, np.where((x > 1) & (x < 1.1), y * (1 + 4 * np.finfo(y.dtype).eps), y))


def flushes_denormals(x: Array, out: Array) -> None:
    y = np.exp(x)
    np.copyto(out, np.where(y < np.finfo(y.dtype).tiny, 0, y))


def saturates(x: Array, out: Array) -> None:
    np.copyto(out, np.minimum(np.exp(x), np.finfo(x.dtype).max))


def loses_nan(x: Array, out: Array) -> None:
    np.copyto(out, np.nan_to_num(np.exp(x), nan=1.0, posinf=np.inf))


def loses_the_sign_of_zero(x: Array, out: Array) -> None:
    np.copyto(out, np.sin(x) + 0.0)


def other_tail(x: Array, out: Array) -> None:
    """The last elements of an array that is no multiple of four, by another loop."""
    y = np.exp(x)
    tail = y.size - y.size % 4
    np.nextafter(y.reshape(-1)[tail:], np.inf, y.reshape(-1)[tail:])
    np.copyto(out, y)


def other_alignment(x: Array, out: Array) -> None:
    y = np.exp(x)
    if out.ctypes.data % 32:
        y = np.nextafter(y, np.asarray(np.inf, y.dtype))
    np.copyto(out, y)


def other_when_large(x: Array, out: Array) -> None:
    y = np.exp(x)
    np.copyto(out, np.nextafter(y, np.asarray(0, y.dtype)) if x.size > 60_000 else y)


def other_when_strided(x: Array, out: Array) -> None:
    y = np.exp(x)
    np.copyto(out, y if x.flags.c_contiguous else np.nextafter(y, np.asarray(0, y.dtype)))


def writes_first(x: Array, out: Array) -> None:
    """Uses its result as memory for a step, which is wrong where that is an input."""
    np.copyto(out, 0)
    np.add(out, np.exp(x), out)


def writes_to_input(x: Array, out: Array) -> None:
    np.exp(x, out)
    x.flags.writeable = True
    x += 1


def writes_beyond(x: Array, out: Array) -> None:
    np.exp(x, out)
    whole = out
    while whole.base is not None:
        whole = whole.base
    if whole.ndim == 1 and whole.size > out.size:
        whole[-1] = 0


def leaves_the_last(x: Array, out: Array) -> None:
    np.copyto(out.reshape(-1)[:-1], np.exp(x).reshape(-1)[:-1])


class Drifting:
    """Other bits at every other call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Array, out: Array) -> None:
        self.calls += 1
        y = np.exp(x)
        np.copyto(out, np.nextafter(y, np.asarray(0, y.dtype)) if self.calls % 2 else y)


def needs_one_axis(x: Array, out: Array) -> None:
    if x.ndim != 1:
        raise ValueError("one axis")
    np.exp(x, out)


def not_empty(x: Array, out: Array) -> None:
    assert x.size, "nothing to do"
    np.exp(x, out)


@pytest.mark.parametrize(
    ("call", "op", "text"),
    [
        (off_by_four, "exp", r"at \(1\.0\d+\) it gives \S+, and the value is 2\.\d+: [4-7]\S* units in the last place; 2"),
        (flushes_denormals, "exp", r"it gives 0\.0, and the value is \d\S*e-3\d\d: "),
        (saturates, "exp", r"it gives 1\.797\d*e\+308, and the value is \S+: "),
        (loses_nan, "exp", r"at \(nan\) it gives 1\.0, and the value is nan: no rounding error"),
        (loses_the_sign_of_zero, "sin", r"at \(-0\.0\) it gives 0\.0, and the value is -0\.0: no rounding error"),
        (other_tail, "exp", r"gives other bits in an array of \d+: at \(\S+\) it gives \S+, and \S+ in a long array"),
        (other_alignment, "exp", r"gives other bits (when it is called again|in an array of \d+): at"),
        (other_when_large, "exp", r"gives other bits in a large array: at"),
        (other_when_strided, "exp", r"gives other bits in .*array.*: at"),
        (writes_first, "exp", r"gives other bits in the memory of input 0: at"),
        (writes_to_input, "exp", r"writes to its input 0, on a contiguous array"),
        (writes_beyond, "exp", r"writes beyond its result, on a contiguous array"),
        (leaves_the_last, "exp", r"it gives 7\.25, and the value is|gives other bits"),
        (Drifting(), "exp", r"gives other bits when it is called again: at"),
        (needs_one_axis, "exp", r"raises ValueError on an array of 0 x 3: one axis"),
        (not_empty, "exp", r"raises AssertionError on an empty array: nothing to do"),
        (doubled, "exp", r"units in the last place; 2 are allowed|no rounding error; 2 are allowed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_a_wrong_kernel_is_refused(call: Call, op: str, text: str) -> None:
    said = refusal(call, op)
    assert said.startswith(f"a kernel of plugin 'fast' is not used: kernel 'planted' of op '{op}' in float64")
    assert re.search(text, said), said


@pytest.mark.parametrize(
    ("op", "dtype", "text"),
    [
        ("nothing", "float64", "kernel 'planted': there is no op 'nothing'"),
        ("matmul", "float64", "kernels are for elementwise ops without attributes, which are not made of other ops"),
        ("softplus", "float64", "kernels are for elementwise ops without attributes"),
        ("equal", "float64", "the op gives bool there, and a kernel gives the dtype of its inputs"),
        ("exp", "float16", "kernels are for float32 and float64"),
        ("exp", "complex128", "kernels are for float32 and float64"),
    ],
)
def test_ops_that_take_no_kernel(op: str, dtype: str, text: str) -> None:
    assert text in refusal(np.exp, op, dtype)


def test_the_first_kernel_of_an_op_stays() -> None:
    registry = registry_with(Kernel("exp", other_exp, name="first"), Kernel("exp", one_ulp_up, name="second"))
    assert [k.kernel.name for k in registry.kernels] == ["first"]
    (refused,) = registry.refused
    assert "kernel 'second' of op 'exp' in float64: kernel 'first' of plugin 'fast' is in use for it" in str(refused)


def test_what_is_no_kernel_refuses_the_plugin() -> None:
    class Wrong:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "wrong"

        register_kernels = staticmethod(registering(np.exp))  # type: ignore[arg-type]

    registry = build_registry(BUILTIN, others=[Wrong()])
    assert str(registry.refused[0]) == "plugin 'wrong' refused: register_kernels, <ufunc 'exp'>: is not Kernel"


def test_a_kernel_of_two_inputs() -> None:
    """Where the sign of a zero chooses a branch, NumPy decides: Arb knows one zero."""
    registry = registry_with(Kernel("atan2", np.arctan2, ("float64", "float32"), "atan2"))
    assert not registry.refused
    assert len(registry.kernels) == 2
    swapped = registry_with(Kernel("atan2", lambda y, x, out: np.arctan2(x, y, out), name="swapped"))
    assert not len(swapped.kernels)


def test_a_kernel_that_raises_in_a_run_is_named_by_its_plugin() -> None:
    broken: list[bool] = []

    def fails_later(x: Array, out: Array) -> None:
        if broken:
            raise RuntimeError("out of order")
        np.exp(x, out)

    engine = Engine(registry_with(Kernel("exp", fails_later, name="fails later")))
    broken.append(True)
    graph = graph_of(Node("exp", ("x",), ("e",)), Node("sum", ("e",), ("y",)), shape=(3,))
    with pytest.raises(ForwardFault) as caught:
        list(engine.evaluate(Job(graph, (("x", np.ones(3)),))))
    assert caught.value.plugin == "fast"


def test_measurements_are_kept(tmp_path: Path) -> None:
    """In a folder, under the build of the library; a kernel without a build is measured in each process."""
    op = build_registry(BUILTIN).op("exp")
    calls: list[int] = []

    def counting(x: Array, out: Array) -> None:
        calls.append(x.size)
        np.exp(x, out)

    def count(build: str) -> int:
        calls.clear()
        acceptance.Acceptance(tmp_path).accept(Kernel("exp", counting, name="counting", build=build), "fast", op, "float64")
        return len(calls)

    assert count("library 1.0") > 50
    assert count("library 1.0") == 0
    assert count("library 1.1") > 50
    assert count("") > 50
    assert count("") > 50
