"""Programs through tensors beside torch: value and gradients as arrays, from parameters as arrays, with the same source for
both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import gradproof.client as gp
from benchmarks.real_data import classified
from gradproof.engine.spec import Array

AGREEMENT = 1e-9
ROUND_SECONDS = 0.15
Step = Callable[[], tuple[float, list[Array]]]
GOALS = {"embedded": 3.0, "in process": 1.5}
"""Goals: time as a multiple of that of torch eager, at most."""


@dataclass(frozen=True)
class Program:
    """A loss, written with the functions of a library of tensors: ``loss(library, constants, parameters)``."""

    loss: Callable[[Any, list[Any], list[Any]], Any]
    constants: tuple[Array, ...]
    parameters: tuple[Array, ...]


def logistic(rows: int = 500, columns: int = 10) -> Program:
    """The mean loss of a logistic regression, with a penalty."""
    samples, labels = classified(rows, columns)

    def loss(xp: Any, constants: list[Any], parameters: list[Any]) -> Any:
        (x, y), (w, b) = constants, parameters
        z = x @ w + b
        return (xp.nn.functional.softplus(z) - y * z).mean() + 0.005 * w.square().sum()

    random = np.random.default_rng(1)
    return Program(loss, (samples, labels.astype(float)), (random.normal(size=columns), np.array(0.1)))


def perceptron(batch: int = 64, sizes: tuple[int, ...] = (784, 256, 128, 10)) -> Program:
    """The mean cross entropy of a perceptron with tanh."""
    random = np.random.default_rng(2)

    def loss(xp: Any, constants: list[Any], parameters: list[Any]) -> Any:
        h, target = constants
        for k in range(0, len(parameters), 2):
            h = h @ parameters[k] + parameters[k + 1]
            h = h.tanh() if k + 2 < len(parameters) else h
        return -(h.log_softmax(1) * target).sum() / batch

    layers = [
        part for n, m in pairwise(sizes) for part in (random.normal(size=(n, m)) / np.sqrt(n), random.normal(size=m) / 10)
    ]
    target = np.eye(sizes[-1])[random.integers(0, sizes[-1], batch)]
    return Program(loss, (random.normal(size=(batch, sizes[0])), target), tuple(layers))


def runge_kutta(steps: int = 20, size: int = 2) -> Program:
    """The squared end of steps of the classical Runge-Kutta method for y' = A y + sin(y) b."""
    random = np.random.default_rng(3)

    def loss(xp: Any, constants: list[Any], parameters: list[Any]) -> Any:
        (y, a, b), h = parameters, 0.05

        def slope(y: Any) -> Any:
            return a @ y + y.sin() * b

        for _ in range(steps):
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y.square().sum()

    return Program(loss, (), (random.normal(size=size), random.normal(size=(size, size)), random.normal(size=size)))


def lstm(steps: int = 20, hidden: int = 64, batch: int = 16) -> Program:
    """An LSTM step by step: the sum of squares of its last state."""
    random = np.random.default_rng(5)

    def loss(xp: Any, constants: list[Any], parameters: list[Any]) -> Any:
        (h, c, *inputs), (wx, wh, bias) = constants, parameters
        for x in inputs:
            z = x @ wx + h @ wh + bias
            i, f, g, o = (z[:, k * hidden : (k + 1) * hidden] for k in range(4))
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h.square().sum()

    state = np.zeros((batch, hidden))
    inputs = tuple(random.normal(size=(batch, hidden)) for _ in range(steps))
    weights = tuple(random.normal(size=(hidden, 4 * hidden)) / 8 for _ in range(2))
    return Program(loss, (state, state, *inputs), (*weights, np.zeros(4 * hidden)))


