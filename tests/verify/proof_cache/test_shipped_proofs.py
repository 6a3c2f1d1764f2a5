"""Proofs that are shipped with a plugin: when they are used, and when not."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest
from docs.generator import shipped_proofs
from tests.conftest import REGISTRY
from tests.support.server_fixture import serving
from typer.testing import CliRunner

from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.proof_cache import ProofKey, ProofMemory, checker, keys_of
from gradproof.engine.verify.proof_cache.digest import digest_of, name_of
from gradproof.engine.verify.proof_cache.shipped import path_of, read, write
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.plugins import BUILTIN
from gradproof.server.commands.cli import app

NAME = "shipping_plugin"
SOURCE = """
import numpy as np
from gradproof.engine.extend import Op, registering
GRADPROOF_API = 1
GRADPROOF_NAME = "shipping"
register_ops = registering(
    Op("shipping.square", np.square, lambda g, y, x: {rule}, lambda f, x: x * x),
    Op("shipping.twice", lambda x: x + x, lambda g, y, x: 2 * g, lambda f, x: 2 * x),
)
"""
OPS = ("shipping.square", "shipping.twice")


def imported(folder: Path, rule: str = "2 * g * x") -> Registry:
    """The built-in ops and those of a plugin whose module is in ``folder``."""
    (folder / f"{NAME}.py").write_text(SOURCE.format(rule=rule))
    sys.modules.pop(NAME, None)
    invalidate_caches()
    return build_registry(BUILTIN, others=[import_module(NAME)])


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield imported(tmp_path)
    sys.modules.pop(NAME, None)


def key_of(registry: Registry, op: str) -> ProofKey:
    return keys_of(registry, registry.op(op))[0]


def ship(registry: Registry) -> Path:
    """Write verdicts that no proof would give, so that they are known again; returns the file."""
    path = path_of(registry.plugin_of(OPS[0]))
    assert path is not None
    keys = [key_of(registry, op) for op in OPS]
    write(path, [(digest(registry, key), told(key)) for key in keys])
    return path


def told(key: ProofKey) -> RuleVerdict:
    lines = ("x: by hand", "é")
    return RuleVerdict(RuleWord.PROVED, key.op, str(key.case), "by hand", obligations=lines, seconds=0.1, arrays=True)


def digest(registry: Registry, key: ProofKey) -> str:
    known = digest_of(registry, key)
    assert known is not None
    return known


def known(registry: Registry, op: str = OPS[0], folder: Path | None = None) -> RuleVerdict | None:
    return ProofMemory(registry, folder, 30.0, shipped=True).lookup(key_of(registry, op))


def test_a_shipped_proof_is_used_as_it_was_written_and_says_so(registry: Registry, tmp_path: Path) -> None:
    path = ship(registry)
    assert path == tmp_path / "proofs" / f"{NAME}.txt"
    for op in OPS:
        key = key_of(registry, op)
        assert known(registry, op) == replace(told(key), cached=True, shipped=True)
    assert ProofMemory(registry, None, 30.0).lookup(key_of(registry, OPS[0])) is None


def test_it_comes_before_the_disk_and_the_disk_is_behind_it(registry: Registry, tmp_path: Path) -> None:
    key = key_of(registry, OPS[0])
    memory = ProofMemory(registry, tmp_path / "cache", 30.0)
    memory.keep(key, replace(told(key), tactic="on disk", digest=name_of(registry, key) or ""))
    on_disk = known(registry, OPS[0], tmp_path / "cache")
    assert on_disk is not None
    assert (on_disk.tactic, on_disk.cached, on_disk.shipped) == ("on disk", True, False)
    ship(registry)
    shipped = known(registry, OPS[0], tmp_path / "cache")
    assert shipped is not None
    assert (shipped.tactic, shipped.shipped) == ("by hand", True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("by hand", "by magic"),
        ("shipping.square", "shipping.squire"),
        ('"word": "PROVED"', '"word": "REFUTED"'),
        ("gradproof proofs: 1", "gradproof proofs: 2"),
        ("]", "]\n"),
        ("gradproof", "\udcff"),
    ],
    ids=["a tactic", "an op", "a word", "the version", "a line", "no text"],
)
def test_a_file_that_was_changed_is_not_used(
    registry: Registry, caplog: pytest.LogCaptureFixture, before: str, after: str
) -> None:
    path = ship(registry)
    text = path.read_text()
    assert before in text
    path.write_bytes(text.replace(before, after).encode(errors="surrogateescape"))
    with caplog.at_level(logging.WARNING):
        assert [known(registry, op) for op in OPS] == [None, None]
    assert "shipped proofs of plugin shipping are not used" in caplog.text


def test_proofs_of_another_checker_are_not_used(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ship(registry)
    head, _, body = path.read_text().partition("\n")
    checker_digest = head.split()[3]
    path.write_text(f"{head.replace(checker_digest, '0' * 64)}\n{body}")
    assert read(path).lines
    assert known(registry) is None
    ship(registry)
    assert known(registry) is not None
    before = checker.portable_digest.__wrapped__(), checker.checker_digest.__wrapped__()
    monkeypatch.setattr(checker, "_processor", lambda: "another")
    assert checker.portable_digest.__wrapped__() == before[0]
    assert checker.checker_digest.__wrapped__() != before[1]
    monkeypatch.setattr(checker, "VERSIONED", (*checker.VERSIONED, "pytest"))
    assert checker.portable_digest.__wrapped__() != before[0]


def test_proofs_of_another_rule_are_not_used(registry: Registry, tmp_path: Path) -> None:
    ship(registry)
    assert known(imported(tmp_path)) is not None
    assert known(imported(tmp_path, "3 * g * x")) is None


def test_the_proof_of_an_op_is_of_no_other(registry: Registry) -> None:
    path = ship(registry)
    square, twice = (key_of(registry, op) for op in OPS)
    write(path, [(digest(registry, square), told(twice)), (digest(registry, twice), told(square))])
    assert [known(registry, op) for op in OPS] == [None, None]


def test_a_verdict_that_cannot_be_read_is_not_used(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    path = ship(registry)
    key = key_of(registry, OPS[0])
    write(path, [(digest(registry, key), replace(told(key), domain=7))])  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        assert known(registry) is None
    assert "a shipped proof of shipping.square is not used" in caplog.text


def test_a_wrong_rule_is_refuted_where_proofs_are_made_anew(registry: Registry, tmp_path: Path) -> None:
    """A proof that was shipped by mistake is believed, as is the code beside it; a refresh proves anew."""
    wrong = imported(tmp_path, "3 * g * x")
    ship(wrong)
    pool = ProofPool(wrong, shipped=True)
    try:
        key = key_of(wrong, OPS[0])
        believed = pool.lookup(key)
        assert believed is not None
        assert believed.shipped
        pool.refresh(key)
        pool.wait([key], 60)
        anew = pool.lookup(key)
        assert anew is not None
        assert (anew.word, anew.shipped, anew.cached) == (RuleWord.REFUTED, False, False)
    finally:
        pool.close()


def test_what_is_written_is_read_and_stays_as_it_is(registry: Registry) -> None:
    path = ship(registry)
    text = path.read_text()
    ship(registry)
    assert path.read_text() == text
    key = key_of(registry, OPS[0])
    named = digest(registry, key)
    slower = replace(told(key), seconds=7.0)
    assert shipped_proofs.steady(named, slower, {named: told(key)}).seconds == 0.1
    other = replace(slower, tie_set="x = 0")
    assert shipped_proofs.steady(named, other, {named: told(key)}) is other


def test_differences_are_told(registry: Registry) -> None:
    ship(registry)
    plugin = registry.plugin_of(OPS[0])
    same = {digest(registry, key): told(key) for key in (key_of(registry, op) for op in OPS)}
    assert not list(shipped_proofs.differences(registry, plugin, same, OPS))
    first = next(iter(same))
    [line] = shipped_proofs.differences(registry, plugin, same | {first: replace(same[first], word=RuleWord.REFUTED)}, OPS)
    assert "REFUTED" in line
    [line] = shipped_proofs.differences(registry, plugin, {first: same[first]}, OPS)
    assert line.endswith("anew: nothing")


def test_what_is_stale_is_seen(registry: Registry, tmp_path: Path) -> None:
    assert "shipping: there are none" in list(shipped_proofs.stale(registry))
    path = ship(registry)
    assert not [line for line in shipped_proofs.stale(registry) if line.startswith("shipping")]
    assert "shipping: the ops are others" in list(shipped_proofs.stale(imported(tmp_path, "g * 2 * x")))
    write(path, [(digest(registry, key_of(registry, OPS[0])), told(key_of(registry, OPS[0])))])
    assert f"shipping: there are none of {OPS[1]}" in list(shipped_proofs.stale(imported(tmp_path)))


def test_the_shipped_proofs_are_of_this_checker_and_these_ops() -> None:
    """A skip says that they are stale, and `make check` fails. Until then proofs are made where they are needed: a change
    of the checker does not cost its author all proofs, and nothing is believed that was not proved."""
    reasons = list(shipped_proofs.stale(REGISTRY))
    if reasons and os.environ.get("CHECK_PROOFS") != "fresh":
        pytest.skip(f"{shipped_proofs.STALE} ({'; '.join(reasons)})")
    assert not reasons, f"{shipped_proofs.STALE}\n" + "\n".join(reasons)


@pytest.mark.slow
def test_a_server_uses_them_unless_it_is_told_not_to(registry: Registry, tmp_path: Path) -> None:
    ship(registry)
    for use in (True, False):
        with serving(tmp_path / f"cache-{use}", plugin=[NAME], shipped_proofs=use) as served:
            [first, *_] = served.client.verify_op(OPS[0], budget=60.0)
            assert first.verdict.word == "PROVED"
            assert (first.verdict.shipped, first.verdict.cached) == (use, use)
            assert (first.verdict.tactic == "by hand") is use
            if use:
                told_of = CliRunner().invoke(app, ["verify", OPS[1], "--target", served.target]).stdout
                assert ", shipped)" in told_of
                [anew, *_] = served.client.verify_op(OPS[0], budget=60.0, refresh=True)
                assert (anew.verdict.word, anew.verdict.shipped) == ("PROVED", False)
