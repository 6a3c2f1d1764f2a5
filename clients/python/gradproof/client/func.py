"""Transformations of functions: `grad`, `vjp`, `jvp` and `jacrev`, by the names of `torch.func`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from gradproof.client import functional
from gradproof.client.backward.provenance import without_history
from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.tensor import Tensor

OutputT = TypeVar("OutputT", bound=functional.Tensors)


@overload
def grad(func: Callable[..., Tensor], argnums: int = 0) -> Callable[..., Tensor]: ...
@overload
def grad(func: Callable[..., Tensor], argnums: tuple[int, ...]) -> Callable[..., tuple[Tensor, ...]]: ...
def grad(func: Callable[..., Tensor], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives the gradient of ``func``, whose result must be a 0-d tensor, in its arguments ``argnums``.
    It can be differentiated again: ``grad(grad(f))``.

    Follows torch.func.grad.
    """

    def gradient(*arguments: Any) -> Any:
        chosen = (argnums,) if isinstance(argnums, int) else argnums
        primals = tuple(arguments[k] for k in chosen)
        pulled = functional.vjp(_scalar(_of(func, arguments, chosen)), primals, create_graph=True)[1]
        gradients = tuple(_recorded_as(g, primals) for g in pulled)
        return gradients[0] if isinstance(argnums, int) else gradients

    return gradient


def vjp(func: Callable[..., OutputT], *primals: Tensor) -> tuple[OutputT, Callable[[OutputT], tuple[Tensor, ...]]]:
    """``func(*primals)``, and the function from a cotangent of it to cotangents of the primals. Follows torch.func.vjp."""
    outputs = func(*primals)

    def pull(cotangent: Any) -> tuple[Any, ...]:
        gradients = functional.vjp(func, primals, cotangent, create_graph=True)[1]
        return tuple(_recorded_as(g, (*primals, cotangent)) for g in gradients)

    return outputs, pull


def jvp(func: Callable[..., OutputT], primals: tuple[Tensor, ...], tangents: tuple[Tensor, ...]) -> tuple[OutputT, OutputT]:
    """``func(*primals)``, and the product of its Jacobian with ``tangents``. Follows torch.func.jvp."""
    outputs, products = functional.jvp(func, tuple(primals), tuple(tangents), create_graph=True)
    inputs = (*primals, *tangents)
    return _all_recorded_as(outputs, inputs), _all_recorded_as(products, inputs)


@overload
def jacrev(func: Callable[..., OutputT], argnums: int = 0) -> Callable[..., OutputT]: ...
@overload
def jacrev(func: Callable[..., OutputT], argnums: tuple[int, ...]) -> Callable[..., tuple[OutputT, ...]]: ...
def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives the Jacobian of ``func`` in its arguments ``argnums``, row by row in reverse mode.

    Follows torch.func.jacrev.
    """

    def jacobian(*arguments: Any) -> Any:
        chosen = (argnums,) if isinstance(argnums, int) else argnums
        primals = tuple(arguments[k] for k in chosen)
        inputs = primals[0] if isinstance(argnums, int) else primals
        return functional.jacobian(_of(func, arguments, chosen), inputs, create_graph=any(x.requires_grad for x in primals))

    return jacobian


def _of(func: Callable[..., Any], arguments: tuple[Any, ...], chosen: tuple[int, ...]) -> Callable[..., Any]:
    """``func`` as a function of the chosen arguments."""

    def inner(*primals: Tensor) -> Any:
        whole = list(arguments)
        for k, primal in zip(chosen, primals, strict=True):
            whole[k] = primal
        return func(*whole)

    return inner


def _scalar(func: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*primals: Tensor) -> Any:
        result = func(*primals)
        if not isinstance(result, Tensor) or result.shape != ():
            got = f"tensor with {result.ndim} dims" if isinstance(result, Tensor) else type(result).__name__
            raise RuntimeError(
                f"grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got {got}. Maybe you wanted to "
                "use the vjp or jacrev APIs instead?"
            )
        return result

    return checked


def _all_recorded_as(results: Any, inputs: tuple[Tensor, ...]) -> Any:
    if isinstance(results, tuple):
        return tuple(_recorded_as(result, inputs) for result in results)
    return _recorded_as(results, inputs)


def _recorded_as(result: Tensor, inputs: tuple[Tensor, ...]) -> Recorded:
    """A result with its history, or without it where no input requires grad."""
    return result if any(x.requires_grad for x in inputs) else without_history(result)
