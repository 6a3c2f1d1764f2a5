"""The ops of the server as functions: ``ops.sin(x)``; those of plugins as ``ops.call("namespace.name", x)``.

The built-in ops are written out. Other ops that the server has are attributes at run time, ``ops.namespace.name(x)``, which
type checkers and editors do not know; to them there is `call`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gradproof.client import builtin_ops
from gradproof.client.builtin_ops import *  # noqa: F403
from gradproof.client.events import REQUIRED
from gradproof.client.recording.apply import apply_as
from gradproof.client.recording.runtime import current
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor


def call(name: str, *inputs: Operand, **attributes: object) -> Tensor:
    """The first output of the op ``name`` of the server, a ``namespace.name`` for ops of plugins.

    Raises AttributeError if the server has no such op, RuntimeError if shapes, dtypes or attributes do not fit.
    """
    return call_multiple(name, *inputs, **attributes)[0]


def call_multiple(name: str, *inputs: Operand, **attributes: object) -> tuple[Tensor, ...]:
    """The outputs of the op ``name``, all of them; otherwise as `call`."""
    return tuple(apply_as(Tensor, name, *inputs, **attributes))


class Namespace:
    """The ops of a namespace, as attributes."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Tensor | tuple[Tensor, ...]]:
            if name.startswith("__"):
                raise AttributeError(name)
            return _function(f"{self._prefix}.{name}")

    def __dir__(self) -> list[str]:
        return [name.partition(".")[2] for name in current().ops() if name.startswith(f"{self._prefix}.")]

    def __repr__(self) -> str:
        return f"<ops of {self._prefix}: {', '.join(self.__dir__())}>"


def _function(name: str) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """The op as a function with its name and text. It returns a tuple if the op has several outputs."""
    info = current().op(name)

    def function(*inputs: Operand, **attributes: object) -> Tensor | tuple[Tensor, ...]:
        results = call_multiple(name, *inputs, **attributes)
        return results if len(results) > 1 else results[0]

    attributes = ", ".join(n if default is REQUIRED else f"{n}={default!r}" for n, default in info.attributes.items())
    function.__name__ = name.rpartition(".")[2]
    function.__doc__ = f"{info.doc}\n\nInputs: {', '.join(info.inputs)}. Attributes: {attributes or 'none'}."
    return function


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = current().ops()
        if name in known:
            return _function(name)
        if [op for op in known if op.startswith(f"{name}.")]:  # `any` is an op here
            return Namespace(name)
        raise AttributeError(f"the server has no op and no namespace {name!r}")


def __dir__() -> list[str]:
    return sorted({"call", "call_multiple", *builtin_ops.__all__, *(name.partition(".")[0] for name in current().ops())})
