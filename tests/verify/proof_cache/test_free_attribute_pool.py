"""Proofs for all values of attributes in the pool: how many are made, what is kept, what falls back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import free_plugin
from tests.verify.proof_cache.test_live_program import live_key

from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.plugins import BUILTIN

VALUES = (0.02, 0.3, -1.5, 7.25)


@pytest.fixture(scope="module")
def free() -> Registry:
    return build_registry(BUILTIN, others=[free_plugin])


@pytest.fixture
def pool(free: Registry, tmp_path: Path) -> Iterator[ProofPool]:
    one = ProofPool(free, tmp_path)
    yield one
    one.close()


def keys(registry: Registry, op: str, name: str, values: Sequence[float]) -> list[ProofKey]:
    return [live_key(registry, op, [(4, 3)], **{name: value}) for value in values]


def verdicts(pool: ProofPool, wanted: list[ProofKey]) -> list[RuleVerdict]:
    for key in wanted:
        if pool.lookup(key) is None:
            pool.request(key)
    pool.wait(wanted, 60)
    found = [pool.lookup(key) for key in wanted]
    assert all(one is not None for one in found)
    return [one for one in found if one is not None]


def kept(directory: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in directory.iterdir())


def test_many_values_are_served_by_one_proof_also_from_disk(pool: ProofPool, free: Registry, tmp_path: Path) -> None:
    wanted = keys(free, "free.leaky", "slope", VALUES)
    assert len(set(wanted)) == len(VALUES)
    found = verdicts(pool, wanted)
    assert {(one.word, one.case) for one in found} == {(RuleWord.PROVED_AE, "() slope=any real")}
    assert kept(tmp_path) == ["free.leaky"]
    again = ProofPool(free, tmp_path)
    try:
        cached = [again.lookup(key) for key in keys(free, "free.leaky", "slope", (0.5, -77.0))]
        assert all(one is not None and one.cached and one.proved for one in cached)
    finally:
        again.close()
    more = verdicts(pool, keys(free, "free.leaky", "slope", (0.0, 1.0)))
    assert [one.case for one in more] == ["() slope=0.0", "() slope=1.0"]
    assert all(one.proved for one in more)
    assert kept(tmp_path) == ["free.leaky"] * 3


def test_where_that_proof_does_not_close_each_value_gets_its_own(pool: ProofPool, free: Registry, tmp_path: Path) -> None:
    found = verdicts(pool, keys(free, "free.shifted", "s", (0.5, 7.25, 0.75)))
    assert [one.case for one in found] == ["() s=0.5", "() s=7.25", "() s=0.75"]
    assert [one.proved for one in found] == [True, True, False]
    assert kept(tmp_path) == ["free.shifted"] * 2
    assert not pool._behind


def test_a_refresh_makes_the_proof_for_all_values_again(pool: ProofPool, free: Registry) -> None:
    wanted = keys(free, "free.leaky", "slope", (0.5,))
    [before] = verdicts(pool, wanted)
    pool.refresh(wanted[0])
    pool.wait(wanted, 60)
    after = pool.lookup(wanted[0])
    assert after is not None
    assert after is not before
    assert after.case == before.case


def test_who_waits_behind_it_waits_no_longer_than_the_pool(free: Registry) -> None:
    one = ProofPool(free)
    wanted: list[Any] = keys(free, "free.leaky", "slope", VALUES)
    for key in wanted:
        one.request(key)
    one.close()
    one.wait(wanted, 60)
    one.request(wanted[0])
    assert not [key for key in wanted if key in one._asked]
