"""Estimates: the bytes that a run allocates, from shapes alone. Everything that says or bounds them asks here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from gradproof.engine.backward import Backward
from gradproof.engine.cancellation import watched
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Program

DENSE = frozenset({"expand_dims", "squeeze"})
"""Views that are as dense as what they are of."""


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
