"""Formulas against SymPy's own derivatives of expressions written here."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest
import sympy
from tests.support.server_fixture import Served, serving

import gradproof.client as gp
from gradproof.client import GraphBuilder, InvalidRequest, ResourceExhausted
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb

pytestmark = pytest.mark.usefixtures("tensors")
X, Y = sympy.symbols("x y", real=True)


def same(text: str, expected: Any) -> bool:
    names = {str(s): s for s in (X, Y)}
    difference = sympy.sympify(text, locals=names) - expected
    return bool(sympy.simplify(difference.subs({X: sympy.Rational(3, 7), Y: sympy.Rational(9, 5)})).equals(0))


def explained(tensors: Served, op: str, *names: str) -> Any:
    g = GraphBuilder()
    leaves = [g.leaf(name, 0.5, requires_grad=True) for name in names]
    g.output(g.apply(op, *leaves, name="z"))
    return tensors.client.explain(g, "z")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("sin", sympy.sin(X)), ("cos", sympy.cos(X)), ("tan", sympy.tan(X)), ("exp", sympy.exp(X)), ("log", sympy.log(X)),
        ("sqrt", sympy.sqrt(X)), ("rsqrt", 1 / sympy.sqrt(X)), ("tanh", sympy.tanh(X)),
        ("sigmoid", 1 / (1 + sympy.exp(-X))),
        ("softplus", sympy.log(1 + sympy.exp(X))), ("erf", sympy.erf(X)), ("expm1", sympy.exp(X) - 1),
        ("atan", sympy.atan(X)),
        ("log1p", sympy.log(1 + X)), ("square", X**2), ("reciprocal", 1 / X), ("silu", X / (1 + sympy.exp(-X))),
        ("gelu", X * (1 + sympy.erf(X / sympy.sqrt(2))) / 2), ("asinh", sympy.asinh(X)), ("cosh", sympy.cosh(X)),
        ("abs", sympy.Piecewise((-X, X < 0), (X, True))), ("relu", sympy.Piecewise((0, X < 0), (X, True))),
    ],
)  # fmt: skip
def test_ops_of_one_input(tensors: Served, op: str, expected: Any) -> None:
    found = explained(tensors, op, "x")
    (value,), (local,), (gradient,) = (found.of_kind(kind) for kind in ("value", "local", "gradient"))
    assert same(value.text, expected)
    assert (local.of, local.by, gradient.by) == ("z", "x", "x")
    parts = {one.of: one.text for one in found.subexpressions}
    for one in (local, gradient):
        text = one.text
        for name in reversed(parts):
            text = text.replace(name, f"({parts[name]})")
        assert same(text, sympy.diff(expected, X)), one


@pytest.mark.parametrize(
    ("op", "expected"),
    [("multiply", X * Y), ("divide", X / Y), ("subtract", X - Y), ("pow", X**Y), ("hypot", sympy.sqrt(X**2 + Y**2)),
     ("maximum", sympy.Max(X, Y)), ("logaddexp", sympy.log(sympy.exp(X) + sympy.exp(Y)))],
)  # fmt: skip
def test_ops_of_two_inputs(tensors: Served, op: str, expected: Any) -> None:
    found = explained(tensors, op, "x", "y")
    assert same(found.of_kind("value")[0].text, expected)
    for local, symbol in zip(found.of_kind("local"), (X, Y), strict=True):
        assert local.by == str(symbol)
        assert same(local.text, sympy.diff(expected, symbol))


def test_one_value_twice(tensors: Served) -> None:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(g.apply("multiply", x, x, name="z"))
    found = tensors.client.explain(g, "z")
    assert [str(one) for one in found.of_kind("local")] == ["d z / d a = b", "d z / d b = a"]
    assert [str(one) for one in found.of_kind("gradient")] == ["d z / d x = 2*x"]


def test_a_graph_of_tensors() -> None:
    x, a, b = (gp.tensor(v, requires_grad=True) for v in (3.0, 4.0, 5.0))
    found = (a * x + b).explain()
    assert [one.text for one in found.of_kind("gradient")] == ["x1", "x0", "1"]
    assert "value:" in str(found)
    assert "d v4 / d x0 = x1" in str(found)
    assert found._repr_latex_().count("{") == found._repr_latex_().count("}")
    assert found._repr_latex_().startswith("$$")


def test_reductions_and_matrices() -> None:
    m = gp.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    v = gp.tensor([1.0, 2.0])
    found = (m @ v).explain()
    assert [one.text for one in found.of_kind("value")] == ["x0_0_0*x1_0 + x0_0_1*x1_1", "x0_1_0*x1_0 + x0_1_1*x1_1"]
    assert [(one.of, one.by, one.text) for one in found.of_kind("gradient")][:2] == [
        ("sum of v2", "x0[0, 0]", "x1_0"),
        ("sum of v2", "x0[0, 1]", "x1_1"),
    ]
    assert [one.text for one in m.mean().explain().of_kind("gradient")] == ["1/4"] * 4


def test_common_subexpressions_have_names() -> None:
    x = gp.tensor([1.0, 2.0], requires_grad=True)
    found = (x * x).sum().exp().sin().explain()
    names = [one.of for one in found.subexpressions]
    assert names
    assert all(any(name in one.text for name in names) for one in found.of_kind("gradient"))


def test_what_is_known_is_a_number() -> None:
    x = gp.tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert [one.text for one in (x[[2, 0]] * 0.1).explain().of_kind("value")] == ["x0_2/10", "x0_0/10"]


def test_an_element_and_a_leaf_of_one_name_are_two(tensors: Served) -> None:
    g = GraphBuilder()
    x = g.leaf("x", np.ones(1), requires_grad=True)
    other = g.leaf("x_0", np.ones(1), requires_grad=True)
    weak = g.leaf("w", 2.0, requires_grad=True)
    g.output(g.apply("multiply", g.apply("multiply", x, other), weak, name="z"))
    found = tensors.client.explain(g, "z").of_kind("gradient")
    texts = {one.by: sympy.sympify(one.text) for one in found}
    assert texts["x[0]"] * sympy.Symbol("x_0") == texts["x_0[0]"] * sympy.Symbol("x_0_0")


@pytest.mark.parametrize("value", [np.array([1j]), float("inf"), float("nan")], ids=str)
def test_values_that_no_formula_has(tensors: Served, value: Any) -> None:
    g = GraphBuilder()
    x = g.leaf("x", np.ones(1), requires_grad=True)
    g.output(g.apply("multiply", x, value, name="z"))
    with pytest.raises(InvalidRequest) as caught:
        tensors.client.explain(g, "z")
    assert caught.value.faults[0].reason == "NO_FORMULA"


def test_what_cannot_be_explained(tensors: Served) -> None:
    g = GraphBuilder()
    g.output(g.apply("sin", g.leaf("x", np.ones(300), requires_grad=True), name="y"))
    with pytest.raises(ResourceExhausted, match="explain_elements"):
        tensors.client.explain(g, "y")
    with pytest.raises(InvalidRequest) as caught:
        tensors.client.explain(g, "z")
    assert [(fault.path, fault.reason) for fault in caught.value.faults] == [("value", "VALUE_UNKNOWN")]
    served = tensors
    with pytest.raises(grpc.RpcError, match="the graph names no output"):
        served.autodiff.Explain(pb.ExplainRequest())


@pytest.mark.slow
def test_one_that_takes_too_long(tmp_path: Any) -> None:
    with serving(tmp_path, limits=Limits(explain_seconds=0.001)) as served:
        g = GraphBuilder()
        g.output(g.apply("softmax", g.leaf("x", np.ones(12), requires_grad=True), name="y"))
        with pytest.raises(InvalidRequest, match=r"took longer than 0\.001 s") as caught:
            served.client.explain(g, "y")
        assert caught.value.faults[0].reason == "NO_FORMULA"


def test_names_of_the_reader() -> None:
    k, z = gp.tensor(4.0), gp.tensor(3.0, requires_grad=True)
    y = k * z
    text = str(y.explain(k=k, z=z))
    assert "d v2 / d z = k" in text
    assert "x0" not in text
    total = y + k
    found = total.explain(k=k, z=z, y=y, total=total)
    assert [(one.of, one.by, one.text) for one in found.of_kind("gradient")] == [("total", "z", "k")]
    assert {(one.by, one.text) for one in found.of_kind("local")} == {("y", "1"), ("k", "1")}


def test_a_tensor_that_had_two_values_has_numbered_names() -> None:
    x = gp.tensor(3.0, requires_grad=True)
    y = x * 2.0
    with gp.no_grad():
        x -= 1.0
    found = (y * x).explain(x=x)
    assert sorted(one.by for one in found.of_kind("gradient")) == ["x", "x_2"]


def test_names_that_cannot_be_given() -> None:
    z = gp.tensor(3.0, requires_grad=True)
    y = gp.tensor(4.0) * z
    for names, text in (
        ({"q": gp.tensor(1.0)}, "q is no part of the computation"),
        ({"x0": z}, "the name 'x0' of x1 is taken"),
        ({"a b": z}, "'a b' is no name for a formula"),
    ):
        with pytest.raises(ValueError, match=text):
            y.explain(**names)
    with pytest.raises(TypeError, match="names are given to tensors"):
        y.explain(k=4.0)  # type: ignore[arg-type]
