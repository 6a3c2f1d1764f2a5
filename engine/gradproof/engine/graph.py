"""Graph of named values, as a client sends it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from gradproof.engine.attributes import Attributes
from gradproof.engine.cancellation import watched
from gradproof.engine.spec import Spec


@dataclass(frozen=True, slots=True)
class Leaf:
    """A named input of the graph."""

    name: str
    spec: Spec
    requires_grad: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """The backward rule of ``op`` for inputs of these specs."""

    op: str
    inputs: tuple[Spec, ...]
    attributes: Attributes = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The rule in full: two rules are equal if their texts are."""
        return f"{self.op!r} {[str(spec) for spec in self.inputs]} {sorted(self.attributes.items())!r}"


@dataclass(frozen=True, slots=True)
class Node:
    """An application of an op to named values; ``outputs`` names its results, ``rules`` are the indices in `Graph.rules`
    of the rules that it was derived by."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes = field(default_factory=dict)
    rules: tuple[int, ...] = ()


class Rules:
    """A growing table of rules without repetitions."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules: list[Rule] = []
        self._index: dict[str, int] = {}
        for rule in watched(rules):
            self.index(rule)

    def index(self, rule: Rule) -> int:
        """The index of a rule, which is added if it is new."""
        index = self._index.setdefault(rule.text, len(self.rules))
        if index == len(self.rules):
            self.rules.append(rule)
        return index

    def moved(self, nodes: Iterable[Node], rules: Sequence[Rule]) -> Iterator[Node]:
        """Nodes of a graph whose table is ``rules``, with the indices of this table."""
        known: dict[int, int] = {}
        for node in watched(nodes):
            for k in node.rules:
                if k not in known:
                    known[k] = self.index(rules[k])
            yield replace(node, rules=tuple(dict.fromkeys(known[k] for k in node.rules))) if node.rules else node


@dataclass(frozen=True, slots=True)
class Graph:
    """Leaves, nodes (in any order), the names of the outputs, and the rules that nodes were derived by. Holds no values."""

    leaves: tuple[Leaf, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    _digest: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def digest(self) -> str:
        """SHA-256 of the structure (not the values): 64 hex digits, opaque to clients."""
        if not self._digest:
            self._digest.append(self._hashed())
        return self._digest[0]

    def _hashed(self) -> str:
        sha = hashlib.sha256(b"gradproof graph 1\n")
        for leaf in watched(self.leaves):
            weak = " weak" * leaf.spec.weak
            sha.update(f"{leaf.name!r} {leaf.spec}{weak} {leaf.requires_grad}\n".encode())
        for node in watched(self.nodes):
            derived = f" by {node.rules!r}" if node.rules else ""
            text = f"{node.op!r} {node.inputs!r} {node.outputs!r} {sorted(node.attributes.items())!r}{derived}\n"
            sha.update(text.encode())
        for rule in watched(self.rules):
            sha.update(f"rule {rule.text}\n".encode())
        sha.update(repr(self.outputs).encode())
        return sha.hexdigest()


def names_of(graph: Graph) -> set[str]:
    """Names of all values of a graph, also of values whose shape cannot be inferred."""
    return {*(leaf.name for leaf in graph.leaves), *(name for node in graph.nodes for name in node.outputs)}
