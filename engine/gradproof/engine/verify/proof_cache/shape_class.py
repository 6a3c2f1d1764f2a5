"""Shape classes: from a live node to the small case for which its rule is proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.cases import Case
from gradproof.engine.domains import INTEGER
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.registry import Registry
from gradproof.engine.spec import DType, Spec, is_complex, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify.proof.sampled_attributes import forward_bytes
from gradproof.engine.verify.proof_cache.programs import PROBES, alike, alike_by_size, program_digest, skeleton
from gradproof.engine.verify.proof_cache.proof_key import COMPLEXES, REALS, ProofKey, general_key
from gradproof.engine.verify.verdict.advice import CASE

MAX_PROOF_ELEMENTS = 96
GROWN = (1, 2, 4, 8, 16, 32)
MAX_OWN_ELEMENTS = 64  # elements of a live shape that is proved itself
Maker: TypeAlias = Callable[[Op, Sequence[Spec], Attributes], Case]
NO_CASE = f"no small case, for which the rule is the same program, stands for this shape; {CASE}"


def key_of(registry: Registry, op: Op, specs: Sequence[Spec], rule: Program, attributes: Attributes) -> ProofKey | None:
    """The key of the class of a live node whose rule was traced to ``rule``: None if no small case stands for it.

    Each case is traced, and stands for the live node only if its program is the same but for sizes: in float64, or else
    in the live dtype, which then is part of the case. An elementwise op whose rule is elementwise too is proved for a
    single element, which proves all shapes. A rule that branches by size is proved for the live shape itself, if that is
    small. A case must make sense: an attribute may be a size (a count of degrees of freedom, a place on an axis), so
    that sizes grow until the op takes them, and its forward gives numbers.
    """
    dtypes = {spec.dtype for spec in specs if is_differentiable(spec.dtype)}
    if len({dtype.kind == "c" for dtype in dtypes}) > 1:
        return None
    own = COMPLEXES[0] if any(map(is_complex, specs)) else REALS[0]
    live = dtypes.pop() if len(dtypes) == 1 else own
    is_uniform = rule.elementwise and op.elementwise and not op.cases
    grown: list[Maker] = [partial(_grown, more) for more in GROWN]
    sized = _has_integers(attributes)
    for make in (*([_uniform] if is_uniform else []), _small, *grown, _itself):
        for dtype in dict.fromkeys((own, live)):
            try:
                case = make(op, specs, attributes).over(dtype)
                if sum(spec.size for spec in case.specs()) > (MAX_OWN_ELEMENTS if make is _itself else MAX_PROOF_ELEMENTS):
                    break
                op.inference(case.specs(), case.attributes)
                if sized and make is not _uniform and forward_bytes(op, case) is None:
                    break
                small = registry.rule_of(op, case)
            except BaseException as error:  # a plugin's `shrink`, or attributes beyond the generic `shrink`
                reraise_own(error)
                break
            same, chosen = alike(rule, small), make not in (_uniform, _itself)
            if same or (chosen and _explained(registry, op, specs, rule, attributes, small, dtype)):
                numbered = chosen and bool(skeleton(small).literals)
                if numbered:
                    case = replace(case, beside=_beside(registry, op, case, sized))
                if case.beside is not None or make is _small or not numbered:
                    return ProofKey(op.name, case, program_digest(small), general_key(registry, op, case))
    return None


def _has_integers(value: Any) -> bool:
    """True if there is an integer in an attribute, which may be a size."""
    if isinstance(value, Mapping):
        return any(map(_has_integers, value.values()))
    if isinstance(value, (tuple, list)):
        return any(map(_has_integers, value))
    return isinstance(value, int) and not isinstance(value, bool)


def _beside(registry: Registry, op: Op, case: Case, sized: bool) -> Case | None:
    """The case at slightly larger sizes; None if the op takes none. A number that follows from sizes is right at all of
    them, not only at the chosen size."""
    for more in (1, 2, 3):
        with suppress(Exception):  # some attributes do not fit other sizes
            specs = case.specs()
            larger = _case(specs, case.attributes, _enlarging(more))
            larger = larger.over(case.dtype)
            op.inference(larger.specs(), larger.attributes)
            registry.rule_of(op, larger)
            if not sized or forward_bytes(op, larger) is not None:
                return larger
    return None


def _uniform(op: Op, specs: Sequence[Spec], attributes: Attributes) -> Case:
    """The case of a single element; of an op with a mask a masked element and another."""
    masked = any(op.domain(k) is INTEGER for k in range(len(op.inputs)))
    return replace(op.uniform((1, 2) if masked else ()), attributes=dict(attributes))


def _small(op: Op, specs: Sequence[Spec], attributes: Attributes) -> Case:
    return op.shrink(specs, attributes) if op.shrink else shrink(specs, attributes)


def _grown(more: int, op: Op, specs: Sequence[Spec], attributes: Attributes) -> Case:
    """The case of the generic `shrink`, with sizes larger by ``more``, and no larger than the live ones."""
    sizes = sorted({size for shape in _shapes(specs, attributes) for size in shape if size > 1})
    return _case(specs, attributes, lambda size: min(size, 2 + (size != sizes[0]) + more) if size > 1 else size)


def _itself(op: Op, specs: Sequence[Spec], attributes: Attributes) -> Case:
    return _case(specs, attributes, lambda size: size)


def _explained(
    registry: Registry, op: Op, specs: Sequence[Spec], rule: Program, attributes: Attributes, small: Program, dtype: DType
) -> bool:
    """True if the difference of two programs follows from the sizes, as seen at a few more of them."""
    programs = [rule, small]
    for more in range(1, 2 * PROBES + 1):
        try:
            case = _case(specs, attributes, _enlarging(more))
            programs.append(registry.rule_of(op, case.over(dtype)))
        except BaseException as error:  # some attributes do not fit other sizes
            reraise_own(error)
            continue
        if len(programs) == 2 + PROBES:
            break
    return alike_by_size(programs)


def shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """The generic representative: same rank, 0 and 1 kept, other sizes replaced by 2 and 3 so that equal sizes stay
    equal (from the third distinct size on, all are 3); all by 2 where those are too many elements, and by 1 but for as
    many sizes as fit where these are. Attributes that name a shape are mapped too. Integer inputs count up."""
    sizes = sorted({size for shape in _shapes(specs, attributes) for size in shape if size > 1})
    total = sum(spec.ndim for spec in specs)
    many = total > 6
    for small in _mappings(sizes, many):
        if sum(prod(small[size] for size in spec.shape) for spec in specs) <= MAX_PROOF_ELEMENTS:
            break
    return _case(specs, attributes, small.__getitem__)


def _mappings(sizes: Sequence[int], many: bool) -> Iterator[dict[int, int]]:
    """Maps to small sizes, the most telling first."""
    if not many:
        yield {size: 2 if k == 0 else 3 for k, size in enumerate(sizes)} | {0: 0, 1: 1}
    yield dict.fromkeys(sizes, 2) | {0: 0, 1: 1}
    for kept in range(len(sizes) - 1, 0, -1):
        yield {size: 2 if k < kept else 1 for k, size in enumerate(sizes)} | {0: 0, 1: 1}


def _shapes(specs: Sequence[Spec], attributes: Attributes) -> list[tuple[int, ...]]:
    shape = attributes.get("shape", ())
    return [*(spec.shape for spec in specs), shape if isinstance(shape, tuple) else ()]


def _enlarging(more: int) -> Callable[[int], int]:
    """The map of sizes that adds ``more`` to each, and keeps 0 and 1."""
    return lambda size: size + more if size > 1 else size


def _case(specs: Sequence[Spec], attributes: Attributes, size_of: Callable[[int], int]) -> Case:
    """The case of the same ranks, with other sizes."""
    bound = min((size_of(size) for spec in specs if is_differentiable(spec.dtype) for size in spec.shape), default=1)
    inputs: list[Any] = []
    for spec in specs:
        mapped = tuple(map(size_of, spec.shape))
        if is_differentiable(spec.dtype):
            inputs.append(mapped)
        else:
            inputs.append((np.arange(prod(mapped)) % max(bound, 1)).astype(spec.dtype).reshape(mapped))
    shape = attributes.get("shape", ())
    if isinstance(shape, tuple) and shape:
        return Case(tuple(inputs), {**attributes, "shape": tuple(map(size_of, shape))})
    return Case(tuple(inputs), dict(attributes))
