"""What tensor methods need of the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np


class Recorded:
    """A recorded value."""

    __slots__ = ()

    if TYPE_CHECKING:
        _value: Any
        _node: Any
        _alias: Any
        _tainted: Any
        requires_grad: bool

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def dtype(self) -> np.dtype[Any]: ...
        @property
        def ndim(self) -> int: ...
        @property
        def is_leaf(self) -> bool: ...
        @property
        def grad_fn(self) -> Any: ...
        def numel(self) -> int: ...
        def value(self) -> np.ndarray[Any, Any]: ...
        def detach(self) -> Self: ...
