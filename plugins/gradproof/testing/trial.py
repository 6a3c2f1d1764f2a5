"""Trial: an op applied to arrays, with the cotangents of its results; it is run as a plan would run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradproof.engine.errors import GradproofError, NoRule, RuleFault
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.registry import Registry, traced_rule
from gradproof.engine.spec import Array, Spec, is_differentiable, spec_of
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.proof.float_checks import run_program
from gradproof.testing.fault import Broken
from gradproof.testing.registries import module_of, registry_with

SEEDS = (1.25, -0.75, 2.0, -1.5)
"""Cotangents of either sign: cotangents that are always 1 hide faults."""


@dataclass(frozen=True)
class Trial:
    """An op at a point.

    Attributes:
        op: the name of the op.
        arrays: its inputs.
        attributes: its attributes; defaults may be left out.
        seeds: the cotangent of each result.
    """

    op: str
    arrays: tuple[Array, ...]
    attributes: Mapping[str, Any]
    seeds: tuple[Array, ...]

    def job(self, name: str = "", still: Sequence[int] = ()) -> Job:
        """A graph of a single node, of this op or of the one called ``name``; inputs at ``still`` require no gradient."""
        leaves = tuple(
            Leaf(f"x{k}", spec_of(a), is_differentiable(a.dtype) and k not in still) for k, a in enumerate(self.arrays)
        )
        outputs = tuple(f"y{k}" for k in range(len(self.seeds)))
        node = Node(name or self.op, tuple(leaf.name for leaf in leaves), outputs, self.attributes)
        values = [(leaf.name, a) for leaf, a in zip(leaves, self.arrays, strict=True)]
        return Job(Graph(leaves, (node,), outputs), values, list(zip(outputs, self.seeds, strict=True)))

    def at(self, *arrays: Array) -> Trial:
        """The same trial at other inputs of the same shapes and dtypes."""
        return replace(self, arrays=arrays)

    def __str__(self) -> str:
        arrays = ", ".join(f"{a.dtype.name}{a.astype(float).tolist()}" for a in self.arrays)
        seeds = ", ".join(str(g.astype(float).tolist()) for g in self.seeds)
        return f"{self.op}({arrays}, {dict(self.attributes)}) with cotangent {seeds}"


def seeded(op: Op, arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Trial:
    """The trial with cotangents of either sign. Raises InferenceError."""
    outputs = op.inference([spec_of(a) for a in arrays], attributes).outputs
    seeds = [np.resize(np.array(SEEDS), out.shape).astype(out.dtype) for out in outputs]
    return Trial(op.name, tuple(arrays), attributes, tuple(seeds))


def run(registry: Registry, trial: Trial) -> Application:
    """The numbers of a trial: results of the forward, and contributions of the rule. Inputs of the forward are read-only
    views, as in a run. Raises InferenceError, and Broken where the op fails, or gives other shapes or dtypes than it
    says."""
    op = registry.op(trial.op)
    inferred = op.inference([spec_of(a) for a in trial.arrays], trial.attributes)
    specs = inferred.inputs or tuple(spec_of(a) for a in trial.arrays)
    arrays = [_read_only(_converted(x, spec)) for x, spec in zip(trial.arrays, specs, strict=True)]
    if op.composite:
        return Application(
            op, inferred.attributes, arrays, inferred.outputs, _expanded(op, arrays, specs, trial.attributes),
            [_read_only(g) for g in trial.seeds], [None] * len(arrays),
        )  # fmt: skip
    results = forward(op, arrays, inferred.attributes, inferred.outputs)
    seeds = [_read_only(g.astype(out.dtype)) for g, out in zip(trial.seeds, inferred.outputs, strict=True)]
    contributions: list[Array | None] = [None] * len(arrays)
    if op.rule is not None:
        try:
            rule = traced_rule(registry, op, specs, inferred.outputs, inferred.attributes)
        except NoRule:
            rule = None
        except RuleFault as fault:
            shown = ", ".join(map(str, specs))
            raise Broken(
                f"infer takes {shown}, and the rule fails: {fault}", "refuse what the rule does not take"
            ) from fault
        if rule is not None:
            contributions = _pulled(op, rule, [*seeds, *results, *arrays], specs)
    return Application(op, inferred.attributes, arrays, inferred.outputs, results, seeds, contributions)


def _expanded(op: Op, arrays: Sequence[Array], specs: Sequence[Spec], attributes: Mapping[str, Any]) -> list[Array]:
    """The results of a composite, from its parts. Its gradients are those of the parts, which are not of its author."""
    program = op.expand(specs, attributes)
    assert program is not None
    with np.errstate(all="ignore"):
        return [np.asarray(y) for y in run_program(program, arrays)]


def forward(op: Op, arrays: Sequence[Array], attributes: Mapping[str, Any], outputs: Sequence[Spec]) -> list[Array]:
    """The results of a forward, read-only. Raises Broken where it raises, or gives other shapes or dtypes than inferred."""
    try:
        with np.errstate(all="ignore"):
            returned = op.forward(*arrays, **attributes)
    except GradproofError:
        raise
    except BaseException as error:  # the code of a plugin
        shown = ", ".join(f"{x.dtype.name}{list(x.shape)}" for x in arrays)
        why = "it writes to its input: work on a copy" if "read-only" in str(error) else ""
        raise Broken(f"the forward raised {describe(reraise_own(error))}, for inputs {shown}", why) from error
    results = [np.asarray(y) for y in (returned if isinstance(returned, tuple) else (returned,))]
    if len(results) != len(outputs):
        raise Broken(f"the forward returned {len(results)} results; infer says {len(outputs)}")
    for k, (y, spec) in enumerate(zip(results, outputs, strict=True)):
        if y.shape != spec.shape or y.dtype != spec.dtype:
            which = f"result {k}" if len(results) > 1 else "a result"
            raise Broken(
                f"the forward returned {which} of {y.dtype.name}{list(y.shape)}; infer says {spec}",
                "a constant or library function widens the dtype: end the forward with .astype(x.dtype, copy=False)"
                if y.shape == spec.shape
                else "",
            )
    return [_read_only(y) for y in results]


def _pulled(op: Op, rule: Any, values: Sequence[Array], specs: Sequence[Spec]) -> list[Array | None]:
    """The contributions of a rule. Raises Broken for an opaque backward that raises, or gives another shape or dtype."""
    try:
        with np.errstate(all="ignore"):
            contributions = run_program(rule, values)
    except GradproofError:
        raise
    except BaseException as error:
        name, text = "rule" if op.backward is None else "backward", describe(reraise_own(error))
        why = "it writes to an array that it is given: work on a copy" if "read-only" in text else ""
        raise Broken(f"the {name} raised {text}", why) from error
    for k, (c, spec) in enumerate(zip(contributions, specs, strict=True)):
        if c is not None and (c.shape != spec.shape or c.dtype != spec.dtype):
            hint = ""
            if c.shape != spec.shape:
                hint = "the cotangent of an input that was broadcast is summed over the axes along which it was"
            raise Broken(f"the cotangent of {op.input_name(k)} is {c.dtype.name}{list(c.shape)}; the input is {spec}", hint)
    return contributions


def _converted(x: Array, spec: Spec) -> Array:
    return np.broadcast_to(x, spec.shape).astype(spec.dtype, copy=False)


def _read_only(x: Array) -> Array:
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view


def run_rule(
    op: Op | str, *arrays: Any, g: Any = None, plugin: Any = None, **attributes: Any
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    """Run the forward and the rule of an op on arrays: the results, and the cotangent of each input.

    Args:
        op: the op, or the name of a built-in op or of one of ``plugin``.
        arrays: the inputs, anything NumPy makes arrays of.
        g: the cotangent of the result, a tuple of them for several results; ones by default.
        plugin: the plugin whose ops the rule may use, or its import path; found by itself where the op's forward is in it.
        attributes: attributes of the op.

    Returns:
        The results, and the cotangents in the order of the inputs, after broadcasting; None for an input that no gradient
        flows to.

    Raises:
        Broken: if forward or rule raise, or give other shapes or dtypes than they should.
        InferenceError: if inputs or attributes do not fit the op.
    """
    given = [] if isinstance(op, str) else [op]
    registry = registry_with(*given, plugin=plugin or (module_of(op) if isinstance(op, Op) else None))
    known = registry.op(op if isinstance(op, str) else op.name)
    inputs = [np.asarray(x) for x in arrays]
    trial = seeded(known, inputs, attributes)
    if g is None:
        seeds = tuple(np.ones_like(seed) for seed in trial.seeds)
    else:
        seeds = tuple(np.asarray(x) for x in (g if isinstance(g, tuple) else (g,)))
    ran = run(registry, replace(trial, seeds=seeds))
    return tuple(ran.results), tuple(ran.contributions)
