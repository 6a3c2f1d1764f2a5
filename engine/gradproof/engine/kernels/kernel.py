"""Kernel: a faster forward of an elementwise op in a floating dtype, and the table of those in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Instruction

DTYPES: Final = ("float32", "float64")
COST: Final = 4.0  # nanoseconds an element, of a vector library


@dataclass(frozen=True)
class Kernel:
    """A faster forward of an elementwise op without attributes, for arrays.

    Args:
        op: the name of the op.
        call: ``call(*inputs, out)`` writes the result to ``out``, as a ufunc does. The inputs have the shape and dtype of
            ``out``; an input may have any strides, and may be ``out`` itself; ``out`` is contiguous. It runs in several
            threads at once. Each element has the same bits at whatever place of whatever array it is.
        dtypes: the dtypes for which it is registered: ``float32``, ``float64``.
        name: the name under which verdicts and errors know it, as ``mkl vmdCos``.
        build: the library that computes it, with version. Measurements are kept for it between processes; without a build
            they are made in each process.
    """

    op: str
    call: Callable[..., Any]
    dtypes: tuple[str, ...] = ("float64",)
    name: str = ""
    build: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(
                self, "name", str(getattr(self.call, "__qualname__", getattr(self.call, "__name__", self.op)))
            )


@dataclass(frozen=True)
class InUse:
    """A kernel that was accepted for a dtype: the plugin that registered it, and its largest measured error in units in the
    last place, with the arguments where that was."""

    kernel: Kernel
    plugin: str
    dtype: str
    ulps: float
    at: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.kernel.name} ({self.kernel.op}, {self.dtype}, {self.ulps:.2f} ulp)"

    def forward(self, *inputs: Any) -> Array:
        """The forward of the op, into an array of its own."""
        first = np.asarray(inputs[0])
        out = np.empty(first.shape, self.dtype)
        self.kernel.call(*inputs, out)
        return out


@dataclass
class Kernels:
    """The kernels in use, by name of the op and dtype."""

    table: dict[tuple[str, str], InUse] = field(default_factory=dict)

    def add(self, used: InUse) -> None:
        """Use a kernel."""
        self.table[used.kernel.op, used.dtype] = used

    def find(self, instruction: Instruction, specs: Sequence[Spec]) -> InUse | None:
        """The kernel that computes an instruction, None if the forward of its op does. Single numbers have no kernel."""
        if not self.table or not instruction.op.elementwise:  # a plan may write a sum of slices as an ``add`` that is not
            return None
        spec = specs[instruction.outputs[0]]
        used = self.table.get((instruction.op.name, spec.dtype.name)) if spec.shape else None
        return used if used is not None and all(specs[k] == spec for k in instruction.inputs) else None

    def __iter__(self) -> Iterator[InUse]:
        return iter(self.table.values())

    def __len__(self) -> int:
        return len(self.table)


NO_KERNELS: Final = Kernels(MappingProxyType({}))  # type: ignore[arg-type]
"""The table of an engine without kernels."""
