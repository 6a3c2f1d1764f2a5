"""The tensor: an array with its history. Shapes and dtypes are known at once, values are computed on first access."""

from __future__ import annotations

import copy
import html
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Self, TypeVar, cast, overload

import numpy as np

from gradproof.client import dtypes
from gradproof.client.backward import engine
from gradproof.client.backward.provenance import PassGradient, provenance_of
from gradproof.client.drawing.picture import Picture
from gradproof.client.drawing.records import draw
from gradproof.client.events import HookTrace, Verdict
from gradproof.client.explanation import Explanation
from gradproof.client.recording.apply import as_subclass
from gradproof.client.recording.evaluation import evaluate
from gradproof.client.recording.modes import is_grad_enabled
from gradproof.client.recording.place import caller_place
from gradproof.client.recording.placeholders import NO_CONTROL_FLOW, NO_ITEM
from gradproof.client.recording.reads import note, note_change
from gradproof.client.recording.recorded import DATA_OF_NODE, ONLY_LEAVES_DETACH, Recorded
from gradproof.client.recording.spec import Spec
from gradproof.client.tensors.arguments import axis_of
from gradproof.client.tensors.formulas import explained
from gradproof.client.tensors.in_place import InPlace
from gradproof.client.tensors.protocols import call_function, call_ufunc
from gradproof.client.text import show

NON_LEAF_GRAD = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated "
    "during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use "
    ".retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf "
    "Tensor instead."
)

ARRAY_API_VERSIONS = "2021.12", "2022.12", "2023.12", "2024.12"

NO_NUMPY = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
INSTEAD = "write it with ops, gp.sin(x) or np.sin(x), for one to flow"

BOOKKEEPING = frozenset(Recorded.__slots__) - {"retains_grad"}
"""Attributes of the record, which are not for users."""

T = TypeVar("T", bound="Tensor")


