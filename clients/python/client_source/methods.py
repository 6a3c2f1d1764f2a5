"""Source of the methods of tensors, and of the functions that call them."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from client_names.row import Row
from client_source.signatures import Signature
from client_source.text import CLIENT, IMPORTS, docstring, generated_from, indented

CLASSES = {
    "recording/recorded.py": "Recorded", "tensors/conversions.py": "Conversions", "tensors/uniform.py": "Uniform",
    "tensors/elementwise.py": "Elementwise", "tensors/reductions.py": "Reductions", "tensors/arithmetic.py": "Arithmetic",
    "tensors/shapes.py": "Shapes", "tensors/products.py": "Products", "tensors/selecting.py": "Selecting",
    "tensors/ordering.py": "Ordering", "tensors/tensor.py": "Tensor",
}  # fmt: skip
"""The classes that tensors are made of, in the order of inheritance, and their modules."""

Methods = dict[str, list[ast.FunctionDef]]
"""Methods and properties by name, each with its overloads."""


def methods_text(signatures: Sequence[Signature]) -> str:
    """The module of the class `Uniform`, with a method for each row that has a name of one."""
    source = "\n\n".join(
        indented(method_text(signature, name)) for signature in signatures for name in method_names(signature.row)
    )
    return f'''"""Tensor methods that follow from a row of a table: elementwise ops, products, reductions and others.

{generated_from("``client_names``")}
"""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

{IMPORTS}


class Uniform(Conversions):
    """Methods that record an op. ``dim`` and ``axis`` mean the same, as ``keepdim`` and ``keepdims`` do."""

    __slots__ = ()

{source}
'''


def method_names(row: Row) -> list[str]:
    """The methods of a row."""
    return [name.removeprefix("Tensor.") for name in row.names.split() if is_method(name)]


def is_method(name: str) -> bool:
    """True if a name of a row is a method of tensors."""
    return "." not in name.removeprefix("Tensor.")


def method_text(signature: Signature, name: str) -> str:
    """The source of a method."""
    parameters = ", ".join(filter(None, ["self", signature.parameters]))
    doc = signature.docstring(counterparts(signature.row, name))
    kind = "tuple[Self, ...]" if signature.several else "Self"
    result = f"tuple({signature.call})" if signature.several else signature.call
    return f"def {name}({parameters}) -> {kind}:\n{indented(doc)}\n    return {result.replace('{x}', 'self')}"


def counterparts(row: Row, name: str) -> str:
    """The sentence that names the functions of PyTorch and of the Array API standard that a method or function follows."""
    followed = row.follows or name.removeprefix("torch.")
    names = [followed if re.match(r"(numpy|scipy)\.", followed) else f"torch.{followed}"]
    if row.array_api != "-" and is_method(name):
        first = row.names.split()[0].rpartition(".")[2]
        names.append(f"Array API {first if row.array_api == '=' else row.array_api}")
    return f"Follows {' and '.join(names)}."


def all_methods(out: Path) -> Methods:
    """The methods and properties of tensors by name, each with its overloads; aliases share definitions."""
    known: Methods = {}
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
                        known[target.id] = known[statement.value.id]
    return known


def is_overload(definition: ast.FunctionDef) -> bool:
    """True if the definition is decorated with ``overload``."""
    return "overload" in map(ast.unparse, definition.decorator_list)


def method_function_text(definition: ast.FunctionDef, method: str, name: str, note: str = "") -> str:
    """The source of the function ``name`` that calls a method, or reads a property.

    Args:
        definition: the method, or an overload of it.
        method: the name of the method.
        name: the name of the function.
        note: the sentence that stands in place of the one that names the counterparts of the method.
    """
    arguments = definition.args
    names = [a.arg for a in arguments.args[1:]]
    passed = [*names, *([f"*{arguments.vararg.arg}"] if arguments.vararg else [])]
    passed += [f"{a.arg}={a.arg}" for a in arguments.kwonlyargs]
    parameters = re.sub(r"^self\b", "input: TensorT", ast.unparse(arguments))
    parameters, returned = (
        re.sub(r"\bSelf\b", "TensorT", text) for text in (parameters, ast.unparse(definition.returns or ast.Constant(None)))
    )
    if is_overload(definition):
        return f"@overload\ndef {name}({parameters}) -> {returned}: ..."
    is_property = "property" in map(ast.unparse, definition.decorator_list)
    call = "" if is_property else f"({', '.join(passed)})"
    text = re.sub(r"\bself\b", "input", ast.get_docstring(definition) or "")
    if note:
        text = re.sub(r"Follows\s.*?\.(?=\s|$)", note, text, count=1, flags=re.DOTALL)
    first, _, rest = text.partition("\n\n" if "\n\n" in text else ". ")
    doc = indented(docstring(*((first, rest) if "\n\n" in text else (f"{first}." if rest else first, rest))))
    return f"def {name}({parameters}) -> {returned}:\n{doc}\n    return first(input, {name!r}).{method}{call}"
