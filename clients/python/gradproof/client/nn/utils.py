"""Gradients within limits, and parameters as a vector."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradproof.client.events import Array
from gradproof.client.tensors.functions import cat
from gradproof.client.tensors.tensor import Tensor


def get_total_norm(tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The norm of all numbers of ``tensors``, as of a vector; 0-d.

    Follows torch.nn.utils.get_total_norm. Raises RuntimeError for a norm that is not finite, if ``error_if_nonfinite``.
    """
    arrays = [tensor.value() for tensor in _listed(tensors)]
    if not arrays:
        return Tensor(np.array(0.0, np.float32))
    norms = np.stack([_norm(array, norm_type) for array in arrays])
    total = norms[0] if len(norms) == 1 else _norm(norms, norm_type)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return Tensor(np.array(total))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale the gradients so that their norm, as of a vector of them all, is at most ``max_norm``; returns the norm before.

    The gradients are then other numbers, and ``verdict`` is not about them. Follows torch.nn.utils.clip_grad_norm_. Raises
    as `get_total_norm`.
    """
    gradients = [(tensor, tensor.grad) for tensor in _listed(parameters)]
    total = get_total_norm([g for _, g in gradients if g is not None], norm_type, error_if_nonfinite)
    factor = np.minimum(max_norm / (total.value() + 1e-6), 1.0)
    for tensor, gradient in gradients:
        if gradient is not None and not factor >= 1.0:
            tensor.grad = Tensor((gradient.value() * factor).astype(gradient.dtype))
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each number of the gradients to [-``clip_value``, ``clip_value``]. Follows torch.nn.utils.clip_grad_value_."""
    for tensor in _listed(parameters):
        if (gradient := tensor.grad) is not None:
            tensor.grad = Tensor(gradient.value().clip(-clip_value, clip_value).astype(gradient.dtype))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All numbers of the parameters as a vector. Follows torch.nn.utils.parameters_to_vector."""
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the numbers of a vector, in order.

    Follows torch.nn.utils.vector_to_parameters. Raises TypeError unless ``vec`` is a tensor, RuntimeError if it has too few
    numbers.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    array, start = vec.value(), 0
    for parameter in parameters:
        part = array[start : start + parameter.numel()]
        if part.size != parameter.numel():
            raise RuntimeError(f"shape '{list(parameter.shape)}' is invalid for input of size {part.size}")
        start += parameter.numel()
        parameter.data = Tensor(part.reshape(parameter.shape).astype(parameter.dtype))


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _norm(array: Array, order: float) -> Array:
    """The norm of all elements, in their dtype."""
    return np.asarray(np.linalg.norm(array.reshape(-1), float(order)) if array.size else 0.0, abs(array).dtype)
