"""The generator of random numbers, which all constructors, layers and initialisations draw from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.client.events import Array
from gradproof.client.recording.placeholders import Placeholder, drawn, is_vectorizing
from gradproof.client.recording.reads import note_draw
from gradproof.client.recording.spec import Spec
from gradproof.client.tensors.signatures import DTypeLike
from gradproof.client.tensors.tensor import Tensor

_random = np.random.default_rng()


def generator() -> np.random.Generator:
    """The generator of this process."""
    note_draw()
    return _random


def random_state() -> Any:
    """The state of the random numbers, to be set again."""
    return _random.bit_generator.state


def set_random_state(state: Any) -> None:
    """Set the state of the random numbers, as `random_state` gave it."""
    _random.bit_generator.state = state


def manual_seed(seed: int) -> None:
    """Seed all random numbers: of `rand` and its relatives, of `nn.init` and of dropout. They are NumPy's, not PyTorch's.

    Follows torch.manual_seed.
    """
    global _random
    _random = np.random.default_rng(seed)


def random_tensor(draw: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...], dtype: DTypeLike) -> Tensor:
    """Random numbers that ``draw`` gives of a shape; for each slice its own in a function that `vmap` runs with
    ``randomness="different"``."""
    if not is_vectorizing():
        return Tensor(np.array(draw(shape), dtype))

    def batched(sizes: tuple[int, ...]) -> Array:
        return np.asarray(draw((*sizes, *shape))).astype(dtype)

    def one(batch: Tensor, placeholder: Placeholder) -> Tensor:
        return Tensor.from_alias(Spec(batch.shape[1:], batch.dtype), placeholder)

    tensor: Tensor = drawn(batched, Tensor, one)
    return tensor
