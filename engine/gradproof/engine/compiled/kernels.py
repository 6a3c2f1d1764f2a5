"""Kernels: calls that write the result of an instruction into given memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradproof.engine.compiled.blocks import CHEAP, DEAR
from gradproof.engine.compiled.tiling import tiled
from gradproof.engine.kernels import NO_KERNELS, Kernels
from gradproof.engine.kernels.kernel import COST
from gradproof.engine.scalars import is_exact, ufunc_of
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Instruction


@dataclass(frozen=True, slots=True)
class Kernel:
    """A call ``call(*inputs, out)``, or, with ``first``, ``call(out, *inputs)``. ``overlaps``: the result may have the
    memory of an input. ``rowwise``: each row of the result depends on that row of the inputs only. ``cost``: approximate
    nanoseconds an element."""

    call: Callable[..., Any]
    first: bool = False
    overlaps: bool = False
    rowwise: bool = False
    cost: float = DEAR

    def arguments(self, inputs: Sequence[Any], out: Any) -> tuple[Any, ...]:
        """The arguments of the call, in order."""
        return (out, *inputs) if self.first else (*inputs, out)


def kernel_of(instruction: Instruction, specs: Sequence[Spec], registered: Kernels = NO_KERNELS) -> Kernel | None:
    """The kernel of an instruction: that which a plugin ``registered``, otherwise that of NumPy; None where its op has
    only a forward that allocates its own memory."""
    if len(instruction.outputs) != 1:
        return None
    used = registered.find(instruction, specs)
    if used is not None:
        return Kernel(used.kernel.call, overlaps=True, rowwise=True, cost=COST)
    ufunc = ufunc_of(instruction.op, [specs[k] for k in instruction.inputs])
    cost = CHEAP if is_exact(instruction.op) else DEAR
    if ufunc is not None and ufunc.nout == 1 and not instruction.attributes:
        if ufunc in _KEYWORD:
            return Kernel(_KEYWORD[ufunc], overlaps=True, rowwise=True, cost=cost)
        if ufunc.signature is not None:
            return Kernel(ufunc)
        long = tiled(ufunc, [specs[k] for k in instruction.inputs], specs[instruction.outputs[0]])
        return Kernel(long or ufunc, overlaps=True, rowwise=True, cost=cost)
    if instruction.op.into is not None:
        into = partial(instruction.op.into, **instruction.attributes) if instruction.attributes else instruction.op.into
        return Kernel(into, first=True, rowwise=instruction.op.elementwise, cost=cost)
    return None


def _keyword(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda a, b, out: ufunc(a, b, out=out)


_KEYWORD = {ufunc: _keyword(ufunc) for ufunc in (np.maximum, np.minimum)}
"""Ufuncs that take their output by keyword only in later versions of NumPy."""
