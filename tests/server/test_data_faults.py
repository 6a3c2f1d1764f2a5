"""Hostile data of the right shape and dtype, and hostile attributes: the user's fault is named as such, never as ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support.sweeps import share

from gradproof.engine.derive import Mode, derive
from gradproof.engine.domains import INTEGER
from gradproof.engine.engine import Engine
from gradproof.engine.errors import DataFault, ForwardFault, HookFault, InvalidRequest, NoRule
from gradproof.engine.extend import Op
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.hooks import Hook
from gradproof.engine.inference import InferenceError
from gradproof.engine.job import Job
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import Array, is_differentiable, spec_of
from gradproof.plugins import BUILTIN

DTYPES = [
    np.dtype(one)
    for one in ("bool", "int8", "int64", "uint64", "float16", ml_dtypes.bfloat16, "float32", "float64", "complex128")
]
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (3,), (2, 3, 3), (0, 3))
WRONG: tuple[Any, ...] = (
    *(None, True, "x", "float32", "", (), (None,), ("a",), (1.5,), (1, 2), (0, 0)),
    *(((1, 2), (3, 4)), ((1,),), ((),), (True,)),
    *(float("nan"), float("inf"), 1.5, 0, -1, 7, 2**40, 2**62, -(2**63), (2**62,) * 3, (-(2**63),)),
)
ENGINE = Engine(REGISTRY)
MOST = 10**6


def hostile(dtype: np.dtype[Any], shape: tuple[int, ...], turn: int) -> Array:
    """Zeros, ends of ranges, infinities and nans."""
    values: list[Any] = [0, -1, np.nan, np.inf, -np.inf, 1]
    if dtype.kind == "b":
        values = [True, False]
    elif dtype.kind in "iu":
        values = [0, np.iinfo(dtype).min, np.iinfo(dtype).max, 1, 3]
    with np.errstate(all="ignore"):
        return np.resize(np.roll(np.array(values), turn), int(np.prod(shape))).astype(dtype).reshape(shape)


def one_node(op: str, arrays: Sequence[Array], attributes: Any) -> Job | None:
    """A job of one node with ones for seeds; None where its inputs or attributes are refused, in our words."""
    try:
        outs = REGISTRY.op(op).inference([spec_of(array) for array in arrays], attributes).outputs
    except InferenceError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "Error" not in refusal
        assert "its infer raised" not in refusal
        return None
    if sum(out.size for out in outs) > MOST:
        return None
    leaves = tuple(Leaf(f"x{k}", spec_of(a), is_differentiable(a.dtype)) for k, a in enumerate(arrays))
    names = tuple(f"y{k}" for k in range(len(outs)))
    graph = Graph(leaves, (Node(op, tuple(leaf.name for leaf in leaves), names, attributes),), names)
    values = [(leaf.name, array) for leaf, array in zip(leaves, arrays, strict=True)]
    return Job(graph, values, [(n, np.ones(o.shape, o.dtype)) for n, o in zip(names, outs, strict=True)])


def run(job: Job) -> Iterator[DataFault]:
    """Evaluate and differentiate; the data faults. Anything else that is raised is our fault."""
    for go in (ENGINE.evaluate, ENGINE.differentiate):
        try:
            list(go(job))
        except DataFault as fault:
            yield fault
        except (InvalidRequest, NoRule):
            pass


@pytest.mark.sweep(of=8, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY.ops)
def test_no_value_is_a_fault_of_an_op(name: str) -> None:
    op = REGISTRY.op(name)
    for attributes in {repr(case.attributes): case.attributes for case in op.declared_cases()}.values() or [{}]:
        for shape, (k, dtype) in share(list(product(SHAPES, enumerate(DTYPES))), f"{name} {attributes}", of=3):
            places = [op.domain(j) is INTEGER and name != "where" for j in range(len(op.inputs))]
            kinds = [np.dtype("i8") if place else dtype for place in places]
            for given in (kinds, [dtype] * len(kinds)):
                job = one_node(name, [hostile(one, shape, k + j) for j, one in enumerate(given)], attributes)
                assert job is None or all(str(fault) for fault in run(job))


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, op in REGISTRY.ops.items() if op.attributes])
def test_no_attribute_is_a_fault_of_an_op(name: str) -> None:
    op = REGISTRY.op(name)
    for case in op.declared_cases()[:2]:
        arrays = [one if isinstance(one, np.ndarray) else np.ones(one) for one in case.inputs]
        for attribute in (*op.attributes, "nonsense"):
            for value in share(WRONG, f"{name} {case} {attribute}", of=3):
                job = one_node(name, arrays, {**case.attributes, attribute: value})
                if job is None:
                    continue
                assert all(str(fault) for fault in run(job))
                for mode in (Mode.VJP, Mode.HESSIAN):
                    with suppress(InvalidRequest, NoRule):
                        derive(job.graph, REGISTRY, mode)


@pytest.mark.parametrize(
    ("op", "arrays", "element", "text"),
    [
        ("take", [[1.0, 2.0], [[0, 1], [5, 0]]], "[1, 0]", "index 5 is out of bounds for axis 0 with size 2"),
        ("take", [[1.0, 2.0], -3], "", "index -3 is out of bounds for axis 0 with size 2"),
        ("take_along_axis", [[1.0, 2.0], [0, 2]], "[1]", "index 2 is out of bounds for axis 0 with size 2"),
        ("index_add", [[1.0, 2.0], [0, 2], [1.0, 1.0]], "[1]", "index 2 is out of bounds for axis 0 with size 2"),
        ("add_along_axis", [[1.0, 2.0], [0, 2], [1.0, 1.0]], "[1]", "index 2 is out of bounds"),
        ("floor_divide", [[1, 2], [1, 0]], "[1]", "an integer is divided by 0"),
        ("remainder", [[1, 2], [0, 1]], "[0]", "an integer is divided by 0"),
        ("pow", [[1, 2], [1, -1]], "[1]", "an integer has no negative power: convert it with astype"),
        ("inv", [[[[1.0, 0], [0, 1]], [[1, 1], [1, 1]]]], "[1]", "Singular matrix"),
        ("solve", [[[1.0, 1], [1, 1]], [1.0, 2]], "", "Singular matrix"),
        ("cholesky", [[[[1.0, 0], [0, 1]], [[1, 2], [2, 1]]]], "[1]", "Matrix is not positive definite"),
    ],
)
def test_the_element_is_named(op: str, arrays: list[Any], element: str, text: str) -> None:
    attributes = {"axis": -1} if "along" in op else {}
    job = one_node(op, [np.asarray(one) for one in arrays], attributes)
    assert job is not None
    fault = next(run(job))
    assert (fault.node, fault.op, fault.element, fault.reason) == (0, op, element, "DATA_FAULT")
    assert fault.plugin
    assert text in str(fault)


def test_a_plugin_says_what_its_op_is_not_defined_for_and_nothing_else_is_shown() -> None:
    def refuse(x: Array) -> Array:
        if x.size and x.min() < 0:
            raise DataFault("below 0", element="[0]")
        if x.size and x.max() > 1:
            raise ValueError("a secret")
        return x

    registry = build_registry(BUILTIN, others=[_plugin(Op("own.unit", refuse, lambda g, y, x: g, lambda f, x: x))])
    bench = Bench(Engine(registry))
    with pytest.raises(DataFault, match=r"graph.nodes\[0\] \(own.unit, plugin .*\): below 0") as data:
        bench.values({"x": np.array([-1.0])}, ["y = own.unit(x)"], "y")
    assert data.value.element == "[0]"
    with pytest.raises(ForwardFault, match="a secret") as caught:
        bench.values({"x": np.array([2.0])}, ["y = own.unit(x)"], "y")
    assert "secret" not in caught.value.public
    assert caught.value.kind == "ValueError"


def _plugin(op: Op) -> Any:
    from gradproof.engine.extend import hookimpl

    class Own:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Any) -> None:
            register(op)

    return Own()


def test_attributes_of_hooks_are_looked_at_before_a_run(bench: Bench) -> None:
    leaves, lines = {"x": np.array([1.0])}, ["y = sum(x)"]
    for name, attributes in (("scale", {"factor": None}), ("clip", {"max_norm": "x"}), ("round", {"decimals": 1.5})):
        job = bench.job(leaves, lines, "y", hooks=[Hook("x", name, attributes)])
        with pytest.raises(InvalidRequest) as caught:
            bench.events(job)
        assert [fault.reason for fault in caught.value.faults] == ["HOOK_ATTRIBUTE"]
    hooks = [Hook("x", "clip", {"min_value": 0.0})]
    job = bench.job({"x": np.array([1j])}, ["a = real(x)", "y = sum(a)"], "y", hooks=hooks)
    with pytest.raises(DataFault, match="complex numbers have no order"):
        bench.events(job)


def test_a_hook_of_a_plugin_that_raises_says_no_more_than_that(bench: Bench) -> None:
    def leak(gradient: Array) -> Array:
        raise ValueError("a secret")

    hooks = [Hook("x", "leak", {}, leak)]
    with pytest.raises(HookFault) as caught:
        bench.events(bench.job({"x": np.array([1.0])}, ["y = sum(x)"], "y", hooks=hooks))
    assert caught.value.public == "hook 'leak' on 'x' raised ValueError"


@pytest.mark.parametrize("mode", list(Mode))
def test_what_nothing_flows_to_has_no_derivative(mode: Mode) -> None:
    """Also none of second order; inner values that the gradient does not depend on are no exception."""
    x = Leaf("x", spec_of(np.array(1.0)), True)
    z = Leaf("z", spec_of(np.array(1.0)), True)
    graph = Graph((x, z), (Node("sin", ("z",), ("a",)), Node("exp", ("x",), ("y",))), ("y",))
    for by in (["z"], ["a"], ["a", "z"]):
        found = derive(graph, REGISTRY, mode, by).derivatives
        assert found
        assert all(one.value is None for one in found)
    assert any(one.value for one in derive(graph, REGISTRY, mode, ["a", "x"]).derivatives)
