"""Tensors that the frames of a session carry."""

from __future__ import annotations

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2


def tensors(message: pb.DifferentiateRequest | pb.EvaluateRequest | pb.HookReply) -> list[tensor_pb2.Tensor]:
    """The tensors of a message, with elements inline or in chunks."""
    if isinstance(message, pb.HookReply):
        return [message.gradient]
    carried = [named.value for named in message.input.values] + [leaf.value for leaf in message.input.graph.leaves]
    if isinstance(message, pb.DifferentiateRequest):
        carried += [seed.cotangent for seed in message.seeds]
        carried += [leaf.value for hook in message.hooks for leaf in hook.graph.leaves]
    return carried
