"""Runs of a single op, and the verdicts on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.support.proof_sources import LocalProofs, SharedProofs

from gradproof.engine.engine import Engine, Run
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry
from gradproof.engine.spec import is_differentiable, spec_of
from gradproof.engine.verify.verdict import (
    GradientVerdict,
    ValueVerdict,
)
from gradproof.engine.verify.verifier import Verifier


def finish(engine: Engine, job: Job) -> Run:
    """The run of a job, to its end."""
    events = engine.differentiate(job)
    while True:
        try:
            next(events)
        except StopIteration as end:
            run: Run = end.value
            return run


def graph_of(op: str, *arrays: Any, **attributes: Any) -> tuple[Graph, list[tuple[str, Any]]]:
    """One node and a leaf per array (floats require grad), and the values."""
    leaves = tuple(Leaf(f"x{k}", spec_of(a), is_differentiable(a.dtype)) for k, a in enumerate(arrays))
    node = Node(op, tuple(leaf.name for leaf in leaves), ("y",), attributes)
    return Graph(leaves, (node,), ("y",)), [(f"x{k}", a) for k, a in enumerate(arrays)]


def verdicts_of(
    registry: Registry, job: Job, proofs: type[LocalProofs] = SharedProofs, budget: float = 60.0, **options: Any
) -> dict[str, GradientVerdict]:
    """Verdicts on a run, by name, with time enough on a busy machine."""
    verifier = Verifier(registry, proofs(registry))
    return {verdict.name: verdict for verdict in verifier.check(finish(Engine(registry), job), budget=budget, **options)}


def judge(
    registry: Registry, op: str, *arrays: Any, seed: Any = None, proofs: Any = SharedProofs, **attributes: Any
) -> dict[str, GradientVerdict]:
    """Verdicts on the gradients of an op at ``arrays``, by the name of the input; the seed is 1 unless named."""
    graph, values = graph_of(op, *arrays, **attributes)
    engine = Engine(registry)
    shape = engine.infer(graph).specs()["y"]
    cotangent = np.ones(shape.shape, shape.dtype) if seed is None else np.asarray(seed, shape.dtype)
    return verdicts_of(registry, Job(graph, values, [("y", cotangent)]), proofs)


def numbers(verdict: GradientVerdict) -> ValueVerdict:
    """The verdict on the numbers of a gradient that has a single use."""
    assert len(verdict.uses) == 1
    return verdict.uses[0].value
