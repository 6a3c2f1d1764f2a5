"""Progress of the check of a run, counted while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.verdict import RuleVerdict


@dataclass
class Progress:
    """Proofs that a check needs and that were not known when it asked for them, and the nodes whose numbers it reads. The
    thread that checks writes it, and any thread may read it."""

    proofs: list[ProofKey] = field(default_factory=list)
    nodes: Callable[[], tuple[int, int]] = lambda: (0, 0)
    """The number of nodes that have been read, and of all nodes to read."""

    def proofs_done(self, lookup: Callable[[ProofKey], RuleVerdict | None]) -> int:
        """The number of proofs that are known now."""
        return sum(lookup(key) is not None for key in list(self.proofs))
