"""Derived graphs against SymPy and closed forms, and against the gradients of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import REGISTRY, Bench, Line
from tests.support.proof_sources import LocalProofs
from tests.support.server_fixture import Served

from gradproof.client import GraphBuilder
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine
from gradproof.engine.errors import InvalidRequest, LimitExceeded, NoRule
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.op import Op
from gradproof.engine.pullback import Derived
from gradproof.engine.spec import is_differentiable
from gradproof.engine.verify.verdict import GraphWord, SummaryWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.v1 import autodiff_service_pb2 as pb

BENCH = Bench(Engine(REGISTRY))


def values_of(derived: Derived, leaves: dict[str, Any], **rest: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The derivatives, by ``by`` or ``output``; ``rest``: cotangents and tangents, by output or value."""
    inputs = {**leaves, **{derived.leaves[of]: value for of, value in rest.items() if of in derived.leaves}}
    known = {leaf.name for leaf in derived.graph.leaves}
    values = list({**{n: np.asarray(a, float) for n, a in inputs.items() if n in known}, **dict(derived.values)}.items())
    results = {e.name: e.value for e in BENCH.engine.evaluate(Job(derived.graph, values))}
    return {
        derivative.by or derivative.output: results[derivative.value]
        for derivative in derived.derivatives
        if derivative.value is not None
    }


def graph_of(leaves: dict[str, Any], lines: Sequence[Line], outputs: str) -> Any:
    return BENCH.graph({n: np.asarray(a, float) for n, a in leaves.items()}, lines, outputs)


X = {"x": [0.3, -1.2, 0.7]}
F = ["a = sin(x)", "b = multiply(a, x)", "c = exp(b)", "y = sum(c)"]


def symbolic(order: int) -> Any:
    (x,) = sympy.symbols("x,")
    f = sympy.exp(x * sympy.sin(x))
    return sympy.lambdify(x, sympy.diff(f, x, order))


def test_the_gradient_is_that_of_sympy() -> None:
    derived = derive(graph_of(X, F, "y"), REGISTRY, Mode.GRADIENT)
    np.testing.assert_allclose(values_of(derived, X)["x"], symbolic(1)(np.array(X["x"])), rtol=1e-13)


def test_derivatives_of_derivatives() -> None:
    leaves = {"x": 2.0}
    graph = graph_of(leaves, ["s = square(x)", "y = multiply(s, x)"], "y")
    constants: dict[str, Any] = {}
    for expected in (12.0, 12.0, 6.0):
        derived = derive(graph, REGISTRY, Mode.GRADIENT, ["x"])
        constants |= dict(derived.values)
        assert values_of(derived, {**leaves, **constants})["x"] == expected
        graph = derived.graph


def test_the_hessian_is_that_of_sympy() -> None:
    x, w0 = [0.3, -1.2, 0.7], 1.5
    leaves: dict[str, Any] = {"x": x, "w": w0}
    lines = ["a = tanh(x)", "b = multiply(a, w)", "c = cumsum(b)", "d = square(c)", "y = sum(d)"]
    derived = derive(graph_of(leaves, lines, "y"), REGISTRY, Mode.HESSIAN)
    symbols = sympy.symbols("x0 x1 x2 w")
    xs, w = symbols[:3], symbols[3]
    partial = [w * sum(map(sympy.tanh, xs[: k + 1])) for k in range(3)]
    expected = sympy.lambdify(symbols, sympy.hessian(sum(p**2 for p in partial), symbols))(*x, w0)
    values = {}
    inputs = [(n, np.asarray(a, float)) for n, a in leaves.items()] + list(derived.values)
    results = {e.name: e.value for e in BENCH.engine.evaluate(Job(derived.graph, inputs))}
    for derivative in derived.derivatives:
        assert derivative.value is not None
        values[derivative.output, derivative.by] = results[derivative.value]
    whole = np.block(
        [
            [values["x", "x"], values["x", "w"].reshape(3, 1)],
            [values["w", "x"].reshape(1, 3), values["w", "w"].reshape(1, 1)],
        ]
    )
    np.testing.assert_allclose(whole, expected, rtol=1e-12)


def test_a_jacobian() -> None:
    leaves = {"a": [[1.0, 2.0], [3.0, 4.0]], "b": [0.5, -1.0]}
    derived = derive(graph_of(leaves, ["y = matmul(a, b)"], "y"), REGISTRY, Mode.JACOBIAN)
    values = values_of(derived, leaves)
    np.testing.assert_array_equal(values["b"], leaves["a"])
    np.testing.assert_array_equal(values["a"], np.multiply.outer(np.eye(2), np.array(leaves["b"])))


