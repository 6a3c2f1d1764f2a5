"""Jacobians, Hessians and products with them: strictness, strategies, histories and texts; gradients that are zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gradproof.client as gp
from gradproof.client import Tensor
from gradproof.client.autograd import functional as F
from gradproof.client.autograd import grad

pytestmark = pytest.mark.usefixtures("tensors")


def t(value: Any, requires_grad: bool = False) -> Tensor:
    return gp.tensor(value, dtype=gp.float64, requires_grad=requires_grad)


X, ONES = t([1.5, 2.5]), t([1.0, 1.0])


def apart(a: Tensor) -> Tensor:
    """Twice the whole part, through a leaf of its own."""
    return a.long().to(gp.float64).requires_grad_() * 2


def linear(a: Tensor) -> Tensor:
    return 2 * a


def constant(a: Tensor) -> Tensor:
    return t(1.0)


INDEPENDENT = "The output of the user-provided function is independent of input {}. This is not allowed in strict mode."
BLOCK = "Output 0 of the user-provided function is independent of input {}. This is not allowed in strict mode."
NO_GRAD = (
    "Output 0 of the user-provided function does not require gradients. The outputs must be computed in a differentiable "
    "manner from the input when running in strict mode."
)
LINEAR = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {} is "
    "independent of the input. This is not allowed in strict mode. You should ensure that your function is twice "
    "differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example)."
)
STEADY_JACOBIAN = (
    "The jacobian of the user-provided function is independent of input 0. This is not allowed in strict mode when "
    "create_graph=True."
)
STEADY_HESSIAN = STEADY_JACOBIAN.replace("jacobian", "hessian")


class TestStrict:
    """The texts of PyTorch 2.13."""

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: F.vjp(apart, X, ONES, strict=True), INDEPENDENT.format(0)),
            (lambda: F.jvp(apart, X, ONES, strict=True), INDEPENDENT.format(0)),
            (lambda: F.jacobian(apart, X, strict=True), BLOCK.format(0)),
            (lambda: F.vjp(lambda a, b: a * a, (X, X), ONES, strict=True), INDEPENDENT.format(1)),
            (lambda: F.jvp(lambda a, b: a * a, (X, X), (ONES, ONES), strict=True), INDEPENDENT.format(1)),
            (lambda: F.jacobian(lambda a, b: a * a, (X, X), strict=True), BLOCK.format(1)),
            (lambda: F.vjp(constant, X, t(1.0), strict=True), NO_GRAD),
            (lambda: F.jvp(constant, X, ONES, strict=True), NO_GRAD),
            (lambda: F.jacobian(constant, X, strict=True), NO_GRAD),
            (lambda: F.vjp(linear, X, ONES, strict=True, create_graph=True), STEADY_JACOBIAN),
            (lambda: F.jvp(linear, X, ONES, strict=True, create_graph=True), STEADY_JACOBIAN),
            (lambda: F.jacobian(linear, X, strict=True, create_graph=True), STEADY_JACOBIAN),
        ],
    )
    def test_first_derivatives(self, call: Callable[[], Any], text: str) -> None:
        with pytest.raises(RuntimeError) as caught:
            call()
        assert str(caught.value) == text

    @pytest.mark.parametrize("name", ["hvp", "vhp", "hessian"])
    @pytest.mark.parametrize(
        ("function", "options", "texts"),
        [
            (lambda a: linear(a).sum(), {}, [LINEAR.format(0)]),
            (lambda a: apart(a).sum(), {}, [INDEPENDENT.format(0), LINEAR.format(0)]),
            (constant, {}, [NO_GRAD]),
            (lambda a: (a * a).sum(), {"create_graph": True}, [STEADY_HESSIAN, STEADY_JACOBIAN]),
        ],
    )
    def test_second_derivatives(self, name: str, function: Any, options: Any, texts: list[str]) -> None:
        vectors = () if name == "hessian" else (ONES,)
        with pytest.raises(RuntimeError) as caught:
            getattr(F, name)(function, X, *vectors, strict=True, **options)
        assert str(caught.value) == (texts[-1] if name == "hessian" else texts[0])

    def test_of_two_inputs(self) -> None:
        with pytest.raises(RuntimeError, match=r"with respect to input 1 is independent of the input\."):
            F.vhp(lambda a, b: (a * a + b).sum(), (X, X), (ONES, ONES), strict=True)
        with pytest.raises(RuntimeError, match=r"Output 0 of the user-provided function is independent of input 1\."):
            F.hessian(lambda a, b: (a * a + b * b).sum(), (X, X), strict=True)

    def test_what_depends_is_taken(self) -> None:
        assert F.jacobian(linear, X, strict=True).tolist() == [[2.0, 0.0], [0.0, 2.0]]
        assert F.jvp(linear, X, ONES, strict=True)[1].tolist() == [2.0, 2.0]
        assert F.vjp(linear, X, ONES, strict=True)[1].tolist() == [2.0, 2.0]
        for product in (F.hvp, F.vhp):
            assert product(lambda a: (a * a).sum(), X, ONES, strict=True)[1].tolist() == [2.0, 2.0]
            assert product(lambda a: a.relu().sum(), X, ONES, strict=True)[1].tolist() == [0.0, 0.0]
        assert F.hessian(lambda a: (a * a).sum(), X, strict=True).tolist() == [[2.0, 0.0], [0.0, 2.0]]

    def test_not_strict_it_is_zeros(self) -> None:
        assert F.vjp(apart, X, ONES)[1].tolist() == F.jvp(apart, X, ONES)[1].tolist() == [0.0, 0.0]
        assert F.jacobian(apart, X).tolist() == F.jacobian(apart, X, strategy="forward-mode").tolist() == [[0.0] * 2] * 2
        assert F.hvp(lambda a: linear(a).sum(), X, ONES)[1].tolist() == [0.0, 0.0]


class TestStrategies:
    @pytest.mark.parametrize("vectorize", [False, True])
    @pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
    def test_they_give_the_same(self, strategy: str, vectorize: bool) -> None:
        rows = F.jacobian(lambda a, b: (a * b, a.sum()), (X, ONES), vectorize=vectorize, strategy=strategy)
        assert [[block.tolist() for block in row] for row in rows] == [
            [[[1.0, 0.0], [0.0, 1.0]], [[1.5, 0.0], [0.0, 2.5]]],
            [[1.0, 1.0], [0.0, 0.0]],
        ]
        whole = F.hessian(lambda a: (a * a * a).sum(), X, vectorize=vectorize, outer_jacobian_strategy=strategy)
        assert whole.tolist() == [[9.0, 0.0], [0.0, 15.0]]

    def test_texts(self) -> None:
        with pytest.raises(RuntimeError, match="`strict=True` and `vectorized=True` are not supported together"):
            F.jacobian(linear, X, strict=True, vectorize=True)
        with pytest.raises(RuntimeError, match='`strict=True` and `strategy="forward-mode"` are not supported together'):
            F.jacobian(linear, X, strict=True, strategy="forward-mode")
        with pytest.raises(ValueError, match='Expected strategy to be either "forward-mode" or "reverse-mode"'):
            F.jacobian(linear, X, strategy="sideways")


TENSORS = "must be either a Tensor or a tuple of Tensors"
SAYS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: F.jvp(lambda a, b: a * b, (X, 3), (ONES, ONES)), TypeError,  # type: ignore[type-var]
     f"The inputs given to jvp {TENSORS} but the value at index 1 has type <class 'int'>."),
    (lambda: F.jacobian(linear, 3), TypeError,  # type: ignore[call-overload]
     f"The inputs given to jacobian {TENSORS} but the given inputs has type <class 'int'>."),
    (lambda: F.hessian(linear, [X]), TypeError,  # type: ignore[call-overload]
     f"The inputs given to hessian {TENSORS} but the given inputs has type <class 'list'>."),
    (lambda: F.jacobian(lambda a: (a, 3), X), TypeError,  # type: ignore[type-var]
     f"The outputs of the user-provided function given to jacobian {TENSORS} but the value at index 1 has type"),
    (lambda: F.vjp(linear, X, 3), TypeError,
     f"The v given to vjp {TENSORS} but the given v has type <class 'int'>."),
    (lambda: F.vjp(linear, X, t([1.0])), RuntimeError,
     "v has invalid size: should be torch.Size([2]) but got torch.Size([1])."),
    (lambda: F.vjp(lambda a: (a, a), X, (ONES, t([1.0]))), RuntimeError,
     "Entry 1 in v has invalid size: should be torch.Size([2]) but got torch.Size([1])."),
    (lambda: F.vjp(lambda a: (a, a), X, ONES), RuntimeError,
     "v is a tuple of invalid length: should be 2 but got 1."),
    (lambda: F.vjp(linear, X, (ONES, ONES)), RuntimeError, "The given v should contain a single Tensor."),
    (lambda: F.hvp(lambda a: (a.sum(), a.sum()), X, ONES), RuntimeError,  # type: ignore[arg-type, return-value]
     "The function given to hvp should return a single Tensor"),
    (lambda: F.vhp(linear, X, ONES), RuntimeError,
     "The Tensor returned by the function given to vhp should contain a single element"),
    (lambda: F.jvp(linear, X), RuntimeError,
     "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."),
    (lambda: F.jacobian(linear, gp.tensor([1])), RuntimeError,
     "only Tensors of floating point dtype can require gradients"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), SAYS, ids=[text[:40] for _, _, text in SAYS])
def test_texts(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


class TestHistories:
    def test_create_graph_decides(self) -> None:
        x, v = t([1.5, 2.5], True), t([1.0, 2.0], True)
        cubes: Callable[[Tensor], Tensor] = lambda a: (a * a * a).sum()  # noqa: E731
        for create_graph in (False, True):
            results = [
                *F.vjp(lambda a: a * a, x, v, create_graph),
                *F.jvp(lambda a: a * a, x, v, create_graph),
                *F.hvp(cubes, x, v, create_graph),
                *F.vhp(cubes, x, v, create_graph),
                F.jacobian(lambda a: a * a, x, create_graph),
                F.hessian(cubes, x, create_graph),
            ]
            assert [result.requires_grad for result in results] == [create_graph] * len(results)

    def test_under_no_grad_too(self) -> None:
        x = t([1.5, 2.5], True)
        with gp.no_grad():
            assert F.jacobian(lambda a: a * a, x, create_graph=True).requires_grad
            _, product = F.hvp(lambda a: (a * a * a).sum(), x, ONES, create_graph=True)
        assert grad(product.sum(), x)[0].tolist() == [6.0, 6.0]
        assert F.jacobian(lambda a: a * a, x).tolist() == [[3.0, 0.0], [0.0, 5.0]]

    def test_a_forward_jacobian_can_be_differentiated(self) -> None:
        x = t([1.5, 2.5], True)
        F.jacobian(lambda a: a * a * a, x, create_graph=True, strategy="forward-mode").sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [9.0, 15.0]


class TestZeros:
    def test_materialized_zeros_can_be_differentiated(self) -> None:
        x, a = t(0.5, True), t(2.0, True)
        (first,) = grad(x * a * a, x, create_graph=True)
        (second,) = grad(first, x, create_graph=True, allow_unused=True, materialize_grads=True)
        assert (second.item(), second.requires_grad) == (0.0, True)
        assert grad(second, x, materialize_grads=True)[0].item() == 0.0
        assert not grad(x * a, t(1.0, True), materialize_grads=True)[0].requires_grad

    def test_a_penalty_on_a_gradient_that_is_a_step(self) -> None:
        y = t([1.0, -1.0, 0.0], True)
        (step,) = grad(y.relu().sum(), y, create_graph=True)
        assert (step.tolist(), step.requires_grad) == ([1.0, 0.0, 0.0], True)
        (step * step).sum().backward()
        assert y.grad is not None
        assert y.grad.tolist() == [0.0, 0.0, 0.0]
        assert y.verdict is not None
        assert y.verdict.summary in ("verified", "plausible")

    def test_a_step_that_is_infinite_or_no_number_stays_so(self) -> None:
        y = t([1.0, -1.0], True)
        (g,) = grad(y.relu(), y, t([float("inf"), float("nan")]), create_graph=True)
        assert g.tolist() == [float("inf"), 0.0]

    def test_a_linear_gradient_has_no_history(self) -> None:
        y = t([1.0, -1.0], True)
        assert not grad((2 * y).sum(), y, create_graph=True)[0].requires_grad

    @pytest.mark.parametrize("exponent", [0, 1, 2, 1.0, 2.0])
    def test_third_derivatives_of_powers_at_zero(self, exponent: float) -> None:
        x = t(0.0, True)
        y = x**exponent
        for _ in range(3):
            if y.requires_grad:
                (y,) = grad(y, x, create_graph=True)
        assert y.item() == 0.0 or not y.requires_grad
        assert gp.func.grad(gp.func.grad(gp.func.grad(lambda a: a**exponent)))(t(0.0)).item() == 0.0
