"""Backward passes as PyTorch's users know them: `backward`, `grad`, and the modes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.client.backward import functional
from gradproof.client.backward.accumulation import after, before
from gradproof.client.backward.derived import backward_recorded
from gradproof.client.backward.multi import register_multi_grad_hook
from gradproof.client.backward.passes import run
from gradproof.client.backward.standing import Part, Standing, grown, rows
from gradproof.client.recording.modes import (
    detect_anomaly,
    enable_grad,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)
from gradproof.client.tensors.tensor import Tensor

W2 = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which "
    "can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use "
    "this function, make sure to reset the .grad fields of your parameters to None after use to break the cycle and avoid "
    "the leak."
)
_warned = False


def backward(
    tensors: Sequence[Tensor] | Tensor,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """Add the gradients of ``tensors`` to ``.grad`` of the leaves behind them, or of ``inputs``: all of them, or, if
    anything goes wrong, none.

    Args:
        tensors: the roots.
        grad_tensors: a cotangent of exactly the shape of each root; None for a real root with one element.
        retain_graph: keep what the rules need, so that the graph can be run again; default: ``create_graph``.
        create_graph: record the backward pass too, so that its gradients can be differentiated.
        inputs: where gradients go, instead of to all leaves.

    Raises RuntimeError and TypeError with PyTorch's texts.
    """
    global _warned
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    seeds = _seeds(roots, grad_tensors)
    if inputs is not None:
        inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    if create_graph:
        if not _warned:
            _warned = True
            warnings.warn(W2, stacklevel=2)
        gradients = backward_recorded(roots, seeds, inputs)
        with enable_grad():
            left = {t: before(t, gradient) for t, gradient in gradients.items() if t._requires_grad}
        added = {t: gradient for t, gradient in left.items() if gradient is not None}
        totals = [gradient if t._grad is None else t._grad + gradient for t, gradient in added.items()]
        parts = [grown(t, _part(gradients[t], gradient)) for t, gradient in added.items()]
        for tensor, total, own in zip(added, totals, parts, strict=True):
            tensor._grad = total
            tensor._evidence = Standing(total, own)
    else:
        evidence, reached = run(roots, [_array(s) for s in seeds], wanted=inputs, retain_graph=bool(retain_graph))
        arrays = {id(t): evidence.total(t) for t in reached}
        reached = [t for t in reached if t._requires_grad or t._retains]
        with no_grad():
            left = {t: before(t, Tensor(array)) for t in reached if (array := arrays[id(t)]) is not None}
        added = {t: gradient for t, gradient in left.items() if gradient is not None}
        sums = [_accumulated(t, gradient.value()) for t, gradient in added.items()]
        passes = [Part(evidence, evidence.names_of(t), _seen(arrays[id(t)]), gradient) for t, gradient in added.items()]
        parts = [grown(t, part) for t, part in zip(added, passes, strict=True)]
        for tensor, array, own in zip(added, sums, parts, strict=True):
            _keep(tensor, array, own)
    for tensor, gradient in added.items():
        for _, hook in tensor._posthooks:
            if hook(tensor) is not None:
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")
        after(tensor, gradient)


def grad(
    outputs: Sequence[Tensor] | Tensor,
    inputs: Sequence[Tensor] | Tensor,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``; ``.grad`` of leaves stays as it is.

    ``allow_unused``: None for an input that ``outputs`` do not depend on, instead of an error; ``materialize_grads``:
    zeros for it. ``is_grads_batched``: cotangents have one axis more, in front, and so have the gradients. The others are
    those of `backward`. Raises RuntimeError, TypeError and ValueError with PyTorch's texts.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        return _batched(roots, wanted, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    seeds = _seeds(roots, grad_outputs)
    if not all(t.requires_grad for t in wanted):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    if create_graph:
        recorded = backward_recorded(roots, seeds, wanted)
        found: list[Tensor | None] = [recorded.get(t) for t in wanted]
    else:
        evidence, reached = run(roots, [_array(s) for s in seeds], wanted=wanted, retain_graph=bool(retain_graph))
        arrays = [evidence.total(t) for t in wanted]
        found = [None if array is None else Tensor(array) for array in arrays]
        for tensor in reached:
            array = evidence.total(tensor)
            if tensor._retains and array is not None:
                part = Part(evidence, evidence.names_of(tensor), _seen(array))
                _keep(tensor, _accumulated(tensor, array), grown(tensor, part))
        for tensor, gradient in zip(wanted, found, strict=True):
            if gradient is not None:
                gradient._evidence = Standing(gradient, [Part(evidence, evidence.names_of(tensor), gradient)])
    for k, (tensor, gradient) in enumerate(zip(wanted, found, strict=True)):
        if gradient is None and materialize_grads:
            found[k] = Tensor(np.zeros(tensor.shape, tensor.dtype))
        elif gradient is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {k} appears to not have been used in the graph. Set allow_unused=True "
                "if this is the desired behavior."
            )
    return tuple(found)


def _batched(
    roots: Sequence[Tensor], wanted: Sequence[Tensor], seeds: Any, retain: Any, create: bool, unused: Any, zeros: bool
) -> tuple[Any, ...]:
    """One pass for each cotangent along the leading axis."""
    from gradproof.client.recording.apply import apply

    given = [seeds] if isinstance(seeds, Tensor) else list(seeds)
    found = []
    count = len(given[0])
    for k in range(count):
        keep = retain if k == count - 1 else True
        found.append(grad(roots, wanted, [g[k] for g in given], keep, create, unused, False, zeros))
    columns = zip(*found, strict=True)
    return tuple(None if column[0] is None else rows(apply("stack", *column, axis=0), column) for column in columns)


def _seeds(roots: Sequence[Tensor], gradients: Any) -> list[Tensor]:
    """A cotangent for each root. Raises RuntimeError or TypeError."""
    if gradients is None:
        given: list[Any] = [None] * len(roots)
    elif isinstance(gradients, (list, tuple)):
        given = list(gradients)
    else:
        given = [gradients]
    if len(given) < len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    seeds = [_seed(root, gradient, k) for k, (root, gradient) in enumerate(zip(roots, given, strict=False))]
    for k, root in enumerate(roots):
        if not root.requires_grad:
            raise RuntimeError(f"element {k} of tensors does not require grad and does not have a grad_fn")
    return seeds


def _seed(root: Tensor, gradient: Any, index: int) -> Tensor:
    if gradient is None:
        if root.requires_grad and root.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        if root.requires_grad and root.dtype.kind == "c":
            raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {root.dtype.name}")
        return Tensor(np.ones(root.shape, root.dtype))
    if isinstance(gradient, (list, tuple)) and len(gradient) == 1:
        gradient = gradient[0]
    if not isinstance(gradient, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if gradient.shape != root.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{index}] has a shape of torch.Size({list(gradient.shape)}) and "
            f"output[{index}] has a shape of torch.Size({list(root.shape)})."
        )
    if (gradient.dtype.kind == "c") != (root.dtype.kind == "c"):
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{index}] has a dtype of {gradient.dtype.name} and output[{index}] has a dtype of "
            f"{root.dtype.name}."
        )
    return gradient


def _array(seed: Tensor) -> np.ndarray[Any, Any]:
    return seed.value()


def _accumulated(tensor: Tensor, array: Any) -> np.ndarray[Any, Any]:
    """``.grad`` and one gradient more, in the dtype of the tensor."""
    before = tensor._grad
    if before is None:
        return np.array(array)
    return np.asarray(before.value() + array).astype(tensor.dtype)


def _seen(array: Any) -> Tensor:
    return Tensor(np.asarray(array))


def _part(pulled: Tensor, added: Tensor) -> Part | None:
    """What a recorded pass gave, and what hooks made of it before it was added."""
    part = pulled._evidence.last if pulled._evidence is not None else None
    return Part(part.evidence, part.names, pulled, added) if part is not None else None


def _keep(tensor: Tensor, array: np.ndarray[Any, Any], parts: Sequence[Part | None]) -> None:
    """Into ``.grad``, with what it is made of: the same object as before, where there is one, so that who holds it sees the
    sum."""
    if tensor._grad is None:
        tensor._grad = Tensor(array)
    else:
        array.flags.writeable = False
        tensor._grad._value, tensor._grad._node, tensor._grad._alias = array, None, None
    tensor._evidence = Standing(tensor._grad, parts)


__all__ = [
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "register_multi_grad_hook",
    "set_detect_anomaly",
    "set_grad_enabled",
]
