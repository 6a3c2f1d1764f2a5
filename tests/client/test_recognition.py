"""Structure that is recorded again: only values are sent, and the bits are those of a graph that is built."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client.autograd import grad
from gradproof.client.backward import known_pass, passes
from gradproof.client.recording import runtime
from gradproof.client.recording.forms import MAX_NODES, Forms
from gradproof.client.recording.numbers import Numbers
from gradproof.client.recording.place import text_of
from gradproof.client.tensors.tensor import Tensor

pytestmark = pytest.mark.usefixtures("tensors")


def leaf(*values: float) -> Tensor:
    return gp.tensor(list(values), dtype=gp.float64, requires_grad=True)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each pass whether it was of a form that was known."""
    found: list[bool] = []
    original = known_pass.KnownPass.run

    def run(self: Any, *arguments: Any) -> Any:
        result = original(self, *arguments)
        found.append(result is not None)
        return result

    monkeypatch.setattr(known_pass.KnownPass, "run", run)
    return found


def step(f: Callable[..., Tensor], *leaves: Tensor) -> list[bytes]:
    for x in leaves:
        x.grad = None
    loss = f(*leaves)
    loss.backward()
    return [loss.detach().numpy().tobytes(), *(x.grad.numpy().tobytes() for x in leaves if x.grad is not None)]


