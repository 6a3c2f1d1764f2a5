"""Programs, and the tracers that record them.

A `Program` is a flat list of instructions over numbered values, each of known shape and dtype. Both a client's graph
(lowered) and a backward rule (traced) become programs, by the same `Builder`, which inserts explicit ``broadcast_to`` and
``astype`` instructions so that an op always sees inputs of final shape and dtype. Everything else reads programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np

from gradproof.engine.attributes import Attributes, FreeNumber, plain, plain_number
from gradproof.engine.cancellation import look, watched
from gradproof.engine.inference import InferenceError, Inferred, promoted
from gradproof.engine.op import Op
from gradproof.engine.spec import DType, Spec, spec


@dataclass(frozen=True)
class Exact:
    """An exact constant, written over the function table: ``Exact(lambda f: 2 / f.sqrt(f.pi))``."""

    define: Callable[[Any], Any]


Literal: TypeAlias = int | float | Fraction | Exact | FreeNumber
"""A number in a program; a `FreeNumber` only where attributes are free, in a proof."""


class Instruction(NamedTuple):
    """An application of an op: numbers of its input and output values, canonical attributes."""

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Attributes


@dataclass(slots=True)
class Program:
    """Instructions in execution order. Value k has spec ``specs[k]``; it is an input, a literal, or the output of an
    instruction. ``outputs`` holds None where a rule said NO_GRADIENT."""

    specs: list[Spec] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    literals: dict[int, Literal] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    outputs: tuple[int | None, ...] = ()

    @property
    def elementwise(self) -> bool:
        """True if each element of each output depends on the same element of each input only: then a proof for an
        element holds for all shapes."""
        literal = set(self.literals)
        return all(
            instruction.op.elementwise
            or instruction.op.name == "astype"
            or (instruction.op.name == "broadcast_to" and instruction.inputs[0] in literal)
            for instruction in self.instructions
        )

    def text(self) -> str:
        """The program as people read it, a line for each instruction: ``%4 = multiply(%0, %3)``."""
        lines = []
        for instruction in self.instructions:
            arguments = [
                *(self._name(k) for k in instruction.inputs),
                *(f"{n}={v}" for n, v in instruction.attributes.items()),
            ]
            lines.append(
                f"{', '.join(f'%{k}' for k in instruction.outputs)} = {instruction.op.name}({', '.join(arguments)})"
            )
        returned = ", ".join("NO_GRADIENT" if k is None else self._name(k) for k in self.outputs)
        return "\n".join([*lines, f"return {returned}"])

    def _name(self, value: int) -> str:
        literal = self.literals.get(value)
        if literal is None:
            return f"%{value}"
        if isinstance(literal, FreeNumber):
            return f"({literal.text})"
        return "exact" if isinstance(literal, Exact) else str(literal)

    def at(self, values: Mapping[str, Fraction]) -> Program:
        """The same program with numbers for the free attributes in its literals; a literal that is not rational stays."""
        literals = dict(self.literals)
        for number, literal in literals.items():
            if isinstance(literal, FreeNumber) and (value := literal.at(values)) is not None:
                literals[number] = value
        return replace(self, literals=literals)


class Builder:
    """Writes a `Program`. ``ops`` is the table of ops by name."""

    def __init__(self, ops: Mapping[str, Op]) -> None:
        self.ops = ops
        self.program = Program()
        self._inferred: dict[Any, Inferred] = {}

    def value(self, spec: Spec) -> int:
        """The number of a new value."""
        self.program.specs.append(spec)
        return len(self.program.specs) - 1

    def input(self, spec: Spec) -> Tracer:
        """A new input of the program."""
        number = self.value(spec)
        self.program.inputs.append(number)
        return Tracer(self, number)

    def literal(self, value: Literal, dtype: DType) -> Tracer:
        """A new 0-d constant of ``dtype``."""
        number = self.value(Spec((), dtype))
        self.program.literals[number] = plain_number(value)
        return Tracer(self, number)

    def apply(self, name: str, inputs: Sequence[Any], attributes: Attributes) -> Tracer | tuple[Tracer, ...]:
        """Record ``name(*inputs, **attributes)``; numbers among the inputs are weakly typed literals, and None is an input
        that is left out.

        Raises InferenceError if there is no such op or the inputs do not fit it; Cancelled.
        """
        look()
        op = self.ops.get(name)
        if op is None:
            raise InferenceError(f"there is no op {name!r}")
        fault = op.arity_fault(len(inputs))
        if fault:
            raise InferenceError(f"{name} {fault}")
        if op.neutral is not None:
            inputs = self._completed(op, inputs)
        specs = tuple([self._spec(x) for x in inputs])
        if op.composite:
            return self._apply_composite(op, inputs, specs, attributes)
        inference = self._inference(op, specs, plain(attributes, op.attributes) if attributes else attributes)
        targets = inference.inputs or specs
        converted = tuple(self._convert(x, target) for x, target in zip(inputs, targets, strict=True))
        outputs = tuple(self.value(out) for out in inference.outputs)
        self.program.instructions.append(Instruction(op, converted, outputs, inference.attributes))
        tracers = tuple(Tracer(self, k) for k in outputs)
        return tracers if len(tracers) > 1 else tracers[0]

    def _completed(self, op: Op, inputs: Sequence[Any]) -> Sequence[Any]:
        """The inputs, with neutral numbers for those that are left out. Raises InferenceError."""
        given = [*inputs, *[None] * (len(op.inputs) - len(inputs))]
        missing = [k for k, x in enumerate(given) if x is None]
        if missing and op.neutral is not None and all(map(op.may_miss, missing)):
            numbers = op.neutral(*(None if x is None else self._spec(x) for x in given))
            return [number if x is None else x for x, number in zip(given, numbers, strict=True)]
        return given

    def _apply_composite(
        self, op: Op, inputs: Sequence[Any], specs: Sequence[Spec], attributes: Attributes
    ) -> Tracer | tuple[Tracer, ...]:
        """Record the program that a composite stands for."""
        expansion = op.expand(specs, attributes)
        assert expansion is not None
        arguments = [x if isinstance(x, Tracer) else self._weak_literal(x, specs) for x in inputs]
        tracers = tuple(Tracer(self, k) for k in inline(self, expansion, [x.number for x in arguments]) if k is not None)
        return tracers if len(tracers) > 1 else tracers[0]

    def _weak_literal(self, x: Literal, others: Sequence[Spec]) -> Tracer:
        """A number as an input of a composite: a weak scalar, in the dtype that it has beside the ``others`` if that is of
        its kind."""
        own = self._spec(x)
        common = promoted(others)
        number = self.value(replace(own, dtype=common if common.kind in "fV" and own.dtype.kind == "f" else own.dtype))
        self.program.literals[number] = plain_number(x)
        return Tracer(self, number)

    def _inference(self, op: Op, specs: tuple[Spec, ...], attributes: Attributes) -> Inferred:
        """Call ``op.inference``, cached: in a large graph most nodes repeat an op, specs and attributes."""
        key = (op.name, specs, repr(attributes) if attributes else None)
        inference = self._inferred.get(key)
        if inference is None:
            inference = self._inferred[key] = op.inference(specs, attributes)
        return inference

    def _spec(self, x: Any) -> Spec:
        if isinstance(x, Tracer):
            if x.builder is not self:
                raise InferenceError("a value of another trace was used")
            return x.spec
        if isinstance(x, np.floating):
            raise InferenceError(
                f"a rule uses the NumPy number {x!r}, which is rounded; write it exactly, as an int, a Fraction or "
                "Exact(lambda f: ...)"
            )
        if isinstance(x, bool):
            return Spec((), np.dtype(bool), weak=True)
        if isinstance(x, int):
            return Spec((), np.dtype(np.int64), weak=True)
        if isinstance(x, (float, Fraction, Exact, FreeNumber)):
            return Spec((), np.dtype(np.float64), weak=True)
        raise InferenceError(
            f"a rule may use tracers and exact numbers, not {type(x).__name__}; write constants as int, Fraction or Exact"
        )

    def _convert(self, x: Any, target: Spec) -> int:
        """The value ``x`` with the dtype and shape of ``target``, through explicit instructions where it differs."""
        if not isinstance(x, Tracer):
            x = self.literal(x, target.dtype)
        if x.dtype != target.dtype:
            x = self.apply("astype", [x], {"dtype": target.dtype.name})
        if x.shape != target.shape:
            x = self.apply("broadcast_to", [x], {"shape": target.shape})
        return int(x.number)


class Tracer:
    """An abstract tensor, with shape and dtype only. Operators and ``ops`` record the operations on it."""

    __slots__ = ("builder", "number")
    __array_ufunc__ = None  # NumPy leaves its operators to the tracer

    def __init__(self, builder: Builder, number: int) -> None:
        self.builder, self.number = builder, number

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        return self.builder.program.specs[self.number]

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        """NumPy's dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.spec.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.spec.size

    def _record(self, name: str, *inputs: Any) -> Any:
        return self.builder.apply(name, inputs, {})

    def __neg__(self) -> Any:
        return self._record("negative", self)

    def __add__(self, other: Any) -> Any:
        return self._record("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._record("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._record("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._record("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._record("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._record("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._record("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._record("divide", other, self)

    def __pow__(self, other: Any) -> Any:
        squared = not isinstance(other, FreeNumber) and other == 2  # a free exponent stands for all values
        return self._record("square", self) if squared else self._record("pow", self, other)

    def __matmul__(self, other: Any) -> Any:
        return self._record("matmul", self, other)

    def __lt__(self, other: Any) -> Any:
        return self._record("less", self, other)

    def __le__(self, other: Any) -> Any:
        return self._record("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return self._record("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return self._record("greater_equal", self, other)

    def _refuse(self) -> NoReturn:
        raise InferenceError("a rule is traced and has no values: write a branch on a value as ops.where(condition, a, b)")

    def __bool__(self) -> bool:
        self._refuse()

    def __float__(self) -> float:
        self._refuse()

    def __int__(self) -> int:
        self._refuse()

    def __iter__(self) -> Iterator[Any]:
        self._refuse()

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def __repr__(self) -> str:
        return f"Tracer({self.spec})"


_current: ContextVar[Builder] = ContextVar("the builder of the trace in progress")


@contextmanager
def tracing(builder: Builder) -> Iterator[Builder]:
    """Make ``ops`` record on ``builder``."""
    token = _current.set(builder)
    try:
        yield builder
    finally:
        _current.reset(token)


class Ops:
    """Namespace of ops for rules: ``ops.sin(x)`` records the op ``sin``, ``ops.swish.swish(x)`` an op of the namespace
    ``swish``."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Ops(f"{self._prefix}{name}.")

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        builder = _current.get(None)
        if builder is None:
            raise RuntimeError("ops are for rules: they record on the trace in progress, and there is none")
        return builder.apply(self._prefix.rstrip("."), inputs, attributes)


ops = Ops()


def zeros_like(x: Tracer) -> Any:
    """Zeros of the shape and dtype of ``x``: a gradient that flows and is zero, unlike NO_GRADIENT."""
    return full_like(x, 0)


def full_like(x: Tracer, value: Literal) -> Any:
    """The exact number ``value``, in the shape and dtype of ``x``."""
    literal = x.builder.literal(value, x.dtype)
    return literal if x.shape == () else x.builder.apply("broadcast_to", [literal], {"shape": x.shape})


def inline(builder: Builder, part: Program, arguments: Sequence[int]) -> list[int | None]:
    """Copy the instructions of ``part`` into the builder's program, with ``arguments`` for its inputs. Returns the values
    of its outputs."""
    program = builder.program
    number_of: dict[int, int] = dict(zip(part.inputs, arguments, strict=True))
    for k, literal in part.literals.items():
        number_of[k] = builder.value(part.specs[k])
        program.literals[number_of[k]] = literal
    for op, inputs, outputs, attributes in watched(part.instructions):
        for output in outputs:
            number_of[output] = builder.value(part.specs[output])
        program.instructions.append(
            Instruction(op, tuple([number_of[k] for k in inputs]), tuple([number_of[k] for k in outputs]), attributes)
        )
    return [None if output is None else number_of[output] for output in part.outputs]


__all__ = [
    "Builder",
    "Exact",
    "Instruction",
    "Literal",
    "Ops",
    "Program",
    "Tracer",
    "full_like",
    "inline",
    "ops",
    "spec",
    "tracing",
    "zeros_like",
]
