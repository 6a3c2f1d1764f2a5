"""Sources of rule verdicts that need no pool of processes."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.conftest import REGISTRY

from gradproof.engine.registry import Registry
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.verdict import (
    RuleVerdict,
    RuleWord,
)


class LocalProofs:
    """Proofs in this process, made when they are requested."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.known: dict[ProofKey, RuleVerdict] = {}

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        return self.known.get(key)

    def request(self, key: ProofKey) -> None:
        self.known[key] = prove(self.registry, self.registry.op(key.op), key.case)

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        pass


class SharedProofs(LocalProofs):
    """As `LocalProofs`, with proofs of the built-in ops shared by all tests of this process. A key names the program of its
    rule, so that another rule is another proof."""

    together: ClassVar[dict[ProofKey, RuleVerdict]] = {}

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        if registry is REGISTRY:
            self.known = self.together


class NoProofs(LocalProofs):
    """No proof is ever known."""

    def request(self, key: ProofKey) -> None:
        pass


class AssumedProofs(LocalProofs):
    """Every rule counts as proved, so that only numbers are checked."""

    def request(self, key: Any) -> None:
        self.known[key] = RuleVerdict(RuleWord.PROVED, key.op)
