"""Ops from SymPy expressions: forward, rule and definition, written as Python that can be pasted and improved.

The expression is walked through its own attributes, and SymPy is not imported here: who brings an expression has it. Each
value that occurs twice is computed once, and what cancels or overflows in the plain form is written with functions that
keep the digits (`expm1`, `log1p`, the logistic function): see `stable`. The definition is the plain expression.
"""

from __future__ import annotations

import keyword
import linecache
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from gradproof.engine.stable import ATOM, NEGATIVE, POWER, PRODUCT, SUM, Form, stable

Expression: TypeAlias = Any  # sympy.Expr, which is not imported here

FILE = "<expression of "
"""How the names of the files begin that functions of expressions are from."""

ALIKE = (
    "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign", "floor",
)  # fmt: skip
"""Functions of one name in SymPy, NumPy, the ops and the function table; then those that NumPy calls otherwise."""
INVERSE = ("asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh")
SPECIAL = ("erf", "erfc", "gamma", "digamma")
NUMPY = {
    **{name: f"np.{name}" for name in (*ALIKE, "expm1", "log1p")},
    **{name: f"np.arc{name[1:]}" for name in INVERSE},
    **{name: f"special.{name}" for name in SPECIAL},
    "Abs": "np.abs",
    "loggamma": "special.gammaln",
    "softplus": "np.logaddexp",
    "sigmoid": "special.expit",
}
OPS = {
    **{name: f"ops.{name}" for name in (*ALIKE, *INVERSE, *SPECIAL, "expm1", "log1p", "sigmoid", "softplus")},
    "Abs": "ops.abs",
    "loggamma": "ops.gammaln",
}
DEFINITION = {
    **{name: f"f.{name}" for name in (*ALIKE, *INVERSE, *SPECIAL)},
    "Abs": "f.modulus",
    "loggamma": "f.lgamma",
}
COMPARISONS = {"StrictLessThan": ("<", "less"), "LessThan": ("<=", "less_equal"), "Equality": ("==", "equal")}
CHOICES = ("Max", "Min", "Heaviside")
"""Functions that are written as pieces."""
REVERSED = {"StrictGreaterThan": "StrictLessThan", "GreaterThan": "LessThan"}


