"""Progress of the check of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.verdict import RuleVerdict


@dataclass
class Progress:
    """Proofs that a check requested because they were unknown, and the nodes whose numbers it reads. Written by the
    checking thread, read by any thread."""

    proofs: list[ProofKey] = field(default_factory=list)
    nodes: Callable[[], tuple[int, int]] = lambda: (0, 0)
    """Number of nodes that have been read, and of all nodes to read."""

    def proofs_done(self, lookup: Callable[[ProofKey], RuleVerdict | None]) -> int:
        """Number of requested proofs that are known now."""
        return sum(lookup(key) is not None for key in list(self.proofs))
