"""Functions that are recorded once: the same bits as without, and recorded anew wherever anything else would come out."""

from __future__ import annotations

import collections
import datetime
import gc
import io
import itertools
import random
import threading
import time
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client import nn
from gradproof.client.autograd import Function, grad
from gradproof.client.recording import runtime
from gradproof.client.tensors.tensor import Tensor

pytestmark = pytest.mark.usefixtures("tensors")


def leaf(*values: float, requires_grad: bool = True) -> Tensor:
    return gp.tensor(list(values), dtype=gp.float64, requires_grad=requires_grad)


def orbit(y: Tensor, k: Tensor) -> Tensor:
    for _ in range(3):
        slope = gp.sin(y) * k - y * 0.1
        y = y + 0.05 * (slope + 2 * gp.sin(y + 0.025 * slope))
    return (y * y).sum()


def gradients(f: Callable[..., Any], *arguments: Tensor) -> list[bytes]:
    """The bytes of the value and the gradients."""
    for x in arguments:
        x.grad = None
    loss = f(*arguments)
    loss.backward()
    found = [x.grad for x in arguments]
    return [loss.detach().numpy().tobytes(), *(b"" if g is None else g.numpy().tobytes() for g in found)]


CONSTANTS: Any = types.ModuleType("constants")
HELD = {"scale": 2.0}
NESTED: Any = [[[[[[[[[2.0]]]]]]]]]
MANY = [2.0] * 2000
QUEUE = collections.deque([2.0])
ARRAY, LARGE = np.array([2.0]), np.ones(10_000)
COUNT, GENERATOR = itertools.count(), np.random.default_rng(0)


class Settings:
    __slots__ = ("slot",)
    scale = 2.0
    slot: float

    def doubled(self) -> float:
        return self.scale * 2

    @property
    def property(self) -> float:
        return HELD["scale"]


SETTINGS = Settings()


class Runs(io.StringIO):
    """Counts runs of a function. What is written to a stream is no part of a record."""

    @property
    def count(self) -> int:
        return self.tell()

    def add(self) -> None:
        self.write(".")


