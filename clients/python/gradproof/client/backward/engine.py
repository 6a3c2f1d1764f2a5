"""The backward engine: `backward` adds gradients up in ``.grad``, `grad` returns them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from gradproof.client.backward.gradient_edge import GradientEdge, tensor_of
from gradproof.client.backward.hook_results import checked_results
from gradproof.client.backward.passes import run
from gradproof.client.backward.provenance import PassGradient, Provenance, extended_parts, without_history
from gradproof.client.backward.recorded_pass import backward_recorded
from gradproof.client.events import Array
from gradproof.client.recording.apply import apply
from gradproof.client.recording.hooks import label_of
from gradproof.client.recording.modes import enable_grad, no_grad
from gradproof.client.recording.placeholders import is_vectorizing
from gradproof.client.recording.recorded import Recorded, class_of

REFERENCE_CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which "
    "can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use "
    "this function, make sure to reset the .grad fields of your parameters to None after use to break the cycle and avoid "
    "the leak."
)
NO_BACKWARD = (
    "backward() called inside a functorch transform. This is not supported, please use functorch.grad or functorch.vjp "
    "instead or call backward() outside of functorch transforms."
)
UNUSED = (
    "The differentiated Tensor at index {0} appears to not have been used in the graph. Set allow_unused=True if this is "
    "the desired behavior."
)
_warned = False

T = TypeVar("T", bound=Recorded)
Tensors: TypeAlias = Sequence[Recorded | GradientEdge] | Recorded | GradientEdge


def backward(
    tensors: Tensors,
    grad_tensors: Sequence[Recorded | None] | Recorded | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of ``tensors`` to ``.grad`` of the leaves behind them, or of ``inputs``: all of them, or, if
    anything goes wrong, none.

    Args:
        tensors: the roots, tensors or gradient edges.
        grad_tensors: a cotangent of exactly the shape of each root; None for a real root with one element.
        retain_graph: keep the values that the rules need, so that the graph can be run again; default: ``create_graph``.
        create_graph: record the backward pass too, so that its gradients can be differentiated.
        inputs: the tensors that gradients go to, instead of all leaves.

    Raises RuntimeError and TypeError with PyTorch's texts.

    Follows torch.autograd.backward.
    """
    if is_vectorizing():
        raise RuntimeError(NO_BACKWARD)
    roots = sequence_of(tensors)
    seeds = _seeds(roots, grad_tensors)
    targets = None if inputs is None else sequence_of(inputs)
    if targets is not None and not targets:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    if create_graph:
        added = _add_recorded(roots, seeds, targets)
    else:
        added = _add_gradients(roots, seeds, targets, retain_graph=bool(retain_graph))
    for tensor, gradient in added.items():
        for _, hook in tensor.post_hooks:
            if hook(tensor) is not None:
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")
        _run_post_hooks(tensor, gradient)


