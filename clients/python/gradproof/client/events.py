"""Response types: run events, and the `Result` that collects them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

from gradproof.client.cards import card

Array: TypeAlias = NDArray[Any]
Element: TypeAlias = tuple[int, ...]
REQUIRED = inspect.Parameter.empty
"""The default of an attribute that each node must set."""


@dataclass(frozen=True)
class Accepted:
    """The request has no faults. ``digest`` names its graph from now on."""

    digest: str
    node_count: int
    estimated_bytes: int
    estimated_flops: int = 0


@dataclass(frozen=True)
class Value:
    """A value of the forward half (read-only)."""

    name: str
    value: Array


@dataclass(frozen=True)
class HookTrace:
    """Effect of a hook: the gradient after it, and whether any bit changed."""

    label: str
    gradient: Array
    changed: bool


@dataclass(frozen=True)
class Gradient:
    """A gradient of the value named ``value``: after all hooks, and raw. None where no gradient reaches the value (which is
    not zeros). ``grad_fn``: the name of the backward node, empty for a leaf."""

    value: str
    gradient: Array | None
    raw: Array | None
    hook_traces: tuple[HookTrace, ...]
    grad_fn: str


@dataclass(frozen=True)
class Witness:
    """An element that is wrong: the number that was computed, and the true value. ``input`` is empty for a forward value,
    ``element`` for a 0-d tensor, ``point`` for a verdict on the numbers of a run."""

    input: str
    element: Element
    point: str
    got: str
    expected: str


@dataclass(frozen=True)
class RuleVerdict:
    """Verdict on a rule: PROVED, PROVED_AE, AGREED, UNDECIDED, NO_SPEC, PENDING or REFUTED; time in seconds. ``cached``:
    the proof was read from a file; ``shipped``: from a file that came with the plugin."""

    word: str
    op: str
    shape_class: str
    tactic: str
    domain: str
    tie_set: str
    reason: str
    witness: Witness | None
    seconds: float
    cached: bool
    obligations: tuple[str, ...] = ()
    shipped: bool = False


@dataclass(frozen=True)
class ValueVerdict:
    """Verdict on numbers: ENCLOSED, SCREENED, TIE, CONDITIONED, ILL_CONDITIONED,
    OVERFLOWED, NONFINITE, UNCHECKED or OFF."""

    word: str
    max_ulps: float
    elements_checked: int
    elements_total: int
    reason: str
    witness: Witness | None
    precision_bits: int
    elements_screened: int = 0
    elements_sampled: int = 0
    through_rule: bool = False


@dataclass(frozen=True)
class AccumulationVerdict:
    """Verdict on the sum over all uses of a value: EXACT, ILL_CONDITIONED, UNCHECKED or OFF."""

    word: str
    use_count: int
    reason: str


@dataclass(frozen=True)
class GraphVerdict:
    """Verdict on the whole graph: CONSISTENT, ILL_CONDITIONED, CUT, SKIPPED or INCONSISTENT. ``ratio``: distance of
    the gradient from the derivative of the forward pass, in rounding units; time in seconds."""

    word: str
    reason: str
    ratio: float
    bits_lost: float
    directions: int
    nodes_read: int
    nodes_total: int
    seconds: float


@dataclass(frozen=True)
class UseVerdict:
    """A contribution, through an input of node ``node``. ``forward`` is the check of the node's own result; ``kernels``
    are the names of the kernels of plugins that computed the node, or an op in its rule."""

    node: int
    op: str
    input: str
    position: int
    rule: RuleVerdict
    value: ValueVerdict
    forward: ValueVerdict
    kernels: tuple[str, ...] = ()

    def line(self) -> str:
        """The words of the contribution, on a line."""
        words = f"rule {self.rule.word}, number {self.value.word}, forward {self.forward.word}"
        by = f", by {', '.join(self.kernels)}" if self.kernels else ""
        return f"node {self.node} ({self.op}), input {self.input}: {words}, within {self.value.max_ulps:.3g} ulps{by}"


@dataclass(frozen=True)
class NonfiniteOrigin:
    """The node that first made a number which is not finite out of finite ones; ``backward``: its backward rule did."""

    node: int
    op: str
    backward: bool
    element: Element
    got: str


NO_REASON = {
    "verified": "rules are proved, numbers enclosed and sums right: there is nothing to do",
    "plausible": "nothing contradicts, but not all is shown: look at .uses, or give the checks a larger budget",
    "unchecked": "nothing is known: ask for the verdict again, or give the checks a larger budget",
    "wrong": "a rule, a number or a sum is off: look at .uses",
}
"""The last line of a verdict without a reason."""

MEND = "mend the backward rule of {op}, which `gradproof verify {op}` refutes"
"""Advice where a rule is wrong."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """Verdict on the gradient of the value named ``value``. ``summary``: verified, plausible, unchecked or wrong;
    ``reason`` decides it. ``nonfinite``: the origin of a number in the gradient that is not finite.

    Prints as three lines: the summary, the digits, the reason with what to do. A notebook shows a card.
    """

    value: str
    summary: str
    reason: str
    uses: tuple[UseVerdict, ...]
    accumulation: AccumulationVerdict
    graph: GraphVerdict
    hooked_by: tuple[str, ...]
    nonfinite: NonfiniteOrigin | None = None

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return card(self.summary, self._lines(), [use.line() for use in self.uses])

    def _lines(self) -> tuple[str, str, str]:
        """The summary, the digits, and the reason, each on a line of its own."""
        hooks = f", below the hook on {', '.join(self.hooked_by)}" if self.hooked_by else ""
        refuted = dict.fromkeys(use.op for use in self.uses if use.rule.word == "REFUTED")
        todo = "".join(f"; {MEND.format(op=op)}" for op in refuted)
        reason = (self.reason or NO_REASON.get(self.summary, "")) + todo
        return self.summary + hooks, f"digits: {self._digits()}", " ".join(reason.split())

    def _digits(self) -> str:
        """How far the numbers are off at most, and how many of them were checked."""
        values = [use.value for use in self.uses]
        if not values:
            return "the cotangent itself, no op contributes" if self.summary == "verified" else "not checked"
        checked, total = sum(x.elements_checked for x in values), sum(x.elements_total for x in values)
        screened = sum(x.elements_screened for x in values)
        if not checked + screened:
            return f"none of {total} elements checked"
        off = max(value.max_ulps for value in values)
        seen = f"{checked} of {total} elements checked" + (f", {screened} screened" if screened else "")
        only = "of the last step only, " if self._wrong_elsewhere() else ""
        return f"{only}within {off:.3g} units in the last place, {seen}"

    def _wrong_elsewhere(self) -> bool:
        """True for a wrong gradient whose own contributions and sum are right, from cotangents that are not."""
        own = any(use.rule.word == "REFUTED" or "OFF" in (use.value.word, use.forward.word) for use in self.uses)
        return self.summary == "wrong" and self.accumulation.word == "EXACT" and not own


@dataclass(frozen=True)
class Progress:
    """Progress of the checks of a run, or of the proofs of an op. ``stage``: numbers, proofs, or empty for a stage that
    this client does not know."""

    stage: str
    proofs_done: int
    proofs_total: int
    nodes_read: int
    nodes_total: int


@dataclass(frozen=True)
class Fault:
    """A node or hook failed; the call then raises. ``value``, ``element`` and ``incident`` are empty where unknown."""

    node: int | None
    op: str
    plugin: str
    reason: str
    message: str
    value: str = ""
    element: Element = ()
    incident: str = ""


@dataclass(frozen=True)
class Summary:
    """Counts and times of a run, in seconds. ``weaker``: gradients below the required summary; ``saved_bytes``: bytes that
    the session saved of the run; ``nodes_computed``: nodes whose values were not saved before."""

    verified: int
    plausible: int
    unchecked: int
    wrong: int
    elements_checked: int
    elements_total: int
    run_seconds: float
    verify_seconds: float
    weaker: int = 0
    saved_bytes: int = 0
    nodes_computed: int = 0


Event: TypeAlias = Accepted | Value | Gradient | Verdict | Progress | Fault | Summary


@dataclass
class Result:
    """Values, gradients and verdicts of a run, by name."""

    digest: str = ""
    values: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Gradient] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    summary: Summary | None = None

    def add(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, Accepted):
            self.digest = event.digest
        elif isinstance(event, Value):
            self.values[event.name] = event.value
        elif isinstance(event, Gradient):
            self.gradients[event.value] = event
        elif isinstance(event, Verdict):
            self.verdicts[event.value] = event
        elif isinstance(event, Summary):
            self.summary = event


@dataclass(frozen=True)
class OpInfo:
    """An op that the server knows. ``attributes``: defaults by name, `REQUIRED` where each node must set the attribute;
    ``grad_fn``: the name of the backward node, empty where the op is not differentiable; ``optional_inputs``: how many of
    the last inputs may be left out; ``composite``: the op is a graph of others, and the verdict that of their rules."""

    name: str
    plugin: str
    doc: str
    inputs: tuple[str, ...]
    variadic: bool
    attributes: dict[str, Any]
    elementwise: bool
    differentiable: bool
    grad_fn: str
    domains: tuple[str, ...]
    tie_convention: str
    verdict: RuleVerdict | None
    optional_inputs: int = 0
    composite: bool = False
