"""The pool of proofs: results, kills, the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import slow_plugin

from gradproof.engine.op import case
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.cache import ProofCache
from gradproof.engine.verify.classes import ProofKey, digest_of
from gradproof.engine.verify.pool import ProofPool
from gradproof.engine.verify.verdict import Rule, RuleVerdict
from gradproof.plugins import BUILTIN


@pytest.fixture(scope="module")
def slow() -> Registry:
    registry = build_registry(BUILTIN, others=[slow_plugin])
    assert not registry.refused
    return registry


@pytest.fixture(scope="module")
def pool(slow: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProofPool]:
    one = ProofPool(slow, tmp_path_factory.mktemp("proofs"), seconds=3.0)
    one.start()
    yield one
    one.close()


def key(op: str) -> ProofKey:
    return ProofKey(op, case(()))


def proved(pool: ProofPool, op: str) -> RuleVerdict:
    pool.request(key(op))
    pool.wait([key(op)], 60)
    verdict = pool.lookup(key(op))
    assert verdict is not None
    return verdict


def test_a_proof_comes_back_and_is_kept(pool: ProofPool, slow: Registry) -> None:
    assert pool.lookup(key("tanh")) is None
    verdict = proved(pool, "tanh")
    assert verdict.word is Rule.PROVED
    assert verdict.seconds > 0
    assert not verdict.cached
    assert pool.cache is not None
    again = pool.cache.get(digest_of(slow, key("tanh")))
    assert again is not None
    assert again.cached
    assert again.tactic == verdict.tactic


def test_a_second_start_takes_proofs_from_the_cache(pool: ProofPool, slow: Registry) -> None:
    first = proved(pool, "sin")
    assert pool.cache is not None
    second = ProofPool(slow, pool.cache.directory)
    try:
        verdict = second.lookup(key("sin"))
        assert verdict is not None
        assert verdict.cached
        assert verdict.word is first.word
    finally:
        second.close()


def test_a_proof_that_hangs_is_killed_and_the_next_one_runs(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.hang")
    assert verdict.word is Rule.UNDECIDED
    assert "longer than 3 s" in verdict.reason
    assert proved(pool, "cos").word is Rule.PROVED


def test_a_proof_that_eats_memory_is_stopped(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.greedy")
    assert verdict.word is Rule.UNDECIDED
    assert "memory" in verdict.reason.lower()


def test_a_definition_that_raises_is_undecided_not_a_crash(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.broken")
    assert verdict.word is Rule.UNDECIDED
    assert "no such luck" in verdict.reason


def test_refuted_rules_carry_their_witness_through_the_pool(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.wrong")
    assert verdict.word is Rule.REFUTED
    assert verdict.input == "x"
    assert float(verdict.got) * 2 == pytest.approx(float(verdict.expected))


def test_a_damaged_cache_file_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    cache = ProofCache(tmp_path)
    verdict = RuleVerdict(Rule.PROVED, "sin", "()", tactic="structural")
    cache.put("d1", verdict)
    found = cache.get("d1")
    assert found is not None
    assert (found.word, found.tactic, found.cached) == (Rule.PROVED, "structural", True)
    whole = (tmp_path / "d1.json").read_text()
    for damage in (whole[:-10], "", "[]", json.dumps({"word": "NOT A WORD"}), json.dumps({"unknown": 1, "word": "PROVED"})):
        (tmp_path / "d1.json").write_text(damage)
        assert cache.get("d1") is None
    assert not list(tmp_path.glob("*.part"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = ProofCache(blocked)
    cache.put("d1", RuleVerdict(Rule.PROVED, "sin"))
    assert cache.get("d1") is None


def test_the_digest_depends_on_rule_and_case(slow: Registry) -> None:
    digests = {digest_of(slow, key(op)) for op in ("sin", "cos", "slow.wrong")}
    digests.add(digest_of(slow, ProofKey("sin", case((2,)))))
    assert len(digests) == 4
    assert digest_of(slow, key("sin")) == digest_of(build_registry(BUILTIN), key("sin"))


def test_the_digest_depends_on_helpers_of_a_definition(monkeypatch: pytest.MonkeyPatch, slow: Registry) -> None:
    """cumsum's definition calls ``line``, which calls ``at`` of another module: a change there must prove anew."""
    from gradproof.plugins import reductions

    one = ProofKey("cumsum", case((3,)))
    before = digest_of(slow, one)
    assert digest_of(slow, one) == before
    monkeypatch.setattr(reductions, "at", lambda index, axis, k: (k,))
    assert digest_of(slow, one) != before
