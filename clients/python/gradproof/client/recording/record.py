"""The record: nodes, written as ops are applied, and the tensors between them.

Nothing is computed here; shapes and dtypes are known at once. A node refers to its inputs, not to its outputs, so that a
result nobody refers to is freed. It keeps the arrays that leaves had when it was recorded: changing a leaf later changes
no graph.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gradproof.client.events import Array, OpInfo
from gradproof.client.recording import modes
from gradproof.client.recording.client_rule import ClientRule
from gradproof.client.recording.hooks import Hookable, NodeHooks
from gradproof.client.recording.kept import CachedForward
from gradproof.client.recording.names import edges_of, name_of
from gradproof.client.recording.place import Place, caller, text_of
from gradproof.client.recording.placeholders import Placeholder
from gradproof.client.recording.recorded import HasValue, Input, Recorded, changes
from gradproof.client.recording.signature import Signature
from gradproof.client.recording.spec import Spec

_numbers = itertools.count()


class Node(Hookable):
    """An application of an op: the ``grad_fn`` of its outputs.

    Attributes:
        signature: the op with its attributes, and the specs of the outputs.
        needs: for each input whether a gradient flows to it.
        requires_grad: whether a gradient flows through it.
        arrays: for each input that is a leaf the value that it had.
        slots: for each input the output that it was of the node that made it.
        moves: for each input of a condition, or of a node made of conditions, whether it depends on a tensor that requires
            grad. No gradient flows there, but a verdict must know where the condition flips.
        kind: the class of its outputs.
        hooks: the hooks registered on it, or None.
        placeholder: a placeholder that the outputs depend on, or None.
        rules: the rules that it was derived by, as serialized messages.
        client_rule: a rule that runs here in place of that of the op, or None.
        overwritten: whether an output has changed in place since.
        origin: the function whose backward recorded it, or an empty text.
        derived: whether it, or a node that it depends on, was derived by rules.
        kept: the run at the server that has its values, if any.
    """

    __slots__ = (
        "__weakref__", "_inputs", "_moved", "_origins", "_outputs", "_place", "arrays", "client_rule", "derived", "freed",
        "kept", "kind", "moves", "needs", "number", "origin", "overwritten", "placeholder", "requires_grad", "rules",
        "signature", "slots",
    )  # fmt: skip

    def __init__(
        self, kind: type[Recorded], signature: Signature, inputs: Sequence[Input], rules: tuple[bytes, ...] = ()
    ) -> None:
        self.kind, self.signature, self.rules = kind, signature, rules
        self._inputs = tuple(inputs)
        self._moved = changes.last
        enabled = modes.is_grad_enabled()
        recording = enabled and signature.differentiable
        needs: list[bool] = []
        arrays: list[Array | None] = []
        origins: list[Node | HasValue | None] = []
        slots: list[int] = []
        derived: bool = bool(rules) or (signature.body is not None and signature.body.derived)
        placeholder: Placeholder | None = None
        varies = conditional = False  # whether an input requires grad, or is made of conditions on such an input
        for x in self._inputs:  # in a single pass: each op that is recorded comes here
            if isinstance(x, Recorded):
                flag, node = x._requires_grad, x.node  # noqa: SLF001 - the property costs more than the rest of the line
                varies = varies or flag
                needs.append(recording and flag)
                slots.append(x.slot)
                if node is None:
                    arrays.append(x.array)
                    origins.append(x.alias)
                    if x.array is None:
                        placeholder = placeholder or x.placeholder
                else:
                    arrays.append(None)
                    origins.append(node)
                    conditional = conditional or True in node.moves
                    derived = derived or node.derived
                    placeholder = placeholder or node.placeholder
            else:
                needs.append(False)
                arrays.append(None)
                origins.append(None)
                slots.append(0)
        self.needs, self.arrays = tuple(needs), tuple(arrays)
        self._origins, self.slots = tuple(origins), tuple(slots)
        self.derived: bool = derived
        self.placeholder: Placeholder | None = placeholder
        self.requires_grad = True in needs
        moving = enabled and ((varies or conditional) if signature.is_step else (conditional and not varies))
        self.moves: tuple[bool, ...] = tuple(map(_moves, self._inputs)) if moving else (False,) * len(needs)
        self.number = next(_numbers)
        self._place: Place = caller(4)  # between the caller and this there is a function of this package at least
        self.freed = self.overwritten = False
        self.hooks = self._metadata = None
        self.client_rule: ClientRule | None = None
        self.origin = ""
        self.kept: CachedForward | None = None
        self._outputs: list[Callable[[], Recorded | None] | None] = [None] * len(signature.specs)

    @property
    def op(self) -> str:
        """The name of the op."""
        return self.signature.op

    @property
    def info(self) -> OpInfo:
        """The op."""
        return self.signature.info

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the op."""
        return self.signature.attributes

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Shapes and dtypes of the outputs."""
        return self.signature.specs

    @property
    def place(self) -> str:
        """File and line of the caller that recorded it."""
        return text_of(self._place)

    def take_place_of(self, node: Node) -> None:
        """Have the place of ``node``."""
        self._place = node._place

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The tensors and Python numbers it was applied to, as they were then."""
        if self._moved != changes.last:
            self._inputs = tuple(map(self._as_it_was, self._inputs, self._origins, self.slots, self.arrays))
            self._moved = changes.last
        return self._inputs

    def edges(self) -> Iterator[tuple[Any, Node | HasValue | None, int, Array | None, bool, bool]]:
        """For each input, as `inputs` has it: the tensor or number; the node that made it, or the source of its value;
        which output it was; its array if it was a leaf; whether a gradient flows to it; and whether it moves."""
        return zip(self.inputs, self._origins, self.slots, self.arrays, self.needs, self.moves, strict=True)

    @property
    def is_special(self) -> bool:
        """True if a pass does more here than to run the rule of the op on numbers that it knows or computes."""
        return bool(
            self.hooks
            or self.client_rule is not None
            or self.kept is not None
            or self.placeholder is not None
            or self.derived
            or (self.freed and self.saves)
        ) or any(x is not None and (x.hooks or x.retains_grad) for x in map(self.output, range(len(self._outputs))))

    def _as_it_was(self, x: Input, node: Node | HasValue | None, slot: int, array: Array | None) -> Input:
        """An input, or in its place a tensor that is still what the input was when the node was recorded."""
        if not isinstance(x, Recorded):
            return x
        if isinstance(node, Node):
            return x if x.node is node and x.slot == slot else node.held(slot)
        if x.node is None and (array is not None or x.alias is node):
            return x
        if array is not None or node is None:
            assert array is not None
            return type(x).from_array(array)
        return type(x).from_alias(Spec(x.shape, x.dtype), node)

    @property
    def condition(self) -> bool:
        """True if it is a condition, or made of conditions, that depends on a tensor that requires grad."""
        return True in self.moves

    @property
    def saves(self) -> bool:
        """True if its rule needs values of the forward pass, which are given up after a backward pass."""
        return self.signature.saves if self.client_rule is None else self.client_rule.saves

    @property
    def stops(self) -> bool:
        """True if a pass stops at it, for hooks or a rule that run here."""
        return bool(self.hooks) or self.client_rule is not None

    def output(self, slot: int) -> Recorded | None:
        """The tensor of output ``slot``, if anybody holds it."""
        reference = self._outputs[slot]
        return reference() if reference is not None else None

    def give_output(self, slot: int, output: Recorded) -> None:
        """Take ``output`` as the tensor of output ``slot``; it is kept where it has hooks, which run in later passes."""
        self._outputs[slot] = (lambda: output) if output.hooks else weakref.ref(output)

    def held(self, slot: int) -> Recorded:
        """The tensor of output ``slot``; a new tensor if nobody holds it."""
        output = self.output(slot)
        if output is None:
            flows = self.requires_grad and self.signature.flows[slot]
            tainted = not flows and any(isinstance(x, Recorded) and (x.requires_grad or x.tainted) for x in self.inputs)
            output = self.kind.from_node(self, slot, requires_grad=flows, tainted=tainted)
            self._outputs[slot] = weakref.ref(output)
        return output

    def outputs(self) -> list[Recorded]:
        """The tensors of all outputs."""
        return [self.held(slot) for slot in range(len(self.signature.specs))]

    def leaf(self, array: Array, requires_grad: bool = False) -> Recorded:
        """A tensor of the plain class with this array, as beside the outputs."""
        return self.kind.plain().from_array(array, requires_grad)

    def name(self) -> str:
        """The name that PyTorch gives the backward node, such as ``MulBackward0``."""
        return (self.client_rule.name if self.client_rule is not None else "") or name_of(self)

    @property
    def next_functions(self) -> tuple[tuple[Node | AccumulateGrad | None, int], ...]:
        """For each input the node that made it, and which of its outputs it was; for a leaf its `AccumulateGrad`;
        (None, 0) where no gradient flows. Hooks get a gradient for each."""
        return tuple(self._edge(self.inputs[k], self.needs[k]) for k in edges_of(self))

    def _edge(self, x: Input, needs: bool) -> tuple[Node | AccumulateGrad | None, int]:
        if not isinstance(x, Recorded) or not needs:
            return None, 0
        return (accumulator_of(x), 0) if x.node is None else (x.node, x.slot)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def _moves(x: Input) -> bool:
    """True if an input of a condition depends on a tensor that requires grad."""
    return isinstance(x, Recorded) and (x.requires_grad or (x.node is not None and x.node.condition))


def next_number() -> int:
    """A number that all nodes recorded before are below, and all later nodes above."""
    return next(_numbers)


class AccumulateGrad(Hookable):
    """The node that adds the gradient of a leaf to its ``.grad``. Its hooks get ``(gradient,)`` and no inputs."""

    next_functions: tuple[()] = ()

    def __init__(self, variable: Recorded) -> None:
        self.variable = variable
        self.hooks = self._metadata = None

    def _own_hooks(self) -> NodeHooks:
        self.variable.hold_accumulator(self)
        return super()._own_hooks()

    def name(self) -> str:
        """The name that PyTorch gives it."""
        return "torch::autograd::AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def accumulator_of(leaf: Recorded) -> AccumulateGrad:
    """The node that adds to ``.grad`` of a leaf; a new node if nobody holds the last."""
    node = leaf.held_accumulator()
    if node is None:
        node = AccumulateGrad(leaf)
        leaf.hold_accumulator(node, weakly=True)
    return node
