"""Opaque ops: a backward in plain NumPy, which cannot be traced, becomes an op of its own.

An op ``ns.name`` with ``backward`` gets a companion ``ns.name_vjp`` that computes it, without a rule. Its rule is then a
line that applies the companion, so that plans, checks and the error for a second derivative need no special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.engine.errors import BadResult
from gradproof.engine.inference import Inferred
from gradproof.engine.op import NO_GRADIENT, Op
from gradproof.engine.spec import Spec, is_differentiable
from gradproof.engine.trace import ops


def with_vjp_companion(op: Op) -> tuple[Op, Op]:
    """An op with ``backward``, with a rule that applies its companion; and the companion."""
    name = f"{op.name}_vjp"

    def rule(g: Any, y: Any, *inputs: Any, **attributes: Any) -> tuple[Any, ...]:
        apply: Any = ops
        for part in name.split("."):
            apply = getattr(apply, part)
        saved = (*g, *y) if isinstance(g, tuple) else (g, y)
        outputs = apply(*saved, *inputs, **attributes)
        results = iter(outputs if isinstance(outputs, tuple) else (outputs,))
        return tuple(next(results) if is_differentiable(x.dtype) else NO_GRADIENT for x in inputs)

    companion = Op(
        name,
        lambda *arrays, **attributes: _forward(op, arrays, attributes),
        infer=lambda *specs, **attributes: Inferred(tuple(_inputs(op, specs)), attributes),
        doc=f"the backward of {op.name}, opaque",
    )
    object.__setattr__(companion, "attributes", op.attributes)
    return replace(op, rule=rule), companion


def _inputs(op: Op, specs: Sequence[Spec]) -> list[Spec]:
    """The specs of the results of the backward: those of the differentiable inputs."""
    return [spec for spec in specs[2 * op.outputs :] if is_differentiable(spec.dtype)]


def _forward(op: Op, arrays: Sequence[Any], attributes: Any) -> Any:
    """Call the backward as it is written: ``(g, y, *inputs)``, tuples for several outputs."""
    assert op.backward is not None
    count = op.outputs
    g, y, inputs = arrays[:count], arrays[count : 2 * count], arrays[2 * count :]
    returned = op.backward(g[0], y[0], *inputs, **attributes) if count == 1 else op.backward(g, y, *inputs, **attributes)
    results = returned if isinstance(returned, tuple) else (returned,)
    if len(results) != len(inputs):
        raise BadResult(f"the backward returned {len(results)} cotangents for {len(inputs)} inputs")
    kept = [np.asarray(r) for r, x in zip(results, inputs, strict=True) if is_differentiable(x.dtype)]
    return tuple(kept) if len(kept) != 1 else kept[0]
