"""Subclasses of Tensor survive ops, as in PyTorch: results have the class of the operands, and ``.grad`` has not."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client import Tensor, functional
from gradproof.client.autograd import grad


class Metres(Tensor):
    """A subclass with an attribute, which instances made by ops do not have."""

    note: str

    def doubled(self) -> Metres:
        result = self * 2
        assert isinstance(result, Metres)
        return result


class Kilometres(Metres):
    """A subclass of the subclass."""


class Seconds(Tensor):
    """A subclass that needs more than a value to be constructed."""

    def __init__(self, value: np.ndarray[Any, Any], zone: str) -> None:
        super().__init__(value)
        self.zone = zone


def metres(values: Any, requires_grad: bool = True) -> Metres:
    return Metres(np.asarray(values, np.float32), requires_grad)


X = [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "op",
    [
        lambda x: x + 1, lambda x: 1 - x, lambda x: -x, lambda x: x @ x, lambda x: x**2, lambda x: abs(x), lambda x: x > 2,
        lambda x: x.exp(), lambda x: x.sum(), lambda x: x.mean(0), lambda x: x.max(0).values, lambda x: x.max(0).indices,
        lambda x: x.sort().values, lambda x: x.clamp(0, 1), lambda x: x.double(), lambda x: x.softmax(-1),
        lambda x: x[0], lambda x: x[0, 1], lambda x: x[..., None], lambda x: x[[1, 0]], lambda x: x[x > 2],
        lambda x: list(x)[1],
        lambda x: x.reshape(4), lambda x: x.view(4), lambda x: x.T, lambda x: x.t(), lambda x: x.expand(3, 2, 2),
        lambda x: x.squeeze(), lambda x: x.unsqueeze(0), lambda x: x.split(1)[1], lambda x: x.unbind()[0],
        lambda x: x.detach(), lambda x: x.clone(), lambda x: x.masked_fill(x > 2, 0.0), lambda x: x.gather(0, x.argsort(0)),
        lambda x: gp.stack([x, x]), lambda x: gp.cat([x, x]), lambda x: gp.where(x > 2, x, 0.0),
        lambda x: gp.maximum(x, 2.0),
        lambda x: gp.exp(x), lambda x: gp.ops.sin(x), lambda x: x.requires_grad_(), lambda x: copy.deepcopy(x),
    ],
)  # fmt: skip
def test_results_have_the_class(op: Any) -> None:
    result = op(metres(X))
    assert type(result) is Metres
    assert result.tolist() == op(gp.tensor(X, requires_grad=True)).tolist()


@pytest.mark.parametrize(
    "left", [gp.tensor(X), np.asarray(X, np.float32), 2.0, X], ids=["tensor", "array", "number", "lists"]
)
def test_a_second_operand_is_enough(left: Any) -> None:
    assert type(left * metres(X)) is Metres
    assert type(gp.maximum(left, metres(X))) is Metres


def test_the_deepest_class_wins_and_of_others_the_first() -> None:
    x, y, z = metres(X), Kilometres(np.asarray(X, np.float32)), Seconds(np.asarray(X, np.float32), "UTC")
    assert type(x + y) is type(y + x) is Kilometres
    assert type(x + z) is Metres
    assert type(z + x) is Seconds


def test_instances_are_made_without_the_constructor() -> None:
    x = Seconds(np.asarray(X, np.float32), "UTC")
    assert type(x.exp()) is Seconds
    assert not hasattr(x.exp(), "zone")


def test_methods_of_the_subclass_work_on_results() -> None:
    assert (metres(X) + 1).doubled().tolist() == [[4.0, 6.0], [8.0, 10.0]]


def test_no_tensor_among_the_operands() -> None:
    assert type(gp.maximum([1.0, 4.0], [2.0, 3.0])) is Tensor
    assert gp.maximum([1.0, 4.0], [2.0, 3.0]).tolist() == [2.0, 4.0]
    assert type(gp.ops.sin(np.zeros(2))) is Tensor
    assert gp.ops.add(1.0, 2.0).item() == 3.0


class TestGradients:
    def test_grad_is_a_plain_tensor(self) -> None:
        x = metres(X)
        (x * x).sum().backward()
        assert type(x.grad) is Tensor
        assert x.grad.tolist() == [[2.0, 4.0], [6.0, 8.0]]
        (x * x).sum().backward()
        assert type(x.grad) is Tensor
        assert x.grad.tolist() == [[4.0, 8.0], [12.0, 16.0]]
        assert x.verdict is not None
        assert x.verdict.summary == "verified"
        assert type(x.raw_grad) is Tensor

    def test_grad_of_a_recorded_pass_is_a_plain_tensor(self) -> None:
        x = metres(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (x * x * x).sum().backward(create_graph=True)
        assert type(x.grad) is Tensor
        (second,) = grad(x.grad.sum(), [x])
        assert second.tolist() == [[6.0, 12.0], [18.0, 24.0]]

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_autograd_grad_has_the_class(self, create_graph: bool) -> None:
        x = metres(X)
        (first,) = grad((x * x).sum(), [x], create_graph=create_graph)
        assert type(first) is Metres
        assert first.tolist() == [[2.0, 4.0], [6.0, 8.0]]
        assert first.verdict is not None
        assert first.verdict.summary == "verified"
        if create_graph:
            (second,) = grad(first.sum(), [x])
            assert type(second) is Metres
            assert second.tolist() == [[2.0, 2.0], [2.0, 2.0]]

    def test_batched_and_unused(self) -> None:
        x, u = metres(X), metres([1.0])
        (rows,) = grad(x.exp(), [x], [gp.ones(3, 2, 2)], is_grads_batched=True)
        assert type(rows) is Metres
        assert rows.shape == (3, 2, 2)
        assert [type(g) for g in grad(x.sum(), [x, u], materialize_grads=True)] == [Metres, Metres]

    def test_hooks_get_plain_tensors(self) -> None:
        classes: list[type] = []

        def hook(gradient: Tensor) -> Tensor:
            classes.append(type(gradient))
            return gradient * 2

        def looking(gradient: Tensor) -> None:
            classes.append(type(gradient))
            gradient.tolist()

        x = metres(X)
        y = x.exp()
        for h in (hook, looking, hook):
            y.register_hook(h)
        z = y.sum()
        assert z.grad_fn is not None
        z.grad_fn.register_hook(lambda inputs, outputs: classes.extend(map(type, (*inputs, *outputs))))
        z.backward()
        assert classes == [Tensor] * 5
        assert type(x.grad) is Tensor

    def test_functional(self) -> None:
        x = metres([1.0, 2.0], requires_grad=False)
        value, product = functional.jvp(lambda x: x**2, (x,), (gp.ones(2),))
        assert type(value) is Metres
        assert product.tolist() == [2.0, 4.0]
        assert functional.jacobian(lambda x: x**2, x).tolist() == [[2.0, 0.0], [0.0, 4.0]]


class TestConversions:
    def test_as_subclass(self) -> None:
        x = gp.tensor(X, requires_grad=True)
        y = x.as_subclass(Metres)
        assert type(y) is Metres
        (y * y).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[2.0, 4.0], [6.0, 8.0]]
        assert type(y.as_subclass(Tensor)) is Tensor

    def test_another_class_is_refused(self) -> None:
        with pytest.raises(TypeError, match="int does not derive from Tensor"):
            gp.tensor(X).as_subclass(int)  # type: ignore[type-var]

    def test_pickles_and_copies_keep_class_and_attributes(self) -> None:
        x = metres(X)
        x.note = "measured"
        for duplicate in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
            assert type(duplicate) is Metres
            assert duplicate.note == "measured"
            assert duplicate.requires_grad
            assert duplicate.tolist() == X

    def test_changes_in_place_keep_the_object(self) -> None:
        x = metres(X, requires_grad=False)
        y = x
        x += 1
        x[0, 0] = 7.0
        assert x is y
        assert x.tolist() == [[7.0, 3.0], [4.0, 5.0]]
