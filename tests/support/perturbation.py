"""Spoiling a run: one element of one array is multiplied by a number close to 1, and all that rests on it is computed from
that, as if a loop had gone wrong there and nowhere else.

An element can only be seen to be wrong where it carries the digits. What cancels carries fewer than its inputs have; how
many is measured by moving the inputs of the node a little, not by what the checks make of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradproof.engine.engine import Run
from gradproof.engine.spec import Array
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord
from gradproof.engine.verify.verifier import Verifier

EDGES = (2**14 - 1, 2**14, 2**15 - 1, 2**15)
MOST_CONDITION = {"float64": 100.0, "float32": 16.0}
"""By so much random relative changes of inputs may grow in an element that is to carry the digits. A sum of 512 terms of
either sign that grows them 16 times is 1/300 of its terms' magnitudes; its additions in float32 may cost 10^-3 of it."""
DRAWS = 8
MOVED = 2.0**-10
PLANTED = {"float64": 1e-9, "float32": 1e-3}


@dataclass(frozen=True)
class Spot:
    """An array of a run that checks should see: value ``number``, computed by instructions ``made``; the forward value of a
    node, or what the rule of the node at ``instruction`` gave for its input ``input``, or the sum of several of these."""

    number: int
    made: range
    node: int | None
    op: str
    kind: str
    input: str = ""

    def __str__(self) -> str:
        return f"{self.kind} of node {self.node} ({self.op})" + (f", input {self.input}" if self.input else "")


def spots(run: Run) -> list[Spot]:
    """All arrays of a run whose numbers a gradient rests on: results of nodes that gradients flow through or rules read,
    contributions, sums. What is the same array under two names comes once."""
    plan = run.plan
    program, backward = plan.program, plan.backward
    found: dict[int, Spot] = {}
    read = {k for one in program.instructions[plan.forward_length :] for k in one.inputs}
    for position in range(plan.forward_length):
        one = program.instructions[position]
        for out in one.outputs:
            if program.specs[out].dtype.kind == "f" and (out in backward.final or out in read):
                node = plan.lowered.node_of[position]
                found[out] = Spot(out, range(position, position + 1), node, one.op.name, "result")
    for use in backward.contributions:
        made, one = backward.written[use.instruction], program.instructions[use.instruction]
        if any(use.number in program.instructions[k].outputs for k in made):
            node, name = plan.lowered.node_of[use.instruction], one.op.input_name(use.position)
            found[use.number] = Spot(use.number, made, node, one.op.name, "contribution", name)
    producer = {out: k for k, one in enumerate(program.instructions) for out in one.outputs}
    for value, raw in backward.raw.items():
        if raw in producer and raw not in found:
            found[raw] = Spot(raw, range(producer[raw], producer[raw] + 1), None, "add", f"sum of value {value}")
    return list(found.values())


def computed(run: Run, values: list[Any], first: int, moved: set[int], steps: range) -> None:
    """Compute again what rests on the values ``moved``, at these instructions."""
    plan = run.plan
    behind = {cut.raw: cut.final for cut in plan.backward.cuts}
    for position in steps:
        one = plan.program.instructions[position]
        if position <= first or moved.isdisjoint(one.inputs):
            continue
        with np.errstate(all="ignore"):
            result = plan.steps[position].call(*[values[k] for k in one.inputs])
        for out, array in zip(one.outputs, result if len(one.outputs) > 1 else (result,), strict=True):
            values[out] = array
            moved.add(out)
            if out in behind:
                values[behind[out]] = array
                moved.add(behind[out])


def spoiled(run: Run, spot: Spot, element: int, factor: float) -> Run:
    """The run, had this element of this array come out ``factor`` times as large."""
    array = np.asarray(run.values[spot.number])
    before = array.reshape(-1)[element]
    after = (before.astype(np.float64) * factor).astype(array.dtype)
    assert after != before
    return put(run, spot, element, after)


def matters(run: Run, spot: Spot, element: int) -> bool:
    """Whether any gradient or output rests on the element. None does where a branch is not taken."""
    array = np.asarray(run.values[spot.number])
    with np.errstate(all="ignore"):
        other = put(
            run, spot, element, array.dtype.type(1) + 2 * np.max(np.abs(array), initial=0, where=np.isfinite(array))
        )
    plan = run.plan
    ends = [*plan.backward.final.values(), *(plan.lowered.values[name] for name in run.job.graph.outputs)]
    both = ((np.asarray(run.values[k]), np.asarray(other.values[k])) for k in ends if k != spot.number)
    return any(one.tobytes() != another.tobytes() for one, another in both)