@dataclass
class Writer:
    """Writes expressions as the lines of a function, in a vocabulary.

    Attributes:
        functions: the name of each function.
        symbols: the text of each symbol, by name.
        where: the name of the choice between two values.
        like: the text of a number as an array like another.
        rational: the text of a fraction.
        constant: the text of a number that is no fraction.
        stable: whether forms that keep digits are written.
    """

    functions: Mapping[str, str]
    symbols: Mapping[str, str]
    where: str
    like: str
    rational: Callable[[Fraction], str]
    constant: Callable[[Expression], str]
    stable: bool = True
    lines: list[str] = field(default_factory=list)
    known: dict[Expression, str] = field(default_factory=dict)
    uses: dict[Expression, int] = field(default_factory=dict)

    def count(self, expression: Expression) -> None:
        """Count the uses of each value of an expression, in the form that is written."""
        stack = [expression]
        while stack:
            node = stack.pop()
            self.uses[node] = self.uses.get(node, 0) + 1
            if self.uses[node] == 1:
                stack.extend(self._operands(node))

    def _operands(self, node: Expression) -> Sequence[Expression]:
        form = stable(node) if self.stable else None
        if form is not None:
            return form.operands
        return () if node.is_number else _operands(node)

    def text(self, node: Expression, level: int = SUM) -> str:
        """The text of a value, in brackets where something of ``level`` is needed and it binds less."""
        known = self.known.get(node)
        if known is not None:
            return known
        written, own = self._written(node)
        if self.uses.get(node, 0) > 1 and own < ATOM + bool("(" in written):
            name = f"t{len(self.lines) + 1}"
            self.lines.append(f"{name} = {written}")
            self.known[node] = name
            return name
        return written if own >= level else f"({written})"

    def _written(self, node: Expression) -> tuple[str, int]:
        if node.is_Symbol:
            return self.symbols[node.name], ATOM
        if node.is_Rational:
            fraction = Fraction(int(node.p), int(node.q))
            text = str(fraction) if fraction.denominator == 1 else self.rational(fraction)
            return text, NEGATIVE if text.startswith("-") else PRODUCT if "/" in text else ATOM
        if node.is_number:
            return self.constant(node), ATOM
        form = stable(node) if self.stable else None
        if form is not None:
            return self._form(form)
        kind = node.func.__name__
        writers: dict[str, Callable[[Expression], tuple[str, int]]] = {
            "Add": self._sum, "Mul": self._product, "Pow": self._power, "Piecewise": self._pieces,
        }  # fmt: skip
        if kind in writers:
            return writers[kind](node)
        if kind == "polygamma" and node.args[0] == 0:
            return f"{self.functions['digamma']}({self.text(node.args[1])})", ATOM
        if kind not in self.functions:
            raise ValueError(f"{kind} is not in the function table: an op of it is written by hand")
        return f"{self.functions[kind]}({', '.join(self.text(x) for x in node.args)})", ATOM

    def _form(self, form: Form) -> tuple[str, int]:
        inside = [f"({{{k}}})" in form.template for k in range(len(form.operands))]
        operands = [self.text(x, SUM if alone else POWER) for x, alone in zip(form.operands, inside, strict=True)]
        function = self.functions.get(form.function, "")
        if function == "np.logaddexp":  # of 0 and u
            operands = [f"0, {operands[0]}"]
        return form.template.format(*operands, function=function), form.level

    def _sum(self, node: Expression) -> tuple[str, int]:
        text = ""
        terms = sorted(node.args, key=lambda term: (_is_negative(term), term.is_number))
        for term in terms:
            if text and _is_negative(term):
                text += f" - {self.text(-term, PRODUCT)}"
            else:
                text += f"{' + ' if text else ''}{self.text(term, SUM if not text else PRODUCT)}"
        return text, SUM

    def _product(self, node: Expression) -> tuple[str, int]:
        above: list[str] = []
        below: list[str] = []
        factors = node.args
        if any(factor.is_number and not factor.is_Rational for factor in factors):  # one constant, with its sign
            numbers = [factor for factor in factors if factor.is_number]
            above.append(self.text(math.prod(numbers), POWER))
            factors = tuple(factor for factor in factors if not factor.is_number)
        elif _is_negative(node):
            return f"-{self.text(-node, PRODUCT)}", NEGATIVE
        for factor in factors:
            if factor.is_Rational and factor.q != 1:
                above += [str(factor.p)] if factor.p != 1 else []
                below.append(str(factor.q))
            elif factor.func.__name__ == "Pow" and _is_negative(factor.args[1]):
                below.append(self.text(1 / factor, POWER))
            else:
                above.append(self.text(factor, POWER))
        numerator = " * ".join(above) or "1"
        if not below:
            return numerator, PRODUCT
        return f"{numerator} / {below[0] if len(below) == 1 else f'({chr(32).join(_between(below))})'}", PRODUCT

    def _power(self, node: Expression) -> tuple[str, int]:
        base, exponent = node.args
        if _is_negative(exponent):
            return f"1 / {self.text(1 / node, POWER)}", PRODUCT
        if exponent.is_Rational and exponent.q == 2 and exponent.p == 1:
            return f"{self.functions['sqrt']}({self.text(base)})", ATOM
        if exponent == 2 and base.is_Symbol:
            name = self.text(base)
            return f"{name} * {name}", PRODUCT
        if self.functions is DEFINITION:
            raised = f"f.number({self.text(exponent)})" if exponent.is_Rational else self.text(exponent)
            return f"f.power({self.text(base)}, {raised})", ATOM
        return f"{self.text(base, ATOM)} ** {self.text(exponent, ATOM)}", POWER

    def _pieces(self, node: Expression) -> tuple[str, int]:
        *first, (last, condition) = node.args
        if condition != True:  # noqa: E712 - SymPy's true
            raise ValueError("the pieces of an expression have a last one, for all other numbers")
        text = self.text(last)
        if all(value.is_number for value, _ in node.args):  # of the dtype of what is compared
            like = next(s.name for s in node.args[0][1].free_symbols)
            text = self.like.format(like=self.symbols[like], value=text)
        for value, holds in reversed(first):
            text = f"{self.where}({self._condition(holds)}, {self.text(value)}, {text})"
        return text, ATOM

    def _condition(self, node: Expression) -> str:
        kind = node.func.__name__
        left, right = node.args if kind in COMPARISONS or kind in REVERSED else (None, None)
        if kind in REVERSED:
            kind, left, right = REVERSED[kind], right, left
        if kind not in COMPARISONS:
            raise ValueError(f"the condition {node} is no comparison")
        sign, name = COMPARISONS[kind]
        a, b = self.text(left, PRODUCT), self.text(right, PRODUCT)
        return f"f.{name}({a}, {b})" if self.functions is DEFINITION else f"{a} {sign} {b}"


