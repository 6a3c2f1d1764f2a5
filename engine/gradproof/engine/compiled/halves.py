"""Halves of a compiled plan: all that does not depend on the seeds runs once, the rest for each row of seeds.

A row of seeds gives a row of a Jacobian. Values that the second half reads of the first are handed on; views are made
again, since a copy would have another layout, which decides the order of sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gradproof.engine.cancellation import NEVER, Cancellation, watched
from gradproof.engine.compiled.compiled import Variant, simplified
from gradproof.engine.compiled.executable import Executable
from gradproof.engine.compiled.simplify import Cut, Item, Simplified
from gradproof.engine.plan import Plan
from gradproof.engine.trace import Instruction


class Split(NamedTuple):
    """A program in two: ``second`` depends on the seeds. It reads the leaves ``given``, and the values ``handed`` on, which
    leave ``first`` behind all others."""

    first: Simplified
    second: Simplified
    given: tuple[int, ...]
    handed: tuple[int, ...]


class Halves:
    """A plan compiled for a variant in two functions."""

    def __init__(self, plan: Plan, variant: Variant, *, careful: bool = False) -> None:
        program, arguments = simplified(plan, variant)
        seeds = [plan.backward.seeds[name] for name in variant.seeded]
        parts = split(program, arguments, seeds)
        places = {number: f"X[{k}]" for k, number in enumerate((*parts.given, *parts.handed, *seeds))}
        kernels = plan.registry.kernels
        self._first = Executable(parts.first, arguments, careful, kernels)
        self._second = Executable(parts.second, places, careful, kernels)
        leaves = [number for number in arguments if number not in seeds]
        self._given = [leaves.index(number) for number in parts.given]
        cuts = [item.index for item in parts.first.items if isinstance(item, Cut)]
        self._once = cuts[: len(cuts) - len(parts.handed)]
        self._each = [item.index for item in parts.second.items if isinstance(item, Cut)]

    def rows(
        self, leaves: Sequence[Any], rows: Sequence[Sequence[Any]], cancellation: Cancellation = NEVER
    ) -> list[list[Any]]:
        """The values that leave, by index, for each row of seeds. Raises Cancelled, and any exception of an op."""
        made = self._first.all(leaves, cancellation)
        common = [*(leaves[k] for k in self._given), *made[len(self._once) :]]
        results = []
        for seeds in watched(rows):
            row = dict(zip(self._once, made, strict=False))
            row.update(zip(self._each, self._second.all([*common, *seeds], cancellation), strict=True))
            results.append([row[index] for index in range(len(row))])
        return results


def split(program: Simplified, arguments: Mapping[int, str], seeds: Sequence[int]) -> Split:
    """The halves of a program: what depends on the values ``seeds``, and what does not."""
    varying, first, second = set(seeds), list[Item](), list[Item]()
    for item in watched(program.items):
        reads = (item.number,) if isinstance(item, Cut) else item.inputs
        if varying.isdisjoint(reads):
            first.append(item)
            continue
        second.append(item)
        if not isinstance(item, Cut):
            varying.update(item.outputs)
    maker = {k: item for item in first if not isinstance(item, Cut) for k in item.outputs}
    views, handed = dict[int, Instruction](), dict[int, None]()
    pending = [k for item in second if not isinstance(item, Cut) for k in item.inputs]
    while pending:
        number = pending.pop()
        source = maker.get(number)
        if source is not None and source.op.view:
            if number not in views:
                views[number] = source
                pending += source.inputs
        elif number not in varying and number not in program.constants:
            handed[number] = None
    given = tuple(number for number in handed if number in arguments)
    computed = tuple(number for number in handed if number not in arguments)
    again = [item for item in first if not isinstance(item, Cut) and not views.keys().isdisjoint(item.outputs)]
    leaving = [Cut(-1, number) for number in computed]
    return Split(replace(program, items=[*first, *leaving]), replace(program, items=[*again, *second]), given, computed)
