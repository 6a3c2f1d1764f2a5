"""Special functions by the names of `scipy.special`, which looks for them in a module ``special`` of a namespace."""

from __future__ import annotations

from collections.abc import Callable

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.protocols import SPECIAL
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor


def _function(name: str, op: str) -> Callable[..., Tensor]:
    def function(*inputs: Operand) -> Tensor:
        return apply_as(Tensor, op, *inputs)[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The op {op}, elementwise. Shapes broadcast. Follows scipy.special.{name}."
    return function


globals().update({name: _function(name, op) for name, op in SPECIAL.items()})

__all__ = sorted(SPECIAL)
