"""Derivatives of all rows, columns and vectors at once: against Hessians of SymPy, and against one vector at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import gradproof.client as gp
from gradproof.client import func as F
from gradproof.client.autograd import functional, grad
from gradproof.client.batching.slices import Slices
from gradproof.client.derivatives import mapped, program
from gradproof.client.recording.runtime import current

pytestmark = pytest.mark.usefixtures("tensors")

POINT = [0.5, -1.25, 2.0]
NAMES = sp.symbols("x0:3")
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], sp.Expr]] = {
    "quartic": (lambda x: (x**4).sum() + x.prod() ** 2, sum(s**4 for s in NAMES) + sp.prod(NAMES) ** 2),
    "logsumexp": (lambda x: (2 * x).logsumexp(0), sp.log(sum(sp.exp(2 * s) for s in NAMES))),
    "perceptron": (
        lambda x: (gp.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], dtype=gp.float64) @ x).tanh().square().sum(),
        sp.tanh(NAMES[0] + 2 * NAMES[1] - NAMES[2]) ** 2 + sp.tanh(NAMES[0] / 2 + 3 * NAMES[2]) ** 2,
    ),
    "indices": (lambda x: x[[0, 0, 2]].exp().sum() * x[1], (2 * sp.exp(NAMES[0]) + sp.exp(NAMES[2])) * NAMES[1]),
    "linear": (lambda x: (3 * x).sum(), 3 * sum(NAMES)),
}


def point(requires_grad: bool = False) -> gp.Tensor:
    return gp.tensor(POINT, dtype=gp.float64, requires_grad=requires_grad)


def exact(matrix: Any) -> Any:
    """A matrix of SymPy at the point, in 30 digits before it is rounded."""
    values = {s: sp.Rational(p) for s, p in zip(NAMES, POINT, strict=True)}
    return np.array(sp.Matrix(matrix).subs(values).evalf(30), dtype=float)


def equal(result: gp.Tensor, expected: Any) -> None:
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-13)


class TestExact:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_hessians_and_their_products(self, name: str) -> None:
        f, expression = FUNCTIONS[name]
        expected, v = exact(sp.hessian(expression, NAMES)), gp.tensor([1.0, -2.0, 0.5], dtype=gp.float64)
        equal(F.hessian(f)(point()), expected)
        equal(F.jacrev(F.jacrev(f))(point()), expected)
        equal(F.jacfwd(F.jacfwd(f))(point()), expected)
        for strategy in ("reverse-mode", "forward-mode"):
            for create_graph in (False, True):
                equal(functional.hessian(f, point(True), create_graph, False, True, strategy), expected)
        for product in (functional.hvp, functional.vhp):
            for create_graph in (False, True):
                value, result = product(f, point(True), v, create_graph)
                equal(result, expected @ v.numpy())
                equal(value, exact([expression])[0, 0])

    def test_jacobians(self) -> None:
        x, y, z = NAMES
        expected = exact(sp.Matrix([x * y, sp.sin(z), y * z**2, x]).jacobian(NAMES))

        def f(x: gp.Tensor) -> gp.Tensor:
            return gp.stack([x[0] * x[1], x[2].sin(), x[1] * x[2] ** 2, x[0]])

        for chunk_size in (None, 1, 2, 3, 4, 9):
            equal(F.jacrev(f, chunk_size=chunk_size)(point()), expected)
        equal(F.jacfwd(f)(point()), expected)
        equal(functional.jacobian(f, point(), vectorize=True, strategy="forward-mode"), expected)
        equal(functional.jacobian(f, point(True), create_graph=True), expected)
        (rows,) = grad(f(u := point(True)), u, gp.eye(4, dtype=gp.float64), is_grads_batched=True)
        equal(rows, expected)

    def test_a_jacobian_is_differentiated(self) -> None:
        """The gradient of the sum of all elements of a Hessian, which is that of the second derivatives."""
        f, expression = FUNCTIONS["quartic"]
        total = sum(sp.hessian(expression, NAMES))
        expected = exact([sp.diff(total, s) for s in NAMES])[:, 0]
        x = point(True)
        (gradient,) = grad(functional.hessian(f, x, create_graph=True).sum(), x)
        equal(gradient, expected)
        (gradient,) = grad(F.hessian(f)(x).sum(), x)
        equal(gradient, expected)
        equal(F.grad(lambda x: F.hessian(f)(x).sum())(point()), expected)


class TestShapes:
    def test_trees_and_several_arguments(self) -> None:
        def f(tree: Any, scale: gp.Tensor) -> Any:
            return {"a": tree["w"] @ tree["b"] * scale, "b": scale}

        tree = {"w": gp.ones(2, 3, dtype=gp.float64), "b": point()}
        scale = gp.tensor(2.0, dtype=gp.float64)
        jacobians: Any = F.jacrev(f, argnums=(0, 1))(tree, scale)
        assert jacobians["a"][0]["w"].shape == (2, 2, 3)
        assert jacobians["a"][1].tolist() == [1.25, 1.25]
        assert jacobians["b"][0]["b"].tolist() == [0.0, 0.0, 0.0]
        assert jacobians["b"][1].item() == 1.0
        hessians: Any = F.hessian(lambda t, s: f(t, s)["a"].sum(), argnums=(0, 1))(tree, scale)
        assert hessians[0]["w"][0]["b"].shape == (2, 3, 3)
        assert hessians[0]["w"][0]["b"].tolist() == [np.diag([2.0] * 3).tolist()] * 2
        assert hessians[1][1].item() == 0.0

    @pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 2)])
    def test_matrices_numbers_and_nothing(self, shape: tuple[int, ...]) -> None:
        x = gp.tensor(np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape))
        diagonal = np.diag(2 * x.numpy().ravel()).reshape(shape + shape)
        for jacobian in (F.jacrev(lambda x: x * x)(x), F.jacfwd(lambda x: x * x)(x)):
            assert jacobian.shape == diagonal.shape
            np.testing.assert_array_equal(jacobian.numpy(), diagonal)

    def test_dtypes(self) -> None:
        x = gp.tensor([1.0, 2.0], dtype=gp.float32)
        assert F.hessian(lambda x: (x**3).sum())(x).dtype == np.float32
        assert F.jacrev(lambda x: x.double() * 2)(x).dtype == np.float32
        assert F.jacfwd(lambda x: x.double() * 2)(x).dtype == np.float64

    def test_complex_numbers(self) -> None:
        z = gp.tensor([1 + 2j, 3 - 1j], dtype=gp.complex128)
        rows = functional.jacobian(lambda z: z * z, z)
        columns = functional.jacobian(lambda z: z * z, z, vectorize=True, strategy="forward-mode")
        np.testing.assert_allclose(rows.numpy(), np.diag(2 * z.numpy()).conj())
        np.testing.assert_allclose(columns.numpy(), np.diag(2 * z.numpy()))


class TestTogether:
    def test_rows_at_once_are_rows_in_turn(self) -> None:
        """To the last bit, here: the ops are applied to all rows, in the same order."""
        random = np.random.default_rng(0)
        w = gp.tensor(random.normal(size=(5, 3)))

        def f(x: gp.Tensor) -> gp.Tensor:
            return (w @ x.exp()).softmax(0)

        together, in_turn = F.jacrev(f)(point()), F.jacrev(f, chunk_size=1)(point())
        np.testing.assert_allclose(together.numpy(), in_turn.numpy(), rtol=4e-16, atol=0)

    def test_what_does_not_fit_goes_in_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []

        def slices(size: int) -> Slices:
            sizes.append(size)
            return Slices(size)

        monkeypatch.setattr(mapped, "Slices", slices)
        monkeypatch.setattr(mapped, "MAX_BYTES", 400)
        jacobian = F.jacrev(lambda x: x.sin() * x)(gp.tensor(np.arange(7.0)))
        np.testing.assert_allclose(jacobian.numpy(), np.diag(np.sin(np.arange(7)) + np.arange(7) * np.cos(np.arange(7))))
        assert sizes[0] == 7
        assert 1 < len(sizes[1:]) <= 7
        assert sum(sizes[1:]) == 7

    def test_a_hessian_is_a_request_and_a_structure_is_traced_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def f(x: gp.Tensor) -> gp.Tensor:
            return (x.sin() * x.cos()).sum().square()

        traced: list[object] = []
        original = program._Program.__init__

        def init(self: Any, *arguments: Any) -> None:
            traced.append(self)
            original(self, *arguments)

        monkeypatch.setattr(program._Program, "__init__", init)
        first = F.hessian(f)(point()).tolist()
        sent = current().graphs_sent
        values = [F.hessian(f)(gp.tensor(np.array(POINT) * k)).tolist() for k in range(1, 4)]
        assert values[0] == first
        assert values[1] != first
        assert (len(traced), current().graphs_sent - sent) == (1, 0)

    def test_numbers_and_shapes_are_other_structures(self) -> None:
        for power in (2, 3, 4):
            for n in (1, 2, 3):
                x = gp.tensor(np.arange(1.0, n + 1))
                hessian = F.hessian(lambda x, p=power: (x**p).sum())(x)
                expected = np.diag(power * (power - 1) * np.arange(1.0, n + 1) ** (power - 2))
                np.testing.assert_allclose(hessian.numpy(), expected)

    def test_the_same_array_twice(self) -> None:
        """Two leaves with the same numbers are two leaves in a program."""
        array = np.array(POINT)
        for a, b in ((array, array), (array, array + 1)):
            x, c = gp.from_numpy(a), gp.from_numpy(b)
            np.testing.assert_array_equal(F.jacrev(lambda x, c=c: x * c)(x).numpy(), np.diag(b))

    def test_values_are_those_of_the_call(self) -> None:
        """A change in place after the call changes no derivative, although values are computed when they are looked at."""
        x, v = point(), gp.tensor([1.0, 0.0, 0.0], dtype=gp.float64)
        _, product = functional.hvp(lambda x: (x**3).sum(), x, v)
        x.zero_()
        v.zero_()
        assert product.tolist() == [6 * POINT[0], 0.0, 0.0]


class TestOnTheWay:
    def test_hooks_are_called_for_each_row(self) -> None:
        seen: list[tuple[int, ...]] = []

        def doubled(g: gp.Tensor) -> gp.Tensor:
            seen.append(g.shape)
            return g * 2

        def f(x: gp.Tensor) -> gp.Tensor:
            y = x * x
            y.register_hook(doubled)
            return y

        equal(F.jacrev(f)(point()), np.diag(4 * np.array(POINT)))
        assert seen == [(3,)] * 3

    def test_a_function_with_a_backward_of_its_own(self) -> None:
        class Square(gp.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * 2 * ctx.saved_tensors[0]

        equal(F.jacrev(lambda x: Square.apply(x).exp())(point()), np.diag(2 * np.array(POINT) * np.exp(np.square(POINT))))

    def test_inside_and_around_vmap(self) -> None:
        batch = gp.tensor(np.arange(6.0).reshape(2, 3))
        f = FUNCTIONS["quartic"][0]
        hessians = F.vmap(F.hessian(f))(batch)
        for k in range(2):
            equal(hessians[k], F.hessian(f)(batch[k]).numpy())

        def scaled(x: gp.Tensor) -> gp.Tensor:
            return x * x.sum()

        rows = F.jacrev(F.vmap(scaled))(batch)
        assert rows.shape == (2, 3, 2, 3)
        assert rows[0, :, 1].tolist() == np.zeros((3, 3)).tolist()

    def test_a_step_on_the_way(self) -> None:
        """A value that has no derivative, but depends on the input, is computed for each call."""
        for x in (point(), point() + 1.0):
            equal(F.jacrev(lambda x: x * x.floor())(x), np.diag(np.floor(x.numpy())))
            equal(F.hessian(lambda x: (x.relu() ** 2).sum())(x), np.diag(2.0 * (x.numpy() > 0)))

    def test_without_gradients_on_the_way(self) -> None:
        def f(x: gp.Tensor) -> gp.Tensor:
            with gp.no_grad():
                weight = x.exp()
            return (x * x * weight).sum()

        for shift in (0.0, 1.0):
            x = point() + shift
            equal(F.hessian(f)(x), np.diag(2 * np.exp(x.numpy())))

    def test_an_error_names_the_line(self) -> None:
        with pytest.raises(gp.RunError) as raised:
            F.jacrev(lambda x: gp.linalg.inv(x) * 2)(gp.zeros(2, 2, dtype=gp.float64)).tolist()
        assert any("test_derivatives.py" in note for note in raised.value.__notes__)


class TestVerdicts:
    def test_every_element_is_judged(self) -> None:
        f = FUNCTIONS["perceptron"][0]
        v = gp.tensor([1.0, 2.0, 3.0], dtype=gp.float64)
        results = {
            "hessian": F.hessian(f)(point()),
            "columns": functional.hessian(f, point(), outer_jacobian_strategy="forward-mode"),
            "hvp": functional.hvp(f, point(), v)[1],
            "vhp": functional.vhp(f, point(), v)[1],
            "batched": grad(f(u := point(True)) * u, u, gp.eye(3, dtype=gp.float64), is_grads_batched=True)[0],
        }
        for name, result in results.items():
            assert result.verdict is not None, name
            assert result.verdict.summary in ("verified", "plausible"), (name, result.verdict.reason)
            assert "wrong" not in result.verdict.reason

    def test_chunks_are_judged_each(self) -> None:
        jacobian = F.jacrev(lambda x: x.exp() * x, chunk_size=2)(point())
        assert jacobian.verdict is not None
        assert jacobian.verdict.summary == "verified"
        assert jacobian.verdict.reason.startswith("chunk 1 of 2: ")


class TestBatchedCotangents:
    def test_several_roots_and_unused_inputs(self) -> None:
        x, z = point(True), point(True)
        seeds = [gp.ones(2, 3, dtype=gp.float64), gp.tensor([1.0, 10.0], dtype=gp.float64)]
        first, second = grad([x * x, x.sum()], [x, z], seeds, is_grads_batched=True, allow_unused=True)
        assert first.tolist() == [[2 * p + 1 for p in POINT], [2 * p + 10 for p in POINT]]
        assert second is None
        with pytest.raises(RuntimeError, match="Tensor at index 1 appears to not have been used"):
            grad([x * x, x.sum()], [x, z], seeds, is_grads_batched=True)

    def test_a_graph_is_freed(self) -> None:
        x = point(True)
        y, seeds = x * x, gp.eye(3, dtype=gp.float64)
        (rows,) = grad(y, x, seeds, retain_graph=True, is_grads_batched=True)
        (again,) = grad(y, x, seeds, is_grads_batched=True)
        assert again.tolist() == rows.tolist()
        with pytest.raises(RuntimeError, match="a second time"):
            grad(y, x, seeds, is_grads_batched=True)

    def test_gradients_of_gradients(self) -> None:
        x = point(True)
        (rows,) = grad(x**3, x, gp.eye(3, dtype=gp.float64), create_graph=True, is_grads_batched=True)
        (second,) = grad(rows.sum(), x)
        equal(second, 6 * np.array(POINT))

    def test_cotangents_that_do_not_fit(self) -> None:
        x = point(True)
        with pytest.raises(
            RuntimeError, match=r"grad_output\[0\] has a shape of torch.Size\(\[2, 4\]\) and output\[0\] has"
        ):
            grad(x * x, x, gp.ones(2, 4, dtype=gp.float64), is_grads_batched=True)
        with pytest.raises(RuntimeError, match="required to have the same dtype"):
            grad(x * x, x, gp.ones(2, 3, dtype=gp.complex128), is_grads_batched=True)

    def test_no_cotangents(self) -> None:
        x = point(True)
        assert grad(x * x, x, gp.ones(0, 3, dtype=gp.float64), is_grads_batched=True)[0].shape == (0, 3)
