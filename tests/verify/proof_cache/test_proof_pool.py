"""Pool of proofs: its results, killed processes, and the cache."""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy
from flint import arb
from hypothesis import given
from hypothesis import strategies as st
from tests.support import slow_plugin
from tests.support.registries import registry_of

from gradproof.engine.cases import Case, case
from gradproof.engine.conventions import HOLOMORPHIC, Kink
from gradproof.engine.domains import Domain
from gradproof.engine.extend import Exact
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.proof_cache import ProofCache, ProofKey, digest
from gradproof.engine.verify.proof_cache.digest import digest_of
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.plugins import BUILTIN


@pytest.fixture(scope="module")
def slow() -> Registry:
    registry = build_registry(BUILTIN, others=[slow_plugin])
    assert not registry.refused
    return registry


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """The clock on the wall ends no proof before its CPU time does, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradproof.engine.verify.proof_pool.PATIENCE", 15.0)
        yield


@pytest.fixture(scope="module")
def pool(slow: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProofPool]:
    pool_ = ProofPool(slow, tmp_path_factory.mktemp("proofs"), seconds=3.0)
    pool_.start()
    yield pool_
    pool_.close()


def name_of(registry: Registry, key: ProofKey) -> str:
    name = digest.name_of(registry, key)
    assert name is not None
    return name


def key(op: str) -> ProofKey:
    return ProofKey(op, case(()))


def proved(pool: ProofPool, op: str) -> RuleVerdict:
    pool.request(key(op))
    pool.wait([key(op)], 60)
    verdict = pool.lookup(key(op))
    assert verdict is not None
    return verdict


@pytest.mark.slow
def test_a_proof_comes_back_and_is_kept(pool: ProofPool, slow: Registry) -> None:
    assert pool.lookup(key("tanh")) is None
    verdict = proved(pool, "tanh")
    assert verdict.word is RuleWord.PROVED
    assert verdict.seconds > 0
    assert not verdict.cached
    assert pool.memory.cache is not None
    again = pool.memory.cache.get(name_of(slow, key("tanh")))
    assert again is not None
    assert again.cached
    assert again.tactic == verdict.tactic


def test_a_second_start_takes_proofs_from_the_cache(pool: ProofPool, slow: Registry) -> None:
    first = proved(pool, "sin")
    assert pool.memory.cache is not None
    second = ProofPool(slow, pool.memory.cache.directory)
    try:
        verdict = second.lookup(key("sin"))
        assert verdict is not None
        assert verdict.cached
        assert verdict.word is first.word
    finally:
        second.close()


@pytest.mark.slow
def test_a_proof_that_hangs_is_killed_and_the_next_one_runs(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.hang")
    assert verdict.word is RuleWord.UNDECIDED
    assert "longer than 3 s" in verdict.reason
    assert proved(pool, "cos").word is RuleWord.PROVED


def test_a_proof_that_eats_memory_is_stopped(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.greedy")
    assert verdict.word is RuleWord.UNDECIDED
    assert "memory" in verdict.reason.lower()


def test_a_definition_that_raises_is_undecided_not_a_crash(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.broken")
    assert verdict.word is RuleWord.UNDECIDED
    assert "no such luck" in verdict.reason


def test_refuted_rules_carry_their_witness_through_the_pool(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.wrong")
    assert verdict.word is RuleWord.REFUTED
    assert verdict.input == "x"
    assert float(verdict.got) * 2 == pytest.approx(float(verdict.expected))


def test_a_damaged_cache_file_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    cache = ProofCache(tmp_path)
    verdict = RuleVerdict(RuleWord.PROVED, "sin", "()", tactic="structural")
    cache.put("d1", verdict)
    cached = cache.get("d1")
    assert cached is not None
    assert (cached.word, cached.tactic, cached.cached) == (RuleWord.PROVED, "structural", True)
    whole = (tmp_path / "d1.json").read_text()
    for damage in (whole[:-10], "", "[]", json.dumps({"word": "NOT A WORD"}), json.dumps({"unknown": 1, "word": "PROVED"})):
        (tmp_path / "d1.json").write_text(damage)
        assert cache.get("d1") is None
    assert not list(tmp_path.glob("*.part"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = ProofCache(blocked)
    cache.put("d1", RuleVerdict(RuleWord.PROVED, "sin"))
    assert cache.get("d1") is None


def test_the_digest_depends_on_rule_and_case(slow: Registry) -> None:
    digests = {digest_of(slow, key(op)) for op in ("sin", "cos", "slow.wrong")}
    digests.add(digest_of(slow, ProofKey("sin", case((2,)))))
    assert len(digests) == 4
    assert digest_of(slow, key("sin")) == digest_of(build_registry(BUILTIN), key("sin"))


def test_the_digest_depends_on_helpers_of_a_definition(monkeypatch: pytest.MonkeyPatch, slow: Registry) -> None:
    """cumsum's definition calls ``line``, which calls ``at`` of another module: a change there must prove anew."""
    from gradproof.plugins import axes

    key_ = ProofKey("cumsum", case((3,)))
    before = digest_of(slow, key_)
    assert digest_of(slow, key_) == before
    monkeypatch.setattr(axes, "at", lambda index, axis, k: (k,))
    assert digest_of(slow, key_) != before


