"""Proofs for all values of attributes in the pool: their number, their place on disk, and the fallback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import free_plugin
from tests.support.rule_proofs import live_key

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
    pool_ = ProofPool(free, tmp_path)
    yield pool_
    pool_.close()


def keys(registry: Registry, op: str, name: str, values: Sequence[float]) -> list[ProofKey]:
    return [live_key(registry, op, [(4, 3)], **{name: value}) for value in values]


def verdicts(pool: ProofPool, asked: list[ProofKey]) -> list[RuleVerdict]:
    for key in asked:
        if pool.lookup(key) is None:
            pool.request(key)
    pool.wait(asked, 60)
    results = [pool.lookup(key) for key in asked]
    assert all(verdict is not None for verdict in results)
    return [verdict for verdict in results if verdict is not None]


def kept(directory: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in directory.iterdir())


@pytest.mark.slow
def test_many_values_are_served_by_one_proof_also_from_disk(pool: ProofPool, free: Registry, tmp_path: Path) -> None:
    asked = keys(free, "free.leaky", "slope", VALUES)
    assert len(set(asked)) == len(VALUES)
    results = verdicts(pool, asked)
    assert {(verdict.word, verdict.case) for verdict in results} == {(RuleWord.PROVED_AE, "() slope=any real")}
    assert kept(tmp_path) == ["free.leaky"]
    again = ProofPool(free, tmp_path)
    try:
        cached = [again.lookup(key) for key in keys(free, "free.leaky", "slope", (0.5, -77.0))]
        assert all(verdict is not None and verdict.cached and verdict.proved for verdict in cached)
    finally:
        again.close()
    more = verdicts(pool, keys(free, "free.leaky", "slope", (0.0, 1.0)))
    assert [verdict.case for verdict in more] == ["() slope=0.0", "() slope=1.0"]
    assert all(verdict.proved for verdict in more)
    assert kept(tmp_path) == ["free.leaky"] * 3


@pytest.mark.slow
def test_where_that_proof_does_not_close_each_value_gets_its_own(pool: ProofPool, free: Registry, tmp_path: Path) -> None:
    results = verdicts(pool, keys(free, "free.shifted", "s", (0.5, 7.25, 0.75)))
    assert [verdict.case for verdict in results] == ["() s=0.5", "() s=7.25", "() s=0.75"]
    assert [verdict.proved for verdict in results] == [True, True, False]
    assert kept(tmp_path) == ["free.shifted"] * 2
    assert not pool._waiting


@pytest.mark.slow
def test_a_refresh_makes_the_proof_for_all_values_again(pool: ProofPool, free: Registry) -> None:
    asked = keys(free, "free.leaky", "slope", (0.5,))
    [before] = verdicts(pool, asked)
    pool.refresh(asked[0])
    pool.wait(asked, 60)
    after = pool.lookup(asked[0])
    assert after is not None
    assert after is not before
    assert after.case == before.case


def test_who_waits_behind_it_waits_no_longer_than_the_pool(free: Registry) -> None:
    pool_ = ProofPool(free)
    asked: list[Any] = keys(free, "free.leaky", "slope", VALUES)
    for key in asked:
        pool_.request(key)
    pool_.close()
    pool_.wait(asked, 60)
    pool_.request(asked[0])
    assert not [key for key in asked if key in pool_._futures]
