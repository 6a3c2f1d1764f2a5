"""Evidence of a backward pass: its gradients, the traces of its hooks and, on request, its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from gradproof.client.backward.agreement import ORDER, compared, weakened
from gradproof.client.events import Array, Gradient, HookTrace, Result, Verdict
from gradproof.client.progress_bar import reporting
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import Runtime
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.requests import watching
from gradproof.v1 import autodiff_service_pb2 as pb

BUDGET = 30.0
"""The time for the checks of a pass, in seconds."""


Finder: TypeAlias = Callable[[Sequence[str]], Sequence[tuple[str, str]]]
"""Finds words and reasons for the gradients under some names."""


@dataclass
class Evidence:
    """The gradients of a pass, raw and after hooks, and the verdicts once they were asked for.

    Attributes:
        runtime: the runtime that ran the pass.
        source: its graph, or a function that makes it when somebody asks for a verdict.
        request: the request that runs it again, where hooks that ran here return again what they did.
        result: its result.
        names: the names of tensors in the graph, by id.
        recorded: whether the pass was recorded, and has no result of its own.
        complete: adds to the request what was not known when it was made.
        find: what is known of the rules that run here, and that the gradients under some names came through.
        rule_places: names of values whose gradients are replaced by rules that run here: the server knows these as hooks.
    """

    runtime: Runtime
    source: Subgraph | Callable[[], Subgraph]
    request: pb.DifferentiateRequest
    result: Result
    names: dict[int, list[str]] = field(default_factory=dict)
    recorded: bool = False
    complete: Callable[[pb.DifferentiateRequest], None] | None = None
    find: Finder | None = None
    rule_places: frozenset[str] = frozenset()
    _checked: Result | None = None
    _findings: dict[tuple[str, ...], Sequence[tuple[str, str]]] = field(default_factory=dict)

    @property
    def graph(self) -> Subgraph:
        """Its graph."""
        if not isinstance(self.source, Subgraph):
            self.source = self.source()
        return self.source

    def names_of(self, tensor: Recorded) -> list[str]:
        """Names of a tensor in the graph."""
        return self.names.get(id(tensor), [])

    def total(self, tensor: Recorded) -> Array | None:
        """The gradient after hooks, or None where none arrived."""
        return _sum([gradient.gradient for gradient in _arrived(self.result, self.names_of(tensor))])

    def raw(self, names: Sequence[str]) -> Recorded | None:
        """The gradient under these names before hooks, or None where none arrived."""
        total = _sum([gradient.raw for gradient in _arrived(self.result, names)])
        return None if total is None else self.graph.roots[0].leaf(total)

    def traces(self, names: Sequence[str]) -> tuple[HookTrace, ...]:
        """The traces of the hooks on the gradients under these names."""
        return tuple(trace for gradient in _arrived(self.result, names) for trace in gradient.hook_traces)

    def verdict(self, names: Sequence[str], returned: Array) -> Verdict | None:
        """The verdict on the gradient under these names, which was ``returned`` to the user.

        The first call runs the pass again, with all checks.
        """
        if self._checked is None:
            self._checked = self._run_checks()
        if self.find is not None and tuple(names) not in self._findings:
            self._findings[tuple(names)] = self.find(names)
        return self.known(names, returned)

    def _run_checks(self) -> Result:
        request = pb.DifferentiateRequest()
        request.CopyFrom(self.request)
        if self.complete is not None:
            self.complete(request)
        request.verify.CopyFrom(pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=BUDGET))
        with reporting("checks of the gradient", self.runtime.client.progress) as report:
            request.verify.progress = report is not None
            checked = self.runtime.differentiate(self.graph, request, watch=watching(report))
        for name, verdict in checked.verdicts.items():
            hooked_by = tuple(value for value in verdict.hooked_by if value not in self.rule_places)
            verdict = checked.verdicts[name] = replace(verdict, hooked_by=hooked_by)
            first, again = self.result.gradients.get(name), checked.gradients.get(name)
            if first is not None and first.gradient is not None:
                gradient = again.gradient if again is not None else None
                checked.verdicts[name] = compared(self._with_place(verdict), first.gradient, gradient)
        return checked

    def _with_place(self, verdict: Verdict) -> Verdict:
        """The verdict, with the line that recorded the node whose rule gave a gradient that is not finite."""
        maker = self.graph.maker(verdict.nonfinite.node) if verdict.nonfinite is not None else None
        return verdict if maker is None else replace(verdict, reason=f"{verdict.reason}; recorded at {maker.place}")

    def known(self, names: Sequence[str], returned: Array) -> Verdict | None:
        """The verdict, if it is known already.

        A tensor that is used by nodes with hooks has a second verdict, on their rules: the weaker of the two counts.
        """
        findings = self._findings.get(tuple(names), ())
        if self._checked is None or (self.find is not None and tuple(names) not in self._findings):
            return None
        every = [*(near for name in names for near in self.graph.behind.get(name, ())), *names]
        verdicts = [self._checked.verdicts[name] for name in every if name in self._checked.verdicts]
        best = [verdict for verdict in verdicts if verdict.value in names and verdict.summary == ORDER[-1]]
        weakest = min([*best, *verdicts], key=lambda verdict: ORDER.index(verdict.summary), default=None)
        if weakest is None:
            return None
        again = _sum([gradient.gradient for gradient in _arrived(self._checked, names)])
        verdict = compared(weakest, returned, again, recorded=self.recorded)
        for word, reason in findings:
            verdict = weakened(verdict, word, reason)
        return verdict

    def verdicts(self) -> Mapping[str, Verdict]:
        """The verdicts that are known already, by name."""
        return self._checked.verdicts if self._checked is not None else {}


def _arrived(result: Result, names: Sequence[str]) -> list[Gradient]:
    """The gradients under these names that arrived."""
    gradients = [result.gradients.get(name) for name in names]
    return [gradient for gradient in gradients if gradient is not None and gradient.gradient is not None]


def _sum(arrays: Sequence[Array | None]) -> Array | None:
    """The sum of arrays of the same dtype, which stays; None of nothing."""
    if not arrays:
        return None
    total = np.array(arrays[0])
    for array in arrays[1:]:
        total = (total + array).astype(total.dtype)
    return total
