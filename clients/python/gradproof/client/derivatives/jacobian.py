"""Jacobians: products along all unit vectors, laid out in the shapes of outputs and inputs.

Each function gives the Jacobian of each output by each input, output by output, in the shape of the output followed by that
of the input; None where the output does not depend on the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np

from gradproof.client.backward.provenance import Provenance, pass_on
from gradproof.client.batching.application import moved, reshaped
from gradproof.client.derivatives.mapped import along_all
from gradproof.client.derivatives.products import Derivatives, Product, Vectors, gradient, pull, push
from gradproof.client.recording.apply import apply
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.spec import Spec
from gradproof.client.tensors.constructors import zeros
from gradproof.client.tensors.tensor import Tensor

Shaped: TypeAlias = Tensor | Spec


def by_rows(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors = (), *, chunk_size: int | None = None
) -> Derivatives:
    """Jacobians in reverse mode, ``chunk_size`` rows at once (default: all). There are no ``vectors``."""
    jacobians: Derivatives = []
    for k, y in enumerate(outputs):
        shapes = [y.shape + x.shape for x in inputs]
        if not y.requires_grad:
            jacobians += [None] * len(inputs)
        elif not y.numel():
            jacobians += [zeros(shape, dtype=x.dtype) for shape, x in zip(shapes, inputs, strict=True)]
        else:
            rows = _along_units(pull, outputs, inputs, k, y, chunk_size)
            jacobians += [None if row is None else _laid_out(row, s, "row") for row, s in zip(rows, shapes, strict=True)]
    return jacobians


def by_columns(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors = ()) -> Derivatives:
    """Jacobians in forward mode. There are no ``vectors``."""
    blocks: list[Derivatives] = []
    for k, x in enumerate(inputs):
        if not x.numel():
            blocks.append([zeros(y.shape + x.shape, dtype=y.dtype) for y in outputs])
            continue
        columns = _along_units(push, outputs, inputs, k, x, None)
        blocks.append(
            [
                None if column is None else _laid_out(_behind(column), y.shape + x.shape, "column")
                for column, y in zip(columns, outputs, strict=True)
            ]
        )
    return [block[k] for k in range(len(outputs)) for block in blocks]


def columns_of_rows(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors = ()) -> Derivatives:
    """The Jacobians in forward mode of the Jacobians in reverse mode."""
    return by_columns(with_zeros(by_rows(outputs, inputs), outputs, inputs), inputs)


def hessian_by_rows(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors = ()) -> Derivatives:
    """The Jacobians of the gradient in reverse mode."""
    return by_rows(gradient(outputs, inputs), inputs)


def hessian_by_columns(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors = ()) -> Derivatives:
    """The Jacobians of the gradient in forward mode."""
    return by_columns(gradient(outputs, inputs), inputs)


def with_zeros(
    jacobians: Vectors, outputs: Sequence[Shaped], inputs: Sequence[Shaped], *, columns: bool = False
) -> list[Tensor]:
    """Jacobians with zeros for None: in the dtypes of the inputs, or, for ``columns``, of the outputs."""
    pairs = [(y, x) for y in outputs for x in inputs]
    return [
        zeros(y.shape + x.shape, dtype=y.dtype if columns else x.dtype) if jacobian is None else jacobian
        for jacobian, (y, x) in zip(jacobians, pairs, strict=True)
    ]


def _along_units(
    product: Product, outputs: Sequence[Tensor], inputs: Sequence[Tensor], k: int, x: Tensor, chunk_size: int | None
) -> Derivatives:
    """A product along all unit vectors of ``x``, its vector ``k``, with the axis of these in front."""
    count = x.numel()
    vectors: list[Tensor | None] = [None] * len(outputs if product is pull else inputs)
    ones = Tensor(np.ones((count,), x.dtype))
    if count == 1:
        vectors[k] = ones.reshape(x.shape)
        with enable_grad():
            products = product(outputs, inputs, vectors)
            return [None if y is None else _shaped(y, (1, *y.shape)) for y in products]
    vectors[k] = cast("Tensor", reshaped(apply("diag_embed", ones), (count, *x.shape)))
    return along_all(product, outputs, inputs, vectors, chunk_size)


def _behind(column: Tensor) -> Tensor:
    """Columns with their axis behind the others."""
    with enable_grad():
        return _placed(column, cast("Tensor", moved(column, 0, column.ndim - 1)))


def _laid_out(part: Tensor, shape: tuple[int, ...], kind: str) -> Tensor:
    """Rows or columns in the shape of a Jacobian."""
    whole = _shaped(part, shape)
    provenance = whole.provenance
    if isinstance(provenance, Provenance) and provenance.kind == "row":
        whole.provenance = Provenance(whole, provenance.parts, kind)
    return whole


def _shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    with enable_grad():
        return _placed(x, cast("Tensor", reshaped(x, shape)))


def _placed(x: Tensor, placed: Tensor) -> Tensor:
    """``placed``, which has the elements of ``x``, with its provenance."""
    pass_on(x, placed)
    return placed
