"""Gradients that are returned: `grad`, along a cotangent, or along many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from gradproof.client.backward import engine
from gradproof.client.backward.gradient_edge import GradientEdge
from gradproof.client.backward.pass_plan import visited_nodes
from gradproof.client.backward.passes import FREED
from gradproof.client.backward.provenance import pass_on
from gradproof.client.derivatives.mapped import along_all
from gradproof.client.derivatives.products import Derivatives, Vectors, pull
from gradproof.client.derivatives.program import derived
from gradproof.client.recording.apply import as_subclass
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.placeholders import is_vectorizing
from gradproof.client.recording.recorded import Recorded, class_of
from gradproof.client.recording.runtime import current
from gradproof.client.tensors.tensor import Tensor

T = TypeVar("T", bound=Recorded)


def grad(  # noqa: PLR0913 - the arguments of torch.autograd.grad
    outputs: Sequence[T | GradientEdge] | T | GradientEdge,
    inputs: Sequence[T | GradientEdge] | T | GradientEdge,
    grad_outputs: Sequence[T | None] | T | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[T, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``; ``.grad`` of leaves stays as it is.

    Args:
        outputs: the roots, tensors or gradient edges.
        inputs: the tensors, or gradient edges, whose gradients are returned.
        grad_outputs: a cotangent of exactly the shape of each root; None for a real root with one element.
        retain_graph: as for `backward`.
        create_graph: as for `backward`.
        allow_unused: return None for an input that ``outputs`` do not depend on, instead of an error.
        is_grads_batched: cotangents have a batch axis in front, and so have the gradients: the gradients along all of them,
            in one pass. Where hooks or functions with a backward of their own are on the way, a pass for each.
        materialize_grads: return zeros for an input that ``outputs`` do not depend on.

    Raises RuntimeError, TypeError, ValueError and IndexError with PyTorch's texts.

    Follows torch.autograd.grad.
    """
    if not is_grads_batched:
        return engine.grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    engine.check_unused(allow_unused, materialize_grads)
    roots, targets = engine.sequence_of(outputs), engine.targets_of(inputs)
    batches = _batches(roots, grad_outputs)
    engine.check_roots(roots)
    engine.check_targets(targets)
    graph = graph_of(roots, backward=True)
    nodes = visited_nodes(graph, targets)
    if any(node.freed and node.saves for node in nodes):
        raise RuntimeError(FREED)
    recorded = create_graph or is_vectorizing()
    gradients = derived(_pull_all, cast("list[Tensor]", roots), cast("list[Tensor]", targets), batches, recorded=recorded)
    if not (create_graph if retain_graph is None else retain_graph):
        current().cache.free(graph)
        for node in nodes:
            node.freed = True
    if materialize_grads:
        gradients = engine.with_zeros(gradients, targets, Tensor, requires_grad=create_graph)
    elif not allow_unused:
        engine.check_used(gradients)
    kind = class_of([*roots, *targets]) or Tensor
    return cast("tuple[T, ...]", tuple(None if g is None else _of_class(g, kind) for g in gradients))


def _of_class(gradient: Tensor, kind: type[Recorded]) -> Recorded:
    """A gradient as a tensor of the class ``kind``, with its provenance."""
    if type(gradient) is kind:
        return gradient
    own = kind.from_alias(gradient.spec, gradient) if gradient.node is None else as_subclass(gradient, kind)
    pass_on(gradient, own)
    return own


def _pull_all(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors) -> Derivatives:
    """`pull` along batches of cotangents."""
    return along_all(pull, outputs, inputs, vectors)


def _batches(roots: Sequence[Recorded], gradients: Any) -> list[Tensor]:
    """A batch of cotangents for each root. Raises RuntimeError, TypeError, ValueError and IndexError as PyTorch does."""
    batches = list(gradients) if isinstance(gradients, (list, tuple)) else [gradients]
    if len(batches) < len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(batches)} gradients")
    for k, (root, batch) in enumerate(zip(roots, batches, strict=False)):
        if batch is None:
            raise ValueError(
                "vmap(vjp, in_dims=0, ...)(<inputs>): Got in_dim=0 for some input, but that input is a Tensor of "
                "dimensionality 0 so expected in_dim to satisfy 0 <= in_dim < 0."
            )
        if not isinstance(batch, Recorded):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(batch).__name__}")
        if not batch.shape:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
                "0-dim tensor to a number"
            )
        if batch.shape[1:] != root.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. "
                "The sizes of the remaining dimensions are expected to match the shape of corresponding output, but a "
                f"mismatch was detected: grad_output[{k}] has a shape of torch.Size({list(batch.shape)}) and output[{k}] "
                f"has a shape of torch.Size({list(root.shape)}). If you only want some tensors in `grad_output` to be "
                "considered batched, consider using vmap."
            )
        engine.check_dtype(root, batch, k)
    sizes = [batch.shape[0] for batch in batches]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped "
            "dimension"
        )
    return batches[: len(roots)]
