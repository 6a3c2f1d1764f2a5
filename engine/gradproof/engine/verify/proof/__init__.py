"""Proof of a rule: whether it is the derivative of the definition of its op."""
