"""Containers: modules and parameters in order or by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import index
from typing import Any, Self, overload

from gradproof.client.nn.module import Module, indented, text_of
from gradproof.client.nn.parameter import Parameter
from gradproof.client.nn.registry import type_of
from gradproof.client.tensors.tensor import Tensor


class _Sequence(Module):
    """Modules in order, named by their places."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def _name(self, place: int) -> str:
        if not -len(self) <= (k := index(place)) < len(self):
            raise IndexError(f"index {place} is out of range")
        return list(self._modules)[k]

    @overload
    def __getitem__(self, place: int) -> Any: ...  # a checker does not know its class
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Any:
        if not isinstance(place, slice):
            return self._modules[self._name(place)]
        part = type(self)()
        for name, module in list(self._modules.items())[place]:
            part.add_module(str(len(part)) if isinstance(self, ModuleList) else name, module)
        return part

    def __setitem__(self, place: int, module: Module) -> None:
        setattr(self, self._name(place), module)

    def __delitem__(self, place: int | slice) -> None:
        names = list(self._modules)[place] if isinstance(place, slice) else [self._name(place)]
        modules = [module for name, module in self._modules.items() if name not in names]
        self._modules.clear()
        self._modules.update((str(k), module) for k, module in enumerate(modules))

    def append(self, module: Module) -> Self:
        """Add a module at the end. Follows torch.nn.ModuleList.append."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the place ``index``. Follows torch.nn.ModuleList.insert."""
        modules = list(self)
        modules.insert(index, module)
        self._modules.clear()
        return self.extend(modules)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end. Follows torch.nn.ModuleList.extend."""
        for module in list(modules):
            self.append(module)
        return self


class Sequential(_Sequence):
    """Modules that are called each with the result of the last; named by their places, or by the keys of a dictionary.

    Follows torch.nn.Sequential. Raises TypeError for what is no module.
    """

    def __init__(self, *args: Module | OrderedDict[str, Module]) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:  # noqa: A002 - as in PyTorch
        """The result of the last module."""
        for module in self:
            input = module(input)  # noqa: A001
        return input


class ModuleList(_Sequence):
    """Modules in a list, which registers them; calling them is left to the module that holds it.

    Follows torch.nn.ModuleList. Raises TypeError for what is no module.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __repr__(self) -> str:
        children, first = [], 0
        for text, equal in groupby(map(repr, self)):
            last = first + len(list(equal)) - 1
            many = f"({first}-{last}): {last - first + 1} x " if last > first else f"({first}): "
            children.append(many + indented(text))
            first = last + 1
        return text_of(type(self).__name__, self.extra_repr(), children)


class ModuleDict(Module):
    """Modules by name. Follows torch.nn.ModuleDict. Raises TypeError for what is no module."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Module:
        module: Module = self._modules[name]
        return module

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def keys(self) -> Iterable[str]:
        """The names. Follows torch.nn.ModuleDict.keys."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules. Follows torch.nn.ModuleDict.values."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules. Follows torch.nn.ModuleDict.items."""
        return self._modules.items()


class ParameterList(Module):
    """Parameters in a list, which registers them; a tensor becomes a `Parameter`.

    Follows torch.nn.ParameterList. Raises TypeError for what is no tensor.
    """

    def __init__(self, values: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.extend(values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return self.parameters(recurse=False)

    def __getitem__(self, place: int) -> Parameter:
        if not -len(self) <= index(place) < len(self):
            raise IndexError(f"index {place} is out of range")
        parameter = self._parameters[str(index(place) % len(self))]
        assert parameter is not None
        return parameter

    def __setitem__(self, place: int, value: Tensor) -> None:
        if not -len(self) <= index(place) < len(self):
            raise IndexError(f"index {place} is out of range")
        self._parameters[str(index(place) % len(self))] = _parameter(value)

    def __iadd__(self, values: Iterable[Tensor]) -> Self:
        return self.extend(values)

    def append(self, value: Tensor) -> Self:
        """Add a parameter at the end. Follows torch.nn.ParameterList.append."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Add parameters at the end. Follows torch.nn.ParameterList.extend."""
        for value in list(values):
            self.append(value)
        return self

    def __repr__(self) -> str:
        sizes = ["x".join(map(str, p.shape)) for p in self]
        lines = [f"  ({k}): Parameter containing: [{p.dtype.name} of size {sizes[k]}]" for k, p in enumerate(self)]
        return text_of(type(self).__name__, "", lines)


def _parameter(value: Tensor) -> Parameter:
    if not isinstance(value, Tensor):
        raise TypeError(f"a ParameterList holds tensors, not {type_of(value)}")
    return value if isinstance(value, Parameter) else Parameter(value)