def put(run: Run, spot: Spot, element: int, value: Any) -> Run:
    """The run, had this element of this array come out as ``value``."""
    values = list(run.values)
    array = np.array(values[spot.number], order="C")
    array.reshape(-1)[element] = value
    values[spot.number] = array
    instructions = run.plan.program.instructions
    first = next(k for k in spot.made if spot.number in instructions[k].outputs)
    moved = {spot.number}
    final = {cut.raw: cut.final for cut in run.plan.backward.cuts}.get(spot.number)
    if final is not None:
        values[final] = array
        moved.add(final)
    computed(run, values, first, moved, range(first + 1, len(instructions)))
    return replace(run, values=values)


def condition(run: Run, spot: Spot, seed: int = 0) -> Array:
    """By how much relative changes of a node's inputs grow in each element, flat: the root mean square of random ones."""
    random = np.random.default_rng(seed)
    instructions, specs = run.plan.program.instructions, run.plan.program.specs
    made = {out for k in spot.made for out in instructions[k].outputs}
    outside = {n for k in spot.made for n in instructions[k].inputs} - made - set(run.plan.program.literals)
    truth = np.asarray(run.values[spot.number]).astype(np.float64).reshape(-1)
    away = np.zeros(truth.shape)
    for _ in range(DRAWS):
        values = list(run.values)
        for number in outside:
            array = np.asarray(values[number])
            if specs[number].dtype.kind == "f":
                signs = random.choice((-1.0, 1.0), array.shape)
                with np.errstate(all="ignore"):
                    values[number] = (array * (1 + MOVED * signs)).astype(array.dtype)
        computed(run, values, spot.made[0] - 1, set(outside), spot.made)
        with np.errstate(all="ignore"):
            found = np.asarray(values[spot.number]).astype(np.float64).reshape(-1)
            away += np.square(found - truth)
    with np.errstate(all="ignore"):
        return np.asarray(np.sqrt(away / DRAWS) / (MOVED * np.abs(truth)))


def elements(run: Run, spot: Spot, count: int, seed: int = 0) -> list[int]:
    """Elements that carry the digits, flat: the first, the last, the largest, the smallest, those beside block edges, and
    random ones; up to ``count`` of them."""
    random = np.random.default_rng(seed)
    array = np.asarray(run.values[spot.number])
    flat = np.abs(array.astype(np.float64).reshape(-1))
    most = MOST_CONDITION.get(array.dtype.name, 1.0)
    normal = float(np.finfo(array.dtype).tiny) / PLANTED.get(array.dtype.name, 1e-3)
    good = np.flatnonzero(np.isfinite(flat) & (flat > normal) & (condition(run, spot, seed) <= most))
    if not good.size:
        return []
    edges = [k for k in EDGES if k in set(good.tolist())] if flat.size > EDGES[0] else []
    picked = [*edges, good[np.argmax(flat[good])], good[np.argmin(flat[good])], good[0], good[-1]]
    some = [int(k) for k in random.permutation(picked)[: max(1, count // 2)]]
    return list(dict.fromkeys([*some, *random.choice(good, count - len(some)).tolist()]))


def place(array: Any, element: int) -> str:
    """An element as verdicts name it; empty for a single number."""
    shape = np.asarray(array).shape
    return str([int(k) for k in np.unravel_index(element, shape)]) if shape else ""


def seen(verdicts: Sequence[GradientVerdict], spot: Spot, where: str) -> bool:
    """Whether a verdict is ``wrong`` and names the element, and the node where it is one node's."""
    reasons = [one.reason for one in verdicts if one.summary is SummaryWord.WRONG]
    if spot.node is None:
        return any(where in reason for reason in reasons)
    made = "the node computed" if spot.kind == "result" else "the rule gave"
    return any(f"node {spot.node} " in reason and where in reason and made in reason for reason in reasons)


def missed(verifier: Verifier, run: Run, picked: Sequence[tuple[Spot, int]], factor: float) -> Iterator[str]:
    """Sentences about those errors that no verdict reported as it should, of elements that matter."""
    for spot, element in picked:
        verdicts = list(verifier.check(spoiled(run, spot, element, factor), budget=60.0))
        where = place(run.values[spot.number], element)
        if not seen(verdicts, spot, where) and matters(run, spot, element):
            worst = min(
                verdicts, key=lambda one: list(SummaryWord).index(one.summary) if one.summary is SummaryWord.WRONG else -1
            )
            yield f"{spot}, element {where}: {worst.name} is {worst.summary}: {worst.reason[:300]}"
