"""Functions of tensors, by the names that PyTorch's users know. All ops are in `gradproof.client.ops`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.methods import BINARY, REDUCED, UNARY
from gradproof.client.tensors.tensor import Tensor


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joined along an axis."""
    return apply_as(Tensor, "concat", *tensors, axis=dim)[0]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joined along a new axis."""
    return apply_as(Tensor, "stack", *tensors, axis=dim)[0]


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """``a`` where ``condition`` is true, ``b`` elsewhere. The gradient of the branch not taken is 0 times its derivative:
    nan where that is infinite, as in PyTorch."""
    return apply_as(Tensor, "where", condition, a, b)[0]


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of two, element by element; a tie shares the gradient evenly."""
    return apply_as(Tensor, "maximum", a, b)[0]


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of two, element by element; a tie shares the gradient evenly."""
    return apply_as(Tensor, "minimum", a, b)[0]


NAMES = frozenset(
    {
        *UNARY, *BINARY, *REDUCED, "add", "all", "any", "argmax", "argmin", "argsort", "broadcast_to", "chunk", "clamp",
        "clip", "clone", "conj", "cumprod", "cumsum", "det", "diagonal", "div", "divide", "flatten", "flip", "frac",
        "gather", "imag", "index_select", "inverse", "is_complex", "is_floating_point", "isfinite", "isinf", "isnan",
        "log_softmax", "logical_xor", "masked_select", "max", "min", "narrow", "neg", "norm", "numel", "outer",
        "permute", "real", "reshape", "select", "softmax", "sort", "split", "squeeze", "std", "sub", "t", "take",
        "topk", "trace", "transpose", "tril", "triu", "unbind", "unsqueeze", "var",
    }
)  # fmt: skip
"""Methods that are functions too: ``exp(x)`` is ``x.exp()``."""


def of_method(name: str) -> Callable[..., Any]:
    """The function that is the method ``name`` of its first argument. Raises AttributeError if there is none."""
    if name not in NAMES:
        raise AttributeError(f"module 'gradproof.client' has no attribute {name!r}")
    found = getattr(Tensor, name)

    def function(x: Tensor, *arguments: Any, **options: Any) -> Any:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): the first argument must be a Tensor, not {type(x).__name__}")
        method = getattr(x, name)
        return method(*arguments, **options) if callable(method) else method

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As `Tensor.{name}`: {found.__doc__ or ''}"
    return function
