"""Memory of proofs: verdicts, their lifetimes and their keys; and a cache on disk that is broken in every way."""

from __future__ import annotations

import ast
import json
import logging
import operator
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.server_fixture import serving

from gradproof.engine.cases import Case, case
from gradproof.engine.verify.processes.cputime import OutOfTime, cpu_seconds
from gradproof.engine.verify.proof import proof
from gradproof.engine.verify.proof_cache import ProofCache, ProofKey, ProofMemory, name_of
from gradproof.engine.verify.proof_cache.cache import case_from, case_text
from gradproof.engine.verify.proof_cache.checker import checker_modules, environment, imported_modules
from gradproof.engine.verify.proof_cache.fingerprint import Unreadable, fingerprint
from gradproof.engine.verify.proof_cache.memory import TRIES
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

KEY = ProofKey("var", case((2, 3), axis=1, correction=1)).traced(REGISTRY)
NAME = str(name_of(REGISTRY, KEY))
PROVED = RuleVerdict(RuleWord.PROVED, "var", str(KEY.case), tactic="rational", obligations=("x: rational",), digest=NAME)


def memory(directory: Path | None, seconds: float = 30.0) -> ProofMemory:
    return ProofMemory(REGISTRY, directory, seconds)


# how long


def test_a_proof_is_known_to_the_next_process(tmp_path: Path) -> None:
    memory(tmp_path).keep(KEY, PROVED)
    verdict = memory(tmp_path).lookup(KEY)
    assert verdict == replace(PROVED, cached=True)


def test_what_a_clock_on_the_wall_ended_is_kept_nowhere_and_tried_again(tmp_path: Path) -> None:
    proofs = memory(tmp_path)
    stopped = replace(PROVED, word=RuleWord.UNDECIDED, reason="stopped")
    for count in range(1, TRIES + 1):
        proofs.keep(KEY, stopped, settled=False)
        assert proofs.lookup(KEY) == stopped
        assert proofs.is_settled(KEY) is (count == TRIES)
    assert memory(tmp_path).lookup(KEY) is None
    proofs.keep(KEY, PROVED)
    assert proofs.is_settled(KEY)


def test_what_cpu_time_ended_is_tried_again_with_more(tmp_path: Path) -> None:
    memory(tmp_path).keep(KEY, replace(PROVED, word=RuleWord.UNDECIDED, budget=30.0))
    known = memory(tmp_path, 30.0).lookup(KEY)
    assert known is not None
    assert (known.word, known.budget) == (RuleWord.UNDECIDED, 30.0)
    assert memory(tmp_path, 31.0).lookup(KEY) is None


def test_classes_that_were_used_longest_ago_are_forgotten(tmp_path: Path) -> None:
    """A stream of new attributes makes new classes without end."""
    proofs = ProofMemory(REGISTRY, tmp_path, 30.0, max_keys=3)
    keys = [ProofKey("var", case((2, 3), axis=0, correction=k)).traced(REGISTRY) for k in range(5)]
    proofs.keep(KEY, PROVED)
    for key in keys:
        proofs.keep(key, replace(PROVED, word=RuleWord.UNDECIDED, case=str(key.case)), settled=False)
        assert proofs.lookup(KEY) is PROVED  # it is used all the time
    assert set(proofs._records) == {KEY, *keys[-2:]}
    for key in keys:
        proofs.forget(key)
    verdict = proofs.lookup(KEY)  # forgotten here, and found on disk again
    assert verdict == replace(PROVED, cached=True)


@pytest.mark.parametrize("word", [RuleWord.AGREED, RuleWord.UNDECIDED, RuleWord.NO_SPEC])
def test_what_is_no_decision_is_not_kept_on_disk(tmp_path: Path, word: RuleWord) -> None:
    proofs = memory(tmp_path)
    proofs.keep(KEY, replace(PROVED, word=word))
    assert proofs.lookup(KEY) is not None
    assert memory(tmp_path).lookup(KEY) is None


def test_a_proof_of_another_op_than_is_here_is_not_kept(tmp_path: Path) -> None:
    """The proving process loads the plugin again: state that changed here was not proved there."""
    memory(tmp_path).keep(KEY, replace(PROVED, digest="var-0"))
    assert memory(tmp_path).lookup(KEY) is None


