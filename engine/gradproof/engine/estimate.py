"""Estimates of the cost of a run, in bytes, floating point operations and seconds, from shapes alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gradproof.engine.backward import Backward
from gradproof.engine.cancellation import watched
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Program

DENSE = frozenset({"expand_dims", "squeeze"})
"""Views that are dense if their input is."""

CALL_SECONDS = 3e-6  # seconds of the interpreter for an instruction
FLOP_SECONDS = 1e-10  # seconds of a core for an operation of a matrix product
BYTE_SECONDS = 1e-9  # seconds for a byte that an elementwise op writes


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a run: ``nbytes`` that it allocates, ``flops``, and ``calls``, the number of instructions."""

    nbytes: int = 0
    flops: int = 0
    calls: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nbytes + other.nbytes, self.flops + other.flops, self.calls + other.calls)

    @property
    def seconds(self) -> float:
        """Seconds on a core, within a factor of a few: enough to tell small runs."""
        return self.nbytes * BYTE_SECONDS + self.flops * FLOP_SECONDS + self.calls * CALL_SECONDS


NOTHING = Cost()


def run_cost(program: Program, backward: Backward, hooked: Collection[str] = ()) -> Cost:
    """Cost of a program whose backward half is ``backward``; ``hooked`` as in `run_bytes`."""
    return Cost(run_bytes(program, backward, hooked), run_flops(program), len(program.instructions))


def run_bytes(program: Program, backward: Backward, hooked: Collection[str] = ()) -> int:
    """Bytes of all values of a program; a run that may be checked keeps them to its end.

    A view of another value holds none, unless it has to be copied. A gradient that leaves is a copy, which takes
    the place of the original unless a hook may change it (``hooked``: names of such values).
    """
    free = _views(program) | {cut.raw for cut in backward.cuts if cut.name not in hooked}
    values = Counter(id(spec) for number, spec in enumerate(watched(program.specs)) if number not in free)
    of = {id(spec): spec for spec in program.specs}  # a long graph has few different specs
    return sum(count * of[key].nbytes for key, count in values.items())


def leaving_bytes(names: Iterable[str], specs: Mapping[str, Spec]) -> int:
    """Bytes of the values that leave a run; views are copied."""
    return sum(specs[name].nbytes for name in watched(names))


def run_flops(program: Program) -> int:
    """Floating point operations of all instructions: as many as elements of the results, or of the only input where a
    reduction reads more; the ops of `FLOPS` take more. Complex numbers count four times."""
    specs, known, total = program.specs, dict[tuple[object, ...], int](), 0
    same = list(map(id, specs))
    for op, inputs, outputs, _ in watched(program.instructions):
        if op.view:
            continue
        key = (op, *[same[k] for k in inputs], *[same[k] for k in outputs])
        flops = known.get(key)
        if flops is None:
            read, written = [specs[k] for k in inputs], [specs[k] for k in outputs]
            count = _products if op.contracts else FLOPS.get(op.name, _elements)
            factor = 4 if written[0].dtype.kind == "c" else 1
            flops = known[key] = factor * count(read, written)
        total += flops
    return total


def _products(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """A product and a sum for each element of the output and of the last axis of the first input."""
    return 2 * outputs[0].size * inputs[0].shape[-1]


def _elements(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """An operation for each element that is written, or that an op of one input reads, whichever are more."""
    written = sum(out.size for out in outputs)
    return max(written, inputs[0].size) if len(inputs) == 1 else written


def _sorts(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """Comparisons n log₂ n of a sort."""
    return inputs[0].size * max(1, math.ceil(math.log2(inputs[0].size + 1)))


def _cubic(factor: float) -> Callable[[Sequence[Spec], Sequence[Spec]], int]:
    """Operations ``factor`` n³ of a decomposition of each matrix of the first input (Golub and Van Loan, Matrix
    Computations)."""

    def count(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        return math.ceil(factor * inputs[0].size * inputs[0].shape[-1])

    return count


def _solves(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
    """An LU decomposition, and two triangular systems for each column of the right side."""
    return _cubic(2 / 3)(inputs, outputs) + 2 * outputs[0].size * inputs[0].shape[-1]


FLOPS: Mapping[str, Callable[[Sequence[Spec], Sequence[Spec]], int]] = {
    "solve": _solves,
    "inv": _cubic(2),
    "det": _cubic(2 / 3),
    "cofactors": _cubic(30),  # singular values and vectors
    "cholesky": _cubic(1 / 3),
    "argsort": _sorts,
}
"""By name the number of operations of ops that take more than one for each element."""


def _views(program: Program) -> set[int]:
    views, scattered = set[int](), set[int]()
    for instruction in watched(program.instructions):
        if not instruction.op.view:
            continue
        source = instruction.inputs[0]
        if instruction.op.name == "reshape":
            if source not in scattered:
                views.update(instruction.outputs)
            continue
        views.update(instruction.outputs)
        if instruction.op.name not in DENSE or source in scattered:
            scattered.update(instruction.outputs)
    return views
