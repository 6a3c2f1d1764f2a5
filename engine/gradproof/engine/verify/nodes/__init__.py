"""The check of one large node: its numbers in arrays of balls, what is in doubt and a sample in Arb."""

from gradproof.engine.verify.nodes.node import check_node

__all__ = ["check_node"]
