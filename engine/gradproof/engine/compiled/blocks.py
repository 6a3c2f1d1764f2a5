"""Blocks: large elementwise calls run a cache's worth of rows at a time, on a second thread where that is free."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Semaphore
from typing import Any, Final

import numpy as np

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.spec import Array

MIN_ELEMENTS: Final = 1 << 16  # below, an array is a single block
MIN_ALONE: Final = 1 << 18  # from here on blocks save memory traffic for any function
MIN_WORK: Final = 1_000_000  # nanoseconds; waking up another thread takes as long
BLOCK_ELEMENTS: Final = 1 << 15
CHEAP, DEAR = 0.5, 8.0  # nanoseconds an element, of arithmetic and of functions

Thunk = Callable[..., Any]


_CORES: Final = os.cpu_count() or 1
_thread_count = 2


def use_threads(count: int) -> None:
    """Let each run of this process use up to ``count`` threads (as many as there are cores) for elementwise work."""
    global _thread_count
    if count != _thread_count:
        _thread_count = count
        _free.cache_clear()
        _helpers.cache_clear()


def threads() -> int:
    """The number of threads that a run may use for elementwise work: two, unless `use_threads` says otherwise."""
    return max(1, min(_thread_count, _CORES))


def is_large(elements: int) -> bool:
    """True if arrays of this number of elements may be worth blocks."""
    return elements >= (MIN_ELEMENTS if threads() > 1 else MIN_ALONE)


def pays(costs: Sequence[float], elements: int) -> bool:
    """True if calls of these costs, in nanoseconds an element, are worth blocks. Two threads take turns between calls, so
    that a single thread is faster for short calls of few elements."""
    long = elements >= MIN_ALONE or (threads() > 1 and sum(costs) >= 4 * CHEAP * len(costs))
    return long and sum(costs) * elements >= MIN_WORK


@dataclass(frozen=True, slots=True)
class Hole:
    """An argument that is known in the run only: array ``index`` of the call of the group, its rows where ``sliced``."""

    index: int
    sliced: bool


Argument = tuple[Array, bool]  # an array, and True if it is cut into rows


class Group:
    """Elementwise calls on arrays of the same shape, in blocks of rows. Each block goes through all calls before the next,
    so no call may read other rows of what a call of the group wrote."""

    def __init__(self, calls: Sequence[tuple[Thunk, Sequence[Argument | Hole]]], shape: Sequence[int]) -> None:
        rows = shape[0]
        step = max(1, BLOCK_ELEMENTS * rows // max(1, int(np.prod(shape))))
        self._cuts = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
        self._blocks = [[(call, *_bound(arguments, cut)) for call, arguments in calls] for cut in self._cuts]

    def __call__(self, cancellation: Cancellation, *arrays: Array) -> None:
        """Raises Cancelled between two blocks."""
        blocks = iter(range(len(self._cuts)))  # shared: taking the next block is atomic
        helper = _helpers().submit(self._quietly, cancellation, blocks, arrays) if _free().acquire(blocking=False) else None
        try:
            self._work(cancellation, blocks, arrays)
        finally:
            if helper is not None:
                try:
                    helper.result()
                finally:
                    _free().release()

    def _quietly(self, cancellation: Cancellation, blocks: Iterator[int], arrays: Sequence[Array]) -> None:
        with np.errstate(all="ignore"):
            self._work(cancellation, blocks, arrays)

    def _work(self, cancellation: Cancellation, blocks: Iterator[int], arrays: Sequence[Array]) -> None:
        for position in blocks:
            cancellation.check()
            cut = self._cuts[position]
            for call, arguments, holes in self._blocks[position]:
                if holes:
                    arguments = list(arguments)
                    for place, hole in holes:
                        array = arrays[hole.index]
                        arguments[place] = array[cut] if hole.sliced else array
                call(*arguments)


def _bound(arguments: Sequence[Argument | Hole], cut: slice) -> tuple[Sequence[Any], list[tuple[int, Hole]]]:
    holes = [(place, argument) for place, argument in enumerate(arguments) if isinstance(argument, Hole)]
    arguments_ = [
        None if isinstance(argument, Hole) else argument[0][cut] if argument[1] else argument[0] for argument in arguments
    ]
    return tuple(arguments_), holes


@cache
def _free() -> Semaphore:
    return Semaphore(threads() - 1)


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads() - 1), "gradproof-blocks")
