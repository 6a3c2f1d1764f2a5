"""Generate the uniform methods, functions and ops of the Python client: ``python clients/python/generate_client.py [OUT]``.

The methods come from `method_table`, the functions from the source of the methods, the ops from the built-in plugins. Below
OUT (default: in place) this writes ``tensors/uniform.py``, ``tensors/method_functions.py`` and ``builtin_ops.py``.
"""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from gradproof.engine.inference import InferenceError
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Spec
from gradproof.plugins import BUILTIN
from method_table import BINARY, DEVIATIONS, FUNCTIONS, NORMALISED, PRODUCTS, REDUCTIONS, RUNNING, UNARY, VARIANCES, Row

CLIENT = Path(__file__).parent / "gradproof" / "client"
CLASSES = {
    "recording/record.py": "Recorded", "tensors/conversions.py": "Conversions", "tensors/uniform.py": "Uniform",
    "tensors/elementwise.py": "Elementwise", "tensors/reductions.py": "Reductions", "tensors/arithmetic.py": "Arithmetic",
    "tensors/shapes.py": "Shapes", "tensors/selecting.py": "Selecting", "tensors/ordering.py": "Ordering",
    "tensors/tensor.py": "Tensor",
}  # fmt: skip
"""The classes that tensors are made of, in the order of inheritance, and their modules."""

KINDS = {"bool": np.bool_, "integer": np.int64, "complex": np.complex128}
"""The kinds of dtypes, besides real floating point, that an op may refuse."""

ATTRIBUTES = {
    "axis": "int", "keepdims": "bool", "dtype": "DTypeLike", "shape": "Sequence[int]", "axes": "Sequence[int] | None",
    "start": "Sequence[int]", "stop": "Sequence[int | None]", "step": "Sequence[int] | None", "k": "int",
    "widths": "Sequence[Sequence[int]]", "sections": "int | Sequence[int]", "descending": "bool", "correction": "int",
    "order": "int", "decimals": "int", "nan": "float", "posinf": "float | None", "neginf": "float | None", "rtol": "float",
    "atol": "float", "equal_nan": "bool", "value": "float", "num": "int", "endpoint": "bool", "n_rows": "int",
    "n_cols": "int | None",
}  # fmt: skip
"""Types of the attributes of ops, by name."""

SEVERAL_AXES = "int | Sequence[int] | None"
"""Type of an attribute ``axis`` whose default is None, which stands for all axes."""

OP_ATTRIBUTES = {
    **{f"{op}.axis": "int | None" for op in ("argmax", "argmin")},
    "expand_dims.axis": "int | Sequence[int]",
    "unslice.step": "Sequence[int]",
    **{f"arange.{name}": "float" for name in ("start", "step")},
    "arange.stop": "float | None",
    **{f"linspace.{name}": "float" for name in ("start", "stop")},
    **{f"{op}.dtype": "DTypeLike | None" for op in ("arange", "linspace", "zeros_like", "ones_like", "full_like")},
}
"""Types of attributes that differ from `ATTRIBUTES` and `SEVERAL_AXES`, by op and name."""

SPREAD = (
    "self, dim: Axes = None, unbiased: bool = True, *, correction: int | None = None, keepdim: bool = False, "
    "axis: Axes = None"
)
VARIANCE = (
    "apply({op!r}, self, axis=axis if dim is None else dim, "
    "correction=int(unbiased) if correction is None else correction, keepdims=keepdim)"
)
SIGNATURES = {
    "unary": ("self", "apply({op!r}, self)"),
    "binary": ("self, other: Operand", "apply({op!r}, self, other)"),
    "reduction": (
        "self, dim: Axes = None, keepdim: bool = False, *, axis: Axes = None, keepdims: bool = False, "
        "dtype: DTypeLike | None = None",
        "apply({op!r}, self if dtype is None else self.to(dtype), axis=axis if dim is None else dim, "
        "keepdims=bool(keepdim or keepdims))",
    ),
    "variance": (SPREAD, VARIANCE),
    "deviation": (SPREAD, f"apply('sqrt', {VARIANCE})"),
    "normalised": ("self, dim: int = -1", "apply({op!r}, self, axis=dim)"),
    "running": ("self, dim: int = 0", "apply({op!r}, self, axis=dim)"),
}
"""For each family the parameters of its methods, and the expression that they return."""

REDUCED = "The axes go, or stay with size 1 if ``keepdim``."
CORRECTED = "``correction`` is 1, or 0 where ``unbiased`` is False."
OUT_OF_RANGE = "Raises InvalidRequest for an axis out of range."
TABLES = (
    ("unary", UNARY, "The shape stays."),
    ("binary", BINARY, "Shapes broadcast; RuntimeError if they do not."),
    ("binary", PRODUCTS, "Raises InvalidRequest if shapes do not fit."),
    ("reduction", REDUCTIONS, f"{REDUCED} Elements are converted to ``dtype`` first. {OUT_OF_RANGE}"),
    ("variance", VARIANCES, f"{CORRECTED} {REDUCED} {OUT_OF_RANGE}"),
    ("deviation", DEVIATIONS, f"{CORRECTED} {REDUCED} {OUT_OF_RANGE}"),
    ("normalised", NORMALISED, OUT_OF_RANGE),
    ("running", RUNNING, OUT_OF_RANGE),
)
"""Family, rows, and what their docstrings say of shapes and errors."""


