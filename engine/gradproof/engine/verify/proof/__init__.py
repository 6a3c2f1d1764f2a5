"""Proof of a rule: whether it is the derivative of the definition of its op."""

from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.proof import prove

__all__ = ["BehaviourFault", "prove"]