def _between(factors: Sequence[str]) -> Iterator[str]:
    """Factors with signs of multiplication between them."""
    for k, factor in enumerate(factors):
        if k:
            yield "*"
        yield factor


def _operands(node: Expression) -> Sequence[Expression]:
    """The operands of a node; of pieces the values and the sides of the conditions."""
    if node.func.__name__ != "Piecewise":
        return tuple(node.args)
    sides = (side for _, holds in node.args for side in holds.args)
    return (*(value for value, _ in node.args), *sides)


def _is_negative(node: Expression) -> bool:
    return bool(node.could_extract_minus_sign()) if node.is_Mul or node.is_number else False


@dataclass(frozen=True)
class Written:
    """Functions of an op, and which of its inputs are positive."""

    forward: Callable[..., Any]
    rule: Callable[..., Any]
    define: Callable[..., Any]
    positive: tuple[bool, ...]


def written(
    name: str, expression: Expression, inputs: Sequence[Expression], attributes: Mapping[Expression, float], doc: str
) -> Written:
    """The functions of an op whose result is an expression of its inputs and attributes.

    Raises:
        ValueError: for a function that is not in the function table, for a symbol that is neither input nor attribute, and
            for a name that is no identifier of Python.
    """
    symbols = [*inputs, *attributes]
    _check(expression, symbols)
    real = {s: type(s)(s.name, real=True) for s in symbols}
    value = expression.subs(real)
    if any(part.func.__name__ in CHOICES for part in _parts(value)):
        value = value.rewrite("Piecewise")
    names = [s.name for s in inputs]
    derivatives = [_combined(value.diff(real[s])) for s in inputs]
    source = "\n\n\n".join(
        [
            _function(f"forward({_arguments(names, attributes)})", _forward_writer(symbols), [value]),
            _function(
                f"rule({_arguments(['g', 'y', *names], attributes)})", _rule_writer(symbols, value), derivatives, "g"
            ),
            _function(f"define({_arguments(['f', *names], attributes)})", _definition_writer(symbols), [value]),
        ]
    )
    source += f"\n\n\n{_declaration(name, inputs, doc)}\n"
    source = f"{_imports(source)}\n\n\n{source}"
    place = f"{FILE}{name}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    space: dict[str, Any] = {"__name__": f"gradproof.expression.{name}"}
    exec(compile(source.rpartition("\n\n\n")[0], place, "exec"), space)
    positive = tuple(bool(s.is_positive) for s in inputs)
    return Written(space["forward"], space["rule"], space["define"], positive)


def _combined(derivative: Expression) -> Expression:
    """A derivative with its quotients in a single one, where terms of it may cancel; as it stands, if it has none."""
    symbols = derivative.free_symbols
    quotients = derivative.is_Add and derivative.is_rational_function(*symbols) and not derivative.is_polynomial(*symbols)
    return derivative.factor() if quotients else derivative


def _parts(value: Expression) -> Iterator[Expression]:
    """All parts of an expression."""
    stack = [value]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.args)


def _check(expression: Expression, symbols: Sequence[Expression]) -> None:
    unknown = sorted(s.name for s in expression.free_symbols - set(symbols))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: neither an input nor an attribute of the expression {expression}")
    taken = {"f", "g", "y", "i", "np", "ops", "special"}
    bad = next((s.name for s in symbols if not s.name.isidentifier() or keyword.iskeyword(s.name) or s.name in taken), "")
    if bad:
        raise ValueError(f"{bad!r} cannot be the name of an input: it is no name in Python, or stands for something else")


def _arguments(names: Sequence[str], attributes: Mapping[Expression, float]) -> str:
    keyed = [f"{s.name}={value!r}" for s, value in attributes.items()]
    return ", ".join([*names, *(["*", *keyed] if keyed else [])])


