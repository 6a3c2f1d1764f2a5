"""Hooks of backward nodes, as PyTorch 2.13 was observed to run them; the numbers are worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client.autograd import grad
from gradproof.client.backward import engine
from gradproof.client.recording import runtime
from gradproof.client.recording.apply import apply
from gradproof.client.recording.record import Node
from gradproof.client.tensors.tensor import Tensor

pytestmark = pytest.mark.usefixtures("tensors")


def leaf(value: Any, **rest: Any) -> Tensor:
    return gp.tensor(value, requires_grad=True, **rest)


def node(tensor: Tensor) -> Node:
    assert tensor.grad_fn is not None
    return tensor.grad_fn


def lists(gradients: Any) -> list[Any]:
    return [None if one is None else one.tolist() for one in gradients]


LOOKING = [False, True]
"""Whether the first hook looks at its gradient, so that all others run during the pass."""


def looks(function: Callable[..., Any], looking: bool) -> Callable[..., Any]:
    """The same hook, which reads a number of what it gets, or not."""

    def hook(*gradients: Any) -> Any:
        if looking:
            next(one for one in gradients[0] if one is not None).tolist()
        return function(*gradients)

    return hook


class TestOrder:
    @pytest.mark.slow
    @pytest.mark.parametrize("looking", LOOKING)
    def test_tensor_before_rule_after_accumulated(self, looking: bool) -> None:
        x, said = leaf([2.0]), []
        y = x * 3
        node(y).register_hook(lambda gi, go: said.append(("4 post", gi, go)) or (gi[0] * 2, None))
        y.retain_grad()
        node(y).register_prehook(looks(lambda go: said.append(("2 pre", go)) or (go[0] * 2,), looking))
        y.register_hook(lambda g: said.append(("1 tensor", (g,))) or g * 2)
        x.register_post_accumulate_grad_hook(lambda p: said.append(("5 post-acc", (p.grad,))))
        y.backward()
        assert [(name, *map(lists, found)) for name, *found in said] == [
            ("1 tensor", [[1.0]]),
            ("2 pre", [[2.0]]),
            ("4 post", [[12.0], None], [[4.0]]),
            ("5 post-acc", [[24.0]]),
        ]
        assert (y.grad.tolist(), y.raw_grad.tolist(), x.grad.tolist()) == ([2.0], [1.0], [24.0])

    @pytest.mark.parametrize("looking", LOOKING)
    def test_across_the_graph(self, looking: bool) -> None:
        x, said = leaf(2.0), []
        a = x * 2
        b = x * 3
        c = a + b
        for name, t in (("a", a), ("b", b), ("c", c)):
            node(t).register_hook(lambda gi, go, name=name: said.append(f"post {name}"))
            node(t).register_prehook(looks(lambda go, name=name: said.append(f"pre {name}"), looking))
            t.register_hook(lambda g, name=name: said.append(name))
        x.register_hook(lambda g: said.append("x"))
        c.backward()
        assert said == ["c", "pre c", "post c", "b", "pre b", "post b", "a", "pre a", "post a", "x"]

    @pytest.mark.parametrize("looking", LOOKING)
    def test_of_registration_and_each_sees_the_result_before(self, looking: bool) -> None:
        x, w, seen = leaf(2.0), leaf(5.0), []
        y = x * w
        f = node(y)
        f.register_prehook(looks(lambda go: (go[0] * 3,), looking))
        f.register_prehook(lambda go: (go[0] + 1,))
        f.register_hook(lambda gi, go: seen.append((gi, go)) or (gi[0] + gi[1], gi[1] * 10))
        f.register_hook(lambda gi, go: seen.append((gi, go)))
        y.backward()
        assert [lists((*gi, *go)) for gi, go in seen] == [[20.0, 8.0, 4.0], [28.0, 80.0, 4.0]]
        assert (x.grad.item(), w.grad.item()) == (28.0, 80.0)

    def test_a_captured_gradient_is_that_before_the_node(self) -> None:
        x = leaf(2.0)
        y = x * 2
        node(y).register_prehook(lambda go: (go[0] * 5,))
        assert lists(grad(y, [y, x], retain_graph=True)) == [1.0, 10.0]
        y.retain_grad()
        y.backward(inputs=[y, x])
        assert (y.grad.item(), x.grad.item()) == (1.0, 10.0)


class TestGradients:
    @pytest.mark.parametrize("looking", LOOKING)
    def test_each_use_of_an_input_by_itself(self, looking: bool) -> None:
        x, seen = leaf([1.0, 2.0]), []
        y = x * x
        node(y).register_hook(looks(lambda gi, go: seen.append(gi) or (gi[0] * 10, gi[1]), looking))
        y.backward(gp.tensor([1.0, 3.0]))
        assert (lists(seen[0]), x.grad.tolist()) == ([[1.0, 6.0], [1.0, 6.0]], [11.0, 66.0])

    @pytest.mark.parametrize("looking", LOOKING)
    def test_inputs_that_need_none_are_none(self, looking: bool) -> None:
        x, c, seen = leaf(2.0), gp.tensor(5.0), []
        condition = x > 0
        for y in (x * c, x * 3, 3 - x, x**2, x.clamp(0, 9), gp.where(condition, x, c), gp.stack([c, x])):
            node(y).register_hook(looks(lambda gi, go: seen.append(gi), looking))
            assert len(node(y).next_functions) == len(seen_by(y, seen))
        assert list(map(lists, seen)) == [[5.0, None], [3.0, None], [-1.0], [4.0], [1.0], [1.0, None], [None, 1.0]]

    def test_only_those_on_the_way_to_what_is_asked_for(self) -> None:
        x, w, seen = leaf([1.0, 2.0]), leaf([3.0, 4.0]), []
        y = x * w
        node(y).register_hook(lambda gi, go: seen.append(("post", gi)))
        node(y).register_prehook(lambda go: seen.append(("pre", go)))
        grad(y.sum(), x, retain_graph=True)
        assert [(name, lists(found)) for name, found in seen] == [("pre", [[1.0, 1.0]]), ("post", [[3.0, 4.0], None])]
        grad(y.sum(), y)
        assert len(seen) == 2

    @pytest.mark.parametrize("looking", LOOKING)
    def test_several_outputs(self, looking: bool) -> None:
        x, seen = leaf([1.0, 2.0, 3.0]), []
        a, b = (x * 1).split((1, 2))
        assert a.grad_fn is b.grad_fn
        node(a).register_prehook(looks(lambda go: (go[0] * 10, go[1] * 100), looking))
        node(a).register_hook(lambda gi, go: seen.append((gi, go)))
        a.retain_grad()
        (a.sum() + (b * b).sum()).backward()
        assert list(map(lists, seen[0])) == [[[10.0, 400.0, 600.0]], [[10.0], [400.0, 600.0]]]
        assert (x.grad.tolist(), a.grad.tolist()) == ([10.0, 400.0, 600.0], [1.0])

    @pytest.mark.parametrize("looking", LOOKING)
    def test_an_output_that_nothing_flows_to(self, looking: bool) -> None:
        x, seen = leaf([1.0, 2.0]), []
        a, _b = (x * 1).split((1, 1))
        node(a).register_prehook(looks(lambda go: seen.append(go) or (go[0] * 2, None), looking))
        node(a).register_hook(lambda gi, go: seen.append((*gi, *go)))
        a.backward()
        assert list(map(lists, seen)) == [[[1.0], None], [[2.0, 0.0], [2.0], None]]

    def test_reduced_to_the_shape_of_the_input(self) -> None:
        x, w, seen = leaf(2.0), leaf([1.0, 1.0, 1.0]), []
        y = x + w
        node(y).register_hook(lambda gi, go: seen.append(gi))
        y.sum().backward()
        assert lists(seen[0]) == [3.0, [1.0, 1.0, 1.0]]

    @pytest.mark.parametrize("looking", LOOKING)
    def test_many_inputs(self, looking: bool) -> None:
        leaves = [leaf([float(k), 0.0]) for k in range(40)]
        y = gp.cat(leaves)
        node(y).register_hook(looks(lambda gi, go: tuple(g * k for k, g in enumerate(gi)), looking))
        y.backward(gp.tensor([1.0, -0.0] * 40))
        assert [x.grad.tolist() for x in leaves] == [[float(k), -0.0] for k in range(40)]
        assert all(np.signbit(x.grad.numpy()[1]) for x in leaves)

    def test_an_empty_input(self) -> None:
        x, e = leaf([1.0, 2.0]), gp.zeros(0, requires_grad=True)
        y = gp.cat([x, e])
        node(y).register_hook(lambda gi, go: (gi[0] * 2, gi[1]))
        y.sum().backward()
        assert (x.grad.tolist(), e.grad.tolist()) == ([2.0, 2.0], [])

    @pytest.mark.slow
    @pytest.mark.parametrize("looking", LOOKING)
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (gp.float32, gp.float64), (gp.float16, gp.float64), (gp.bfloat16, gp.float32), (gp.float32, gp.complex64),
            (gp.float64, gp.complex64), (gp.complex64, gp.complex128), (gp.float32, gp.float32),
        ],
    )  # fmt: skip
    def test_a_hook_that_changes_nothing_changes_no_bit(self, first: Any, second: Any, looking: bool) -> None:
        a, b = leaf([1.5, -2.0, 0.0], dtype=first), leaf([3.0, 0.3, -1.5], dtype=second)

        def bits(*hooks: Callable[..., Any]) -> list[Any]:
            y = a / b
            for hook in hooks:
                node(y).register_hook(looks(hook, looking))
                node(y).register_prehook(looks(lambda go: go, looking))
            found = grad(y, [a, b], gp.tensor([-0.0, 1.0, 0.1], dtype=y.dtype))
            return [(g.dtype, g.numpy().tobytes()) for g in found]

        assert bits(lambda gi, go: gi) == bits(lambda gi, go: None) == bits()

    @pytest.mark.slow
    def test_verdicts_go_through_hooked_nodes(self) -> None:
        x, w = leaf([2.0, 3.0], dtype=gp.float64), leaf([5.0, 7.0], dtype=gp.float64)
        y = x * w
        node(y).register_hook(lambda gi, go: (gi[0] * 2, gi[1]))
        node(y).register_prehook(looks(lambda go: (go[0] * 3,), True))
        y.sum().backward()
        verdict = x.verdict
        assert (x.grad.tolist(), w.grad.tolist()) == ([30.0, 42.0], [6.0, 9.0])
        assert verdict is not None
        assert (verdict.summary, verdict.graph.word, len(verdict.hooked_by)) == ("verified", "CUT", 2)

    def test_a_wrong_rule_between_hooks_is_still_found(self) -> None:
        x = leaf([0.5, 1.5])
        y = apply("planted.cube", x)
        node(y).register_hook(lambda gi, go: None)
        y.sum().backward()
        verdict = x.verdict
        assert verdict is not None
        assert (verdict.summary, verdict.uses[0].op) == ("wrong", "planted.cube")

    def test_a_verdict_is_of_all_hooks_that_ran_here(self) -> None:
        x = leaf([1.0, 2.0], dtype=gp.float64)
        y = x * 2
        z = y * y
        z.register_hook(looks(lambda g: g * 2, False))
        z.register_hook(lambda g: g * g.sum().item())
        y.register_hook(lambda g: g * 10)  # during the pass, since the one before looked
        z.sum().backward()
        verdict = x.verdict
        assert x.grad.tolist() == [4.0 * 2.0 * 2.0 * 2.0 * 10.0 * 2.0, 4.0 * 2.0 * 4.0 * 2.0 * 10.0 * 2.0]
        assert verdict is not None
        assert (verdict.summary, len(verdict.hooked_by)) == ("verified", 2)


def seen_by(y: Tensor, seen: list[Any]) -> Any:
    """What the hook of ``y`` gets in a pass from there."""
    y.sum().backward()
    return seen[-1]


class TestCuts:
    """A None in a tuple: no gradient goes on there, which is not a gradient of zeros."""

    def test_before_the_rule(self) -> None:
        x, w, seen = leaf(2.0), leaf(5.0), []
        y = x * w
        t = y * 1
        node(t).register_prehook(lambda go: (None,))
        node(t).register_hook(lambda gi, go: seen.append((*gi, *go)))
        y.register_hook(lambda g: seen.append("not called"))
        node(y).register_hook(lambda gi, go: seen.append("not called"))
        w.register_post_accumulate_grad_hook(lambda p: seen.append("not called"))
        (t + x * 3).backward()
        assert (seen, x.grad.item(), w.grad) == ([(None, None, None)], 3.0, None)
        assert x.verdict is not None
        assert x.verdict.summary == "verified"

    def test_of_all_that_there_is(self) -> None:
        x = leaf(2.0)
        y = x * 3
        node(y).register_prehook(lambda go: (None,))
        y.backward(retain_graph=True)
        assert x.grad is None
        assert grad(y, x, allow_unused=True, retain_graph=True) == (None,)
        with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
            grad(y, x)

    def test_after_the_rule(self) -> None:
        x, w, seen = leaf(2.0), leaf(5.0), []
        y = x * w
        node(y).register_hook(lambda gi, go: (gi[0] + gi[1], None))
        node(y).register_hook(lambda gi, go: seen.append(lists(gi)))
        y.backward()
        assert (seen, x.grad.item(), w.grad) == ([[7.0, None]], 7.0, None)

    def test_one_use_of_two(self) -> None:
        x = leaf(2.0, dtype=gp.float64)
        y = x * 3
        z = y * y
        node(z).register_hook(lambda gi, go: (gi[0] * 10, None))
        z.backward()
        assert x.grad.item() == 180.0
        assert x.verdict is not None
        assert x.verdict.summary == "verified"

    def test_one_output_of_two(self) -> None:
        x, seen = leaf([1.0, 2.0]), []
        a, b = (x * 1).split((1, 1))
        node(a).register_prehook(lambda go: (None, go[1]))
        node(a).register_hook(lambda gi, go: seen.append(lists((*gi, *go))))
        (a + b).backward()
        assert (seen, x.grad.tolist()) == ([[[0.0, 1.0], None, [1.0]]], [0.0, 1.0])

    def test_infinite_zeros_are_not_made(self) -> None:
        x, w = leaf(0.0), leaf(1.0)
        y = x.sqrt()
        node(y).register_prehook(lambda go: (None,))
        (y + x * w).backward()
        assert (x.grad.item(), w.grad.item()) == (1.0, 0.0)  # a gradient of zero would be nan behind the root

    def test_not_once_a_gradient_has_been_looked_at(self) -> None:
        x, w = leaf(2.0), leaf(5.0)
        for before in (True, False):
            y = x * w
            if before:
                node(y).register_prehook(lambda go: (go[0].item(), None)[1:])
            else:
                node(y).register_hook(lambda gi, go: (gi[0], gi[1].item() and None))
            with pytest.raises(RuntimeError, match=r"of MulBackward0 returned None .* cannot be cut: return zeros"):
                y.backward()
        assert (x.grad, w.grad) == (None, None)


class TestFaults:
    @pytest.mark.parametrize("looking", LOOKING)
    @pytest.mark.parametrize("before", [True, False])
    @pytest.mark.parametrize(
        ("result", "kind", "text"),
        [
            (lambda g: g[0], TypeError, "expected tuple, but hook returned 'Tensor'"),
            (lambda g: [*g], TypeError, "expected tuple, but hook returned 'list'"),
            (lambda g: 3, TypeError, "expected tuple, but hook returned 'int'"),
            (lambda g: (), RuntimeError, "has returned an incorrect number of values (got 0, but expected {})"),
            (
                lambda g: (*g, g[0]),
                RuntimeError,
                "has returned an incorrect number of values (got {more}, but expected {})",
            ),
            (lambda g: (3, *g[1:]), TypeError, "expected Variable, but hook returned 'int'"),
            (lambda g: (g[0].sum(), *g[1:]), RuntimeError, "hook 'hook' has changed the size of value"),
            (lambda g: (g[0][None], *g[1:]), RuntimeError, "hook 'hook' has changed the size of value"),
            (
                lambda g: (g[0].double(), *g[1:]),
                RuntimeError,
                "hook 'hook' has changed the type of value (was torch.FloatTensor got torch.DoubleTensor)",
            ),
        ],
    )
    def test_texts(self, result: Any, kind: type[Exception], text: str, before: bool, looking: bool) -> None:
        x = leaf([1.0, 2.0])
        y = x * 2
        hook = looks(lambda g, *rest: result(g), looking)
        count = 1 if before else 2
        (node(y).register_prehook if before else node(y).register_hook)(hook)
        with pytest.raises(kind, match=re.escape(text.format(count, more=count + 1))):
            y.sum().backward()
        assert x.grad is None

    def test_what_is_none_stays_none(self) -> None:
        y = leaf([1.0, 2.0]) * 2
        node(y).register_hook(lambda gi, go: (gi[0], gi[0]))
        with pytest.raises(RuntimeError, match="can't replace a None gradient with a non-None value"):
            y.sum().backward()

    @pytest.mark.parametrize("looking", LOOKING)
    def test_what_a_hook_raises_comes_through(self, looking: bool) -> None:
        def bad(gi: Any, go: Any) -> None:
            raise KeyError("mine")

        y = leaf(1.0) * 2
        node(y).register_prehook(looks(lambda go: None, looking))
        node(y).register_hook(bad)
        with pytest.raises(KeyError, match="mine"):
            y.backward()

    def test_what_cannot_be_called(self) -> None:
        for anything, text in ((3, "int 3"), ("clip", "str 'clip'")):
            with pytest.raises(TypeError, match=f"a hook of a node is a function, not {text}"):
                node(leaf(1.0) * 2).register_hook(cast(Any, anything))

    def test_anomaly_names_the_node(self) -> None:
        y = leaf(1.0) * 2
        node(y).register_hook(lambda gi, go: (gi[0] * float("nan"), None))
        with gp.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="'MulBackward0' returned nan values"):
            y.backward()

    def test_an_error_at_the_server_says_where_its_node_was_recorded(self) -> None:
        x = leaf([[0.0, 0.0], [0.0, 0.0]])
        y = x * 1
        node(y).register_hook(lambda gi, go: (gi[0] * 2, None))
        with pytest.raises(gp.GradproofError) as caught:
            gp.ops.inv(y).sum().backward()
        assert any("test_node_hooks.py" in note for note in caught.value.__notes__)


class TestHandles:
    def test_removing(self) -> None:
        x = leaf(1.0)
        y = x * 1
        first = node(y).register_prehook(lambda go: (go[0] * 2,))
        second = node(y).register_hook(lambda gi, go: (gi[0] * 3, None))
        assert isinstance(first.id, int)
        assert grad(y, x, retain_graph=True)[0].item() == 6.0
        first.remove()
        first.remove()
        assert grad(y, x, retain_graph=True)[0].item() == 3.0
        second.remove()
        with node(y).register_prehook(lambda go: (go[0] * 5,)):
            assert grad(y, x, retain_graph=True)[0].item() == 5.0
        assert grad(y, x)[0].item() == 1.0

    @pytest.mark.parametrize("looking", LOOKING)
    def test_removed_during_the_pass(self, looking: bool) -> None:
        said: list[str] = []
        y = leaf([1.0]) * 1
        f = node(y)
        f.register_prehook(looks(lambda go: said.append("a") or (second.remove(), never.remove())[2:] or None, looking))
        second = f.register_prehook(lambda go: said.append("b"))
        never = f.register_hook(lambda gi, go: said.append("never"))
        f.register_hook(lambda gi, go: said.append("c") or (last.remove(), None)[1])
        last = f.register_hook(lambda gi, go: said.append("d"))
        y.backward(retain_graph=True)
        y.backward()
        assert said == ["a", "b", "c", "d", "a", "c"]

    def test_added_during_the_pass(self) -> None:
        said: list[str] = []
        x = leaf([1.0])
        t = x * 1
        y = t * 1

        def add(go: Any) -> None:
            node(y).register_prehook(lambda go: said.append("next time"))
            node(y).register_hook(lambda gi, go: said.append("this time"))
            node(t).register_hook(lambda gi, go: said.append("later node"))

        node(y).register_prehook(add)
        y.backward()
        assert said == ["this time", "later node"]

    def test_twice_is_twice(self) -> None:
        x = leaf(1.0)
        y = x * 1
        double = lambda go: (go[0] * 2,)  # noqa: E731
        node(y).register_prehook(double)
        node(y).register_prehook(double)
        y.backward()
        assert x.grad.item() == 4.0


class TestTracing:
    def test_arithmetic_goes_to_the_server_as_a_graph(self, tensors: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tensors.client, "_session", None)  # which a hook that runs here would need
        x, w, calls = leaf([1.0, 2.0]), leaf([3.0, 4.0]), []
        y = x * w
        node(y).register_prehook(lambda go: calls.append("pre") or (go[0].clamp(max=0.5),))
        node(y).register_hook(lambda gi, go: calls.append("post") or (gi[0] - gi[1], gi[1] * 8))
        y.sum().backward()
        assert (calls, x.grad.tolist(), w.grad.tolist()) == (["pre", "post"], [1.0, 1.0], [4.0, 8.0])

    def test_gradients_that_a_hook_kept_can_be_looked_at_afterwards(self) -> None:
        x, w, kept = leaf([1.0, 2.0]), leaf([3.0, 4.0]), []
        y = x * w
        node(y).register_prehook(lambda go: kept.append(go) or (go[0] * 2,))
        node(y).register_hook(lambda gi, go: kept.append((*gi, *go)) or (gi[1], gi[0]))
        y.sum().backward()
        assert list(map(lists, kept)) == [[[1.0, 1.0]], [[6.0, 8.0], [2.0, 4.0], [2.0, 2.0]]]
        assert (x.grad.tolist(), w.grad.tolist()) == ([2.0, 4.0], [6.0, 8.0])

    def test_what_it_returns_may_depend_on_what_the_rule_got(self) -> None:
        x = leaf([1.0, 2.0])
        y = x * 3
        node(y).register_hook(lambda gi, go: (gi[0] + go[0] * 100, None))
        (y * y).sum().backward()
        assert x.grad.tolist() == [18.0 + 600.0, 36.0 + 1200.0]

    def test_gradients_do_not_record(self) -> None:
        x, found = leaf(2.0), []
        y = x * 2
        node(y).register_hook(lambda gi, go: found.append((gi[0] * x).requires_grad))
        y.backward()
        assert found == [False]

    def test_a_hooked_graph_is_sent_once_and_the_other_stays_what_it_was(self) -> None:
        x = leaf([0.25, 0.5])

        def step(*hooks: Any) -> int:
            before = runtime.current().graphs_sent
            y = x.sin() * x
            for hook in hooks:
                node(y).register_hook(hook)
            y.sum().backward()
            return runtime.current().graphs_sent - before

        hook = lambda gi, go: (gi[0] * 2, gi[1])  # noqa: E731
        assert [step(), step(), step(hook), step(hook), step(hook, hook), step()] == [1, 0, 1, 0, 0, 0]


class TestRecordedPasses:
    def test_a_hook_is_differentiated(self) -> None:
        x = leaf(2.0)
        y = x**3
        node(y).register_hook(lambda gi, go: (gi[0] * x,))
        node(y).register_prehook(lambda go: (go[0] * x,))
        (g,) = grad(y, x, create_graph=True)  # 3 x⁴
        assert (g.item(), grad(g, x)[0].item()) == (48.0, 96.0)

    def test_each_use_by_itself_and_again_in_the_second_pass(self) -> None:
        x, seen = leaf(2.0), []
        y = x * x
        node(y).register_hook(lambda gi, go: seen.append(lists((*gi, *go))) or (gi[0] * 10, gi[1]))
        (g,) = grad(y * y, x, create_graph=True)  # 2 x² (10 x + x), of which y takes part in the first factor
        assert (seen, g.item()) == ([[16.0, 16.0, 8.0]], 176.0)
        # d/dx of 2 y (11 x): 22 y by x itself, and 22 x times what the hook makes of dy, 11 x
        assert grad(g, x)[0].item() == 22 * 4.0 + 22 * 2.0 * 22.0
        assert len(seen) == 2

    def test_several_outputs_and_cuts(self) -> None:
        x, seen = leaf([1.0, 2.0]), []
        a, b = (x * x).split((1, 1))
        node(a).register_prehook(lambda go: (go[0] * 3, None))
        node(a).register_hook(lambda gi, go: seen.append(lists((*gi, *go))))
        (g,) = grad(a * a + b, x, create_graph=True)
        assert (seen, g.tolist()) == ([[[6.0, 0.0], [6.0], None]], [12.0, 0.0])
        y = x.exp()
        z = y * y
        node(z).register_hook(lambda gi, go: (gi[0], None))
        gy, gx = grad(z.sum(), [y, x], create_graph=True)
        np.testing.assert_allclose(gy.detach().numpy(), np.exp([1.0, 2.0]), rtol=1e-6)
        np.testing.assert_allclose(gx.detach().numpy(), np.exp([2.0, 4.0]), rtol=1e-6)

    def test_a_cut_and_a_fault(self) -> None:
        x, w = leaf(2.0), leaf(5.0)
        y = x * w
        handle = node(y).register_prehook(lambda go: (None,))
        assert grad(y, [x, w], create_graph=True, allow_unused=True) == (None, None)
        handle.remove()
        node(y).register_prehook(lambda go: go[0])
        with pytest.raises(TypeError, match="expected tuple, but hook returned 'Tensor'"):
            grad(y, x, create_graph=True)

    def test_a_root_that_is_also_behind_another(self) -> None:
        x = leaf(2.0)
        y = x * 2
        assert lists(grad([y, y * 3], [y, x], create_graph=True)) == [4.0, 8.0]


class TestAccumulateGrad:
    @staticmethod
    def of(x: Tensor) -> Any:
        return node(x * 1).next_functions[0][0]

    def test_order_and_values(self) -> None:
        x, said = leaf([1.0]), []
        self.of(x).register_prehook(lambda go: said.append(("pre", lists(go))) or (go[0] * 2,))
        self.of(x).register_hook(lambda gi, go: said.append(("post", lists((*gi, *go)))))
        x.register_hook(lambda g: said.append(("tensor", g.tolist())))
        x.register_post_accumulate_grad_hook(lambda p: said.append(("post-acc", p.grad.tolist())))
        (x * 3).backward()
        (x * 3).backward()
        assert said[:4] == [("tensor", [3.0]), ("pre", [[3.0]]), ("post-acc", [6.0]), ("post", [[6.0]])]
        assert (len(said), x.grad.tolist()) == (8, [12.0])
        assert lists(grad(x * 3, x)) == [[3.0]]

    def test_under_create_graph_it_is_differentiated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "_warned", True)
        x = leaf(2.0)
        handle = self.of(x).register_prehook(lambda go: (go[0] * x,))
        (x**3).backward(create_graph=True)  # 3 x³
        assert x.grad.item() == 24.0
        handle.remove()
        assert grad(x.grad, x)[0].item() == 36.0

    def test_a_cut(self) -> None:
        x, said = leaf(2.0), []
        self.of(x).register_prehook(lambda go: (None,))
        x.register_post_accumulate_grad_hook(said.append)
        (x * 3).backward()
        assert (x.grad, said) == (None, [])

    def test_faults(self) -> None:
        x = leaf([1.0])
        before = self.of(x).register_prehook(lambda go: (go[0].double(),))
        with pytest.raises(RuntimeError, match="has changed the type of value"):
            (x * 3).backward()
        assert x.grad is None
        before.remove()
        self.of(x).register_hook(lambda gi, go: (go[0],))
        with pytest.raises(RuntimeError, match=re.escape("(got 1, but expected 0)")):
            (x * 3).backward()
        assert x.grad.tolist() == [3.0]
