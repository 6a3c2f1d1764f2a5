"""The engine: jobs in, events out. Checks everything first, then runs a cached plan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.graph import Function, Graph
from gradproof.engine.hooks import Hook, HookTrace, HookTurn, run_hooks
from gradproof.engine.job import Job, check_job
from gradproof.engine.lower import Lowered, lower
from gradproof.engine.plan import Plan, Values, compile_plan
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array


@dataclass(frozen=True)
class ValueEvent:
    """A value of the forward half (read-only)."""

    name: str
    value: Array


@dataclass(frozen=True)
class GradientEvent:
    """A gradient that is now final. ``gradient`` is what it is after all hooks, ``raw`` the sum of contributions before
    them; both None where no gradient reaches the value. ``grad_fn`` names the node that made the value, or is empty."""

    name: str
    gradient: Array | None
    raw: Array | None
    traces: tuple[HookTrace, ...] = ()
    grad_fn: str = ""

    @property
    def hooked(self) -> bool:
        """Whether a hook changed any bit of the gradient."""
        return any(trace.changed for trace in self.traces)


Event: TypeAlias = ValueEvent | GradientEvent | HookTurn


@dataclass(frozen=True)
class Prepared:
    """A job that has no faults, with its plan and its leaf values by name (read-only)."""

    job: Job
    plan: Plan
    leaves: Mapping[str, Array]


@dataclass(frozen=True)
class Run:
    """A finished run: the plan and every value it computed. The evidence that the checks read."""

    job: Job
    plan: Plan
    values: Values
    hooked: frozenset[str] = frozenset()


@dataclass
class Engine:
    """Runs jobs over the ops of one registry, and keeps the plans of the graphs it has seen (least recently used out)."""

    registry: Registry
    max_plans: int = 256
    _plans: OrderedDict[Any, Plan] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def infer(self, graph: Graph) -> Lowered:
        """Shapes and dtypes of all values, and all faults. Runs nothing, raises nothing."""
        return lower(graph, self.registry)

    def prepare(self, job: Job, *, differentiate: bool = True) -> Prepared:
        """Check a job and compile its plan unless it is cached; computes nothing. Raises InvalidRequest with all faults,
        or RuleFault."""
        cuts = job.cuts() if differentiate else ()
        key = (job.graph.digest(), cuts)
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
        lowered = plan.lowered if plan else self.infer(job.graph)
        leaves = check_job(job, lowered, self.registry, differentiate=differentiate)
        if plan is None:
            plan = compile_plan(lowered, self.registry, cuts)
            self._keep(key, plan)
        return Prepared(job, plan, leaves)

    def _keep(self, key: Any, plan: Plan) -> None:
        with self._lock:
            self._plans[key] = plan
            while len(self._plans) > self.max_plans:
                self._plans.popitem(last=False)

    def evaluate(self, job: Job) -> Generator[ValueEvent, None, Run]:
        """`forward` of a job that is prepared here."""
        return (yield from self.forward(self.prepare(job, differentiate=False)))

    def differentiate(self, job: Job) -> Generator[Event, Array | None, Run]:
        """`gradients` of a job that is prepared here."""
        return (yield from self.gradients(self.prepare(job)))

    def forward(self, prepared: Prepared) -> Generator[ValueEvent, None, Run]:
        """The forward half: yields the values of ``job.fetch``, or of the outputs where nothing is named. Raises
        ForwardFault naming the node."""
        job, plan = prepared.job, prepared.plan
        values = plan.start(prepared.leaves)
        for name in job.fetch or job.graph.outputs:
            yield ValueEvent(name, _owned(values[plan.lowered.values[name]]))
        return Run(job, plan, values)

    def gradients(self, prepared: Prepared) -> Generator[Event, Array | None, Run]:
        """Values of ``job.fetch`` first, then each wanted gradient as soon as it is final (reverse order of the nodes),
        at last None for those that no gradient reaches. A `HookTurn` among them wants an answer sent back. Returns the
        `Run` for the checks.

        Raises ForwardFault or HookFault, naming the node or value.
        """
        job, plan = prepared.job, prepared.plan
        values = plan.start(prepared.leaves)
        for name in job.fetch:
            yield ValueEvent(name, _owned(values[plan.lowered.values[name]]))
        hooks: dict[str, list[tuple[str, Any]]] = {}
        for hook in job.hooks:
            hooks.setdefault(hook.value, []).append((hook.name, self._hook(hook)))
        wanted, sent, hooked = set(job.wanted()), set(), set()
        grad_fn = {name: self.registry.ops[node.op].grad_fn for node in job.graph.nodes for name in node.outputs}
        pull = plan.pull(values, self._seeds(job, plan))
        item = next(pull, None)
        while item is not None:
            cut, raw = item
            raw = _owned(raw)
            gradient, traces = yield from run_hooks(hooks.get(cut.name, ()), raw, cut.name)
            event = GradientEvent(cut.name, gradient, raw, tuple(traces), grad_fn.get(cut.name, ""))
            if event.hooked:
                hooked.add(cut.name)
            if cut.name in wanted:
                sent.add(cut.name)
                yield event
            try:
                item = pull.send(gradient)
            except StopIteration:
                item = None
        for name in job.wanted():
            if name not in sent:
                yield GradientEvent(name, None, None, (), grad_fn.get(name, ""))
        return Run(job, plan, values, frozenset(hooked))

    def _hook(self, hook: Hook) -> Any:
        """What a hook does, as a function, or its number where the driver does it."""
        if hook.number is not None:
            return hook.number
        if hook.graph is not None:
            return partial(self._call, hook.graph)
        return hook.function or partial(self.registry.hooks[hook.name].apply, **hook.attributes)

    def _call(self, function: Function, argument: Array) -> Array:
        """The value of a function of one array."""
        job = Job(function.graph, [*function.values, (function.argument, argument)])
        return next(self.evaluate(job)).value

    def _seeds(self, job: Job, plan: Plan) -> dict[str, Array]:
        """Seeds as given, cast to the output's dtype; ones for a scalar output without one."""
        given = dict(job.seeds)
        specs = plan.program.specs
        seeds = {}
        for name, number in plan.backward.seeds.items():
            spec = specs[number]
            seeds[name] = given[name].astype(spec.dtype) if name in given else np.ones(spec.shape, spec.dtype)
        return seeds


def _owned(value: Any) -> Array:
    """A read-only array that nothing in the run will write to."""
    array: Array = np.array(value)
    array.flags.writeable = False
    return array