def generate(out: Path) -> None:
    """Write the three modules below ``out``, the folder of the client. Raises KeyError for an attribute without a type."""
    registry = build_registry(BUILTIN)
    (out / "tensors").mkdir(parents=True, exist_ok=True)
    write(out / "tensors" / "uniform.py", methods_text(registry))
    write(out / "tensors" / "method_functions.py", functions_text(out))
    write(out / "builtin_ops.py", ops_text(registry))


def generated_from(source: str) -> str:
    """The note in the docstring of a generated module: what it is generated from, and how."""
    return f"Generated from {source} by ``make methods``; do not edit."


def write(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as ``ruff format`` lays it out."""
    command = [str(Path(sys.executable).with_name("ruff")), "format", f"--stdin-filename={CLIENT / path.name}", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=True)  # noqa: S603
    path.write_text(result.stdout, encoding="utf-8")


def methods_text(registry: Registry) -> str:
    """The module of the class `Uniform`, with a method for each row of the tables."""
    origin = generated_from("``method_table.py``")
    parts = [
        f'"""Tensor methods that share signatures: elementwise ops, products and reductions.\n\n{origin}\n"""',
        "from __future__ import annotations",
        "from typing import Self",
        "from gradproof.client.recording.apply import apply\n"
        "from gradproof.client.tensors.conversions import Conversions\n"
        "from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand",
        "class Uniform(Conversions):",
        '    """Methods that record an op. ``dim`` and ``axis`` mean the same, as ``keepdim`` and ``keepdims`` do."""',
        "    __slots__ = ()",
    ]
    for family, rows, note in TABLES:
        parts += [textwrap.indent(method_text(row, family, note, registry.ops[row.op]), "    ") for row in rows]
    return "\n\n".join(parts)


def method_text(row: Row, family: str, note: str, op: Op) -> str:
    """The source of a method."""
    parameters, result = SIGNATURES[family]
    doc = docstring(row.text, " ".join([note, *counterparts(row), *refusals(op)]))
    return f"def {row.name}({parameters}) -> Self:\n{textwrap.indent(doc, '    ')}\n    return {result.format(op=row.op)}"


def counterparts(row: Row) -> Iterator[str]:
    """The sentence that names the functions of PyTorch and of the Array API standard that a method follows."""
    pairs = (("torch.", row.torch), ("Array API ", row.array_api))
    names = [f"{where}{row.name if name == '=' else name}" for where, name in pairs if name != "-"]
    if names:
        yield f"Follows {' and '.join(names)}."


def refusals(op: Op) -> Iterator[str]:
    """The sentence that names the kinds of dtypes that the op refuses."""
    refused = [kind for kind, dtype in KINDS.items() if not takes(op, np.dtype(dtype))]
    if refused:
        yield f"Raises InvalidRequest for {' and '.join(refused)} elements."


def takes(op: Op, dtype: np.dtype) -> bool:
    """True if the op takes matrices of this dtype."""
    try:
        op.inference([Spec((2, 2), dtype)] * len(op.inputs), op.complete({}))
    except InferenceError:
        return False
    return True


def docstring(first: str, rest: str) -> str:
    """A docstring of a first sentence and a paragraph, which are written on a single line if both fit."""
    if len(first) + len(rest) < 109:
        return f'"""{first} {rest}"""'
    return f'"""{textwrap.fill(first, 112)}\n\n{textwrap.fill(rest, 115)}\n"""'


def listed(names: Iterable[str]) -> str:
    """The lines of ``__all__``, in the order of ruff: numbers within names by their values."""

    def key(name: str) -> list[int | str]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    return "\n".join(f"    {name!r}," for name in sorted(names, key=key))


def functions_text(out: Path) -> str:
    """The module of the functions that call the method of the same name of their first argument."""
    methods = dict(all_methods(out))
    source = "\n\n\n".join("\n\n\n".join(map(function_text, methods[name])) for name in sorted(FUNCTIONS))
    names = listed(FUNCTIONS)
    used = [name for name in ("Axes", "DTypeLike", "Operand", "Places", "Scalar") if re.search(rf"\b{name}\b", source)]
    return f'''"""Functions that call the method of the same name: ``exp(x)`` is ``x.exp()``.

{generated_from("the methods named in ``method_table.py``")}
"""
# ruff: noqa: A001, A002 - names of functions and arguments are those of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.ordering import ValuesAndIndices
from gradproof.client.tensors.signatures import {", ".join(used)}
from gradproof.client.tensors.tensor import Tensor

__all__ = [
{names}
]

TensorT = TypeVar("TensorT", bound=Tensor)


def _tensor(x: TensorT, function: str) -> TensorT:
    """``x``, which must be a tensor; TypeError otherwise."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{{function}}(): the first argument must be a Tensor, not {{type(x).__name__}}")
    return x


