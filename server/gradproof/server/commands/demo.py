"""The demo: three graphs sent to a real server, differentiated, hooked, and verified."""

from __future__ import annotations

import csv
import itertools
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from gradproof.client import Client, GraphBuilder, connect, hook
from gradproof.server.commands import report

STEPS = 50
RATE = 0.5
EXPECTED = {"x": 4.0, "a": 3.0, "b": 1.0, "y": 1.0}


class DemoFailed(AssertionError):
    """A result of the demo is not as expected."""


def run(console: Console) -> None:
    """Start a server, run the three parts, stop the server. Raises DemoFailed if a result is wrong."""
    console.rule("Starting a server in a process of its own")
    with connect(arguments=("--plugin", "gradproof.server.demo_faulty_op")) as client:
        console.print(f"It listens on {client.target}. Everything below goes through gRPC.")
        tutorial(console, client)
        iris(console, client)
        faulty_rule(console, client)
    console.rule("The server is stopped. That was all")


def tutorial(console: Console, client: Client) -> None:
    """Differentiate the graph of the PyTorch autograd tutorial, then a graph with a hook."""
    console.rule("1. z = a*x + b at x=3, a=4, b=5")
    g = GraphBuilder()
    x, a, b = (g.leaf(name, value, requires_grad=True) for name, value in (("x", 3.0), ("a", 4.0), ("b", 5.0)))
    y = g.apply("multiply", a, x, name="y")
    g.output(g.apply("add", y, b, name="z"))
    result = client.differentiate(g, retain=["y"], fetch=["z"])
    report.print_result(console, result)
    for name, expected in EXPECTED.items():
        _must(float(_gradient(result.gradients[name].gradient)) == expected, f"dz/d{name} is not {expected}")
    console.print(
        "dz/dx is a, dz/da is x, dz/db is 1; y is an inner value whose gradient was retained.\n"
        "PROVED: SymPy shows that the backward rule is the derivative of the op's definition, for all inputs.\n"
        "ENCLOSED: the true number, known to 80 bits or more, is at most that many ulps from the float. EXACT: it is the\n"
        "sum over all uses. verified: all of that, for every step from the output to this value."
    )
    console.print("\nA hook that doubles the gradient of a vector, which is seeded with [1, 2, 3]:")
    g = GraphBuilder()
    v = g.leaf("v", np.zeros(3), requires_grad=True)
    g.output(g.apply("add", v, g.leaf("zero", np.zeros(3)), name="w"))
    result = client.differentiate(g, seeds={"w": np.array([1.0, 2.0, 3.0])}, hooks=[hook("v", "scale", factor=2.0)])
    report.print_result(console, result)
    _must(_gradient(result.gradients["v"].gradient).tolist() == [2, 4, 6], "the hooked gradient is not [2, 4, 6]")
    _must(_gradient(result.gradients["v"].raw).tolist() == [1, 2, 3], "the raw gradient is not [1, 2, 3]")
    console.print("Both are in the result: the gradient is the output of the hook, raw is its input.")


def iris(console: Console, client: Client) -> None:
    """Fit a logistic regression to Fisher's Iris data, in fifty steps through the server."""
    console.rule(f"2. Logistic regression on Fisher's Iris measurements, {STEPS} steps through the server")
    features, species = iris_data()
    g = GraphBuilder()
    rows = g.leaf("rows", shape=features.shape, dtype="float64")
    targets = g.leaf("targets", shape=species.shape, dtype="float64")
    weights = g.leaf("weights", shape=(4, 3), dtype="float64", requires_grad=True)
    bias = g.leaf("bias", shape=(3,), dtype="float64", requires_grad=True)
    scores = g.apply("log_softmax", rows @ weights + bias, axis=1)
    g.output(-g.apply("mean", g.apply("sum", scores * targets, axis=1), name="mean"), name="loss")
    values = {"rows": features, "targets": species, "weights": np.zeros((4, 3)), "bias": np.zeros(3)}
    losses: list[float] = []
    for step in range(1, STEPS + 1):
        last = step == STEPS
        result = client.differentiate(g, values, fetch=["loss"], verify="everything" if last else "off", budget=30.0)
        losses.append(float(result.values["loss"]))
        if step in (1, 2, 5) or step % 10 == 0:
            console.print(f"  step {step:3}   loss {losses[-1]:.6f}", highlight=False)
        for name in ("weights", "bias"):
            values[name] = values[name] - RATE * _gradient(result.gradients[name].gradient)
    report.print_result(console, result)
    _must(all(b < a for a, b in itertools.pairwise(losses)), "the loss did not fall at every step")
    _must(all(v.summary == "verified" for v in result.verdicts.values()), "a gradient of the last step is not verified")
    console.print(
        "The loss is the mean of -log softmax(rows @ weights + bias) at the true species; it fell at each step. The\n"
        "graph was sent once; later steps named it by its digest. The last gradients are verified through all seven ops."
    )


def faulty_rule(console: Console, client: Client) -> None:
    """Differentiate through a plugin op with a wrong rule."""
    console.rule("3. A plugin op with a wrong backward rule")
    console.print("planted.cube computes x³ rightly, but its rule returns 2 g x² where 3 g x² is the derivative.")
    g = GraphBuilder()
    x = g.leaf("x", np.array([1.0, 2.0, 3.0]), requires_grad=True)
    g.output(g.apply("sum", g.apply("planted.cube", x, name="cube"), name="total"))
    result = client.differentiate(g, budget=30.0)
    report.print_result(console, result)
    verdict = result.verdicts["x"]
    _must(verdict.summary == "wrong", "the wrong rule was not caught")
    _must(any(use.rule.word == "REFUTED" for use in verdict.uses), "the rule was not refuted")
    witness = next(use.rule.witness for use in verdict.uses if use.rule.witness)
    console.print(
        f"Refuted: at {witness.point} the rule gives {witness.got}, the derivative of the definition is "
        f"{witness.expected}.\nThe forward values are right: without the verdict the fault would be silent."
    )


def iris_data() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standardised measurements, shape (150, 4), and one-hot species, shape (150, 3)."""
    with (files("gradproof.server") / "data" / "iris.csv").open(encoding="utf-8") as file:
        table = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    features, species = table[:, :4], table[:, 4].astype(int)
    return (features - features.mean(0)) / features.std(0), np.eye(3)[species]


def _gradient(array: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if array is None:
        raise DemoFailed("no gradient arrived")
    return array


def _must(condition: bool, text: str) -> None:
    if not condition:
        raise DemoFailed(text)
