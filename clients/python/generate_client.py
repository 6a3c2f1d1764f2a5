"""Generate methods, functions and ops of the Python client: ``python clients/python/generate_client.py [OUT]``.

The methods come from `client_names`, the functions from these tables and from the source of the methods, the ops from the
built-in plugins. Below OUT (default: in place) this writes ``tensors/uniform.py``, ``builtin_ops.py`` and the modules of
`client_names.modules`.
"""

import sys
from pathlib import Path

from client_names.families import FAMILIES
from client_names.modules import MODULES
from client_source.functions import functions_text
from client_source.methods import all_methods, methods_text
from client_source.signatures import signatures
from client_source.text import CLIENT, docstring, generated_from, indented, listed, write
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN

ATTRIBUTES = {
    "axis": "int", "keepdims": "bool", "dtype": "DTypeLike", "shape": "Sequence[int]", "axes": "Sequence[int] | None",
    "start": "Sequence[int]", "stop": "Sequence[int | None]", "step": "Sequence[int] | None", "k": "int",
    "widths": "Sequence[Sequence[int]]", "sections": "int | Sequence[int]", "descending": "bool", "correction": "int",
    "order": "int", "alpha": "float", "approximate": "str", "beta": "float", "lambd": "float", "lower": "float",
    "max": "float", "min": "float", "negative_slope": "float", "threshold": "float", "upper": "float", "value": "float",
    "low": "float | None", "high": "float | None", "reduction": "str", "margin": "float", "eps": "float", "p": "float",
    "delta": "float", "full": "bool", "swap": "bool", "log_input": "bool", "log_target": "bool", "ignore_index": "int",
    "label_smoothing": "float", "n": "int", "d": "int",
}  # fmt: skip
"""Types of the attributes of ops, by name."""

SEVERAL_AXES = "int | Sequence[int] | None"
"""Type of an attribute ``axis`` whose default is None, which stands for all axes."""

OP_ATTRIBUTES = {
    **{f"{op}.axis": "int | None" for op in ("argmax", "argmin")},
    "logit.eps": "float | None",
    "softplus.threshold": "float | None",
    "expand_dims.axis": "int | Sequence[int]",
    "unslice.step": "Sequence[int]",
}
"""Types of attributes that differ from `ATTRIBUTES` and `SEVERAL_AXES`, by op and name."""


def generate(out: Path) -> None:
    """Write the modules below ``out``, the folder of the client.

    Raises KeyError for an attribute without a type, and for an op or a method that is not there; ValueError for a row whose
    parameters do not fit its op.
    """
    registry = build_registry(BUILTIN)
    rows = list(signatures(FAMILIES, registry))
    write(out / "tensors" / "uniform.py", methods_text(rows))
    methods = all_methods(out)
    for module in MODULES:
        write(out / module.path, functions_text(module, rows, methods))
    write(out / "builtin_ops.py", ops_text(registry))


def ops_text(registry: Registry) -> str:
    """The module of the built-in ops of the server."""
    ops = [registry.ops[name] for name in sorted(registry.ops)]
    names = listed(registry.ops)
    source = "\n\n\n".join(map(op_text, ops))
    return f'''"""The built-in ops of the server as functions, with its names and attributes.

{generated_from("the ops of ``gradproof.plugins``")}
"""
# ruff: noqa: A001, A002 - names and arguments of ops are those of the server

from __future__ import annotations

from collections.abc import Sequence

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import DTypeLike, Operand{", given" if "given(" in source else ""}
from gradproof.client.tensors.tensor import Tensor

__all__ = [
{names}
]


{source}
'''


def op_text(op: Op) -> str:
    """The source of the function that records an op."""
    needed, optional = op.inputs[: len(op.inputs) - op.optional], op.inputs[len(op.inputs) - op.optional :]
    inputs = [f"*{op.inputs[0]}: Operand"] if op.variadic else [f"{name}: Operand" for name in needed]
    inputs += [f"{name}: Operand | None = None" for name in optional]
    if not op.variadic:
        inputs.append("/")
    attributes = [attribute_text(op, name, default) for name, default in op.attributes.items()]
    star = ["*"] if attributes and not op.variadic else []
    several = "sections" in op.attributes or op.outputs > 1 or returns_several(op)
    passed = [f"*{op.inputs[0]}"] if op.variadic else [*needed, *([f"*given({', '.join(optional)})"] if optional else [])]
    passed += [f"{name}={name}" for name in op.attributes]
    call = f"apply_as(Tensor, {op.name!r}, {', '.join(passed)})"
    result = f"tuple({call})" if several else f"{call}[0]"
    shown = f"Inputs: {', '.join(op.inputs)}. Attributes: {', '.join(op.attributes) or 'none'}."
    doc = indented(docstring(f"The op {op.name}: {op.doc}.", shown))
    kind = "tuple[Tensor, ...]" if several else "Tensor"
    return f"def {op.name}({', '.join([*inputs, *star, *attributes])}) -> {kind}:\n{doc}\n    return {result}"


def returns_several(op: Op) -> bool:
    """True for a composite of several outputs."""
    first = op.declared_cases()[0] if op.composite else None
    expansion = op.expand(first.specs(), first.attributes) if first else None
    return expansion is not None and len(expansion.outputs) > 1


def attribute_text(op: Op, name: str, default: object) -> str:
    """An attribute as a parameter, with its type and its default."""
    usual = SEVERAL_AXES if name == "axis" and default is None else ATTRIBUTES.get(name)
    kind = OP_ATTRIBUTES.get(f"{op.name}.{name}", usual)
    if kind is None and isinstance(default, (bool, int, float, str)):
        kind = type(default).__name__
    if kind is None:
        raise KeyError(f"attribute {name!r} of the op {op.name!r} has no type in ATTRIBUTES")
    return f"{name}: {kind}" if default is REQUIRED else f"{name}: {kind} = {default!r}"


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else CLIENT)
