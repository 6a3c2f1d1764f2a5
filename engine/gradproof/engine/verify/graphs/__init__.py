"""Check of whole graphs: gradients against the derivative of the forward pass, without rules."""

from gradproof.engine.verify.graphs.wholegraph import check_graph

__all__ = ["check_graph"]
