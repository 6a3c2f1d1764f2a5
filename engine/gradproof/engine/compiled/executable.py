"""Executable: a simplified program as a generated function, and the workspaces that its runs take turns in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradproof.engine.cancellation import NEVER, Cancellation
from gradproof.engine.compiled.buffers import Workspace
from gradproof.engine.compiled.simplify import Simplified
from gradproof.engine.compiled.source import write
from gradproof.engine.kernels import NO_KERNELS, Kernels

MAX_IDLE: Final = 2  # workspaces that wait for the next run
MAX_IDLE_BYTES: Final = (
    256 << 20
)  # of all workspaces of a plan that wait; a run that takes more allocates its workspace anew


class Executable:
    """A program, compiled; by value ``arguments`` has the expression of each argument of a run. Any number of runs at a
    time; each has a workspace of its own. ``careful``: NumPy computes a scalar op where Python's floats raise."""

    def __init__(
        self, program: Simplified, arguments: Mapping[int, str], careful: bool = False, kernels: Kernels = NO_KERNELS
    ) -> None:
        written = write(program, arguments, careful, kernels)
        self.text = written.text
        self._function, self._layout = written.function, written.layout
        self._recipes, self._outputs = written.recipes, written.outputs
        self._arrays = written.arrays
        self._idle: list[Workspace] = []

    @property
    def nbytes(self) -> int:
        """Bytes of the workspaces that wait for a run."""
        return sum(workspace.nbytes for workspace in self._idle)

    def all(self, arrays: Sequence[Any], cancellation: Cancellation = NEVER) -> list[Any]:
        """Run the program without hooks: the values that leave, in order. A 0-d float64 is a Python float, any other value
        an array that is not shared. Raises Cancelled, and any exception of an op."""
        if not self._arrays:
            return [value for _, value in self._function((), (), (), (), arrays, cancellation)]
        workspace = self._workspace()
        try:
            memory = workspace.readable, workspace.writable, workspace.bound, workspace.outputs
            with np.errstate(all="ignore"):
                return [value for _, value in self._function(*memory, arrays, cancellation)]
        finally:
            self._give_back(workspace)

    def _workspace(self) -> Workspace:
        """A workspace that waits, or another."""
        try:
            return self._idle.pop()
        except IndexError:
            return Workspace(self._layout, self._recipes, self._outputs)

    def _give_back(self, workspace: Workspace) -> None:
        if not self._layout.gives and len(self._idle) < MAX_IDLE and self.nbytes + workspace.nbytes <= MAX_IDLE_BYTES:
            self._idle.append(workspace)
