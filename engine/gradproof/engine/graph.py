"""What a client sends: a graph of named values, as data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradproof.engine.spec import Spec


@dataclass(frozen=True, slots=True)
class Leaf:
    """A named input of the graph."""

    name: str
    spec: Spec
    requires_grad: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One application of an op to named values; ``outputs`` names its results."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Leaves, nodes (in any order) and the names of the outputs. Holds no values."""

    leaves: tuple[Leaf, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    _digest: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def digest(self) -> str:
        """A name for the structure (not the values): 64 hex digits, opaque to clients."""
        if not self._digest:
            self._digest.append(self._hashed())
        return self._digest[0]

    def _hashed(self) -> str:
        sha = hashlib.sha256(b"gradproof graph 1\n")
        for leaf in self.leaves:
            weak = " weak" * leaf.spec.weak
            sha.update(f"{leaf.name!r} {leaf.spec}{weak} {leaf.requires_grad}\n".encode())
        for node in self.nodes:
            sha.update(f"{node.op!r} {node.inputs!r} {node.outputs!r} {sorted(node.attributes.items())!r}\n".encode())
        sha.update(repr(self.outputs).encode())
        return sha.hexdigest()
