"""Liveness: elements of a value that no output depends on, because a `where` took the other branch.

Such an element may be nan. Its contributions must be 0; nothing else is checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradproof.engine.domains import INTEGER
from gradproof.engine.engine import Run
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array
from gradproof.engine.trace import Instruction


def live_elements(run: Run) -> dict[int, Array]:
    """For each value of the forward pass with dead elements, the mask of its live elements."""
    program = run.plan.program
    forward = program.instructions[: run.plan.forward_length]
    if not any(_selects(instruction.op) for instruction in forward):
        return {}
    masks: dict[int, Any] = dict.fromkeys((run.plan.lowered.values[name] for name in run.plan.backward.seeds), True)
    for instruction in reversed(forward):
        live = [masks.get(out, False) for out in instruction.outputs]
        for slot, number in enumerate(instruction.inputs):
            before = masks.get(number, False)
            if before is True:
                continue
            mask = _through(run, instruction, slot, live)
            if mask is True or mask is False:
                masks[number] = True if mask else before
            else:
                whole = mask if before is False else before | mask
                masks[number] = True if whole.all() else whole
    return {number: mask for number, mask in masks.items() if mask is not True and mask is not False}


def _through(run: Run, instruction: Instruction, slot: int, live: list[Any]) -> Any:
    """Live elements of an input, from those of the outputs: True for all, False for none, or a mask."""
    if all(mask is False for mask in live):
        return False
    specs = run.plan.program.specs
    mask = live[0]
    taken = _selects(instruction.op)
    if taken is not None:
        condition = np.asarray(run.values[instruction.inputs[taken[0]]]).astype(bool)
        mask = np.full(condition.shape, mask) if mask is True else mask
        if slot in taken[1:]:
            return mask & (condition if slot == taken[1] else ~condition)
        return mask
    if mask is True:
        return True
    if instruction.op.elementwise:
        return mask
    if instruction.op.view and len(instruction.inputs) == 1:
        shape = specs[instruction.inputs[0]].shape
        places = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
        reached = np.zeros(places.size, bool)
        reached[np.asarray(instruction.op.forward(places, **instruction.attributes))[mask]] = True
        return reached.reshape(shape)
    return bool(np.any(mask))


_selecting: dict[int, tuple[Op, tuple[int, int, int] | None]] = {}


def _selects(op: Op) -> tuple[int, int, int] | None:
    """Positions of the condition, of the input that is taken where it holds, and of the other input.

    None for ops that do not select between two inputs by a condition, as their definition shows.
    """
    known = _selecting.get(id(op))
    if known is None:
        known = _selecting[id(op)] = (op, _selection(op))  # with the op, so that its id is not reused
    return known[1]


def _selection(op: Op) -> tuple[int, int, int] | None:
    """The answer of `_selects`, from the definition at symbolic inputs."""
    if not op.elementwise or len(op.inputs) != 3 or not op.definitions or op.attributes:
        return None
    conditions = [k for k in range(3) if op.domain(k) is INTEGER]
    if len(conditions) != 1:
        return None
    taken = []
    for truth in (True, False):
        inputs: list[Any] = [truth if k in conditions else object() for k in range(3)]
        try:
            result = op.definitions[0](Balls(), *inputs)
        except BaseException as error:  # the definition computes with its inputs
            reraise_own(error)
            return None
        taken.append(next((k for k, x in enumerate(inputs) if x is result and k not in conditions), None))
    first, second = taken
    return None if first is None or second is None or first == second else (conditions[0], first, second)
