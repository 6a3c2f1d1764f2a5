"""Rule verdicts for the check of a run: those that are known, and those that the check waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_cache.shape_class import NO_CASE
from gradproof.engine.verify.runs import Progress
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.engine.verify.verdict.advice import AGAIN

POLL_SECONDS = 0.1  # between two checks, while waiting for a proof, that the caller still waits


class Proofs(Protocol):
    """Source of rule verdicts."""

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        """The verdict if it is known; must not wait."""

    def request(self, key: ProofKey) -> None:
        """Request a proof; must not wait."""

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        """Wait until all verdicts are known, or the time is over."""


class RuleVerdicts:
    """Rule verdicts for the check of a run, which waits for proofs up to ``wait`` seconds in total.

    ``finish_numbers`` is called before the first wait, so that a proof that hangs takes no time from the numbers.
    """

    def __init__(
        self,
        proofs: Proofs,
        progress: Progress,
        wait: float,
        deadline: float,
        gone: Callable[[], bool],
        finish_numbers: Callable[[], None],
    ) -> None:
        self.proofs, self.progress = proofs, progress
        self.wait, self.deadline, self.gone, self.finish_numbers = wait, deadline, gone, finish_numbers

    def request(self, key: ProofKey | None) -> None:
        """Request a proof that is not known yet."""
        if key is not None and self.proofs.lookup(key) is None:
            self.proofs.request(key)
            self.progress.proofs.append(key)

    def verdict(self, op: str, key: ProofKey | None) -> RuleVerdict:
        """The verdict on a rule of ``op``; PENDING if it is not proved in time."""
        if key is None:
            return RuleVerdict(RuleWord.UNDECIDED, op, reason=NO_CASE)
        known = self.proofs.lookup(key)
        if known is None and self.wait > 0:
            self.finish_numbers()
        while known is None and (left := min(self.wait, self.deadline - time.monotonic())) > 0 and not self.gone():
            started = time.monotonic()
            self.proofs.wait([key], min(left, POLL_SECONDS))
            self.wait -= time.monotonic() - started
            known = self.proofs.lookup(key)
        return known or RuleVerdict(
            RuleWord.PENDING, op, str(key.case), reason=f"not proved yet: its proof is queued; {AGAIN}"
        )
