"""Words of a verdict: four fields that are never merged (rule, value, accumulation, graph), and a summary word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RuleWord(StrEnum):
    """Knowledge of a backward rule, for a shape class, in exact arithmetic."""

    PROVED = "PROVED"  # equal to the derivative of the definition, as an identity on the domain
    PROVED_AE = "PROVED_AE"  # as PROVED, off the tie set that is named
    AGREED = "AGREED"  # not proved; agrees at exact points
    UNDECIDED = "UNDECIDED"  # neither proved nor refuted; the reason is given
    REFUTED = "REFUTED"  # wrong, with an exact point as witness
    NO_SPEC = "NO_SPEC"  # an op in the rule has no definition
    PENDING = "PENDING"  # queued to be proved


class ValueWord(StrEnum):
    """Knowledge of the numbers that a rule gave in a run."""

    ENCLOSED = "ENCLOSED"  # within a stated number of ulps of the true derivative
    SCREENED = "SCREENED"  # compared without an enclosure that stands by itself: by projections, or an unproved rule
    CONDITIONED = "CONDITIONED"  # further off, no further than its inputs' rounding explains; half its digits hold
    ILL_CONDITIONED = "ILL_CONDITIONED"  # rounding explains the distance, and less than half of the digits are right
    OVERFLOWED = "OVERFLOWED"  # the true value, or a number on the way to it, is beyond the largest of the dtype
    TIE = "TIE"  # at a kink: in the hull of the one-sided derivatives, and equal to the op's convention
    OFF = "OFF"  # wrong: element, float and enclosure are given
    NONFINITE = "NONFINITE"  # an input, cotangent or true derivative is not finite
    UNCHECKED = "UNCHECKED"  # not checked; the reason is given


class AccumulationWord(StrEnum):
    """Knowledge of a sum: whether a gradient is the sum over all uses of its value in the submitted graph."""

    EXACT = "EXACT"
    ILL_CONDITIONED = "ILL_CONDITIONED"  # rounded as sums are, and less than half of the digits are right
    OFF = "OFF"
    UNCHECKED = "UNCHECKED"


class GraphWord(StrEnum):
    """Result of the check of a whole graph, which uses no rule."""

    CONSISTENT = "CONSISTENT"  # the gradient is the derivative of the forward pass, to within its stated rounding
    INCONSISTENT = "INCONSISTENT"  # the gradient is not that derivative, and no rounding explains the difference
    ILL_CONDITIONED = "ILL_CONDITIONED"  # rounding explains the difference, which is a large part of the digits
    CUT = "CUT"  # consistent between the hooks; as a whole it is the gradient of what hooks made of the backward pass
    SKIPPED = "SKIPPED"  # not compared; the reason is given


class SummaryWord(StrEnum):
    """Summary of a gradient.

    ``verified``: every rule it came through is proved, every number is enclosed (or CONDITIONED, where the rounding of
    its inputs explains the distance), every sum is right, and the check of the graph does not contradict. ``plausible``:
    no check contradicts, some are weaker than that. ``unchecked``: too little is known. ``wrong``: a check contradicts.
    """

    VERIFIED = "verified"
    PLAUSIBLE = "plausible"
    UNCHECKED = "unchecked"
    WRONG = "wrong"


@dataclass(frozen=True)
class RuleVerdict:
    """Verdict on a rule in a shape class. ``tie_set`` names where the rule does not hold (PROVED_AE); ``input``,
    ``element``, ``point``, ``got`` and ``expected`` are the witness of a refutation. ``obligations``: the identities and
    requirements that were shown, each with its tactic ("x[0, 1]: expand"). ``seconds``: duration of the proof;
    ``budget``: seconds of CPU time after which it was stopped (0: it was not); ``digest``: hash of all that the proof
    depends on, computed where it was made. ``cached``: it was read from a file; ``shipped``: from a file that came with the
    plugin. ``arrays``: rule and op may be read over whole arrays, as their forms for
    these are shown to be the definitions."""

    word: RuleWord
    op: str
    case: str = ""
    tactic: str = ""
    domain: str = ""
    tie_set: str = ""
    reason: str = ""
    input: str = ""
    element: str = ""
    point: str = ""
    got: str = ""
    expected: str = ""
    obligations: tuple[str, ...] = ()
    seconds: float = 0.0
    budget: float = 0.0
    cached: bool = False
    shipped: bool = False
    digest: str = ""
    arrays: bool = False

    @property
    def proved(self) -> bool:
        """True if the rule is proved, with or without ties."""
        return self.word in (RuleWord.PROVED, RuleWord.PROVED_AE)


@dataclass(frozen=True)
class ValueVerdict:
    """Verdict on the numbers of a contribution, or of a forward value: ``checked`` of ``total`` elements are enclosed,
    the worst at most ``max_ulps`` units in the last place off. ``sampled``: number of elements that Arb read against the
    definition, where the others were enclosed in arrays (0: all, or none). ``screened``: number of elements compared
    without an enclosure that stands by itself. ``through_rule``: the enclosures are of what the rule's program gives in
    exact arithmetic (of a forward value: of what the op's form for whole arrays gives), and so of the truth only if that
    is proved. ``expected`` is the enclosure of the worst element if OFF, ``bits`` the working precision."""

    word: ValueWord
    max_ulps: float = 0.0
    checked: int = 0
    total: int = 0
    element: str = ""
    got: str = ""
    expected: str = ""
    reason: str = ""
    bits: int = 0
    screened: int = 0
    sampled: int = 0
    through_rule: bool = False


@dataclass(frozen=True)
class AccumulationVerdict:
    """Verdict on a sum of ``uses`` contributions."""

    word: AccumulationWord
    uses: int = 0
    reason: str = ""


@dataclass(frozen=True)
class GraphVerdict:
    """Verdict on a whole gradient along random directions v: the derivative of the forward pass along v against <gradient,
    v>.

    ``ratio``: their difference, in units of u sum |gradient_i v_i| with u the rounding unit of each leaf's dtype.
    ``bits_lost``: log2 of the ratio. ``directions``: their number. ``nodes`` of ``total`` were read through their
    definitions; the others were left to their own checks. ``seconds``: time for the whole graph.
    """

    word: GraphWord
    reason: str = ""
    ratio: float = 0.0
    bits_lost: float = 0.0
    directions: int = 0
    nodes: int = 0
    total: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class UseVerdict:
    """Verdict on a contribution to a gradient: through input ``position`` (called ``input``) of node ``node`` (an index
    of ``graph.nodes``), whose op is ``op``; for an inserted conversion ``op`` is ``broadcast_to`` or ``astype``.
    ``forward``: whether the node computed what its op's definition gives. ``kernels``: names of the kernels of plugins
    that computed the node, or an op in its rule."""

    node: int
    op: str
    input: str
    position: int
    rule: RuleVerdict
    value: ValueVerdict
    forward: ValueVerdict = ValueVerdict(ValueWord.UNCHECKED)
    kernels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """First node that made a number which is not finite out of finite numbers: its index, its op (``rule``: in its
    backward rule), the element, and the number."""

    node: int
    op: str
    rule: bool
    element: str
    got: str

    def __str__(self) -> str:
        half = "backward" if self.rule else "forward"
        where = f", element {self.element}" if self.element else ""
        return f"{self.got} was first made by node {self.node} ({self.op}), {half}{where}"


@dataclass(frozen=True)
class GradientVerdict:
    """Verdict on the gradient of value ``name``. ``hooked_by`` names hooked values that it came through: it is then the
    gradient of a backward pass that these hooks modified. ``nonfinite``: the origin of numbers in it that are not
    finite."""

    name: str
    summary: SummaryWord
    reason: str
    uses: tuple[UseVerdict, ...] = ()
    accumulation: AccumulationVerdict = AccumulationVerdict(AccumulationWord.UNCHECKED)
    hooked_by: tuple[str, ...] = ()
    graph: GraphVerdict = GraphVerdict(GraphWord.SKIPPED)
    nonfinite: Origin | None = None


WEAKEST_FIRST = (
    RuleWord.REFUTED,
    RuleWord.NO_SPEC,
    RuleWord.PENDING,
    RuleWord.UNDECIDED,
    RuleWord.AGREED,
    RuleWord.PROVED_AE,
    RuleWord.PROVED,
)


def weakest(verdicts: list[RuleVerdict]) -> RuleVerdict:
    """The verdict of an op: that of its weakest case."""
    return min(verdicts, key=lambda verdict: WEAKEST_FIRST.index(verdict.word))
