"""Checks of derivatives by verdicts, and hooks on saved tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client.autograd import Function, GradcheckError, grad, gradcheck, gradgradcheck
from gradproof.client.autograd.graph import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from gradproof.client.tensors.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return gp.tensor(list(values), dtype=gp.float64, requires_grad=True)


def function(forward: Callable[[Any], Any], backward: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    class Custom(Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return forward(a)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(ctx.saved_tensors[0], g)

    return Custom.apply


class Saves(Function):
    """x exp(x), whose backward is right, and constant to a second pass: it saves what it has computed on the way."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        exp = a.exp()
        ctx.save_for_backward(exp, exp * a)
        return exp * a

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        exp, product = ctx.saved_tensors
        return g * (exp + product)


RIGHT: list[Callable[..., Any]] = [
    lambda x: x.sin(),
    lambda x: (x.exp(), x.sum()),
    lambda x: x * x.flip(0),
    function(lambda a: a**3, lambda a, g: 3 * a * a * g),
    function(lambda a: (a * a).sin(), lambda a, g: 2 * a * g * (a**2).cos()),
]


class TestGradcheck:
    @pytest.mark.parametrize("func", RIGHT)
    def test_right(self, func: Callable[..., Any]) -> None:
        x = leaf(0.5, 1.5)
        assert gradcheck(func, x)
        assert gradgradcheck(func, (x,), eps=1e-6, atol=1e-5, rtol=1e-3)

    @pytest.mark.parametrize(
        ("func", "text"),
        [
            (function(lambda a: a**3, lambda a, g: 3 * a * g), r"output 0, input 0, element \[0\].*CustomBackward"),
            (function(lambda a: a, lambda a, g: g * 1.0001), r"output 0, input 0, element \[0\]"),
            (function(lambda a: a.relu(), lambda a, g: g * (1 + (a > 1) * 1e-6)), r"output 0, input 0, element \[1\]"),
            (function(lambda a: 2 * a, lambda a, g: 2 * g.abs()), r"is the gradient of its forward"),
            (lambda x: x * x.detach(), r"output 0, input 0, element \[0\]"),
            (lambda x: (x.sum(), x.detach()), r"output 1, input 0, element \[0\]: 0.0, but"),
            (lambda x: gp.tensor(np.sin(x.detach().numpy())), "unchecked: the function reads the numbers"),
            (
                function(lambda a: gp.tensor(a.numpy() ** 2), lambda a, g: 2 * a * g),
                "unchecked: CustomBackward: its forward",
            ),
        ],
    )
    def test_wrong(self, func: Callable[..., Any], text: str) -> None:
        x = leaf(0.5, 1.5)
        with pytest.raises(GradcheckError, match=text):
            gradcheck(func, (x,))
        assert gradcheck(func, (x,), raise_exception=False) is False

    def test_several_inputs(self) -> None:
        a, b = leaf(0.5, 1.5), leaf(2.0, 3.0)
        assert gradcheck(lambda a, n, b: (a * b * n).sin(), (a, 3, b))
        assert gradgradcheck(lambda a, n, b: (a * b * n).sin(), (a, 3, b), leaf(1.0, -2.0))

    def test_a_second_derivative_that_is_wrong(self) -> None:
        x = leaf(0.5, 1.5)
        assert gradcheck(Saves.apply, x)
        with pytest.raises(GradcheckError, match=r"gradient of input 0, by input 0, element \[0\]: 0.0, but"):
            gradgradcheck(Saves.apply, x)
        assert gradgradcheck(Saves.apply, x, raise_exception=False) is False

    def test_no_input_that_requires_grad(self) -> None:
        with pytest.raises(ValueError, match="expects at least one input tensor to require gradient"):
            gradcheck(lambda x: x, gp.tensor([1.0]))

    def test_complex(self) -> None:
        z = gp.tensor([1 + 2j, -0.5j], dtype=gp.complex128, requires_grad=True)
        assert gradcheck(lambda z: z * z.conj(), z)
        with pytest.raises(GradcheckError, match="output 0, input 0"):
            gradcheck(function(lambda a: a * a, lambda a, g: 2 * a * g), z)  # not its conjugate


class TestSavedTensors:
    def test_what_is_packed_and_unpacked(self) -> None:
        log: list[Any] = []

        def pack(x: Tensor) -> int:
            log.append(x)
            return len(log) - 1

        a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
        with saved_tensors_hooks(pack, lambda k: log[k]):
            c = a * b
            d = c.exp() + 1
        assert log[0] is a
        assert log[1] is b
        assert log[2] is c
        assert len(log) == 3
        d.sum().backward()
        expected = np.exp([3.0, 8.0])
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), expected * [3, 4])
        assert a.verdict is not None
        assert a.verdict.summary == "verified"

    def test_values_that_change_on_the_way(self) -> None:
        x = leaf(1.1, 2.2)
        with saved_tensors_hooks(lambda x: x.half(), lambda x: x.double()):
            y = x * x
        y.sum().backward()
        near = np.array([1.1, 2.2], np.float16).astype(float)
        assert x.grad is not None
        assert x.grad.tolist() == (2 * near).tolist()
        assert x.verdict is not None
        assert x.verdict.summary == "wrong"
        assert "1.099609375, but 1.1 is" in x.verdict.reason

    def test_recorded_passes(self) -> None:
        x = leaf(2.0)
        with saved_tensors_hooks(lambda x: x.numpy() if not x.requires_grad else x.detach().numpy(), gp.tensor):
            y = x**3
        (g,) = grad(y.sum(), x, create_graph=True)
        (h,) = grad(g.sum(), x)
        assert (g.tolist(), h.tolist()) == ([12.0], [12.0])

    def test_a_function(self) -> None:
        packed: list[Any] = []

        def pack(x: Tensor) -> Any:
            packed.append(x.tolist())
            return x.detach().numpy()

        x = leaf(2.0)
        with saved_tensors_hooks(pack, lambda a: gp.tensor(a)):
            y = Saves.apply(x)
        y.sum().backward()
        assert packed == [[np.exp(2.0)], [2 * np.exp(2.0)]]
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), [3 * np.exp(2.0)])

    def test_what_is_refused(self) -> None:
        x = leaf(1.0)
        with disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
            saved_tensors_hooks(lambda x: x, lambda x: x).__enter__()
        with saved_tensors_hooks(lambda x: x, lambda x: 3):  # type: ignore[arg-type, return-value]
            y = x * x
        with pytest.raises(TypeError, match="Output of saved tensor unpack_hook expected to be a Tensor but got result of"):
            y.sum().backward()
        with saved_tensors_hooks(lambda x: x, lambda x: gp.ones(3)):
            y = x * x
        with pytest.raises(
            RuntimeError, match=r"unpack_hook returned float32 of shape \[3\] for a saved tensor, which was"
        ):
            y.sum().backward()

    def test_nothing_to_save(self) -> None:
        x = leaf(1.0)
        with save_on_cpu():
            y = gp.checkpoint(lambda x, n: x * n, x, n=3)
        with saved_tensors_hooks(lambda x: 1 / 0, lambda x: x):
            z = (y + 1).sum()
        z.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [3.0]
