"""Nodes of a run as applications, the form in which values are checked."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace

import numpy as np

from gradproof.engine.backward import Contribution
from gradproof.engine.engine import Run
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.verify.floats.compare import worse
from gradproof.engine.verify.numbers import Application, Checked
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.wording import element_text, flat_place


def application_of(
    run: Run, position: int, uses: Sequence[Contribution], denied: Container[tuple[int, int]]
) -> Application:
    """An instruction of a run as an application. Inputs in ``denied``, whose rule gives no gradient, claim the
    contribution 0."""
    values, plan = run.values, run.plan
    instruction = plan.program.instructions[position]
    claimed: list[Array | None] = [None] * len(instruction.inputs)
    for use in uses:
        claimed[use.position] = np.asarray(values[use.number])
    inputs = [np.asarray(values[k]) for k in instruction.inputs]
    for slot, x in enumerate(inputs):
        if (position, slot) in denied and is_differentiable(x.dtype):
            claimed[slot] = np.zeros(x.shape, x.dtype)
    outputs = [plan.program.specs[k] for k in instruction.outputs]
    final = plan.backward.final
    cotangents = [
        np.asarray(values[final[k]]) if k in final else np.zeros(spec.shape, spec.dtype)
        for k, spec in zip(instruction.outputs, outputs, strict=True)
    ]
    results = [np.asarray(values[k]) for k in instruction.outputs]
    return Application(instruction.op, instruction.attributes, inputs, outputs, results, cotangents, claimed)


def check_live(whole: Application, live: Array, check: Callable[[Application], Checked]) -> Checked:
    """Check the elements that an output depends on with ``check``; the contributions to all others must be 0."""
    index = np.flatnonzero(np.broadcast_to(live, whole.results[0].shape))
    checked = check(whole.part(index))
    total, shape = whole.results[0].size, whole.results[0].shape
    dead = np.ones(total, bool)
    dead[index] = False

    def placed(verdict: ValueVerdict) -> ValueVerdict:
        rest = total - len(index)
        element = verdict.element
        if element:
            element = element_text(int(index[flat_place(element)]), shape)
        screened = verdict.screened + rest if verdict.screened else 0
        return replace(
            verdict, element=element, checked=verdict.checked + rest, total=verdict.total + rest, screened=screened
        )

    contributions: list[ValueVerdict | None] = []
    for claimed, verdict in zip(whole.contributions, checked.contributions, strict=True):
        if claimed is None or verdict is None:
            contributions.append(None)
            continue
        verdict = placed(verdict)
        wrong = np.flatnonzero(dead & ~(np.asarray(claimed).reshape(-1) == 0))
        if wrong.size:
            place = element_text(int(wrong[0]), shape)
            reason = "the branch with this element was not taken, so that nothing flows to it"
            got = repr(np.asarray(claimed).reshape(-1)[wrong[0]].item())
            verdict = worse(
                verdict, replace(verdict, word=ValueWord.OFF, element=place, got=got, expected="0", reason=reason)
            )
        contributions.append(verdict)
    return Checked(placed(checked.forward), tuple(contributions))
