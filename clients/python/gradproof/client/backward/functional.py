"""Products with Jacobians and Hessians, and these themselves, of Python functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradproof.client.backward.derived import backward_recorded, tangent
from gradproof.client.backward.standing import rows as with_rows
from gradproof.client.backward.standing import shut
from gradproof.client.recording.apply import apply
from gradproof.client.recording.modes import enable_grad
from gradproof.client.tensors.constructors import as_tensor, zeros
from gradproof.client.tensors.tensor import M11, Tensor

M48 = "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
M48_INPUT = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."
)
Tensors: TypeAlias = Tensor | tuple[Tensor, ...]


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """The Jacobian of ``func`` at ``inputs``, of shape ``output.shape + input.shape``; for several outputs or inputs a
    tuple (of tuples) of them. An output that does not depend on an input has zeros there, or is an error if ``strict``."""
    given, primals = _primals(inputs, create_graph)
    outputs = _call(func, primals)
    _check_strict(outputs, strict)
    rows = tuple(tuple(_jacobian(y, primals)) for y in outputs[1])
    found = tuple(tuple(_leave(one, create_graph) for one in row) for row in rows)
    per_output = tuple(row if given else row[0] for row in found)
    return per_output if outputs[0] else per_output[0]


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """The Hessian of ``func``, whose result must have one element; for several inputs a tuple of tuples."""
    given, primals = _primals(inputs, create_graph)
    _, outputs = _call(func, primals)
    _check_strict((False, outputs), strict)
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
    gradients = _gradient(outputs[0], primals)
    rows = tuple(tuple(_leave(one, create_graph) for one in _jacobian(g, primals)) for g in gradients)
    return rows if given else rows[0][0]


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(inputs)``, and the product of ``v`` with its Jacobian. ``v`` may be left out if the result has one element."""
    given, primals = _primals(inputs, create_graph)
    several, outputs = _call(func, primals)
    _check_strict((several, outputs), strict)
    seeds = _vectors(v, outputs, M48)
    pulled = _pull(outputs, seeds, primals)
    return _results(several, outputs, create_graph), _results(given, pulled, create_graph)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(inputs)``, and the product of its Jacobian with ``v``, which may be left out if the input has one element."""
    _, primals = _primals(inputs, create_graph)
    several, outputs = _call(func, primals)
    _check_strict((several, outputs), strict)
    tangents = _vectors(v, primals, M48_INPUT)
    pushed = _push(outputs, primals, tangents)
    return _results(several, outputs, create_graph), _results(several, pushed, create_graph)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(inputs)``, and the product of its Hessian with ``v``."""
    return _hessian_product(func, inputs, v, create_graph, strict, _push)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(inputs)``, and the product of ``v`` with its Hessian (which is symmetric: one pass less than `hvp`)."""
    return _hessian_product(
        func, inputs, v, create_graph, strict, lambda gradients, primals, vs: _pull(gradients, vs, primals)
    )


def _hessian_product(func: Any, inputs: Any, v: Any, create_graph: bool, strict: bool, product: Any) -> Any:
    given, primals = _primals(inputs, create_graph)
    several, outputs = _call(func, primals)
    _check_strict((several, outputs), strict)
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError("The Tensor returned by the function given to hvp should contain a single element")
    vectors = _vectors(v, primals, M48_INPUT)
    found = product(_gradient(outputs[0], primals), primals, vectors)
    return _results(several, outputs, create_graph), _results(given, found, create_graph)


def _primals(inputs: Any, keep: bool) -> tuple[bool, list[Tensor]]:
    """Whether several inputs were given, and leaves (or, to be differentiated further, views) that require grad."""
    several = isinstance(inputs, (tuple, list))
    primals = []
    for x in inputs if several else [inputs]:
        with enable_grad():
            primal = x.clone() if keep and x.requires_grad else as_tensor(x).detach()
        if primal.dtype.kind in "biu":
            raise RuntimeError(M11)
        primals.append(primal.requires_grad_())
    return several, primals


def _call(func: Callable[..., Any], primals: Sequence[Tensor]) -> tuple[bool, list[Tensor]]:
    with enable_grad():
        result = func(*primals)
    several = isinstance(result, (tuple, list))
    outputs = list(result) if several else [result]
    for one in outputs:
        if not isinstance(one, Tensor):
            raise TypeError(f"The outputs of the user-provided function must be Tensors, but got {type(one).__name__}")
    return several, outputs


def _check_strict(outputs: tuple[bool, list[Tensor]], strict: bool) -> None:
    for k, y in enumerate(outputs[1]):
        if strict and not y.requires_grad:
            raise RuntimeError(
                f"Output {k} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )


def _vectors(v: Any, beside: Sequence[Tensor], missing: str) -> list[Tensor]:
    """The vectors of a product, of exactly the shapes of ``beside``."""
    if v is None:
        if len(beside) != 1 or beside[0].numel() != 1:
            raise RuntimeError(missing)
        return [Tensor(np.ones(beside[0].shape, beside[0].dtype))]
    vectors = list(v) if isinstance(v, (tuple, list)) else [v]
    if len(vectors) != len(beside):
        raise RuntimeError(f"v must have one tensor for each of {len(beside)}, but has {len(vectors)}")
    for k, (one, x) in enumerate(zip(vectors, beside, strict=True)):
        if one.shape != x.shape:
            raise RuntimeError(
                f"v has invalid size at index {k}: should be torch.Size({list(x.shape)}), is torch.Size({list(one.shape)})"
            )
    return vectors


def _pull(outputs: Sequence[Tensor], seeds: Sequence[Tensor], primals: Sequence[Tensor]) -> list[Tensor]:
    """Cotangents through ``outputs`` to ``primals``; zeros where none arrives."""
    pairs = [(y, g) for y, g in zip(outputs, seeds, strict=True) if y.requires_grad]
    found = backward_recorded([y for y, _ in pairs], [g for _, g in pairs], primals) if pairs else {}
    return [found.get(x, zeros(x.shape, dtype=x.dtype)) for x in primals]


def _push(outputs: Sequence[Tensor], primals: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor]:
    """Tangents of ``primals`` through to ``outputs``; zeros where none arrives."""
    live = [y for y in outputs if y.requires_grad]
    moved = dict(zip(live, tangent(live, primals, tangents), strict=True)) if live else {}
    pushed = [moved.get(y) for y in outputs]
    return [zeros(y.shape, dtype=y.dtype) if t is None else t for y, t in zip(outputs, pushed, strict=True)]


def _gradient(output: Tensor, primals: Sequence[Tensor]) -> list[Tensor]:
    return _pull([output], [Tensor(np.ones(output.shape, output.dtype))], primals)


def _jacobian(output: Tensor, primals: Sequence[Tensor]) -> list[Tensor]:
    """For each primal one row an element of the output, stacked."""
    if not output.requires_grad:
        return [zeros(output.shape + x.shape, dtype=x.dtype) for x in primals]
    rows = []
    for k in range(output.numel()):
        seed = np.zeros(output.shape, output.dtype)
        seed.flat[k] = 1
        rows.append(_pull([output], [Tensor(seed)], primals))
    with enable_grad():
        return [
            with_rows(apply("stack", *column, axis=0).reshape(output.shape + x.shape), column)
            if rows
            else zeros(0, *x.shape)
            for x, column in zip(primals, zip(*rows, strict=True), strict=True)
        ]


def _leave(tensor: Tensor, create_graph: bool) -> Tensor:
    return tensor if create_graph else shut(tensor)


def _results(several: bool, tensors: Sequence[Tensor], create_graph: bool) -> Tensors:
    found = tuple(_leave(t, create_graph) for t in tensors)
    return found if several else found[0]
