"""What runs in a proof process: it is told import paths and keys, never expressions, and may be killed at any time."""

from __future__ import annotations

import importlib
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from gradproof.engine.graph import Graph
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array
from gradproof.engine.verify.classes import ProofKey
from gradproof.engine.verify.formulas import Explained, explain
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import RuleVerdict

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


def prove_key(key: ProofKey) -> RuleVerdict:
    """Prove one rule in one shape class."""
    assert _registry is not None
    return prove(_registry, _registry.op(key.op), key.case)


def explain_value(graph: Graph, name: str, values: Mapping[str, Array]) -> Explained:
    """The formulas of one value. Raises NoFormula."""
    assert _registry is not None
    return explain(graph, _registry, name, values)


def ready() -> bool:
    """Answers once the process is up."""
    return _registry is not None
