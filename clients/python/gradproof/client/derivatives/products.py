"""Products of derivatives with vectors: recorded, so that they can be differentiated, mapped over slices, and traced.

Each is a function of outputs, inputs and vectors. A vector of zeros, and a derivative that nothing reaches, may be None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import numpy as np

from gradproof.client.backward.forward_pass import forward_recorded
from gradproof.client.backward.recorded_pass import backward_recorded
from gradproof.client.tensors.constructors import zeros
from gradproof.client.tensors.tensor import Tensor

Vectors: TypeAlias = Sequence[Tensor | None]
Derivatives: TypeAlias = list[Tensor | None]
Product: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor], Vectors], Derivatives]


def pull(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Vectors) -> Derivatives:
    """Cotangents of ``outputs`` back to ``inputs``: for each input the product with the transposed Jacobian."""
    pairs = [(y, g) for y, g in zip(outputs, cotangents, strict=True) if g is not None and y.requires_grad]
    gradients = backward_recorded([y for y, _ in pairs], [g for _, g in pairs], inputs)
    return [cast("Tensor | None", gradients.get(x)) for x in inputs]


def push(outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Vectors) -> Derivatives:
    """Tangents of ``inputs`` forward to ``outputs``: for each output the product with the Jacobian."""
    starts = [(x, v) for x, v in zip(inputs, tangents, strict=True) if v is not None]
    moved = forward_recorded(outputs, starts)
    return [cast("Tensor | None", moved.get(y)) for y in outputs]


def gradient(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of outputs with an element each, which are added up; zeros where nothing flows."""
    ones = [Tensor(np.ones(y.shape, y.dtype)) for y in outputs]
    return filled(pull(outputs, inputs, ones), inputs)


def push_gradient(outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Vectors) -> Derivatives:
    """Products of the Hessian with tangents, in forward mode over reverse mode."""
    return push(gradient(outputs, inputs), inputs, tangents)


def pull_gradient(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors) -> Derivatives:
    """Products of vectors with the Hessian, in reverse mode twice."""
    return pull(gradient(outputs, inputs), inputs, vectors)


def filled(derivatives: Vectors, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Derivatives with zeros, of the shapes and dtypes of ``tensors``, for None."""
    return [zeros(x.shape, dtype=x.dtype) if d is None else d for d, x in zip(derivatives, tensors, strict=True)]
