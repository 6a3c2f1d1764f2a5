"""Rows, each an op under the names that users of PyTorch know; their families, and modules of functions."""

from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """An op under its names.

    Attributes:
        names: the names in PyTorch, separated by spaces: ``exp`` is a method of tensors and a function, ``Tensor.sqrt`` a
            method only, ``torch.hstack`` a function only, ``special.expit`` a function of a namespace.
        op: the op of the server.
        text: the first sentence of the docstring.
        array_api: the name in the Array API standard, ``=`` for the first of ``names``, ``-`` for none.
        parameters: the parameters behind the first tensor, as Python writes them; empty for those of the family.
        call: the expression of the result, with ``{x}`` for the first tensor, where it does not follow from the parameters:
            those that are tensors are inputs of the op, all others its attributes, ``dim`` its axis.
        follows: the name that the docstring says it follows, where it is not its own in PyTorch; with the library if that
            is not PyTorch, as ``numpy.cbrt``.
        first: the name of the first parameter of the functions.
    """

    names: str
    op: str
    text: str
    array_api: str = "-"
    parameters: str = ""
    call: str = ""
    follows: str = ""
    first: str = "input"


class Family(NamedTuple):
    """Rows that share a signature.

    Attributes:
        rows: the rows.
        note: what their docstrings say of shapes and errors.
        parameters: the parameters behind the first tensor.
        call: the expression of the result, with ``{op}`` for the op and ``{x}`` for the first tensor; empty: from the
            parameters.
        symmetric: the first argument of the functions may be a number or an array, if the second is a tensor.
    """

    rows: tuple[Row, ...]
    note: str
    parameters: str = ""
    call: str = ""
    symmetric: bool = False


class Module(NamedTuple):
    """A module of functions.

    Attributes:
        namespace: the name of PyTorch's module behind ``torch.``; empty for that of PyTorch itself.
        path: the file, below the folder of the client.
        doc: the first sentence of the docstring.
        aliases: the method that a function calls, for those that neither a row nor the text of the method says.
        written: functions that are written by hand: the module of each.
    """

    namespace: str
    path: str
    doc: str
    aliases: Mapping[str, str]
    written: Mapping[str, str]