def test_vjp_and_jvp_are_each_others_transposes() -> None:
    random = np.random.default_rng(0)
    leaves = {"x": random.normal(size=(2, 3)), "w": random.normal(size=(3,))}
    lines: list[Line] = ["p = multiply(x, w)", "q = sigmoid(p)", ("r = sum(q)", {"axis": 0}), "s = add(r, w)"]
    graph = graph_of(leaves, lines, "q s")
    tangents = {name: random.normal(size=np.shape(a)) for name, a in leaves.items()}
    cotangents = {"q": random.normal(size=(2, 3)), "s": random.normal(size=(3,))}
    pushed = values_of(derive(graph, REGISTRY, Mode.JVP), leaves, **tangents)
    pulled = values_of(derive(graph, REGISTRY, Mode.VJP), leaves, **cotangents)
    forward = sum(np.vdot(cotangents[name], pushed[name]) for name in cotangents)
    backward = sum(np.vdot(pulled[name], tangents[name]) for name in tangents)
    assert forward == pytest.approx(backward, rel=1e-13)


def test_a_jvp_where_one_cotangent_is_several_results() -> None:
    leaves = {"a": 1.0, "b": 2.0}
    derived = derive(graph_of(leaves, ["y = add(a, b)"], "y"), REGISTRY, Mode.JVP)
    assert values_of(derived, leaves, a=3.0, b=4.0)["y"] == 7.0
    assert {leaf.name for leaf in derived.graph.leaves} == {"a", "b", *derived.leaves.values()}


def test_a_hessian_vector_product() -> None:
    derived = derive(graph_of(X, F, "y"), REGISTRY, Mode.HVP)
    v = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(values_of(derived, X, x=v)["x"], symbolic(2)(np.array(X["x"])) * v, rtol=1e-12)


def test_none_is_not_zeros() -> None:
    leaves = {"x": 2.0, "u": 1.0, "z": 3.0}
    graph = graph_of(leaves, ["k = sign(z)", "y = multiply(x, k)"], "y")
    results = {derivative.by: derivative.value for derivative in derive(graph, REGISTRY, Mode.GRADIENT).derivatives}
    assert results["u"] is None
    assert results["z"] is not None


def test_by_an_inner_value_and_several_outputs_of_one_node() -> None:
    leaves = {"x": [1.0, 2.0, 3.0, 4.0]}
    lines: list[Line] = ["h = square(x)", ("p, q = split(h)", {"sections": (1, 3)}), "s = sum(q)"]
    derived = derive(graph_of(leaves, lines, "s"), REGISTRY, Mode.GRADIENT, ["h", "q", "x"])
    values = values_of(derived, leaves)
    assert values["h"].tolist() == [0, 1, 1, 1]
    assert values["q"].tolist() == [1, 1, 1]
    assert values["x"].tolist() == [0, 4, 6, 8]


def test_a_derived_graph_is_verified_like_any_other() -> None:
    derived = derive(graph_of(X, F, "y"), REGISTRY, Mode.GRADIENT)
    total = derive(derived.graph, REGISTRY, Mode.VJP).graph  # derives again
    assert total.nodes
    seed = [(name, np.ones(3)) for name in derived.graph.outputs]
    job = Job(derived.graph, [("x", np.array(X["x"])), *derived.values], seed, gradients=["x"])
    run = BENCH.events(job)[1]
    (verdict,) = Verifier(REGISTRY, LocalProofs(REGISTRY)).check(run)
    assert (verdict.summary, verdict.graph.word) == (SummaryWord.VERIFIED, GraphWord.CONSISTENT)


OPS = (
    "sin {0}",
    "multiply {0} {1}",
    "add {0} {1}",
    "tanh {0}",
    "sum {0}",
    "maximum {0} {1}",
    "square {0}",
    "divide {0} {1}",
)


@given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_a_derived_gradient_has_the_bits_of_a_run(steps: list[tuple[str, int, int]]) -> None:
    random = np.random.default_rng(len(steps))
    leaves = {"v0": random.uniform(0.5, 2, 3), "v1": np.array(random.uniform(0.5, 2)), "v2": random.uniform(0.5, 2, (2, 1))}
    lines = []
    for k, (step, a, b) in enumerate(steps):
        op, *inputs = step.format(f"v{a % (k + 3)}", f"v{b % (k + 3)}").split()
        lines.append(f"v{k + 3} = {op}({', '.join(inputs)})")
    lines.append(f"y = sum(v{len(steps) + 2})")
    with np.errstate(all="ignore"):
        run = BENCH.gradients(leaves, lines, "y")
        derived = values_of(derive(graph_of(leaves, lines, "y"), REGISTRY, Mode.GRADIENT), leaves)
    for name, gradient in run.items():
        if gradient is None:
            assert name not in derived
        else:
            assert derived[name].tobytes() == np.asarray(gradient).tobytes(), name


