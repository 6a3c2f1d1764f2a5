"""Types in the signatures of tensor methods and functions."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Literal, TypeAlias

import numpy as np

from gradproof.client.recording.recorded import Recorded

Scalar: TypeAlias = bool | int | float | complex | np.number[Any] | np.bool_
"""A number of Python or NumPy."""

Row: TypeAlias = Sequence[Scalar | Recorded]
Operand: TypeAlias = Scalar | Recorded | np.ndarray[Any, Any] | Row | Sequence[Row] | Sequence[Sequence[Row]]
"""An operand of an op: a tensor, a number (which takes the dtype of the tensors beside it), an array or nested lists."""

Axes: TypeAlias = int | Sequence[int] | None
"""An axis, several, or (None) all; negative ones count from the back."""

DTypeLike: TypeAlias = np.dtype[Any] | type[np.generic] | type[bool] | type[int] | type[float] | type[complex] | str
"""A dtype, or an argument of `numpy.dtype`."""

Part: TypeAlias = int | slice | EllipsisType | np.integer[Any] | Recorded | np.ndarray[Any, Any] | Sequence[int] | None
Key: TypeAlias = Part | tuple[Part, ...]
"""An index of a tensor: integers, slices, ``...``, None, and integer or boolean arrays, lists and tensors."""

Reduction: TypeAlias = Literal["none", "mean", "sum"]
"""The reduction of the losses of single elements to the result."""

Places: TypeAlias = Recorded | np.ndarray[Any, Any] | Sequence[int]
"""Integer indices."""


def given(*optional: Operand | None) -> list[Operand]:
    """The optional inputs of an op that are given. Raises TypeError for an input without those before it: an op knows its
    inputs by their order."""
    inputs = [x for x in optional if x is not None]
    if any(x is None for x in optional[: len(inputs)]):
        raise TypeError(
            "an optional input of an op needs those before it: give them their neutral values, as ones or zeros"
        )
    return inputs


def limits(x: Operand, low: Operand | None, high: Operand | None) -> list[Operand]:
    """The inputs of the op clip: where only the upper limit is given, the lower is the least number of that dtype."""
    if low is None and high is not None:
        dtype = x.dtype if isinstance(x, (Recorded, np.ndarray, np.generic)) else np.asarray(x).dtype
        low = int(np.iinfo(dtype).min) if dtype.kind in "iu" else False if dtype.kind == "b" else -np.inf
    return [x, *given(low, high)]
