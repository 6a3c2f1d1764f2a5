"""Functions of functions: `grad`, `vjp`, `jvp`, `jacrev`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradproof.client.backward import functional
from gradproof.client.backward.standing import shut
from gradproof.client.tensors.tensor import Tensor


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives the gradient of ``func``, whose result must be a 0-d tensor, in its arguments ``argnums``.
    It can be differentiated again: ``grad(grad(f))``."""

    def gradient(*arguments: Any) -> Any:
        chosen = (argnums,) if isinstance(argnums, int) else argnums
        primals = tuple(arguments[k] for k in chosen)
        result = functional.vjp(_scalar(_of(func, arguments, chosen)), primals, create_graph=True)[1]
        found = tuple(_shut(one, primals) for one in result)
        return found[0] if isinstance(argnums, int) else found

    return gradient


def vjp(func: Callable[..., Any], *primals: Tensor) -> tuple[Any, Callable[..., Any]]:
    """``func(*primals)``, and the function from a cotangent of it to cotangents of the primals."""
    outputs = func(*primals)

    def pull(cotangent: Any) -> tuple[Tensor, ...]:
        found = functional.vjp(func, primals, cotangent, create_graph=True)[1]
        return tuple(_shut(one, (*primals, cotangent)) for one in found)

    return outputs, pull


def jvp(func: Callable[..., Any], primals: tuple[Tensor, ...], tangents: tuple[Tensor, ...]) -> tuple[Any, Any]:
    """``func(*primals)``, and how it moves when the primals move by ``tangents``."""
    found = functional.jvp(func, tuple(primals), tuple(tangents), create_graph=True)
    outputs, moved = (_shut_all(one, (*primals, *tangents)) for one in found)
    return outputs, moved


def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that gives the Jacobian of ``func`` in its arguments ``argnums``, row by row in reverse mode."""

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


def _shut_all(found: Any, primals: tuple[Tensor, ...]) -> Any:
    return tuple(_shut(one, primals) for one in found) if isinstance(found, tuple) else _shut(found, primals)


def _shut(gradient: Tensor, primals: tuple[Tensor, ...]) -> Tensor:
    """A gradient is recorded only if a primal was."""
    return gradient if any(x.requires_grad for x in primals) else shut(gradient)
