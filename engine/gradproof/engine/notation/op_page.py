"""Page of an op: all that its declaration says, as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from gradproof.engine.conventions import Complex
from gradproof.engine.domains import INTEGER, REAL
from gradproof.engine.notation import formulas
from gradproof.engine.notation.example import example
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.registry import Registry

CONDITIONS = {
    "positive": "{} > 0",
    "nonzero": "{} ≠ 0",
    "above -1": "{} > -1",
    "above 1": "{} > 1",
    "between -1 and 1": "-1 < {} < 1",
}
CONVERSIONS = {"astype", "broadcast_to", "reshape", "expand_dims"}
COMPLEX = {
    Complex.REFUSED: "",
    Complex.HOLOMORPHIC: "holomorphic: the rule of the reals is conjugated, g conj(f'(x))",
    Complex.DIRECT: "the rule is written for complex numbers",
}


def op_page(registry: Registry, op: Op) -> str:
    """The page of an op, without verdicts. Reads its definition and runs its example, which may be code of a plugin; a part
    that raises is left out."""
    plugin = registry.plugin_of(op.name)
    head = [f"# `{op.name}`", f"{op.doc}.", f"```python\n{signature(op)}\n```"]
    facts = [
        ("domain", domain_text(op)),
        ("at ties", op.ties),
        ("complex numbers", COMPLEX[op.complex]),
        ("backward node", f"`{op.grad_fn}`" if op.differentiable else "none: no gradient flows through this op"),
        ("plugin", f"`{plugin.name}`"),
    ]
    table = "| | |\n|---|---|\n" + "\n".join(f"| {name} | {_cell(text)} |" for name, text in facts if text)
    sections = [("Definition", definition_text), ("Rule", rule_text), ("Example", example_text)]
    parts = [f"## {title}\n\n{text}" for title, write in sections if (text := _tried(write, registry, op))]
    return "\n\n".join([*head, table, *parts]) + "\n"


def _tried(write: Callable[[Registry, Op], str], registry: Registry, op: Op) -> str:
    try:
        return write(registry, op)
    except BaseException as error:  # a plugin's code, or notation that it has no words for
        reraise_own(error)
        return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def signature(op: Op) -> str:
    """The op as a call: ``softplus(x, *, beta=1.0)``; inputs in brackets may be left out."""
    needed = len(op.inputs) - op.optional
    inputs = [n if k < needed else f"{n}=None" for k, n in enumerate(op.inputs)]
    inputs[len(inputs) - op.variadic :] = [f"*{name}" for name in inputs[len(inputs) - op.variadic :]]
    attributes = [n if value is REQUIRED else f"{n}={value!r}" for n, value in op.attributes.items()]
    star = ["*"] if attributes and not op.variadic else []
    return f"{op.name}({', '.join([*inputs, *star, *attributes])})"


def domain_text(op: Op) -> str:
    """The conditions on the inputs, but for those that may be any real number."""
    if op.variadic:
        return ""
    conditions = []
    for k, name in enumerate(op.inputs):
        domain = op.domain(k)
        if domain is not REAL and domain is not INTEGER:
            conditions.append(CONDITIONS.get(domain.name, f"{{}} {domain.name}").format(name))
    return ", ".join(conditions)


def definition_text(registry: Registry, op: Op) -> str:
    """The definition: a formula where the op is elementwise, the graph of a composite, the equation that the result solves,
    or the source of the function, as for an elementwise op that there is no notation for."""
    if op.equation is not None:
        return f"The result solves {op.equation.formula}."
    if op.composite and not op.definitions:
        return f"A graph of other ops, for inputs {op.declared_cases()[0]}:\n\n{_block(_lines(formulas.expansion(op)))}"
    if op.elementwise:
        with suppress(AttributeError, NotImplementedError, TypeError, ValueError):  # there is no notation for it
            given = [f"{name} = {value}" for name, value in op.declared_cases()[0].attributes.items()]
            return _block([f"y = {formulas.definition(op)}{', for ' if given else ''}{', '.join(given)}"])
    return _block(list(dict.fromkeys(source(define) for define in op.definitions)), "python")


def source(function: Callable[..., Any]) -> str:
    """The source of a function, without the indentation of its place."""
    return textwrap.dedent(inspect.getsource(function)).strip()


def rule_text(registry: Registry, op: Op) -> str:
    """The rule for the first case as formulas, with the reasons that its docstring gives; of a composite its parts."""
    if op.composite:
        return f"Made of {', '.join(f'[`{name}`]({name}.md)' for name in parts(op))}, whose rules are its own."
    if op.rule is None:
        return (
            "The op has no rule: no gradient flows through it." if op.backward is None else "An opaque backward in NumPy."
        )
    complex_cases = op.complex_cases() if op.complex is Complex.DIRECT else ()
    case = (complex_cases or op.declared_cases())[0]
    rule = formulas.rule(op, registry.rule_of(op, case), op.inference(case.specs(), case.attributes).attributes)
    reasons = " ".join((inspect.getdoc(op.rule) or "").split())
    lines = [*_where(rule), *cotangents(op, rule)]
    shown = f"For inputs {case}, from the cotangent g of the result y:\n\n{_block(lines)}" if any(lines) else ""
    return "\n\n".join(filter(None, (shown, reasons)))


def parts(op: Op) -> list[str]:
    """The names of the ops that a composite is made of, but for conversions."""
    programs = [op.expand(case.specs(), case.attributes) for case in op.declared_cases()]
    return sorted({part.op.name for program in programs if program for part in program.instructions} - CONVERSIONS)


def cotangents(op: Op, rule: formulas.Rule) -> Iterator[str]:
    """The cotangent of each input that has one, as an equation: ``x̄ = g y``."""
    for k, text in enumerate(rule.cotangents):
        name = op.input_name(k)
        if text != "–":
            yield f"{name}\N{COMBINING MACRON} = {text}" if len(name) == 1 else f"{name}: {text}"


def _where(rule: formulas.Rule) -> list[str]:
    return [f"{name} = {text}" for name, text in reversed(rule.where)]


def _lines(rule: formulas.Rule) -> list[str]:
    """The lines of an expansion: values with names, then the results."""
    results = ["y"] if len(rule.cotangents) == 1 else [f"y{k + 1}" for k in range(len(rule.cotangents))]
    return [*_where(rule), *(f"{name} = {text}" for name, text in zip(results, rule.cotangents, strict=True))]


def example_text(registry: Registry, op: Op) -> str:
    """Lines that a client runs, and what they print."""
    lines = example(registry, op)
    return _block([lines], "python") if lines else ""


def _block(lines: Sequence[str], language: str = "text") -> str:
    return f"```{language}\n{re.sub(chr(10) + '{3,}', chr(10) * 2, chr(10).join(lines))}\n```"
