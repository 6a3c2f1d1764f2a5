"""Functions with a backward of their own: passes, errors, higher derivatives, and verdicts on the backward."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from tests.support.functions import Cube

import gradproof.client as gp
from gradproof.client.autograd import Function, grad
from gradproof.client.autograd.function import once_differentiable
from gradproof.client.tensors.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return gp.tensor(list(values), dtype=gp.float64, requires_grad=True)


def numbers(*tensors: Tensor | None) -> list[Any]:
    return [None if t is None else t.tolist() for t in tensors]


def verdict(x: Tensor) -> tuple[str, str]:
    assert x.verdict is not None
    return x.verdict.summary, x.verdict.reason


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(a: Any) -> Any:
        return a.exp()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def vjp(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]


class Several(Function):
    """a b n, the number n, a + b, and whether a is positive."""

    @staticmethod
    def forward(ctx: Any, a: Any, n: int, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        ctx.n = n
        return a * b * n, n, a + b, a > 0

    @staticmethod
    def backward(ctx: Any, g: Any, _: None, h: Any, mask: Any) -> Any:
        a, b = ctx.saved_tensors
        return g * b * ctx.n + h, None, g * a * ctx.n + h


def returning(result: Callable[[Any], Any]) -> type[Function]:
    class Bad(Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            return a * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return result(g)

    return Bad


class TestPasses:
    def test_a_pass(self) -> None:
        x = leaf(1.0, 2.0)
        y = Cube.apply(x * 2)
        assert (y.tolist(), y.grad_fn.name(), repr(y.grad_fn)) == ([8.0, 64.0], "CubeBackward", "<CubeBackward>")
        assert y.grad_fn.next_functions == (((x * 2).grad_fn and y.grad_fn.next_functions[0][0], 0),)
        (y * 5).sum().backward()
        assert numbers(x.grad) == [[120.0, 480.0]]

    def test_several_inputs_and_outputs(self) -> None:
        a, b = leaf(1.0, 2.0), leaf(3.0, 5.0)
        y, n, z, mask = Several.apply(a, 7, b=b)
        assert (n, mask.dtype, mask.requires_grad, y.grad_fn is z.grad_fn) == (7, np.dtype(bool), False, True)
        (y + 2 * z).sum().backward()
        assert numbers(a.grad, b.grad) == [[23.0, 37.0], [9.0, 16.0]]
        assert [verdict(x)[0] for x in (a, b)] == ["verified", "verified"]

    def test_the_same_tensor_twice(self) -> None:
        x = leaf(1.0, 2.0)
        Several.apply(x, 1, x)[0].sum().backward()
        assert numbers(x.grad) == [[2.0, 4.0]]
        assert verdict(x)[0] == "verified"

    def test_outputs_that_no_gradient_comes_to(self) -> None:
        seen: list[Any] = []

        class Two(Function):
            @staticmethod
            def forward(ctx: Any, a: Any, fill: bool) -> Any:
                ctx.set_materialize_grads(fill)
                return a * 2, a * 3

            @staticmethod
            def backward(ctx: Any, g: Any, h: Any) -> Any:
                seen.append(numbers(h))
                return g * 2, None

        for fill in (True, False):
            x = leaf(1.0)
            Two.apply(x, fill)[0].sum().backward()
            assert numbers(x.grad) == [[2.0]]
        assert seen == [[[0.0]], [None]]

    def test_forward_gets_its_arguments_and_records_nothing(self) -> None:
        x = leaf(1.0)
        seen: list[Any] = []

        class Looks(Function):
            @staticmethod
            def forward(ctx: Any, a: Any, b: Any, n: int) -> Any:
                seen.append((a is x, gp.is_grad_enabled(), ctx.needs_input_grad))
                return a * b

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                seen.append((gp.is_grad_enabled(), ctx.needs_input_grad))
                return g * 3, None, None

        y = Looks.apply(x, gp.tensor([3.0], dtype=gp.float64), 1)
        assert y.requires_grad
        y.sum().backward()
        assert seen == [(True, False, (True, False, False)), (False, (True, False, False))]

    def test_without_gradients(self) -> None:
        assert Cube.apply(gp.tensor([2.0])).grad_fn is None
        x = leaf(2.0)
        with gp.no_grad():
            assert Cube.apply(x).grad_fn is None
        assert numbers(Cube.apply(x.detach())) == [[8.0]]

    def test_an_output_that_is_the_input(self) -> None:
        class Same(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                return a

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * 3

        x = leaf(1.0)
        y = Same.apply(x)
        assert y is not x
        y.sum().backward()
        assert numbers(x.grad) == [[3.0]]
        assert verdict(x)[0] == "wrong"

    def test_a_backward_in_numpy(self) -> None:
        class Erf(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.save_for_backward(a)
                return gp.tensor(special.erf(a.numpy()))

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                a = ctx.saved_tensors[0].detach().numpy()
                return gp.tensor(g.detach().numpy() * 2 / np.sqrt(np.pi) * np.exp(-(a**2)))

        x = leaf(0.5, 1.5)
        (Erf.apply(x.sin()) * 2).sum().backward()
        points = np.sin([0.5, 1.5])
        expected = 4 / np.sqrt(np.pi) * np.exp(-(points**2)) * np.cos([0.5, 1.5])
        np.testing.assert_allclose(numbers(x.grad)[0], expected, rtol=1e-14)
        word, reason = verdict(x)
        assert word == "unchecked"
        assert "ErfBackward" in reason
        assert "reads the numbers" in reason

    def test_hooks_around_it(self) -> None:
        x = leaf(2.0)
        seen: list[Any] = []

        def post(gi: Any, go: Any) -> Any:
            seen.append(("post", numbers(*gi)))
            return (gi[0] * 2,)

        y = Cube.apply(x)
        y.grad_fn.register_prehook(lambda go: seen.append(("pre", numbers(*go))))
        y.grad_fn.register_hook(post)
        y.register_hook(lambda g: g * 10)
        y.sum().backward()
        assert seen == [("pre", [[10.0]]), ("post", [[120.0]])]
        assert numbers(x.grad) == [[240.0]]

    def test_a_graph_that_was_freed(self) -> None:
        y = Cube.apply(leaf(1.0)).sum()
        node = y.grad_fn.next_functions[0][0]
        assert numbers(*node.saved_tensors) == [[1.0]]
        y.backward()
        with pytest.raises(RuntimeError, match="a second time"):
            y.backward()
        with pytest.raises(RuntimeError, match="a second time"):
            assert node.saved_tensors

    def test_many_in_a_row(self) -> None:
        x = leaf(0.5)
        y = x
        for _ in range(5):
            y = Exp.apply(-y)
        y.sum().backward()
        value, slope = 0.5, 1.0
        for _ in range(5):
            value = np.exp(-value)
            slope *= -value
        np.testing.assert_allclose(numbers(x.grad)[0], [slope], rtol=1e-14)


class TestHigherDerivatives:
    def test_of_a_backward_made_of_ops(self) -> None:
        x = leaf(1.0, 2.0)
        for function, expected in ((Cube, [6.0, 12.0]), (Exp, np.exp([1.0, 2.0]).tolist())):
            (g,) = grad(function.apply(x).sum(), x, create_graph=True)
            assert verdict(g)[0] == "verified"
            (h,) = grad(g.sum(), x, create_graph=True)
            np.testing.assert_allclose(numbers(h)[0], expected, rtol=1e-14)
            assert verdict(h) == (
                "plausible",
                f"{function.__name__}Backward was differentiated: gradgradcheck compares it with its forward",
            )
            (third,) = grad(h.sum(), x)
            np.testing.assert_allclose(numbers(third)[0], [6.0, 6.0] if function is Cube else expected, rtol=1e-14)

    def test_nested(self) -> None:
        class Sixth(Function):
            """The square of a cube, whose backward applies another function."""

            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.save_for_backward(a)
                return Cube.apply(a) ** 2

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (a,) = ctx.saved_tensors
                return 6 * Cube.apply(a) * a * a * g

        x = leaf(2.0)
        (g,) = grad(Sixth.apply(x).sum(), x, create_graph=True)
        assert numbers(g) == [[192.0]]
        assert verdict(g)[0] == "verified"
        assert numbers(*grad(g.sum(), x)) == [[480.0]]

    def test_functional(self) -> None:
        x = leaf(1.0, 2.0)
        hessian = gp.autograd.functional.hessian(lambda v: Cube.apply(v).sum(), x)
        assert numbers(hessian) == [[[6.0, 0.0], [0.0, 12.0]]]
        _, product = gp.autograd.functional.jvp(Cube.apply, x, gp.tensor([1.0, 10.0], dtype=gp.float64))
        assert numbers(product) == [[3.0, 120.0]]

    def test_once_differentiable(self) -> None:
        class Once(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.save_for_backward(a)
                return a * a

            @staticmethod
            @once_differentiable
            def backward(ctx: Any, g: Any) -> Any:
                assert not gp.is_grad_enabled()
                return 2 * ctx.saved_tensors[0] * g

        x = leaf(3.0)
        (g,) = grad(Once.apply(x).sum(), x, create_graph=True)
        assert (numbers(g), g.requires_grad) == ([[6.0]], False)
        (h,) = grad(Once.apply(x * 2).pow(2).sum(), x, create_graph=True)
        assert numbers(h) == [[1728.0]]
        with pytest.raises(RuntimeError, match="trying to differentiate twice a function that was marked"):
            grad(h.sum(), x)


class Product(Function):
    """Two results, a number among the arguments, and a jvp."""

    @staticmethod
    def forward(ctx: Any, a: Any, n: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        ctx.save_for_forward(a, b)
        ctx.n = n
        return n * a * b, a + b

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        a, b = ctx.saved_tensors
        return ctx.n * b * g + h, None, ctx.n * a * g + h

    @staticmethod
    def jvp(ctx: Any, s: Any, n: Any, t: Any) -> Any:
        assert n is None
        a, b = ctx.saved_tensors
        return ctx.n * (s * b + a * t), s + t


class TestForwardMode:
    def test_the_jvp_is_called_between_other_nodes(self) -> None:
        x, v = leaf(0.5, 2.0), gp.tensor([1.0, -3.0], dtype=gp.float64)

        def curve(x: Any) -> Any:
            first, second = Product.apply(x.sin(), 3, x * x)
            return Cube.apply(first) * second.exp()  # Cube has a backward only

        def same(x: Any) -> Any:
            return (3 * x.sin() * x * x) ** 3 * (x.sin() + x * x).exp()

        value, tangent = gp.func.jvp(curve, (x,), (v,))
        expected = gp.func.jvp(same, (x,), (v,))
        assert np.allclose(numbers(value, tangent), numbers(*expected), rtol=1e-13)
        assert tangent.verdict.summary in ("verified", "plausible")  # plausible where a proof was not ready in time
        again = gp.func.grad(lambda x: gp.func.jvp(curve, (x,), (v,))[1].sum())(x)
        assert np.allclose(numbers(again), numbers(gp.func.grad(lambda x: gp.func.jvp(same, (x,), (v,))[1].sum())(x)))

    def test_an_input_without_a_tangent_has_zeros_and_a_jacobian_its_columns(self) -> None:
        x, b = leaf(1.0, 2.0), gp.tensor([3.0, 4.0], dtype=gp.float64, requires_grad=True)
        jacobian = gp.func.jacfwd(lambda x: Product.apply(x, 2, b)[0])(x)
        assert numbers(jacobian) == [[[6.0, 0.0], [0.0, 8.0]]]

    def test_a_wrong_jvp_is_told_with_output_element_and_both_numbers(self) -> None:
        class Wrong(Product):
            @staticmethod
            def jvp(ctx: Any, s: Any, n: Any, t: Any) -> Any:
                a, b = ctx.saved_tensors
                return ctx.n * (s * b + a * t), s - t

        x = leaf(1.0, 2.0)
        pushed = gp.func.jvp(lambda x: Wrong.apply(x * 1, 3, x * x), (x,), (gp.ones(2, dtype=gp.float64),))[1]
        assert pushed[0].verdict.summary == "wrong"  # both come from the same jvp
        verdict = pushed[1].verdict
        assert verdict.summary == "wrong"
        assert "WrongBackward, applied at" in verdict.reason
        assert "output 1: element [0]: -1.0, but 3.0 is the tangent of its forward" in verdict.reason

    def test_a_forward_that_leaves_the_record_is_unchecked(self) -> None:
        class Outside(Product):
            @staticmethod
            def forward(ctx: Any, a: Any, n: Any, b: Any) -> Any:
                ctx.save_for_forward(a, b)
                ctx.n = n
                return gp.tensor(n * a.numpy() * b.numpy()), a + b

        x = leaf(1.0, 2.0)
        tangent = gp.func.jvp(lambda x: Outside.apply(x, 3, x)[0], (x,), (gp.ones(2, dtype=gp.float64),))[1]
        assert numbers(tangent) == [[6.0, 12.0]]
        assert tangent.verdict.summary == "unchecked"

    @pytest.mark.parametrize(
        ("returned", "text"),
        [
            (lambda s: (s,), r"Wrong's jvp returned an invalid number of forward gradients \(expected 2 but got 1\)"),
            (lambda s: (s, 3), r"expected Variable or None \(got int\) for grad output 1\."),
            (lambda s: (s[:1], s), r"Tensor is of size \[2\] while the given forward gradient is of size \[1\]\."),
        ],
    )
    def test_what_a_jvp_may_not_return(self, returned: Any, text: str) -> None:
        class Wrong(Product):
            @staticmethod
            def jvp(ctx: Any, s: Any, n: Any, t: Any) -> Any:
                return returned(s)

        with pytest.raises(RuntimeError, match=text):
            gp.func.jvp(lambda x: Wrong.apply(x, 3, x), (leaf(1.0, 2.0),), (gp.ones(2, dtype=gp.float64),))

    def test_none_is_no_tangent(self) -> None:
        class Half(Product):
            @staticmethod
            def jvp(ctx: Any, s: Any, n: Any, t: Any) -> Any:
                return s, None

        pushed = gp.func.jvp(lambda x: Half.apply(x, 3, x), (leaf(1.0, 2.0),), (gp.ones(2, dtype=gp.float64),))[1]
        assert numbers(*pushed) == [[1.0, 1.0], [0.0, 0.0]]


class TestVerdicts:
    def test_a_wrong_backward(self) -> None:
        class Product(Function):
            @staticmethod
            def forward(ctx: Any, a: Any, n: int, b: Any) -> Any:
                ctx.save_for_backward(a, b)
                return a * b

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                b = ctx.saved_tensors[1]
                return g * b, None, g * b

        a, b = leaf(1.0, 2.0), leaf(1.0, 5.0)
        (Product.apply(a.exp(), 0, b) * 2).sum().backward()
        np.testing.assert_allclose(numbers(a.grad)[0], 2 * np.exp([1.0, 2.0]) * [1.0, 5.0], rtol=1e-14)
        assert verdict(a)[0] == "verified"
        word, reason = verdict(b)
        assert word == "wrong"
        assert re.match(
            r"ProductBackward, applied at .*test_function.py:\d+, input 2: element \[0\]: 2\.0, but 5\.43656", reason
        )

    def test_a_sign(self) -> None:
        x = leaf(2.0)
        function = returning(lambda g: -2 * g)
        for create_graph in (False, True):
            (g,) = grad(function.apply(x).sum(), x, create_graph=create_graph)
            assert verdict(g)[0] == "wrong"
            assert "element [0]: -2.0, but 2.0 is the gradient of its forward" in verdict(g)[1]

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_a_backward_is_no_hook(self, create_graph: bool) -> None:
        x = leaf(2.0)
        (g,) = grad(returning(lambda g: 2 * g).apply(x * 3).sum(), x, create_graph=create_graph)
        assert g.verdict is not None
        assert repr(g.verdict).startswith("verified\ndigits: within 0 units")
        (g,) = grad(returning(lambda g: -2 * g).apply(x * 3).sum(), x, create_graph=create_graph)
        assert repr(g.verdict).startswith("wrong\ndigits: of the last step only, within 0 units")

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_hooks_beside_a_backward_are_named(self, create_graph: bool) -> None:
        x = leaf(2.0)
        y = returning(lambda g: 2 * g).apply(x * 3)
        assert y.grad_fn is not None
        handle = y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * 2,))
        (g,) = grad(y.sum(), x, create_graph=create_graph)
        handle.remove()
        assert g.verdict is not None
        assert len(g.verdict.hooked_by) == 1

    def test_half_of_the_digits(self) -> None:
        x = leaf(2.0)
        returning(lambda g: (2 + 1e-10) * g).apply(x).sum().backward()
        assert verdict(x)[0] == "plausible"
        assert "2.0000000001, and 2.0" in verdict(x)[1]

    def test_a_backward_that_is_not_linear_in_its_cotangent(self) -> None:
        x = leaf(2.0)
        (returning(lambda g: 2 * g * g).apply(x) * 3).sum().backward()
        assert verdict(x)[0] == "wrong"

    def test_a_gradient_that_is_missing(self) -> None:
        x = leaf(2.0)
        (returning(lambda g: None).apply(x) + x).sum().backward()
        assert numbers(x.grad) == [[1.0]]
        assert verdict(x)[0] == "wrong"

    @pytest.mark.parametrize("cut", [lambda a: a.detach(), lambda a: a.data, lambda a: a.clone().detach()])
    def test_forward_may_detach(self, cut: Callable[[Any], Any]) -> None:
        class Product(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.save_for_backward(a)
                return a * cut(a)

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return 2 * ctx.saved_tensors[0] * g

        x = leaf(1.0, 2.0)
        Product.apply(x).sum().backward()
        assert verdict(x)[0] == "verified"

    def test_numbers_that_leave_the_record(self) -> None:
        class Scaled(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.scale = a.max().item()
                return a * ctx.scale

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * ctx.scale

        x = leaf(1.0, 2.0)
        Scaled.apply(x).sum().backward()
        assert verdict(x)[0] == "unchecked"

    def test_a_branch_on_a_truth_value_is_in_the_record(self) -> None:
        class Branch(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.positive = bool((a > 0).all())
                return a * 2 if ctx.positive else a * 3

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * (2 if ctx.positive else 3)

        for x in (leaf(1.0), leaf(-1.0)):
            Branch.apply(x).sum().backward()
            assert verdict(x)[0] == "verified"

    def test_other_gradients_keep_their_verdicts(self) -> None:
        x, w = leaf(2.0), leaf(3.0)
        (returning(lambda g: g).apply(x) * w).sum().backward()
        assert (verdict(x)[0], verdict(w)[0]) == ("wrong", "verified")


class TestErrors:
    @pytest.mark.parametrize(
        ("result", "text"),
        [
            (lambda g: 3.0, "expected Variable or None (got float)"),
            (lambda g: [g], "expected Variable or None (got list)"),
            (lambda g: (g, g), "function BadBackward returned an incorrect number of gradients (expected 1, got 2)"),
            (lambda g: (), "function BadBackward returned an incorrect number of gradients (expected 1, got 0)"),
            (
                lambda g: gp.ones(3, dtype=gp.float64),
                "Function BadBackward returned an invalid gradient at index 0 - got [3] but expected shape compatible with "
                "[2]",
            ),
            (lambda g: g * 1j, "Function BadBackward returned an invalid gradient at index 0 - got complex128"),
        ],
    )
    @pytest.mark.parametrize("create_graph", [False, True])
    def test_what_a_backward_returns(self, result: Callable[[Any], Any], text: str, create_graph: bool) -> None:
        x = leaf(1.0, 2.0)
        with pytest.raises(RuntimeError, match=re.escape(text)):
            grad(returning(result).apply(x).sum(), x, create_graph=create_graph)
        assert x.grad is None

    def test_gradients_to_spare_and_of_another_precision(self) -> None:
        x = leaf(1.0, 2.0)
        assert numbers(*grad(returning(lambda g: (g, None, None)).apply(x).sum(), x)) == [[1.0, 1.0]]
        (g,) = grad(returning(lambda g: g.float()).apply(x).sum(), x)
        assert g.dtype == gp.float64
        assert grad(returning(lambda g: None).apply(x).sum(), x, allow_unused=True) == (None,)

    def test_what_is_not_written(self) -> None:
        class Nothing(Function):
            pass

        class NoBackward(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                return a * 2

        class Both(NoBackward):
            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g

            @staticmethod
            def vjp(ctx: Any, g: Any) -> Any:
                return g

        x = leaf(1.0)
        with pytest.raises(NotImplementedError, match="must implement the forward function"):
            Nothing.apply(x)
        with pytest.raises(NotImplementedError, match="either the backward or vjp method"):
            NoBackward.apply(x).sum().backward()
        with pytest.raises(RuntimeError, match="Implementing both 'backward' and 'vjp'"):
            Both.apply(x).sum().backward()

    def test_changes_in_place(self) -> None:
        class Dirty(Function):
            @staticmethod
            def forward(ctx: Any, a: Any, mark: bool) -> Any:
                if mark:
                    ctx.mark_dirty(a)
                return a.mul_(2)

        with pytest.raises(RuntimeError, match="mark_dirty: a Function cannot change its inputs in place; return a new"):
            Dirty.apply(leaf(1.0), True)
        with pytest.raises(RuntimeError, match="has changed tensor 0 of its arguments in place; return a new tensor"):
            Dirty.apply(leaf(1.0), False)

    def test_what_is_saved(self) -> None:
        class Saves(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.save_for_backward(a, 3)

        with pytest.raises(TypeError, match="save_for_backward can only save variables, but argument 1 is of type int"):
            Saves.apply(leaf(1.0))

    def test_an_exception_of_a_backward(self) -> None:
        x = leaf(1.0)

        def fails(g: Any) -> Any:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            returning(fails).apply(x).sum().backward()
        assert x.grad is None
