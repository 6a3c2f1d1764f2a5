"""Estimates: what a run costs in bytes, floating point operations and time, from shapes alone. Everything that says or
bounds them asks here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gradproof.engine.backward import Backward
from gradproof.engine.cancellation import watched
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Program

DENSE = frozenset({"expand_dims", "squeeze"})
"""Views that are as dense as what they are of."""

CALL_SECONDS = 3e-6  # of the interpreter, for an instruction
FLOP_SECONDS = 1e-10  # of one core, in a matrix product
BYTE_SECONDS = 1e-9  # of values that are written, in an elementwise op


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a run: ``nbytes`` that it allocates, ``flops``, and ``calls``, one for each instruction."""

    nbytes: int = 0
    flops: int = 0
    calls: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nbytes + other.nbytes, self.flops + other.flops, self.calls + other.calls)

    @property
    def seconds(self) -> float:
        """Time on one core of our days, within a factor of a few: enough to tell what is small."""
        return self.nbytes * BYTE_SECONDS + self.flops * FLOP_SECONDS + self.calls * CALL_SECONDS


NOTHING = Cost()


def run_cost(program: Program, backward: Backward, hooked: Collection[str] = ()) -> Cost:
    """Cost of a program whose backward half is ``backward``; ``hooked`` as in `run_bytes`."""
    return Cost(run_bytes(program, backward, hooked), run_flops(program), len(program.instructions))


def run_bytes(program: Program, backward: Backward, hooked: Collection[str] = ()) -> int:
    """Bytes of all values of a program, which a run that may be checked keeps to its end.

    A view of another value holds none, unless it has to be copied to be one. A gradient that leaves is a copy, which takes
    the place of what it is a copy of unless a hook may change it (``hooked``: names of such values).
    """
    free = _views(program) | {cut.raw for cut in backward.cuts if cut.name not in hooked}
    return sum(spec.nbytes for number, spec in enumerate(watched(program.specs)) if number not in free)


def leaving_bytes(names: Iterable[str], specs: Mapping[str, Spec]) -> int:
    """Bytes of the values that leave a run: copies, also of views."""
    return sum(specs[name].nbytes for name in watched(names))


def run_flops(program: Program) -> int:
    """Floating point operations of all instructions: one for each element of results, but for ops that are known to take
    more. Complex numbers count four times."""
    specs, total = program.specs, 0
    for one in watched(program.instructions):
        if one.op.view:
            continue
        outputs = [specs[k] for k in one.outputs]
        count = _products if one.op.contracts else FLOPS.get(one.op.name)
        flops = sum(out.size for out in outputs) if count is None else count([specs[k] for k in one.inputs], outputs)
        total += 4 * flops if outputs[0].dtype.kind == "c" else flops
    return total


def _products(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    return 2 * outputs[0].size * inputs[0].shape[-1]


def _reads(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """Of reductions: one for each element that is read."""
    return inputs[0].size


def _sorts(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    return inputs[0].size * max(1, math.ceil(math.log2(inputs[0].size + 1)))


def _cubic(factor: float) -> Callable[[Sequence[Spec], Sequence[Spec]], int]:
    """Of decompositions of the matrices that the first input is a stack of."""

    def count(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        return math.ceil(factor * inputs[0].size * inputs[0].shape[-1])

    return count


def _solves(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """One decomposition, and two triangular systems for each column of the right side."""
    return _cubic(2 / 3)(inputs, outputs) + 2 * outputs[0].size * inputs[0].shape[-1]


FLOPS: Mapping[str, Callable[[Sequence[Spec], Sequence[Spec]], int]] = {
    "solve": _solves,
    "inv": _cubic(2),
    "det": _cubic(2 / 3),
    "cofactors": _cubic(30),  # singular values and vectors
    "cholesky": _cubic(1 / 3),
    "argsort": _sorts,
    **dict.fromkeys(("sum", "mean", "prod", "max", "min", "var", "logsumexp", "argmax", "argmin"), _reads),
}
"""Ops whose work is more than their results are large, by name."""


def _views(program: Program) -> set[int]:
    found, scattered = set[int](), set[int]()
    for one in watched(program.instructions):
        if not one.op.view:
            continue
        source = one.inputs[0]
        if one.op.name == "reshape":
            if source not in scattered:
                found.update(one.outputs)
            continue
        found.update(one.outputs)
        if one.op.name not in DENSE or source in scattered:
            scattered.update(one.outputs)
    return found
