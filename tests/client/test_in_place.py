"""Changes in place of recorded tensors: the tensor becomes another output, and nodes that used it keep the old."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client.autograd import Function, grad
from gradproof.client.tensors.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return gp.tensor(list(values), dtype=gp.float64, requires_grad=True)


def gradient(y: Tensor, x: Tensor) -> Any:
    """The gradient of the sum of squares."""
    return grad((y * y).sum(), x)[0].tolist()


def says(kind: type[Exception], text: str, function: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        function()


def change(operator: str) -> Callable[[Any, Any], Any]:
    def run(y: Any, other: Any) -> Any:
        names = {"y": y, "other": other}
        exec(f"y {operator} other", names)  # an augmented assignment
        return names["y"]

    return run


class TestOperators:
    @pytest.mark.parametrize("operator", ["+=", "-=", "*=", "/=", "**="])
    @pytest.mark.parametrize("look", [False, True])
    def test_augmented_assignment(self, operator: str, look: bool) -> None:
        x = leaf(1.0, 2.0)
        y = x * 2
        if look:
            y.value()
        same = change(operator)(y, 3)
        assert same is y
        plain = getattr(x * 2, {"+=": "add", "-=": "sub", "*=": "mul", "/=": "div", "**=": "pow"}[operator])(3)
        assert y.tolist() == plain.tolist()
        assert repr(y.grad_fn) == repr(plain.grad_fn)
        assert gradient(y, x) == gradient(plain, x)

    @pytest.mark.parametrize(
        ("method", "plain"),
        [
            (lambda y: y.mul_(y), lambda y: y * y),
            (lambda y: y.add_(y, alpha=3), lambda y: y * 4),
            (lambda y: y.neg_(), lambda y: -y),
            (lambda y: y.clamp_(2.5, 9), lambda y: y.clamp(2.5, 9)),
            (lambda y: y.exp_(), lambda y: y.exp()),
            (lambda y: y.relu_().sqrt_(), lambda y: y.relu().sqrt()),
            (lambda y: y.masked_fill_(y > 3, 7), lambda y: y.masked_fill(y > 3, 7)),
            (lambda y: y.index_put_([gp.tensor([0])], 5.0), lambda y: y.index_put([gp.tensor([0])], 5.0)),
            (lambda y: y.index_add_(0, gp.tensor([1, 1]), y), lambda y: y.index_add(0, gp.tensor([1, 1]), y)),
            (lambda y: y.scatter_(0, gp.tensor([1]), y[:1]), lambda y: y.scatter(0, gp.tensor([1]), y[:1])),
        ],
    )
    def test_methods(self, method: Callable[[Any], Any], plain: Callable[[Any], Any]) -> None:
        x = leaf(1.0, 2.0)
        y = x * 2
        assert method(y) is y
        assert y.tolist() == plain(x * 2).tolist()
        assert gradient(y, x) == gradient(plain(x * 2), x)

    def test_nodes_keep_what_they_used(self) -> None:
        x = leaf(1.0, 2.0)
        y = x * 2
        before = y * y
        y += 1
        after = y * y
        assert (before.tolist(), after.tolist()) == ([4.0, 16.0], [9.0, 25.0])
        assert grad(before.sum(), x, retain_graph=True)[0].tolist() == [8.0, 16.0]
        assert grad(after.sum(), x, retain_graph=True)[0].tolist() == [12.0, 20.0]
        (before.sum() + after.sum()).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [20.0, 36.0]
        assert x.verdict is not None
        assert x.verdict.summary == "verified"

    def test_a_loop(self) -> None:
        x = leaf(0.5, 1.5)
        total = gp.zeros(2, dtype=gp.float64)
        power = gp.ones(2, dtype=gp.float64)
        for k in range(1, 6):
            power *= x
            total += power * k
        assert total.requires_grad
        points = np.array([0.5, 1.5])
        expected = sum(k * k * points ** (k - 1) for k in range(1, 6))
        np.testing.assert_allclose(grad(total.sum(), x)[0].numpy(), expected, rtol=1e-14)

    def test_second_derivatives(self) -> None:
        x = leaf(2.0)
        y = x * x
        y *= x
        (g,) = grad(y.sum(), x, create_graph=True)
        assert (g.tolist(), grad(g.sum(), x)[0].tolist()) == ([12.0], [12.0])


class TestAssignment:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            (0, [0.0, 16.0, 24.0]),
            (slice(1, None), [8.0, 0.0, 0.0]),
            ([0, 2], [0.0, 16.0, 0.0]),
            (np.array([True, False, True]), [0.0, 16.0, 0.0]),
            (..., [0.0, 0.0, 0.0]),
        ],
    )
    def test_numbers(self, key: Any, expected: list[float]) -> None:
        x = leaf(1.0, 2.0, 3.0)
        y = x * 2
        y[key] = 5
        array = np.array([2.0, 4.0, 6.0])
        array[key] = 5
        assert y.tolist() == array.tolist()
        assert gradient(y, x) == expected

    def test_tensors(self) -> None:
        x = leaf(1.0, 2.0)
        y = gp.zeros(2, 2, dtype=gp.float64)
        before = y + 3
        y[0] = x
        y[1, 0] = x[1] * 5
        assert (y.tolist(), before.tolist()) == ([[1.0, 2.0], [10.0, 0.0]], [[3.0, 3.0], [3.0, 3.0]])
        assert gradient(y, x) == [2.0, 104.0]

    def test_zero_fill_copy(self) -> None:
        x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
        for value, of_w in ((0.0, None), (2.5, None), (w, [6.0, 8.0])):
            y = x * 2
            y = y.copy_(w) if value is w else y.fill_(2.5) if value else y.zero_()
            assert y.requires_grad
            found = grad((y * y).sum(), [x, w], allow_unused=True)
            assert [g if g is None else g.tolist() for g in found] == [[0.0, 0.0], of_w]

    def test_dtypes(self) -> None:
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y[0] = 5
        y[1] = gp.tensor(0.1, dtype=gp.float64)
        assert y.dtype == gp.float32
        assert y.tolist() == [5.0, float(np.float32(0.1))]
        whole = gp.tensor([1, 2])
        whole[0] = 7.9
        assert whole.tolist() == [7, 2]

    def test_constants_and_leaves(self) -> None:
        c = gp.zeros(3)
        c[1] = 4
        c[c > 3] = 7
        c += 1
        c[:2] = gp.tensor([8.0, 9.0])
        assert (c.tolist(), c.is_leaf) == ([8.0, 9.0, 1.0], True)
        w = leaf(1.0, 2.0)
        with gp.no_grad():
            w -= 0.5
            w[0] = 3
        assert (w.tolist(), w.requires_grad, w.is_leaf) == ([3.0, 1.5], True, True)


class TestHooks:
    def test_hooks_stay_with_the_old_node_and_retained_gradients_move(self) -> None:
        x, seen = leaf(1.0, 2.0), []
        y = x * 2
        y.register_hook(lambda g: seen.append(g.tolist()))
        y.retain_grad()
        y.mul_(3)
        y.sum().backward()
        assert seen == [[3.0, 3.0]]
        assert y.grad is not None
        assert y.grad.tolist() == [1.0, 1.0]

    def test_a_forward_that_changes_its_own_tensors_is_in_the_record(self) -> None:
        class Custom(Function):
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                ctx.save_for_backward(a)
                y = a * 2
                y += a
                y[0] = 0
                return y

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * gp.tensor([0.0, 3.0], dtype=gp.float64)

        x = leaf(1.0, 2.0)
        y = Custom.apply(x)
        y.sum().backward()
        assert y.tolist() == [0.0, 6.0]
        assert x.verdict is not None
        assert x.verdict.summary == "verified"


class TestRefused:
    def test_leaves(self) -> None:
        x = leaf(1.0, 2.0)
        leaf_text = "a leaf Variable that requires grad is being used in an in-place operation."
        view_text = "a view of a leaf Variable that requires grad is being used in an in-place operation."
        for function in (lambda: x.add_(1), x.zero_, lambda: x.copy_(x), lambda: x.__setitem__(0, 1)):
            says(RuntimeError, leaf_text, function)
        says(RuntimeError, view_text, lambda: x[0].add_(1))
        assert x.tolist() == [1.0, 2.0]

    def test_a_history_under_no_grad(self) -> None:
        y = leaf(1.0) * 2
        with gp.no_grad():
            says(RuntimeError, "write y = y + 1 in place of y += 1", lambda: y.add_(1))

    def test_shapes_and_dtypes(self) -> None:
        x = leaf(1.0, 2.0)
        y = x * 2
        says(RuntimeError, "output with shape [2] doesn't match the broadcast shape [3, 2]", lambda: y.add_(gp.ones(3, 2)))
        says(RuntimeError, "can't be cast to the desired output type Double", lambda: y.mul_(gp.tensor(1j)))
        says(RuntimeError, "can't be cast to the desired output type Double", lambda: y.fill_(1j))
        says(RuntimeError, "can't be cast to the desired output type Long", lambda: gp.tensor([1, 2]).add_(x))
        assert y.tolist() == [2.0, 4.0]

    def test_a_view_that_changes(self) -> None:
        x = leaf(1.0, 2.0)
        y = x * 2
        v = y[0]
        v += 1
        assert v.item() == 3.0
        for function in (lambda: y * 2, y.value, y.detach, y.sum, lambda: grad(y, x, gp.ones(2))):
            says(RuntimeError, "write y[key] = y[key] + 1 in place of v = y[key]; v += 1", function)
        says(RuntimeError, "a view of this tensor was changed in place", lambda: y.__setitem__(1, v))  # another place

    def test_a_view_that_is_assigned_back(self) -> None:
        x = leaf(1.0, 2.0, 3.0)
        y = x * 2
        y[0] += 1
        y[1:] *= 3
        assert y.tolist() == [3.0, 12.0, 18.0]
        assert grad(y.sum(), x)[0].tolist() == [2.0, 6.0, 6.0]

    def test_a_view_of_what_has_changed(self) -> None:
        y = leaf(1.0, 2.0) * 2
        v, copied = y[0], y[1].clone()
        y += 1
        says(RuntimeError, "take the view after the change, or clone() it before", lambda: v * 2)
        assert (copied * 2).item() == 8.0
        assert (y[0] * 2).item() == 6.0