{source}
'''


def all_methods(out: Path) -> Iterator[tuple[str, list[ast.FunctionDef]]]:
    """The methods and properties of tensors by name, each with its overloads; aliases share definitions."""
    known: dict[str, list[ast.FunctionDef]] = {}
    for module, name in CLASSES.items():
        path = out / module if (out / module).exists() else CLIENT / module
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        body = next(c.body for c in statements if isinstance(c, ast.ClassDef) and c.name == name)
        for statement in body:
            if isinstance(statement, ast.FunctionDef):
                overloads = [d for d in known.get(statement.name, []) if is_overload(d)]
                known[statement.name] = [*overloads, statement]
            elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
                for target in statement.targets:
                    if isinstance(target, ast.Name) and statement.value.id in known:
                        known[target.id] = [renamed(d, target.id) for d in known[statement.value.id]]
    yield from known.items()


def is_overload(definition: ast.FunctionDef) -> bool:
    """True if the definition is decorated with ``overload``."""
    return "overload" in map(ast.unparse, definition.decorator_list)


def renamed(definition: ast.FunctionDef, name: str) -> ast.FunctionDef:
    """The definition under another name."""
    copy = ast.parse(ast.unparse(definition)).body[0]
    assert isinstance(copy, ast.FunctionDef)
    copy.name = name
    return copy


def function_text(definition: ast.FunctionDef) -> str:
    """The source of the function that calls a method, or reads a property."""
    name, arguments = definition.name, definition.args
    names = [a.arg for a in arguments.args[1:]]
    passed = [*names, *([f"*{arguments.vararg.arg}"] if arguments.vararg else [])]
    passed += [f"{a.arg}={a.arg}" for a in arguments.kwonlyargs]
    parameters = re.sub(r"^self\b", "x: TensorT", ast.unparse(arguments))
    parameters, returned = (
        re.sub(r"\bSelf\b", "TensorT", text) for text in (parameters, ast.unparse(definition.returns or ast.Constant(None)))
    )
    if is_overload(definition):
        return f"@overload\ndef {name}({parameters}) -> {returned}: ..."
    is_property = "property" in map(ast.unparse, definition.decorator_list)
    call = "" if is_property else f"({', '.join(passed)})"
    text = re.sub(r"\bself\b", "x", ast.get_docstring(definition) or "")
    doc = textwrap.indent(f'"""{text}', "    ")
    ending = '\n    """' if "\n" in doc else '"""'
    return f"def {name}({parameters}) -> {returned}:\n{doc}{ending}\n    return _tensor(x, {name!r}).{name}{call}"


def ops_text(registry: Registry) -> str:
    """The module of the built-in ops of the server."""
    ops = [registry.ops[name] for name in sorted(registry.ops)]
    names = listed(registry.ops)
    source = "\n\n\n".join(map(op_text, ops))
    return f'''"""The built-in ops of the server as functions, with its names and attributes.

{generated_from("the ops of ``gradproof.plugins``")}
"""
# ruff: noqa: A001, A002 - names of ops and arguments are those of the server

from __future__ import annotations

from collections.abc import Sequence

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import DTypeLike, Operand
from gradproof.client.tensors.tensor import Tensor

__all__ = [
{names}
]


{source}
'''


def op_text(op: Op) -> str:
    """The source of the function that records an op."""
    inputs = [f"*{op.inputs[0]}: Operand"] if op.variadic else [f"{name}: Operand" for name in op.inputs]
    if op.inputs and not op.variadic:
        inputs.append("/")
    attributes = [attribute_text(op, name, default) for name, default in op.attributes.items()]
    star = ["*"] if attributes and not op.variadic else []
    several = "sections" in op.attributes or op.outputs > 1
    passed = [*([f"*{op.inputs[0]}"] if op.variadic else op.inputs), *(f"{name}={name}" for name in op.attributes)]
    call = f"apply_as(Tensor, {op.name!r}, {', '.join(passed)})"
    result = f"tuple({call})" if several else f"{call}[0]"
    shown = f"Inputs: {', '.join(op.inputs) or 'none'}. Attributes: {', '.join(op.attributes) or 'none'}."
    doc = textwrap.indent(docstring(f"The op {op.name}: {op.doc}.", shown), "    ")
    kind = "tuple[Tensor, ...]" if several else "Tensor"
    return f"def {op.name}({', '.join([*inputs, *star, *attributes])}) -> {kind}:\n{doc}\n    return {result}"


def attribute_text(op: Op, name: str, default: object) -> str:
    """An attribute as a parameter, with its type and its default."""
    usual = SEVERAL_AXES if name == "axis" and default is None else ATTRIBUTES.get(name)
    kind = OP_ATTRIBUTES.get(f"{op.name}.{name}", usual)
    if kind is None:
        raise KeyError(f"attribute {name!r} of the op {op.name!r} has no type in ATTRIBUTES")
    return f"{name}: {kind}" if default is REQUIRED else f"{name}: {kind} = {default!r}"


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else CLIENT)
