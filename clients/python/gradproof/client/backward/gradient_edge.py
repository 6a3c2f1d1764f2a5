"""Gradient edges: an output of a node, in place of the tensor."""

from __future__ import annotations

from typing import NamedTuple

from gradproof.client.recording.record import AccumulateGrad, Node, accumulator_of
from gradproof.client.recording.recorded import Recorded


class GradientEdge(NamedTuple):
    """An output of a node, which `autograd.backward` and `autograd.grad` take in place of a tensor.

    Attributes:
        node: the node that made the tensor; of a leaf its `AccumulateGrad`.
        output_nr: the position among the outputs of the node.
        ownership_token: None; a node lives as long as an edge of it.

    Follows torch.autograd.graph.GradientEdge.
    """

    node: Node | AccumulateGrad
    output_nr: int
    ownership_token: object = None


def get_gradient_edge(tensor: Recorded) -> GradientEdge:
    """The edge of a tensor. Raises RuntimeError for a tensor that does not require grad.

    Follows torch.autograd.graph.get_gradient_edge.
    """
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(tensor.grad_fn or accumulator_of(tensor), tensor.slot)


def tensor_of(edge: Recorded | GradientEdge) -> Recorded:
    """The tensor at an edge."""
    if isinstance(edge, Recorded):
        return edge
    node, slot = edge.node, edge.output_nr
    return node.variable if isinstance(node, AccumulateGrad) else node.held(slot)
