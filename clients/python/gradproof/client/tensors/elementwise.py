"""Elementwise tensor methods with signatures of their own."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Self

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import scaled
from gradproof.client.tensors.signatures import Operand, Scalar, limits
from gradproof.client.tensors.uniform import Uniform


class Elementwise(Uniform):
    """Elementwise methods. Shapes broadcast; RuntimeError if they do not, InvalidRequest for a dtype that an op refuses."""

    __slots__ = ()

    def clamp(self, min: Operand | None = None, max: Operand | None = None) -> Self:
        """The elements limited to [``min``, ``max``]; None is no limit. At a limit the gradient is 1.

        Follows torch.clamp and Array API clip. Raises RuntimeError if both limits are None.
        """
        if min is None and max is None:
            raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
        _, *ends = limits(self, min, max)
        return apply("clip", self, *ends)

    clip = clamp

    def clamp_min(self, min: Operand) -> Self:
        """The elements, but ``min`` where they are smaller. Follows torch.clamp_min."""
        return self.clamp(min=min)

    def clamp_max(self, max: Operand) -> Self:
        """The elements, but ``max`` where they are larger. Follows torch.clamp_max."""
        return self.clamp(max=max)

    def add(self, other: Operand, *, alpha: Scalar = 1) -> Self:
        """``self + alpha * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.add."""
        return apply("add", self, scaled(alpha, other))

    def sub(self, other: Operand, *, alpha: Scalar = 1) -> Self:
        """``self - alpha * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.sub."""
        return apply("subtract", self, scaled(alpha, other))

    def div(self, other: Operand, *, rounding_mode: str | None = None) -> Self:
        """``self / other``; the quotient is rounded down or towards 0 if ``rounding_mode`` is "floor" or "trunc".

        Follows torch.div and Array API divide. Raises RuntimeError for another mode, or if shapes do not broadcast.
        """
        if rounding_mode == "floor":
            return apply("floor_divide", self, other)
        if rounding_mode not in (None, "trunc"):
            raise RuntimeError(
                f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
            )
        if rounding_mode is None:
            return apply("divide", self, other)
        rest = apply("fmod", self, other) if self.dtype.kind in "iu" else self
        if rest.dtype.kind in "iu":
            return apply("floor_divide", apply("subtract", self, rest), other)  # integers have more digits than floats
        return apply("divide", self, other).trunc()

    divide = div

    true_divide = divide

    def allclose(self, other: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        """True if all elements are close to those of ``other``, see `isclose`. Shapes broadcast. Follows torch.allclose."""
        return bool(self.isclose(other, rtol, atol, equal_nan).value().all())

    def equal(self, other: Recorded) -> bool:
        """True if shape and elements are those of ``other``; a nan is equal to nothing. Follows torch.equal."""
        return self.shape == other.shape and bool((self.value() == other.value()).all())

    def is_complex(self) -> bool:
        """True if the dtype is complex. Follows torch.is_complex."""
        return self.dtype.kind == "c"

    @property
    def real(self) -> Self:
        """The real part; the tensor itself if it is not complex. Follows torch.real and Array API real."""
        return apply("real", self) if self.is_complex() else self

    @property
    def imag(self) -> Self:
        """The imaginary part. Follows torch.imag and Array API imag. Raises RuntimeError if the tensor is not complex."""
        if not self.is_complex():
            raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
        return apply("imag", self)

    def conj(self) -> Self:
        """The complex conjugate; the tensor itself if it is not complex. Follows torch.conj and Array API conj."""
        return apply("conj", self) if self.is_complex() else self
