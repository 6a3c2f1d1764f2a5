"""Rules as the checks know them: the program that was traced for a node, and the key of its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradproof.engine.engine import Run
from gradproof.engine.errors import NoRule, RuleFault
from gradproof.engine.graph import Rule
from gradproof.engine.op import INTEGER, Attributes, InferenceError, Op
from gradproof.engine.registry import Registry, traced_rule
from gradproof.engine.rules import linear_inputs, made_of
from gradproof.engine.spec import Spec, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify.classes import ProofKey, key_of

FLOAT64 = np.dtype(np.float64)
MAX_KNOWN = 20_000


class KnownRule(NamedTuple):
    """The traced rule of an instruction, the key of its proof, for each input whether the op is linear in it, and what its
    gradient is made of: positions among cotangents, results and inputs."""

    program: Program
    key: ProofKey | None
    linear: tuple[bool, ...]
    made_of: tuple[frozenset[int], ...]


@dataclass
class KnownRules:
    """The rules of the ops of one registry, each looked at once. Safe to use from several threads."""

    registry: Registry
    _rules: dict[Any, KnownRule] = field(default_factory=dict, repr=False)

    def key_of(self, rule: Rule) -> ProofKey | None:
        """The key of the proof of a rule that a derived graph was written by; None if no small case stands for it."""
        op = self.registry.op(rule.op)
        try:
            found = op.inference(rule.inputs, rule.attributes)
            return self._known(op, found.inputs or rule.inputs, found.outputs, found.attributes).key
        except (InferenceError, RuleFault):  # no derivation came by it: a client made it up
            return None

    def of(self, run: Run, position: int) -> KnownRule:
        """What is known of the rule of an instruction; remembered."""
        program = run.plan.program
        one = program.instructions[position]
        inputs = tuple(Spec(program.specs[k].shape, program.specs[k].dtype) for k in one.inputs)
        return self._known(one.op, inputs, [program.specs[k] for k in one.outputs], one.attributes)

    def form_key(self, run: Run, position: int) -> ProofKey | None:
        """The key of the proof of an instruction's form for whole arrays, whether or not a gradient flows there; None if no
        small case stands for it. Where conditions or integers are moved or added up, the form is that of real numbers."""
        program = run.plan.program
        one = program.instructions[position]
        inputs = [Spec(program.specs[k].shape, program.specs[k].dtype) for k in one.inputs]
        try:
            if any(is_differentiable(spec.dtype) for spec in inputs):
                return self.of(run, position).key
            made = {program.specs[k].dtype for k in one.outputs}
            real = [spec.dtype in made and one.op.domain(k) is not INTEGER for k, spec in enumerate(inputs)]
            inputs = [Spec(spec.shape, FLOAT64) if flag else spec for spec, flag in zip(inputs, real, strict=True)]
            found = one.op.inference(inputs, one.attributes)
            return self._known(one.op, tuple(found.inputs or inputs), found.outputs, found.attributes).key
        except (InferenceError, RuleFault, NoRule):  # it was never to run here
            return None

    def traced(self, op: Op, inputs: Sequence[Spec], outputs: Sequence[Spec], attributes: Attributes) -> Program:
        """The program of a rule at other shapes than those of a run."""
        return traced_rule(self.registry, op, tuple(inputs), list(outputs), attributes)

    def _known(self, op: Op, inputs: tuple[Spec, ...], outputs: Sequence[Spec], attributes: Attributes) -> KnownRule:
        cache_key = (op.name, inputs, repr(attributes))
        found = self._rules.get(cache_key)
        if found is None:
            strong = [Spec(spec.shape, spec.dtype) for spec in outputs]
            rule = traced_rule(self.registry, op, inputs, strong, attributes)  # the one that ran
            key = key_of(self.registry, op, inputs, rule, attributes)
            found = KnownRule(rule, key, linear_inputs(rule, len(outputs)), made_of(rule))
            if len(self._rules) > MAX_KNOWN:
                self._rules.clear()
            self._rules[cache_key] = found
        return found