@pytest.mark.parametrize(
    ("lines", "mode", "by", "path", "text"),
    [
        (["y = sin(x)"], Mode.GRADIENT, ["z"], "by[0]", "no value named 'z'"),
        (
            ["y = sin(x)"],
            Mode.GRADIENT,
            ["x"],
            "graph.outputs[0]",
            "grad can be implicitly created only for scalar outputs",
        ),
        (["y = less(x, x)"], Mode.VJP, ["x"], "graph.outputs[0]", "dtype bool"),
        (["y = sine(x)"], Mode.VJP, ["x"], "graph.nodes[0].op", "no op 'sine'"),
    ],
)
def test_bad_requests(lines: list[Line], mode: Mode, by: list[str], path: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        derive(graph_of(X, lines, "y"), REGISTRY, mode, by)
    assert any(fault.path == path and text in fault.message for fault in caught.value.faults), caught.value.faults


def test_what_is_too_large_or_has_no_rule() -> None:
    with pytest.raises(LimitExceeded):
        derive(graph_of({"x": np.ones(100)}, ["y = sin(x)"], "y"), REGISTRY, Mode.JACOBIAN, max_nodes=50)
    with pytest.raises(NoRule, match="relu"):
        derive(BENCH.graph({"x": np.ones(2, complex)}, ["z = relu(x)"], "z"), REGISTRY, Mode.VJP)


@pytest.mark.slow
def test_a_long_chain() -> None:
    lines = [f"v{k + 1} = sin(v{k})" for k in range(10_000)]
    derived = derive(graph_of({"v0": 0.5}, lines, "v10000"), REGISTRY, Mode.GRADIENT)
    assert len(derived.graph.nodes) >= 20_000


def test_over_the_wire(served: Served) -> None:
    g = GraphBuilder()
    x = g.leaf("x", [1.0, 2.0], requires_grad=True)
    w = g.leaf("w", shape=(2,), requires_grad=True)
    g.output(g.apply("sum", g.apply("exp", x * w) * 2.0), "y")
    derived = served.client.derive(g, "jvp", ["x"])
    (result,), (tangent,) = derived.results, derived.leaves.items()
    assert (result.by, result.output, tangent[0]) == (None, "y", "x")
    assert result.value is not None
    v, weights = np.array([3.0, -1.0]), np.array([0.5, 0.25])
    values = served.client.evaluate(derived.graph, {"w": weights, tangent[1]: v})
    assert values[result.value] == pytest.approx(np.sum(2 * np.exp([0.5, 0.5]) * weights * v), rel=1e-15)
    message = served.autodiff.Derive(pb.DeriveRequest(graph=g.to_proto(), mode=pb.DERIVE_MODE_GRADIENT))
    assert [derivative.by for derivative in message.results] == ["x", "w"]
    with pytest.raises(grpc.RpcError, match="0 is no mode"):
        served.autodiff.Derive(pb.DeriveRequest(graph=g.to_proto()))
    with pytest.raises(ValueError, match="mode is 'slope'"):
        served.client.derive(g, "slope")


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


@pytest.mark.sweep(of=3)
@pytest.mark.parametrize("op", [op for op in REGISTRY.ops.values() if op.differentiable], ids=lambda op: op.name)
def test_every_op_can_be_derived_along_tangents(op: Op) -> None:
    """Its rule, and the rule of its rule, are linear in their cotangents."""
    case = op.declared_cases()[0]
    specs = case.specs()
    leaves = tuple(Leaf(f"x{k}", spec, is_differentiable(spec.dtype) and k not in op.still) for k, spec in enumerate(specs))
    outputs = tuple(f"y{k}" for k in range(len(op.inference(specs, case.attributes).outputs)))
    node = Node(op.name, tuple(leaf.name for leaf in leaves), outputs, case.attributes)
    moving = [leaf.name for leaf in leaves if leaf.requires_grad]
    derive(Graph(leaves, (node,), outputs[:1]), REGISTRY, Mode.JVP, moving)
    parts = Node("real", outputs[:1], ("parts",))
    total = Node("sum", ("parts",), ("total",))
    derive(Graph(leaves, (node, parts, total), ("total",)), REGISTRY, Mode.HVP, moving)


@pytest.mark.parametrize(("op", "slope"), [("cosh", np.sinh), ("sinh", np.cosh), ("tanh", lambda x: 1 / np.cosh(x) ** 2)])
def test_a_rule_that_looks_for_zero_cotangents_is_linear(op: str, slope: Any) -> None:
    leaves = {"x": [0.3, -1.2, 0.7]}
    derived = derive(graph_of(leaves, [f"y = {op}(x)"], "y"), REGISTRY, Mode.JVP)
    tangent = np.array([1.0, 0.0, -2.0])
    np.testing.assert_allclose(
        values_of(derived, leaves, x=tangent)["y"], tangent * slope(np.array(leaves["x"])), rtol=1e-13
    )


def test_powers_have_jacobian_vector_products() -> None:
    leaves = {"x": [0.3, 1.2, 0.7], "p": [2.0, -1.5, 0.5]}
    derived = derive(graph_of(leaves, ["y = pow(x, p)"], "y"), REGISTRY, Mode.JVP)
    x, p, u, v = np.array(leaves["x"]), np.array(leaves["p"]), np.array([1.0, 0.0, -2.0]), np.array([0.5, 1.0, 0.0])
    expected = u * p * x ** (p - 1) + v * x**p * np.log(x)
    np.testing.assert_allclose(values_of(derived, leaves, x=u, p=v)["y"], expected, rtol=1e-13)
