"""Functions with a forward and a backward of their own, in Python. They run here, and their backward is judged."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradproof.client import dtypes
from gradproof.client.autograd.saved import Saved, save
from gradproof.client.backward.passes import FREED
from gradproof.client.recording.apply import apply_as
from gradproof.client.recording.client_rule import Reference
from gradproof.client.recording.modes import calling_recorders, enable_grad, is_grad_enabled, no_grad
from gradproof.client.recording.reads import watching
from gradproof.client.recording.record import Node, next_number
from gradproof.client.recording.recorded import Recorded, class_of
from gradproof.client.recording.runtime import current
from gradproof.client.recording.signature import Signature
from gradproof.client.recording.spec import Spec
from gradproof.client.tensors.tensor import Tensor

MAX_RESULTS = 64
NO_BACKWARD = (
    "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode "
    "AD."
)
TWO_BACKWARDS = (
    "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of them."
)


Key: TypeAlias = tuple[Any, ...]


class FunctionCtx:
    """The context of an application: what `Function.forward` hands to `Function.backward`, with any attributes besides.

    Attributes:
        needs_input_grad: for each argument of ``forward`` whether a gradient flows to it.

    Follows torch.autograd.function.FunctionCtx.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.materialize_grads = True
        self._for_forward: tuple[Tensor | Saved | None, ...] = ()
        self._pushing = False
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: tuple[Saved | None, ...] | None = None
        self._constant_outputs: set[int] = set()
        self._node: Callable[[], Node | None] = lambda: None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors for the backward, as `saved_tensors`. Raises TypeError for others.

        Follows torch.autograd.function.FunctionCtx.save_for_backward.
        """
        for k, x in enumerate(tensors):
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {k} is of type {type(x).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `Function.jvp`, as `saved_tensors` there.

        Follows torch.autograd.function.FunctionCtx.save_for_forward.
        """
        self._for_forward = tensors

    @property
    def saved_for_forward(self) -> tuple[Tensor | None, ...]:
        """The tensors of `save_for_forward`; inputs and outputs have their history."""
        node = self._node()
        return tuple(x.unpacked(node) if isinstance(x, Saved) else x for x in self._for_forward)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors of `save_for_backward`, inside `Function.jvp` those of `save_for_forward`; inputs and outputs have
        their history. Raises RuntimeError once freed.

        Follows torch.autograd.function.FunctionCtx.saved_tensors.
        """
        if self._pushing and self._for_forward:
            return self.saved_for_forward
        node = self._node()
        if node is not None and node.freed:
            raise RuntimeError(FREED)
        if self._saved is None:
            return self._to_save
        return tuple(None if saved is None else saved.unpacked(node) for saved in self._saved)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Let no gradient flow through these outputs.

        Follows torch.autograd.function.FunctionCtx.mark_non_differentiable.
        """
        self._constant_outputs.update(map(id, outputs))

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Raises RuntimeError: inputs are not changed in place here."""
        raise RuntimeError(
            "mark_dirty: a Function cannot change its inputs in place; return a new tensor: x * 2, not x.mul_(2)"
        )

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the backward gets zeros, or None, for outputs that no gradient comes to.

        Follows torch.autograd.function.FunctionCtx.set_materialize_grads.
        """
        self.materialize_grads = value

    def _finish(self, node: Node, places: Mapping[int, tuple[str, int]]) -> None:
        """Save the tensors. ``places``: inputs and outputs of the node, by the ids of the tensors that ``forward`` had."""
        self._node = weakref.ref(node)
        self._saved = tuple(None if x is None else save(x, places.get(id(x))) for x in self._to_save)
        self._to_save = ()
        self._for_forward = tuple(
            Saved(places[id(x)], None, None) if isinstance(x, Tensor) and id(x) in places else x for x in self._for_forward
        )


