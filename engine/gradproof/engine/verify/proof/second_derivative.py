"""The program of a second derivative: the reverse pass over an op and its rule."""

from __future__ import annotations

from collections.abc import Sequence

from gradproof.engine.backward import append_backward
from gradproof.engine.graph import Graph, Leaf
from gradproof.engine.inference import Inferred
from gradproof.engine.lower import Lowered
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Spec, is_differentiable
from gradproof.engine.trace import Builder, Instruction, Program, inline


def second_program(
    registry: Registry, op: Op, inference: Inferred, inputs: Sequence[Spec], rule: Program
) -> tuple[Program, list[bool]]:
    """The derivative of <h, rule(g, y(x), x)>: a program of g, x and an h for each result of the rule, with an output for
    each g and x (None where nothing flows); and which of them are differentiable. Raises NoRule."""
    builder = Builder(registry.ops)
    numbers = [builder.input(spec).number for spec in (*inference.outputs, *inputs)]
    g, x = numbers[: len(inference.outputs)], numbers[len(inference.outputs) :]
    y = tuple(builder.value(spec) for spec in inference.outputs)
    builder.program.instructions.append(Instruction(op, tuple(x), y, inference.attributes))
    pulled = [number for number in inline(builder, rule, [*g, *y, *x]) if number is not None]
    specs = builder.program.specs
    still = {len(inference.outputs) + k for k in op.still}
    moves = [is_differentiable(specs[number].dtype) and k not in still for k, number in enumerate(numbers)]
    leaves = tuple(Leaf(f"in{k}", specs[number], m) for k, (number, m) in enumerate(zip(numbers, moves, strict=True)))
    names = tuple(f"out{k}" for k in range(len(pulled)))
    values = {leaf.name: number for leaf, number in zip(leaves, numbers, strict=True)} | dict(
        zip(names, pulled, strict=True)
    )
    lowered = Lowered(Graph(leaves, (), names), builder, values, [0] * len(builder.program.instructions))
    backward = append_backward(lowered, registry, [leaf.name for leaf in leaves if leaf.requires_grad], names)
    seeds = [backward.seeds[name] for name in names]
    program = builder.program
    outputs = tuple(backward.raw.get(number) if m else None for number, m in zip(numbers, moves, strict=True))
    return Program(program.specs, [*numbers, *seeds], program.literals, program.instructions, outputs), moves
