"""Example of an op: a few lines of Python that a client runs, with what they print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.engine import Engine, GradientEvent, ValueEvent
from gradproof.engine.errors import GradproofError
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.inference import InferenceError
from gradproof.engine.job import Job
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, is_differentiable, spec_of

DIGITS = 4
ATTEMPTS = 8
MAX_ELEMENTS = 64


@dataclass(frozen=True)
class _Run:
    """Inputs of an op, its outputs, and the gradients of the sum of all their elements."""

    inputs: Sequence[Array]
    outputs: Sequence[Array]
    gradients: Sequence[Array | None]


def example(registry: Registry, op: Op) -> str:
    """Source with prompts and printed lines, as doctest reads it; empty where no declared case has an example. Runs the
    op."""
    own = [] if op.cases or not op.elementwise else [op.uniform((3,))]
    for case in (*own, *op.declared_cases()):
        for seed in range(ATTEMPTS):
            run = _run(registry, op, case, Random(f"{op.name} {seed}"))
            if run is not None:
                return _source(op, case, run)
    return ""


def _run(registry: Registry, op: Op, case: Case, random: Random) -> _Run | None:
    """The op at random points of its domains, or None where that gives no finite numbers."""
    inputs = [x if isinstance(x, np.ndarray) else _drawn(op, k, x, random) for k, x in enumerate(case.inputs)]
    leaves = tuple(
        Leaf(f"x{k}", spec_of(x), is_differentiable(x.dtype) and k not in op.still) for k, x in enumerate(inputs)
    )
    try:
        specs = op.inference([leaf.spec for leaf in leaves], case.attributes).outputs
        names = tuple(f"y{k}" for k in range(len(specs)))
        graph = Graph(leaves, (Node(op.name, tuple(leaf.name for leaf in leaves), names, case.attributes),), names)
        values = [(leaf.name, x) for leaf, x in zip(leaves, inputs, strict=True)]
        engine = Engine(registry)
        outputs = [event.value for event in engine.evaluate(Job(graph, values)) if isinstance(event, ValueEvent)]
        seeds = [(n, np.ones(s.shape, s.dtype)) for n, s in zip(names, specs, strict=True) if is_differentiable(s.dtype)]
        gradients: dict[str, Array | None] = {}
        if op.differentiable and seeds:
            moving = tuple(name for name, _ in seeds)
            job = Job(Graph(leaves, graph.nodes, moving), values, seeds)
            gradients = {e.name: e.gradient for e in engine.differentiate(job) if isinstance(e, GradientEvent)}
    except (GradproofError, InferenceError):
        return None
    shown = [*outputs, *(g for g in gradients.values() if g is not None)]
    if not all(np.isfinite(x).all() for x in shown) or sum(x.size for x in shown) > MAX_ELEMENTS:
        return None
    return _Run(inputs, outputs, [gradients.get(leaf.name) for leaf in leaves])


def _drawn(op: Op, position: int, shape: tuple[int, ...], random: Random) -> Array:
    domain = op.domain(position)
    return np.array([float(domain.sample(random)) for _ in range(int(np.prod(shape)))]).reshape(shape)


def _source(op: Op, case: Case, run: _Run) -> str:
    names = _names(op, len(run.inputs))
    lines = [">>> import gradproof.client as gp"]
    for name, x, gradient in zip(names, run.inputs, run.gradients, strict=True):
        moving = ", requires_grad=True" if gradient is not None else ""
        dtype = f", dtype={x.dtype.name!r}" if x.dtype not in (np.float64, np.int64, np.bool_) or not x.size else ""
        default = ', dtype="float64"' if x.dtype == np.float64 else dtype
        lines.append(f">>> {name} = gp.tensor({x.tolist()}{default}{moving})")
    letter = next(letter for letter in "yzw" if letter not in names)
    results = [letter] if len(run.outputs) == 1 else [f"{letter}{k + 1}" for k in range(len(run.outputs))]
    attributes = [f"{name}={value!r}" for name, value in case.attributes.items()]
    lines.append(f">>> {', '.join(results)} = gp.ops.{op.name}({', '.join([*names, *attributes])})")
    for name, y in zip(results, run.outputs, strict=True):
        lines += [f">>> print({_rounded(name, y)})", _printed(y)]
    if any(gradient is not None for gradient in run.gradients):
        moving_results = [(n, y) for n, y in zip(results, run.outputs, strict=True) if is_differentiable(y.dtype)]
        sums = [f"{n}.real.sum()" if y.dtype.kind == "c" else f"{n}.sum()" for n, y in moving_results]
        total = " + ".join(sums)
        lines.append(f">>> {total if len(sums) == 1 else f'({total})'}.backward()")
        for name, gradient in zip(names, run.gradients, strict=True):
            if gradient is not None:
                lines += [f">>> print({name}.grad.numpy().round({DIGITS}).tolist())", _printed(gradient)]
    return "\n".join(lines)


def _names(op: Op, count: int) -> list[str]:
    single = op.inputs[: len(op.inputs) - op.variadic]
    return [*single[:count], *(f"{op.inputs[-1][0]}{k + 1}" for k in range(count - len(single)))]


def _rounded(name: str, x: Array) -> str:
    return f"{name}.detach().numpy().round({DIGITS}).tolist()" if is_differentiable(x.dtype) else f"{name}.tolist()"


def _printed(x: Array) -> str:
    shown: Any = np.round(x, DIGITS).tolist() if is_differentiable(x.dtype) else x.tolist()
    return str(shown)
