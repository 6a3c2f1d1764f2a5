"""Calibration of array functions: each is measured against Arb on the machine at hand before it is used.

NumPy chooses its loops by the processor's instructions, and takes many functions from the system's library, so the bounds
stated in `functions` are compared with measurements here: at some 4000 points where functions are hard, in arrays as long
as vector instructions need them, in short arrays, and in strided arrays. Measurements are kept in memory, and in a folder
that only its owner may write to, under a hash of all they depend on.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from flint import arb
from scipy import special

from gradproof.engine import points
from gradproof.engine import scalar_functions as core
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array
from gradproof.engine.trusted_folder import TrustedFolder
from gradproof.engine.verify.arrays import array_function, functions, special_rows
from gradproof.engine.verify.arrays.array_function import NORMAL, ArrayFunction
from gradproof.engine.verify.arrays.ball import TINY
from gradproof.engine.verify.arrays.functions import TABLE

BITS, MORE_BITS = 90, 1400  # the second where values cancel, down to denormal numbers
SCHEMA = 2  # of the file of measurements
DENORMAL, SMALLEST = 2.0**-1021, 2.0**-1074  # float64: below the first a unit in the last place is the second
SHORT = 13  # elements: a few vectors and a tail
WARNING = "measurements of functions cannot be kept at %s as it is (%s); they are repeated"


class Measured(NamedTuple):
    """The largest measured error of a function.

    Attributes:
        ulps: in units in the last place (2^-52) of the result.
        at: the arguments.
        sharp: True if denormal results are right to as many units of theirs.
    """

    ulps: float
    at: tuple[float, ...]
    sharp: bool = True


class Calibration:
    """Measurements of functions on this machine, kept in a ``folder`` if any. Safe to use from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._files = None if folder is None else TrustedFolder(folder, SCHEMA, WARNING)
        self._known: dict[str, Measured] = {}
        self._read = False
        self._lock = Lock()

    def demand(self, row: ArrayFunction) -> Measured:
        """The measurement of a function. Raises NotImplementedError if it is less accurate here than its row states."""
        if why := self.distrust(row):
            raise NotImplementedError(why)
        return self.measured(row)

    def distrust(self, row: ArrayFunction) -> str:
        """The reason not to use a function here; empty if its bound holds."""
        measured = self.measured(row)
        if measured.ulps <= row.ulps:
            return ""
        at = ", ".join(f"{x!r}" for x in measured.at)
        return (
            f"{row.name}({at}) is off by {measured.ulps:.3g} units in the last place with the NumPy and SciPy here, "
            f"where {row.ulps:g} are allowed: {row.name} is not read in arrays; another build of them may be right"
        )

    def measured(self, row: ArrayFunction) -> Measured:
        """The measurement of a function, from memory, from the folder, or made now."""
        with self._lock:
            if not self._read:
                self._read = True
                self._known = self._kept() | self._known
            measurement = self._known.get(row.name)
            if measurement is None:
                measurement = self._known[row.name] = measure(row)
                self._keep()
            return measurement

    def _kept(self) -> dict[str, Measured]:
        return (self._files and self._files.load(_file_name(), _measurements)) or {}

    def _keep(self) -> None:
        if self._files is not None:
            known = self._kept() | self._known  # another process may have added some
            self._files.save(_file_name(), known)


def _file_name() -> str:
    return f"{_beneath()}.calibration"


def _measurements(body: Any) -> dict[str, Measured]:
    """The measurements in a file, by function."""
    return {name: Measured(float(ulps), tuple(map(float, at)), sharp is True) for name, (ulps, at, sharp) in body.items()}


def measure(row: ArrayFunction) -> Measured:
    """Measure a function at its points, where it gives a finite number."""
    arguments = points.of(row.name)
    whole, others = _values(row, arguments)
    finite = np.flatnonzero(np.logical_or.reduce([np.isfinite(y) for y in (whole, *others)]))
    error = np.zeros(whole.size)
    ball = core.TABLE[row.name].ball
    with precision(BITS):
        for k, *x, y in zip(finite.tolist(), *(a[finite].tolist() for a in arguments), whole[finite].tolist(), strict=True):
            error[k] = _error(ball, x, y)
    worst, sharp = Measured(0.0, tuple(float(a[0]) for a in arguments)), True
    with np.errstate(all="ignore"):
        for y in (whole, *others):
            size = np.abs(y)
            away = np.abs(error + (y - whole)) - row.absolute
            sharp &= not (away > row.ulps * np.where(size < DENORMAL, SMALLEST, size * 2.0**-52))[size < NORMAL].any()
            away = away - np.where(size < NORMAL, row.ulps * TINY, 0)
            ulps = np.where(away <= 0, 0.0, away / (size * 2.0**-52))
            ulps = np.where(np.isfinite(y), np.where(np.isnan(ulps), np.inf, ulps), 0.0)
            k = int(ulps.argmax())
            if ulps[k] > worst.ulps:
                worst = Measured(float(ulps[k]), tuple(float(a[k]) for a in arguments))
    return worst._replace(sharp=sharp)


def _values(row: ArrayFunction, arguments: tuple[Array, ...]) -> tuple[Array, list[Array]]:
    """Results for whole arrays, and for short arrays and every other element."""
    with np.errstate(all="ignore"):
        size = arguments[0].size
        whole = np.asarray(row.numpy(*arguments))
        short = np.concatenate([row.numpy(*(a[k : k + SHORT] for a in arguments)) for k in range(0, size, SHORT)])
        strided = np.empty_like(whole)
        for k in range(2):
            strided[k::2] = row.numpy(*(a[k::2] for a in arguments))
    return whole, [short, strided]


def _error(ball: Callable[..., arb], x: list[float], y: float) -> float:
    """y - f(x); inf where Arb has no value."""
    start = y if np.isfinite(y) else 0.0
    for bits in (BITS, MORE_BITS):
        with precision(bits):
            away = arb(start) - ball(*map(arb, x))
        if away.is_finite():
            error, off = float(away.mid()), float(away.rad())
            if bits == MORE_BITS or off <= abs(start) * 2.0**-60 or off < 2.0**-1074:
                return error + (off if error >= 0 else -off)
    return np.inf


@cache
def _beneath() -> str:
    """A hash of all a measurement depends on: libraries and their builds, the processor, the points and functions."""
    array: Any = sys.modules["numpy._core._multiarray_umath"]
    parts = [sys.version, np.__version__, str(platform.libc_ver()), platform.machine()]
    parts += sorted(name for name, there in array.__cpu_features__.items() if there)
    for module in (array, sys.modules[special.erf.__class__.__module__], sys.modules.get("scipy.special._ufuncs")):
        file = getattr(module, "__file__", None)
        if file is not None:
            status = os.stat(file)
            parts.append(f"{file} {status.st_size} {status.st_mtime_ns}")
    for file in (__file__, points.__file__, *(module.__file__ for module in (array_function, functions, special_rows))):
        parts.append(_sum(Path(str(file)).read_text(encoding="utf-8")))
    return _sum("\n".join(parts))[:32]


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


HERE = Calibration()
"""Measurements of this process."""


def keep_in(folder: Path | None) -> None:
    """Keep the measurements of this process in a folder, and use those kept there."""
    global HERE
    HERE = Calibration(folder)


def demand(name: str) -> Measured:
    """The measurement of a function of the table. Raises NotImplementedError if it is less accurate here than its row
    states."""
    return HERE.demand(TABLE[name])
