"""Acceptance of kernels: each is measured on this machine before it is used, once for its build and the processor."""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from gradproof.engine import points
from gradproof.engine.kernels import accuracy as accuracies
from gradproof.engine.kernels import arguments, conduct
from gradproof.engine.kernels.accuracy import MOST_ULPS, accuracy
from gradproof.engine.kernels.arguments import arguments_of
from gradproof.engine.kernels.conduct import Misconduct
from gradproof.engine.kernels.kernel import DTYPES, InUse, Kernel
from gradproof.engine.op import Op
from gradproof.engine.trusted_folder import TrustedFolder

SCHEMA: Final = 1
WARNING: Final = "measurements of kernels cannot be kept at %s as it is (%s); they are repeated"


class KernelFault(Exception):
    """A kernel that is not used; the message names kernel, op, dtype, and the point where it is wrong."""


class Acceptance:
    """Measurements of kernels, kept in a ``folder`` if any. Safe to use from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._files = None if folder is None else TrustedFolder(folder, SCHEMA, WARNING)
        self._known: dict[tuple[int, str], tuple[Kernel, InUse | str]] = {}
        self._lock = Lock()

    def accept(self, kernel: Kernel, plugin: str, op: Op, dtype: str) -> InUse:
        """The kernel with its measurement. Raises KernelFault."""
        with self._lock:
            known = self._known.get((id(kernel), dtype))
            found: InUse | str | None = known[1] if known else self._kept(kernel, plugin, op, dtype)
            if found is None:
                try:
                    found = measured(kernel, plugin, op, dtype)
                except KernelFault as fault:
                    found = str(fault)
                if self._files is not None and kernel.build and isinstance(found, InUse):
                    self._files.save(_file_name(kernel, op, dtype), [found.ulps, list(found.at)])
            self._known[id(kernel), dtype] = (kernel, found)  # the kernel is kept, so that its id is not used again
        if isinstance(found, str):
            raise KernelFault(found)
        return InUse(kernel, plugin, dtype, found.ulps, found.at)

    def _kept(self, kernel: Kernel, plugin: str, op: Op, dtype: str) -> InUse | None:
        if self._files is None or not kernel.build:
            return None

        def decode(body: Any) -> InUse:
            return InUse(kernel, plugin, dtype, float(body[0]), tuple(map(float, body[1])))

        return self._files.load(_file_name(kernel, op, dtype), decode)


def measured(kernel: Kernel, plugin: str, op: Op, dtype: str) -> InUse:
    """The kernel with its largest error, measured. Raises KernelFault."""
    place = f"kernel {kernel.name!r} of op {op.name!r} in {dtype}"
    if why := _misfit(op, dtype):
        raise KernelFault(f"{place}: {why}")
    kind = np.dtype(dtype)
    inputs = arguments_of(op, kind)
    try:
        results = conduct.reference(kernel.call, inputs, kind)
        with np.errstate(all="ignore"):
            usual = np.asarray(op.forward(*inputs))
        worst = accuracy(op, kind, inputs, results, usual)
        if not worst.ulps <= MOST_ULPS:
            at = ", ".join(map(repr, worst.at))
            off = f"{worst.ulps:.3g} units in the last place" if np.isfinite(worst.ulps) else "no rounding error"
            why = f"at ({at}) it gives {worst.got!r}, and the value is {worst.expected!r}: {off}; {MOST_ULPS:g} are allowed"
            raise KernelFault(f"{place}: {why}")
        conduct.demand_same_bits(kernel.call, inputs, results, kind)
    except Misconduct as fault:
        raise KernelFault(f"{place} {fault}") from fault
    return InUse(kernel, plugin, dtype, worst.ulps, worst.at)


def _misfit(op: Op, dtype: str) -> str:
    """The reason why an op takes no kernel; empty if it does."""
    if dtype not in DTYPES:
        return f"kernels are for {' and '.join(DTYPES)}"
    if not op.elementwise or op.composite or op.attributes or op.variadic or op.optional:
        return "kernels are for elementwise ops without attributes, which are not made of other ops"
    if len(op.definitions) != 1:
        return "the op has no definition to measure a kernel against"
    specs = op.uniform((2,)).specs(np.dtype(dtype))
    inferred = op.inference(specs, {})
    if len(inferred.outputs) != 1 or inferred.outputs[0].dtype.name != dtype:
        return f"the op gives {inferred.outputs[0].dtype.name} there, and a kernel gives the dtype of its inputs"
    return ""


def _file_name(kernel: Kernel, op: Op, dtype: str) -> str:
    parts = f"{_beneath()}\n{kernel.build}\n{kernel.name}\n{op.name}\n{dtype}"
    return f"{hashlib.sha256(parts.encode()).hexdigest()[:32]}.kernel"


@cache
def _beneath() -> str:
    """All that a measurement depends on beside the kernel: the processor, NumPy, and the points and checks."""
    features: dict[str, bool] = sys.modules["numpy._core._multiarray_umath"].__cpu_features__
    parts = [sys.version, np.__version__, platform.machine(), *sorted(name for name, there in features.items() if there)]
    files = (__file__, *(str(module.__file__) for module in (points, arguments, accuracies, conduct)))
    parts += [Path(file).read_text(encoding="utf-8") for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


HERE = Acceptance()
"""Measurements of this process."""


def keep_in(folder: Path | None) -> None:
    """Keep the measurements of this process in a folder, and use those kept there."""
    global HERE
    HERE = Acceptance(folder)