def test_forgetting_reaches_the_disk(tmp_path: Path) -> None:
    memory(tmp_path).keep(KEY, PROVED)
    proofs = memory(tmp_path)
    proofs.forget(KEY)
    assert proofs.lookup(KEY) is None
    proofs.keep(KEY, replace(PROVED, word=RuleWord.REFUTED))
    verdict = memory(tmp_path).lookup(KEY)
    assert verdict is not None
    assert verdict.word is RuleWord.REFUTED


def test_all_classes_of_an_op_are_known_by_name(tmp_path: Path) -> None:
    memory(tmp_path).keep(KEY, PROVED)
    unproved = ProofKey("var", case((7,), correction=2)).traced(REGISTRY)
    proofs = memory(tmp_path)
    proofs.lookup(unproved)
    assert set(proofs.keys_of("var")) == {KEY, unproved}
    assert proofs.keys_of("sum") == []
    os.rename(tmp_path / f"{NAME}.json", tmp_path / "var-0.json")
    assert memory(tmp_path).keys_of("var") == []


@pytest.mark.parametrize(
    "declared",
    [
        case((2, 3), axis=(0, 1), keepdims=True, x=None, name="a", w=0.1, big=1e300, low=float("-inf")),
        replace(case((), s=-0.5), sampled=("s",), beside=case((1,), s=-0.5)).over("float16"),
        KEY.case.over("complex64"),
    ],
)
def test_a_case_is_the_same_after_the_disk(declared: Case) -> None:
    assert case_from(json.loads(json.dumps(case_text(declared)))).text == declared.text


@pytest.mark.slow
def test_refresh_reaches_the_classes_of_runs(tmp_path: Path) -> None:
    """The classes that another process met, and left on disk."""
    import numpy as np

    from gradproof.client import GraphBuilder

    def run(client: Any) -> Any:
        g = GraphBuilder()
        g.output(g.apply("sum", g.leaf("x", np.arange(12.0).reshape(1, 3, 4), requires_grad=True), name="y"))
        return client.differentiate(g, budget=30.0).verdicts["x"].uses[0].rule

    with serving(tmp_path) as served:
        met = run(served.client)
    assert met.word in ("PROVED", "PROVED_AE")
    with serving(tmp_path) as served:
        plain = [step.verdict.shape_class for step in served.client.verify_op("sum", budget=60.0)]
        steps = list(served.client.verify_op("sum", budget=60.0, refresh=True))
        again = [step.verdict for step in steps]
        assert met.shape_class not in plain
        assert met.shape_class in [verdict.shape_class for verdict in again]
        assert not any(verdict.cached for verdict in again)
        assert (steps[-1].cases_done, run(served.client).cached) == (steps[-1].cases_total, False)


# CPU time


def work_for_ever() -> None:
    """A plugin's definition that catches all errors and never returns."""
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


@pytest.mark.slow
def test_cpu_time_is_what_ends_a_proof() -> None:
    started = time.process_time()
    with pytest.raises(OutOfTime, match=r"longer than 0.2 s of CPU time"), cpu_seconds(0.2):
        work_for_ever()
    assert time.process_time() - started < 5.0
    with cpu_seconds(0.2):
        time.sleep(0.4)  # a machine that is busy with something else


# a cache that is broken


def changed(whole: dict[str, Any], **fields: Any) -> str:
    """A file with other fields in its verdict and a valid checksum."""
    import hashlib

    body = json.loads(whole["body"])
    body["verdict"].update(fields)
    text = json.dumps(body)
    return json.dumps(whole | {"body": text, "sum": hashlib.sha256(text.encode()).hexdigest()})


CONTENTS: dict[str, Callable[[dict[str, Any]], str | bytes]] = {
    "nothing": lambda whole: "",
    "half": lambda whole: json.dumps(whole)[:200],
    "binary": lambda whole: bytes(range(256)),
    "deep": lambda whole: "[" * 200_000,
    "a long number": lambda whole: "1" * 5000,
    "null": lambda whole: "null",
    "a list": lambda whole: "[]",
    "another schema": lambda whole: json.dumps(whole | {"schema": 1}),
    "another name": lambda whole: json.dumps(whole | {"name": "sum-0"}),
    "a body that is no text": lambda whole: json.dumps(whole | {"body": 3}),
    "no body": lambda whole: json.dumps({"schema": 2, "name": NAME}),
    "one word changed": lambda whole: json.dumps(whole).replace("PROVED", "REFUTED"),
    "no such word": lambda whole: changed(whole, word="SURE"),
    "a text for a number": lambda whole: changed(whole, seconds="1"),
    "numbers for texts": lambda whole: changed(whole, obligations=[1]),
    "one more field": lambda whole: changed(whole, colour="red"),
    "too large": lambda whole: b" " * (1 << 21),
}


