"""Modes and small things of autograd: inference mode, data, detach_, edges, hooks of passes that run at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client.autograd import grad
from gradproof.client.autograd.graph import GradientEdge, Node, get_gradient_edge, register_multi_grad_hook
from gradproof.client.tensors.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return gp.tensor(list(values), dtype=gp.float64, requires_grad=True)


def gradient(x: Tensor) -> Any:
    assert x.grad is not None
    return x.grad.tolist()


class TestModes:
    def test_inference_mode(self) -> None:
        x = leaf(1.0, 2.0)
        with gp.inference_mode():
            assert (gp.is_inference_mode_enabled(), gp.is_grad_enabled(), (x * 2).requires_grad) == (True, False, False)
            with gp.inference_mode(False):
                assert (gp.is_inference_mode_enabled(), (x * 2).requires_grad) == (False, True)
        assert (gp.is_inference_mode_enabled(), gp.is_grad_enabled()) == (False, True)

    @pytest.mark.parametrize(
        "decorator",
        [gp.inference_mode, lambda f: gp.inference_mode()(f), gp.no_grad, lambda f: gp.set_grad_enabled(False)(f)],
    )
    def test_decorators(self, decorator: Callable[..., Any]) -> None:
        x = leaf(1.0)
        double = decorator(lambda y: y * 2)
        assert gp.is_grad_enabled()
        assert not double(x).requires_grad
        assert (x * 2).requires_grad

    def test_set_grad_enabled(self) -> None:
        x = leaf(1.0)
        try:
            gp.set_grad_enabled(False)
            assert not (x * 2).requires_grad
            with gp.set_grad_enabled(True):
                assert (x * 2).requires_grad
            assert not gp.is_grad_enabled()
        finally:
            gp.set_grad_enabled(True)

    def test_numpy_under_no_grad(self) -> None:
        x = leaf(2.0, 3.0)
        with gp.no_grad():
            assert x.numpy().tolist() == [2.0, 3.0]
            assert np.asarray(x).tolist() == [2.0, 3.0]
        with pytest.raises(RuntimeError, match="Use tensor"):
            x.numpy()


class TestData:
    def test_data(self) -> None:
        x = leaf(1.0, 2.0)
        y = x * x
        assert (x.data.requires_grad, y.data.is_leaf, y.data.tolist()) == (False, True, [1.0, 4.0])
        x.data = gp.tensor([5.0, 6.0, 7.0], dtype=gp.float64)
        assert (x.tolist(), x.requires_grad, x.shape) == ([5.0, 6.0, 7.0], True, (3,))
        (x * x).sum().backward()
        assert gradient(x) == [10.0, 12.0, 14.0]
        (kept,) = grad(y.sum(), x)
        assert kept.tolist() == [2.0, 4.0]

    def test_a_change_of_data_in_place(self) -> None:
        x = leaf(1.0, 2.0)
        y = (x * x).sum()
        x.data.mul_(2)[0] = 7.0
        x.data[1] += 1
        assert (x.tolist(), x.requires_grad, x.is_leaf) == ([7.0, 5.0], True, True)
        y.backward()
        assert gradient(x) == [2.0, 4.0]  # of the value that was recorded
        assert x.grad is not None
        x.grad.data.zero_()
        assert gradient(x) == [0.0, 0.0]
        lazy = leaf(1.0).detach() * 2
        lazy.data.add_(1)
        assert lazy.tolist() == [3.0]

    def test_a_change_of_data_that_is_refused(self) -> None:
        x = leaf(1.0)
        y = x * 2
        with pytest.raises(RuntimeError, match="no leaf"):
            y.data.zero_()
        with pytest.raises(RuntimeError, match="cannot be recorded"):
            x.data.mul_(x)
        assert (x.tolist(), y.tolist()) == ([1.0], [2.0])

    def test_data_that_is_refused(self) -> None:
        x = leaf(1.0)
        with pytest.raises(TypeError, match="Variable data has to be a tensor, but got int"):
            x.data = 3  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="must be floating point or complex dtype"):
            x.data = gp.tensor([1])
        with pytest.raises(RuntimeError, match="no leaf"):
            (x * 2).data = x.data

    def test_del_grad(self) -> None:
        x = leaf(1.0)
        (x * 2).sum().backward()
        del x.grad
        assert x.grad is None
        assert x.verdict is None

    @pytest.mark.parametrize("look", [False, True])
    def test_detach_in_place(self, look: bool) -> None:
        x = leaf(1.0, 2.0)
        y = x * 3
        before = y * y
        if look:
            y.value()
        assert y.detach_() is y
        assert (y.is_leaf, y.requires_grad, (y * 2).requires_grad, y.tolist()) == (True, False, False, [3.0, 6.0])
        before.sum().backward()
        assert gradient(x) == [18.0, 36.0]
        x.detach_()
        assert not x.requires_grad

    def test_detach_in_place_keeps_hooks_of_the_old_node(self) -> None:
        x, seen = leaf(1.0), []
        y = x * 3
        y.register_hook(lambda g: seen.append(g.item()))
        z = y * 2
        y.detach_()
        z.sum().backward()
        assert seen == [2.0]

    def test_a_view_is_not_detached_in_place(self) -> None:
        with pytest.raises(RuntimeError, match="Can't detach views in-place"):
            leaf(1.0, 2.0)[0].detach_()

    def test_requires_grad_of_an_inner_tensor(self) -> None:
        y = leaf(1.0) * 2
        assert y.requires_grad_() is y
        with pytest.raises(RuntimeError, match="use var_no_grad"):
            y.requires_grad_(False)


class TestEdges:
    def test_edges_in_place_of_tensors(self) -> None:
        x = leaf(1.0, 2.0)
        y = x * 2
        inner, outer = get_gradient_edge(y), get_gradient_edge(x)
        assert isinstance(inner, GradientEdge)
        assert (inner.node, inner.output_nr) == (y.grad_fn, 0)
        assert outer.node.name() == "torch::autograd::AccumulateGrad"
        assert isinstance(inner.node, Node)
        assert isinstance(outer.node, Node)
        gradients = grad((y * y).sum(), [inner, outer])
        assert [g.tolist() for g in gradients] == [[4.0, 8.0], [8.0, 16.0]]
        (whole,) = grad(get_gradient_edge((x * 3).sum()), x)
        assert whole.tolist() == [3.0, 3.0]
        (x * 2).sum().backward(inputs=[outer])
        assert gradient(x) == [2.0, 2.0]

    def test_an_edge_of_a_tensor_that_nobody_holds(self) -> None:
        x = leaf(1.0, 2.0)

        def made() -> tuple[GradientEdge, Tensor]:
            y = x * 2
            return get_gradient_edge(y), (y * y).sum()

        edge, loss = made()
        assert grad(loss, edge)[0].tolist() == [4.0, 8.0]

    def test_no_edge_without_gradients(self) -> None:
        with pytest.raises(RuntimeError, match="not possible to get the gradient edge"):
            get_gradient_edge(gp.tensor(1.0))

    def test_metadata(self) -> None:
        node = (leaf(1.0) * 2).grad_fn
        assert node is not None
        assert node.metadata == {}
        node.metadata["layer"] = 3
        assert node.metadata == {"layer": 3}


class TestHooks:
    def test_passes_that_run_at_once_have_their_own_multi_grad_hooks(self) -> None:
        for mode in ("any", "all"):
            a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
            seen: list[Any] = []
            register_multi_grad_hook((a, b), seen.append, mode=mode)
            out = (a * b).sum()
            passes = [
                threading.Thread(target=lambda o=out, i=[a, b]: o.backward(inputs=i, retain_graph=True)) for _ in range(4)
            ]
            for one in passes:
                one.start()
            for one in passes:
                one.join()
            assert len(seen) == 4

    @pytest.mark.parametrize(("mode", "found"), [("any", [[6.0]]), ("all", [[4.0], [6.0]])])
    def test_multi_grad_hooks_of_recorded_passes(self, mode: str, found: Any) -> None:
        a, b = leaf(2.0), leaf(3.0)
        seen: list[Any] = []
        register_multi_grad_hook((a, b), seen.append, mode=mode)
        grad((a * b * 2).sum(), [b, a], create_graph=True)
        assert len(seen) == 1
        got = [seen[0]] if mode == "any" else list(seen[0])
        assert sorted(g.tolist() for g in got) in (found, sorted(found), [[4.0]])

    @pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
    @pytest.mark.parametrize("create_graph", [False, True])
    def test_prehooks_of_the_node_of_an_input(self, create_graph: bool) -> None:
        log: list[Any] = []
        y = leaf(2.0) * 3
        y.register_hook(lambda g: log.append("tensor"))
        node = y.grad_fn
        assert node is not None
        node.register_prehook(lambda g: log.append([t.tolist() for t in g]))
        (y * y).sum().backward(inputs=[y], create_graph=create_graph)
        assert log == ["tensor", [[12.0]]]
        grad((y * y).sum(), y, create_graph=create_graph)
        assert log == ["tensor", [[12.0]], "tensor"]
