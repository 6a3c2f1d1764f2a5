"""Signatures: the parameters of the methods and functions of a row, and the expressions that they return."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from client_names.row import Family, Row
from client_source.text import docstring
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Spec

KINDS = {"bool": np.bool_, "integer": np.int64, "complex": np.complex128}
"""The kinds of dtypes, besides real floating point, that an op may refuse."""

INPUTS = ("Operand", "Recorded", "Places", "Tensor")
"""The types of parameters that are inputs of an op; all others are attributes."""

ATTRIBUTES = {"dim": "axis", "dim1": "axis1", "dim2": "axis2", "keepdim": "keepdims", "diagonal": "k"}
"""The names that ops have for parameters of PyTorch, where they differ."""


@dataclass(frozen=True)
class Signature:
    """A row with all that its methods and functions have in common.

    Attributes:
        row: the row.
        parameters: the parameters behind the first tensor.
        call: the expression of the result, with ``{x}`` for the first tensor.
        note: what the docstring says of shapes and errors.
        refusal: the sentence of the dtypes that the op refuses, if any.
        symmetric: see `Family`.
        several: the result is a tuple of tensors.
    """

    row: Row
    parameters: str
    call: str
    note: str
    refusal: str
    symmetric: bool
    several: bool

    def docstring(self, follows: str) -> str:
        """The docstring with the sentence of the functions that a method or function follows."""
        return docstring(self.row.text, " ".join(filter(None, [self.note, follows, self.refusal])))

    @property
    def names(self) -> list[str]:
        """The names of the row."""
        return self.row.names.split()


def signatures(families: tuple[Family, ...], registry: Registry) -> Iterator[Signature]:
    """The signatures of all rows. Raises ValueError if parameters do not fit the op, KeyError if there is no such op."""
    for family in families:
        for row in family.rows:
            op = registry.ops[row.op]
            parameters = row.parameters or family.parameters
            call = row.call or family.call or call_of(row, op, parameters)
            call = call.replace("{op}", repr(row.op))
            yield Signature(row, parameters, call, family.note, refusal(op), family.symmetric, returns_several(op))


def arguments_of(parameters: str) -> ast.arguments:
    """The parsed parameters."""
    definition = ast.parse(f"def f({parameters}): ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition.args


def call_of(row: Row, op: Op, parameters: str) -> str:
    """The expression that applies an op: parameters that are tensors are its inputs, all others its attributes."""
    arguments = arguments_of(parameters)
    inputs = ["{x}"]
    optional: list[str] = []
    attributes: list[str] = []
    for argument in [*arguments.args, *arguments.kwonlyargs]:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        name = argument.arg
        if kind.removesuffix(" | None") in INPUTS:
            (optional if kind.endswith("None") else inputs).append(name)
            continue
        usual = ATTRIBUTES.get(name, name)
        attribute = usual if usual in op.attributes else name
        if attribute not in op.attributes:
            raise ValueError(f"{row.names}: the op {op.name} has no attribute {name!r}; it has {', '.join(op.attributes)}")
        attributes.append(f"{attribute}={axes(kind, name) if name == 'dim' else name}")
    if not op.variadic and len(inputs) + len(optional) > len(op.inputs):
        raise ValueError(f"{row.names}: the op {op.name} has the inputs {', '.join(op.inputs)} only")
    given = [f"*given({', '.join(optional)})"] if optional else []
    return f"{'apply_multiple' if returns_several(op) else 'apply'}({{op}}, {', '.join([*inputs, *given, *attributes])})"


def returns_several(op: Op) -> bool:
    """True for an op of several outputs, in any of its cases."""
    cases = op.declared_cases() if op.composite or len(op.definitions) > 1 else ()
    results = (op.inference(case.specs(), case.attributes).outputs for case in cases)
    return op.outputs > 1 or any(len(outputs) > 1 for outputs in results)


def axes(kind: str, name: str) -> str:
    """The expression of an axis, or of axes."""
    return f"{'axes_of' if kind == 'Axes' else 'axis_of'}({{x}}, {name})"


def refusal(op: Op) -> str:
    """The sentence that names the kinds of dtypes that the op refuses; empty unless it takes matrices of floats."""
    refused = [kind for kind, dtype in KINDS.items() if not takes(op, np.dtype(dtype))]
    if not refused or not takes(op, np.dtype(np.float64)):
        return ""
    return f"Raises InvalidRequest for {' and '.join(refused)} elements."


def takes(op: Op, dtype: np.dtype) -> bool:
    """True if the op takes matrices of this dtype."""
    try:
        op.inference([Spec((2, 2), dtype)] * len(op.inputs), op.complete({}))
    except InferenceError:
        return False
    return True
