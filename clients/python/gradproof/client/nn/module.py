"""The module: a function with parameters, made of other modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from gradproof.client import dtypes
from gradproof.client.nn.parameter import Parameter
from gradproof.client.nn.registry import Registry
from gradproof.client.recording.hooks import Handle, Hooks
from gradproof.client.tensors.signatures import DTypeLike
from gradproof.client.tensors.tensor import Tensor

T = TypeVar("T")


class IncompatibleKeys(NamedTuple):
    """The keys that `Module.load_state_dict` did not find, and those that it did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not (self.missing_keys or self.unexpected_keys):
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Module(Registry):
    """A function with parameters. A subclass writes ``forward``, and calls ``super().__init__()`` before it assigns its
    parameters and modules.

    Follows torch.nn.Module.

    Attributes:
        training: whether layers that behave otherwise in training, as `Dropout`, do so.
    """

    training: bool

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self._pre_hooks, self._hooks = Hooks(), Hooks()

    # calls

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself. Raises NotImplementedError unless a subclass writes it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of ``forward``, with the hooks before and after it."""
        for _, (hook, takes_keywords) in self._pre_hooks:
            args, kwargs = _changed(hook, takes_keywords, self, args, kwargs)
        result = self.forward(*args, **kwargs)
        for _, (hook, takes_keywords) in self._hooks:
            changed = hook(self, args, kwargs, result) if takes_keywords else hook(self, args, result)
            result = result if changed is None else changed
        return result

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, with_kwargs: bool = False) -> Handle:
        """Call ``hook(module, args)`` before ``forward``; arguments that it returns take the place of ``args``. With
        ``with_kwargs`` it is ``hook(module, args, kwargs)``, and it returns a pair.

        Follows torch.nn.Module.register_forward_pre_hook.
        """
        return self._pre_hooks.add((hook, with_kwargs))

    def register_forward_hook(self, hook: Callable[..., Any], *, with_kwargs: bool = False) -> Handle:
        """Call ``hook(module, args, result)`` after ``forward``; a result that it returns takes the place of ``result``.
        With ``with_kwargs`` it is ``hook(module, args, kwargs, result)``.

        Follows torch.nn.Module.register_forward_hook.
        """
        return self._hooks.add((hook, with_kwargs))

    # parts

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all modules in it, each once, with names such as ``layers.0``.

        Follows torch.nn.Module.named_modules.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all modules in it. Follows torch.nn.Module.modules."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes of this module, each once. Follows torch.nn.Module.named_children."""
        return _once(self._modules.items())

    def children(self) -> Iterator[Module]:
        """The modules that are attributes of this module. Follows torch.nn.Module.children."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and, with ``recurse``, of all modules in it, each once.

        Follows torch.nn.Module.named_parameters.
        """
        items = self._members("_parameters", prefix, recurse, remove_duplicate)
        return _once(items) if remove_duplicate else items

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """As `named_parameters`, without names. Follows torch.nn.Module.parameters."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers of this module and, with ``recurse``, of all modules in it, each once.

        Follows torch.nn.Module.named_buffers.
        """
        items = self._members("_buffers", prefix, recurse, remove_duplicate)
        return _once(items) if remove_duplicate else items

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """As `named_buffers`, without names. Follows torch.nn.Module.buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        for key, known, name in self._places(kind, prefix, recurse, remove_duplicate):
            if known[name] is not None:
                yield key, known[name]

    def _places(
        self, kind: str, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, dict[str, Any], str]]:
        """The names of parameters or buffers, each with the dict of its module and its name there."""
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for place, module in modules:
            known = vars(module)[kind]
            for name in known:
                yield f"{place}.{name}" if place else name, known, name

    def get_submodule(self, target: str) -> Module:
        """The module of a name such as ``layers.0``. Follows torch.nn.Module.get_submodule.

        Raises AttributeError if there is none.
        """
        module = self
        for name in target.split(".") if target else ():
            if not isinstance(found := getattr(module, name, None), Module):
                raise AttributeError(
                    f"{type(module).__name__} has no attribute `{name}`"
                    if found is None
                    else f"`{name}` is not an nn.Module"
                )
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a name such as ``layers.0.weight``. Follows torch.nn.Module.get_parameter.

        Raises AttributeError if there is none.
        """
        place, _, name = target.rpartition(".")
        parameter = getattr(self.get_submodule(place), name)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a name such as ``layers.0.mean``. Follows torch.nn.Module.get_buffer.

        Raises AttributeError if there is none.
        """
        place, _, name = target.rpartition(".")
        buffers: Mapping[str, Tensor | None] = vars(self.get_submodule(place))["_buffers"]
        if (buffer := buffers.get(name)) is None:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    @contextmanager
    def replaced(self, tensors: Mapping[str, Tensor], *, tie_weights: bool = True) -> Iterator[None]:
        """Have ``tensors`` in place of the parameters and buffers of these names, within a ``with``; with ``tie_weights``
        under all names that a parameter has. `gradproof.client.func.functional_call` calls a module so.

        Raises KeyError for names that there are not.
        """
        places = {
            key: (known, name)
            for kind in ("_parameters", "_buffers")
            for key, known, name in self._places(kind, remove_duplicate=False)
        }
        if unknown := [name for name in tensors if name not in places]:
            raise KeyError(f"{type(self).__name__} has no parameter or buffer {_quoted(unknown)}")
        known_now = {key: known[name] for key, (known, name) in places.items()}
        by_identity = {id(known_now[key]): tensor for key, tensor in tensors.items() if known_now[key] is not None}
        changed = {key: by_identity[id(x)] for key, x in known_now.items() if tie_weights and id(x) in by_identity}
        try:
            for key, tensor in {**changed, **tensors}.items():
                known, name = places[key]
                known[name] = tensor
            yield
        finally:
            for key, (known, name) in places.items():
                known[name] = known_now[key]

    # state

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by name, detached unless ``keep_vars``; later steps do not change them.

        Follows torch.nn.Module.state_dict.
        """
        state = OrderedDict[str, Any]() if destination is None else destination
        for name, tensor in self._own_state().items():
            if tensor is not None:
                state[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def _own_state(self) -> dict[str, Tensor | None]:
        return {**self._parameters, **{k: b for k, b in self._buffers.items() if k not in self._transient}}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Take the values of parameters and buffers from ``state_dict``; with ``strict``, all of them must be there, and
        nothing else.

        Follows torch.nn.Module.load_state_dict. Raises RuntimeError for missing or unexpected keys and for other shapes,
        TypeError unless ``state_dict`` is a mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = self.state_dict(keep_vars=True)
        missing, unexpected = [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]
        faults = []
        if strict and missing:
            faults.append(f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if strict and unexpected:
            faults.append(f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        for name, tensor in own.items():
            if name in state_dict and (fault := _load(name, tensor, state_dict[name])):
                faults.append(fault)
        if faults:
            lines = "\n\t".join(faults)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return IncompatibleKeys(missing, unexpected)

    # changes of all parts

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call ``fn`` on all modules in this module, and on itself last. Follows torch.nn.Module.apply."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` of this module and all modules in it. Follows torch.nn.Module.train.

        Raises ValueError unless ``mode`` is a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """``train(False)``. Follows torch.nn.Module.eval."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of all parameters. Follows torch.nn.Module.requires_grad_."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zeros. Follows torch.nn.Module.zero_grad."""
        for parameter in self.parameters():
            if (gradient := parameter.grad) is not None:
                parameter.grad = None if set_to_none else Tensor(np.zeros(gradient.shape, gradient.dtype))

    def to(self, dtype: DTypeLike | Tensor) -> Self:
        """All parameters and buffers of floating point in another dtype, or in that of a tensor; "cpu" changes nothing.

        Follows torch.nn.Module.to. Raises TypeError for a dtype of integers.
        """
        if isinstance(dtype, str) and dtype == "cpu":
            return self
        target = np.dtype(dtype.dtype if isinstance(dtype, Tensor) else dtype)
        if not dtypes.is_differentiable(target):
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={target}")
        for tensor in (*self.parameters(), *self.buffers()):
            if dtypes.is_differentiable(tensor.dtype) and tensor.dtype != target:
                _convert(tensor, target)
        return self

    def float(self) -> Self:
        """All parameters and buffers of floating point in float32. Follows torch.nn.Module.float."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """All parameters and buffers of floating point in float64. Follows torch.nn.Module.double."""
        return self.to(dtypes.float64)

    def half(self) -> Self:
        """All parameters and buffers of floating point in float16. Follows torch.nn.Module.half."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Self:
        """All parameters and buffers of floating point in bfloat16. Follows torch.nn.Module.bfloat16."""
        return self.to(dtypes.bfloat16)

    def cpu(self) -> Self:
        """The module itself: there are no other devices. Follows torch.nn.Module.cpu."""
        return self

    # text

    def extra_repr(self) -> str:
        """The arguments in the text of the module; a subclass writes it. Follows torch.nn.Module.extra_repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        return text_of(type(self).__name__, extra, children)


def text_of(name: str, extra: str, children: list[str]) -> str:
    """The text of a module: on a line of its own, or with its children indented."""
    if not children and "\n" not in extra:
        return f"{name}({extra})"
    lines = [*extra.split("\n"), *children] if extra else children
    return f"{name}(\n  " + "\n  ".join(lines) + "\n)"


def indented(text: str) -> str:
    """All lines but the first moved to the right by two."""
    return text.replace("\n", "\n  ")


def _changed(
    hook: Callable[..., Any], takes_keywords: bool, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments after a hook before ``forward``."""
    if not takes_keywords:
        changed = hook(module, args)
        return (args if changed is None else changed if isinstance(changed, tuple) else (changed,)), kwargs
    changed = hook(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
    return changed


def _once(items: Iterable[tuple[str, T | None]]) -> Iterator[tuple[str, T]]:
    """The items that are there, each under its first name."""
    seen = set[int]()
    for name, item in items:
        if item is not None and id(item) not in seen:
            seen.add(id(item))
            yield name, item


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _load(name: str, tensor: Tensor, value: Any) -> str:
    """Give ``tensor`` the value from a state; the fault if it does not fit, or an empty text."""
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{name}", expected torch.Tensor or Tensor-like object from checkpoint but '
            f"received {type(value)}"
        )
    if value.shape != tensor.shape:
        return (
            f"size mismatch for {name}: copying a param with shape torch.Size({list(value.shape)}) from checkpoint, the "
            f"shape in current model is torch.Size({list(tensor.shape)})."
        )
    tensor.become_leaf(_frozen(value.value().astype(tensor.dtype)))
    return ""


def _convert(tensor: Tensor, dtype: np.dtype[Any]) -> None:
    gradient, tensor.grad = tensor.grad, None
    tensor.become_leaf(_frozen(tensor.value().astype(dtype)))
    tensor.grad = None if gradient is None else Tensor(gradient.value().astype(dtype))


def _frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array