class TestBits:
    def test_values_and_gradients_are_those_of_the_function(self) -> None:
        held = gp.function(orbit)
        for scale in (1.0, 2.0, -3.0, 0.5):
            y, k = leaf(1.0 * scale, 2.0, 3.0), leaf(0.5, 0.6 * scale, 0.7)
            assert gradients(held, y, k) == gradients(orbit, y, k)
        assert [record.calls for record in held.records] == [4]

    def test_later_calls_do_not_run_it(self) -> None:
        runs = Runs()

        @gp.function
        def f(x: Tensor) -> Tensor:
            runs.add()
            return (x * x).sum()

        assert [f(leaf(float(n), 1.0)).item() for n in range(4)] == [1.0, 2.0, 5.0, 10.0]
        assert runs.count == 1

    def test_the_structure_is_sent_once(self) -> None:
        held = gp.function(orbit)
        y, k = leaf(1.0, 2.0), leaf(0.5, 0.6)
        gradients(held, y, k)
        sent = runtime.current().graphs_sent
        for _ in range(4):
            gradients(held, y, k)
        assert runtime.current().graphs_sent == sent

    def test_trees_of_results(self) -> None:
        def f(x: Tensor, options: dict[str, Any]) -> dict[str, Any]:
            y = x * options["scale"]
            return {"sum": y.sum(), "parts": (y, y.argmax()), "argument": x, "name": options["name"], "twice": [y, y]}

        held = gp.function(f)
        for _ in range(2):
            x = leaf(1.0, 3.0, 2.0)
            result = held(x, {"scale": leaf(2.0), "name": "a"})
        assert result["sum"].item() == 12.0
        assert result["parts"][1].item() == 1
        assert result["argument"] is x
        assert result["name"] == "a"
        assert result["twice"][0] is result["twice"][1] is result["parts"][0]
        assert not result["parts"][1].requires_grad

    def test_among_other_ops(self) -> None:
        def whole(f: Callable[..., Tensor], x: Tensor, k: Tensor) -> Tensor:
            return f(x * 2, k).exp() + f(x, k * k)

        held = gp.function(orbit)
        x, k = leaf(0.1, 0.2), leaf(0.5, 0.6)
        for _ in range(3):
            assert gradients(lambda x, k: whole(held, x, k), x, k) == gradients(lambda x, k: whole(orbit, x, k), x, k)

    def test_second_derivatives(self) -> None:
        held = gp.function(orbit)
        x, k = leaf(0.1, 0.2), leaf(0.5, 0.6)
        second = []
        for f in (held, held, orbit):
            (first,) = grad(f(x, k), x, create_graph=True)
            second.append([g.numpy().tobytes() for g in grad((first * first).sum(), [x, k])])
        assert second[0] == second[1] == second[2]

    def test_forward_mode_and_batches(self) -> None:
        held = gp.function(orbit)
        x, k = leaf(0.1, 0.2, requires_grad=False), leaf(0.5, 0.6, requires_grad=False)
        v = leaf(1.0, -1.0, requires_grad=False)
        assert gp.func.jvp(held, (x, k), (v, v))[1].item() == gp.func.jvp(orbit, (x, k), (v, v))[1].item()
        rows = gp.stack([x, k, v])
        both = [gp.vmap(f, in_dims=(0, None))(rows, k).numpy().tobytes() for f in (held, orbit)]
        assert both[0] == both[1]

    def test_vmap_inside(self) -> None:
        def f(rows: Tensor) -> Tensor:
            total: Tensor = gp.vmap(lambda row: (row * row).sum())(rows).sum()
            return total

        rows = gp.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=gp.float64, requires_grad=True)
        held = gp.function(f)
        for _ in range(2):
            assert gradients(held, rows) == gradients(f, rows)
        assert held.records[0].calls == 2

    def test_retained_graph(self) -> None:
        held = gp.function(orbit)
        x, k = leaf(0.1, 0.2), leaf(0.5, 0.6)
        loss = held(x, k)
        loss.backward(retain_graph=True)
        once = np.array(x.grad)
        loss.backward()
        assert (np.array(x.grad) == 2 * once).all()
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()

    def test_hooks_on_results_and_on_their_node(self) -> None:
        held = gp.function(orbit)
        x, k = leaf(0.1, 0.2), leaf(0.5, 0.6)
        plain = gradients(orbit, x, k)
        seen: list[float] = []
        for _ in range(2):
            x.grad = k.grad = None
            loss = held(x, k)
            loss.register_hook(lambda g: seen.append(g.item()))
            assert loss.grad_fn is not None
            loss.grad_fn.register_hook(lambda inputs, outputs: seen.append(len(inputs)))
            loss.backward()
            assert x.grad is not None
            assert x.grad.numpy().tobytes() == plain[1]
        assert seen[0] == seen[2] == 1.0

    def test_verdicts(self) -> None:
        held = gp.function(lambda x: (x * x).sum())
        for n in range(3):
            x = leaf(1.0 + n, 2.0)
            held(x).backward()
        assert x.verdict is not None
        assert x.verdict.summary == "verified"
        assert x.grad is not None
        assert x.grad.tolist() == [6.0, 4.0]


