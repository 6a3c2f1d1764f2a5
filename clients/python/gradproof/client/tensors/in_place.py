"""Changes of tensors in place that have the names of functions: ``x.relu_()`` makes ``x`` what ``x.relu()`` is."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.ordering import Ordering
from gradproof.client.tensors.signatures import Operand, Places, Scalar


class InPlace(Ordering):
    """Changes in place. They are recorded, and raise RuntimeError, as those of `Arithmetic`; shape and dtype stay."""

    __slots__ = ()

    def index_put_(self, indices: Sequence[Places], values: Operand, accumulate: bool = False) -> Self:
        """Take ``values`` at ``indices`` of the first axes, or add them there. Follows torch.Tensor.index_put_."""
        return self._become(self._changing().index_put(indices, values, accumulate))

    def masked_fill_(self, mask: Recorded, value: Operand) -> Self:
        """Become ``value`` where ``mask`` is true. Follows torch.Tensor.masked_fill_."""
        return self._become(self._changing().masked_fill(mask, value))

    def masked_scatter_(self, mask: Recorded, source: Operand) -> Self:
        """Take the elements of ``source`` in turn where ``mask`` is true. Follows torch.Tensor.masked_scatter_."""
        return self._become(self._changing().masked_scatter(mask, source))

    def index_fill_(self, dim: int, index: Places, value: Operand) -> Self:
        """Become ``value`` at the positions ``index`` along an axis. Follows torch.Tensor.index_fill_."""
        return self._become(self._changing().index_fill(dim, index, value))

    def index_add_(self, dim: int, index: Places, source: Operand, *, alpha: Scalar = 1) -> Self:
        """Add ``alpha * source`` at the positions ``index`` along an axis. Follows torch.Tensor.index_add_."""
        return self._become(self._changing().index_add(dim, index, source, alpha=alpha))

    def index_copy_(self, dim: int, index: Places, source: Operand) -> Self:
        """Take ``source`` at the positions ``index`` along an axis. Follows torch.Tensor.index_copy_."""
        return self._become(self._changing().index_copy(dim, index, source))

    def scatter_(self, dim: int, index: Places, src: Operand) -> Self:
        """Take ``src`` at the positions ``index`` along an axis. Follows torch.Tensor.scatter_."""
        return self._become(self._changing().scatter(dim, index, src))

    def scatter_add_(self, dim: int, index: Places, src: Operand) -> Self:
        """Add ``src`` at the positions ``index`` along an axis. Follows torch.Tensor.scatter_add_."""
        return self._become(self._changing().scatter_add(dim, index, src))

    def remainder_(self, other: Operand) -> Self:
        """Become the remainder of a division. Follows torch.Tensor.remainder_."""
        return self._become(self._changing().remainder(other))

    def clamp_min_(self, min: Operand) -> Self:
        """Become ``min`` where it is smaller. Follows torch.Tensor.clamp_min_."""
        return self._become(self._changing().clamp_min(min))

    def clamp_max_(self, max: Operand) -> Self:
        """Become ``max`` where it is larger. Follows torch.Tensor.clamp_max_."""
        return self._become(self._changing().clamp_max(max))

    def abs_(self) -> Self:
        """Become ``self.abs()``. Follows torch.Tensor.abs_."""
        return self._become(self._changing().abs())

    def ceil_(self) -> Self:
        """Become ``self.ceil()``. Follows torch.Tensor.ceil_."""
        return self._become(self._changing().ceil())

    def cos_(self) -> Self:
        """Become ``self.cos()``. Follows torch.Tensor.cos_."""
        return self._become(self._changing().cos())

    def erf_(self) -> Self:
        """Become ``self.erf()``. Follows torch.Tensor.erf_."""
        return self._become(self._changing().erf())

    def exp_(self) -> Self:
        """Become ``self.exp()``. Follows torch.Tensor.exp_."""
        return self._become(self._changing().exp())

    def expm1_(self) -> Self:
        """Become ``self.expm1()``. Follows torch.Tensor.expm1_."""
        return self._become(self._changing().expm1())

    def floor_(self) -> Self:
        """Become ``self.floor()``. Follows torch.Tensor.floor_."""
        return self._become(self._changing().floor())

    def log_(self) -> Self:
        """Become ``self.log()``. Follows torch.Tensor.log_."""
        return self._become(self._changing().log())

    def log1p_(self) -> Self:
        """Become ``self.log1p()``. Follows torch.Tensor.log1p_."""
        return self._become(self._changing().log1p())

    def reciprocal_(self) -> Self:
        """Become ``self.reciprocal()``. Follows torch.Tensor.reciprocal_."""
        return self._become(self._changing().reciprocal())

    def relu_(self) -> Self:
        """Become ``self.relu()``. Follows torch.Tensor.relu_."""
        return self._become(self._changing().relu())

    def round_(self) -> Self:
        """Become ``self.round()``. Follows torch.Tensor.round_."""
        return self._become(self._changing().round())

    def rsqrt_(self) -> Self:
        """Become ``self.rsqrt()``. Follows torch.Tensor.rsqrt_."""
        return self._become(self._changing().rsqrt())

    def sigmoid_(self) -> Self:
        """Become ``self.sigmoid()``. Follows torch.Tensor.sigmoid_."""
        return self._become(self._changing().sigmoid())

    def sign_(self) -> Self:
        """Become ``self.sign()``. Follows torch.Tensor.sign_."""
        return self._become(self._changing().sign())

    def sin_(self) -> Self:
        """Become ``self.sin()``. Follows torch.Tensor.sin_."""
        return self._become(self._changing().sin())

    def sqrt_(self) -> Self:
        """Become ``self.sqrt()``. Follows torch.Tensor.sqrt_."""
        return self._become(self._changing().sqrt())

    def square_(self) -> Self:
        """Become ``self.square()``. Follows torch.Tensor.square_."""
        return self._become(self._changing().square())

    def tanh_(self) -> Self:
        """Become ``self.tanh()``. Follows torch.Tensor.tanh_."""
        return self._become(self._changing().tanh())

    def trunc_(self) -> Self:
        """Become ``self.trunc()``. Follows torch.Tensor.trunc_."""
        return self._become(self._changing().trunc())