SCALE: Any = 2.0


def scaled(f: Any, x: Any) -> Any:
    return x * SCALE


def member(f: Any, x: Any) -> Any:
    return slow_plugin.hang(f, x)


def closed(k: Any) -> Callable[..., Any]:
    return lambda f, x: x * k


def given_first(k: Any, f: Any, x: Any) -> Any:
    return x * k


def digest_with(define: Callable[..., Any]) -> str:
    op = Op("planted.op", lambda x: 2 * x, lambda g, y, x: 2 * g, define)
    return name_of(registry_of(op), ProofKey("planted.op", case(())))


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("replacement", [3.0, 2, np.float32(2), (2.0, 3.0), np.array([2.0]), Fraction(2), "2.0"])
def test_the_digest_depends_on_what_a_definition_finds_outside(monkeypatch: pytest.MonkeyPatch, replacement: Any) -> None:
    """Numbers in globals, closures and partial functions. A proof with 2 does not hold for the same text with 3."""
    before = digest_with(scaled)
    assert digest_with(scaled) == before
    monkeypatch.setattr("tests.verify.proof_cache.test_proof_pool.SCALE", replacement)
    assert digest_with(scaled) != before
    assert digest_with(closed(2.0)) == digest_with(closed(2.0)) != digest_with(closed(replacement))
    ways = [digest_with(partial(given_first, k)) for k in (2.0, 2.0, replacement)]
    assert ways[0] == ways[1] != ways[2]


def test_the_digest_depends_on_members_of_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_with(member)
    monkeypatch.setattr(slow_plugin, "hang", slow_plugin.broken)
    assert digest_with(member) != before


class Holder:
    """A number that an object, or its class, holds."""

    scale: Any = 2

    def __init__(self, k: Any) -> None:
        self.k = k

    def __call__(self, f: Any, x: Any) -> Any:
        return x * self.k * self.scale

    def method(self, f: Any, x: Any) -> Any:
        return x * self.k


class Slotted:
    __slots__ = ("k",)

    def __init__(self, k: Any) -> None:
        self.k = k


class Colour(Enum):
    RED = 2
    BLUE = 3


def holding(thing: Any) -> Callable[..., Any]:
    return lambda f, x: x * len(str(thing))


WAYS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "a callable object": Holder,
    "a bound method": lambda k: Holder(k).method,
    "an object's state": lambda k: holding(Holder(k)),
    "a slot": lambda k: holding(Slotted(k)),
    "a class": lambda k: holding(type("Made", (), {"k": k, "__module__": __name__})),
    "an exact number": lambda k: holding(Exact(lambda f: f.number(k))),
    "a set": lambda k: holding({k, 7}),
    "a frozen set": lambda k: holding(frozenset([(k, 7)])),
    "a mapping": lambda k: holding({"k": [k]}),
    "a namespace": lambda k: holding(SimpleNamespace(k=k)),
    "an array of objects": lambda k: holding(np.array([k, None], object)),
    "an object in an object": lambda k: holding(Holder(Holder(k))),
    "a wrapped function": lambda k: holding(functools.lru_cache(closed(k))),
    "an attribute of a function": lambda k: holding(marked(k)),
    "SymPy": lambda k: holding(sympy.Integer(k) * sympy.pi),
}  # fmt: skip


def marked(k: Any) -> Any:
    def function() -> None: ...

    function.k = k  # type: ignore[attr-defined]
    return function


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_digest_depends_on_what_things_hold(way: Callable[[Any], Callable[..., Any]]) -> None:
    assert digest_with(way(2)) == digest_with(way(2)) != digest_with(way(3))


@pytest.mark.slow
def test_the_digest_depends_on_members_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert digest_with(holding(Colour.RED)) == digest_with(holding(Colour.RED)) != digest_with(holding(Colour.BLUE))
    assert digest_with(holding(np.dtype("f4"))) != digest_with(holding(np.dtype("f8")))
    assert digest_with(holding(np.sin)) != digest_with(holding(np.cos))
    before = digest_with(Holder(2))
    monkeypatch.setattr(Holder, "scale", 3)
    assert digest_with(Holder(2)) != before