def _add_recorded(
    roots: Sequence[Recorded], seeds: Sequence[Recorded], inputs: Sequence[Recorded] | None
) -> dict[Recorded, Recorded]:
    """Run a recorded pass and add its gradients to ``.grad``. Returns the gradients that were added."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(REFERENCE_CYCLE, stacklevel=3)
    pulled = backward_recorded(roots, seeds, inputs, accumulates=True)
    with enable_grad():
        added = _after_pre_hooks({t: gradient for t, gradient in pulled.items() if t.requires_grad})
        totals = [
            gradient if t.accumulated is None else apply("add", t.accumulated, gradient) for t, gradient in added.items()
        ]
    parts = [extended_parts(t, _recorded_part(pulled[t], gradient)) for t, gradient in added.items()]
    for tensor, total, own_parts in zip(added, totals, parts, strict=True):
        tensor.accumulated = total
        tensor.provenance = Provenance(total, own_parts)
    return added


def _add_gradients(
    roots: Sequence[Recorded], seeds: Sequence[Recorded], inputs: Sequence[Recorded] | None, *, retain_graph: bool
) -> dict[Recorded, Recorded]:
    """Run a pass and add its gradients to ``.grad``. Returns the gradients that were added."""
    evidence, reached = run(
        roots, [seed.value() for seed in seeds], inputs=inputs, retain_graph=retain_graph, accumulates=True
    )
    arrays = {t: array for t in reached if (array := evidence.total(t)) is not None and (t.requires_grad or t.retains_grad)}
    with no_grad():
        added = _after_pre_hooks({t: t.leaf(array) for t, array in arrays.items()})
    sums = [_accumulated(t, gradient.value()) for t, gradient in added.items()]
    parts = [
        extended_parts(t, PassGradient(evidence, evidence.names_of(t), t.leaf(arrays[t]), gradient))
        for t, gradient in added.items()
    ]
    for tensor, array, own_parts in zip(added, sums, parts, strict=True):
        _set_grad(tensor, array, own_parts)
    return added


def grad(
    outputs: Sequence[T | GradientEdge] | T | GradientEdge,
    inputs: Sequence[T | GradientEdge] | T | GradientEdge,
    grad_outputs: Sequence[T | None] | T | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[T, ...]:
    """`autograd.grad` along a single cotangent of each root."""
    check_unused(allow_unused, materialize_grads)
    roots, targets = sequence_of(outputs), targets_of(inputs)
    seeds = _seeds(roots, grad_outputs)
    check_targets(targets)
    kind = class_of([*roots, *targets]) or targets[0].plain()
    if create_graph or is_vectorizing():
        recorded = backward_recorded(roots, seeds, targets, kind)
        gradients: list[Recorded | None] = [recorded.get(t) for t in targets]
        if not create_graph:
            gradients = [None if g is None else without_history(g) for g in gradients]
    else:
        gradients = _unrecorded_gradients(roots, seeds, targets, bool(retain_graph), kind)
    if materialize_grads:
        gradients = with_zeros(gradients, targets, kind, requires_grad=create_graph)
    elif not allow_unused:
        check_used(gradients)
    return cast("tuple[T, ...]", tuple(gradients))  # None, where it is allowed, is not in the type, as in PyTorch


def with_zeros(
    gradients: Sequence[T | None], targets: Sequence[Recorded], kind: type[T], *, requires_grad: bool
) -> list[T | None]:
    """The gradients, with zeros where no gradient flows."""
    return [
        kind.from_array(np.zeros(t.shape, t.dtype), requires_grad=requires_grad) if gradient is None else gradient
        for t, gradient in zip(targets, gradients, strict=True)
    ]


def check_used(gradients: Sequence[object]) -> None:
    """Raises RuntimeError for the first input that no gradient flows to."""
    for k, gradient in enumerate(gradients):
        if gradient is None:
            raise RuntimeError(UNUSED.format(k))


def check_unused(allow_unused: bool | None, materialize_grads: bool) -> None:
    """Raises ValueError if inputs that are not used are to be an error and zeros."""
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )


def targets_of(inputs: Tensors) -> list[Recorded]:
    """The tensors whose gradients are returned. Raises RuntimeError if there are none."""
    targets = sequence_of(inputs)
    if not targets:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    return targets


def check_targets(targets: Sequence[Recorded]) -> None:
    """Raises RuntimeError if any of ``targets`` does not require grad."""
    if not all(t.requires_grad for t in targets):
        raise RuntimeError("One of the differentiated Tensors does not require grad")


def _unrecorded_gradients(
    roots: Sequence[Recorded],
    seeds: Sequence[Recorded],
    targets: Sequence[Recorded],
    retain_graph: bool,
    kind: type[Recorded],
) -> list[Recorded | None]:
    """The gradients with respect to ``targets``, of a pass that also adds to ``.grad`` of tensors that retain theirs."""
    evidence, reached = run(roots, [seed.value() for seed in seeds], inputs=targets, retain_graph=retain_graph)
    arrays = [evidence.total(t) for t in targets]
    gradients = [None if array is None else kind.from_array(array) for array in arrays]
    for tensor in reached:
        array = evidence.total(tensor)
        if tensor.retains_grad and array is not None:
            part = PassGradient(evidence, evidence.names_of(tensor), tensor.leaf(array))
            _set_grad(tensor, _accumulated(tensor, array), extended_parts(tensor, part))
    for tensor, gradient in zip(targets, gradients, strict=True):
        if gradient is not None:
            gradient.provenance = Provenance(gradient, [PassGradient(evidence, evidence.names_of(tensor), gradient)])
    return list(gradients)


def sequence_of(tensors: Tensors) -> list[Recorded]:
    """The tensors, those of gradient edges among them."""
    return [tensor_of(t) for t in ([tensors] if isinstance(tensors, (Recorded, GradientEdge)) else tensors)]


def _seeds(roots: Sequence[Recorded], gradients: Any) -> list[Recorded]:
    """A cotangent for each root. Raises RuntimeError or TypeError."""
    if gradients is None:
        cotangents: list[Any] = [None] * len(roots)
    elif isinstance(gradients, (list, tuple)):
        cotangents = list(gradients)
    else:
        cotangents = [gradients]
    if len(cotangents) < len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(cotangents)} gradients")
    for root in roots:
        root.check_current()
    seeds = [cotangent_of(root, cotangent, k) for k, (root, cotangent) in enumerate(zip(roots, cotangents, strict=False))]
    check_roots(roots)
    return seeds


def check_roots(roots: Sequence[Recorded]) -> None:
    """Raises RuntimeError if any of ``roots`` does not require grad."""
    for k, root in enumerate(roots):
        if not root.requires_grad:
            raise RuntimeError(f"element {k} of tensors does not require grad and does not have a grad_fn")


def cotangent_of(root: Recorded, gradient: Any, index: int) -> Recorded:
    """The cotangent of a root, by default 1. Raises RuntimeError or TypeError with ``index`` if it does not fit."""
    if gradient is None:
        return _ones(root)
    if isinstance(gradient, (list, tuple)) and len(gradient) == 1:
        gradient = gradient[0]
    if not isinstance(gradient, Recorded):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if gradient.shape != root.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{index}] has a shape of torch.Size({list(gradient.shape)}) and "
            f"output[{index}] has a shape of torch.Size({list(root.shape)})."
        )
    check_dtype(root, gradient, index)
    return gradient


def check_dtype(root: Recorded, gradient: Recorded, index: int) -> None:
    """Raises RuntimeError with ``index`` if a root or its cotangent is complex, and the other is not."""
    if (gradient.dtype.kind == "c") != (root.dtype.kind == "c"):
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{index}] has a dtype of {gradient.dtype.name} and output[{index}] has a dtype of "
            f"{root.dtype.name}."
        )


def _ones(root: Recorded) -> Recorded:
    """The cotangent of a root with one element. Raises RuntimeError for other roots, and for complex ones."""
    if root.requires_grad and root.numel() != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if root.requires_grad and root.dtype.kind == "c":
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {root.dtype.name}")
    return root.leaf(np.ones(root.shape, root.dtype))


def _accumulated(tensor: Recorded, array: Array) -> Array:
    """The sum of ``.grad`` and another gradient, in the dtype of the tensor."""
    if tensor.accumulated is None:
        return np.array(array)
    return np.asarray(tensor.accumulated.value() + array).astype(tensor.dtype)


def _recorded_part(pulled: Recorded, added: Recorded) -> PassGradient | None:
    """The gradient of a recorded pass, and its value after hooks of the leaf."""
    part = pulled.provenance.last if isinstance(pulled.provenance, Provenance) else None
    return PassGradient(part.evidence, part.names, pulled, added) if part is not None else None


def _set_grad(tensor: Recorded, array: Array, parts: Sequence[PassGradient | None]) -> None:
    """Set ``.grad``, in place where there is a gradient already, so that references to it see the sum."""
    if tensor.accumulated is None:
        tensor.accumulated = tensor.leaf(array)
    else:
        array.flags.writeable = False
        tensor.accumulated.become_leaf(array)
    tensor.provenance = Provenance(tensor.accumulated, parts)


def _after_pre_hooks(gradients: dict[Recorded, Recorded]) -> dict[Recorded, Recorded]:
    """Gradients of leaves after the hooks that run before they are added to ``.grad``, without those that hooks removed."""
    results = {leaf: _run_pre_hooks(leaf, gradient) for leaf, gradient in gradients.items()}
    return {leaf: result for leaf, result in results.items() if result is not None}


def _run_pre_hooks(leaf: Recorded, gradient: Recorded) -> Recorded | None:
    gradients: tuple[Recorded | None, ...] = (gradient,)
    hooks = leaf.accumulator_hooks()
    for _, hook in hooks.pre if hooks else ():
        gradients = checked_results(hook(gradients), gradients, label_of(hook)) or gradients
    return gradients[0]


def _run_post_hooks(leaf: Recorded, gradient: Recorded) -> None:
    """Run the hooks after a gradient was added to ``.grad``. They can change nothing."""
    hooks = leaf.accumulator_hooks()
    for _, hook in hooks.post if hooks else ():
        checked_results(hook((), (gradient,)), (), label_of(hook))
