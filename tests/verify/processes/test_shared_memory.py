"""Shared memory: reused, bounded, returned; and a worker reads the current run in it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest
from tests.support.proof_sources import LocalProofs
from tests.support.verdicts import finish, graph_of

from gradproof.engine.engine import Engine
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.processes.context import KEPT_REGIONS
from gradproof.engine.verify.processes.shared_memory import SharedMemory, rounded_up
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord, ValueWord
from gradproof.engine.verify.verifier import Verifier

PAGE = mmap.PAGESIZE


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    shared_memory = SharedMemory(most_idle_bytes=64 * PAGE)
    yield shared_memory
    shared_memory.close()


@pytest.mark.parametrize("size", [1, PAGE, PAGE + 1, 100_000, 2**20, 2**20 + 1, 123_456_789])
def test_sizes_are_pages_and_waste_a_quarter_at_most(size: int) -> None:
    rounded = rounded_up(size)
    assert rounded % PAGE == 0
    assert size <= rounded <= max(PAGE, 1.25 * size + PAGE)


def test_a_region_is_used_again(memory: SharedMemory) -> None:
    first = memory.take(3 * PAGE)
    other = memory.take(3 * PAGE)
    assert first.number != other.number
    memory.give_back(first)
    assert memory.take(3 * PAGE - 5) is first
    assert memory.take(3 * PAGE) is not other


def test_idle_regions_are_bounded(memory: SharedMemory) -> None:
    regions = [memory.take(24 * PAGE) for _ in range(5)]
    for region in regions:
        memory.give_back(region)
    assert memory.idle_bytes <= memory.most_idle_bytes
    assert memory.take(24 * PAGE) is regions[-1]


def test_a_region_that_is_too_large_is_not_kept(memory: SharedMemory) -> None:
    small, large = memory.take(PAGE), memory.take(100 * PAGE)
    memory.give_back(small)
    memory.give_back(large)
    assert large.memory.closed
    assert memory.take(PAGE) is small


def test_trimming_gives_idle_memory_back_even_where_a_worker_has_it_mapped(memory: SharedMemory) -> None:
    region = memory.take(PAGE)
    region.memory[:3] = b"abc"
    held = os.dup(region.handle)
    memory.give_back(region)
    memory.trim(3600)
    assert memory.idle_bytes == PAGE
    memory.trim(0)
    assert memory.idle_bytes == 0
    assert os.fstat(held).st_size == 0
    os.close(held)


def test_closed_memory_keeps_nothing(memory: SharedMemory) -> None:
    region = memory.take(PAGE)
    memory.close()
    memory.give_back(region)
    assert region.memory.closed
    assert memory.idle_bytes == 0


@pytest.mark.slow
def test_consecutive_runs_are_not_confused(registry: Registry) -> None:
    """Each run is checked by its own numbers, in regions that are reused in any order, more of them than a worker keeps."""
    workers = Workers([plugin.source for plugin in registry.plugins])
    verifier, engine = Verifier(registry, LocalProofs(registry), workers), Engine(registry)
    random = np.random.default_rng(1)

    def verdict(size: int, spoil: bool) -> GradientVerdict:
        graph, values = graph_of("sin", random.normal(size=size))
        run = finish(engine, Job(graph, values, (("y", np.ones(size)),)))
        if spoil:
            number = run.plan.backward.contributions[0].number
            run.values[number] = np.where(np.arange(size) == size // 2, 7.0, run.values[number])
        return next(iter(verifier.check(run, budget=60.0)))

    try:
        workers.start()
        sizes = [9_000 * (1 + k % (KEPT_REGIONS + 3)) for k in range(2 * (KEPT_REGIONS + 3))]
        for k, size in enumerate(sizes):
            word = verdict(size, spoil=k % 3 == 1)
            assert (word.summary is SummaryWord.WRONG) == (k % 3 == 1), (k, word.reason)
            assert (word.uses[0].value.word is ValueWord.OFF) == (k % 3 == 1)
        workers.memory.trim(0)
        assert verdict(sizes[0], spoil=False).summary is not SummaryWord.WRONG
        assert workers.memory.idle_bytes > 0
    finally:
        workers.close()
