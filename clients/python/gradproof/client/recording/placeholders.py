"""Placeholders: tensors of which only the shape and the dtype are known, while a function that is vectorized runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, NoReturn, TypeAlias

import numpy as np

Randomness: TypeAlias = Literal["error", "same", "different"]

NO_ITEM: Final = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, "
    "please try to rewrite what you're doing with other operations."
)
NO_CONTROL_FLOW: Final = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We don't support that yet; "
    "torch.where and other operations choose between values."
)
NO_MASK: Final = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch over indexing with a "
    "boolean mask."
)
NO_VALUE: Final = (
    "vmap: the values of a Tensor are needed here, and a function that is vectorized runs once for all slices, on Tensors "
    "without values; please try to rewrite what you're doing with other operations."
)
ESCAPED: Final = (
    "vmap: a Tensor of a function that was vectorized is used after the function has returned; return it from the function."
)
NO_RANDOM: Final = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness "
    "flags on vmap or perform the randomness operation out of vmap"
)


def no_shape(op: str) -> str:
    """The text about an op whose result has another shape for each slice."""
    return f"vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap over aten::{op}."


class Level:
    """A function that is vectorized, while it runs.

    Args:
        size: the number of slices.
        randomness: whether random numbers are an error, the same for all slices, or different.

    Attributes:
        arguments: the batched tensors, with the batch axis in front, by the ids of their placeholders.
        active: whether the function runs now.
    """

    def __init__(self, size: int, randomness: Randomness) -> None:
        self.size, self.randomness = size, randomness
        self.arguments: dict[int, Any] = {}
        self._placeholders: list[Placeholder] = []
        self.active = False

    def placeholder(self, batched: Any) -> Placeholder:
        """A placeholder for a slice of ``batched``."""
        placeholder = Placeholder(self)
        self._placeholders.append(placeholder)  # so that its id stays its own
        self.arguments[id(placeholder)] = batched
        return placeholder


class Placeholder:
    """The source of a value that is not there."""

    def __init__(self, level: Level) -> None:
        self._level = level

    def value(self) -> Any:
        """Raises RuntimeError."""
        self.refuse(NO_VALUE)

    def refuse(self, text: str) -> NoReturn:
        """Raises RuntimeError with ``text``; a text about a tensor that has left its function goes first."""
        raise RuntimeError(text if self._level.active else f"{ESCAPED} {text}")


_levels: ContextVar[tuple[Level, ...]] = ContextVar("gradproof_vmap_levels", default=())


@contextmanager
def running(level: Level) -> Iterator[None]:
    """The function of ``level`` runs inside."""
    token = _levels.set((*_levels.get(), level))
    level.active = True
    try:
        yield
    finally:
        level.active = False
        _levels.reset(token)


def is_vectorizing() -> bool:
    """True while a function that is vectorized runs."""
    return bool(_levels.get())


def drawn(
    draw: Callable[[tuple[int, ...]], np.ndarray[Any, Any]], leaf: Callable[[Any], Any], alias: Callable[..., Any]
) -> Any:
    """Random numbers as the functions that are vectorized now want them.

    Args:
        draw: random numbers with axes of these sizes in front of their own.
        leaf: makes a tensor of an array.
        alias: makes a tensor of a slice: from a batched tensor and its placeholder.

    Raises RuntimeError if random numbers are an error.
    """
    levels = _levels.get()
    if any(level.randomness == "error" for level in levels):
        raise RuntimeError(NO_RANDOM)
    varying = [level for level in levels if level.randomness == "different"]
    result = leaf(draw(tuple(level.size for level in varying)))
    for level in varying:
        result = alias(result, level.placeholder(result))
    return result