def convolutions(batch: int = 16, size: int = 14, channels: tuple[int, ...] = (1, 8, 16), classes: int = 10) -> Program:
    """The mean cross entropy of two convolutions of 3 x 3 with relu, the mean over all pixels, and a linear layer."""
    random = np.random.default_rng(6)

    def loss(xp: Any, constants: list[Any], parameters: list[Any]) -> Any:
        h, target = constants
        *filters, w, b = parameters
        for k in range(0, len(filters), 2):
            h = xp.nn.functional.conv2d(h, filters[k], filters[k + 1], padding=1).relu()
        h = h.mean((2, 3)) @ w + b
        return -(h.log_softmax(1) * target).sum() / batch

    filters = [
        part
        for n, m in pairwise(channels)
        for part in (random.normal(size=(m, n, 3, 3)) / np.sqrt(9 * n), random.normal(size=m) / 10)
    ]
    last = (random.normal(size=(channels[-1], classes)) / np.sqrt(channels[-1]), random.normal(size=classes) / 10)
    target = np.eye(classes)[random.integers(0, classes, batch)]
    return Program(loss, (random.normal(size=(batch, channels[0], size, size)), target), (*filters, *last))


PROGRAMS: dict[str, Callable[[], Program]] = {
    "logistic regression 500x10": logistic,
    "perceptron, batch 64": perceptron,
    "twenty RK4 steps": runge_kutta,
    "LSTM, 20 steps": lstm,
    "two convolutions": convolutions,
}


def step_of(xp: Any, program: Program, wrapped: Callable[..., Any] | None = None) -> Step:
    """A step of ``program`` with the tensors of ``xp``; ``wrapped``: what makes a function of tensors of the loss, such as
    ``gp.function``."""
    constants = [xp.tensor(array) for array in program.constants]

    def loss(*parameters: Any) -> Any:
        return program.loss(xp, constants, list(parameters))

    called = loss if wrapped is None else wrapped(loss)

    def step() -> tuple[float, list[Array]]:
        parameters = [xp.tensor(array, requires_grad=True) for array in program.parameters]
        result = called(*parameters)
        result.backward()
        return float(result.item()), [parameter.grad.numpy() for parameter in parameters]

    return step


def steps_of(program: Program, threads: int) -> dict[str, Step]:
    """A step of the program by path: torch where it is installed, and every path that the client has."""
    steps: dict[str, Step] = {}
    if find_spec("torch") is not None:
        torch: Any = import_module("torch")
        torch.set_num_threads(threads)
        steps["torch"] = step_of(torch, program)
    steps["embedded"] = step_of(gp, program)
    function = getattr(gp, "function", None)
    if function is not None:
        steps["embedded, function"] = step_of(gp, program, function)
    return steps


def measured(rounds: int, threads: int = 1, names: tuple[str, ...] = tuple(PROGRAMS)) -> dict[str, Any]:
    """Milliseconds of a step of each program on each path, and its multiple of torch's: medians over interleaved rounds.
    Raises SystemExit where two paths differ."""
    results: dict[str, Any] = {}
    for name in names:
        steps = steps_of(PROGRAMS[name](), threads)
        answers = {path: step() for path, step in steps.items()}
        first, *others = answers
        for path in others:
            agree(f"{name}: {path}", answers[first], answers[path])
        counts = {path: repeats(step) for path, step in steps.items()}
        times: dict[str, list[float]] = {path: [] for path in steps}
        for _ in range(rounds):
            for path, step in steps.items():
                times[path].append(timed(step, counts[path]))
        base = times.get("torch")
        results[name] = {
            path: {
                "ms": 1e3 * median(seconds),
                "ratio": median(a / b for a, b in zip(seconds, base, strict=True)) if base else None,
            }
            for path, seconds in times.items()
        }
    return results


def agree(place: str, first: tuple[float, list[Array]], second: tuple[float, list[Array]]) -> None:
    """Raises SystemExit where values or gradients differ by more than `AGREEMENT` of the largest element."""
    for a, b in zip([np.array(first[0]), *first[1]], [np.array(second[0]), *second[1]], strict=True):
        worst = float(np.abs(a - b).max() / max(float(np.abs(a).max()), 1e-300))
        if not worst <= AGREEMENT:
            raise SystemExit(f"{place} differs by {worst:.1e}")


def repeats(step: Step) -> int:
    """So many steps that a round is long enough to be timed; the first steps warm caches and plans."""
    for _ in range(3):
        step()
    return max(1, int(ROUND_SECONDS / timed(step, 1)))


def timed(step: Step, count: int) -> float:
    """Seconds of a step."""
    started = perf_counter()
    for _ in range(count):
        step()
    return (perf_counter() - started) / count
