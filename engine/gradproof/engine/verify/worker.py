"""What runs in a proof process: it is told import paths and keys, never expressions, and may be killed at any time."""

from __future__ import annotations

import importlib
import math
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradproof.engine.graph import Graph
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array
from gradproof.engine.verify.classes import ProofKey, name_of
from gradproof.engine.verify.cputime import OutOfTime, cpu_seconds
from gradproof.engine.verify.formulas import Explained, explain
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import Rule, RuleVerdict

ANOTHER = "the rule traces differently in the proof process"
FAR = 4.0  # more than there are threads in a process that proves

_registry: Registry | None = None


def load(source: str) -> Any:
    """The plugin at an import path, ``module`` or ``module:attribute``."""
    module, _, attribute = source.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        found = getattr(found, part)
    return found


def start(sources: Sequence[str], extra_bytes: int) -> None:
    """Run once in each process: build the registry again, and cap the memory at what is mapped now plus
    ``extra_bytes``."""
    global _registry
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _registry = build_registry([load(source) for source in sources])  # each was accepted before
    with open("/proc/self/statm", encoding="ascii") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + extra_bytes, mapped + extra_bytes))


def limit(seconds: float) -> None:
    """End this process by itself once it has worked far longer than who started it would let it: that one may be gone, and
    then nobody else stops it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + FAR * seconds), hard))


def prove_key(key: ProofKey, seconds: float) -> RuleVerdict:
    """Prove one rule in one shape class, for which there are ``seconds``: the rule that was asked about, and no other that
    this process happens to make of it."""
    limit(seconds)
    assert _registry is not None
    if key.program and ProofKey(key.op, key.case).traced(_registry).program != key.program:
        return RuleVerdict(Rule.UNDECIDED, key.op, str(key.case), reason=ANOTHER)
    digest = name_of(_registry, key) or ""
    try:
        with cpu_seconds(seconds):
            verdict = prove(_registry, _registry.op(key.op), key.case)
    except OutOfTime as error:
        verdict = RuleVerdict(
            Rule.UNDECIDED, key.op, str(key.case), reason=str(error), seconds=seconds, budget=float(seconds)
        )
    return replace(verdict, digest=digest)


def explain_value(graph: Graph, name: str, values: Mapping[str, Array], seconds: float) -> Explained:
    """The formulas of one value, for which there are ``seconds``. Raises NoFormula."""
    limit(seconds)
    assert _registry is not None
    return explain(graph, _registry, name, values)


def ready() -> bool:
    """Answers once the process is up."""
    return _registry is not None