@pytest.mark.slow
def test_the_digest_depends_on_everything_of_an_op(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain by its content, not by its name; kinks, the forward, and how it is written to memory."""
    here = Domain("here", {"real": True}, lambda t: t, lambda random: Fraction(random.randint(1, 9)))
    op = Op("planted.op", lambda x: 2 * x, lambda g, y, x: 2 * g, lambda f, x: 2 * x, domains=here)
    changed = [
        replace(op, domains=replace(here, assumptions={"positive": True})),
        replace(op, domains=replace(here, chart=lambda t: t + 7)),
        replace(op, domains=replace(here, sample=lambda random: Fraction(1, 9))),
        replace(op, kink=Kink.MEAN),
        replace(op, normwise=True),
        replace(op, stress=(1.0,)),
        replace(op, complex=HOLOMORPHIC),
        replace(op, into=lambda out, x: np.multiply(x, 2, out)),
        replace(op, forward=lambda x: x + x),
        replace(op, define=lambda f, x: x + x),
        replace(op, rule=lambda g, y, x: Exact(lambda f: f.number(2)) * g),
        replace(op, rule=lambda g, y, x: Exact(lambda f: f.number(3)) * g),
    ]
    digests = [name_of(registry_of(variant), ProofKey("planted.op", case(()))) for variant in (op, *changed)]
    assert len(set(digests)) == len(digests)


UNREADABLE: dict[str, Callable[[], Any]] = {
    "a generator": lambda: (k for k in range(3)),
    "a file": lambda: sys.__stdout__,
    "a lock": threading.Lock,
    "a counter": lambda: itertools.count(2),
    "a ball": lambda: arb(2),
    "a ufunc from a function": lambda: np.frompyfunc(abs, 1, 1),
    "an iterator": lambda: iter([1, 2]),
    "one of them in an object": lambda: Holder(threading.Lock()),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_kept_nowhere(make: Callable[[], Any]) -> None:
    op = Op("planted.op", lambda x: 2 * x, lambda g, y, x: 2 * g, holding(make()))
    assert digest_of(registry_of(op), ProofKey("planted.op", case(()))) is None


def test_what_cannot_be_read_is_proved_once_a_process(pool: ProofPool) -> None:
    assert pool.memory.cache is not None
    before = len(list(pool.memory.cache.directory.iterdir()))
    first = proved(pool, "slow.locked")
    assert first.word is RuleWord.PROVED
    assert pool.lookup(key("slow.locked")) is first
    assert len(list(pool.memory.cache.directory.iterdir())) == before
    second = ProofPool(pool.registry, pool.memory.cache.directory)
    try:
        assert second.lookup(key("slow.locked")) is None
    finally:
        second.close()


@pytest.mark.slow
def test_a_process_whose_server_is_gone_ends_by_itself() -> None:
    """A server that is killed cannot stop its processes, and a proof that hangs would run forever."""
    code = "from gradproof.engine.verify.processes import context\ncontext.limit(0.1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True)
    assert done.returncode == -signal.SIGXCPU


def test_every_task_has_a_limit_of_its_own(pool: ProofPool) -> None:
    assert proved(pool, "log").word is RuleWord.PROVED
    with pool.workers.worker(60) as worker:
        soft, _ = resource.prlimit(worker.pid, resource.RLIMIT_CPU)
    assert 4 * pool.seconds <= soft < 4 * pool.seconds + 60


def test_a_process_that_dies_takes_only_its_own_proof_with_it(pool: ProofPool) -> None:
    verdict = proved(pool, "slow.mortal")
    assert verdict.word is RuleWord.UNDECIDED
    assert "the proof process ended" in verdict.reason
    assert pool.memory.cache is not None
    assert not list(pool.memory.cache.directory.glob("slow.mortal*"))  # who knows why it died
    assert proved(pool, "cosh").word is RuleWord.PROVED


def test_a_proof_that_was_stopped_is_kept_with_its_budget_and_tried_again_with_more(
    pool: ProofPool, slow: Registry, tmp_path: Path
) -> None:
    assert proved(pool, "slow.hang").budget == 3.0
    assert pool.memory.cache is not None
    kept = pool.memory.cache.get(name_of(slow, key("slow.hang")))
    assert kept is not None
    assert (kept.word, kept.budget) == (RuleWord.UNDECIDED, 3.0)
    less = ProofPool(slow, pool.memory.cache.directory, seconds=2.0)
    more = ProofPool(slow, pool.memory.cache.directory, seconds=4.0)
    try:
        known = less.lookup(key("slow.hang"))
        assert known is not None
        assert (known.word, known.cached) == (RuleWord.UNDECIDED, True)
        assert more.lookup(key("slow.hang")) is None
    finally:
        less.close()
        more.close()


def test_obligations_come_back_from_the_cache(pool: ProofPool, slow: Registry) -> None:
    verdict = proved(pool, "tanh")
    assert pool.memory.cache is not None
    kept = pool.memory.cache.get(name_of(slow, key("tanh")))
    assert kept is not None
    assert kept.obligations == verdict.obligations != ()


def test_who_waits_for_a_proof_waits_no_longer_than_the_pool(slow: Registry) -> None:
    pool_ = ProofPool(slow, seconds=600.0)
    pool_.request(key("slow.hang"))
    returned = threading.Event()

    def wait() -> None:
        pool_.wait([key("slow.hang")], 600.0)
        returned.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not returned.is_set()
    pool_.close()
    waiter.join(60)
    assert returned.is_set()
    pool_.request(key("sin"))  # for nobody: it is over
    assert pool_.lookup(key("sin")) is None


@pytest.mark.slow
def test_the_queue_of_proofs_has_an_end(slow: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.proof_pool.MAX_QUEUED", 1)
    pool_ = ProofPool(slow, seconds=600.0)
    try:
        pool_.request(key("slow.hang"))
        pool_.request(key("sin"))
        pool_.wait([key("sin")], 0.0)
        assert pool_.lookup(key("sin")) is None
        assert list(map(str, pool_._futures)) == [str(key("slow.hang"))]
    finally:
        pool_.close()


ARRAYS = [np.zeros((0,), int), np.zeros((0, 4), int), np.array([0, 1]), np.array([False, True]), np.array(1, np.int32)]
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
CASES = st.builds(
    lambda inputs, attributes: case(*inputs, **attributes),
    st.lists(st.one_of(SHAPES, st.sampled_from(ARRAYS)), max_size=2),
    st.dictionaries(st.sampled_from(["k", "axis"]), st.sampled_from([1, "1", 1.0, (1,), None, True]), max_size=2),
)


def same(a: Case, b: Case) -> bool:
    """True if two cases are equal in every input and attribute."""

    def parts(x: Any) -> Any:
        return (x.dtype, x.shape, x.tobytes()) if isinstance(x, np.ndarray) else x

    def typed(x: Case) -> Any:
        return sorted((name, type(value).__name__, repr(value)) for name, value in x.attributes.items())

    return list(map(parts, a.inputs)) == list(map(parts, b.inputs)) and typed(a) == typed(b)


@given(CASES, CASES)
def test_two_keys_are_equal_if_their_cases_are(a: Case, b: Case) -> None:
    assert (ProofKey("op", a) == ProofKey("op", b)) is same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (case(np.zeros((0,), int)), case(np.zeros((0, 4), int))),
        (case((), k=1), case((), k="1")),
        (case(np.array([0, 1])), case(np.array([False, True]))),
        (case(np.array([0, 1], np.int32)), case(np.array([0, 1], np.int64))),
    ],
)
def test_cases_that_print_alike_are_told_apart(a: Case, b: Case) -> None:
    assert ProofKey("op", a) != ProofKey("op", b)


def test_a_file_cut_off_anywhere_is_no_proof(tmp_path: Path) -> None:
    cache = ProofCache(tmp_path)
    cache.put("d", RuleVerdict(RuleWord.PROVED, "sin", "()", obligations=("x: structural",)))
    whole = (tmp_path / "d.json").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "d.json").write_bytes(whole[:length])
        assert cache.get("d") is None
    (tmp_path / "d.json").write_bytes(b"\xff" + whole)
    assert cache.get("d") is None


def write_many(directory: str, word: str) -> None:
    cache = ProofCache(Path(directory))
    for k in range(200):
        cache.put("shared", RuleVerdict(RuleWord(word), "sin", "()", reason=word * 500, obligations=(str(k),)))


@pytest.mark.slow
def test_two_processes_writing_at_once_leave_whole_files(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    writers = [context.Process(target=write_many, args=(str(tmp_path), word)) for word in ("PROVED", "REFUTED")]
    for writer in writers:
        writer.start()
    cache, seen = ProofCache(tmp_path), 0
    while any(writer.is_alive() for writer in writers):
        verdict = cache.get("shared")
        if verdict is not None:
            assert verdict.reason == verdict.word.value * 500
            seen += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    last = cache.get("shared")
    assert last is not None
    assert last.obligations == ("199",)
    assert seen > 0
    assert not list(tmp_path.glob("*.part"))
