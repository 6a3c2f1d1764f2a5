"""Pullback of a graph: the graph of its vector-Jacobian products, whose nodes say by which rules they were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gradproof.engine.backward import Backward, append_backward
from gradproof.engine.cancellation import watched
from gradproof.engine.graph import Graph, Leaf, Node, Rule, Rules
from gradproof.engine.lower import Lowered, lower
from gradproof.engine.plan import literal_array
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array


@dataclass(frozen=True)
class Derivative:
    """A result: value ``value`` is the derivative of ``output`` by ``by`` (of all outputs together where ``output`` is
    empty). None if no gradient flows from ``output`` to ``by``, which is not the same as zeros."""

    by: str
    output: str
    value: str | None


@dataclass(frozen=True)
class Derived:
    """A derived graph, whose outputs are the values of ``derivatives``.

    Attributes:
        values: values of the leaves that derivation added for constants.
        leaves: the leaves that a caller gives values for: by output the cotangent, or by value the tangent.
        gradients: in a graph of second derivatives, by value its gradient, which is a value of that graph.
    """

    graph: Graph
    derivatives: tuple[Derivative, ...]
    values: tuple[tuple[str, Array], ...] = ()
    leaves: Mapping[str, str] = field(default_factory=dict)
    gradients: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> dict[str, str]:
        """By value the value that it is the derivative by."""
        return {derivative.value: derivative.by for derivative in self.derivatives if derivative.value is not None}


def pull(graph: Graph, registry: Registry, by: Sequence[str], keep: Iterable[str] = ()) -> Derived:
    """The graph of the vector-Jacobian products by the values ``by``, in which the outputs and the values ``keep`` are
    computed too; the cotangents of the outputs are leaves of it. Raises RuleFault, naming the node, if a rule does not
    trace; Cancelled."""
    return pruned(_Pullback(graph, registry, by).derived(), graph, keep)


class _Pullback:
    """Writes the program of a backward pass as a graph: it keeps the names of the original, and names all other values."""

    def __init__(self, graph: Graph, registry: Registry, by: Sequence[str]) -> None:
        self.graph, self.by = graph, by
        self.lowered = lower(graph, registry)
        self.program = self.lowered.builder.program
        self.backward = append_backward(self.lowered, registry, by, graph.outputs)
        self.origin = _Origin(self.lowered, self.backward)
        self.names = {number: name for name, number in self.lowered.values.items()}
        self.taken = {*self.names.values(), *(name for node in watched(graph.nodes) for name in node.outputs)}
        self.leaves, self.nodes = list(graph.leaves), list[Node]()
        self.values: list[tuple[str, Array]] = []
        self.cotangents: dict[str, str] = {}

    def derived(self) -> Derived:
        """The derived graph, with all that was written."""
        self._name_inputs()
        gradients = {name: self.backward.raw.get(self.lowered.values[name]) for name in self.by}
        for name, number in watched(gradients.items()):
            if number is not None and number not in self.names:
                self.names[number] = self._fresh(f"d_{name}")
        self._write_nodes()
        derivatives = tuple(self._derivatives(gradients))
        whole = Graph(tuple(self.leaves), tuple(self.nodes), (), tuple(self.origin.table.rules))
        return Derived(whole, derivatives, tuple(self.values), self.cotangents)

    def _fresh(self, stem: str) -> str:
        """A name that is not taken yet: ``stem``, or ``stem_0``, ``stem_1``..."""
        name, k = stem, 0
        while name in self.taken:
            name, k = f"{stem}_{k}", k + 1
        self.taken.add(name)
        return name

    def _name_inputs(self) -> None:
        """Make cotangents and literals leaves."""
        specs = self.program.specs
        for output, number in watched(self.backward.seeds.items()):
            self.cotangents[output] = self.names[number] = self._fresh(f"g_{output}")
            self.leaves.append(Leaf(self.names[number], specs[number], True))
        for number, literal in watched(self.program.literals.items()):
            self.names[number] = self._fresh(f"k{number}")
            self.values.append((self.names[number], literal_array(literal, specs[number].dtype)))
            self.leaves.append(Leaf(self.names[number], specs[number]))

    def _write_nodes(self) -> None:
        """Make each instruction a node."""
        raw_of = {cut.final: cut.raw for cut in self.backward.cuts}
        forward_length = len(self.lowered.node_of)
        for position, instruction in enumerate(watched(self.program.instructions)):
            for number in instruction.outputs:
                if number not in self.names:
                    self.names[number] = self._fresh(f"{'v' if position < forward_length else 'd'}{number}")
            inputs = tuple(self.names[raw_of.get(number, number)] for number in instruction.inputs)
            outputs = tuple(self.names[number] for number in instruction.outputs)
            rules = self.origin.of(position)
            self.nodes.append(Node(instruction.op.name, inputs, outputs, instruction.attributes, rules))

    def _derivatives(self, gradients: Mapping[str, int | None]) -> Iterable[Derivative]:
        """The results. A value that is the result for several names, or is a cotangent or a constant, or rests on a rule
        that wrote no instruction, gets a node of its own for each."""
        inputs = {*self.program.inputs, *self.backward.seeds.values(), *self.program.literals}
        used = set[int]()
        for name, number in watched(gradients.items()):
            if number is None:
                yield Derivative(name, "", None)
                continue
            value = self.names[number]
            owed = self.origin.owed.get(self.lowered.values[name], ())
            if number in inputs or number in used or owed:
                value = self._fresh(f"d_{name}")
                shape = {"shape": self.program.specs[number].shape}
                self.nodes.append(Node("reshape", (self.names[number],), (value,), shape, tuple(sorted(owed))))
            used.add(number)
            yield Derivative(name, "", value)


class _Origin:
    """The rules that the instructions of a pulled program were written by: indices of ``table``.

    A rule may write no instruction (it passes its cotangent on, or returns NO_GRADIENT): then the gradient of the input
    owes it, by ``owed``, to the next instruction that is written from there.
    """

    def __init__(self, lowered: Lowered, backward: Backward) -> None:
        self.lowered, self.backward = lowered, backward
        self.program = lowered.builder.program
        self.table = Rules(lowered.graph.rules)
        self.owed: dict[int, frozenset[int]] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self._written: dict[int, tuple[int, ...]] = {}
        self._results: dict[int, dict[int, int]] = {}
        for use in watched(backward.contributions):
            self._results.setdefault(use.instruction, {})[use.position] = use.number
        for position in watched(range(len(lowered.node_of) - 1, -1, -1)):
            self._visit(position)

    def of(self, position: int) -> tuple[int, ...]:
        """The rules of an instruction, forward or backward."""
        if position < len(self.lowered.node_of):
            return self._of_forward(position)
        return self._written.get(position, ())

    def _of_forward(self, position: int) -> tuple[int, ...]:
        """The rules of the node that a forward instruction came from."""
        rules = self.lowered.graph.rules
        node = self.lowered.graph.nodes[self.lowered.node_of[position]]
        return tuple(self.table.index(rules[k]) for k in node.rules)

    def _visit(self, position: int) -> None:
        """Note the rules of the instructions that the rule of a forward instruction wrote, and the rules that are owed."""
        instruction = self.program.instructions[position]
        asked = [slot for slot, number in enumerate(instruction.inputs) if number in self.backward.needed]
        if not asked:
            return
        behind = frozenset[int]().union(*(self.owed.get(output, ()) for output in instruction.outputs))
        span = self.backward.written.get(position)
        if span is None:  # no gradient came here, perhaps since a rule behind it said NO_GRADIENT
            for slot in asked if behind else ():
                self._owe(instruction.inputs[slot], behind)
            return
        rules = behind | {self._rule(position), *self._of_forward(position)}
        outputs = {output for k in span for output in self.program.instructions[k].outputs}
        self._written.update(dict.fromkeys(span, tuple(sorted(rules))))
        results = self._results.get(position, {})
        for slot in asked:
            if results.get(slot) not in outputs:
                self._owe(instruction.inputs[slot], rules)

    def _rule(self, position: int) -> int:
        """The index of the rule of a forward instruction."""
        op, inputs, _, attributes = self.program.instructions[position]
        specs = [self.program.specs[k] for k in inputs]
        key = (op.name, *specs, repr(attributes) if attributes else "")
        index = self._known.get(key)
        if index is None:
            strong = tuple(spec.strong for spec in specs)
            index = self._known[key] = self.table.index(Rule(op.name, strong, attributes))
        return index

    def _owe(self, number: int, rules: frozenset[int]) -> None:
        known = self.owed.get(number)
        self.owed[number] = rules if known is None or known <= rules else known | rules


def pruned(derived: Derived, original: Graph, keep: Iterable[str] = ()) -> Derived:
    """``derived`` without nodes and added leaves that neither a result, nor an output of the ``original``, nor a value of
    ``keep`` needs."""
    graph = derived.graph
    outputs = tuple(derived.sources)
    needed = {*outputs, *original.outputs, *keep}
    nodes = []
    for node in watched(reversed(graph.nodes)):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
            nodes.append(node)
    table = Rules()
    nodes = list(table.moved(nodes[::-1], graph.rules))
    kept = tuple(leaf for leaf in graph.leaves if leaf.name in needed or leaf in original.leaves)
    names = {leaf.name for leaf in kept}
    return Derived(
        Graph(kept, tuple(nodes), outputs or original.outputs, tuple(table.rules)),
        derived.derivatives,
        tuple((name, array) for name, array in derived.values if name in names),
        {source: leaf for source, leaf in derived.leaves.items() if leaf in names},
    )
