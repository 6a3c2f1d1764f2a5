"""Functions of functions: numbers against SymPy, histories, trees, auxiliary results and texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp
from tests.support.functions import Cube

import gradproof.client as gp
from gradproof.client import Tensor
from gradproof.client.autograd import functional
from gradproof.client.autograd import grad as gradients
from gradproof.client.client import Client

pytestmark = pytest.mark.usefixtures("tensors")

F = gp.func
Slope = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


def t(value: Any, grad: bool = False) -> Tensor:
    return gp.tensor(value, dtype=gp.float64, requires_grad=grad)


def one() -> Tensor:
    return t(1.0)


SLOPES: dict[str, Slope] = {
    "grad": lambda f, x: F.grad(f)(x),
    "vjp": lambda f, x: F.vjp(f, x)[1](one())[0],
    "jvp": lambda f, x: F.jvp(f, (x,), (one(),))[1],
    "jacrev": lambda f, x: F.jacrev(f)(x),
    "jacfwd": lambda f, x: F.jacfwd(f)(x),
    "linearize": lambda f, x: F.linearize(f, x)[1](one()),
    "functional.vjp": lambda f, x: functional.vjp(f, x, create_graph=True)[1],
    "functional.jvp": lambda f, x: functional.jvp(f, x, create_graph=True)[1],
    "functional.jacobian": lambda f, x: functional.jacobian(f, x, create_graph=True),
}
"""Derivatives of functions of a number."""

OURS = {name: slope for name, slope in SLOPES.items() if "functional" not in name}


class TestNesting:
    """A polynomial of x, y, z and w: its derivative by z, in a function of y, and its derivative in a function of x."""

    @staticmethod
    def expected(x0: int, w0: int) -> tuple[sp.Expr, sp.Expr]:
        x, y, z, w = sp.symbols("x y z w")
        inner = sp.diff(x * y * z**3 * w + x * z**2, z).subs(z, y * x)
        middle = sp.diff(y**2 * x * inner, y).subs(y, x**2 + 1)
        outer = sp.diff(x * w * middle, x)
        return outer.subs({x: x0, w: w0}), sp.diff(outer, w).subs({x: x0, w: w0})

    @pytest.mark.sweep(of=8)
    @pytest.mark.parametrize("second", SLOPES)
    @pytest.mark.parametrize("first", SLOPES)
    def test_three_deep(self, first: str, second: str) -> None:
        third = list(SLOPES)[(list(SLOPES).index(first) + list(SLOPES).index(second)) % len(SLOPES)]
        w = t(3.0, True)

        def inner(x: Tensor, y: Tensor) -> Tensor:
            return SLOPES[third](lambda z: x * y * z * z * z * w + x * z * z, y * x)

        def middle(x: Tensor) -> Tensor:
            return SLOPES[second](lambda y: y * y * x * inner(x, y), x * x + 1)

        outer = SLOPES[first](lambda x: x * w * middle(x), t(2.0))
        by_w = gradients(outer, w)[0]
        assert (outer.item(), by_w.item()) == pytest.approx(tuple(map(float, self.expected(2, 3))), rel=1e-13)

    @pytest.mark.sweep(of=10)
    @pytest.mark.slow
    @pytest.mark.parametrize("names", list(itertools.product(OURS, repeat=3)), ids="-".join)
    def test_third_derivatives(self, names: tuple[str, str, str]) -> None:
        first, second, third = (OURS[name] for name in names)

        def f(x: Tensor) -> Tensor:
            return (x * x).sin() / x

        x = sp.symbols("x")
        truth = sp.diff(sp.sin(x**2) / x, x, 3).subs(x, sp.Rational(5, 4)).evalf(30)
        found = first(lambda a: second(lambda b: third(f, b), a), t(1.25))
        assert found.item() == pytest.approx(float(truth), rel=1e-12)

    def test_an_argument_that_is_in_the_closure_too(self) -> None:
        assert F.grad(lambda x: F.grad(lambda y: x * y * y)(x))(t(3.0)).item() == 4 * 3  # d/dx 2 x²

    @pytest.mark.parametrize("requires_grad", [False, True])
    def test_arguments_are_not_changed_in_place(self, requires_grad: bool) -> None:
        def f(x: Tensor) -> Tensor:
            x *= 2
            return x * x

        for name in OURS:
            with pytest.raises(RuntimeError, match="in-place operation"):
                OURS[name](f, t(3.0, requires_grad))

    def test_a_pull_function_in_another_transformation(self) -> None:
        x = t(2.0, True)
        pull = F.vjp(lambda a: a * a * a, x)[1]
        assert F.grad(lambda g: pull(g)[0] * g)(t(5.0)).item() == 2 * 3 * 4 * 5
        assert gradients(pull(one())[0], x)[0].item() == 6 * 2


class TestHistories:
    @pytest.mark.parametrize("name", OURS)
    def test_a_result_of_constants_has_none(self, name: str) -> None:
        result = OURS[name](lambda x: x * x * x, t(2.0))
        assert (result.item(), result.requires_grad, result.grad_fn) == (12.0, False, None)

    @pytest.mark.parametrize("name", OURS)
    def test_of_an_argument(self, name: str) -> None:
        x = t(2.0, True)
        OURS[name](lambda a: a * a * a, x).backward()
        assert x.grad is not None
        assert x.grad.item() == 12.0

    @pytest.mark.parametrize("name", OURS)
    def test_of_a_parameter(self, name: str) -> None:
        w = t(3.0, True)
        OURS[name](lambda a: a * a * w * w, t(2.0)).backward()
        assert w.grad is not None
        assert w.grad.item() == 2 * 2 * 2 * 3

    @pytest.mark.parametrize("name", OURS)
    def test_under_no_grad_there_is_none(self, name: str) -> None:
        x, w = t(2.0, True), t(3.0, True)
        with gp.no_grad():
            result = OURS[name](lambda a: a * a * w, x)
        assert (result.item(), result.requires_grad) == (12.0, False)

    @pytest.mark.parametrize("name", SLOPES)
    def test_under_no_grad_inside_a_function_it_is_a_constant(self, name: str) -> None:
        def f(x: Tensor) -> Tensor:
            with gp.no_grad():
                c = SLOPES[name](lambda y: x * y * y, x).detach()
            return x * x + c

        assert F.grad(f)(t(2.5)).item() == 5.0

    @pytest.mark.parametrize("name", OURS)
    def test_no_grad_inside_is_obeyed(self, name: str) -> None:
        def f(x: Tensor) -> Tensor:
            with gp.no_grad():
                c = x * x
            return x * x + c

        assert OURS[name](f, t(2.5)).item() == 5.0

    def test_of_the_value(self) -> None:
        w = t(3.0, True)
        assert not F.vjp(lambda a: a * a, t(2.0))[0].requires_grad
        assert F.vjp(lambda a: a * w, t(2.0))[0].requires_grad
        assert not F.grad_and_value(lambda a: a * a)(t(2.0))[1].requires_grad
        assert F.grad_and_value(lambda a: w)(t(2.0))[1] is w
        assert F.grad(lambda a: w)(t(2.0)).tolist() == 0.0

    def test_of_cotangents_and_tangents(self) -> None:
        v = t(5.0, True)
        pulled, pushed = F.vjp(lambda a: a * a, t(3.0))[1](v)[0], F.jvp(lambda a: a * a, (t(3.0),), (v,))[1]
        assert (pulled.item(), pushed.item()) == (30.0, 30.0)
        assert [gradients(y, v)[0].item() for y in (pulled, pushed)] == [6.0, 6.0]

    def test_the_mode_counts_where_a_pull_function_is_called(self) -> None:
        w = t(3.0, True)
        output, pull = F.vjp(lambda a: a * a * w, t(2.0))
        with gp.no_grad():
            assert not pull(one())[0].requires_grad
        assert output.requires_grad
        assert pull(one())[0].requires_grad
        assert not pull(one(), create_graph=False)[0].requires_grad

    def test_a_leaf_of_an_outer_transformation_counts_while_that_runs(self) -> None:
        seen = []

        def f(x: Tensor) -> Tensor:
            slope = F.grad(lambda y: x * y * y)(t(2.0))
            seen.append(slope.requires_grad)
            return slope

        assert not F.grad(f)(t(3.0)).requires_grad
        assert seen == [True]

    def test_an_exception_leaves_the_modes_alone(self) -> None:
        with gp.no_grad():
            with pytest.raises(ZeroDivisionError):
                F.grad(lambda x: x * (1 // 0))(t(2.0))
            assert not gp.is_grad_enabled()


class TestRandomNumbers:
    @pytest.mark.parametrize("name", ["vjp", "linearize"])
    def test_a_function_runs_once(self, name: str) -> None:
        calls = []

        def f(x: Tensor) -> Tensor:
            calls.append(x)
            return x * gp.rand(3, dtype=gp.float64)

        output, linear = getattr(F, name)(f, t([1.0, 1.0, 1.0]))
        for scale in (1.0, 2.0):
            result = linear(t([scale, scale, scale]))
            (values,) = result if isinstance(result, tuple) else (result,)
            np.testing.assert_array_equal(values.numpy(), scale * output.numpy())
        assert len(calls) == 1

    @pytest.mark.parametrize("transform", [F.jacrev, F.jacfwd])
    def test_all_rows_are_of_the_same_numbers(self, transform: Any) -> None:
        jacobian, numbers = transform(lambda x: (lambda r: (x * r, r))(gp.rand(3, dtype=gp.float64)), has_aux=True)(
            t([1.0] * 3)
        )
        np.testing.assert_array_equal(jacobian.numpy(), np.diag(numbers.numpy()))


class Line(NamedTuple):
    slope: Any
    offset: Any


@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any
    name: str = "first"


class TestTrees:
    def test_gradients_have_the_tree_of_the_argument(self) -> None:
        tree = {"layer": Layer(t([2.0, 3.0]), t(5.0)), "line": Line(t(7.0), (t(11.0),)), "list": [t(13.0)], "none": ()}

        def f(p: Any) -> Any:
            layer, line = p["layer"], p["line"]
            assert isinstance(layer, Layer)
            assert (layer.name, list(p)) == ("first", ["layer", "line", "list", "none"])
            return layer.weight[0] * layer.bias * line.slope * line.offset[0] + p["list"][0] * layer.weight[1]

        found: Any = F.grad(f)(tree)
        assert (found["layer"].weight.tolist(), found["layer"].bias.item()) == ([5.0 * 7 * 11, 13.0], 2.0 * 7 * 11)
        assert isinstance(found["line"], Line)
        assert (found["line"].slope.item(), found["line"].offset[0].item()) == (2.0 * 5 * 11, 2.0 * 5 * 7)
        assert (found["list"][0].item(), found["layer"].name, found["none"]) == (3.0, "first", ())

    def test_products(self) -> None:
        x, v = {"a": t([1.0, 2.0]), "b": t(3.0)}, {"a": t([1.0, 10.0]), "b": t(100.0)}

        def f(p: Any) -> Any:
            return Layer(p["a"] * p["b"], [p["a"].sum(), p["b"]])

        output, pushed = F.jvp(f, (x,), (v,))
        assert (output.weight.tolist(), pushed.weight.tolist()) == ([3.0, 6.0], [103.0, 230.0])
        assert [y.item() for y in pushed.bias] == [11.0, 100.0]
        _, pull = F.vjp(f, x)
        (pulled,) = pull(Layer(t([1.0, 2.0]), [t(0.5), t(0.25)]))
        assert (pulled["a"].tolist(), pulled["b"].item()) == ([3.5, 6.5], 1.0 * 1 + 2 * 2 + 0.25)

    @pytest.mark.parametrize("transform", [F.jacrev, F.jacfwd])
    def test_jacobians(self, transform: Any) -> None:
        found = transform(lambda p, q: {"y": p.slope * p.offset, "q": q})(Line(t([2.0, 3.0]), t(5.0)), t(1.0))
        assert list(found) == ["y", "q"]
        assert found["y"].slope.tolist() == [[5.0, 0.0], [0.0, 5.0]]
        assert found["y"].offset.tolist() == [2.0, 3.0]
        assert (found["q"].slope.tolist(), found["q"].offset.item()) == ([0.0, 0.0], 0.0)
        both = transform(lambda p, q: p["u"] * q, argnums=(1, 0))({"u": t(3.0)}, t(4.0))
        assert (both[0].item(), both[1]["u"].item()) == (3.0, 4.0)

    def test_hessians(self) -> None:
        blocks: Any = F.hessian(lambda p: p["a"] * p["a"] * p["b"])({"a": t(3.0), "b": t(5.0)})
        found = {(i, j): blocks[i][j].item() for i in "ab" for j in "ab"}
        assert found == {("a", "a"): 10.0, ("a", "b"): 6.0, ("b", "a"): 6.0, ("b", "b"): 0.0}
        rows = F.hessian(lambda a, b: (a * a * b).sum(), argnums=(0, 1))(t([1.0, 2.0]), t([3.0, 4.0]))
        assert rows[0][0].tolist() == [[6.0, 0.0], [0.0, 8.0]]
        assert rows[0][1].tolist() == rows[1][0].tolist() == [[2.0, 0.0], [0.0, 4.0]]


class TestArguments:
    def test_positions_and_keywords(self) -> None:
        def f(a: Tensor, b: Tensor, *, c: float = 1.0, word: str = "") -> Tensor:
            return a * a * b * c

        a, b = t(2.0), t(7.0)
        assert F.grad(f)(a, b=b, c=3.0, word="any").item() == 84.0
        assert F.grad(f, argnums=-1)(a, b).item() == 4.0
        assert [g.item() for g in F.grad(f, argnums=(1, 0))(a, b, c=2.0)] == [8.0, 56.0]
        assert F.jacrev(f)(a, b=b).item() == F.jacfwd(f)(a, b=b).item() == 28.0

    def test_arrays_of_numpy(self) -> None:
        x = np.array([1.0, 2.0])
        gradient = F.grad(lambda a: (a * a).sum())(x)
        assert isinstance(gradient, Tensor)
        assert gradient.tolist() == [2.0, 4.0]
        assert gradient.dtype == np.float64
        assert F.grad(lambda a: a * a)(np.float32(3.0)).dtype == np.float32
        assert F.vjp(lambda a: a * a, x)[1](x)[0].tolist() == [2.0, 8.0]
        assert F.jvp(lambda a: a * a, (x,), (x,))[1].tolist() == [2.0, 8.0]
        assert F.jacfwd(lambda a: a * a)(x).tolist() == [[2.0, 0.0], [0.0, 4.0]]

    def test_names_and_docs_are_those_of_the_function(self) -> None:
        def energy(x: Tensor) -> Tensor:
            """The energy."""
            return x * x

        for transform in (F.grad, F.grad_and_value, F.value_and_grad, F.jacrev, F.jacfwd, F.hessian):
            assert (transform(energy).__name__, transform(energy).__doc__) == ("energy", "The energy.")

    def test_values(self) -> None:
        x = t(3.0)
        gradient, value = F.grad_and_value(lambda a: a * a)(x)
        assert (gradient.item(), value.item()) == (6.0, 9.0)
        value, gradient = gp.value_and_grad(lambda a: a * a)(x)
        assert (gradient.item(), value.item()) == (6.0, 9.0)
        assert gp.grad is F.grad

    def test_auxiliary_results(self) -> None:
        def f(x: Tensor) -> Any:
            return x * x, {"twice": 2 * x, "word": "any"}

        x = t(3.0)
        results: list[Any] = [
            F.grad(f, has_aux=True)(x),
            F.jacrev(f, has_aux=True)(x),
            F.jacfwd(f, has_aux=True)(x),
        ]
        gradient, (value, aux) = F.grad_and_value(f, has_aux=True)(x)
        results.append((gradient, aux))
        (value, aux), gradient = F.value_and_grad(f, has_aux=True)(x)
        results.append((gradient, aux))
        assert value.item() == 9.0
        output, pull, aux = F.vjp(f, x, has_aux=True)
        results.append((pull(one())[0], aux))
        output, pushed, aux = F.jvp(f, (x,), (one(),), has_aux=True)
        results.append((pushed, aux))
        assert output.item() == 9.0
        for gradient, aux in results:
            assert (gradient.item(), aux["twice"].item(), aux["word"]) == (6.0, 6.0, "any")
            assert not aux["twice"].requires_grad

    def test_no_elements(self) -> None:
        x = gp.zeros(0, dtype=gp.float64)
        assert F.jacrev(lambda a: a * 2)(x).shape == F.jacfwd(lambda a: a * 2)(x).shape == (0, 0)
        assert F.jacfwd(lambda a: a.sum())(x).shape == (0,)
        assert F.grad(lambda a: a.sum())(x).shape == (0,)


class TestForwardMode:
    def test_the_server_derives_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        modes: list[str] = []
        derive = Client.derive

        def watched(self: Client, graph: Any, mode: str, by: Any = ()) -> Any:
            modes.append(mode)
            return derive(self, graph, mode, by)

        monkeypatch.setattr(Client, "derive", watched)
        F.jvp(lambda x: x.exp() * x.sin() + 0.123, (t(1.0),), (one(),))[1].item()
        assert modes == ["jvp"]

    @pytest.mark.parametrize(
        ("name", "truth"),
        [
            ("tanh", sp.tanh), ("erf", sp.erf), ("log", sp.log), ("sqrt", sp.sqrt), ("lgamma", sp.loggamma),
            ("atan", sp.atan), ("cosh", sp.cosh), ("reciprocal", lambda x: 1 / x),
        ],
    )  # fmt: skip
    def test_tangents(self, name: str, truth: Any) -> None:
        x, point = sp.symbols("x"), sp.Rational(7, 10)
        slope = sp.diff(truth(x), x)
        _, tangent = F.jvp(lambda a: getattr(a, name)(), (t([0.7, 0.7]),), (t([1.0, -2.0]),))
        expected = float(slope.subs(x, point).evalf(30))
        np.testing.assert_allclose(tangent.numpy(), [expected, -2 * expected], rtol=1e-14)

    def test_a_matrix_and_its_transpose(self) -> None:
        a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
        matrix = t(a)
        for transform in (F.jacrev, F.jacfwd):
            np.testing.assert_array_equal(transform(lambda x: matrix @ x)(t([1.0, 1.0, 1.0])).numpy(), a)

    def test_outputs_that_the_argument_is_or_does_not_reach(self) -> None:
        x = t(2.0)
        outputs, tangents = F.jvp(lambda a: (a, a, a + 1, t(3.0), a.long()), (x,), (t(5.0),))
        assert [y.item() for y in outputs] == [2.0, 2.0, 3.0, 3.0, 2]
        assert [v.item() for v in tangents] == [5.0, 5.0, 5.0, 0.0, 0]
        assert tangents[4].dtype == np.int64

    def test_rules_that_run_at_the_client(self) -> None:
        def f(x: Tensor) -> Any:
            return Cube.apply(x) * 2, x

        def first(x: Tensor) -> Any:
            return f(x)[0]

        for slope in SLOPES.values():
            assert slope(first, t(2.0)).item() == 24.0
        (_, (moved, same)), x = F.jvp(f, (t(2.0),), (t(0.5),)), t(2.0, True)
        assert (moved.item(), same.item()) == (12.0, 0.5)
        second = F.jvp(lambda a: F.grad(first)(a), (x,), (one(),))[1]
        assert second.item() == 24.0
        assert gradients(second, x)[0].item() == 12.0

    def test_complex_numbers(self) -> None:
        z, v = gp.tensor(1 + 2j, dtype=gp.complex128), gp.tensor(3 - 1j, dtype=gp.complex128)
        _, tangent = F.jvp(lambda a: a * a * 1j, (z,), (v,))
        assert tangent.item() == 2j * (1 + 2j) * (3 - 1j)
        _, tangent = F.jvp(lambda a: a.conj(), (z,), (v,))
        assert tangent.item() == 3 + 1j
        _, tangent = F.jvp(abs, (gp.tensor(3 + 4j, dtype=gp.complex128),), (v,))
        assert tangent.item() == pytest.approx((3 * 3 - 4 * 1) / 5, rel=1e-15)

    def test_a_tangent_of_another_dtype(self) -> None:
        assert F.jvp(lambda a: a * a, (t(3.0),), (gp.tensor(1.0),))[1].dtype == np.float64

    def test_verdicts(self) -> None:
        x, v = t([0.5, 1.5]), t([1.0, 2.0])
        results = {
            "jvp": F.jvp(lambda a: a.exp() * a, (x,), (v,))[1],
            "itself": F.jvp(lambda a: a, (x,), (v,))[1],
            "twice": F.jvp(lambda b: F.jvp(lambda a: a.exp(), (b,), (v,))[1], (x,), (v,))[1],
            "linearize": F.linearize(lambda a: a.exp() * a, x)[1](v),
            "jacfwd": F.jacfwd(lambda a: a.exp() * a)(x),
            "hessian": F.hessian(lambda a: (a.exp() * a).sum())(x),
        }
        words = {name: result.verdict.summary for name, result in results.items() if result.verdict is not None}
        assert words == dict.fromkeys(results, "verified")
        assert v.verdict is None


X = 2.0
SAYS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: F.grad(lambda x: x * x)(2.0), ValueError,
     "Thing passed to transform API must be Tensor, got <class 'float'>"),
    (lambda: F.grad(lambda x: x["a"])({"a": t(X), "b": None}), ValueError, "must be Tensor, got <class 'NoneType'>"),
    (lambda: F.grad(lambda x: x)(gp.tensor(2)), RuntimeError, "only Tensors of floating point dtype can require gradients"),
    (lambda: F.grad(lambda x: x)(np.array(2)), RuntimeError, "only Tensors of floating point dtype can require gradients"),
    (lambda: F.grad(lambda a, b: a, argnums=[0, 1])(t(X), t(X)), RuntimeError,  # type: ignore[call-overload]
     "argnums must be int or Tuple[int, ...], got: <class 'list'>"),
    (lambda: F.grad(lambda a, b: a, argnums=2)(t(X), t(X)), RuntimeError,
     "Got argnum=2, but only 2 positional inputs"),
    (lambda: F.grad(lambda a, b: a, argnums=-3)(t(X), t(X)), RuntimeError,
     "Got argnum=-3, but only 2 positional inputs"),
    (lambda: F.grad(lambda a, b: a, argnums=(0, -2))(t(X), t(X)), RuntimeError,
     "argnums elements must be unique, got (0, 0)"),
    (lambda: F.grad(lambda a: a, argnums=())(t(X)), RuntimeError, "argnums must be non-empty"),
    (lambda: F.grad(lambda a: a, argnums=("a",))(t(X)), RuntimeError,  # type: ignore[arg-type]
     "argnum must be int, got: <class 'str'>"),
    (lambda: F.jacfwd(lambda a: a, argnums=1)(t(X)), RuntimeError, "Got argnum=1, but only 1 positional inputs"),
    (lambda: F.grad(lambda x: 3)(t(X)), RuntimeError,  # type: ignore[arg-type, return-value]
     "grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got <class 'int'>"),
    (lambda: F.grad(lambda x: x.reshape(1))(t(X)), RuntimeError,
     "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with 1 dims. Maybe you wanted to "
     "use the vjp or jacrev APIs instead?"),
    (lambda: F.grad(lambda x: x * 1j)(t(X)), RuntimeError,
     "grad can be implicitly created only for real scalar outputs but got complex128"),
    (lambda: F.grad(lambda x: x, has_aux=True)(t(X)), RuntimeError,
     "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True"),
    (lambda: F.vjp(lambda x: x, t(X), has_aux=True), RuntimeError,
     "vjp(f, *primals): output of function f should be a tuple: (output, aux) if has_aux is True"),
    (lambda: F.jvp(lambda x: x, (t(X),), (t(X),), has_aux=True), RuntimeError,
     "jvp(f, primals, tangents): output of function f should be a tuple: (output, aux) if has_aux is True"),
    (lambda: F.vjp(lambda x: 3, t(X)), RuntimeError,
     "vjp(f, *primals): expected f(*primals) to return only tensors, got unsupported type <class 'int'>"),
    (lambda: F.vjp(lambda x: None, t(X)), RuntimeError,
     "vjp(f, *primals): Expected f to be a function that has non-empty output (got output = [None])"),
    (lambda: F.vjp(lambda x: x.long(), t(X)), RuntimeError,
     "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype int64"),
    (lambda: F.vjp(lambda x: (x, x), t(X))[1](t(X)), RuntimeError,  # type: ignore[arg-type]
     "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. cotangents: *"
     ", primal output: (*, *)"),
    (lambda: F.vjp(lambda x: {"u": x}, t(X))[1]([t(X)]), RuntimeError,  # type: ignore[arg-type]
     "cotangents: [*], primal output: {'u': *}"),
    (lambda: F.vjp(lambda x: x, t(X))[1](t([X, X])), RuntimeError,
     "Mismatch in shape: grad_output[0] has a shape of torch.Size([2]) and output[0] has a shape of torch.Size([])."),
    (lambda: F.vjp(lambda x: x, t(X))[1](1.0), TypeError,
     "gradients can be either Tensors or None, but got float"),
    (lambda: F.jvp(lambda x: x, [t(X)], [t(X)]), RuntimeError,  # type: ignore[call-overload]
     "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."),
    (lambda: F.jvp(lambda x: x, (t(X),), (t(X), t(X))), RuntimeError,
     "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For example, if primals "
     "is a tuple of 3 tensors, tangents also must be. Got primals with structure (*,) and tangents with structure (*, *)"),
    (lambda: F.jvp(lambda: t(X), (), ()), RuntimeError,
     "jvp(f, primals, tangents): Expected primals to contain at least one Tensor."),
    (lambda: F.jvp(lambda x: x, (2.0,), (2.0,)), RuntimeError,
     "jvp(f, primals, tangents): Expected primals to only contain Tensors, got <class 'float'>"),
    (lambda: F.jvp(lambda x: x, (t(X),), (2.0,)), RuntimeError,
     "jvp(f, primals, tangents): Expected tangents to only contain Tensors, got <class 'float'>"),
    (lambda: F.jvp(lambda x: x, (t(X),), (t([X, X]),)), RuntimeError,
     "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. "
     "Tensor is of size [] while the given forward gradient is of size [2]."),
    (lambda: F.jvp(lambda x: x, (gp.tensor(1),), (gp.tensor(1),)), ValueError,
     "Expected primal to be floating point or complex, but got: int64"),
    (lambda: F.jvp(lambda x: t(1.0), (t(X),), (t(X),), strict=True), RuntimeError,
     "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with "
     "strict=True."),
    (lambda: F.jacrev(lambda x: x)(gp.tensor(1j)), RuntimeError,
     "jacrev: Expected all inputs to be real but received complex tensor at flattened input idx: 0"),
    (lambda: F.jacfwd(lambda x: (x, x * 1j))(t(X)), RuntimeError,
     "jacfwd: Expected all outputs to be real but received complex tensor at flattened input idx: 1"),
    (lambda: F.jacrev(lambda x: x, chunk_size=0), ValueError, "jacrev: `chunk_size` should be greater than 0."),
    (lambda: F.linearize(lambda x: x, t(X))[1](t([X])), RuntimeError,
     "tangent:0 with shape (1,) in flattened pytree doesn't match the shape () of the corresponding primal."),
    (lambda: F.linearize(lambda x: x, t(X))[1](gp.tensor(X)), RuntimeError,
     "tangent:0 with dtype float32 in flattened pytree doesn't match the dtype float64 of the corresponding primal."),
    (lambda: F.linearize(lambda x: x, t(X))[1](t(X), t(X)), RuntimeError,
     "Expected the tangents (*, *) to have the same argspec as the primals (*,)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), SAYS, ids=[text[:40] for _, _, text in SAYS])
def test_texts(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
