"""Hooks on tensors, nodes and leaves, as PyTorch 2.13 was observed to run them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client.autograd import register_multi_grad_hook
from gradproof.client.tensors.tensor import Tensor

pytestmark = pytest.mark.usefixtures("tensors")


def leaf(value: Any, **rest: Any) -> Tensor:
    return gp.tensor(value, requires_grad=True, **rest)


class TestOrder:
    def test_of_registration_and_each_sees_the_result_before(self) -> None:
        x, said = leaf([1.0]), []
        x.register_hook(lambda g: said.append(("h1", g.tolist())) or g * 10)
        x.register_hook(lambda g: said.append(("h2", g.tolist())) or g + 1)
        x.register_hook(lambda g: said.append(("h3", g.tolist())))
        (x * 2).backward()
        assert said == [("h1", [2.0]), ("h2", [20.0]), ("h3", [21.0])]
        assert x.grad is not None
        assert x.grad.tolist() == [21.0]

    def test_a_retained_gradient_is_that_after_all_hooks(self) -> None:
        x = leaf([1.0])
        y = x * 2
        y.register_hook(lambda g: g + 1)
        y.retain_grad()
        y.register_hook(lambda g: g * 10)
        (y * 3).backward()
        assert (y.grad.tolist(), x.grad.tolist()) == ([40.0], [80.0])
        assert (y.raw_grad.tolist(), [t.changed for t in y.hook_traces]) == ([3.0], [True, True])

    def test_once_a_pass_with_the_total(self) -> None:
        x, seen = leaf([3.0]), []
        x.register_hook(lambda g: seen.append(g.item()))
        (x * x + x * 2).backward()
        (x * 5).backward()
        assert (seen, x.grad.tolist()) == ([8.0, 5.0], [13.0])

    def test_across_the_graph_it_is_the_reverse_of_recording(self) -> None:
        x, said = leaf(1.0), []
        a = x * 2
        b = x * 3
        c = a + b
        for name, t in (("x", x), ("a", a), ("b", b), ("c", c)):
            t.register_hook(lambda g, name=name: said.append(name))
        c.backward()
        assert said == ["c", "b", "a", "x"]

    def test_broadcast_leaves_get_their_own_shape_and_roots_the_seed(self) -> None:
        x, shapes = leaf([[1.0], [2.0]]), []
        y = x + gp.ones(2, 3)
        x.register_hook(lambda g: shapes.append(g.shape))
        y.register_hook(lambda g: shapes.append(g.tolist()))
        y.backward(gp.full((2, 3), 2.0))
        assert shapes == [[[2.0] * 3] * 2, (2, 1)]


class TestTracing:
    def test_arithmetic_goes_to_the_server_as_a_graph(self, tensors: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tensors.client, "_session", None)  # which a hook that runs here would need
        x, scale, calls = leaf([1.0, 2.0, 3.0]), gp.tensor([1.0, 10.0, 100.0]), []
        x.register_hook(lambda g: calls.append(1) or (g * scale).clamp(max=50.0) + x.detach())
        (x * 2).sum().backward()
        assert (x.grad.tolist(), calls) == ([3.0, 22.0, 53.0], [1])

    def test_what_looks_at_its_gradient_runs_here_once(self) -> None:
        x, calls = leaf([1.0, 2.0]), []

        def look(g: Tensor) -> Tensor:
            calls.append("called")
            return gp.from_numpy(np.sort(g.numpy())[::-1]) if g[0].item() < g[1].item() else g

        x.register_hook(look)
        (x * gp.tensor([3.0, 4.0])).sum().backward()
        assert (x.grad.tolist(), calls) == ([4.0, 3.0], ["called"])

    def test_a_gradient_that_a_hook_kept_can_be_looked_at_afterwards(self) -> None:
        x, kept = leaf([1.0, 2.0]), []
        y = x * 3
        y.register_hook(kept.append)
        y.register_hook(lambda g: g * 2)
        y.register_hook(kept.append)
        y.sum().backward()
        assert [g.tolist() for g in kept] == [[1.0, 1.0], [2.0, 2.0]]

    def test_one_hook_may_use_the_gradient_of_another(self) -> None:
        x, kept = leaf([1.0, 2.0]), []
        y = x * 3
        y.register_hook(kept.append)
        x.register_hook(lambda g: g + kept[0] * 100)
        (y * y).sum().backward()
        assert x.grad.tolist() == [18.0 + 600.0, 36.0 + 1200.0]

    def test_what_a_failed_pass_did_not_come_to_is_not_known(self) -> None:
        x, kept = leaf(1.0), []

        def bad(g: Tensor) -> None:
            raise KeyError("mine")

        x.register_hook(kept.append)
        x.register_hook(bad)
        with pytest.raises(KeyError, match="mine"):
            (x * 2).backward()
        with pytest.raises(RuntimeError, match="did not get to this gradient"):
            kept[0].tolist()
        assert x.grad is None

    def test_gradients_do_not_record(self) -> None:
        x, found = leaf(2.0), []
        x.register_hook(lambda g: found.append((g * x).requires_grad))
        (x * x).backward()
        assert found == [False]


class TestFaults:
    @pytest.mark.parametrize(
        ("result", "kind", "text"),
        [
            (lambda g: g.sum(), RuntimeError, "hook '<lambda>' has changed the size of value"),
            (lambda g: g[None], RuntimeError, "hook '<lambda>' has changed the size of value"),
            (
                lambda g: g.double(),
                RuntimeError,
                "hook '<lambda>' has changed the type of value (was torch.FloatTensor got torch.DoubleTensor)",
            ),
            (lambda g: 3, TypeError, "expected Variable, but hook returned 'int'"),
            (lambda g: g.numpy(), TypeError, "expected Variable, but hook returned 'numpy.ndarray'"),
            (lambda g: gp.tensor(g.tolist()[:1]), RuntimeError, "hook '<lambda>' has changed the size of value"),
        ],
    )
    @pytest.mark.parametrize("inner", [False, True])
    def test_texts(self, result: Any, kind: type[Exception], text: str, inner: bool) -> None:
        x = leaf([1.0, 2.0])
        y = x * 2
        (y if inner else x).register_hook(result)
        with pytest.raises(kind, match=re.escape(text)):
            y.sum().backward()
        assert x.grad is None

    def test_registration(self) -> None:
        anything: Any = 3
        x = leaf(1.0)
        with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
            gp.tensor(1.0).register_hook(lambda g: g)
        x.register_hook(anything)
        with pytest.raises(TypeError, match="'int' object is not callable"):
            (x * 1).backward()


class TestHandles:
    def test_removing(self) -> None:
        x = leaf([1.0, 2.0, 3.0])
        handle = x.register_hook(lambda g: g * 2)
        (x * x / 2).sum().backward()
        assert x.grad.tolist() == [2.0, 4.0, 6.0]
        handle.remove()
        handle.remove()
        x.grad = None
        (x * x / 2).sum().backward()
        assert x.grad.tolist() == [1.0, 2.0, 3.0]
        with x.register_hook(lambda g: g * 0) as again:
            assert isinstance(again.id, int)
        (x * 1).sum().backward()
        assert x.grad.tolist() == [2.0, 3.0, 4.0]

    @pytest.mark.parametrize("looking", [False, True])
    def test_removed_during_the_pass_it_still_runs_on_this_tensor(self, looking: bool) -> None:
        said: list[str] = []
        y = leaf([1.0]) * 1
        y.register_hook(lambda g: (looking and g.item(), second.remove(), said.append("a"))[1])
        second = y.register_hook(lambda g: said.append("b"))
        y.backward(retain_graph=True)
        y.backward()
        assert said == ["a", "b", "a"]

    def test_a_hook_that_looked_removes_one_of_a_later_tensor(self) -> None:
        said: list[str] = []
        x = leaf([1.0])
        y = x * 1
        later = x.register_hook(lambda g: said.append("x"))
        y.register_hook(lambda g: (g.item(), later.remove())[1])
        y.backward()
        assert said == []

    def test_added_during_the_pass(self) -> None:
        said: list[str] = []
        x = leaf([1.0])
        y = x * 1

        def add(g: Tensor) -> None:
            y.register_hook(lambda g: said.append("late y"))
            x.register_hook(lambda g: said.append("late x"))

        y.register_hook(add)
        y.backward()
        assert said == ["late x"]

    def test_twice_is_twice(self) -> None:
        x = leaf(1.0)
        double = lambda g: g * 2  # noqa: E731
        x.register_hook(double)
        x.register_hook(double)
        (x * 1).backward()
        assert x.grad.item() == 4.0


class TestNamed:
    def test_a_hook_of_the_server(self) -> None:
        x = leaf([3.0, 4.0])
        x.register_hook("clip", max_norm=1.0)
        (x * x / 2).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), [0.6, 0.8], rtol=1e-6)
        assert x.raw_grad.tolist() == [3.0, 4.0]
        with pytest.raises(TypeError, match="only a hook of the server takes attributes"):
            x.register_hook(lambda g: g, max_norm=1.0)

    def test_verdicts_below_hooks(self) -> None:
        x = leaf([3.0, 4.0], dtype=gp.float64)
        y = x * x
        y.register_hook(lambda g: g * 2 if g.sum().item() else g)
        y.sum().backward()
        verdict = x.verdict
        assert verdict is not None
        assert (verdict.summary, verdict.graph.word, len(verdict.hooked_by)) == ("verified", "CUT", 1)


class TestPostAccumulate:
    def test_it_gets_the_leaf(self) -> None:
        x, seen = leaf([2.0]), []
        x.register_post_accumulate_grad_hook(lambda p: seen.append((p is x, p.grad.tolist())))
        (x * 3).backward()
        (x * 3).backward()
        gp.autograd.grad(x * 3, x)
        assert seen == [(True, [3.0]), (True, [6.0])]

    def test_it_may_drop_the_gradient_and_must_return_nothing(self) -> None:
        x = leaf([1.0])
        handle = x.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
        (x * 2).backward()
        assert x.grad is None
        handle.remove()
        anything: Any = lambda p: gp.tensor([0.0])  # noqa: E731
        x.register_post_accumulate_grad_hook(anything)
        with pytest.raises(RuntimeError, match="Tensor post accumulate grad hooks should return None"):
            (x * 2).backward()
        assert x.grad.tolist() == [2.0]
        with pytest.raises(RuntimeError, match="post accumulate grad hooks cannot be registered on non-leaf tensors"):
            (x * 2).register_post_accumulate_grad_hook(lambda p: None)


class TestMulti:
    def test_all_and_any(self) -> None:
        a, b, c, seen = leaf(1.0), leaf(2.0), leaf(3.0), []
        handle = register_multi_grad_hook([a, b, c], lambda found: seen.append([g and g.item() for g in found]))
        (a * b).backward()
        assert seen == [[2.0, 1.0, None]]
        handle.remove()
        first: list[float] = []
        register_multi_grad_hook([a, b], lambda g: first.append(g.item()), mode="any")
        (a * b).backward()
        assert len(first) == 1
        with pytest.raises(ValueError, match="Expects mode to be one of"):
            register_multi_grad_hook([a], lambda found: None, mode="some")
