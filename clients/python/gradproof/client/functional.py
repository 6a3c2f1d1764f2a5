"""Jacobians, Hessians and products with them, of Python functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from gradproof.client.backward.provenance import attach_rows, without_history
from gradproof.client.backward.recorded_pass import backward_recorded
from gradproof.client.recording.apply import apply_as
from gradproof.client.recording.modes import enable_grad
from gradproof.client.tensors.constructors import as_tensor, zeros, zeros_like
from gradproof.client.tensors.tensor import Tensor

NO_OUTPUT_VECTOR = (
    "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
)
NO_INPUT_VECTOR = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."
)
Function: TypeAlias = Callable[..., Any]
Tensors: TypeAlias = Tensor | tuple[Tensor, ...]
InputT = TypeVar("InputT", bound=Tensors)
OutputT = TypeVar("OutputT", bound=Tensors)
Product: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], list[Tensor]]


@overload
def jacobian(func: Callable[..., OutputT], inputs: Tensor, create_graph: bool = False, strict: bool = False) -> OutputT: ...
@overload
def jacobian(
    func: Callable[..., OutputT], inputs: tuple[Tensor, ...], create_graph: bool = False, strict: bool = False
) -> tuple[OutputT, ...]: ...
def jacobian(func: Function, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """The Jacobian of ``func`` at ``inputs``, of shape ``output.shape + input.shape``; for several outputs or inputs a
    tuple (of tuples) of them. An output that does not depend on an input has zeros there, or is an error if ``strict``.

    Follows torch.autograd.functional.jacobian.
    """
    several_inputs, primals = _primals(inputs, create_graph)
    several_outputs, outputs = _call(func, primals)
    _check_strict(outputs, strict)
    blocks = [tuple(_results(True, _jacobian(y, primals), create_graph)) for y in outputs]
    per_output = tuple(row if several_inputs else row[0] for row in blocks)
    return per_output if several_outputs else per_output[0]


@overload
def hessian(func: Callable[..., Tensor], inputs: Tensor, create_graph: bool = False, strict: bool = False) -> Tensor: ...
@overload
def hessian(
    func: Callable[..., Tensor], inputs: tuple[Tensor, ...], create_graph: bool = False, strict: bool = False
) -> tuple[tuple[Tensor, ...], ...]: ...
def hessian(func: Function, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """The Hessian of ``func``, whose result must have one element; for several inputs a tuple of tuples.

    Follows torch.autograd.functional.hessian.
    """
    several, primals = _primals(inputs, create_graph)
    _, outputs = _call(func, primals)
    _check_strict(outputs, strict)
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
    gradients = _gradient(outputs[0], primals)
    rows = tuple(tuple(_results(True, _jacobian(g, primals), create_graph)) for g in gradients)
    return rows if several else rows[0][0]


def vjp(
    func: Callable[..., OutputT], inputs: InputT, v: OutputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[OutputT, InputT]:
    """``func(inputs)``, and the product of ``v`` with its Jacobian. ``v`` may be left out if the result has one element.

    Follows torch.autograd.functional.vjp.
    """
    several_inputs, primals = _primals(inputs, create_graph)
    several_outputs, outputs = _call(func, primals)
    _check_strict(outputs, strict)
    pulled = _pull(outputs, _vectors(v, outputs, NO_OUTPUT_VECTOR), primals)
    return _results(several_outputs, outputs, create_graph), _results(several_inputs, pulled, create_graph)


def jvp(
    func: Callable[..., OutputT], inputs: InputT, v: InputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[OutputT, OutputT]:
    """``func(inputs)``, and the product of its Jacobian with ``v``, which may be left out if the input has one element.

    Follows torch.autograd.functional.jvp.
    """
    _, primals = _primals(inputs, create_graph)
    several, outputs = _call(func, primals)
    _check_strict(outputs, strict)
    pushed = _push(outputs, primals, _vectors(v, primals, NO_INPUT_VECTOR))
    return _results(several, outputs, create_graph), _results(several, pushed, create_graph)


def hvp(
    func: Callable[..., Tensor], inputs: InputT, v: InputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, InputT]:
    """``func(inputs)``, and the product of its Hessian with ``v``. Follows torch.autograd.functional.hvp."""
    return _hessian_product(func, inputs, v, create_graph, strict, _push)


def vhp(
    func: Callable[..., Tensor], inputs: InputT, v: InputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, InputT]:
    """``func(inputs)``, and the product of ``v`` with its Hessian (which is symmetric: one pass less than `hvp`).

    Follows torch.autograd.functional.vhp.
    """
    return _hessian_product(
        func, inputs, v, create_graph, strict, lambda gradients, primals, vectors: _pull(gradients, vectors, primals)
    )


def tangents_of(outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor | None]:
    """The tangents of ``outputs`` by forward differentiation: the derivative of a backward pass in its cotangents, in which
    it is linear. (J. Townsend, "A new trick for calculating Jacobian vector products", 2017.)"""
    dummies = [zeros_like(y, requires_grad=True) for y in outputs]
    pulled = backward_recorded(outputs, dummies, inputs)
    pairs = [(pulled[x], v) for x, v in zip(inputs, tangents, strict=True) if x in pulled and pulled[x].requires_grad]
    if not pairs:
        return [None] * len(outputs)
    pushed = backward_recorded([g for g, _ in pairs], [v for _, v in pairs], dummies)
    return [_tensor(pushed[dummy]) if dummy in pushed else None for dummy in dummies]


def _hessian_product(
    func: Function, inputs: InputT, v: InputT | None, create_graph: bool, strict: bool, product: Product
) -> tuple[Tensor, InputT]:
    several_inputs, primals = _primals(inputs, create_graph)
    several_outputs, outputs = _call(func, primals)
    _check_strict(outputs, strict)
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError("The Tensor returned by the function given to hvp should contain a single element")
    vectors = _vectors(v, primals, NO_INPUT_VECTOR)
    products = product(_gradient(outputs[0], primals), primals, vectors)
    return _results(several_outputs, outputs, create_graph), _results(several_inputs, products, create_graph)


def _primals(inputs: Any, differentiable: bool) -> tuple[bool, list[Tensor]]:
    """Whether there are several inputs, and leaves (or, to be differentiated further, views) that require grad."""
    several = isinstance(inputs, (tuple, list))
    primals = []
    for x in inputs if several else [inputs]:
        with enable_grad():
            primal = x.clone() if differentiable and x.requires_grad else as_tensor(x).detach()
        if primal.dtype.kind in "biu":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        primals.append(primal.requires_grad_())
    return several, primals


def _call(func: Function, primals: Sequence[Tensor]) -> tuple[bool, list[Tensor]]:
    """Whether ``func`` returns several tensors, and these."""
    with enable_grad():
        result = func(*primals)
    several = isinstance(result, (tuple, list))
    outputs = list(result) if several else [result]
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(f"The outputs of the user-provided function must be Tensors, but got {type(output).__name__}")
    return several, outputs


def _check_strict(outputs: Sequence[Tensor], strict: bool) -> None:
    for k, y in enumerate(outputs):
        if strict and not y.requires_grad:
            raise RuntimeError(
                f"Output {k} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )


def _vectors(v: Any, tensors: Sequence[Tensor], missing: str) -> list[Tensor]:
    """The vectors of a product, of exactly the shapes of ``tensors``. ``missing``: the error where they may not be None."""
    if v is None:
        if len(tensors) != 1 or tensors[0].numel() != 1:
            raise RuntimeError(missing)
        return [Tensor(np.ones(tensors[0].shape, tensors[0].dtype))]
    vectors = list(v) if isinstance(v, (tuple, list)) else [v]
    if len(vectors) != len(tensors):
        raise RuntimeError(f"v must have one tensor for each of {len(tensors)}, but has {len(vectors)}")
    for k, (vector, x) in enumerate(zip(vectors, tensors, strict=True)):
        if vector.shape != x.shape:
            raise RuntimeError(
                f"v has invalid size at index {k}: should be torch.Size({list(x.shape)}), is "
                f"torch.Size({list(vector.shape)})"
            )
    return vectors


def _pull(outputs: Sequence[Tensor], seeds: Sequence[Tensor], primals: Sequence[Tensor]) -> list[Tensor]:
    """Cotangents through ``outputs`` to ``primals``; zeros where none arrives."""
    pairs = [(y, g) for y, g in zip(outputs, seeds, strict=True) if y.requires_grad]
    gradients = backward_recorded([y for y, _ in pairs], [g for _, g in pairs], primals)
    return [_tensor(gradients[x]) if x in gradients else zeros(x.shape, dtype=x.dtype) for x in primals]


def _push(outputs: Sequence[Tensor], primals: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor]:
    """Tangents of ``primals`` through to ``outputs``; zeros where none arrives."""
    live = [y for y in outputs if y.requires_grad]
    moved = dict(zip(live, tangents_of(live, primals, tangents), strict=True)) if live else {}
    pushed = [moved.get(y) for y in outputs]
    return [zeros(y.shape, dtype=y.dtype) if t is None else t for y, t in zip(outputs, pushed, strict=True)]


def _gradient(output: Tensor, primals: Sequence[Tensor]) -> list[Tensor]:
    return _pull([output], [Tensor(np.ones(output.shape, output.dtype))], primals)


def _jacobian(output: Tensor, primals: Sequence[Tensor]) -> list[Tensor]:
    """For each primal a row per element of the output, stacked."""
    if not output.requires_grad or not output.numel():
        return [zeros(output.shape + x.shape, dtype=x.dtype) for x in primals]
    rows = []
    for k in range(output.numel()):
        seed = np.zeros(output.shape, output.dtype)
        seed.flat[k] = 1
        rows.append(_pull([output], [Tensor(seed)], primals))
    with enable_grad():
        return [
            _stacked(column, output.shape + x.shape) for x, column in zip(primals, zip(*rows, strict=True), strict=True)
        ]


def _stacked(rows: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    stacked = apply_as(Tensor, "stack", *rows, axis=0)[0].reshape(shape)
    attach_rows(stacked, rows)
    return stacked


def _results(several: bool, tensors: Sequence[Tensor], create_graph: bool) -> Any:
    results = tuple(t if create_graph else _tensor(without_history(t)) for t in tensors)
    return results if several else results[0]


def _tensor(tensor: object) -> Tensor:
    assert isinstance(tensor, Tensor)
    return tensor