class TestGuards:
    @pytest.mark.parametrize(
        ("first", "second", "reason"),
        [
            ((leaf(1.0),), (leaf(1.0, 2.0),), "the shape of argument 0 is (2,), not (1,)"),
            ((leaf(1.0),), (leaf(1.0).float().detach(),), "the dtype of argument 0 is float32, not float64"),
            ((leaf(1.0),), (leaf(1.0, requires_grad=False),), "requires_grad of argument 0 is False, not True"),
            ((leaf(1.0), 2), (leaf(1.0), 3), "argument 1 is 3, not 2"),
            ((leaf(1.0), 2), (leaf(1.0), 2.0), "argument 1 is 2.0, not 2"),
            ((leaf(1.0), 1), (leaf(1.0), True), "argument 1 is True, not 1"),
            ((leaf(1.0), 0.0), (leaf(1.0), -0.0), "argument 1 is -0.0, not 0.0"),
            ((leaf(1.0), "a"), (leaf(1.0), "b"), "argument 1 is 'b', not 'a'"),
            ((leaf(1.0), None), (leaf(1.0), 1), "argument 1 is 1, not None"),
        ],
    )
    def test_arguments(self, first: tuple[Any, ...], second: tuple[Any, ...], reason: str) -> None:
        def f(x: Tensor, y: Any = 1) -> Tensor:
            factor = y if isinstance(y, (int, float)) else 1
            return x.sum() * factor + (1.0 if y == "b" else 0.0)

        held = gp.function(f)
        for arguments in (first, second, second, first):
            assert held(*arguments).item() == f(*arguments).item()
        assert len(held.records) == 2
        assert reason in held.explain()

    def test_trees_and_sharing(self) -> None:
        def f(pair: Any) -> Tensor:
            a, b = pair.values() if isinstance(pair, dict) else pair
            total: Tensor = (a * b).sum()
            return total

        held, x = gp.function(f), leaf(2.0, 3.0)
        for pair in ((x, leaf(1.0, 1.0)), [x, leaf(1.0, 1.0)], {"a": x, "b": x}, (x, x)):
            for _ in range(2):
                assert gradients(lambda _, pair=pair: held(pair), x) == gradients(lambda _, pair=pair: f(pair), x)
        assert "the tree of its arguments" in held.explain()

    def test_grad_mode_and_default_dtype(self) -> None:
        held = gp.function(lambda x: (x * gp.ones(2)).sum())
        x = leaf(1.0, 2.0)
        assert held(x).requires_grad
        with gp.no_grad():
            assert [held(x).requires_grad for _ in range(3)] == [False] * 3
            assert held(x).item() == 3.0
        assert held(x).requires_grad
        assert "grad mode is False, not True" in held.explain()

    def test_tensors_and_numbers_of_a_closure(self) -> None:
        weight, scale = leaf(1.0, 2.0), 3.0

        def f(x: Tensor) -> Tensor:
            return (weight * x).sum() * scale

        held = gp.function(f)
        x = leaf(1.0, 1.0)
        assert [held(x).item() for _ in range(2)] == [9.0, 9.0]
        with gp.no_grad():
            weight.mul_(2.0)
        assert held(x).item() == 18.0  # another value: the record stands
        assert len(held.records) == 1
        scale = 1.0
        assert [held(x).item() for _ in range(2)] == [6.0, 6.0]
        weight = leaf(5.0, 5.0)
        assert [held(x).item() for _ in range(2)] == [10.0, 10.0]
        assert "what it reaches by closure, globals or attributes is another" in held.explain()
        held(x).backward()
        assert weight.grad is not None
        assert weight.grad.tolist() == [1.0, 1.0]

    @pytest.mark.parametrize(
        ("f", "change"),
        [
            (lambda x: x * CONSTANTS.scale, lambda: setattr(CONSTANTS, "scale", 5.0)),
            (lambda x: x * Settings.scale, lambda: setattr(Settings, "scale", 5.0)),
            (lambda x: x * SETTINGS.doubled(), lambda: setattr(Settings, "scale", 5.0)),
            (lambda x: x * SETTINGS.slot, lambda: setattr(SETTINGS, "slot", 5.0)),
            (lambda x: x * SETTINGS.property, lambda: HELD.__setitem__("scale", 5.0)),
            (lambda x: x * getattr(SETTINGS, "slot"), lambda: setattr(SETTINGS, "slot", 5.0)),  # noqa: B009
            (lambda x: x * NESTED[0][0][0][0][0][0][0][0][0], lambda: NESTED[0][0][0][0][0][0][0][0].__setitem__(0, 5.0)),
            (lambda x: x * MANY[1500], lambda: MANY.__setitem__(1500, 5.0)),
            (lambda x: x * QUEUE[0], lambda: QUEUE.appendleft(5.0)),
            (lambda x: x * gp.tensor(ARRAY), lambda: ARRAY.__setitem__(0, 5.0)),
        ],
        ids=["module", "class", "method", "slot", "property", "text", "nested", "many", "deque", "array"],
    )
    def test_what_it_reaches_by_names(self, f: Callable[[Tensor], Tensor], change: Callable[[], Any]) -> None:
        Settings.scale = CONSTANTS.scale = SETTINGS.slot = HELD["scale"] = MANY[1500] = QUEUE[0] = ARRAY[0] = 2.0
        NESTED[0][0][0][0][0][0][0][0][0] = 2.0
        held = gp.function(f)
        x = leaf(1.0, 3.0)
        before = [held(x).tolist() for _ in range(3)]
        change()
        after = [held(x).tolist() for _ in range(3)]
        assert after[0] == after[2] == f(x).tolist()
        assert before[0] == before[2] != after[0]
        assert "called each time" not in held.explain()

    def test_modules(self) -> None:
        gp.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        held = gp.function(model)
        x = gp.ones(2, 3)
        for step in range(5):
            found = []
            for f in (held, model):
                model.zero_grad()
                f(x).sum().backward()
                found.append([p.grad.numpy().tobytes() for p in model.parameters() if p.grad is not None])
            assert found[0] == found[1]
            assert len(found[0]) == 4
            with gp.no_grad():
                for p in model.parameters():
                    assert p.grad is not None
                    p.sub_(0.1 * p.grad)
            if step == 2:
                model[0] = nn.Linear(3, 4)
        assert [record.calls for record in held.records] == [3, 1]

    def test_bounded(self) -> None:
        held = gp.function(lambda x, n: (x * n).sum())
        x = leaf(1.0, 2.0)
        for n in range(40):
            assert held(x, n).item() == 3.0 * n
        assert len(held.records) == 1  # numbers that are different in each call are not worth a record
        for n in range(40):
            for _ in range(3):
                assert held(x, n).item() == 3.0 * n
        assert len(held.records) == 16


