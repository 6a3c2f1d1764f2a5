"""Shape classes: from a live node to the small case for which its rule is proved."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from importlib.metadata import version
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from gradproof.engine import complexes, functions
from gradproof.engine.op import INTEGER, Attributes, Case, Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Spec, is_complex, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify import (
    charts,
    conduct,
    feasible,
    judge,
    ladder,
    points,
    proof,
    rational,
    reading,
    regions,
    tape,
    ulps,
    value,
)

MAX_PROOF_ELEMENTS = 64
CHECKER_VERSION = 1


@dataclass(frozen=True)
class ProofKey:
    """The name of a proof: an op and a case. Two keys are equal if their texts are; other processes get only this."""

    op: str
    case: Case

    @cached_property
    def text(self) -> str:
        return f"{self.op} {self.case.text}"

    def __str__(self) -> str:
        return f"{self.op} {self.case}"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProofKey) and self.text == other.text


def key_of(registry: Registry, op: Op, specs: Sequence[Spec], rule: Program, attributes: Attributes) -> ProofKey | None:
    """The class of a live node whose rule was traced to ``rule``: None if no small case stands for it.

    An elementwise op whose rule is elementwise too is proved for one element, which proves all shapes; that its rule is
    the same for the representative is checked instruction by instruction.
    """
    kinds = {is_complex(spec) for spec in specs if is_differentiable(spec.dtype)}
    if len(kinds) > 1:
        return None
    dtype = np.complex128 if True in kinds else np.float64
    if op.elementwise and not attributes and not op.cases:
        masked = any(op.domain(k) is INTEGER for k in range(len(op.inputs)))
        representative = op.proof_cases()[-1 if masked else 0].over(
            dtype
        )  # the last has a mask that is both true and false
        if rule.elementwise and rule.skeleton() == registry.rule_of(op, representative).skeleton():
            return ProofKey(op.name, representative)
    try:
        case = (op.shrink(specs, attributes) if op.shrink else shrink(specs, attributes)).over(dtype)
        op.inference(case.specs(), case.attributes)
        registry.rule_of(op, case)
    except Exception:  # a stranger's shrink, or attributes that the generic one does not understand
        return None
    if sum(spec.size for spec in case.specs()) > MAX_PROOF_ELEMENTS:
        return None
    return ProofKey(op.name, case)


def shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """The generic representative: same rank, 0 and 1 kept, other sizes replaced by 2 and 3 so that equal ones stay equal
    (from the third distinct size on, all are 3). Attributes that name a shape are mapped too. Integer inputs count up."""
    shape = attributes.get("shape", ())
    shape = shape if isinstance(shape, tuple) else ()
    sizes = sorted({size for spec in specs for size in spec.shape if size > 1} | {s for s in shape if s > 1})
    total = sum(spec.ndim for spec in specs)
    small = {size: (2 if k == 0 or total > 6 else 3) for k, size in enumerate(sizes)} | {0: 0, 1: 1}
    bound = min((small[size] for spec in specs if is_differentiable(spec.dtype) for size in spec.shape), default=1)
    inputs: list[Any] = []
    for spec in specs:
        mapped = tuple(small[size] for size in spec.shape)
        if is_differentiable(spec.dtype):
            inputs.append(mapped)
        else:
            count = int(np.prod(mapped, dtype=int))
            inputs.append((np.arange(count) % max(bound, 1)).astype(spec.dtype).reshape(mapped))
    mapped_attributes = dict(attributes)
    if shape:
        mapped_attributes["shape"] = tuple(small[size] for size in shape)
    return Case(tuple(inputs), mapped_attributes)


def digest_of(registry: Registry, key: ProofKey) -> str:
    """The name under which a proof is kept: a hash of all it depends on. Rule and definitions enter as what they are
    made of (the traced program, and the source of every definition it reaches), so any change proves anew."""
    op = registry.op(key.op)
    rule = registry.rule_of(op, key.case)
    ops = {op.name: op, **{one.op.name: one.op for one in rule.instructions}}
    trusted = (
        functions,
        complexes,
        charts,
        conduct,
        feasible,
        judge,
        ladder,
        points,
        proof,
        rational,
        reading,
        regions,
        tape,
        ulps,
        value,
    )
    parts = {
        "case": key.text,
        "rule": rule.text(),
        "definitions": {name: sorted(reach(one.definitions)) for name, one in sorted(ops.items())},
        "chart": [op.chart.formula, *sorted(reach([op.chart.point]))] if op.chart else [],
        "numbers": sorted(reach([op.forward, op.backward])),
        "kink": str(op.kink),
        "domains": [op.domain(k).name for k in range(len(op.inputs))],
        "checker": CHECKER_VERSION,
        "trusted": [_source(module) for module in trusted],
        "versions": [version(name) for name in VERSIONED],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


VERSIONED = ("sympy", "python-flint", "numpy", "scipy")
NOT_READ = {*sys.stdlib_module_names, *VERSIONED, "flint", "ml_dtypes"}


def reach(functions: Sequence[Any]) -> set[str]:
    """All that ``functions`` are made of: their sources, those of every function they call by a global name, of this module
    or of another, wherever it is defined; and the numbers and texts that they find outside of themselves."""
    found: set[str] = set()
    seen: dict[int, Any] = {}
    pending = list(functions)
    while pending:
        thing = pending.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing  # kept, so that its id stays its own
        if isinstance(thing, partial):
            pending += [thing.func, *thing.args, *thing.keywords.items()]
        elif isinstance(thing, (tuple, list)):
            pending += thing
        elif isinstance(thing, dict):
            pending += thing.items()
        elif isinstance(thing, np.ndarray) and thing.dtype != object:
            found.add(f"{thing.dtype} {thing.shape} {hashlib.sha256(thing.tobytes()).hexdigest()}")
        elif isinstance(thing, (int, float, complex, str, bytes, Fraction, np.generic)):
            found.add(repr(thing))
        elif isinstance(thing, FunctionType):
            found.add(_source(thing))
            pending += _outside(thing)
    return found


def _outside(function: FunctionType) -> list[Any]:
    """What a function uses that it does not define: globals, members of modules, cells of its closure, defaults."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    found = [function.__globals__[name] for name in sorted(names & function.__globals__.keys())]
    for thing in found:  # grows: a member of a module may be a module
        if isinstance(thing, ModuleType) and thing.__name__.partition(".")[0] not in NOT_READ:
            members = [getattr(thing, name) for name in sorted(names) if hasattr(thing, name)]
            found += [member for member in members if not any(member is one for one in found)]
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != EMPTY]
    return [*found, *cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]


def _codes(code: CodeType) -> list[CodeType]:
    """A code object and those nested in it (generator expressions, lambdas)."""
    return [code, *(inner for one in code.co_consts if isinstance(one, CodeType) for inner in _codes(one))]


EMPTY = CellType()
_sources: dict[int, tuple[Any, str]] = {}


def _source(thing: Any) -> str:
    """Source text of a function with its module's (helpers count too), or its byte code where there is no source."""
    module = inspect.getmodule(thing) or thing
    known = _sources.get(id(module))
    if known is None:
        try:
            text = inspect.getsource(module)
        except (OSError, TypeError):
            text = repr(getattr(getattr(thing, "__code__", None), "co_code", thing))
        known = _sources[id(module)] = (module, hashlib.sha256(text.encode()).hexdigest())
    name = getattr(thing, "__qualname__", "")
    line = getattr(getattr(thing, "__code__", None), "co_firstlineno", 0)
    return f"{name} {line} {known[1]}"
