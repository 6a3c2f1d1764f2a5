"""Rules of nodes as checks use them: the traced program, and the key of its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.engine import Run
from gradproof.engine.errors import RuleFault
from gradproof.engine.graph import Rule
from gradproof.engine.inference import InferenceError
from gradproof.engine.lru import LRUCache
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry, traced_rule
from gradproof.engine.rules import input_dependencies, linear_inputs
from gradproof.engine.spec import Spec, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify.proof_cache import ProofKey, key_of
from gradproof.engine.verify.proof_cache.programs import program_digest

MAX_KNOWN = 20_000
FLOAT = np.dtype(np.float64)


@dataclass(frozen=True)
class KnownRule:
    """The traced rule of an instruction.

    Attributes:
        key: of its proof; None if no small case represents it.
        linear: for each input whether the op is linear in it.
        input_dependencies: for each input the positions, among cotangents, results and inputs, that its gradient reads.
    """

    program: Program
    key: ProofKey | None
    linear: tuple[bool, ...]
    input_dependencies: tuple[frozenset[int], ...]

    @cached_property
    def digest(self) -> str:
        """Hash of the program, by which processes compare their rules."""
        return program_digest(self.program)


@dataclass
class KnownRules:
    """Rules of the ops of a registry, each traced once. Thread-safe."""

    registry: Registry
    _rules: LRUCache[Any, KnownRule] = field(default_factory=lambda: LRUCache(MAX_KNOWN), repr=False)

    def key_of(self, rule: Rule) -> ProofKey | None:
        """Key of the proof of a rule that wrote nodes of a derived graph; None if no small case represents it."""
        op = self.registry.op(rule.op)
        try:
            inferred = op.inference(rule.inputs, rule.attributes)
            return self._known(op, inferred.inputs or rule.inputs, inferred.outputs, inferred.attributes).key
        except (InferenceError, RuleFault):  # a client sent a rule that no derivation uses
            return None

    def of(self, run: Run, position: int) -> KnownRule:
        """The rule of an instruction; cached."""
        program = run.plan.program
        instruction = program.instructions[position]
        inputs = tuple(program.specs[k].strong for k in instruction.inputs)
        outputs = [program.specs[k] for k in instruction.outputs]
        try:
            return self._known(instruction.op, inputs, outputs, instruction.attributes)
        except RuleFault:
            if all(is_differentiable(spec.dtype) for spec in (*inputs, *outputs)):
                raise
            # Ops that move or convert conditions and integers have a rule for floats only.
            moving = tuple(Spec(x.shape, FLOAT) if k == 0 or x.dtype.kind == "b" else x for k, x in enumerate(inputs))
            return self._known(instruction.op, moving, [Spec(y.shape, FLOAT) for y in outputs], instruction.attributes)

    def _known(self, op: Op, inputs: tuple[Spec, ...], outputs: Sequence[Spec], attributes: Attributes) -> KnownRule:
        cache_key = (op.name, inputs, repr(attributes))
        known = self._rules.get(cache_key)
        if known is None:
            strong = [spec.strong for spec in outputs]
            rule = traced_rule(self.registry, op, inputs, strong, attributes)  # as in the run
            key = key_of(self.registry, op, inputs, rule, attributes)
            known = KnownRule(rule, key, linear_inputs(rule, len(outputs)), input_dependencies(rule))
            self._rules.put(cache_key, known)
        return known


@dataclass
class RunRules:
    """Rules of the instructions of a run, each looked up once."""

    run: Run
    rules: KnownRules
    _by_position: dict[int, KnownRule] = field(default_factory=dict, repr=False)

    def of(self, position: int) -> KnownRule:
        """The rule of the instruction at ``position``."""
        rule = self._by_position.get(position)
        if rule is None:
            rule = self._by_position[position] = self.rules.of(self.run, position)
        return rule
