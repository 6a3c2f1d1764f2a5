"""Comparison of programs: a traced rule as text that another process can compare, and without its sizes.

A rule is traced for the specs it runs on, and may branch by them. A proof of a small case is a proof of the live program
if both do the same: the same ops, wired alike, with the same numbers and attributes. Numbers that follow from sizes (the
shape to broadcast to, the inverse of a count) are told apart by tracing again at other sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import sympy

from gradproof.engine.attributes import as_fraction
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.sealed import Sealed
from gradproof.engine.trace import Exact, Literal, Program
from gradproof.engine.verify.proof_cache.fingerprint import code_hash

EXACT_BITS = 256
SIZED = frozenset({"k", "shape", "size", "length", "start", "stop", "step"})
"""Attributes that hold sizes: only their number is compared."""
PROBES = 2  # traces at other sizes that must agree, at least
MAX_RANK = 6  # of the shapes whose products of axes are tried


def program_digest(program: Program) -> str:
    """A hash of a program: ops, wiring, specs, attributes, and literals by what they are."""
    lines = [f"{program.inputs} {program.outputs}", *map(str, program.specs)]
    lines += [f"%{number} is {literal_text(value)}" for number, value in sorted(program.literals.items())]
    lines += [
        f"{instruction.outputs} = {instruction.op.name}({instruction.inputs}, {_attributes(instruction.attributes)})"
        for instruction in program.instructions
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def literal_text(value: Literal) -> str:
    """A literal by its value: an exact literal by a ball around it, and by its code. A value that its function closes
    over shows in the ball; the closed-over object itself may be the trace, which is of a single shape."""
    if isinstance(value, Sealed):
        return f"sealed {sympy.srepr(value.expression)}"
    if not isinstance(value, Exact):
        exact = as_fraction(value)
        return str(value) if exact is None else f"{exact}"
    code = code_hash(value.define)
    try:
        with precision(EXACT_BITS):
            ball = Balls().ball(value.define(Balls())).str(75)
    except BaseException as error:  # a plugin's code
        reraise_own(error)
        ball = f"{type(error).__name__}: {error}"
    return f"exact {ball} {code}"


def _attributes(attributes: Any) -> str:
    return ", ".join(f"{name}={_shown(value)}" for name, value in sorted(attributes.items()))


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{value.tolist()}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_shown, value)) + ")"
    return f"{type(value).__name__} {value!r}"


@dataclass(frozen=True)
class Skeleton:
    """A program without shapes and dtypes. ``literals`` are the numbers in it, in order; broadcasts of numbers count as the
    numbers."""

    lines: tuple[Any, ...]
    literals: tuple[Literal, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(map(literal_text, self.literals))


def skeleton(program: Program) -> Skeleton:
    """A program without its sizes."""
    alias: dict[int, Any] = {number: ("input", k) for k, number in enumerate(program.inputs)}
    literals: list[Literal] = []
    lines: list[Any] = []

    def named(number: int) -> Any:
        label = alias.get(number)
        if label is None:
            label = alias[number] = ("literal", len(literals))
            literals.append(program.literals[number])
        return label

    for instruction in program.instructions:
        if instruction.op.name == "broadcast_to" and (
            instruction.inputs[0] in program.literals or alias[instruction.inputs[0]][0] == "literal"
        ):
            alias[instruction.outputs[0]] = named(instruction.inputs[0])
            continue
        inputs = tuple(map(named, instruction.inputs))
        alias |= {number: ("line", len(lines), k) for k, number in enumerate(instruction.outputs)}
        attributes = {
            name: _count(value) if name in SIZED else value
            for name, value in instruction.attributes.items()
            if instruction.op.name != "astype"
        }
        lines.append((instruction.op.name, inputs, _attributes(attributes)))
    lines.append(tuple(None if k is None else named(k) for k in program.outputs))
    return Skeleton(tuple(lines), tuple(literals))


def _count(value: Any) -> Any:
    return len(value) if isinstance(value, (tuple, list)) else type(value).__name__


def alike(live: Program, small: Program) -> bool:
    """True if two programs do the same but for sizes, and have the same numbers."""
    live_skeleton, small_skeleton = skeleton(live), skeleton(small)
    return live_skeleton.lines == small_skeleton.lines and live_skeleton.texts == small_skeleton.texts


def alike_by_size(programs: Sequence[Program]) -> bool:
    """True if programs, each traced at other sizes, do the same with numbers that follow from the sizes: constant, or
    they or their inverses affine in a product of sizes (a count, the inverse of a count less 1)."""
    skeletons = [skeleton(skeleton_) for skeleton_ in programs]
    if any(skeleton_.lines != skeletons[0].lines for skeleton_ in skeletons):
        return False
    for values in zip(*(skeleton_.literals for skeleton_ in skeletons), strict=True):
        if len(set(map(literal_text, values))) > 1 and not _explained(programs, values):
            return False
    return len(programs) >= 2 + PROBES


def _explained(programs: Sequence[Program], values: Sequence[Literal]) -> bool:
    exact = [exact_value for value in values if (exact_value := as_fraction(value)) is not None]
    if len(exact) < len(values):
        return False
    counts = [list(_counts(exact_value)) for exact_value in programs]
    if len({len(exact_value) for exact_value in counts}) > 1:
        return False
    inverse = None if 0 in exact else [1 / value for value in exact]
    return any(
        len(set(ns)) > PROBES and (_affine(ns, exact) or (inverse is not None and _affine(ns, inverse)))
        for ns in zip(*counts, strict=True)
    )


def _affine(ns: Sequence[int], values: Sequence[Fraction]) -> bool:
    """True if the values lie on a line above the ``ns``."""
    first, second = next((k, j) for k, a in enumerate(ns) for j, b in enumerate(ns) if a < b)
    slope = (values[second] - values[first]) / (ns[second] - ns[first])
    return all(value == values[first] + slope * (n - ns[first]) for n, value in zip(ns, values, strict=True))


def _counts(program: Program) -> Iterator[int]:
    """The products of the sizes of every choice of axes of every input."""
    for number in program.inputs:
        shape = program.specs[number].shape[:MAX_RANK]
        for count in range(1, len(shape) + 1):
            for chosen in combinations(shape, count):
                yield prod(chosen)