def built(f: Callable[..., Tensor], *leaves: Tensor) -> list[bytes]:
    """The same without recognition."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "known_pass", lambda *arguments: None)
        return step(f, *leaves)


PROGRAMS: dict[str, Callable[..., Tensor]] = {
    "chain": lambda x, w: gp.sin(x * w + 2.0).sum(),
    "diamond": lambda x, w: ((y := x * w) * y + y).sum(),
    "leaf and constant": lambda x, w: (x * w.detach() + w).sum(),
    "condition": lambda x, w: gp.where(x > w, x * 2, w * 3).sum(),
    "several outputs": lambda x, w: (lambda p: (p[0] * p[1]).sum())(gp.stack([x, w]).unbind(0)),
    "integers": lambda x, w: (x[gp.tensor([1, 0])] * w).sum(),
    "numbers": lambda x, w: (x * 2 + w * 2.0 + 2 * x - 0.0 * w + x * -0.0).sum(),
    "in place": lambda x, w: (x * w).mul_(2.0).add_(x).sum(),
    "matrices": lambda x, w: (x.reshape(2, 1) @ w.reshape(1, 2)).exp().mean(),
}


def test_nodes_with_thousands_of_outputs_are_told_apart() -> None:
    x = gp.tensor(np.linspace(0, 1, 5000), requires_grad=True)

    def far(x: Tensor) -> Tensor:
        parts = x.unbind(0)
        return gp.sin(parts[0]) + gp.exp(parts[4096])

    def near(x: Tensor) -> Tensor:
        sine = gp.sin(x.unbind(0)[0])
        return sine + gp.exp(sine)

    for f in (far, near):
        expected = built(f, x)
        assert [step(f, x) for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_bits_of_a_graph_that_is_built(name: str, known: list[bool]) -> None:
    f = PROGRAMS[name]
    for scale in (1.0, 0.5, -2.0, 3.0):
        x, w = leaf(1.0 * scale, 2.0), leaf(0.5, -0.25 * scale)
        assert step(f, x, w) == built(f, x, w)
    assert known[-1] or name == "leaf and constant"


class TestWhatDiffers:
    def test_attributes_and_numbers(self, known: list[bool]) -> None:
        x = gp.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        programs: list[Callable[[Tensor], Tensor]] = [
            lambda x: x.sum(0).exp().sum(),
            lambda x: x.sum(1).exp().sum(),
            lambda x: x.sum(1, keepdim=True).exp().sum(),
            lambda x: (x * 2).exp().sum(),
            lambda x: (x * 2.5).exp().sum(),
            lambda x: (x * True).exp().sum(),
            lambda x: (2 - x).exp().sum(),
            lambda x: (x - 2).exp().sum(),
        ]
        for _ in range(3):
            for f in programs:
                assert step(f, x) == built(f, x)

    def test_numbers_that_change_and_meet(self, known: list[bool]) -> None:
        x = leaf(1.0, 2.0)
        for n in (1, 2, 3, 2, 1, 0, 3):
            assert step(lambda x, n=n: (x * n + x * 2 - n).sum(), x) == built(lambda x, n=n: (x * n + x * 2 - n).sum(), x)

    def test_shapes_dtypes_and_flags(self) -> None:
        for _ in range(3):
            for x in (leaf(1.0), leaf(1.0, 2.0), gp.tensor([1.0, 2.0], requires_grad=True)):
                w = gp.ones_like(x)
                for flag in (True, False):
                    w.requires_grad_(flag)
                    w.grad = None
                    assert step(lambda x, w=w: (x * w).sum(), x) == built(lambda x, w=w: (x * w).sum(), x)
                    assert (w.grad is not None) == flag

    def test_targets(self) -> None:
        for _ in range(3):
            x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
            y = x * w
            z = (y * y).sum()
            assert grad(z, y, retain_graph=True)[0].tolist() == [6.0, 16.0]
            assert [g.tolist() for g in grad(z, [w, x])] == [[6.0, 32.0], [18.0, 64.0]]

    def test_roots(self) -> None:
        for _ in range(4):
            x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
            a, b = (x * w).sum(), (x + w).sum()
            gp.autograd.backward([a, b], [gp.tensor(2.0, dtype=gp.float64), gp.tensor(3.0, dtype=gp.float64)])
            assert x.grad is not None
            assert x.grad.tolist() == [9.0, 11.0]
            c = (x * w).sum()
            gp.autograd.backward([c, c])
            assert w.grad is not None
            assert w.grad.tolist() == [7.0, 11.0]

    def test_an_error_names_the_line(self) -> None:
        for _ in range(3):
            x = leaf(1.0, 2.0)
            gp.linalg.inv(x.reshape(1, 2) * x.reshape(2, 1) + gp.eye(2, dtype=gp.float64)).sum().backward()
        x = leaf(1.0, 2.0)
        with pytest.raises(gp.RunError) as caught:
            gp.linalg.inv(x.reshape(1, 2) * x.reshape(2, 1) + gp.zeros(2, 2, dtype=gp.float64)).sum().backward()
        assert any(note.startswith(f"recorded at {__file__}:") for note in caught.value.__notes__)

    def test_growing_loops_remember_nothing(self, known: list[bool]) -> None:
        before = len(runtime.current().forms)
        for n in range(1, 12):
            x = leaf(0.5)
            y = x
            for _ in range(n):
                y = gp.cosh(y) * 0.25
            y.sum().backward()
        assert len(runtime.current().forms) == before


class TestMore:
    def test_hooks_flags_and_freed_graphs_are_seen(self) -> None:
        for _ in range(3):
            step(PROGRAMS["chain"], leaf(1.0, 2.0), leaf(3.0, 4.0))
        x, w, seen = leaf(1.0, 2.0), leaf(3.0, 4.0), list[list[float]]()
        y = x * w + 2.0
        y.retain_grad()
        z = gp.sin(y)
        z.register_hook(lambda g: seen.append(g.tolist()))
        loss = z.sum()
        loss.backward()
        assert seen == [[1.0, 1.0]]
        assert y.grad is not None
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
        with gp.autograd.detect_anomaly():
            step(PROGRAMS["chain"], leaf(1.0, 2.0), leaf(3.0, 4.0))

    def test_values_that_somebody_holds_come_along(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for k in range(4):
            x = leaf(1.0, 2.0)
            logits = x * 3.0
            loss = logits.exp().sum()
            loss.backward()
            if k > 1:
                with monkeypatch.context() as patch:
                    patch.setattr(runtime.Runtime, "evaluate", lambda *a, **o: pytest.fail("another request"))
                    assert logits.tolist() == [3.0, 6.0]
                    assert loss.item() == np.exp([3.0, 6.0]).sum()

    def test_verdicts(self) -> None:
        for n in range(3):
            x, w = leaf(1.0 + n, 2.0), leaf(3.0, 4.0)
            step(PROGRAMS["diamond"], x, w)
        assert x.verdict is not None
        assert x.verdict.value
        assert x.verdict.summary == "verified"

    def test_threads(self) -> None:
        expected = step(PROGRAMS["matrices"], leaf(1.0, 2.0), leaf(3.0, 4.0))
        found: list[list[bytes]] = []

        def loop() -> None:
            found.extend(step(PROGRAMS["matrices"], leaf(1.0, 2.0), leaf(3.0, 4.0)) for _ in range(4))

        threads = [threading.Thread(target=loop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [expected] * 16

    def test_a_form_holds_no_tensor(self) -> None:
        for _ in range(3):
            x = leaf(1.0, 2.0)
            (x * x).sum().backward()
        freed = weakref.ref(x)
        del x
        gc.collect()
        assert freed() is None


def test_forms_are_bounded() -> None:
    forms = Forms()
    assert [forms.met(n) for n in (1, 2, 1)] == [False, False, True]
    for n in range(5):
        forms.remember(n, f"form {n}", MAX_NODES // 3)
    assert [forms.get(n) for n in range(5)] == [None, None, "form 2", "form 3", "form 4"]
    forms.remember("large", "form", MAX_NODES + 1)
    assert forms.get("large") is None


def test_numbers_each_once() -> None:
    numbers = Numbers()
    nan = float("nan")
    given: list[Any] = [1, 1.0, True, 1, 2.5, 2.5, 0.0, -0.0, 0.0, nan, nan, 1j, 1j]
    assert [numbers.index(x) for x in given] == [0, 1, 2, 0, 3, 3, 4, 5, 6, 7, 8, 9, 10]


def test_place_of_a_node() -> None:
    y = leaf(1.0) * 2.0
    assert y.grad_fn is not None
    assert y.grad_fn.place.startswith(f"{__file__}:")
    code = test_place_of_a_node.__code__
    assert text_of((code, 10**6)) == f"{__file__}:{code.co_firstlineno}"
