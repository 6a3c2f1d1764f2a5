"""Composite: an op that is a small graph of other ops, written as a function over tracers.

    Composite("mse", lambda x, target: ops.mean(ops.square(x - target)))

The function is traced once for the specs and attributes that it meets, and the program is inlined wherever the op is used.
So a composite needs no rule, no inference and no kernel: derivatives, proofs, plans and verdicts come from its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from gradproof.engine.attributes import Attributes, in_rule, plain
from gradproof.engine.cases import Case
from gradproof.engine.inference import InferenceError, Inferred
from gradproof.engine.lru import LRUCache
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.rules import prune
from gradproof.engine.spec import Spec, is_differentiable
from gradproof.engine.trace import Builder, Program, Tracer, tracing

MAX_EXPANSIONS = 256  # that are kept of a composite


@dataclass(frozen=True, eq=False)
class Composite(Op):
    """An op that is a small graph of other ops.

    Args:
        name: the op's name, as for any `Op`.
        forward: ``(*tracers, **attributes) -> tracer`` (a tuple for several outputs), written like a rule: with operators
            and ``ops``, without values.
        define: a definition, to which the expansion is proved equal; none is needed.
        cases: the shape classes that its parts are proved for. An elementwise composite needs none.
        domains, ties, grad_fn, doc: as for any `Op`.
    """

    composite: ClassVar[bool] = True
    table: Mapping[str, Op] = field(default_factory=dict, repr=False)
    """The ops that it may be made of: all that are registered."""
    expansions: LRUCache[Hashable, Program] = field(
        default_factory=lambda: LRUCache(MAX_EXPANSIONS), init=False, repr=False
    )

    def over(self, table: Mapping[str, Op]) -> Composite:
        """The same composite, made of the ops of ``table``; nothing is traced yet."""
        return replace(self, table=table)

    def _signature(self) -> tuple[Callable[..., Any], int]:
        return self.forward, 0

    @cached_property
    def elementwise(self) -> bool:
        """True if all its parts are elementwise, in each of its cases."""
        return all(program.elementwise for program in self.programs())

    @cached_property
    def differentiable(self) -> bool:
        """True if a gradient can flow through it, in any of its cases."""
        return any(map(_carries_gradients, self.programs()))

    def declared_cases(self) -> tuple[Case, ...]:
        """The declared cases; without any, a case of rank 0 and a case of rank 2."""
        return self.cases or (self.uniform(()), self.uniform((1, 2)))

    def programs(self) -> Iterator[Program]:
        """The program of each declared case. Raises InferenceError."""
        for case in self.declared_cases():
            yield self.expand(case.specs(), case.attributes)

    def inference(self, specs: Sequence[Spec], attributes: Attributes) -> Inferred:
        """Specs of outputs, and all attributes. Raises InferenceError if inputs or attributes do not fit."""
        program = self.expand(specs, attributes)
        outputs = tuple(program.specs[number] for number in program.outputs if number is not None)
        return Inferred(outputs, self.complete(plain(attributes, self.attributes)))

    def expand(self, specs: Sequence[Spec], attributes: Attributes) -> Program:
        """The program for these specs and attributes: its outputs are results of instructions, all different. Raises
        InferenceError if inputs or attributes do not fit."""
        whole = self.complete(plain(attributes, self.attributes))
        key = (tuple(specs), repr(whole))
        program = self.expansions.get(key)
        return self.expansions.put(key, self._traced(specs, whole)) if program is None else program

    def _traced(self, specs: Sequence[Spec], attributes: Attributes) -> Program:
        builder = Builder(self.table)
        inputs = [builder.input(spec) for spec in specs]
        try:
            with tracing(builder):
                result = self.forward(*inputs, **in_rule(attributes))
        except InferenceError:
            raise
        except BaseException as error:  # a plugin's code may raise anything
            raise InferenceError(f"cannot be traced: {describe(reraise_own(error))}") from error
        outputs = result if isinstance(result, tuple) else (result,)
        numbers: list[int] = []
        for position, output in enumerate(outputs):
            if not isinstance(output, Tracer) or output.builder is not builder:
                raise InferenceError(f"returned {type(output).__name__} as output {position}; expected a traced value")
            numbers.append(_as_result(builder, output, numbers).number)
        builder.program.outputs = tuple(numbers)
        return prune(builder.program, [True] * len(numbers))


def _as_result(builder: Builder, x: Tracer, taken: Sequence[int]) -> Tracer:
    """``x`` as the result of an instruction of its own: an input or a constant may be another value's already."""
    own = any(x.number in instruction.outputs for instruction in builder.program.instructions)
    if own and x.number not in taken:
        return x
    copy: Tracer = builder.apply("astype", [x], {"dtype": x.dtype.name})  # type: ignore[assignment]
    return copy


def _carries_gradients(program: Program) -> bool:
    """True if a gradient flows from an output to an input of a program."""
    behind = {number for number in program.inputs if is_differentiable(program.specs[number].dtype)}
    for instruction in program.instructions:
        if instruction.op.differentiable and not behind.isdisjoint(instruction.inputs):
            behind.update(k for k in instruction.outputs if is_differentiable(program.specs[k].dtype))
    return not behind.isdisjoint(k for k in program.outputs if k is not None)