class Function:
    """A differentiable function with a backward of its own: a subclass has static methods, and is called by `apply`.

    ``forward(ctx, *args)``, or ``forward(*args)`` with ``setup_context(ctx, inputs, output)``, computes without gradients;
    ``backward(ctx, *grad_outputs)`` returns a gradient for each argument, None where there is none. A pass calls it here.

    A verdict takes the backward in: its gradients are compared with those of the recorded forward. A wrong backward reads
    ``wrong``; where numbers leave the record in forward (NumPy), the verdict is at most ``unchecked``.

    Follows torch.autograd.Function.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The result, a tensor or a tuple. Raises NotImplementedError until it is written."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save what the backward needs, where ``forward`` has no ``ctx``."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of each argument. Raises NotImplementedError until it is written."""
        raise NotImplementedError(NO_BACKWARD)

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangent of each output, of a tangent for each argument: None where an argument is no tensor of numbers.

        A function without it is differentiated forward through its backward.
        """
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """The function at these arguments. Raises RuntimeError where ``forward`` has changed an argument in place."""
        if cls.forward is Function.forward:
            raise NotImplementedError("You must implement the forward function for custom autograd.Function.")
        application = _Application(cls, _bound(cls, args, kwargs))
        application.run()
        return application.result()


class FunctionNode(Node):
    """The ``grad_fn`` of the results of a `Function`, with the attributes of its context."""

    __slots__ = ("context",)

    context: FunctionCtx

    if not TYPE_CHECKING:  # attributes that a function gave its context

        def __getattr__(self, name):
            if name in Node.__slots__ or name == "context":
                raise AttributeError(name)
            return getattr(self.context, name)


class _Application:
    """An application of a function to arguments."""

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        self._function, self._args = function, args
        needs = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        self._context = type(f"{function.__name__}Backward", (FunctionCtx,), {})(needs)
        self._flows = is_grad_enabled() and any(needs)
        self._inputs = {k: x for k, x in enumerate(args) if isinstance(x, Tensor) and dtypes.is_differentiable(x.dtype)}
        self._output: Any = None

    def run(self) -> None:
        """Run forward, without gradients."""
        function, args = self._function, self._args
        before = [(x.node, x.array) for x in args if isinstance(x, Tensor)]
        separate = function.setup_context is not Function.setup_context
        self._start = next_number()
        with no_grad(), calling_recorders():
            with watching() as watch:
                self._output = function.forward(*args) if separate else function.forward(self._context, *args)
            if separate:
                function.setup_context(self._context, args, self._output)
        self._check_unchanged(before)
        keys = {key_of(x) for x in self._inputs.values()}
        self._reason = ""
        if any(depends(x, keys, self._start) for x in watch.reads):
            self._reason = "its forward reads the numbers of a tensor, and what it makes of them is not in the record"

    def _check_unchanged(self, before: Sequence[tuple[Node | None, Any]]) -> None:
        tensors = [x for x in self._args if isinstance(x, Tensor)]
        for k, (x, (node, array)) in enumerate(zip(tensors, before, strict=True)):
            if x.node is not node or (array is not None and x.array is not array):
                raise RuntimeError(
                    f"{self._function.__name__}.forward has changed tensor {k} of its arguments in place; "
                    "return a new tensor: x * 2, not x.mul_(2)"
                )

    def result(self) -> Any:
        """The output of forward, with its node."""
        several = isinstance(self._output, tuple)
        outputs = self._output if several else (self._output,)
        slots = [k for k, y in enumerate(outputs) if self._differentiable(y)] if self._flows else []
        results = self._recorded(outputs, slots) if slots else [_plain(y) for y in outputs]
        return tuple(results) if several else results[0]

    def _differentiable(self, y: Any) -> bool:
        marked = self._context._constant_outputs  # noqa: SLF001 - the context is a part of the application
        return isinstance(y, Tensor) and dtypes.is_differentiable(y.dtype) and id(y) not in marked

    def _recorded(self, outputs: Sequence[Any], slots: Sequence[int]) -> list[Any]:
        """The outputs; those at ``slots`` are outputs of a node."""
        if len(slots) > MAX_RESULTS:
            raise RuntimeError(
                f"{self._function.__name__} has {len(slots)} results; at most {MAX_RESULTS} may have gradients"
            )
        values = [_plain(outputs[k]) for k in slots]
        operands = [*values, *self._inputs.values()]
        kind = class_of(self._inputs.values()) or Tensor
        signature = Signature(current().op("external"), {"results": len(slots)}, [y.spec for y in values])
        node = FunctionNode(kind, signature, operands)
        node.context = self._context
        raws = [outputs[k] for k in slots]
        specs = [y.spec if isinstance(y, Tensor) else None for y in outputs]
        rule = FunctionRule(self._function, self._context, (raws, slots, specs), list(self._inputs), self._start)
        node.client_rule, rule.reason = rule, self._reason
        places = {id(y): ("output", slot) for slot, y in enumerate(raws)}
        places |= {id(x): ("input", len(slots) + k) for k, x in enumerate(self._inputs.values())}
        self._context._finish(node, places)  # noqa: SLF001 - as above
        rule.saves = bool(self._context._saved)  # noqa: SLF001 - as above
        results = [_plain(y) for y in outputs]
        for slot, k in enumerate(slots):
            results[k] = node.held(slot)
        return results


class FunctionRule:
    """The backward of a function as the rule of a node.

    Args:
        function: the function.
        context: the context of the application.
        outputs: the outputs of the node as forward made them, their positions among all outputs, and the specs of all.
        places: the positions of the node's inputs among the arguments.
        start: a number below those of the nodes that forward has recorded.

    Attributes:
        reason: why forward is not in the record, or empty.
    """

    def __init__(
        self,
        function: type[Function],
        context: FunctionCtx,
        outputs: tuple[Sequence[Tensor], Sequence[int], Sequence[Spec | None]],
        places: Sequence[int],
        start: int,
    ) -> None:
        self._function, self._context = function, context
        self.raws, self._slots, self._specs = outputs
        self._places, self._start = places, start
        self.name, self.reason = f"{function.__name__}Backward", ""
        self.saves = False
        self.push = None if function.jvp is Function.jvp else self._push

    def _push(self, node: Node, tangents: Mapping[int, Recorded]) -> Mapping[int, Recorded]:
        """The tangents of the outputs by the function's own jvp."""
        context, first = self._context, len(self._slots)
        given: list[Any] = [None] * len(context.needs_input_grad)
        for k, place in enumerate(self._places):
            x = node.inputs[first + k]
            assert isinstance(x, Recorded)
            zeros = node.leaf(np.zeros(x.shape, x.dtype)) if context.materialize_grads else None
            given[place] = tangents.get(first + k, zeros)
        context._pushing = True  # noqa: SLF001 - the context is a part of the application
        try:
            returned = self._function.jvp(context, *given)
        finally:
            context._pushing = False  # noqa: SLF001 - as above
        results = returned if isinstance(returned, tuple) else (returned,)
        if len(results) != len(self._specs):
            raise RuntimeError(
                f"{self._function.__name__}'s jvp returned an invalid number of forward gradients (expected "
                f"{len(self._specs)} but got {len(results)})"
            )
        found = {slot: self._tangent(results[k], node, slot) for slot, k in enumerate(self._slots)}
        return {slot: tangent for slot, tangent in found.items() if tangent is not None}

    def _tangent(self, tangent: Any, node: Node, slot: int) -> Recorded | None:
        """A tangent in the dtype of its output; None where there is none. Raises RuntimeError for another shape."""
        spec = node.specs[slot]
        if tangent is None:
            return None
        if not isinstance(tangent, Recorded):
            raise RuntimeError(f"expected Variable or None (got {type(tangent).__name__}) for grad output {slot}.")
        if tangent.shape != spec.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
                f"supported. Tensor is of size {list(spec.shape)} while the given forward gradient is of size "
                f"{list(tangent.shape)}."
            )
        return tangent if tangent.dtype == spec.dtype else apply_as(Tensor, "astype", tangent, dtype=spec.dtype.name)[0]

    def __call__(
        self, node: Node, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]
    ) -> Mapping[int, Recorded]:
        by_output = dict(zip(self._slots, grad_outputs, strict=True))
        gradients = [self._incoming(node, by_output.get(k), spec) for k, spec in enumerate(self._specs)]
        returned = self._backward()(self._context, *gradients)
        results = self._checked(returned if isinstance(returned, tuple) else (returned,))
        first = len(self._slots)
        found = {first + k: results[place] for k, place in enumerate(self._places)}
        return {k: self._fitting(gradient, node, k) for k in positions if (gradient := found[k]) is not None}

    def _backward(self) -> Callable[..., Any]:
        function = self._function
        own = function.backward is not Function.backward
        if own and function.vjp is not Function.vjp:
            raise RuntimeError(TWO_BACKWARDS)
        return function.backward if own else function.vjp

    def _incoming(self, node: Node, gradient: Recorded | None, spec: Spec | None) -> Recorded | None:
        if gradient is None and spec is not None and self._context.materialize_grads:
            return node.leaf(np.zeros(spec.shape, spec.dtype))
        return gradient

    def _checked(self, results: tuple[Any, ...]) -> tuple[Any, ...]:
        count = len(self._context.needs_input_grad)
        if len(results) < count or any(x is not None for x in results[count:]):
            raise RuntimeError(
                f"function {self.name} returned an incorrect number of gradients (expected {count}, got {len(results)})"
            )
        for x in results:
            if x is not None and not isinstance(x, Recorded):
                raise RuntimeError(f"expected Variable or None (got {type(x).__name__})")
        return results

    def _fitting(self, gradient: Recorded, node: Node, position: int) -> Recorded:
        """A gradient in the dtype of its input. Raises RuntimeError for another shape, or complex numbers for real ones."""
        x = node.inputs[position]
        assert isinstance(x, Recorded)
        place = self._places[position - len(self._slots)]
        if gradient.shape != x.shape:
            raise RuntimeError(
                f"Function {self.name} returned an invalid gradient at index {place} - got {list(gradient.shape)} but "
                f"expected shape compatible with {list(x.shape)}"
            )
        if gradient.dtype.kind == "c" != x.dtype.kind:
            raise RuntimeError(
                f"Function {self.name} returned an invalid gradient at index {place} - got {gradient.dtype} but expected "
                f"{x.dtype}: return its real part"
            )
        return gradient if gradient.dtype == x.dtype else apply_as(Tensor, "astype", gradient, dtype=x.dtype.name)[0]

    def reference(self, node: Node) -> Reference | str:
        """Forward, recorded once more from leaves with the values that the arguments had."""
        if self.reason:
            return self.reason
        stand_ins: dict[Key, Recorded] = {}
        inputs = {}
        for k in range(len(self._slots), len(node.inputs)):
            x, array = node.inputs[k], node.arrays[k]
            assert isinstance(x, Recorded)
            leaf = node.leaf(np.array(x.value() if array is None else array), True)
            inputs[k] = stand_ins.setdefault(key_of(x), leaf)
        arguments = {len(self._slots) + k: place for k, place in enumerate(self._places)}
        return Reference(recorded_again(self.raws, stand_ins, self._start), inputs, arguments)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of a backward that is not differentiated again: it runs without gradients, and a pass through its results
    raises RuntimeError.

    Follows torch.autograd.function.once_differentiable.
    """

    @wraps(backward)
    def wrapper(ctx: Any, *grad_outputs: Any) -> Any:
        with no_grad():
            outputs = backward(ctx, *grad_outputs)
        if not is_grad_enabled() or not any(isinstance(g, Tensor) and g.requires_grad for g in grad_outputs):
            return outputs
        return _Once.apply(outputs, *grad_outputs)

    return wrapper


class _Once(Function):
    """The results of a backward that is not differentiated again."""

    @staticmethod
    def forward(ctx: Any, outputs: Any, *grad_outputs: Any) -> Any:
        return outputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def _bound(function: type[Function], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments in order, those by keyword and defaults included."""
    separate = function.setup_context is not Function.setup_context
    if not kwargs and not separate:
        return args
    bound = inspect.signature(function.forward).bind(*(() if separate else (None,)), *args, **kwargs)
    bound.apply_defaults()
    return bound.args if separate else bound.args[1:]


