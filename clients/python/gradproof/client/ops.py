"""Every op of the server as a function: ``ops.sin(x)``, and ``ops.namespace.name(x)`` for those that plugins bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradproof.client.events import REQUIRED
from gradproof.client.recording.apply import apply_as
from gradproof.client.recording.runtime import current
from gradproof.client.tensors.tensor import Tensor


class Namespace:
    """The ops of one namespace."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _function(f"{self._prefix}.{name}")

    def __dir__(self) -> list[str]:
        return [one.partition(".")[2] for one in current().ops() if one.startswith(f"{self._prefix}.")]

    def __repr__(self) -> str:
        return f"<ops of {self._prefix}: {', '.join(self.__dir__())}>"


def _function(name: str) -> Callable[..., Any]:
    info = current().op(name)

    def function(*inputs: Any, **attributes: Any) -> Any:
        results = tuple(apply_as(Tensor, name, *inputs, **attributes))
        return results if "sections" in attributes else results[0]

    given = ", ".join(n if default is REQUIRED else f"{n}={default!r}" for n, default in info.attributes.items())
    function.__name__ = name.rpartition(".")[2]
    function.__doc__ = f"{info.doc}\n\nInputs: {', '.join(info.inputs)}. Attributes: {given or 'none'}."
    return function


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    known = current().ops()
    if name in known:
        return _function(name)
    if any(one.startswith(f"{name}.") for one in known):
        return Namespace(name)
    raise AttributeError(f"the server has no op and no namespace {name!r}")


def __dir__() -> list[str]:
    return sorted({one.partition(".")[0] for one in current().ops()})
