"""The base of optimisers: groups of parameters, their state, and steps in NumPy at the client."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import Array
from gradproof.client.recording.modes import enable_grad
from gradproof.client.tensors.tensor import Tensor

Group: TypeAlias = dict[str, Any]
Parameters: TypeAlias = Iterable[Tensor] | Iterable[Group] | Iterable[tuple[str, Tensor]]
"""Tensors, groups of them with settings of their own, or pairs as of ``named_parameters()``."""
Closure: TypeAlias = Callable[[], Any]


class Optimizer:
    """Groups of parameters with settings, and a state for each parameter. A subclass writes `update`.

    Follows torch.optim.Optimizer. Raises TypeError for what is no tensor, ValueError for no parameters, for a tensor that
    is no leaf, and for a parameter that is in two groups.

    Attributes:
        param_groups: the groups, each a dictionary with "params" and settings such as "lr".
        state: a dictionary of tensors for each parameter that has been changed.
        defaults: the settings of a group that does not have its own.
    """

    def __init__(self, params: Parameters, defaults: Mapping[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + type_name(params)
            )
        self.defaults = dict(defaults)
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self.steps = 0
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with settings of their own: ``{"params": tensors, "lr": 0.1}``.

        Follows torch.optim.Optimizer.add_param_group. Raises as the constructor.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        parameters = param_group["params"]
        if isinstance(parameters, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        members = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        named = [member for member in members if isinstance(member, tuple)]
        if named and len(named) < len(members):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        tensors = [tensor for _, tensor in named] or members
        self._check(tensors)
        names = {"param_names": [name for name, _ in named]} if named else {}
        self.param_groups.append({**self.defaults, **param_group, "params": tensors, **names})

    def _check(self, tensors: Sequence[Any]) -> None:
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type_name(tensor)}")
            if not (tensor.is_leaf or tensor.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        numbers = {id(tensor) for tensor in tensors}
        if len(numbers) < len(tensors):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see "
                "github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        if any(id(tensor) in numbers for group in self.param_groups for tensor in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zeros. Follows torch.optim.Optimizer.zero_grad."""
        for group in self.param_groups:
            for tensor in group["params"]:
                if (gradient := tensor.accumulated) is not None:
                    tensor.grad = None if set_to_none else Tensor(np.zeros(gradient.shape, gradient.dtype))

    def step(self, closure: Closure | None = None) -> Any:
        """Change each parameter that has a gradient; returns the loss of ``closure``, which computes the gradients.

        Follows torch.optim.Optimizer.step.
        """
        loss = evaluated(closure) if closure is not None else None
        for group in self.param_groups:
            for tensor in group["params"]:
                if tensor.accumulated is not None:
                    self._change(tensor, group)
        self.steps += 1
        return loss

    def _change(self, tensor: Tensor, group: Group) -> None:
        """Change a parameter and its state. A complex number is two numbers, as in PyTorch."""
        assert tensor.accumulated is not None
        gradient = reals(tensor.accumulated.value())
        state = self.state[tensor]
        arrays = {name: part.value() if isinstance(part, Tensor) else part for name, part in state.items()}
        arrays["step"] = arrays.get("step", np.float32(0)) + np.float32(1)
        value = self.update(group, arrays, reals(tensor.value()), -gradient if group["maximize"] else gradient)
        state.update((name, Tensor(np.array(part))) for name, part in arrays.items() if name in self.kept)
        give(tensor, value)

    kept: frozenset[str] = frozenset()
    """The names of the parts of the state that a step writes."""

    def update(self, group: Group, state: dict[str, Any], value: Array, gradient: Array) -> Array:
        """The new value of a parameter. ``state`` has arrays by name, which are replaced, and the number of the ``step``.

        Raises NotImplementedError unless a subclass writes it.
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, with places in place of parameters. Follows torch.optim.Optimizer.state_dict."""
        members = [tensor for group in self.param_groups for tensor in group["params"]]
        place = {id(tensor): k for k, tensor in reversed(list(enumerate(members)))}
        groups = [{**group, "params": [place[id(t)] for t in group["params"]]} for group in self.param_groups]
        groups = [{**{k: v for k, v in g.items() if k != "params"}, "params": g["params"]} for g in groups]
        state = {place.get(id(tensor), tensor): dict(part) for tensor, part in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the state and the settings of another optimiser, for parameters in the same order.

        Follows torch.optim.Optimizer.load_state_dict. Raises ValueError if groups or their sizes differ.
        """
        groups, saved = self.param_groups, copy.deepcopy(list(state_dict["param_groups"]))
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(groups, saved)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        places = [place for group in saved for place in group["params"]]
        tensors = dict(zip(places, (tensor for group in groups for tensor in group["params"]), strict=True))
        self.state = defaultdict(dict)
        for place, part in state_dict["state"].items():
            tensor = tensors.get(place, place)
            self.state[tensor] = {name: _cast(name, x, tensor) for name, x in part.items()}
        self.param_groups = [{**new, "params": old["params"]} for old, new in zip(groups, saved)]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


def evaluated(closure: Closure) -> Any:
    """The loss that ``closure`` returns, recorded also under `no_grad`."""
    with enable_grad():
        return closure()


def type_name(x: object) -> str:
    """The name of the type of ``x``, as PyTorch has it in errors."""
    return f"torch.{dtypes.type_name(x.dtype)}Tensor" if isinstance(x, Tensor) else type(x).__name__


def reals(array: Array) -> Array:
    """The numbers that steps are computed with: float32 for narrower dtypes, real and imaginary parts (..., 2) of complex
    numbers."""
    if array.dtype.kind != "c":
        return array.astype(np.float32) if array.dtype.itemsize < 4 else array
    return np.ascontiguousarray(array).reshape(*array.shape, 1).view(array.real.dtype)


def give(tensor: Tensor, value: Array) -> None:
    """Give a parameter the value of `reals`, rounded to its dtype."""
    parts = np.ascontiguousarray(value).view(tensor.dtype) if tensor.dtype.kind == "c" else value.astype(tensor.dtype)
    array = parts.reshape(tensor.shape)
    array.flags.writeable = False
    tensor.become_leaf(array)


def check(settings: Mapping[str, float], texts: Mapping[str, str]) -> None:
    """Raises ValueError for a setting that is negative, or no number; ``texts`` name the settings."""
    for name, text in texts.items():
        if not settings[name] >= 0.0:
            raise ValueError(f"Invalid {text}: {settings[name]}")


def check_betas(betas: tuple[float, float]) -> None:
    """Raises ValueError for a decay rate outside [0, 1)."""
    for k, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {k}: {beta}")


def _cast(name: str, x: Any, tensor: Any) -> Any:
    """A part of a saved state in the dtype that steps are computed in, but for numbers of steps."""
    if not isinstance(x, Tensor) or not isinstance(tensor, Tensor):
        return copy.deepcopy(x)
    dtype = x.dtype if name == "step" else reals(np.empty(0, tensor.dtype)).dtype
    return Tensor(x.value().astype(dtype))
