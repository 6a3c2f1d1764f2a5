"""Engine: takes jobs, yields events. It checks everything first, then runs a cached plan."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.backward import Backward, append_backward
from gradproof.engine.callable import GraphFunction, function_faults
from gradproof.engine.cancellation import NEVER, Cancellation, current, watched
from gradproof.engine.compiled.compiled import NONE, Constants, Variant
from gradproof.engine.compiled.store import MAX_INSTRUCTIONS, Compilations, Plans
from gradproof.engine.errors import InvalidRequest, RuleFault
from gradproof.engine.estimate import NOTHING, Cost, leaving_bytes, run_cost
from gradproof.engine.execution import ExecutionStream, compared, compiled, interpreted, owned
from gradproof.engine.graph import Graph
from gradproof.engine.hooks import BoundHook, HookCall, HookTrace, run_hooks
from gradproof.engine.job import Job, check_job, job_faults
from gradproof.engine.lower import Lowered, lower
from gradproof.engine.lru import Bound, LRUCache
from gradproof.engine.named_hook import NamedHook
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
    """A final gradient: ``gradient`` after all hooks, ``raw`` before them, the sum of all contributions; both None where no
    gradient reaches the value. ``grad_fn`` is the name of the backward node of the value, empty for a leaf."""

    name: str
    gradient: Array | None
    raw: Array | None
    traces: tuple[HookTrace, ...] = ()
    grad_fn: str = ""

    @property
    def hooked(self) -> bool:
        """True if a hook changed any bit of the gradient."""
        return any(trace.changed for trace in self.traces)


Event: TypeAlias = ValueEvent | GradientEvent | HookCall
"""Events of a run. A `HookCall` is answered by ``send``; None leaves the gradient as it is."""


@dataclass(frozen=True)
class Forward:
    """The forward half of a finished run, from which other jobs go backward with other seeds, hooks and gradients, to the
    same bits.

    Attributes:
        values: all values by number, as in every plan of the graph.
        nbytes: bytes that the values hold.
        numbers: the numbers of the named values.
    """

    graph: Graph
    leaves: Mapping[str, Array]
    values: tuple[Any, ...]
    nbytes: int
    numbers: Mapping[str, int] = field(default_factory=dict)

    def value(self, name: str) -> Array | None:
        """The value of this name, read-only; None if the graph has no such value."""
        number = self.numbers.get(name)
        if number is None:
            return None
        view = np.asarray(self.values[number]).view()
        view.flags.writeable = False
        return view


@dataclass(frozen=True)
class Prepared:
    """A job without faults, ready to run.

    Attributes:
        leaves: leaf values by name, read-only.
        hooks: hooks by the value whose gradient they change.
        forward: the forward half, if it has been computed already.
        evidence: True if the `Run` keeps every value, for the checks.
        known: results of nodes that have been computed already.
        cancellation: ends the run between two nodes.
        fetched: names of the values that leave the run, beside the gradients.
    """

    job: Job
    plan: Plan
    leaves: Mapping[str, Array]
    hooks: Mapping[str, Sequence[BoundHook]]
    forward: Forward | None = None
    evidence: bool = True
    known: Mapping[str, Array] = field(default_factory=dict)
    cancellation: Cancellation = NEVER
    fetched: Sequence[str] = ()

    @property
    def missing(self) -> int:
        """The number of nodes whose results are not known yet."""
        if self.forward is not None:
            return 0
        nodes = self.job.graph.nodes
        return sum(any(name not in self.known for name in node.outputs) for node in nodes) if self.known else len(nodes)

    @cached_property
    def cost(self) -> Cost:
        """Cost of a run, estimated from shapes."""
        plan = self.plan
        own = run_cost(plan.program, plan.backward, self.hooks) if self.hooks else plan.cost
        return own + hooks_cost(self.hooks) + Cost(leaving_bytes(self.fetched, plan.specs))

    def start(self) -> Values:
        """The values of the forward half. Raises ForwardFault naming the node."""
        if self.forward is not None:
            return self.plan.resume(self.forward.values)
        return self.plan.start(self.leaves, self.known, self.cancellation)


def hooks_cost(hooks: Mapping[str, Sequence[BoundHook]]) -> Cost:
    """Cost of all hooks whose cost is known: those that are graphs."""
    return sum((hook.cost for bound in hooks.values() for hook in bound), NOTHING)


@dataclass(frozen=True)
class Estimate:
    """Cost of evaluating a graph and of differentiating it, None if it cannot be differentiated."""

    evaluate: Cost
    differentiate: Cost | None = None

    @property
    def largest(self) -> Cost:
        """The larger of both, for bytes, operations and calls each."""
        both = [cost for cost in (self.evaluate, self.differentiate) if cost]
        return Cost(*(max(getattr(cost, name) for cost in both) for name in ("nbytes", "flops", "calls")))


@dataclass(frozen=True)
class Run:
    """A finished run: the plan and, with evidence, every value it computed, which the checks read."""

    job: Job
    plan: Plan
    values: Values
    hooked: frozenset[str] = frozenset()


PlanKey: TypeAlias = tuple[str, tuple[str, ...]]
"""The digest of a graph, and the names of the values whose gradients leave the run."""


@dataclass
class Engine:
    """Runs jobs over the ops of a registry, and keeps the plans of graphs. The plans used least recently are dropped where
    there are more than ``max_plans``, or where all together have more than ``max_instructions``; the last stays."""

    registry: Registry
    max_plans: int = 256
    max_instructions: int = MAX_INSTRUCTIONS
    compilations: Compilations = field(default_factory=Compilations, repr=False)
    _plans: LRUCache[PlanKey, Plan] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._plans = LRUCache(self.max_plans, Bound(lambda plan: len(plan.program.instructions), self.max_instructions))

    def infer(self, graph: Graph) -> Lowered:
        """Shapes and dtypes of all values, and all faults. Runs nothing, raises nothing but Cancelled."""
        plan = self._plans.get((graph.digest(), ()))
        return plan.lowered if plan else lower(graph, self.registry)

    def estimate(self, job: Job, lowered: Lowered) -> Estimate:
        """Cost of a job without faults; needs no values. Writes the backward half behind the program of ``lowered``, its
        lowered graph, which must not be in use elsewhere."""
        program, specs = lowered.builder.program, lowered.specs()
        forward = run_cost(program, Backward())
        evaluate = forward + Cost(leaving_bytes(job.fetch or job.graph.outputs, specs))
        if not job.cuts():
            return Estimate(evaluate)
        try:
            backward = append_backward(lowered, self.registry, job.cuts(), job.graph.outputs)
        except RuleFault:  # such a graph can be evaluated only
            return Estimate(evaluate)
        hooks = self._bound(job)
        own = run_cost(program, backward, hooks) + hooks_cost(hooks)
        return Estimate(evaluate, own + Cost(leaving_bytes(job.fetch, specs)))

    def _bound(self, job: Job) -> dict[str, list[BoundHook]]:
        """The hooks of a job, ready to run, by the value they are on."""
        hooks: dict[str, list[BoundHook]] = {}
        for hook in job.hooks:
            hooks.setdefault(hook.value, []).append(hook.bound(self))
        return hooks

    @property
    def hooks(self) -> Mapping[str, NamedHook]:
        """Named hooks by name."""
        return self.registry.hooks

    def prepare(
        self,
        job: Job,
        *,
        differentiate: bool = True,
        forward: Forward | None = None,
        evidence: bool = True,
    ) -> Prepared:
        """Check a job and make its plan unless it is cached; computes nothing. With ``forward``, of the same graph and
        values, the forward half is not computed later either. Without ``evidence`` only the values that leave are computed,
        and nothing can be checked. The run ends with the `current` cancellation. Raises InvalidRequest with all faults, or
        RuleFault."""
        cuts = job.cuts() if differentiate else ()
        key = (job.graph.digest(), cuts)
        plan = self._plans.get(key)
        lowered = plan.lowered if plan else lower(job.graph, self.registry)
        specs = plan.specs if plan else lowered.specs()
        leaves = check_job(job, lowered.faults, specs, self, differentiate=differentiate)
        if plan is None:
            plan = self._plans.put(key, compile_plan(lowered, self.registry, cuts))
        hooks = self._bound(job)
        fetched = job.fetch if differentiate else job.fetch or job.graph.outputs
        return Prepared(job, plan, leaves, hooks, forward, evidence, dict(job.known), current(), fetched)

    def compile(self, graph: Graph) -> Plan:
        """The plan of the forward half of a graph without faults."""
        key: PlanKey = (graph.digest(), ())
        plan = self._plans.get(key)
        return plan or self._plans.put(key, compile_plan(lower(graph, self.registry), self.registry, ()))

    def function(
        self,
        graph: Graph,
        *,
        fetch: Sequence[str] | None = None,
        gradients: Sequence[str] | None = None,
        seeds: Sequence[str] = (),
        constants: Mapping[str, Array] = {},
        at_once: bool = True,
    ) -> GraphFunction:
        """A graph as a Python function of its leaves, then of the seeds of the outputs ``seeds``: the values ``fetch``
        (default: the outputs), and the gradients of ``gradients`` (default: the leaves that require grad). Leaves among
        ``constants`` have these values, and are no arguments: what depends on them only is computed once, when the function
        is compiled. That is now, where its plan is to be compiled at all; with ``at_once=False`` when the engine would
        compile the plan of a job. Raises InvalidRequest with all faults, or RuleFault."""
        leaves = [leaf.name for leaf in graph.leaves if leaf.requires_grad]
        targets = tuple(dict.fromkeys(leaves if gradients is None else gradients))
        fetched = tuple(graph.outputs if fetch is None else fetch)
        key = (graph.digest(), targets)
        plan = self._plans.get(key)
        lowered = plan.lowered if plan else lower(graph, self.registry)
        job = Job(graph, gradients=targets, fetch=fetched)
        faults = job_faults(job, lowered.faults, lowered.specs(), self)
        faults += function_faults(graph, seeds, constants, differentiate=bool(targets))
        if faults:
            raise InvalidRequest(faults)
        if plan is None:
            plan = self._plans.put(key, compile_plan(lowered, self.registry, targets))
        held = Constants({name: owned(array) for name, array in constants.items()}) if constants else NONE
        variant = Variant(fetched, seeded=tuple(seeds), constants=held)
        find = self.compilations.held(plan, variant) if at_once else partial(self.compilations.find, plan, variant)
        return GraphFunction(plan, variant, targets, find)

    @property
    def plans_cached(self) -> int:
        """The number of plans that are kept."""
        return len(self._plans)

    def compute(self, prepared: Prepared) -> Prepared:
        """The job with its forward half computed, which may be kept for other jobs on the same graph and values. Raises
        ForwardFault naming the node."""
        plan = prepared.plan
        values = tuple(prepared.start()[: plan.forward_count])
        graph, numbers = prepared.job.graph, plan.lowered.values
        return replace(prepared, forward=Forward(graph, prepared.leaves, values, _held_bytes(values), numbers))

    def evaluate(self, job: Job) -> Generator[ValueEvent, None, Run]:
        """Prepare a job, and run `forward`."""
        return (yield from self.forward(self.prepare(job, differentiate=False)))

    def differentiate(self, job: Job) -> Generator[Event, Array | None, Run]:
        """Prepare a job, and run `gradients`."""
        return (yield from self.gradients(self.prepare(job)))

    def forward(self, prepared: Prepared) -> Generator[ValueEvent, None, Run]:
        """Run the forward half: yields the values of ``job.fetch``, or of the outputs where it is empty. Raises
        ForwardFault naming the node."""
        stream = self._stream(prepared, prepared.job.fetch or prepared.job.graph.outputs)
        try:
            while True:
                output = next(stream)
                yield ValueEvent(output.name, output.value)
        except StopIteration as end:
            return Run(prepared.job, prepared.plan, end.value)

    def gradients(self, prepared: Prepared) -> Generator[Event, Array | None, Run]:
        """Run both halves: yields the values of ``job.fetch``, then each gradient of the job as soon as it is final
        (reverse order of the nodes), at last None for values that no gradient reaches. In between a `HookCall` wherever a
        hook runs at the client: the run waits until it is sent the result. Returns the `Run` for the checks.

        Raises ForwardFault or HookFault, naming the node or value.
        """
        job = prepared.job
        targets, sent, hooked = set(job.requested()), set(), set()
        grad_fn = prepared.plan.grad_fn
        stream = self._stream(prepared, job.fetch)
        answer: Array | None = None
        while True:
            try:
                name, value, is_gradient = stream.send(answer)
            except StopIteration as end:
                values = end.value
                break
            if not is_gradient:
                yield ValueEvent(name, value)
                continue
            answer, traces = yield from run_hooks(prepared.hooks.get(name, ()), value, name)
            event = GradientEvent(name, answer, value, tuple(traces), grad_fn.get(name, ""))
            if event.hooked:
                hooked.add(name)
            if name in targets:
                sent.add(name)
                yield event
        for name in job.requested():
            if name not in sent:
                yield GradientEvent(name, None, None, (), grad_fn.get(name, ""))
        return Run(job, prepared.plan, values, frozenset(hooked))

    def _stream(self, prepared: Prepared, fetch: Sequence[str]) -> ExecutionStream:
        """The stream of the executor of this run; of both, compared, where the policy is to compile always."""
        job, plan = prepared.job, prepared.plan
        seeds = self._seeds(job, plan)
        whole = prepared.evidence or prepared.forward is not None or bool(prepared.known)
        fast = None
        if not whole or self.compilations.plans is Plans.ALWAYS:
            seeded = tuple(name for name, _ in job.seeds if name in plan.backward.seeds)  # a forward plan has none
            variant = Variant(tuple(fetch), frozenset(prepared.hooks), seeded)
            fast = self.compilations.find(plan, variant)
        slow = interpreted(plan, prepared.start, seeds, fetch, prepared.cancellation)
        if fast is None:
            return slow
        quick = compiled(fast, prepared.leaves, seeds, prepared.cancellation)
        return compared(slow, quick) if whole else quick

    def _seeds(self, job: Job, plan: Plan) -> dict[str, Array]:
        """The seeds of a job, cast to the dtypes of their outputs; ones for a scalar output without a seed."""
        cotangents = dict(job.seeds)
        specs = plan.program.specs
        seeds = {}
        for name, number in watched(plan.backward.seeds.items()):
            spec = specs[number]
            seeds[name] = cotangents[name].astype(spec.dtype) if name in cotangents else np.ones(spec.shape, spec.dtype)
        return seeds


def _held_bytes(values: Iterable[Any]) -> int:
    """Bytes of the buffers that own the values, each counted once, however many values are views of it."""
    owners = {}
    for value in values:
        while isinstance(value, np.ndarray) and value.base is not None:
            value = value.base
        owners[id(value)] = len(value) if isinstance(value, bytes) else getattr(value, "nbytes", 0)
    return sum(owners.values())
