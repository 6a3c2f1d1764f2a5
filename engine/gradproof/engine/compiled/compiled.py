"""Compiled plan: the results of the interpreter, to the same bits, in a fraction of the time.

Where the compiled function raises, the interpreter runs again from the start: it has the result, where Python's floats have
none, or names the fault.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from gradproof.engine.cancellation import NEVER, Cancellation, watched
from gradproof.engine.compiled.assemble import assembled
from gradproof.engine.compiled.executable import Executable
from gradproof.engine.compiled.simplify import MAX_FOLDED, Cut, Item, Simplified, simplify
from gradproof.engine.plan import Plan, call_of
from gradproof.engine.spec import Array, Spec

MAX_FAILURES: Final = 2  # runs in which Python's floats raised; then a plan is to be careful


@dataclass(frozen=True, eq=False, slots=True)
class Constants:
    """Values of leaves that are the same in all runs: whatever depends on them only is computed once. Two with the same
    values differ."""

    values: Mapping[str, Array] = field(default_factory=dict)


NONE: Final = Constants()


@dataclass(frozen=True, slots=True)
class Variant:
    """The part of a job that a plan is compiled for: the values that leave, the gradients that hooks may change, the
    outputs that have seeds (the seed of any other output is 1), and the leaves that are constant."""

    fetch: tuple[str, ...]
    hooked: frozenset[str] = frozenset()
    seeded: tuple[str, ...] = ()
    constants: Constants = NONE


class Compiled(Executable):
    """A plan compiled for a `Variant`. Any number of runs at a time; each has a workspace of its own. ``careful``: NumPy
    computes a scalar op where Python's floats raise; otherwise the whole run raises, and is counted in ``failures``."""

    def __init__(self, plan: Plan, variant: Variant, *, careful: bool = False) -> None:
        self.plan, self.variant, self.careful, self.failures = plan, variant, careful, 0
        super().__init__(*simplified(plan, variant), careful, plan.registry.kernels)
        self.names = [*variant.fetch, *(cut.name for cut in plan.backward.cuts)]
        self.specs = _specs(plan, variant)

    def arguments(self, leaves: Mapping[str, Array], seeds: Mapping[str, Array]) -> list[Any]:
        """The arguments of a run, in the order in which the function takes them: leaves, then seeds."""
        constants = self.variant.constants.values
        names = [leaf.name for leaf in self.plan.lowered.graph.leaves if leaf.name not in constants]
        return [*(leaves[name] for name in names), *(seeds[name] for name in self.variant.seeded)]

    def run(
        self, arrays: Sequence[Any], cancellation: Cancellation = NEVER
    ) -> Generator[tuple[int, Array], Array | None, None]:
        """Run the plan: yields each value that leaves, as soon as it is computed, with its index in ``names``, as a
        read-only array that is not shared, and is sent the gradient after all hooks. Raises Cancelled, and any exception of
        an op."""
        workspace = self._workspace()
        memory = workspace.readable, workspace.writable, workspace.bound, workspace.outputs
        stream = self._function(*memory, arrays, cancellation)
        try:
            sent: Array | None = None
            while True:
                with np.errstate(all="ignore"):
                    try:
                        index, value = stream.send(sent)
                    except StopIteration:
                        return
                sent = yield index, self._leaving(index, value)
        finally:
            stream.close()
            self._give_back(workspace)

    def _leaving(self, index: int, value: Any) -> Array:
        if isinstance(value, np.ndarray):
            array = value.view()
        else:
            array = np.array(value, self.specs[index].dtype)
        array.flags.writeable = False
        return array


def _specs(plan: Plan, variant: Variant) -> list[Spec]:
    program, values = plan.program, plan.lowered.values
    return [
        *(program.specs[values[name]] for name in variant.fetch),
        *(program.specs[cut.raw] for cut in plan.backward.cuts),
    ]


def simplified(plan: Plan, variant: Variant) -> tuple[Simplified, dict[int, str]]:
    """The program with its cuts, simplified; and by value the expression of each argument of a run."""
    program, values, backward = plan.program, plan.lowered.values, plan.backward
    instructions = program.instructions
    items: list[Item] = list(instructions[: plan.forward_length])
    items += [Cut(k, values[name]) for k, name in enumerate(watched(variant.fetch))]
    position = plan.forward_length
    for k, cut in enumerate(watched(backward.cuts)):
        items += instructions[position : cut.position]
        items.append(Cut(len(variant.fetch) + k, cut.raw, cut.final, cut.name in variant.hooked))
        position = cut.position
    constants = dict(plan.literals)
    for name, number in watched(backward.seeds.items()):
        if name not in variant.seeded:
            constants[number] = np.ones(program.specs[number].shape, program.specs[number].dtype)
    given = variant.constants.values
    constants |= {values[name]: array for name, array in given.items()}
    leaves = [leaf for leaf in plan.lowered.graph.leaves if leaf.name not in given]
    arguments = {values[leaf.name]: f"X[{k}]" for k, leaf in enumerate(leaves)}
    arguments |= {backward.seeds[name]: f"X[{len(leaves) + k}]" for k, name in enumerate(variant.seeded)}
    most_folded = math.inf if given else MAX_FOLDED
    whole = simplify(items, program.specs, constants, plan.registry, call_of, plan.forward_length, most_folded)
    return assembled(whole), arguments