@pytest.mark.slow
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_broken_file_is_a_warning_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: Callable[[dict[str, Any]], str | bytes]
) -> None:
    memory(tmp_path).keep(KEY, PROVED)
    path = tmp_path / f"{NAME}.json"
    broken = content(json.loads(path.read_text()))
    path.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    proofs = memory(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert proofs.lookup(KEY) is None
        assert proofs.keys_of("var") == [KEY]  # it was asked for
    assert len(caplog.records) == 1
    assert str(tmp_path) in caplog.text
    proofs.keep(KEY, PROVED)
    assert memory(tmp_path).lookup(KEY) == replace(PROVED, cached=True)


PLACES: dict[str, Callable[[Path], object]] = {
    "a directory": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path),
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_something_else_in_its_place_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: Callable[[Path], object]
) -> None:
    place(tmp_path / f"{NAME}.json")
    proofs = memory(tmp_path)
    files = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.WARNING):
        assert proofs.lookup(KEY) is None
        proofs.keep(KEY, PROVED)
    assert proofs.lookup(KEY) == PROVED
    assert len(caplog.records) == 1
    assert len(os.listdir("/proc/self/fd")) <= files
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "where", ["/dev/null/x", "/dev/full", "/proc/none/x", "/" + "a" * 300, "~nobody-of-this-name/x", "\0"]
)
def test_a_directory_that_cannot_be_used_is_a_warning(caplog: pytest.LogCaptureFixture, where: str) -> None:
    with caplog.at_level(logging.WARNING):
        proofs = memory(Path(where))
        assert proofs.lookup(KEY) is None
        proofs.keep(KEY, PROVED)
        assert proofs.lookup(KEY) == PROVED
        assert proofs.keys_of("var") == [KEY]
    assert len(caplog.records) == 1
    assert not Path("~nobody-of-this-name").exists()


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    old, new = tmp_path / "a.part", tmp_path / "b.part"
    for part in (old, new):
        part.write_text("{")
    os.utime(old, (0, 0))
    ProofCache(tmp_path).put(NAME, PROVED)
    assert (old.exists(), new.exists()) == (False, True)


# the key


@pytest.mark.slow
def test_no_module_that_a_proof_loads_is_left_out() -> None:
    """The oracle: the modules that Python loads in a process of its own."""
    code = (
        "import sys\nfrom gradproof.engine.registry import build_registry\nfrom gradproof.plugins import BUILTIN\n"
        "from gradproof.engine.verify.proof import prove\nregistry = build_registry(BUILTIN)\n"
        "for name in ('clip', 'cholesky', 'var', 'sign'):\n    op = registry.op(name)\n"
        "    prove(registry, op, op.proof_cases()[-1])\n"
        "print(*(name for name in sys.modules if name.startswith('gradproof.engine')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    registration = {"gradproof.engine.extend", "gradproof.engine.registering"}  # before any proof, which hashes the ops
    assert set(done.stdout.split()) - registration <= checker_modules()


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("def f():\n    import a.b.c", {"a", "a.b", "a.b.c"}),
        ("from . import one", {"pack.age", "pack.age.one"}),
        ("from .one import two", {"pack.age.one", "pack.age.one.two"}),
        ("from ..one import two", {"pack.one", "pack.one.two"}),
        ("import importlib\nimportlib.import_module('.one', 'x')", {"importlib", "pack.age.one"}),
        ("f = lambda: __import__('a.b')", {"a", "a.b"}),
    ],
)
def test_imports_of_every_kind_are_followed(source: str, modules: set[str]) -> None:
    assert modules <= set(imported_modules(ast.parse(source), "pack.age"))


def test_an_import_that_nobody_can_follow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"line 2: .* a name that is computed"):
        list(imported_modules(ast.parse("name = 'a'\n__import__(name)"), "pack"))


def test_versions_and_the_processor_are_in_the_key() -> None:
    text = " ".join(environment())
    for name in ("sympy", "python-flint", "numpy", "scipy", "ml_dtypes", "gmpy2", "mpmath"):
        assert name in text
    assert sys.version in text


