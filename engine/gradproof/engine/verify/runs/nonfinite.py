"""Origin of a number that is not finite, and the finite derivative that it hides, if any."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from flint import arb, arb_series

from gradproof.engine.engine import Run
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.spec import is_complex, is_differentiable, parts
from gradproof.engine.verify.floats.balls import balls_of
from gradproof.engine.verify.floats.ulps import exact, finite
from gradproof.engine.verify.readings import Series, concrete, parts_shape, read_parts
from gradproof.engine.verify.readings.power_series import head, mapped, tangent
from gradproof.engine.verify.verdict import Origin
from gradproof.engine.verify.verdict.wording import index_text

MAX_ELEMENTS = 20_000
BITS = 256


def origin_of(run: Run, number: int) -> Origin | None:
    """First node behind value ``number`` that computed a number that is not finite from finite inputs; None if such a
    number was an input or came from a hook."""
    plan, values = run.plan, run.values
    program = plan.program
    made_by = {out: k for k, current in enumerate(program.instructions) for out in current.outputs}
    raw = {final: cut for cut, final in ((c.raw, c.final) for c in plan.backward.cuts)}
    behind: set[int] = set()
    pending = [number]
    while pending:
        current = pending.pop()
        position = made_by.get(raw.get(current, current))
        if position is not None and position not in behind:
            behind.add(position)
            pending.extend(program.instructions[position].inputs)
    for position in sorted(behind):
        instruction = program.instructions[position]
        if not all(_finite(values[k]) for k in instruction.inputs):
            continue
        for out in instruction.outputs:
            if not _finite(values[out]):
                bad = ~np.isfinite(np.asarray(values[out]))
                index = [int(k) for k in np.argwhere(bad)[0]] if bad.ndim else []
                rule = position >= plan.forward_length
                node = plan.backward.node_of.get(position, 0) if rule else plan.lowered.node_of[position]
                op = plan.lowered.graph.nodes[node].op
                got = np.asarray(values[out])[tuple(index)]
                return Origin(node, op, rule, str(index) if index else "", str(got))
    return None


def _finite(value: Any) -> bool:
    array = np.asarray(value)
    return not is_differentiable(array.dtype) or finite(array)


def true_derivative(run: Run, name: str, seconds: float) -> tuple[str, arb] | None:
    """Index of the first element of the gradient of ``name`` that is not finite, and the derivative there.

    The forward pass is read in power series, without the branches that were not taken. None if the derivative is not
    finite there, if an op on the way is at a kink or a jump, or if it was not computed within ``seconds``.
    """
    plan, program = run.plan, run.plan.program
    number = plan.lowered.values[name]
    gradient = np.asarray(run.values[plan.backward.raw[number]])
    spec = program.specs[number]
    size = sum(
        program.specs[out].size
        for instruction in program.instructions[: plan.forward_length]
        for out in instruction.outputs
    )
    if is_complex(spec) or size > MAX_ELEMENTS:
        return None
    index = tuple(int(k) for k in np.argwhere(~np.isfinite(gradient))[0]) if gradient.ndim else ()
    deadline = time.monotonic() + seconds
    with precision(BITS):
        derivative = _read(run, number, index, deadline)
    if (
        derivative is None
        or not derivative.is_finite()
        or not (derivative.is_zero() or derivative.rel_accuracy_bits() >= 60)
    ):
        return None
    return index_text(index), derivative


def _read(run: Run, number: int, index: tuple[int, ...], deadline: float) -> arb | None:
    """Derivative of the seeded outputs along a single element of a value. Cells without a value are nan."""
    plan, program = run.plan, run.plan.program
    cells: dict[int, Any] = {}

    def cells_of(k: int) -> Any:
        if k not in cells:
            array = np.asarray(run.values[k])
            cells[k] = balls_of(array) if is_differentiable(array.dtype) else concrete(array)
            enter(k)
        return cells[k]

    def enter(k: int) -> None:
        if k == number:
            before = cells[k][index]
            cells[k][index] = arb_series([head(before), tangent(before) + 1], 2)

    for instruction in program.instructions[: plan.forward_length]:
        if time.monotonic() > deadline:
            return None
        specs, outs = [program.specs[k] for k in instruction.inputs], [program.specs[k] for k in instruction.outputs]
        reading = Series()
        try:
            outputs = read_parts(
                instruction.op, reading, [cells_of(k) for k in instruction.inputs], specs, instruction.attributes, outs
            )
        except BaseException as error:  # at a pole or without a definition, its outputs have no value
            reraise_own(error)
            outputs = [_filled(parts_shape(spec)) for spec in outs]
        for out, spec, result in zip(instruction.outputs, outs, outputs, strict=True):
            if not is_differentiable(spec.dtype):
                cells[out] = concrete(np.asarray(run.values[out]))
            else:
                cells[out] = mapped(_without_derivative, result) if reading.branched else result
            enter(out)
    total = arb(0)
    for name, seed in plan.backward.seeds.items():
        for g, x in zip(parts(np.asarray(run.values[seed])).flat, cells_of(plan.lowered.values[name]).flat, strict=True):
            total += exact(g) * tangent(x)
    return total


def _without_derivative(x: Any) -> arb_series:
    """The value of a cell, with the derivative nan."""
    return arb_series([arb(head(x)), arb("nan")], 2)


def _filled(shape: tuple[int, ...]) -> Any:
    """Cells that are nan."""
    cells = np.empty(shape, object)
    for index in np.ndindex(shape):
        cells[index] = arb_series([arb("nan"), arb("nan")], 2)
    return cells
