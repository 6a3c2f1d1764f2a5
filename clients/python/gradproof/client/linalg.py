"""Linear algebra, by the names of `torch.linalg`.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A002 - names of functions and arguments are those of PyTorch

from __future__ import annotations

from typing import TypeVar

from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.arguments import first
from gradproof.client.tensors.linear_algebra import cholesky, multi_dot, solve, vecdot
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "inv",
    "matmul",
    "matrix_power",
    "multi_dot",
    "solve",
    "vecdot",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def cross(input: TensorT, other: Recorded, dim: int = -1) -> TensorT:
    """The cross products of vectors of size 3 along ``dim``. Shapes broadcast.

    Follows torch.linalg.cross. Raises RuntimeError if a size along ``dim`` is not 3.
    """
    return first(input, "cross").cross(other, dim)


def det(input: TensorT) -> TensorT:
    """The determinants of matrices (..., n, n), of shape (...). Follows torch.linalg.det.

    Raises InvalidRequest if the matrices are not square.
    """
    return first(input, "det").det()


def diagonal(input: TensorT) -> TensorT:
    """The diagonal of a matrix (n, m), of shape (min(n, m),). Follows torch.linalg.diagonal.

    Raises RuntimeError if the tensor is no matrix.
    """
    return first(input, "diagonal").diagonal()


def inv(input: TensorT) -> TensorT:
    """The inverses of matrices (..., n, n). Follows torch.linalg.inv.

    Raises InvalidRequest if the matrices are not square; DataFault, when the value is computed, for a singular matrix.
    """
    return first(input, "inv").inverse()


def matmul(input: TensorT, other: Operand) -> TensorT:
    """The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.linalg.matmul.
    """
    return first(input, "matmul").matmul(other)


def matrix_power(input: TensorT, n: int) -> TensorT:
    """The powers of matrices (..., k, k), of their inverses if ``n`` is negative.

    Follows torch.linalg.matrix_power.
    """
    return first(input, "matrix_power").matrix_power(n)
