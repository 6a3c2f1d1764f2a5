"""The graph by the names of torch.autograd.graph: nodes, edges, hooks on several gradients and on saved tensors."""

from __future__ import annotations

from gradproof.client.autograd.saved import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from gradproof.client.backward.gradient_edge import GradientEdge, get_gradient_edge
from gradproof.client.backward.multi_grad import register_multi_grad_hook
from gradproof.client.recording.hooks import Hookable as Node

__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]
