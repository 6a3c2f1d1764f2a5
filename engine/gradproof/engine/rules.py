"""Tracing of a backward rule: it is called once, with tracers, and its result is checked before use.

Rules are written for real numbers. The gradient of a real L in z = a + ib is dL/da + i dL/db, and through a holomorphic f
it is g conj(f'(z)). A rule is g f'(z), linear in g, so that its conjugate for conj(g) is just that: the rule of
an op that is declared holomorphic is traced between two conjugations, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradproof.engine.attributes import Attributes, in_rule
from gradproof.engine.conventions import DIRECT, HOLOMORPHIC, REFUSED
from gradproof.engine.errors import NoRule, RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import NO_GRADIENT, Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import Spec, is_complex, is_differentiable
from gradproof.engine.trace import Builder, Program, Tracer, tracing


def trace_rule(
    ops: Mapping[str, Op],
    op: Op,
    inputs: Sequence[Spec],
    outputs: Sequence[Spec],
    attributes: Attributes,
    plugin: str = "",
) -> Program:
    """The program of ``op.rule`` for these specs. Its inputs are the cotangents of the outputs, then the outputs, then
    the inputs; its outputs are the cotangents of the inputs, None where the rule said NO_GRADIENT.

    Raises NoRule if the op has no rule, or none for the complex numbers among these specs. Raises RuleFault, naming
    plugin, op and input, if the rule raises or returns anything but a cotangent per input, of exactly that input's shape
    and dtype.
    """
    if op.rule is None:
        text = f"op {op.name!r} of plugin {plugin!r} has no backward rule, and a gradient is to flow through it"
        raise NoRule(text, op=op.name, plugin=plugin)
    place = f"the rule of op {op.name!r} (plugin {plugin!r})"
    numbers = next((spec.dtype.name for spec in (*inputs, *outputs) if is_complex(spec)), "")
    if numbers and op.complex is REFUSED:
        text = f"{place} is not for complex numbers, and a gradient of {numbers} is to flow through it"
        raise NoRule(text, op=op.name, plugin=plugin)
    conjugated = bool(numbers) and op.complex is HOLOMORPHIC
    builder = Builder(ops)
    g = tuple(builder.input(out) for out in outputs)
    y = tuple(builder.input(out) for out in outputs)
    x = tuple(builder.input(spec) for spec in inputs)
    attributes = in_rule(attributes)
    try:
        with tracing(builder):
            seeds = tuple(map(_conj, g)) if conjugated else g
            if len(outputs) == 1:
                result = op.rule(seeds[0], y[0], *x, **attributes)
            else:
                result = op.rule(seeds, y, *x, **attributes)
            cotangents = result if isinstance(result, tuple) else (result,)
            fault = _fault(builder, op, inputs, cotangents)
            if conjugated and not fault:
                fault = _not_holomorphic(builder.program, outputs, {seed.number for seed in seeds})
                cotangents = tuple(c if c is NO_GRADIENT else _conj(c) for c in cotangents)
    except InferenceError as error:
        raise RuleFault(f"{place}: {error}", op=op.name, plugin=plugin) from error
    except BaseException as error:  # a plugin's code may raise anything, and the fault names it
        reraise_own(error)
        raise RuleFault(place, op=op.name, plugin=plugin, raised=error) from error
    if fault:
        raise RuleFault(f"{place} {fault}", op=op.name, plugin=plugin)
    builder.program.outputs = tuple(None if c is NO_GRADIENT else c.number for c in cotangents)
    return prune(builder.program, [True] * len(cotangents)) if conjugated else builder.program


def _conj(x: Tracer) -> Tracer:
    """The conjugate of a complex value (of a conjugate the original); a real value itself."""
    if not is_complex(x.spec):
        return x
    for instruction in x.builder.program.instructions:
        if instruction.op.name == "conj" and instruction.outputs == (x.number,):
            return Tracer(x.builder, instruction.inputs[0])
    conjugate: Tracer = x.builder.apply("conj", [x], {})  # type: ignore[assignment]
    return conjugate


def _not_holomorphic(program: Program, outputs: Sequence[Spec], seeds: set[int]) -> str | None:
    """The reason why a rule may not be conjugated: each op that it applies to complex numbers must be holomorphic too, or a
    condition. ``seeds``: the conjugates of the cotangents."""
    real = [out for out in outputs if is_differentiable(out.dtype) and not is_complex(out)]
    if real:
        return f"belongs to an op declared holomorphic, whose result is {real[0].dtype.name}"
    for instruction in program.instructions:
        condition = not any(is_differentiable(program.specs[k].dtype) for k in instruction.outputs)
        fits = instruction.op.complex is HOLOMORPHIC or (instruction.op.complex is DIRECT and condition)
        if (
            not fits
            and seeds.isdisjoint(instruction.outputs)
            and any(is_complex(program.specs[k]) for k in instruction.inputs)
        ):
            return f"belongs to an op declared holomorphic, and uses {instruction.op.name!r} of a complex number"
    return None


def _fault(builder: Builder, op: Op, inputs: Sequence[Spec], cotangents: tuple[object, ...]) -> str | None:
    """The text of the fault of the cotangents that a rule returned, or None."""
    if len(cotangents) != len(inputs):
        return f"returned {len(cotangents)} cotangents for {len(inputs)} inputs"
    for position, (cotangent, spec) in enumerate(zip(cotangents, inputs, strict=True)):
        where = f"for input {position} ({op.input_name(position)})"
        if cotangent is NO_GRADIENT:
            continue
        if not is_differentiable(spec.dtype):
            return f"returned a cotangent {where}, whose dtype {spec.dtype.name} has none; return NO_GRADIENT"
        if not isinstance(cotangent, Tracer):
            return f"returned {type(cotangent).__name__} {where}; expected a traced value or NO_GRADIENT"
        if cotangent.builder is not builder:
            return f"returned a value of another trace {where}"
        if cotangent.shape != spec.shape:
            return f"returned a cotangent of shape {cotangent.shape} {where}; expected {spec.shape}"
        if cotangent.dtype != spec.dtype:
            return f"returned a cotangent of dtype {cotangent.dtype.name} {where}; expected {spec.dtype.name}"
    return None


def prune(program: Program, needed: Sequence[bool]) -> Program:
    """The program without the instructions that only serve outputs not ``needed`` (those become None)."""
    outputs = tuple(out if keep else None for out, keep in zip(program.outputs, needed, strict=True))
    live = {out for out in outputs if out is not None}
    kept = []
    for instruction in reversed(program.instructions):
        if live.intersection(instruction.outputs):
            live.update(instruction.inputs)
            kept.append(instruction)
    literals = {k: value for k, value in program.literals.items() if k in live}
    return Program(program.specs, program.inputs, literals, kept[::-1], outputs)


def input_dependencies(rule: Program) -> tuple[frozenset[int], ...]:
    """For each output of ``rule`` the positions of the inputs that it is computed from."""
    behind: dict[int, frozenset[int]] = {number: frozenset([k]) for k, number in enumerate(rule.inputs)}
    for instruction in rule.instructions:
        sources = frozenset().union(*(behind.get(k, frozenset()) for k in instruction.inputs))
        behind.update(dict.fromkeys(instruction.outputs, sources))
    return tuple(frozenset() if number is None else behind.get(number, frozenset()) for number in rule.outputs)


def linear_inputs(rule: Program, outputs: int) -> tuple[bool, ...]:
    """For each input of an op with ``outputs`` outputs, True if the op is linear (affine) in it, provided that ``rule`` is
    right: the derivative along it is made of the cotangents and the other inputs only."""
    saved = frozenset(range(outputs, 2 * outputs))
    return tuple(
        number is not None and sources.isdisjoint(saved | {2 * outputs + k})
        for k, (number, sources) in enumerate(zip(rule.outputs, input_dependencies(rule), strict=True))
    )
