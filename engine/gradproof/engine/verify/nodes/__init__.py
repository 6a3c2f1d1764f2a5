"""The check of a large node: its numbers enclosed in arrays of balls, doubtful elements and a sample read by Arb."""

from gradproof.engine.verify.nodes.node import check_node

__all__ = ["check_node"]
