"""Checks of what hooks return, with PyTorch's texts for what they may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec


def checked_result(result: object, expected: Recorded | Spec, label: str) -> Recorded | None:
    """The result of a hook on a gradient.

    Raises RuntimeError or TypeError unless it is None, or a tensor of the expected shape and dtype.
    """
    if result is None:
        return None
    if not isinstance(result, Recorded):
        name = "numpy.ndarray" if isinstance(result, np.ndarray) else type(result).__name__
        raise TypeError(f"expected Variable, but hook returned '{name}'")
    if result.dtype != expected.dtype:
        was, got = (f"torch.{dtypes.type_name(x.dtype)}Tensor" for x in (expected, result))
        raise RuntimeError(f"hook '{label}' has changed the type of value (was {was} got {got})")
    if result.shape != expected.shape:
        raise RuntimeError(f"hook '{label}' has changed the size of value")
    return result


def checked_results(results: Any, gradients: Sequence[Recorded | None], label: str) -> tuple[Recorded | None, ...] | None:
    """The results of a hook of a node.

    Raises RuntimeError or TypeError unless it is None, or a tuple with an entry for each of ``gradients``: None, or a
    tensor of the same shape and dtype.
    """
    if results is None:
        return None
    if not isinstance(results, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(results).__name__}'")
    if len(results) != len(gradients):
        raise RuntimeError(
            f"hook '{label}' has returned an incorrect number of values (got {len(results)}, but expected {len(gradients)})"
        )
    return tuple(_checked_entry(result, gradient, label) for result, gradient in zip(results, gradients, strict=True))


def _checked_entry(result: object, gradient: Recorded | None, label: str) -> Recorded | None:
    if gradient is not None:
        return checked_result(result, gradient, label)
    if result is not None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    return None
