"""Digests of proofs: a hash of everything that a proof depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from gradproof.engine.errors import NoRule, NotFound, RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.rules import trace_rule
from gradproof.engine.trace import Program
from gradproof.engine.verify.proof_cache.checker import checker_digest
from gradproof.engine.verify.proof_cache.fingerprint import Unreadable, fingerprint
from gradproof.engine.verify.proof_cache.programs import program_digest
from gradproof.engine.verify.proof_cache.proof_key import ProofKey


def digest_of(registry: Registry, key: ProofKey) -> str | None:
    """A hash of all that a proof depends on but the checker: the case, the op and those in its rule with all that they
    reach, and the traced program. None for an op that cannot be read, or a case that it does not take: its proof is not
    saved."""
    try:
        return _digest_of(registry, key)
    except (RuleFault, NoRule, InferenceError, NotFound):
        return None


def _digest_of(registry: Registry, key: ProofKey) -> str | None:
    op = registry.op(key.op)
    rule = registry.rule_of(op, key.case)
    ops = {op_.name: op_ for op_ in _reached(registry, rule)} | {op.name: op}
    try:
        own = (op.forward, op.define, op.domains) if op.composite else op  # its table reaches all ops
        code = fingerprint([own, *(ops[name] for name in sorted(ops) if ops[name] is not op)])
    except Unreadable:
        return None
    return _hash(key.op, key.case.text, program_digest(rule), *sorted(ops), code)


def name_of(registry: Registry, key: ProofKey) -> str | None:
    """The name of a saved proof: its op, and a hash of all that it depends on, the checker included; any change proves
    anew. None for a proof that is not saved."""
    digest = digest_of(registry, key)
    return None if digest is None else name_under(key.op, digest)


def name_under(op: str, digest: str) -> str:
    """The name of a saved proof with this `digest_of`."""
    return f"{op}-{_hash(digest, checker_digest())}"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _reached(registry: Registry, rule: Program) -> Iterator[Op]:
    """The ops in a rule, and those in their rules: its second derivative is checked too."""
    for instruction in rule.instructions:
        yield instruction.op
        try:
            inputs, outputs = ([rule.specs[k] for k in numbers] for numbers in (instruction.inputs, instruction.outputs))
            inner = trace_rule(registry.ops, instruction.op, inputs, outputs, instruction.attributes)
        except (RuleFault, NoRule):
            continue
        yield from (inner_instruction.op for inner_instruction in inner.instructions)