def _plain(y: Any) -> Any:
    """An output of forward without a history that gradients flow through."""
    return y.detach() if isinstance(y, Tensor) and y.requires_grad else y


def key_of(x: Recorded) -> Key:
    """The identity of a tensor: an output of a node, or a leaf."""
    return ("leaf", id(x)) if x.node is None else (x.node.number, x.slot)


def _origin(x: Recorded, inputs: Collection[Key], start: int) -> Recorded:
    """The tensor that ``x`` has its value from: an input, an output of a node since ``start``, or a constant."""
    while key_of(x) not in inputs and (x.node is None or x.node.number < start) and isinstance(x.alias, Recorded):
        x = x.alias
    return x


def _operands(node: Node) -> Sequence[Any]:
    """The inputs of a node; of a function the outputs as its forward made them."""
    return node.client_rule.raws if isinstance(node.client_rule, FunctionRule) else node.inputs


def _nodes(tensors: Sequence[Recorded], inputs: Collection[Key], start: int) -> tuple[dict[int, Node], bool]:
    """The nodes recorded since ``start`` between inputs and tensors, and whether an input was met."""
    nodes: dict[int, Node] = {}
    pending, met = list(tensors), False
    while pending:
        x = _origin(pending.pop(), inputs, start)
        if key_of(x) in inputs:
            met = True
        elif x.node is not None and x.node.number >= start and x.node.number not in nodes:
            nodes[x.node.number] = x.node
            pending.extend(y for y in _operands(x.node) if isinstance(y, Recorded))
    return nodes, met


