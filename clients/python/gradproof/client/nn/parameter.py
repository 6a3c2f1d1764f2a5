"""The parameter: a leaf that a module registers when it is assigned."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np

from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.tensor import Tensor


class ParameterData(Tensor):
    """The value of a parameter, without history: a change in place is a change of the parameter."""

    __slots__ = ("parameter",)

    parameter: Parameter | None

    @classmethod
    def of(cls, parameter: Parameter) -> ParameterData:
        """The value of ``parameter``."""
        data = cls.from_array(parameter.value())
        data.parameter = parameter
        return data

    @classmethod
    def result_class(cls) -> type[Recorded]:
        """Results of ops are plain tensors."""
        return Tensor

    def become_leaf(self, array: np.ndarray[Any, Any]) -> None:
        """Take ``array`` as the value, here and in the parameter."""
        super().become_leaf(array)
        parameter: Parameter | None = getattr(self, "parameter", None)  # a copy has none
        if parameter is not None and (parameter.shape, parameter.dtype) == (array.shape, array.dtype):
            parameter.become_leaf(array)


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

    @property
    def data(self) -> Self:
        """The value without history. A change of it in place (``p.data.mul_(2)``) is a change of the parameter. Assigned, a
        tensor gives the parameter a new value, of any shape; graphs recorded before keep theirs.

        Follows torch.Tensor.data. Raises as `Tensor.data`.
        """
        return cast("Self", ParameterData.of(self))

    @data.setter
    def data(self, data: Tensor) -> None:
        vars(Tensor)["data"].__set__(self, data)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
