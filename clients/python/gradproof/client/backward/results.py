"""What hooks may return, with PyTorch's texts for what they may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording.runtime import Spec
from gradproof.client.tensors.tensor import Tensor


def checked(result: Any, given: Tensor | Spec, label: str) -> Tensor | None:
    """What a hook returned. Raises RuntimeError or TypeError unless it is None, or a tensor of the same shape and dtype."""
    if result is None:
        return None
    if not isinstance(result, Tensor):
        name = "numpy.ndarray" if isinstance(result, np.ndarray) else type(result).__name__
        raise TypeError(f"expected Variable, but hook returned '{name}'")
    if result.dtype != given.dtype:
        was, got = (f"torch.{dtypes.type_name(x.dtype)}Tensor" for x in (given, result))
        raise RuntimeError(f"hook '{label}' has changed the type of value (was {was} got {got})")
    if result.shape != given.shape:
        raise RuntimeError(f"hook '{label}' has changed the size of value")
    return result


def checked_all(result: Any, given: Sequence[Tensor | None], label: str) -> tuple[Tensor | None, ...] | None:
    """What a hook of a node returned. Raises RuntimeError or TypeError unless it is None, or a tuple with a tensor of the
    same shape and dtype, or None, for each that was given."""
    if result is None:
        return None
    if not isinstance(result, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(result).__name__}'")
    if len(result) != len(given):
        raise RuntimeError(
            f"hook '{label}' has returned an incorrect number of values (got {len(result)}, but expected {len(given)})"
        )
    return tuple(_one(one, before, label) for one, before in zip(result, given, strict=True))


def _one(result: Any, given: Tensor | None, label: str) -> Tensor | None:
    if given is not None:
        return checked(result, given, label)
    if result is not None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    return None