def depends(x: Recorded, inputs: Collection[Key], start: int) -> bool:
    """True if ``x`` was computed from an input by nodes recorded since ``start``, or through `detach`."""
    return _nodes([x], inputs, start)[1]


def reasons_of(tensors: Sequence[Recorded], inputs: Collection[Key], start: int) -> list[str]:
    """The reasons why forwards of functions between inputs and tensors are not in the record."""
    nodes = _nodes(tensors, inputs, start)[0].values()
    rules = [(node.name(), node.client_rule) for node in nodes]
    return [f"{name}: {rule.reason}" for name, rule in rules if isinstance(rule, FunctionRule) and rule.reason]


def recorded_again(tensors: Sequence[Recorded], stand_ins: Mapping[Key, Recorded], start: int) -> list[Recorded]:
    """The tensors, recorded once more with stand-ins in place of inputs; gradients flow through `detach`, and through what
    forwards of functions have recorded."""
    nodes, again = _nodes(tensors, stand_ins, start)[0], dict[int, list[Recorded]]()

    def found(x: Recorded) -> Recorded:
        x = _origin(x, stand_ins, start)
        if (stand_in := stand_ins.get(key_of(x))) is not None:
            return stand_in
        return again[x.node.number][x.slot] if x.node is not None and x.node.number >= start else _plain(x)

    with enable_grad(), calling_recorders():
        for number in sorted(nodes):
            node = nodes[number]
            inputs = [found(x) if isinstance(x, Recorded) else x for x in _operands(node)]
            if isinstance(node.client_rule, FunctionRule):
                again[number] = inputs
            else:
                again[number] = Node(node.kind, node.signature, inputs).outputs()
        return [found(x) for x in tensors]
