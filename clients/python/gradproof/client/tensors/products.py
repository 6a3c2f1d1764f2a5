"""Tensor methods that are products: inner, outer and Kronecker products, and sums with products of matrices."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axis_of, of_rank, scaled
from gradproof.client.tensors.shapes import Shapes
from gradproof.client.tensors.signatures import Operand, Scalar


class Products(Shapes):
    """Methods made of products and sums. Raises InvalidRequest if shapes do not fit, unless a method says otherwise."""

    __slots__ = ()

    def inner(self, other: Recorded) -> Self:
        """The sums of products over the last axes of (..., k) and (..., k), for all pairs of the others; of their shapes.

        Follows torch.inner. Raises RuntimeError if the last sizes differ.
        """
        if not self.ndim or not other.ndim:
            return apply("multiply", self, other)
        if self.shape[-1] != other.shape[-1]:
            raise RuntimeError(
                f"inner() the last dimension must match on both input tensors but got shapes {list(self.shape)} and "
                f"{list(other.shape)}"
            )
        rows = self.reshape(int(np.prod(self.shape[:-1], dtype=int)), self.shape[-1])
        columns = apply(
            "transpose", apply("reshape", other, shape=(int(np.prod(other.shape[:-1], dtype=int)), rows.shape[1]))
        )
        return apply("matmul", rows, columns).reshape((*self.shape[:-1], *other.shape[:-1]))

    def vdot(self, other: Operand) -> Self:
        """The inner product of two vectors (k,), of which the first is conjugated: a scalar. Follows torch.vdot."""
        return apply("matmul", of_rank(1, self, "1D tensors expected").conj(), of_rank(1, other, "1D tensors expected"))

    def outer(self, vec2: Recorded) -> Self:
        """The products of all pairs of elements of two vectors (n,) and (m,); (n, m). Follows torch.outer and Array API
        linalg.outer. Raises RuntimeError for matrices."""
        for name, x in (("self", self), ("vec2", vec2)):
            if x.ndim != 1:
                raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.ndim}-D")
        return self.reshape(-1, 1) * apply("reshape", vec2, shape=(1, vec2.numel()))

    ger = outer

    def kron(self, other: Recorded) -> Self:
        """The Kronecker product: each element of ``self`` times ``other``, as blocks. Follows torch.kron."""
        rank = max(self.ndim, other.ndim)
        first, second = ((1,) * (rank - x.ndim) + x.shape for x in (self, other))
        apart = self.reshape([size for n in first for size in (n, 1)])
        blocks = apply("reshape", other, shape=tuple(size for n in second for size in (1, n)))
        return apply("multiply", apart, blocks).reshape([n * m for n, m in zip(first, second, strict=True)])

    def cross(self, other: Recorded, dim: int = -1) -> Self:
        """The cross products of vectors of size 3 along ``dim``. Shapes broadcast.

        Follows torch.linalg.cross and Array API linalg.cross. Raises RuntimeError if a size along ``dim`` is not 3.
        """
        shape = np.broadcast_shapes(self.shape, other.shape)
        first, second = self.expand(shape), apply("broadcast_to", other, shape=shape)
        axis = axis_of(first, dim)
        if not {x.shape[dim] for x in (self, other) if x.ndim} <= {3} or shape[axis : axis + 1] != (3,):
            raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3.")
        ahead, behind = np.array([1, 2, 0]), np.array([2, 0, 1])
        products = [
            apply("multiply", apply("take", first, a, axis=axis), apply("take", second, b, axis=axis))
            for a, b in ((ahead, behind), (behind, ahead))
        ]
        return apply("subtract", *products)

    def addmm(self, mat1: Operand, mat2: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> Self:
        """``beta * self + alpha * (mat1 @ mat2)``; ``self`` is left out if ``beta`` is 0. Follows torch.addmm."""
        return self._plus(apply("matmul", mat1, mat2), beta, alpha)

    def addmv(self, mat: Operand, vec: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> Self:
        """``beta * self + alpha * (mat @ vec)``; ``self`` is left out if ``beta`` is 0. Follows torch.addmv."""
        return self._plus(apply("matmul", mat, vec), beta, alpha)

    def addr(self, vec1: Self, vec2: Self, *, beta: Scalar = 1, alpha: Scalar = 1) -> Self:
        """``beta * self + alpha * outer(vec1, vec2)``; ``self`` is left out if ``beta`` is 0. Follows torch.addr."""
        return self._plus(vec1.outer(vec2), beta, alpha)

    def baddbmm(self, batch1: Operand, batch2: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> Self:
        """``beta * self + alpha * (batch1 @ batch2)`` of stacks (b, n, k) and (b, k, m); ``self`` is left out if ``beta``
        is 0. Follows torch.baddbmm."""
        return self._plus(apply("matmul", batch1, batch2), beta, alpha)

    def addbmm(self, batch1: Operand, batch2: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> Self:
        """``beta * self + alpha * sum(batch1 @ batch2)`` over stacks (b, n, k) and (b, k, m); ``self`` is left out if
        ``beta`` is 0. Follows torch.addbmm."""
        return self._plus(apply("sum", apply("matmul", batch1, batch2), axis=0), beta, alpha)

    def matrix_power(self, n: int) -> Self:
        """The powers of matrices (..., k, k), of their inverses if ``n`` is negative.

        Follows torch.linalg.matrix_power and Array API linalg.matrix_power.
        """
        if n == 0:
            return cast("Self", self.leaf(np.array(np.broadcast_to(np.eye(self.shape[-1], dtype=self.dtype), self.shape))))
        square = self if n > 0 else self.inverse()
        result: Self | None = None
        for bit in bin(abs(n))[:1:-1]:
            if bit == "1":
                result = square if result is None else apply("matmul", result, square)
            square = apply("matmul", square, square)
        assert result is not None
        return result

    def _plus(self, product: Any, beta: Scalar, alpha: Scalar) -> Self:
        term = product if alpha == 1 else apply("multiply", product, alpha)
        return cast("Self", term.expand_as(self) if beta == 0 else apply("add", scaled(beta, self), term))
