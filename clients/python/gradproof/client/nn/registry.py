"""Registration of parameters, buffers and modules, as attributes are assigned."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from gradproof.client import dtypes
from gradproof.client.nn.parameter import Parameter
from gradproof.client.tensors.tensor import Tensor


def type_of(x: object) -> str:
    """The name of the type of ``x``, as PyTorch has it in errors."""
    if isinstance(x, Tensor):
        return "torch.nn.Parameter" if isinstance(x, Parameter) else f"torch.{dtypes.type_name(x.dtype)}Tensor"
    return type(x).__name__


class Registry:
    """Parameters, buffers and children by name. An assigned `Parameter` or module is registered; a tensor assigned to a
    registered buffer takes its place."""

    _parameters: OrderedDict[str, Parameter | None]
    _buffers: OrderedDict[str, Tensor | None]
    _modules: OrderedDict[str, Any]
    _transient: set[str]

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, OrderedDict())
        self._transient = set()

    def _kinds(self, assigned: str = "attributes") -> tuple[OrderedDict[str, Any], ...]:
        registered = self.__dict__
        if "_parameters" not in registered:
            raise AttributeError(f"cannot assign {assigned} before Module.__init__() call")
        return registered["_parameters"], registered["_buffers"], registered["_modules"]

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter, or None in place of it, as the attribute ``name``.

        Follows torch.nn.Module.register_parameter. Raises TypeError for another object, ValueError for a tensor that is no
        leaf, KeyError for a name that is taken, is empty or has a point.
        """
        parameters = self._kinds("parameters")[0]
        self._check_name("parameter", name, parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type_of(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                f"express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that is no parameter, but part of the state; of `state_dict` only if ``persistent``.

        Follows torch.nn.Module.register_buffer. Raises TypeError for another object, KeyError for a name that is taken, is
        empty or has a point.
        """
        buffers = self._kinds("buffers")[1]
        self._check_name("buffer", name, buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type_of(tensor)}' object to buffer '{name}' (torch Tensor or None required)")
        buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    def add_module(self, name: str, module: Registry | None) -> None:
        """Register a module as the attribute ``name``.

        Follows torch.nn.Module.add_module. Raises TypeError for another object, KeyError for a name that is taken, is empty
        or has a point.
        """
        if not isinstance(module, Registry) and module is not None:
            raise TypeError(f"{type_of(module)} is not a Module subclass")
        modules = self._kinds()[2]
        self._check_name("module", name, modules)
        modules[name] = module

    register_module = add_module

    def _check_name(self, kind: str, name: str, known: OrderedDict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type_of(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if not name:
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in known:
            raise KeyError(f"attribute '{name}' already exists")

    def __setattr__(self, name: str, value: Any) -> None:
        registered = self.__dict__
        if isinstance(value, (Parameter, Registry)):
            self._register(name, value)
        elif name in registered.get("_parameters", ()):
            self._assign(registered["_parameters"], name, value, "parameter", "torch.nn.Parameter")
        elif name in registered.get("_modules", ()):
            self._assign(registered["_modules"], name, value, "child module", "torch.nn.Module")
        elif name in registered.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{type_of(value)}' as buffer '{name}' (torch.Tensor or None expected)")
            registered["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def _register(self, name: str, value: Parameter | Registry) -> None:
        is_parameter = isinstance(value, Parameter)
        if name not in self._kinds("parameters" if is_parameter else "module")[0 if is_parameter else 2]:
            self._forget(name)
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        else:
            self.add_module(name, value)

    def _assign(self, known: OrderedDict[str, Any], name: str, value: object, kind: str, expected: str) -> None:
        if value is not None:
            raise TypeError(f"cannot assign '{type_of(value)}' as {kind} '{name}' ({expected} or None expected)")
        known[name] = None

    def _forget(self, name: str) -> None:
        self.__dict__.pop(name, None)
        for known in self._kinds():
            known.pop(name, None)
        self._transient.discard(name)

    def __delattr__(self, name: str) -> None:
        for known in self._kinds():
            if name in known:
                self._forget(name)
                return
        object.__delattr__(self, name)

    if not TYPE_CHECKING:  # a checker knows an attribute from its assignment

        def __getattr__(self, name: str) -> Any:
            for kind in ("_parameters", "_buffers", "_modules"):
                known = self.__dict__.get(kind, {})
                if name in known:
                    return known[name]
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        registered = [name for known in self._kinds() for name in known if name.isidentifier()]
        return sorted({*super().__dir__(), *registered})
