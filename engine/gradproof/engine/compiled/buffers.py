"""Buffers: the memory of a compiled run, planned from the lifetimes of its values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.spec import Array, Spec

ALIGNMENT: Final = 64  # bytes: one cache line, and the widest vectors
SHARED_BYTES: Final = 64  # buffers up to this size are never shared
GIVEN_BYTES: Final = 32 << 20
"""From this size on, a value that leaves takes the memory of another that is not needed any more: new memory for the next
run costs time, and this much memory more."""
RECYCLED_BYTES: Final = 1 << 16
MAX_RECYCLED: Final = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a value: in ``block``, or a view of slot ``source``."""

    spec: Spec
    block: int = -1
    source: int = -1
    view: Callable[[Array], Array] | None = None


@dataclass
class Layout:
    """Slots by number, and the sizes of the blocks in bytes. Blocks that are free again are used again. ``gives``: blocks
    leave with values, so that the workspace serves a single run."""

    slots: list[Slot] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    gives: bool = False
    _free: dict[int, list[int]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return sum(self.blocks)

    def place(self, spec: Spec, block: int | None = None) -> int:
        """The number of a new slot in ``block``, or in a free block of its size, or in a new block."""
        if block is None:
            free = self._free.get(spec.nbytes)
            if free:
                block = free.pop()
            else:
                self.blocks.append(spec.nbytes)
                block = len(self.blocks) - 1
        self.slots.append(Slot(spec, block))
        return len(self.slots) - 1

    def give(self, spec: Spec, block: int | None) -> int | None:
        """The number of a new slot for a value that leaves with ``block``, or with a free block of its size; None where
        there is none."""
        free = self._free.get(spec.nbytes)
        if block is None and not free:
            return None
        self.gives = True
        return self.place(spec, block)

    def view(self, source: int, spec: Spec, view: Callable[[Array], Array]) -> int:
        """The number of a new slot that is a view of slot ``source``."""
        self.slots.append(Slot(spec, source=source, view=view))
        return len(self.slots) - 1

    def release(self, block: int) -> None:
        """Make a block free for other slots."""
        if self.blocks[block] > SHARED_BYTES:
            self._free.setdefault(self.blocks[block], []).append(block)


class Bindable(Protocol):
    """Recipe of calls that are bound to memory once, and run many times."""

    def bind(self, readable: Sequence[Array], writable: Sequence[Array]) -> Any:
        """The calls over the slots of a workspace."""


class Workspace:
    """The memory of a run, for a single run at a time. ``writable`` are the slots, ``readable`` the same and read-only;
    ``bound`` are the calls of the program, with these arrays as arguments; ``outputs`` make the arrays that leave."""

    def __init__(self, layout: Layout, recipes: Sequence[Bindable], outputs: Sequence[Spec]) -> None:
        blocks = [_aligned(size) for size in layout.blocks]
        self.writable: list[Array] = []
        self.readable: list[Array] = []
        for slot in watched(layout.slots):
            if slot.view is None:
                whole = blocks[slot.block].view(slot.spec.dtype).reshape(slot.spec.shape)
            else:
                whole = slot.view(self.readable[slot.source])
            self.writable.append(whole)
            reader = whole.view()
            reader.flags.writeable = False
            self.readable.append(reader)
        self.bound = [recipe.bind(self.readable, self.writable) for recipe in watched(recipes)]
        makers = [partial(np.empty, spec.shape, spec.dtype) for spec in outputs]
        large = [spec.nbytes >= RECYCLED_BYTES for spec in outputs]
        self._recyclers = [Recycler(make) for make, recycled in zip(makers, large) if recycled]
        again = iter(self._recyclers)
        self.outputs = [next(again).take if recycled else make for make, recycled in zip(makers, large)]
        self._nbytes = layout.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of the workspace, including arrays that left and are used again."""
        return self._nbytes + sum(recycler.nbytes for recycler in self._recyclers)


def _aligned(size: int) -> Array:
    """A byte array of ``size`` that begins at a multiple of `ALIGNMENT`."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


class Recycler:
    """Large arrays that leave, used again when no reference to them is left: fresh pages cost more than the arithmetic."""

    def __init__(self, make: Callable[[], Array]) -> None:
        self._make = make
        self._held: list[Array] = []

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that are kept."""
        return sum(array.nbytes for array in self._held)

    def take(self) -> Array:
        """An array that is free, or a new array."""
        for position in range(len(self._held)):
            if sys.getrefcount(self._held[position]) == 2:  # the list, and the argument of getrefcount
                return self._held[position]
        array = self._make()
        if len(self._held) < MAX_RECYCLED:
            self._held.append(array)
        return array
