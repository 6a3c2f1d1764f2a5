"""Keys of an op: all that is to be proved of it. Of a composite these are the keys of its parts."""

from __future__ import annotations

from collections.abc import Iterator

from gradproof.engine.backward import append_backward
from gradproof.engine.cancellation import watched
from gradproof.engine.cases import Case
from gradproof.engine.composite import Composite
from gradproof.engine.errors import RuleFault
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.lower import lower
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry, traced_rule
from gradproof.engine.spec import is_differentiable
from gradproof.engine.verify.proof_cache.programs import program_digest
from gradproof.engine.verify.proof_cache.proof_key import ProofKey, rule_keys
from gradproof.engine.verify.proof_cache.shape_class import key_of


def keys_of(registry: Registry, op: Op) -> list[ProofKey]:
    """Keys that are to be proved of an op, the last of which is owed. Of a composite: the keys of the rules that a gradient
    through it meets, in each of its cases, and, if it has a definition, those of its expansion."""
    if not isinstance(op, Composite):
        return rule_keys(registry, op)
    parts = [key for case in watched(op.declared_cases()) for key in part_keys(registry, op, case)]
    own = [definition_key(registry, op, case) for case in op.declared_cases()] if op.definitions else []
    return list(dict.fromkeys([*parts, *own]))


def definition_key(registry: Registry, op: Op, case: Case) -> ProofKey:
    """The key of the proof that a composite computes its definition."""
    return ProofKey(op.name, case, program_digest(registry.rule_of(op, case)))


def part_keys(registry: Registry, op: Composite, case: Case) -> Iterator[ProofKey]:
    """The keys of the rules that a gradient through a composite meets in a case, in the order of its parts."""
    if not op.differentiable:
        return
    leaves = [
        Leaf(f"x{k}", spec, is_differentiable(spec.dtype) and k not in op.still) for k, spec in enumerate(case.specs())
    ]
    outputs = tuple(f"y{k}" for k in range(len(op.expand(case.specs(), case.attributes).outputs)))
    node = Node(op.name, tuple(leaf.name for leaf in leaves), outputs, case.attributes)
    lowered = lower(Graph(tuple(leaves), (node,), outputs), registry)
    targets = [leaf.name for leaf in leaves if leaf.requires_grad]
    try:
        backward = append_backward(lowered, registry, targets, outputs)
    except RuleFault:  # no gradient flows in this case
        return
    program = lowered.builder.program
    for position in dict.fromkeys(sorted(use.instruction for use in backward.contributions)):
        part, inputs, results, attributes = program.instructions[position]
        specs = tuple(program.specs[k].strong for k in inputs)
        strong = [program.specs[k].strong for k in results]
        key = key_of(registry, part, specs, traced_rule(registry, part, specs, strong, attributes), attributes)
        if key is not None:
            yield key
