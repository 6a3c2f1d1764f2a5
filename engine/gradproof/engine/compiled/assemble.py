"""Assembly: a sum of arrays that are zero but for a place, written to a single array part by part.

The gradient of a value that was sliced or padded many times is such a sum. Adding the parts alone gives the bits of adding
whole arrays of zeros: a zero changes no number but the sign of a -0.0, and the elements where it does are known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.columns import columns_apart
from gradproof.engine.compiled.simplify import Cut, Item, Simplified
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, DType
from gradproof.engine.trace import Instruction

Place = tuple[Any, ...]
EVERYWHERE: Place = (...,)


def assembled(program: Simplified) -> Simplified:
    """The program with every sum of two or more placed parts as a single instruction, and with products whose columns are
    such parts apart."""
    uses: dict[int, int] = {}
    maker: dict[int, Instruction] = {}
    for item in watched(program.items):
        for number in (item.number,) if isinstance(item, Cut) else item.inputs:
            uses[number] = uses.get(number, 0) + 1
        if not isinstance(item, Cut):
            maker.update(dict.fromkeys(item.outputs, item))
    gone, whole, sums = set[int](), set[int](), list[int]()
    items: list[Item] = []
    for item in watched(reversed(program.items)):  # a sum is met before its terms
        if isinstance(item, Cut):
            items.append(item)
        elif gone.isdisjoint(item.outputs):
            added = item.op.name == "add" and whole.isdisjoint(item.outputs)
            total = _sum(item, program, uses, maker, gone, whole) if added else item
            if total is not item:
                sums.append(total.outputs[0])
            items.append(total)
    written = replace(program, items=items[::-1])
    return columns_apart(written, sums) if sums else written


def _sum(
    addition: Instruction,
    program: Simplified,
    uses: dict[int, int],
    maker: dict[int, Instruction],
    gone: set[int],
    whole: set[int],
) -> Instruction:
    """The whole sum that ends in an addition as a single instruction, if it has two placed parts or more. The instructions
    that it replaces are added to ``gone``; if it has not, the additions of it that cannot be the end of such a sum either
    are added to ``whole``, so that each is looked at once."""
    spec = program.specs[addition.outputs[0]]
    if spec.dtype.kind != "f" or not spec.shape:
        return addition
    terms, left, inner = list[int](), addition, list[int]()
    while True:
        if program.specs[left.inputs[1]] != spec:
            whole.update(inner)  # all of them add this term
            return addition
        terms.append(left.inputs[1])
        first = left.inputs[0]
        previous = maker.get(first)
        if previous is None or previous.op.name != "add" or uses[first] > 1:
            terms.append(first)
            break
        inner.append(first)
        left = previous
    terms.reverse()
    if program.specs[terms[0]] != spec:
        whole.update(inner)
        return addition
    parts, places, placed = list[int](), list[Place](), list[int]()
    for number in terms:
        source = maker.get(number)
        if source is not None and source.op.place is not None and uses[number] == 1:
            places.append(source.op.place(program.specs[source.inputs[0]], **source.attributes))
            parts.append(source.inputs[0])
            placed.append(number)
        else:
            places.append(EVERYWHERE)
            parts.append(number)
    if len(placed) < 2:
        whole.update(inner)
        return addition
    gone.update(inner, placed)
    into = _assembler(spec.shape, spec.dtype, places)
    op = Op("add", _forward(spec.shape, spec.dtype, into), into=into, infer=lambda *parts: Inferred((spec,)))
    return Instruction(op, tuple(parts), addition.outputs, {})


def _forward(shape: tuple[int, ...], dtype: DType, into: Callable[..., None]) -> Callable[..., Array]:
    def forward(*parts: Array) -> Array:
        out = np.empty(shape, dtype)
        into(out, *parts)
        return out

    return forward


def _assembler(shape: tuple[int, ...], dtype: DType, places: Sequence[Place]) -> Callable[..., None]:
    """The function ``(out, *parts)`` that writes the sum of parts at ``places`` to ``out``."""
    parts_at = np.zeros(shape, np.uint16)
    for place in places:
        parts_at[place] += 1
    zero = dtype.type(0)
    if parts_at.max(initial=0) <= 1:
        return partial(_apart, tuple(places), zero, bool((parts_at == 0).any()))
    whole = parts_at == len(places)  # no zero was added there
    start: Any = np.where(whole, -zero, zero) if whole.any() and not whole.all() else -zero if whole.all() else zero
    return partial(_together, tuple(places), start)


def _apart(places: Sequence[Place], zero: Any, gaps: bool, out: Array, *parts: Array) -> None:
    """Write parts that do not overlap."""
    if gaps:
        out.fill(0)
    for place, part in zip(places, parts, strict=True):
        np.add(part, zero, out=out[place])


def _together(places: Sequence[Place], start: Any, out: Array, *parts: Array) -> None:
    """Add parts that overlap."""
    np.copyto(out, start)
    for place, part in zip(places, parts, strict=True):
        target = out[place]
        np.add(target, part, out=target)