class Tensor(InPlace):
    """An n-dimensional array, made by `tensor`, `zeros` and the other constructors.

    Results of ops on instances of a subclass have that class, as in PyTorch; ``.grad`` has not.
    """

    __slots__ = ()

    def __init__(self, value: np.ndarray[Any, Any], requires_grad: bool = False) -> None:
        if not isinstance(value, np.ndarray):
            raise TypeError("tensors are made by tensor(data), zeros(shape) and their relatives, not by Tensor()")
        value.flags.writeable = False
        self._initialise(Spec(value.shape, value.dtype), value, requires_grad)

    @classmethod
    def plain(cls) -> type[Tensor]:
        """The class of gradients and constants, also where ``cls`` derives from it."""
        return Tensor

    def dim(self) -> int:
        """The number of axes. Follows torch.Tensor.dim."""
        return len(self.shape)

    @overload
    def size(self) -> tuple[int, ...]: ...
    @overload
    def size(self, dim: int) -> int: ...
    def size(self, dim: int | None = None) -> tuple[int, ...] | int:
        """The shape, or the size of an axis. Follows torch.Tensor.size."""
        return self.shape if dim is None else self.shape[axis_of(self, dim)]

    def is_floating_point(self) -> bool:
        """True if its numbers are real and floating point. Follows torch.is_floating_point."""
        return dtypes.is_floating_point(self.dtype)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def requires_grad_(self, flag: bool = True) -> Self:
        """Set ``requires_grad``; returns the tensor. Follows torch.Tensor.requires_grad_."""
        if self.grad_fn is not None:
            if not flag:
                raise RuntimeError(ONLY_LEAVES_DETACH)
            return self
        if flag and not dtypes.is_differentiable(self.dtype):
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        self._set_requires_grad(flag)
        return self

    # value

    def value(self) -> np.ndarray[Any, Any]:
        """The value as a read-only array; computed now if it was not."""
        note(self)
        self.check_current()
        if self.array is None:
            self.require_value()
            if self.alias is not None:
                self.array = self.alias.value()
            else:
                evaluate([self])
        return np.asarray(self.array)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as a read-only NumPy array. Raises RuntimeError if the tensor requires grad, but under `no_grad`.

        Follows torch.Tensor.numpy.
        """
        if self._requires_grad and is_grad_enabled():
            raise RuntimeError(
                f"{NO_NUMPY} No gradient would flow to what {caller_place()} makes of the numbers: {INSTEAD}"
            )
        return self.value()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        """A ufunc of NumPy, recorded: ``np.sin(x)``, ``array * x``. Raises TypeError for a ufunc without an op."""
        return call_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(
        self, function: Callable[..., Any], types: Sequence[type], arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Any:
        """A function of NumPy, recorded: ``np.mean(x, axis=0)``. Raises TypeError for a function without an op."""
        return call_function(function, tuple(types), arguments, keywords)

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The functions of the Array API standard, `gradproof.client.array_api`. Raises ValueError for a later version."""
        if api_version is not None and api_version not in ARRAY_API_VERSIONS:
            raise ValueError(f"version {api_version!r} of the Array API is not there; {ARRAY_API_VERSIONS[-1]} is")
        return sys.modules["gradproof.client.array_api"]  # `gradproof.client` imports it

    @property
    def device(self) -> str:
        """The device of Array API: "cpu", the only one. Follows torch.Tensor.device."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: object = None) -> Self:
        """The tensor itself. Follows Array API to_device. Raises ValueError for another device than "cpu"."""
        if device != "cpu" or stream is not None:
            raise ValueError(f"unsupported device {device!r}: tensors are on the device 'cpu'")
        return self

    def __dlpack__(self, **arguments: Any) -> Any:
        return np.array(self.numpy()).__dlpack__(**arguments)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the CPU

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number. Follows torch.Tensor.item."""
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        self.require_value(NO_ITEM)
        return self.value().item()

    def tolist(self) -> Any:
        """The value as (nested lists of) Python numbers. Follows torch.Tensor.tolist."""
        array = self.value()
        return (array.astype(np.float32) if array.dtype == dtypes.bfloat16 else array).tolist()

    def _number(self) -> Any:
        if self._requires_grad:
            warnings.warn(
                "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
                "Consider using tensor.detach() first.",
                stacklevel=3,
            )
        if self.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.numel() != 1:
            many = "more than one value" if self.numel() else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {many} is ambiguous")
        self.require_value(NO_CONTROL_FLOW)
        return bool(self.item())

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        if self.placeholder is not None:
            return f"Placeholder(shape={self.shape}, dtype={self.dtype.name})"
        if self.grad_fn is not None:
            return show(self.value(), f"grad_fn={self.grad_fn!r}")
        return show(self.value(), "requires_grad=True" if self.requires_grad else "")

    def _repr_html_(self) -> str:
        """For notebooks: the text, and what is known of the gradient."""
        rows = [("", repr(self))]
        if self.accumulated is not None:
            rows.append(("grad", repr(self.accumulated)))
        if (provenance := provenance_of(self)) is not None and (known := provenance.known()) is not None:
            rows.append(("verdict", known.summary))
        cells = "".join(
            f"<tr><td>{html.escape(name)}</td><td style='text-align:left'><pre>{html.escape(text)}</pre></td></tr>"
            for name, text in rows
        )
        return f"<table>{cells}</table>"

    def __format__(self, form: str) -> str:
        if form and self.shape:
            raise TypeError("unsupported format string passed to Tensor.__format__")
        return format(self.item(), form) if form else repr(self)

    def __dir__(self) -> list[str]:
        """Names without those of the record, which editors need not complete."""
        return [name for name in object.__dir__(self) if name not in BOOKKEEPING]

    __hash__ = object.__hash__

    def as_subclass(self, kind: type[T]) -> T:
        """The tensor as an instance of a subclass; a gradient flows through. Follows torch.Tensor.as_subclass.

        Raises TypeError for another class.
        """
        if not issubclass(kind, Tensor):
            raise TypeError(f"as_subclass(): {kind.__name__} does not derive from Tensor")
        return as_subclass(self, kind)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self.grad_fn is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        duplicate = memo[id(self)] = type(self).from_array(self.value(), self._requires_grad)
        duplicate.accumulated = copy.deepcopy(self.accumulated, memo)
        for name, attribute in getattr(self, "__dict__", {}).items():  # of a subclass
            setattr(duplicate, name, copy.deepcopy(attribute, memo))
        return duplicate

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A pickle has the value, ``requires_grad`` and attributes of a subclass, but no history: it loads as a leaf."""
        return type(self).from_array, (self.value(), self._requires_grad), getattr(self, "__dict__", None)

    def explain(self, **names: Tensor) -> Explanation:
        """The formulas behind this tensor: of its own derivative and, if it is small, of whole gradients.

        Its leaves are called x0, x1 and so on, inner values v0, v1; ``names`` give tensors names of their own, constants
        too: ``(k * x).explain(k=k, x=x)``.

        Raises ValueError for a name that is taken, or of a tensor that is no part of the computation.
        """
        return explained(self, names)

    def graph(self, **names: Tensor) -> Picture:
        """The computation behind this tensor as a picture; ``names`` are written on the boxes of these tensors.

        Parts that repeat, such as the steps of a loop, are a box with a count; ``graph().unfold()`` has all of them.
        """
        return draw(self, **names)

    # gradient

    @property
    def grad(self) -> Tensor | None:
        """The sum of the gradients of backward passes; None if no gradient has reached the tensor."""
        if self.grad_fn is not None and not self.retains_grad and self.accumulated is None:
            warnings.warn(NON_LEAF_GRAD, stacklevel=2)
        return cast("Tensor | None", self.accumulated)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            _check_grad(self, gradient)
        note_change(self)
        self.accumulated = gradient
        self.provenance = None

    @grad.deleter
    def grad(self) -> None:
        self.accumulated = self.provenance = None

    @property
    def data(self) -> Self:
        """The value without history. A change of it in place (``x.data.mul_(2)``) is a change of the tensor. Assigned, a
        tensor gives a leaf a new value, of any shape. Graphs recorded before keep theirs.

        Follows torch.Tensor.data. Raises TypeError for data that are no tensor, and RuntimeError for integers where the
        tensor requires grad, and for a change of a tensor that is no leaf.
        """
        data = self.detach()
        data.data_of = self
        return data

    @data.setter
    def data(self, data: Tensor) -> None:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if self._requires_grad and not dtypes.is_differentiable(data.dtype):
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        if self.grad_fn is not None:
            raise RuntimeError(DATA_OF_NODE)
        array = np.array(data.value())
        array.flags.writeable = False
        self.become_leaf(array)

    @property
    def raw_grad(self) -> Tensor | None:
        """The gradient of the last pass before its hooks; None if none reached the tensor, and once ``.grad`` was assigned
        or changed in place."""
        part = self._last_pass()
        return cast("Tensor | None", part.raw()) if part else None

    @property
    def hook_traces(self) -> tuple[HookTrace, ...]:
        """The gradient after each hook in the last pass, and whether the hook changed it."""
        part = self._last_pass()
        return part.traces() if part else ()

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on ``.grad``, all passes that were added up, or on this tensor, where it is a gradient itself.

        The first access runs the checks. None once the numbers were assigned or changed in place.
        """
        provenance = provenance_of(self)
        return provenance.verdict() if provenance else None

    def _last_pass(self) -> PassGradient | None:
        provenance = provenance_of(self)
        return provenance.last if provenance else None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: engine.Tensors | None = None,
    ) -> None:
        """Add the gradients of this tensor to ``.grad`` of the leaves (or of ``inputs``). See `autograd.backward`.

        Follows torch.Tensor.backward.
        """
        engine.backward([self], [gradient], retain_graph, create_graph, inputs)


def _check_grad(tensor: Tensor, gradient: Any) -> None:
    if not isinstance(gradient, Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(gradient).__name__}")
    if gradient is tensor:
        raise RuntimeError("can't assign Variable as its own grad")
    if gradient.shape != tensor.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(gradient.shape)}' to a tensor of size '{list(tensor.shape)}'. "
            "Please ensure that the gradient and the tensor are the same size"
        )
    if gradient.dtype != tensor.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{gradient.dtype.name}' to a tensor with grad_dtype "
            f"'{dtypes.type_name(tensor.dtype)}'. The gradient must match the tensor's dtype"
        )
