"""Nodes that ran, for the checks of one node: with their numbers, right or changed in one element."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tests.conftest import REGISTRY
from tests.support.verdicts import finish, graph_of

from gradproof.engine.engine import Engine
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry
from gradproof.engine.spec import DType
from gradproof.engine.trace import Program
from gradproof.engine.verify.nodes import check_node
from gradproof.engine.verify.numbers import Application, Checked
from gradproof.engine.verify.runs import KnownRules
from gradproof.engine.verify.runs.applications import application_of
from gradproof.engine.verify.verdict import ValueVerdict


def applied(op: str, *arrays: Any, seed: Any = None, registry: Registry = REGISTRY, **attributes: Any) -> tuple[Any, Any]:
    """A node that ran, and the program of its rule."""
    graph, values = graph_of(op, *arrays, **attributes)
    engine = Engine(registry)
    out = engine.infer(graph).specs()["y"]
    cotangent = np.ones(out.shape, out.dtype) if seed is None else np.asarray(seed, out.dtype)
    run = finish(engine, Job(graph, values, [("y", cotangent)]))
    steps = run.plan.program.instructions[: run.plan.forward_length]
    [position] = [k for k, one in enumerate(steps) if one.op.name == op]
    uses = [use for use in run.plan.backward.contributions if use.instruction == position]
    return application_of(run, position, uses, ()), KnownRules(registry).of(run, position).program


def checked(one: Application, rule: Program | None, seconds: float = 20.0) -> Checked:
    return check_node(one, rule, (False,) * len(one.inputs), seconds)


def arrays_of(one: Application) -> list[Any]:
    return [*one.results, *(c for c in one.contributions if c is not None)]


def changed(one: Application, which: int, place: int, value: float) -> tuple[Application, str]:
    """The application with one element of a result or contribution changed; and the place as text."""
    arrays = [np.array(x) for x in arrays_of(one)]
    arrays[which].flat[place] = value
    rest = iter(arrays[len(one.results) :])
    contributions = [None if c is None else next(rest) for c in one.contributions]
    index = [int(k) for k in np.unravel_index(place, arrays[which].shape)]
    return replace(one, results=arrays[: len(one.results)], contributions=contributions), str(index)


def verdict_on(found: Checked, one: Application, which: int) -> ValueVerdict:
    if which < len(one.results):
        return found.forward
    return [v for v in found.contributions if v is not None][which - len(one.results)]


def drawn(shape: tuple[int, ...], dtype: DType, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def positive(shape: tuple[int, ...], dtype: DType, seed: int = 0) -> Any:
    return (np.abs(drawn(shape, np.dtype(np.float64), seed)) + 0.1).astype(dtype)
