"""A module as a function of its parameters, so that transformations of functions take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from gradproof.client.tensors.tensor import Tensor


class Replaceable(Protocol):
    """A module, for which `functional_call` needs no more than this."""

    def replaced(self, tensors: Mapping[str, Tensor], *, tie_weights: bool = True) -> AbstractContextManager[None]:
        """Have other tensors in place of parameters and buffers."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result."""


def functional_call(
    module: Replaceable,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
) -> Any:
    """The result of ``module(*args, **kwargs)`` with these tensors in place of its parameters and buffers, by name. Those
    that have no name here stay. An argument that is no tuple is the only argument.

    Args:
        module: a `gradproof.client.nn.Module`.
        parameter_and_buffer_dicts: the tensors by names as `named_parameters` has them; several mappings are merged.
        args: the arguments.
        kwargs: the keyword arguments.
        tie_weights: whether a tensor takes the place of its parameter under all names of that.

    Follows torch.func.functional_call, which takes names that the module does not have. Raises KeyError for these,
    ValueError for a name in two mappings.
    """
    states = parameter_and_buffer_dicts
    mappings = [states] if isinstance(states, Mapping) else states
    tensors: dict[str, Tensor] = {}
    for mapping in mappings:
        if twice := tensors.keys() & mapping.keys():
            raise ValueError(f"{sorted(twice)} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        tensors.update(mapping)
    with module.replaced(tensors, tie_weights=tie_weights):
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
