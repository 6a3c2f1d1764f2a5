"""The parameter: a leaf that a module registers when it is assigned."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.tensor import Tensor


class Parameter(Tensor):
    """A leaf with the value of ``data`` that requires grad. Results of ops on it are plain tensors.

    Follows torch.nn.Parameter. Raises RuntimeError for data that are not floating point or complex, unless
    ``requires_grad`` is False.
    """

    def __init__(self, data: Tensor | np.ndarray[Any, Any] | None = None, requires_grad: bool = True) -> None:
        array = np.zeros(0, np.float32) if data is None else data.value() if isinstance(data, Tensor) else np.array(data)
        super().__init__(array)
        self.requires_grad_(requires_grad)

    @classmethod
    def result_class(cls) -> type[Recorded]:
        """Results of ops are plain tensors: they are no parameters."""
        return Tensor

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
