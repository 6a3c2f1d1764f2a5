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
from client_source.signatures import returns_several, signatures
from client_source.text import CLIENT, docstring, generated_from, indented, listed, write
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN

ATTRIBUTES = {
    "axis": "int", "keepdims": "bool", "dtype": "DTypeLike", "shape": "Sequence[int]", "axes": "Sequence[int] | None",
    "start": "Sequence[int]", "stop": "Sequence[int | None]", "step": "Sequence[int] | None", "k": "int",
    "axis1": "int", "axis2": "int", "source": "int | Sequence[int]", "destination": "int | Sequence[int]",
    "start_axis": "int", "end_axis": "int", "shift": "int | Sequence[int]", "repetitions": "int | Sequence[int]",
    "repeats": "int | Sequence[int]", "indexing": "str", "upscale_factor": "int", "downscale_factor": "int",
    "groups": "int",
    "indices_or_sections": "int | Sequence[int]", "mode": "str", "offset": "int", "size": "int",
    "length": "int", "window_shape": "int | Sequence[int]", "count": "int", "num_classes": "int", "index": "int",
    "accumulate": "bool", "padding_idx": "int | None", "key": "Sequence[Any] | None",
    "widths": "Sequence[Sequence[int]]", "sections": "int | Sequence[int]",
    "sizes": "Sequence[int]", "descending": "bool", "correction": "float",
    "order": "int", "alpha": "float", "approximate": "str", "beta": "float", "lambd": "float", "lower": "float",
    "max": "float", "min": "float", "negative_slope": "float", "threshold": "float", "upper": "float", "value": "float",
    "decimals": "int", "nan": "float", "posinf": "float | None", "neginf": "float | None", "rtol": "float", "atol": "float",
    "equal_nan": "bool", "num": "int", "endpoint": "bool", "n_rows": "int", "n_cols": "int | None",
    "ord": "float", "n": "int", "q": "float | Sequence[float]", "method": "str", "right": "bool",
    "largest": "bool", "rank": "int", "dx": "float", "initial": "float | None", "include_initial": "bool",
    "low": "float | None", "high": "float | None", "reduction": "str", "margin": "float", "eps": "float", "p": "float",
    "delta": "float", "full": "bool", "swap": "bool", "log_input": "bool", "log_target": "bool", "ignore_index": "int",
    "label_smoothing": "float", "d": "int", "results": "int",
    "subscripts": "str",
}  # fmt: skip
"""Types of the attributes of ops, by name."""

SEVERAL_AXES = "int | Sequence[int] | None"
"""Type of an attribute ``axis`` whose default is None, which stands for all axes."""

OP_ATTRIBUTES = {
    **{f"{op}.axis": "int | None" for op in ("argmax", "argmin", "repeat", "compress", "last_occurrence")},
    **{f"{op}.step": "int" for op in ("unfold", "overlap_add")},
    "logit.eps": "float | None",
    "softplus.threshold": "float | None",
    "expand_dims.axis": "int | Sequence[int]",
    "unslice.step": "Sequence[int]",
    **{f"arange.{name}": "float" for name in ("start", "step")},
    "arange.stop": "float | None",
    **{f"linspace.{name}": "float" for name in ("start", "stop")},
    **{f"{op}.dtype": "DTypeLike | None" for op in ("arange", "linspace", "eye", "zeros_like", "ones_like", "full_like")},
    "matrix_norm.ord": "float | str",
    "norm.ord": "float | str | None",
    "matrix_norm.axis": "Sequence[int]",
    **{f"{op}.axis": "int | None" for op in ("cumulative_sum", "cumulative_prod")},
    **{
        f"{op}.dtype": "DTypeLike | None"
        for op in ("sum", "mean", "prod", "cumsum", "cumprod", "cumulative_sum", "cumulative_prod", "vector_norm", "trace")
    },
}
"""Types of attributes that differ from `ATTRIBUTES` and `SEVERAL_AXES`, by op and name."""


NEUTRAL = {"clip": "limits"}
"""The functions that give the inputs of an op of which any optional input may be left out."""


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
from typing import Any

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import DTypeLike, Operand, given, limits
from gradproof.client.tensors.tensor import Tensor

__all__ = [
{names}
]


{source}
'''


def op_text(op: Op) -> str:
    """The source of the function that records an op."""
    single = op.inputs[: len(op.inputs) - op.optional - op.variadic]
    optional = op.inputs[len(op.inputs) - op.optional :]
    repeated = op.inputs[-1:] if op.variadic else ()
    inputs = [*(f"{name}: Operand" for name in single), *(f"{name}: Operand | None = None" for name in optional)]
    inputs += [*["/"] * bool(inputs), *(f"*{name}: Operand" for name in repeated)]
    attributes = [attribute_text(op, name, default) for name, default in op.attributes.items()]
    star = ["*"] if attributes and not op.variadic else []
    several = returns_several(op)
    optional_passed = [f"*given({', '.join(optional)})"] if optional else []
    passed = [*single, *optional_passed, *(f"*{name}" for name in repeated)]
    if op.name in NEUTRAL:
        passed = [f"*{NEUTRAL[op.name]}({', '.join([*single, *optional])})"]
    passed += [f"{name}={name}" for name in op.attributes]
    call = f"apply_as(Tensor, {op.name!r}, {', '.join(passed)})"
    result = f"tuple({call})" if several else f"{call}[0]"
    shown = f"Inputs: {', '.join(op.inputs) or 'none'}. Attributes: {', '.join(op.attributes) or 'none'}."
    doc = indented(docstring(f"The op {op.name}: {op.doc}.", shown))
    kind = "tuple[Tensor, ...]" if several else "Tensor"
    return f"def {op.name}({', '.join([*inputs, *star, *attributes])}) -> {kind}:\n{doc}\n    return {result}"


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
