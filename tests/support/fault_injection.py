"""Planting a fault, and what each check says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tests.support import parts_plugin
from tests.support.fault_catalogue import Fault
from tests.support.proof_sources import LocalProofs
from tests.support.verdicts import finish, graph_of

from gradproof.engine.cases import Case
from gradproof.engine.engine import Engine
from gradproof.engine.errors import GradproofError
from gradproof.engine.extend import Op, hookimpl
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import is_differentiable, spec_of
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import AccumulationWord, GradientVerdict, GraphWord, RuleVerdict, RuleWord, ValueWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN

BASE = build_registry(BUILTIN, others=[parts_plugin])
NAME = "planted.op"


@dataclass(frozen=True)
class Catch:
    """What one check found: its level, and the place and both numbers where it has them."""

    level: str
    text: str
    op: str = ""
    input: str = ""
    element: str = ""
    got: str = ""
    expected: str = ""


def arrays_of(fault: Fault) -> list[Any]:
    return [np.asarray(x) for x in fault.arrays]


def planted(fault: Fault, fields: Any = None) -> Op:
    """The op with the fault in it (or other ``fields``), and the run's shapes for its only case."""
    arrays = arrays_of(fault)
    shapes = tuple(x.shape if is_differentiable(x.dtype) else x for x in arrays)
    whole = {**(fault.fields if fields is None else fields), "cases": (Case(shapes, fault.attributes),), "shrink": None}
    if "forward" in whole:
        whole |= {"into": None, "view": False}  # they say what the right one does
    return replace(BASE.op(fault.op), name=NAME, **whole)


def registry_with(op: Op) -> Registry:
    class Plugin:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "planted"

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(op)

    return build_registry(BUILTIN, others=[Plugin()])


def job_of(fault: Fault, registry: Registry, name: str = NAME) -> Job:
    """One node on the fault's arrays, seeded with numbers of either sign."""
    graph, values = graph_of(name, *arrays_of(fault), **fault.attributes)
    outputs = registry.op(name).inference([spec_of(a) for a in arrays_of(fault)], fault.attributes).outputs
    names = tuple(f"y{k}" for k in range(len(outputs)))
    graph = replace(graph, nodes=(replace(graph.nodes[0], outputs=names),), outputs=names)
    random = np.random.default_rng(4)
    seeds = [np.asarray(random.choice((-1.5, 0.75, 1.25, 2.0), spec.shape), spec.dtype) for spec in outputs]
    return Job(graph, values, list(zip(names, seeds, strict=True)))


BEHAVIOUR = ("linear in the cot", "0 where the cot", "writes to its input", "other bits", "in float", "in bfloat")
LEVELS = {
    "LB": ("convention", "hull"),
    "L0": ("the forward does not compute",),
    "L2": ("the backward gives",),
    "behaviour": BEHAVIOUR,
}


def of_rule(verdict: RuleVerdict) -> Catch | None:
    """What a refutation says, by the level that found it."""
    if verdict.word is not RuleWord.REFUTED:
        return None
    levels = (level for level, texts in LEVELS.items() if any(text in verdict.reason for text in texts))
    level = "L0" if "the forward does not compute" in verdict.reason else next(levels, "L1")
    return Catch(level, verdict.reason, verdict.op, verdict.input, verdict.element, verdict.got, verdict.expected)


def of_run(verdict: GradientVerdict) -> Iterator[Catch]:
    """What the verdict of one gradient holds against it."""
    for use in verdict.uses:
        for level, value in (("L0", use.forward), ("L2", use.value)):
            if value.word is ValueWord.OFF:
                level = "LB" if "convention" in value.reason or "hull" in value.reason else level
                yield Catch(level, value.reason, use.op, use.input, value.element, value.got, value.expected)
    if verdict.accumulation.word is AccumulationWord.OFF:
        yield Catch("LA", verdict.accumulation.reason, input=verdict.name)
    if verdict.graph.word is GraphWord.INCONSISTENT:
        yield Catch("L3", verdict.graph.reason, input=verdict.name)


def catches(fault: Fault, fields: Any = None) -> list[Catch]:
    """All that is found of a fault: at registration, by the proof, by the run and its checks."""
    op = planted(fault, fields)
    registry = registry_with(op)
    if registry.refused:
        return [Catch("refused", str(registry.refused[0]), NAME)]
    op = registry.op(NAME)
    found = [catch for catch in [of_rule(prove(registry, op, op.cases[0]))] if catch]
    try:
        run = finish(Engine(registry), job_of(fault, registry))
    except GradproofError as error:
        return [*found, Catch("run", str(error), NAME)]
    for verdict in Verifier(registry, LocalProofs(registry)).check(run):
        found.extend(of_run(verdict))
    return found
