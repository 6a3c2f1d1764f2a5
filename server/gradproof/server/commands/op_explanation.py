"""Explanation of an op: its definition, derivative, rule and proof, as text, LaTeX or a page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from gradproof.engine.cases import Case
from gradproof.engine.errors import text_of
from gradproof.engine.notation.op_page import domain_text, parts, signature
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof.points import input_symbols
from gradproof.engine.verify.readings import NoDefinition, read, read_parts
from gradproof.engine.verify.verdict import RuleVerdict

MAX_ELEMENTS = 4  # of each array that are written
NOT_IN_SYMBOLS = (NoDefinition, TypeError, NotImplementedError, ValueError, ArithmeticError)
"""Errors of definitions that symbols have no reading of: those that sort, or ask for a number."""
STYLE = "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}math{font-size:1.15em}li{margin:.3em 0}"


@dataclass(frozen=True)
class Line:
    """A line of an explanation: ``name = expression``, or a text where there is no expression."""

    name: str
    expression: Any = None
    text: str = ""


@dataclass(frozen=True)
class Explanation:
    """The explanation of an op in its first case: lines by the title of their section, and the verdict."""

    head: str
    doc: str
    sections: Mapping[str, Sequence[Line]]
    verdict: RuleVerdict | None
    parts: Sequence[str] = ()
    """The ops that a composite is made of."""


def explanation_of(registry: Registry, op: Op) -> Explanation:
    """The explanation of an op. Reads its definition, which may be code of a plugin, and proves its rule."""
    case = op.declared_cases()[0] if op.declared_cases() else None
    sections: dict[str, list[Line]] = {}
    if case is not None and op.equation is None:
        try:
            sections.update(_formulas(registry, op, case))
        except NOT_IN_SYMBOLS as error:
            sections["Definition"] = [Line("", text=f"none in symbols: {text_of(error)}")]
    elif op.equation is not None:
        sections["Definition"] = [Line("", text=f"the result y solves {op.equation.formula}")]
    provable = op.rule is not None or (op.composite and bool(op.definitions))
    verdict = prove(registry, op, case) if case is not None and provable else None
    head = f"{signature(op)}{f', for inputs {case}' if case is not None and str(case).strip('() ') else ''}"
    domain = domain_text(op)
    return Explanation(
        head, f"{op.doc}{f', for {domain}' if domain else ''}", sections, verdict, parts(op) if op.composite else ()
    )


def _formulas(registry: Registry, op: Op, case: Case) -> Iterator[tuple[str, list[Line]]]:
    """The sections of formulas. Raises `NOT_IN_SYMBOLS`."""
    inference = op.inference(case.specs(), case.attributes)
    specs = inference.inputs or case.specs()
    variables, inputs = input_symbols(op, case, inference)
    if op.composite and not op.definitions:
        outputs = [y for y in read(registry.rule_of(op, case), inputs, SYMBOLIC) if y is not None]
    else:
        outputs = read_parts(op, SYMBOLIC, inputs, specs, inference.attributes, inference.outputs)
    names = ["y"] if len(outputs) == 1 else [f"y{k}" for k in range(len(outputs))]
    yield "Definition", [line for name, y in zip(names, outputs, strict=True) for line in _lines(name, y)]
    if not all(is_differentiable(spec.dtype) for spec in inference.outputs):
        return
    seeds = [_seeds("g" if len(outputs) == 1 else f"g{k}", y.shape) for k, y in enumerate(outputs)]
    total = sum(g * y for gs, ys in zip(seeds, outputs, strict=True) for g, y in zip(gs.flat, ys.flat, strict=True))
    derivative: list[Line] = []
    for k, x in enumerate(variables):
        if x is not None:
            slopes = np.empty(x.shape, object)
            for index in np.ndindex(x.shape):
                slopes[index] = sympy.diff(total, x[index])
            derivative += _lines(_barred(op, k), slopes)
    yield "Derivative", derivative
    if op.rule is not None and not op.composite:
        claimed = read(registry.rule_of(op, case), [*seeds, *outputs, *inputs], SYMBOLIC)
        pairs = ((k, c) for k, c in enumerate(claimed) if c is not None)
        yield "Rule", [line for k, c in pairs for line in _lines(_barred(op, k), c)]


def _barred(op: Op, k: int) -> str:
    return f"{op.input_name(k)}_bar"


def _seeds(name: str, shape: tuple[int, ...]) -> Array:
    seeds = np.empty(shape, object)
    for index in np.ndindex(shape):
        seeds[index] = sympy.Symbol("_".join([name, *map(str, index)]), real=True)
    return seeds


def _lines(name: str, cells: Array) -> list[Line]:
    """A line for each element, up to `MAX_ELEMENTS`."""
    indices = list(np.ndindex(cells.shape))
    lines = [
        Line(name + (str(list(index)) if index else ""), sympy.sympify(cells[index])) for index in indices[:MAX_ELEMENTS]
    ]
    rest = len(indices) - MAX_ELEMENTS
    return [*lines, Line("", text=f"and {rest} more elements")] if rest > 0 else lines


def as_text(explanation: Explanation) -> str:
    """The explanation as plain text."""
    lines = [explanation.head, explanation.doc]
    for title, section in explanation.sections.items():
        lines += ["", title, *(f"  {line.name} = {line.expression}" if line.name else f"  {line.text}" for line in section)]
    return "\n".join([*lines, *_proof(explanation)])


def as_latex(explanation: Explanation) -> str:
    """The formulas as LaTeX, an aligned display for each section."""
    displays = []
    for title, section in explanation.sections.items():
        rows = [
            f"  {_latex_name(line.name)} &= {sympy.latex(line.expression)}" if line.name else rf"  & \text{{{line.text}}}"
            for line in section
        ]
        body = " \\\\\n".join(rows)
        displays.append(f"% {title}\n\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return "\n".join([*displays, *(f"% {line}".rstrip() for line in _proof(explanation) if line)])


def _latex_name(name: str) -> str:
    letter, bracket, index = name.partition("[")
    text = rf"\bar{{{letter.removesuffix('_bar')}}}" if letter.endswith("_bar") else letter
    return f"{text}_{{{index.rstrip(']')}}}" if bracket else text


def as_page(explanation: Explanation) -> str:
    """The explanation as a page of HTML, with formulas in MathML, which browsers show by themselves."""
    lines = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(explanation.head)}</title>",
        f"<style>{STYLE}</style><h1><code>{html.escape(explanation.head)}</code></h1><p>{html.escape(explanation.doc)}</p>",
    ]
    for title, section in explanation.sections.items():
        lines.append(f"<h2>{title}</h2>")
        lines += [f"<p>{_mathml(line) if line.name else html.escape(line.text)}</p>" for line in section]
    verdict = explanation.verdict
    if verdict is not None:
        steps = "".join(f"<li>{html.escape(step)}</li>" for step in verdict.obligations)
        word = html.escape(
            " ".join(filter(None, [verdict.word, verdict.tactic and f"by {verdict.tactic}", verdict.reason]))
        )
        lines.append(f"<h2>Proof</h2><p><b>{word}</b></p><ol>{steps}</ol>")
    return "\n".join(lines) + "\n"


def _mathml(line: Line) -> str:
    letter, _, index = line.name.partition("[")
    name = f"<mi>{html.escape(letter.removesuffix('_bar'))}</mi>"
    if letter.endswith("_bar"):
        name = f"<mover>{name}<mo>&#xAF;</mo></mover>"
    if index:
        name = f"<msub>{name}<mtext>{html.escape(index.rstrip(']'))}</mtext></msub>"
    formula = sympy.printing.mathml(line.expression, printer="presentation")
    return f"<math display='block'>{name}<mo>=</mo>{formula}</math>"


def _proof(explanation: Explanation) -> list[str]:
    """The lines of a proof: the word, the tactic, the witness of a refutation, and each step."""
    verdict = explanation.verdict
    if verdict is None:
        none = f"those of its parts: {', '.join(explanation.parts)}" if explanation.parts else "none: the op has no rule"
        return ["", "Proof", f"  {none}"]
    word = " ".join(filter(None, [verdict.word, verdict.tactic and f"by {verdict.tactic}", verdict.reason]))
    lines = ["", "Proof", f"  {word}", *(f"  - {step}" for step in verdict.obligations)]
    if verdict.got:
        lines.append(
            f"  at {verdict.point}: the rule gives {verdict.got}, and {verdict.expected} is true of {verdict.input}"
        )
    return lines
