"""Tracers, and the builder of the program that they record.

Both a client's graph (lowered) and a backward rule (traced) become programs, by the same `Builder`, which inserts explicit
``broadcast_to`` and ``astype`` instructions so that an op always sees inputs of final shape and dtype.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from gradproof.engine.attributes import Attributes, FreeNumber, plain, plain_number
from gradproof.engine.cancellation import look
from gradproof.engine.inference import InferenceError, Inferred, promoted
from gradproof.engine.op import Op
from gradproof.engine.program import Exact, Instruction, Literal, Program
from gradproof.engine.spec import DType, Spec, spec
from gradproof.engine.template import Template


class Builder:
    """Writes a `Program`. ``ops`` is the table of ops by name."""

    def __init__(self, ops: Mapping[str, Op]) -> None:
        self.ops = ops
        self.program = Program()
        self._inferred: dict[Any, Inferred] = {}
        self._templates: dict[tuple[object, ...], Template] = {}
        self._interned: dict[Spec, Spec] = {}

    def interned(self, spec: Spec) -> Spec:
        """The object that stands for all specs equal to this, so that equal specs are known by identity."""
        return self._interned.setdefault(spec, spec)

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

    def record(self, name: str, inputs: Sequence[int | None], attributes: Attributes) -> list[int]:
        """Record an op on values of the program, given by number, as `apply` does. It is applied once for each op, specs
        and attributes, and copied wherever they come again. Raises as `apply` does."""
        specs = self.program.specs
        key = (name, repr(attributes) if attributes else "", *[None if k is None else id(specs[k]) for k in inputs])
        template = self._templates.get(key)
        if template is None:
            template = self._recorded(name, [None if k is None else specs[k] for k in inputs], attributes)
            self._templates[key] = template
        return template.into(self.program, [k for k in inputs if k is not None])  # type: ignore[return-value]

    def _recorded(self, name: str, specs: Sequence[Spec | None], attributes: Attributes) -> Template:
        """The application of an op to values of these specs. Specs are interned, and known by identity from then on."""
        builder = Builder(self.ops)
        result = builder.apply(name, [None if spec is None else builder.input(spec) for spec in specs], attributes)
        tracers = result if isinstance(result, tuple) else (result,)
        part = builder.program
        part.outputs = tuple([tracer.number for tracer in tracers])
        return Template(replace(part, specs=list(map(self.interned, part.specs))))

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
    return Template(part).into(builder.program, arguments)


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
