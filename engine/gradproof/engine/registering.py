"""Registration of a table of ops, hooks or kernels in a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from gradproof.engine.hookspecs import hookimpl
from gradproof.engine.kernels import Kernel
from gradproof.engine.named_hook import NamedHook
from gradproof.engine.op import Op


@dataclass(frozen=True)
class Memory:
    """Facts about the memory of a forward, for the compiled executor: `Op.into`, `Op.view` and `Op.place`."""

    into: Callable[..., Any] | None = None
    view: bool = False
    place: Callable[..., tuple[Any, ...]] | None = None


NO_MEMORY: Mapping[str, Memory] = MappingProxyType({})


def registering(
    *definitions: Op | NamedHook | Kernel, memory: Mapping[str, Memory] = NO_MEMORY
) -> Callable[[Callable[[Any], None]], None]:
    """The hook ``register_ops`` (or ``register_hooks``, ``register_kernels``) of a plugin that registers ``definitions``
    in their order.

    ``memory`` holds the memory facts of ops by name. Raises ValueError if it names an op that is not among them.
    """
    unknown = memory.keys() - {definition.name for definition in definitions if isinstance(definition, Op)}
    if unknown:
        raise ValueError(f"memory facts of {', '.join(sorted(unknown))}, which are not among the ops")
    complete = [
        replace(definition, **vars(memory[definition.name]))
        if isinstance(definition, Op) and definition.name in memory
        else definition
        for definition in definitions
    ]

    @hookimpl
    def register_all(register: Callable[[Any], None]) -> None:
        for definition in complete:
            register(definition)

    return register_all