def _forward_writer(symbols: Sequence[Expression]) -> Writer:
    texts = {s.name: s.name for s in symbols}
    return Writer(
        NUMPY,
        texts,
        "np.where",
        "np.full_like({like}, {value})",
        lambda q: f"({q.numerator} / {q.denominator})",
        lambda x: repr(float(x)),
    )


def _rule_writer(symbols: Sequence[Expression], value: Expression) -> Writer:
    def constant(x: Expression) -> str:
        return repr(float(x)) if x.is_Float else f"Exact(lambda f: {_definition_writer(symbols).text(x)})"

    texts = {s.name: s.name for s in symbols}
    writer = Writer(
        OPS,
        texts,
        "ops.where",
        "full_like({like}, {value})",
        lambda q: f"Fraction({q.numerator}, {q.denominator})",
        constant,
    )
    if not value.is_Symbol and not value.is_number:
        writer.known[value] = "y"
    return writer


def _definition_writer(symbols: Sequence[Expression]) -> Writer:
    writer = Writer(
        DEFINITION, {s.name: s.name for s in symbols}, "f.where", "{value}",
        lambda q: f"f.number(Fraction({q.numerator}, {q.denominator}))", lambda x: _constant(writer, x), stable=False,
    )  # fmt: skip
    return writer


def _constant(writer: Writer, x: Expression) -> str:
    """The text of a constant in a definition: pi, e, a float, or an expression of such."""
    if x.is_Float:
        return f"f.number({float(x)!r})"
    kind = x.func.__name__
    if kind in ("Pi", "Exp1"):
        return "f.pi" if kind == "Pi" else "f.exp(f.number(1))"
    texts = [f"f.number({int(arg)})" if arg.is_Integer else writer.text(arg, ATOM) for arg in x.args]
    if kind == "Pow":
        return f"f.power({texts[0]}, {texts[1]})"
    if kind in ("Add", "Mul"):
        return f"({(' + ' if kind == 'Add' else ' * ').join(texts)})"
    if kind not in writer.functions:
        raise ValueError(f"the constant {x} is not made of functions of the table")
    return f"{writer.functions[kind]}({', '.join(texts)})"


def _function(head: str, writer: Writer, values: Sequence[Expression], factor: str = "") -> str:
    """A function: lines for values that occur twice, and the results, each times ``factor``."""
    for value in values:
        writer.count(value)
    results = [_times(factor, writer, value) for value in values]
    lines = [f"    {line}" for line in writer.lines]
    return "\n".join([f"def {head}:", *lines, f"    return {', '.join(results)}"])


def _times(factor: str, writer: Writer, value: Expression) -> str:
    if not factor:
        return writer.text(value)
    if value == 0:
        return f"0 * {factor}"
    text = "1" if value == 1 else writer.text(value, PRODUCT)
    if text == "1" or text.startswith("1 / "):
        return factor + text[1:]
    return f"{factor} * {text}"


def _imports(source: str) -> str:
    used = {
        "POSITIVE": "POSITIVE",
        "REAL": "REAL",
        "Exact": "Exact(",
        "Op": "Op(",
        "full_like": " full_like(",
        "ops": "ops.",
    }
    names = ", ".join(name for name, mark in used.items() if mark in source)
    lines = ["from fractions import Fraction\n"] if "Fraction(" in source else []
    lines += ["import numpy as np"] if "np." in source else []
    lines.append(f"from gradproof.engine.extend import {names}")
    lines += ["from scipy import special"] if "special." in source else []
    return "\n".join(lines)


def source_of(function: Callable[..., Any]) -> str | None:
    """The whole Python that was written for an op from its expression, or None for any other function."""
    code = getattr(function, "__code__", None)
    place = code.co_filename if code is not None else ""
    return "".join(linecache.getlines(place)) if place.startswith(FILE) else None


def _declaration(name: str, inputs: Sequence[Expression], doc: str) -> str:
    domains = ""
    if any(s.is_positive for s in inputs):
        texts = ["POSITIVE" if s.is_positive else "REAL" for s in inputs]
        domains = f", domains=({', '.join(texts)},)"
    constant = name.rpartition(".")[2].upper()
    return f"{constant} = Op({name!r}, forward, rule, define{domains}, doc={doc!r})"
