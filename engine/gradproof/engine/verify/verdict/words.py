"""The words of a verdict. Four fields that are never merged (rule, value, accumulation, graph), and one summary word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RuleWord(StrEnum):
    """What is known of a backward rule, for one shape class, in exact arithmetic."""

    PROVED = "PROVED"  # equal to the derivative of the definition, as an identity on the domain
    PROVED_AE = "PROVED_AE"  # the same, off the tie set that is named
    AGREED = "AGREED"  # not proved; agrees at exact points
    UNDECIDED = "UNDECIDED"  # neither proved nor refuted; the reason is given
    REFUTED = "REFUTED"  # wrong, with an exact point as witness
    NO_SPEC = "NO_SPEC"  # an op in the rule has no definition
    PENDING = "PENDING"  # queued to be proved


class ValueWord(StrEnum):
    """What is known of the numbers a rule gave in this run."""

    ENCLOSED = "ENCLOSED"  # within a stated number of ulps of the true derivative
    SCREENED = "SCREENED"  # compared without an enclosure that stands by itself: by projections, or an unproved rule
    CONDITIONED = "CONDITIONED"  # further off, no further than its inputs' rounding explains; half its digits hold
    ILL_CONDITIONED = "ILL_CONDITIONED"  # rounding explains the distance, and less than half of the digits are right
    OVERFLOWED = "OVERFLOWED"  # the true value, or a number on the way to it, is beyond the largest of the dtype
    TIE = "TIE"  # at a kink: in the hull of the one-sided derivatives, and what the op's convention says
    OFF = "OFF"  # wrong: element, float and enclosure are given
    NONFINITE = "NONFINITE"  # an input, cotangent or true derivative is not finite
    UNCHECKED = "UNCHECKED"  # not checked; the reason is given


class AccumulationWord(StrEnum):
    """Whether a gradient is the sum over all uses of its value in the submitted graph."""

    EXACT = "EXACT"
    ILL_CONDITIONED = "ILL_CONDITIONED"  # rounded as sums are, and less than half of the digits are right
    OFF = "OFF"
    UNCHECKED = "UNCHECKED"


class GraphWord(StrEnum):
    """What a check of the whole graph says that uses no rule."""

    CONSISTENT = "CONSISTENT"  # the gradient is the derivative of the forward pass, to within its stated rounding
    INCONSISTENT = "INCONSISTENT"  # it is not, and no rounding explains the difference
    ILL_CONDITIONED = "ILL_CONDITIONED"  # rounding explains the difference, which is a large part of the digits
    CUT = "CUT"  # consistent between the hooks; as a whole it is the gradient of what hooks made of the backward pass
    SKIPPED = "SKIPPED"  # not compared; the reason is given


class SummaryWord(StrEnum):
    """One word for a gradient.

    ``verified``: every rule it came through is proved, every number enclosed (or CONDITIONED, where its inputs' own
    rounding explains the distance), every sum right, and the graph does not contradict. ``plausible``:
    nothing contradicts, something is weaker than that. ``unchecked``: too little is known. ``wrong``: something
    contradicts.
    """

    VERIFIED = "verified"
    PLAUSIBLE = "plausible"
    UNCHECKED = "unchecked"
    WRONG = "wrong"


@dataclass(frozen=True)
class RuleVerdict:
    """The proof of one rule in one shape class. ``tie_set`` names where it does not hold (PROVED_AE); ``input``,
    ``element``, ``point``, ``got`` and ``expected`` are the witness of a refutation. ``obligations``: what had to be
    shown, each with how it was ("x[0, 1]: expand"). ``seconds``: time it took; ``budget``: seconds of CPU time after which
    it was stopped (0: it was not); ``digest``: the name of all that it depends on, as it was where it was proved.
    ``arrays``: rule and op may be read over whole arrays, as their forms for these are shown to be the definitions."""

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
    digest: str = ""
    arrays: bool = False

    @property
    def proved(self) -> bool:
        return self.word in (RuleWord.PROVED, RuleWord.PROVED_AE)


@dataclass(frozen=True)
class ValueVerdict:
    """The check of the numbers of one contribution, or of a forward value: ``checked`` of ``total`` elements enclosed, the
    worst at most ``max_ulps`` units in the last place off. ``sampled``: how many of them Arb read against the definition,
    where the others were enclosed in arrays (0: all, or none). ``screened``: how many were compared without an enclosure
    that stands by itself. ``through_rule``: the enclosures are of what the rule's program gives in exact arithmetic (of a
    forward value: of what the op's form for whole arrays gives), and so of the truth only if that is proved. ``expected``
    is the enclosure of the worst element if OFF, ``bits`` the working precision."""

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
    word: AccumulationWord
    uses: int = 0
    reason: str = ""


@dataclass(frozen=True)
class GraphVerdict:
    """The check of a whole gradient along random directions v: the derivative of the forward pass along v against
    <gradient, v>.

    ``ratio``: their difference, in units of u sum |gradient_i v_i| with u the rounding unit of each leaf's dtype.
    ``bits_lost``: log2 of it. ``directions``: how many. ``nodes`` of ``total`` were read through their definitions; the
    others were left to their own checks. ``seconds``: time for the whole graph.
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
    """One contribution to a gradient: through input ``position`` (called ``input``) of node ``node`` (an index of
    ``graph.nodes``), whose op is ``op``; for an inserted conversion ``op`` is ``broadcast_to`` or ``astype``. ``forward``:
    whether the node computed what its op's definition says."""

    node: int
    op: str
    input: str
    position: int
    rule: RuleVerdict
    value: ValueVerdict
    forward: ValueVerdict = ValueVerdict(ValueWord.UNCHECKED)


@dataclass(frozen=True)
class Origin:
    """The first node that made a number which is not finite out of finite ones: its index, its op (``rule``: it was the
    node's backward rule), the element, and what it made."""

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
    """What is known of the gradient of value ``name``. ``upstream_of`` names hooked values that it came through: it
    is then the gradient of a backward pass that these hooks modified. ``nonfinite``: where what is not finite in it was
    made."""

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
    """The verdict of an op: that of its worst case."""
    return min(verdicts, key=lambda verdict: WEAKEST_FIRST.index(verdict.word))