class TestRefusals:
    @pytest.mark.parametrize(
        ("f", "reason"),
        [
            (lambda x: x * 2 if x.sum() > 0 else x * 3, "reads the numbers"),
            (lambda x: x * float(x.detach().sum()), "reads the numbers"),
            (lambda x: x * gp.rand(2).sum() * 0, "draws random numbers"),
            (lambda x: x * x.detach(), "detached"),
            (lambda x: x * no_grad_square(x), "no_grad"),
            (lambda x: hooked(x * 2), "hooks are registered"),
            (lambda x: Double.apply(x), "has a backward that runs here"),
            (lambda x: x * (time.time() * 0), "another result at each call"),
            (lambda x: x * (random.random() * 0), "Random.random, which has another result"),
            (lambda x: x * (np.random.rand() * 0), "numpy.random, which has another result"),
            (lambda x: x * (datetime.datetime.now().year * 0), "datetime.now, which has another result"),
            (lambda x: x * (next(COUNT) * 0), "a count, whose contents are not seen"),
            (lambda x: x * (GENERATOR.random() * 0), "a Generator, whose contents are not seen"),
            (lambda x: x * float(LARGE[0]), "a large array of NumPy"),
        ],
    )
    def test_the_function_runs_each_time(self, f: Callable[[Tensor], Tensor], reason: str) -> None:
        held = gp.function(f)
        for values in ((1.0, 2.0), (-4.0, 1.0), (3.0, 3.0)):
            x = leaf(*values)
            assert gradients(lambda x: held(x).sum(), x) == gradients(lambda x: f(x).sum(), x)
        assert reason in held.explain()
        assert "called each time" in held.explain()

    def test_changes_in_place(self) -> None:
        total = leaf(0.0, 0.0, requires_grad=False)

        def f(x: Tensor) -> Tensor:
            total.add_(1.0)
            y = x * 1.0
            y *= 2.0
            return y.sum()

        held = gp.function(f)
        for _ in range(3):
            held(leaf(1.0, 2.0))
        assert total.tolist() == [3.0, 3.0]
        assert "changes a tensor from outside in place" in held.explain()

    def test_its_own_tensors_may_change(self) -> None:
        def f(x: Tensor) -> Tensor:
            y = x * 1.0
            y *= 3.0
            y[0] = x[1]
            return y.sum()

        held = gp.function(f)
        for _ in range(3):
            x = leaf(1.0, 2.0)
            assert gradients(held, x) == gradients(f, x)
        assert held.records[0].calls == 3

    def test_what_it_raises(self) -> None:
        def f(x: Tensor) -> Tensor:
            raise LookupError("mine")

        held = gp.function(f)
        for _ in range(2):
            with pytest.raises(LookupError, match="mine"):
                held(leaf(1.0))
        with pytest.raises(TypeError, match="takes a function"):
            gp.function(3)  # type: ignore[arg-type]


