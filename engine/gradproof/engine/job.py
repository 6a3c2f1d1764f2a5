"""Job: a request to the engine, and all its possible faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradproof.engine.cancellation import watched
from gradproof.engine.errors import InvalidRequest, Violation
from gradproof.engine.graph import Graph, names_of
from gradproof.engine.graph_hook import GraphHook
from gradproof.engine.hints import did_you_mean
from gradproof.engine.hooks import ClientHook, Hook, HookContext
from gradproof.engine.spec import Array, Spec, is_differentiable


@dataclass(frozen=True)
class Job:
    """A request: a graph, values for its leaves, seeds for its outputs, hooks, and the names of the results.

    ``gradients``: names whose gradients leave the run; empty means every leaf that requires grad. ``retain``: inner values
    whose gradients leave as well. ``fetch``: values to return. ``known``: results of nodes that were computed before.
    """

    graph: Graph
    values: Sequence[tuple[str, Array]] = ()
    seeds: Sequence[tuple[str, Array]] = ()
    hooks: Sequence[Hook | GraphHook | ClientHook] = ()
    gradients: Sequence[str] = ()
    retain: Sequence[str] = ()
    fetch: Sequence[str] = ()
    known: Sequence[tuple[str, Array]] = ()

    def requested(self) -> tuple[str, ...]:
        """Names of all values whose gradients leave the run."""
        base = self.gradients or [leaf.name for leaf in self.graph.leaves if leaf.requires_grad]
        return tuple(dict.fromkeys([*base, *self.retain]))

    def cuts(self) -> tuple[str, ...]:
        """Names of all values where the run stops: those whose gradients leave, and those with hooks."""
        return tuple(dict.fromkeys([*self.requested(), *(hook.value for hook in self.hooks)]))


def check_job(
    job: Job, known: Sequence[Violation], specs: Mapping[str, Spec], context: HookContext, *, differentiate: bool
) -> dict[str, Array]:
    """The leaf values by name, as read-only views. ``known`` are the faults of the graph, ``specs`` the specs of its
    values.
    Raises InvalidRequest with every fault of graph and job at once."""
    faults = list(known)
    leaves = _check_values(job, faults)
    _check_known(job, specs, faults)
    if differentiate:
        _check_seeds(job, specs, faults)
        faults += job_faults(job, (), specs, context)
        if not job.cuts():
            text = "nothing to differentiate: no leaf requires grad, and no gradient is asked for"
            faults.append(Violation("graph.leaves", text, "NOTHING_TO_DIFFERENTIATE"))
    else:
        _check_names(job, specs, faults)
    if faults:
        raise InvalidRequest(faults)
    return leaves


def job_faults(job: Job, known: Sequence[Violation], specs: Mapping[str, Spec], context: HookContext) -> list[Violation]:
    """Faults of a job that has no values yet: the ``known`` faults of its graph, and those of names and of hooks."""
    faults = list(known)
    _check_names(job, specs, faults)
    _check_hooks(job, specs, context, faults)
    return faults


def _check_values(job: Job, faults: list[Violation]) -> dict[str, Array]:
    leaves = {leaf.name: leaf for leaf in job.graph.leaves}
    values: dict[str, Array] = {}
    for k, (name, array) in enumerate(watched(job.values)):
        path = f"values[{k}]"
        leaf = leaves.get(name)
        if leaf is None:
            faults.append(
                Violation(f"{path}.name", f"no leaf is named {name!r}{did_you_mean(name, leaves)}", "VALUE_UNKNOWN")
            )
        elif name in values:
            faults.append(Violation(f"{path}.name", f"leaf {name!r} is given twice", "NAME_DUPLICATE"))
        elif array.shape != leaf.spec.shape or array.dtype != leaf.spec.dtype:
            got = Spec(array.shape, array.dtype)
            faults.append(Violation(f"{path}.value", f"leaf {name!r} is {leaf.spec}, its value is {got}", "VALUE_SPEC"))
        else:
            values[name] = array.view()
            values[name].flags.writeable = False
    at_fault = {name for name, _ in job.values}
    for k, leaf in enumerate(watched(job.graph.leaves)):
        if leaf.name not in values and leaf.name not in at_fault:
            faults.append(Violation(f"graph.leaves[{k}].value", f"leaf {leaf.name!r} has no value", "VALUE_MISSING"))
    return values


def _check_names(job: Job, specs: Mapping[str, Spec], faults: list[Violation]) -> None:
    idle = {leaf.name for leaf in job.graph.leaves if not leaf.requires_grad}
    known: set[str] | None = None
    for part, names in (("gradients", job.gradients), ("retain", job.retain), ("fetch", job.fetch)):
        for k, name in enumerate(watched(names)):
            if name not in specs and known is None:
                known = names_of(job.graph)
            if known is not None and name not in specs and name not in known:
                text = f"there is no value named {name!r}{did_you_mean(name, known)}"
                faults.append(Violation(f"{part}[{k}]", text, "VALUE_UNKNOWN"))
            elif part != "fetch" and name in specs and not is_differentiable(specs[name].dtype):
                text = f"value {name!r} has dtype {specs[name].dtype.name}, which has no gradient"
                faults.append(Violation(f"{part}[{k}]", text, "REQUIRES_GRAD_DTYPE"))
            elif part != "fetch" and name in idle:
                text = f"leaf {name!r} does not require grad, so it has no gradient"
                faults.append(Violation(f"{part}[{k}]", text, "REQUIRES_GRAD"))


def _check_known(job: Job, specs: Mapping[str, Spec], faults: list[Violation]) -> None:
    results = {name for node in job.graph.nodes for name in node.outputs} if job.known else set()
    for k, (name, array) in enumerate(watched(job.known)):
        spec = specs.get(name)
        if name not in results:
            near = did_you_mean(name, results)
            faults.append(Violation(f"known[{k}].name", f"no node has a result named {name!r}{near}", "VALUE_UNKNOWN"))
        elif spec is not None and (array.shape != spec.shape or array.dtype != spec.dtype):
            got = Spec(array.shape, array.dtype)
            faults.append(
                Violation(f"known[{k}].value", f"{name!r} is {spec}, the value given for it is {got}", "VALUE_SPEC")
            )


def _check_seeds(job: Job, specs: Mapping[str, Spec], faults: list[Violation]) -> None:
    seeded: set[str] = set()
    outputs = set(job.graph.outputs)
    for k, (name, array) in enumerate(watched(job.seeds)):
        path = f"seeds[{k}]"
        if name not in outputs:
            near = did_you_mean(name, job.graph.outputs)
            faults.append(Violation(f"{path}.output", f"no output is named {name!r}{near}", "VALUE_UNKNOWN"))
        elif name in seeded:
            faults.append(Violation(f"{path}.output", f"output {name!r} has two seeds", "NAME_DUPLICATE"))
        elif name in specs and array.shape != specs[name].shape:
            text = f"the seed of {name!r} has shape {array.shape}, the output has shape {specs[name].shape}"
            faults.append(Violation(f"{path}.cotangent", text, "SEED_SHAPE"))
        elif name in specs and (array.dtype.kind == "c") != (specs[name].dtype.kind == "c"):
            text = f"the seed of {name!r} is {array.dtype.name}, the output is {specs[name].dtype.name}"
            faults.append(Violation(f"{path}.cotangent", text, "SEED_DTYPE"))
        seeded.add(name)
    for k, name in enumerate(watched(job.graph.outputs)):
        spec = specs.get(name)
        if spec is None or name in seeded:
            continue
        if spec.size != 1:
            text = f"grad can be implicitly created only for scalar outputs; {name!r} is {spec}: give it a seed"
            faults.append(Violation(f"graph.outputs[{k}]", text, "SEED_MISSING"))
        elif spec.dtype.kind == "c":
            text = f"grad can be implicitly created only for real scalar outputs but got {spec.dtype.name}"
            faults.append(Violation(f"graph.outputs[{k}]", text, "SEED_MISSING"))


def _check_hooks(job: Job, specs: Mapping[str, Spec], context: HookContext, faults: list[Violation]) -> None:
    for k, hook in enumerate(watched(job.hooks)):
        path = f"hooks[{k}]"
        if hook.value not in specs:
            known = names_of(job.graph)
            if hook.value not in known:
                text = f"there is no value named {hook.value!r}{did_you_mean(hook.value, known)}"
                faults.append(Violation(f"{path}.value", text, "VALUE_UNKNOWN"))
        elif not is_differentiable(specs[hook.value].dtype):
            text = f"value {hook.value!r} has dtype {specs[hook.value].dtype.name}: it has no gradient to hook"
            faults.append(Violation(f"{path}.value", text, "REQUIRES_GRAD_DTYPE"))
        faults.extend(hook.faults(path, specs.get(hook.value), context))
