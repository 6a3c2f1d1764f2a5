"""What the namespace can do, as the Array API standard asks."""

from __future__ import annotations

from typing import Any

from gradproof.client import dtypes
from gradproof.client.array_api.creation import require_cpu
from gradproof.client.array_api.types import isdtype

MAX_DIMENSIONS = 64

_ALL = (
    dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8, dtypes.float32, dtypes.float64,
    dtypes.complex64, dtypes.complex128,
)  # fmt: skip


class __array_namespace_info__:
    """The capabilities, devices and dtypes of the namespace. Follows Array API __array_namespace_info__."""

    def capabilities(self) -> dict[str, Any]:
        """What is optional in the standard: masks are indices, and shapes may depend on data, which is computed then."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": MAX_DIMENSIONS}

    def default_device(self) -> str:
        """The device of new tensors."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, dtypes.DType]:
        """The dtypes of tensors made of Python numbers; `set_default_dtype` sets that of floats."""
        require_cpu(device)
        real = dtypes.get_default_dtype()
        names = "real floating", "complex floating", "integral", "indexing"
        return dict(zip(names, (real, dtypes.complex_of(real), dtypes.int64, dtypes.int64), strict=True))

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, dtypes.DType]:
        """The dtypes of a kind by name, see `isdtype`; without ``kind`` all of the standard that tensors may have."""
        require_cpu(device)
        return {dtype.name: dtype for dtype in _ALL if kind is None or isdtype(dtype, kind)}
