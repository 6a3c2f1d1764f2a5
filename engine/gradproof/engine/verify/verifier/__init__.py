"""Verifier: from a finished run to a verdict per gradient."""

from gradproof.engine.verify.verifier.check import LATE, too_late
from gradproof.engine.verify.verifier.rule_verdicts import Proofs
from gradproof.engine.verify.verifier.verifier import Verifier

__all__ = ["LATE", "Proofs", "Verifier", "too_late"]