class TestValueAndGrad:
    def test_in_a_single_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        held = gp.function(gp.value_and_grad(orbit, (0, 1)))
        y, k = leaf(1.0, 2.0, requires_grad=False), leaf(0.5, 0.6, requires_grad=False)
        expected_value, expected = gp.value_and_grad(orbit, (0, 1))(y, k)
        numbers = [expected_value.item(), *(g.tolist() for g in expected)]
        for _ in range(3):
            value, found = held(y, k)
        asked: list[str] = []
        cache = type(runtime.current())
        original = cache.differentiate_known

        def sent(*arguments: Any) -> Any:
            asked.append("pass")
            return original(*arguments)

        monkeypatch.setattr(cache, "differentiate_known", sent)
        monkeypatch.setattr(cache, "evaluate", lambda *a, **o: asked.append("evaluate"))
        value, found = held(y, k)
        assert [value.item(), *(g.tolist() for g in found)] == numbers
        assert asked == ["pass"]
        assert found[0].verdict is not None
        assert held.records[0].calls == 4

    def test_histories(self) -> None:
        held = gp.function(gp.grad(lambda x: (x * x * x).sum()))
        x = leaf(1.0, 2.0)
        held(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [6.0, 12.0]

    def test_auxiliary_results_and_unused_arguments(self) -> None:
        def f(x: Tensor, unused: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            y = x * x
            return y.sum(), {"y": y}

        for make in (gp.value_and_grad, gp.func.grad_and_value, gp.grad):
            plain = make(f, (0, 1), has_aux=True)
            held = gp.function(plain)
            x, unused = leaf(1.0, 2.0, requires_grad=False), leaf(0.0, requires_grad=False)
            for _ in range(2):
                assert repr(held(x, unused)) == repr(plain(x, unused))


class TestLife:
    def test_threads(self) -> None:
        held = gp.function(orbit)
        x, k = leaf(0.1, 0.2, requires_grad=False), leaf(0.5, 0.6, requires_grad=False)
        expected, found = orbit(x, k).item(), list[float]()
        threads = [threading.Thread(target=lambda: found.extend(held(x, k).item() for _ in range(3))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [expected] * 12
        assert len(held.records) == 1

    def test_a_record_holds_no_argument(self) -> None:
        held = gp.function(lambda x: (x * x).sum())
        x = gp.tensor(np.ones(4), requires_grad=True)
        held(x).backward()
        freed = weakref.ref(x.array)
        reference = weakref.ref(x)
        del x
        gc.collect()
        assert reference() is None
        assert freed() is None

    def test_held_functions_within_one_another(self) -> None:
        inner = gp.function(lambda x: x * x)
        outer = gp.function(lambda x: inner(x).sum() + inner(x * 2).sum())
        for n in range(3):
            x = leaf(1.0 + n, 2.0)
            outer(x).backward()
            assert x.grad is not None
            assert x.grad.tolist() == [10.0 * (1 + n), 20.0]


def no_grad_square(x: Tensor) -> Tensor:
    with gp.no_grad():
        return x * x


def hooked(y: Tensor) -> Tensor:
    y.register_hook(lambda g: g * 10)
    return y


class Double(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2
