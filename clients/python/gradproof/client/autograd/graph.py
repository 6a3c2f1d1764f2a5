"""The graph by the names of torch.autograd.graph: nodes, edges, hooks on several gradients."""

from __future__ import annotations

from gradproof.client.backward.gradient_edge import GradientEdge, get_gradient_edge
from gradproof.client.backward.multi_grad import register_multi_grad_hook
from gradproof.client.recording.hooks import Hookable as Node

__all__ = ["GradientEdge", "Node", "get_gradient_edge", "register_multi_grad_hook"]
