"""Frames of a session: which tensors they carry."""

from __future__ import annotations

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2


def tensors(message: pb.DifferentiateRequest | pb.EvaluateRequest | pb.HookReply) -> list[tensor_pb2.Tensor]:
    """The tensors of a message; each may be inline, or an upload of the session."""
    if isinstance(message, pb.HookReply):
        return [message.gradient]
    found = [named.value for named in message.values] + [leaf.value for leaf in message.graph.leaves]
    if isinstance(message, pb.DifferentiateRequest):
        found += [seed.cotangent for seed in message.seeds]
        found += [leaf.value for hook in message.hooks for leaf in hook.graph.leaves]
    return found