@pytest.mark.slow
def test_two_processes_agree() -> None:
    code = (
        "from gradproof.engine.registry import build_registry\nfrom gradproof.plugins import BUILTIN\n"
        "from gradproof.engine.verify.proof_cache import keys_of, name_of\nregistry = build_registry(BUILTIN)\n"
        "for name in ('clip', 'var', 'erfcx', 'cholesky', 'take'):\n"
        "    print(*(name_of(registry, key) for key in keys_of(registry, registry.op(name))))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert "None" not in said[0]


LAZY = {
    "import shared\n    return x * shared.K": True,
    "from shared import K\n    return x * K": True,
    "from .inner import K\n    return x * K": True,
    "from . import inner\n    return x * inner.K": True,
    "import shared\n    return x * getattr(shared, 'K')": True,
    "return x * importlib.import_module('shared').K": False,
    "return x * globals()['K']": False,
    "return x * float(os.environ['K'])": False,
    "return x * sys.modules['shared'].K": False,
    "return x * float(open('k').read())": False,
    "return x * eval('K')": False,
}


@pytest.mark.parametrize(("body", "readable"), LAZY.items())
def test_what_a_definition_imports_when_it_is_called_is_in_the_key(
    body: str, readable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is not saved where the module is not loaded yet, or where the import may reach anything."""
    scope: dict[str, Any] = {"__package__": "packed", "__name__": "packed.plugin"}
    exec(f"import importlib, os, sys\ndef define(f, x):\n    {body}", scope)
    define = scope["define"]
    assert isinstance(define, FunctionType)
    shared, inner, package = ModuleType("shared"), ModuleType("packed.inner"), ModuleType("packed")
    monkeypatch.setitem(sys.modules, "packed", package)
    with pytest.raises(Unreadable):
        fingerprint([define])
    for name, module in (("shared", shared), ("packed.inner", inner)):
        module.K = 2  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    package.inner = inner  # type: ignore[attr-defined]
    if not readable:
        with pytest.raises(Unreadable):
            fingerprint([define])
        return
    before = fingerprint([define])
    assert fingerprint([define]) == before
    shared.K = inner.K = 3  # type: ignore[attr-defined]
    assert fingerprint([define]) != before


def test_the_checker_is_read_from_its_proof() -> None:
    assert proof.__name__ in checker_modules()


settings = ModuleType("settings_of_a_plugin")
settings.factor = 2  # type: ignore[attr-defined]
computed = "fac" + "tor"


@pytest.mark.parametrize(
    "define",
    [
        lambda f, x: getattr(settings, computed) * x,
        lambda f, x: settings.__dict__[computed] * x,
        lambda f, x: operator.attrgetter(computed)(settings) * x,
    ],
    ids=["getattr", "the dictionary", "attrgetter"],
)
def test_a_member_that_is_found_by_a_computed_name_is_part_of_the_key(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint([define])
    monkeypatch.setattr(settings, "factor", 3)
    assert fingerprint([define]) != before


@pytest.mark.parametrize(
    "define",
    [
        lambda f, x: float(np.load("weights.npy")) * x,
        lambda f, x: float(np.fromfile("weights")[0]) * x,
        lambda f, x: x if os.path.exists("flag") else 2 * x,
        lambda f, x: x if Path("flag").is_file() else 2 * x,
        lambda f, x: float(subprocess.run(["cat", "weights"], stdout=subprocess.PIPE, check=True).stdout) * x,
        lambda f, x: x if time.time() > 0 else 2 * x,
        lambda f, x: random.random() * x,
    ],
    ids=["load", "fromfile", "exists", "a path", "a process", "a clock", "a generator"],
)
def test_what_looks_at_the_world_is_kept_nowhere(define: Any) -> None:
    with pytest.raises(Unreadable, match="may read the world outside"):
        fingerprint([define])


def record(default: int, order: bool, factory: Callable[[], Any]) -> Any:
    """A definition over a dataclass."""

    @dataclass(frozen=True, order=order)  # type: ignore[literal-required]
    class Record:
        factor: int = default
        rest: Any = field(default_factory=factory)

    return lambda f, x: Record().factor * x


def test_a_dataclass_is_read_in_all_that_it_does() -> None:
    digests = [
        fingerprint([record(*made)]) for made in ((1, False, list), (2, False, list), (1, True, list), (1, False, dict))
    ]
    assert len(set(digests)) == len(digests)
    assert fingerprint([record(1, False, list)]) == digests[0]


@pytest.mark.slow
def test_all_of_ours_can_be_read() -> None:
    for op in REGISTRY.ops.values():
        for case_ in op.proof_cases()[:1] if op.differentiable else ():
            assert name_of(REGISTRY, ProofKey(op.name, case_)) is not None
