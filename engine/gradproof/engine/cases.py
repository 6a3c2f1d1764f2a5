"""Cases: the shape classes that an op is traced and proved for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.spec import FLOAT64, Array, DType, Spec


@dataclass(frozen=True)
class Case:
    """A shape class of an op.

    Args:
        inputs: for each input its shape, or, for an integer or boolean input, the concrete array.
        attributes: values of the attributes; defaults may be left out.
        dtype: the dtype of the inputs without a concrete array.
        sampled: names of attributes whose values were sampled, so that the op may have no meaning there: such a case
            refutes a rule, and owes no proof.
        beside: the same case at other sizes, to be proved too, where the rule holds numbers that follow from sizes.
        free: names of attributes that stand for all numbers but the exceptional ones (see `sealed`). The behaviour of the
            op is checked at the values in ``attributes``.
    """

    inputs: tuple[tuple[int, ...] | Array, ...]
    attributes: Attributes = field(default_factory=dict)
    dtype: DType = FLOAT64
    sampled: tuple[str, ...] = ()
    beside: Case | None = None
    free: tuple[str, ...] = ()

    def specs(self, dtype: Any = None) -> tuple[Spec, ...]:
        """The specs of the inputs; inputs without a concrete array have ``dtype``, or the case's own."""
        own = self.dtype if dtype is None else np.dtype(dtype)
        return tuple(Spec(x.shape, x.dtype) if isinstance(x, np.ndarray) else Spec(x, own) for x in self.inputs)

    def over(self, dtype: Any) -> Case:
        """The same case with inputs of ``dtype``."""
        return replace(self, dtype=np.dtype(dtype), beside=self.beside and self.beside.over(dtype))

    @cached_property
    def text(self) -> str:
        """The case in full: two cases are the same if their texts are."""
        inputs = [f"{x.dtype}{x.shape}{x.tolist()}" if isinstance(x, np.ndarray) else repr(x) for x in self.inputs]
        return " ".join(
            [*inputs, *(f"{name}={value!r}" for name, value in sorted(self.attributes.items())), *self._dtype_name()]
            + [f"sampled {name}" for name in self.sampled]
            + [f"free {name}" for name in self.free]
            + ([f"beside {self.beside.text}"] if self.beside else [])
        )

    def __str__(self) -> str:
        shown = [str(x.tolist()) if isinstance(x, np.ndarray) else f"({', '.join(map(str, x))})" for x in self.inputs]
        values = {name: "any real" if name in self.free else value for name, value in self.attributes.items()}
        return " ".join([*shown, *(f"{name}={value}" for name, value in values.items()), *self._dtype_name()])

    def at_values(self) -> Case:
        """The same case with no attribute free: at the values in ``attributes``."""
        return replace(self, free=(), beside=self.beside and self.beside.at_values())

    @property
    def is_owed(self) -> bool:
        """True if the proof is owed. It is not for sampled attributes, which may have no meaning, nor for free ones, since
        each value that a run meets has a proof of its own where the proof for all values does not close."""
        return not (self.sampled or self.free)

    def _dtype_name(self) -> list[str]:
        return [self.dtype.name] if self.dtype != FLOAT64 else []


def case(*inputs: tuple[int, ...] | Array, **attributes: Any) -> Case:
    """The case of these shapes (or, for integer and boolean inputs, arrays) and attributes, in float64."""
    return Case(inputs, attributes)
