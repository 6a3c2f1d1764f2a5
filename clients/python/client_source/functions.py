"""Source of functions: those that call a method, and those that record an op themselves."""

import ast
import re
from collections.abc import Iterator, Sequence

from client_names.row import Module
from client_source.methods import Methods, counterparts, method_function_text
from client_source.signatures import Signature, arguments_of
from client_source.text import IMPORTS, generated_from, indented, listed


def functions_text(module: Module, signatures: Sequence[Signature], methods: Methods) -> str:
    """The source of a module of functions. Raises KeyError for a method that is not there."""
    functions = dict(all_functions(module, signatures, methods))
    source = "\n\n\n".join(functions[name] for name in sorted(functions))
    where = {
        at: [n for n in sorted(module.written) if module.written[n] == at] for at in sorted({*module.written.values()})
    }
    written = "\n".join(f"from {at} import {', '.join(names)}" for at, names in where.items())
    return f'''"""{module.doc}

{generated_from("``client_names``")}
"""
# ruff: noqa: A001, A002, PLR0913 - functions and their arguments are those of PyTorch

from __future__ import annotations

{IMPORTS}
{written}

__all__ = [
{listed([*functions, *module.written])}
]

TensorT = TypeVar("TensorT", bound=Tensor)


{source}
'''


def all_functions(module: Module, signatures: Sequence[Signature], methods: Methods) -> Iterator[tuple[str, str]]:
    """The functions of a module by name."""
    plain = [name for signature in signatures for name in signature.names if "." not in name]
    following = [name for name in methods if name in plain or follows_itself(name, methods)]
    own = {} if module.namespace else {name: name for name in following if name not in module.written}
    for name, method in (own | dict(module.aliases)).items():
        note = f"Follows torch.{module.namespace}.{name}." if module.namespace else ""
        yield name, "\n\n\n".join(method_function_text(d, method, name, note) for d in methods[method])
    for signature in signatures:
        for full in signature.names:
            namespace, _, name = full.rpartition(".")
            if namespace == (module.namespace or "torch") or (namespace == module.namespace and signature.symmetric):
                yield name, function_text(signature, full)


def follows_itself(name: str, methods: Methods) -> bool:
    """True if the docstring of a method says that it follows the function of PyTorch that has its name."""
    return re.search(rf"Follows\s+torch\.{name}\b", ast.get_docstring(methods[name][-1]) or "") is not None


def function_text(signature: Signature, full: str) -> str:
    """The source of a function that records an op; ``full`` is its name with that of its namespace."""
    name = full.rpartition(".")[2]
    row = signature.row
    doc = re.sub(r"\bself\b", row.first, signature.docstring(counterparts(row, full)))
    if signature.symmetric:
        (other,) = [argument.arg for argument in arguments_of(signature.parameters).args]
        return (
            f"@overload\ndef {name}(input: TensorT, {other}: Operand) -> TensorT: ...\n"
            f"@overload\ndef {name}(input: Operand, {other}: Operand) -> Tensor: ...\n"
            f"def {name}(input: Operand, {other}: Operand) -> Tensor:\n{indented(doc)}\n"
            f"    return apply_as(Tensor, {row.op!r}, input, {other})[0]"
        )
    parameters = ", ".join(filter(None, [f"{row.first}: TensorT", signature.parameters]))
    kind = "tuple[TensorT, ...]" if signature.several else "TensorT"
    call = signature.call.replace("{x}", f"first({row.first}, {name!r})", 1).replace("{x}", row.first)
    result = f"tuple({call})" if signature.several else call
    return f"def {name}({parameters}) -> {kind}:\n{indented(doc)}\n    return {result}"
