"""Tensors: arrays that remember how they were made. Shapes and dtypes are known at once, values when someone looks."""

from __future__ import annotations

import copy
import html
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.backward.handles import Handle, Hooks
from gradproof.client.recording import modes
from gradproof.client.recording.runtime import Spec
from gradproof.client.tensors.arithmetic import Arithmetic
from gradproof.client.tensors.methods import Methods
from gradproof.client.tensors.ordering import Ordering
from gradproof.client.tensors.selecting import Selecting
from gradproof.client.text import show

if TYPE_CHECKING:
    from gradproof.client.backward.standing import Part, Standing
    from gradproof.client.events import HookTrace, Verdict
    from gradproof.client.recording.record import Node

M9 = "Only Tensors of floating point and complex dtype can require gradients"
M10 = "only Tensors of floating point and complex dtype can require gradients"
M11 = "only Tensors of floating point dtype can require gradients"
M12 = (
    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that "
    "doesn't require differentiation use var_no_grad = var.detach()."
)
M13 = "you can only change requires_grad flags of leaf variables."
W1 = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated "
    "during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use "
    ".retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf "
    "Tensor instead."
)


class Tensor(Arithmetic, Methods, Ordering, Selecting):
    """An n-dimensional array. Make one with `tensor` and its relatives."""

    __slots__ = (
        "__weakref__", "_accumulate", "_alias", "_evidence", "_grad", "_hooks", "_node", "_posthooks", "_requires_grad",
        "_retains", "_slot", "_spec", "_tainted", "_value",
    )  # fmt: skip

    def __init__(self, value: np.ndarray[Any, Any], requires_grad: bool = False) -> None:
        if not isinstance(value, np.ndarray):
            raise TypeError("tensors are made by tensor(data), zeros(shape) and their relatives, not by Tensor()")
        value.flags.writeable = False
        self._set(Spec(value.shape, value.dtype), value, None, 0, requires_grad, False)

    @classmethod
    def _made(cls, spec: Spec, *, node: Node, slot: int, requires_grad: bool, tainted: bool) -> Tensor:
        made = cls.__new__(cls)
        made._set(spec, None, node, slot, requires_grad, tainted)
        return made

    def _set(self, spec: Spec, value: Any, node: Node | None, slot: int, requires_grad: bool, tainted: bool) -> None:
        self._spec, self._value, self._node, self._slot = spec, value, node, slot
        self._requires_grad, self._tainted = requires_grad, tainted
        self._grad: Tensor | None = None
        self._evidence: Standing | None = None
        self._alias: Any = None
        self._accumulate: Any = None
        self._retains = False
        self._hooks, self._posthooks = Hooks(), Hooks()

    # what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self._spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype, as NumPy has it (bfloat16 is that of ml_dtypes)."""
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self._spec.size * self.dtype.itemsize

    def dim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def is_floating_point(self) -> bool:
        """Whether its numbers are real and floating point."""
        return dtypes.is_floating_point(self.dtype)

    def is_complex(self) -> bool:
        """Whether its numbers are complex."""
        return self.dtype.kind == "c"

    def numel(self) -> int:
        """The number of elements."""
        return self._spec.size

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded node made it (``grad_fn`` is None)."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that made it, if a gradient flows through that."""
        return self._node if self._requires_grad else None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it. May be set on leaves of floating point and complex dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if self.grad_fn is not None:
            raise RuntimeError(M13 if flag else M12)
        if flag and not dtypes.is_differentiable(self.dtype):
            raise RuntimeError(M10)
        self._turn(flag)

    def requires_grad_(self, flag: bool = True) -> Tensor:
        """Set ``requires_grad``; returns the tensor."""
        if self.grad_fn is not None:
            if not flag:
                raise RuntimeError(M12)
            return self
        if flag and not dtypes.is_differentiable(self.dtype):
            raise RuntimeError(M11)
        self._turn(flag)
        return self

    def _turn(self, flag: bool) -> None:
        if flag and self._node is not None:  # computed without gradients: from now on a leaf like any other
            self.value()
            self._node, self._tainted = None, False
        self._requires_grad = bool(flag)

    # its value

    def value(self) -> np.ndarray[Any, Any]:
        """The value as a read-only array; computed now if it was not."""
        from gradproof.client.recording.subgraph import evaluate

        if self._value is None:
            if self._alias is not None:
                self._value = self._alias.value()
            else:
                evaluate([self])
        value: Any = self._value
        return np.asarray(value)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as a read-only NumPy array. Raises RuntimeError if the tensor requires grad."""
        if self._requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self.value()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **arguments: Any) -> Any:
        return np.array(self.numpy()).__dlpack__(**arguments)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the CPU

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self.value().item()

    def tolist(self) -> Any:
        """The value as (nested lists of) Python numbers."""
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
        return bool(self.item())

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return show(self)

    def _repr_html_(self) -> str:
        """For notebooks: the text, and what is known of the gradient."""
        rows = [("", show(self))]
        if self._grad is not None:
            rows.append(("grad", show(self._grad)))
        if (standing := self._standing()) is not None and (known := standing.known()) is not None:
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

    __hash__ = object.__hash__

    def detach(self) -> Tensor:
        """The same value, without its history."""
        alias = Tensor.__new__(Tensor)
        alias._set(self._spec, self._value, None, 0, False, False)
        alias._alias = self if self._value is None else None
        return alias

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.grad_fn is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        made = memo[id(self)] = Tensor(self.value(), self._requires_grad)
        made._grad = copy.deepcopy(self._grad, memo)
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A pickle has the value and ``requires_grad``, but no history: what comes back is a leaf."""
        return Tensor, (self.value(), self._requires_grad)

    # its gradient

    @property
    def grad(self) -> Tensor | None:
        """What backward passes have added up; None if no gradient has reached it."""
        if self.grad_fn is not None and not self._retains and self._grad is None:
            warnings.warn(W1, stacklevel=2)
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            _check_grad(self, gradient)
        self._grad = gradient
        self._evidence = None

    @property
    def retains_grad(self) -> bool:
        """Whether ``.grad`` is kept though it is no leaf."""
        return self._retains

    def retain_grad(self) -> None:
        """Keep ``.grad`` of a tensor that is no leaf."""
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        self._retains = self.grad_fn is not None

    @property
    def raw_grad(self) -> Tensor | None:
        """The gradient of the last pass before its hooks; None if none reached it, and once ``.grad`` was assigned or
        changed in place."""
        part = self._last_part()
        return part.evidence.raw(part.names) if part else None

    @property
    def hook_trace(self) -> tuple[HookTrace, ...]:
        """What each hook did in the last pass."""
        part = self._last_part()
        return part.evidence.traces(part.names) if part else ()

    @property
    def verdict(self) -> Verdict | None:
        """What is known of ``.grad``, all passes that were added up, or of this tensor, where it is a gradient itself;
        found out when it is first asked for. None once the numbers were assigned or changed in place."""
        standing = self._standing()
        return standing.verdict() if standing else None

    def _standing(self) -> Standing | None:
        """Where the numbers of ``.grad``, or of a gradient, came from, as long as they are those."""
        found = self._evidence
        return found if found is not None and (found.holds(self._grad) or found.holds(self)) else None

    def _last_part(self) -> Part | None:
        standing = self._standing()
        return standing.last if standing else None

    def register_hook(self, hook: Callable[[Tensor], Any] | str, **attributes: Any) -> Handle:
        """Call ``hook(gradient)`` when the gradient of this tensor is known, before it goes on; a tensor that it returns
        takes the gradient's place. A string names a hook of the server, with its attributes:
        ``register_hook("clip", max_norm=1.0)``."""
        from gradproof.client.backward.hooking import Named

        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if isinstance(hook, str):
            return self._hooks.add(Named(hook, attributes))
        if attributes:
            raise TypeError("only a hook of the server takes attributes")
        return self._hooks.add(hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Handle:
        """Call ``hook(tensor)`` when a pass has added to ``.grad`` of this leaf."""
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return self._posthooks.add(hook)

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | Tensor | None = None,
    ) -> None:
        """Add the gradients of this tensor to ``.grad`` of the leaves (or of ``inputs``). See `autograd.backward`."""
        from gradproof.client.autograd import backward

        backward([self], [gradient], retain_graph, create_graph, inputs)


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


def in_place_refused(tensor: Tensor, new: Any = None) -> None:
    """Raises RuntimeError if changing ``tensor`` would change what is recorded, or if a gradient would flow to ``new``."""
    if tensor.requires_grad and tensor.is_leaf and modes.is_grad_enabled():
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if tensor.grad_fn is not None:
        raise RuntimeError("in-place operations are for leaves; write y = y + 1 instead of y += 1")
    if isinstance(new, Tensor) and new.requires_grad and modes.is_grad_enabled():
        raise RuntimeError(
            "an in-place operation would lose the gradient of what comes in; write y = y + x instead of y += x (and "
            "where() instead of y[mask] = x), or use no_grad()"
        )
