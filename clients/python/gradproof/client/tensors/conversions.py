"""Tensor methods that change the dtype."""

from __future__ import annotations

from typing import Self

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.signatures import DTypeLike


class Conversions(Recorded):
    """Conversions to other dtypes. The shape stays, and a gradient flows back in the dtype of the tensor."""

    __slots__ = ()

    def to(self, dtype: DTypeLike | Recorded) -> Self:
        """The tensor in another dtype, or in that of another tensor; itself if it has it already, or if ``dtype`` is "cpu".

        Follows torch.Tensor.to and Array API astype. Raises TypeError if ``dtype`` is not a dtype.
        """
        if isinstance(dtype, str) and dtype == "cpu":
            return self
        target = np.dtype(dtype.dtype if isinstance(dtype, Recorded) else dtype)
        return self if target == self.dtype else apply("astype", self, dtype=target.name)

    type = type_as = to

    def half(self) -> Self:
        """The tensor in float16. Follows torch.Tensor.half."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Self:
        """The tensor in bfloat16. Follows torch.Tensor.bfloat16."""
        return self.to(dtypes.bfloat16)

    def float(self) -> Self:
        """The tensor in float32. Follows torch.Tensor.float."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """The tensor in float64. Follows torch.Tensor.double."""
        return self.to(dtypes.float64)

    def short(self) -> Self:
        """The tensor in int16. Follows torch.Tensor.short."""
        return self.to(dtypes.int16)

    def int(self) -> Self:
        """The tensor in int32. Follows torch.Tensor.int."""
        return self.to(dtypes.int32)

    def long(self) -> Self:
        """The tensor in int64. Follows torch.Tensor.long."""
        return self.to(dtypes.int64)

    def bool(self) -> Self:
        """True where an element is not 0. Follows torch.Tensor.bool."""
        return self.to(dtypes.bool_)

    def contiguous(self) -> Self:
        """The tensor itself: layouts of memory are not part of tensors. Follows torch.Tensor.contiguous."""
        return self

    def cpu(self) -> Self:
        """The tensor itself: there are no other devices. Follows torch.Tensor.cpu."""
        return self
