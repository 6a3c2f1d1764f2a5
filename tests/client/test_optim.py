"""Optimisers and schedules: numbers of PyTorch, minima of SciPy, states, texts and errors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from tests.client.torch_networks import COMPLEX, LBFGS, OPTIMISERS, SCHEDULES, data

import gradproof.client as gp
from gradproof.client import Tensor, nn, optim
from gradproof.client.optim import lr_scheduler

pytestmark = pytest.mark.usefixtures("tensors")

MAKE: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD(p, lr=0.1)": lambda p: optim.SGD(p, lr=0.1),
    "SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01)": lambda p: optim.SGD(
        p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01
    ),
    "SGD(p, lr=0.1, momentum=0.8, nesterov=True, maximize=True)": lambda p: optim.SGD(
        p, lr=0.1, momentum=0.8, nesterov=True, maximize=True
    ),
    "Adam(p)": lambda p: optim.Adam(p),
    "Adam(p, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)": lambda p: optim.Adam(
        p, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1
    ),
    "Adam(p, lr=0.1, amsgrad=True, maximize=True)": lambda p: optim.Adam(p, lr=0.1, amsgrad=True, maximize=True),
    "AdamW(p, lr=0.1)": lambda p: optim.AdamW(p, lr=0.1),
    "AdamW(p, lr=0.1, weight_decay=0.2, amsgrad=True)": lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.2, amsgrad=True),
    "RMSprop(p)": lambda p: optim.RMSprop(p),
    "RMSprop(p, lr=0.05, alpha=0.8, eps=1e-4, weight_decay=0.1, momentum=0.7, centered=True)": lambda p: optim.RMSprop(
        p, lr=0.05, alpha=0.8, eps=1e-4, weight_decay=0.1, momentum=0.7, centered=True
    ),
    "RMSprop(p, lr=0.05, maximize=True)": lambda p: optim.RMSprop(p, lr=0.05, maximize=True),
    "Adagrad(p, lr=0.2)": lambda p: optim.Adagrad(p, lr=0.2),
    "Adagrad(p, lr=0.2, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-3)": lambda p: optim.Adagrad(
        p, lr=0.2, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-3
    ),
}


def parameters() -> tuple[nn.Parameter, nn.Parameter]:
    return nn.Parameter(data(3)), nn.Parameter(data(1, 2, k=1.0))


def step(optimizer: optim.Optimizer, p: Tensor, q: Tensor, k: int) -> None:
    """A step down ½ |p|² + dₖ · p + ¼ Σ q⁴ - q₀₀ p₁."""
    optimizer.zero_grad()
    loss = 0.5 * (p**2).sum() + (gp.tensor(data(3, k=k)) * p).sum() + (q**4).sum() * 0.25 - q[0, 0] * p[1]
    loss.backward()
    optimizer.step()


def numbers(*tensors: Tensor) -> np.ndarray[Any, Any]:
    return np.concatenate([t.detach().numpy().reshape(-1) for t in tensors])


@pytest.mark.parametrize("call", OPTIMISERS)
def test_steps_are_those_of_pytorch(call: str) -> None:
    p, q = parameters()
    optimizer = MAKE[call]([p, q])
    for k in range(4):
        step(optimizer, p, q, k)
    np.testing.assert_allclose(numbers(p, q), OPTIMISERS[call], rtol=1e-11)


@pytest.mark.parametrize("call", OPTIMISERS)
def test_a_loaded_state_goes_on_where_it_was(call: str) -> None:
    p, q = parameters()
    optimizer = MAKE[call]([p, q])
    for k in range(2):
        step(optimizer, p, q, k)
    state = pickle.loads(pickle.dumps(optimizer.state_dict()))
    r, s = (nn.Parameter(copy.copy(x.detach())) for x in (p, q))
    other = MAKE[call]([r, s])
    other.load_state_dict(state)
    for k in range(2, 4):
        step(other, r, s, k)
    np.testing.assert_allclose(numbers(r, s), OPTIMISERS[call], rtol=1e-11)


def test_a_complex_number_is_two_numbers() -> None:
    z = nn.Parameter(np.array([1 + 2j, -0.5 + 0.3j]))
    optimizer = optim.Adam([z], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        ((z * (1 - 2j) - 1j).abs() ** 2).sum().backward()
        optimizer.step()
    found = z.detach().numpy()
    np.testing.assert_allclose(np.stack([found.real, found.imag], -1), COMPLEX, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_parameters_keep_their_dtype(kind: Any, dtype: str) -> None:
    p = nn.Parameter(gp.tensor([1.0, -2.0], dtype=dtype))
    (p * p).sum().backward()
    kind([p], lr=0.03125).step()
    assert p.dtype.name == dtype
    assert p.is_leaf
    assert 0 < p[0].item() < 1
    assert -2 < p[1].item() < 0


class TestOptimizer:
    def test_groups_have_settings_of_their_own(self) -> None:
        p, q, r = (nn.Parameter(gp.ones(1)) for _ in range(3))
        optimizer = optim.SGD([{"params": p, "lr": 0.5}, {"params": [q]}], lr=0.25)
        optimizer.add_param_group({"params": (x for x in [r]), "lr": 1.0})
        for x in (p, q, r):
            x.grad = gp.ones(1)
        optimizer.step()
        assert [x.item() for x in (p, q, r)] == [0.5, 0.75, 0.0]
        named = optim.SGD([("a", p), ("b", q)])
        assert named.param_groups[0]["param_names"] == ["a", "b"]

    def test_a_parameter_without_a_gradient_stays(self) -> None:
        p, q = nn.Parameter(gp.ones(1)), nn.Parameter(gp.ones(1))
        q.grad = gp.ones(1)
        optimizer = optim.Adam([p, q], lr=0.1, weight_decay=1.0)
        optimizer.step()
        assert p.item() == 1.0
        assert list(optimizer.state) == [q]
        assert list(optimizer.state[q]) == ["step", "exp_avg", "exp_avg_sq"]

    def test_the_graph_keeps_the_values_before_a_step(self) -> None:
        p = nn.Parameter(gp.tensor([3.0]))
        y = (p * p).sum()
        y.backward(retain_graph=True)
        optim.SGD([p], lr=0.5).step()
        assert (p.item(), y.item()) == (0.0, 9.0)

    def test_a_closure_computes_the_loss(self) -> None:
        p = nn.Parameter(gp.tensor([3.0]))
        optimizer = optim.SGD([p], lr=0.5)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with gp.no_grad():
            assert optimizer.step(closure).item() == 9.0
        assert p.item() == 0.0

    def test_gradients_are_dropped_or_zeros(self) -> None:
        p = nn.Parameter(gp.ones(2))
        p.grad = gp.ones(2)
        optimizer = optim.SGD([p])
        optimizer.zero_grad(set_to_none=False)
        assert p.grad.tolist() == [0.0, 0.0]
        optimizer.zero_grad()
        assert p.grad is None

    def test_a_state_has_places_for_parameters(self) -> None:
        p, q = nn.Parameter(gp.ones(2)), nn.Parameter(gp.ones(1))
        q.grad = gp.ones(1)
        optimizer = optim.SGD([{"params": [p]}, {"params": [q], "lr": 1.0}], lr=0.1, momentum=0.5)
        optimizer.step()
        state = optimizer.state_dict()
        assert {k: {n: x.tolist() for n, x in part.items()} for k, part in state["state"].items()} == {
            1: {"momentum_buffer": [1.0]}
        }
        assert [(g["params"], g["lr"], g["momentum"]) for g in state["param_groups"]] == [([0], 0.1, 0.5), ([1], 1.0, 0.5)]

    def test_the_text(self) -> None:
        optimizer = optim.SGD([nn.Parameter(gp.ones(1))], lr=0.01)
        assert repr(optimizer) == (
            "SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.01\n    maximize: False\n    momentum: 0\n    "
            "nesterov: False\n    weight_decay: 0\n)"
        )

    @pytest.mark.parametrize(
        ("call", "error", "text"),
        [
            (
                lambda p: optim.SGD(p),
                TypeError,
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                "torch.FloatTensor",
            ),
            (lambda p: optim.SGD([]), ValueError, "optimizer got an empty parameter list"),
            (
                lambda p: optim.SGD([3]),
                TypeError,
                "optimizer can only optimize Tensors, but one of the params is int",
            ),
            (lambda p: optim.SGD([p * 2]), ValueError, "can't optimize a non-leaf Tensor"),
            (
                lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]),
                ValueError,
                "some parameters appear in more than one parameter group",
            ),
            (
                lambda p: optim.SGD([p]).add_param_group([p]),
                TypeError,
                "param_group must be a dict, but got <class 'list'>",
            ),
            (
                lambda p: optim.SGD([("a", p), gp.zeros(1)]),
                ValueError,
                "all optimizer params should be with/without names. Some param names are missing",
            ),
            (lambda p: optim.SGD([p], lr=-1), ValueError, "Invalid learning rate: -1"),
            (lambda p: optim.SGD([p], momentum=-1), ValueError, "Invalid momentum value: -1"),
            (lambda p: optim.SGD([p], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
            (
                lambda p: optim.SGD([p], nesterov=True),
                ValueError,
                "Nesterov momentum requires a momentum and zero dampening",
            ),
            (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
            (lambda p: optim.AdamW([p], betas=(0.5, 1.0)), ValueError, "Invalid beta parameter at index 1: 1.0"),
            (lambda p: optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
            (lambda p: optim.RMSprop([p], alpha=-1), ValueError, "Invalid alpha value: -1"),
            (lambda p: optim.Adagrad([p], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
            (
                lambda p: optim.Adagrad([p], initial_accumulator_value=-1),
                ValueError,
                "Invalid initial_accumulator_value value: -1",
            ),
            (
                lambda p: optim.SGD([p]).load_state_dict(optim.SGD([p, gp.zeros(1)]).state_dict()),
                ValueError,
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
            ),
            (
                lambda p: optim.SGD([p]).load_state_dict({"state": {}, "param_groups": []}),
                ValueError,
                "loaded state dict has a different number of parameter groups",
            ),
            (
                lambda p: optim.LBFGS([{"params": [p]}, {"params": [gp.zeros(1)]}]),
                ValueError,
                "LBFGS doesn't support per-parameter options (parameter groups)",
            ),
            (
                lambda p: optim.LBFGS([p]).step(),
                TypeError,
                "LBFGS.step() missing 1 required positional argument: 'closure'",
            ),
            (
                lambda p: optim.LBFGS([p], line_search_fn="x"),
                RuntimeError,
                "only 'strong_wolfe' is supported",
            ),
            (lambda p: lr_scheduler.StepLR(3, 2), TypeError, "int is not an Optimizer"),
            (
                lambda p: lr_scheduler.LambdaLR(optim.SGD([p]), [abs, abs]),
                ValueError,
                "Expected 1 lr_lambdas, but got 2",
            ),
            (
                lambda p: lr_scheduler.StepLR(optim.SGD([p]), 2, last_epoch=3),
                KeyError,
                "param 'initial_lr' is not specified in param_groups[0] when resuming scheduler with last_epoch >= 0",
            ),
        ],
    )
    def test_errors_have_the_texts_of_pytorch(self, call: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error) as raised:
            call(nn.Parameter(gp.ones(1)))
        assert raised.value.args[0] == text

    def test_a_set_and_a_parameter_twice(self) -> None:
        p = nn.Parameter(gp.ones(1))
        with pytest.raises(TypeError, match="need to be organized in ordered collections"):
            optim.SGD([{"params": {p}}])
        with pytest.warns(UserWarning, match="optimizer contains a parameter group with duplicate parameters"):
            optim.SGD([p, p])


def rosenbrock(settings: Any, steps: int = 2) -> tuple[list[float], list[float], int]:
    """The point, the losses that the steps return, and the number of evaluations."""
    w = nn.Parameter(np.array([-1.2, 1.0]))
    optimizer, count = optim.LBFGS([w], **settings), 0

    def closure() -> Tensor:
        nonlocal count
        count += 1
        optimizer.zero_grad()
        loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(steps)]
    return w.tolist(), losses, count


class TestLBFGS:
    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("lr=0.002, max_iter=5", {"lr": 0.002, "max_iter": 5}),
            ("lr=0.002, max_iter=6, history_size=2", {"lr": 0.002, "max_iter": 6, "history_size": 2}),
            ("lr=0.5, max_iter=3, max_eval=2", {"lr": 0.5, "max_iter": 3, "max_eval": 2}),
        ],
    )
    def test_steps_of_a_fixed_size_are_those_of_pytorch(self, name: str, settings: Any) -> None:
        point, losses, count = rosenbrock(settings)
        np.testing.assert_allclose([*point, *losses], LBFGS[name][:4], rtol=1e-10)
        assert count == LBFGS[name][4]

    def test_the_search_finds_the_minimum_of_scipy(self) -> None:
        point, _, count = rosenbrock({"max_iter": 60, "line_search_fn": "strong_wolfe"})
        minimum = scipy.optimize.minimize(
            scipy.optimize.rosen, [-1.2, 1.0], jac=scipy.optimize.rosen_der, method="L-BFGS-B", options={"ftol": 1e-15}
        )
        np.testing.assert_allclose(point, minimum.x, atol=1e-4)
        assert count < 80

    def test_a_state_goes_on_where_it_was(self) -> None:
        w = nn.Parameter(np.array([2.0, -3.0]))
        settings: Any = {"lr": 0.1, "max_iter": 2}
        first = optim.LBFGS([w], **settings)

        def closure_of(optimizer: optim.Optimizer, x: Tensor) -> Callable[[], Tensor]:
            def closure() -> Tensor:
                optimizer.zero_grad()
                loss = (x**4).sum() + x[0] * x[1]
                loss.backward()
                return loss

            return closure

        first.step(closure_of(first, w))
        v = nn.Parameter(w.detach())
        second = optim.LBFGS([v], **settings)
        second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
        first.step(closure_of(first, w))
        second.step(closure_of(second, v))
        assert v.tolist() == w.tolist()

    def test_a_function_that_is_flat(self) -> None:
        w = nn.Parameter(gp.zeros(2))
        optimizer = optim.LBFGS([w, nn.Parameter(gp.ones(1))])

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            return loss

        assert optimizer.step(closure).item() == 0.0
        assert w.tolist() == [0.0, 0.0]


SCHEDULED: dict[str, Callable[[optim.Optimizer], lr_scheduler.LRScheduler]] = {
    "StepLR(o, 2, 0.5)": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "ExponentialLR(o, 0.9)": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "CosineAnnealingLR(o, 3, 0.01)": lambda o: lr_scheduler.CosineAnnealingLR(o, 3, 0.01),
    "LambdaLR(o, lambda k: 1 / (1 + k))": lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k)),
}


class TestSchedules:
    @staticmethod
    def two_groups() -> optim.Optimizer:
        groups: list[dict[str, Any]] = [
            {"params": nn.Parameter(gp.ones(1))},
            {"params": nn.Parameter(gp.ones(1)), "lr": 0.2},
        ]
        return optim.SGD(groups, lr=0.1)

    @pytest.mark.parametrize("call", SCHEDULES)
    def test_rates_are_those_of_pytorch(self, call: str) -> None:
        optimizer = self.two_groups()
        schedule = SCHEDULED[call](optimizer)
        rates = [schedule.get_last_lr()]
        for _ in range(7):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr())
            assert [group["lr"] for group in optimizer.param_groups] == rates[-1]
        np.testing.assert_allclose(rates, SCHEDULES[call], rtol=1e-12)

    @pytest.mark.parametrize("call", SCHEDULES)
    def test_a_state_goes_on_where_it_was(self, call: str) -> None:
        optimizer, other = self.two_groups(), self.two_groups()
        schedule, loaded = SCHEDULED[call](optimizer), SCHEDULED[call](other)
        for _ in range(3):
            optimizer.step()
            schedule.step()
        loaded.load_state_dict(pickle.loads(pickle.dumps(schedule.state_dict())))
        other.load_state_dict(optimizer.state_dict())
        other.step()
        loaded.step()
        np.testing.assert_allclose(loaded.get_last_lr(), SCHEDULES[call][4], rtol=1e-12)

    def test_the_order_of_steps(self) -> None:
        schedule = lr_scheduler.ExponentialLR(self.two_groups(), 0.9)
        with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`"):
            schedule.step()
