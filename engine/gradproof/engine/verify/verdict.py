"""The words of a verdict. Three fields that are never merged (rule, value, accumulation), and one summary word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """What is known of a backward rule, for one shape class, in exact arithmetic."""

    PROVED = "PROVED"  # equal to the derivative of the definition, as an identity on the domain
    PROVED_AE = "PROVED_AE"  # the same, off the tie set that is named
    AGREED = "AGREED"  # not proved; agrees at exact points
    UNDECIDED = "UNDECIDED"  # neither proved nor refuted; the reason is given
    REFUTED = "REFUTED"  # wrong, with an exact point as witness
    NO_SPEC = "NO_SPEC"  # an op in the rule has no definition
    PENDING = "PENDING"  # queued to be proved


class Value(StrEnum):
    """What is known of the numbers a rule gave in this run."""

    ENCLOSED = "ENCLOSED"  # within a stated number of ulps of the true derivative
    CONDITIONED = "CONDITIONED"  # further off, but no further than the rounding of its own inputs explains
    TIE = "TIE"  # at a kink, and in the hull of the one-sided derivatives
    OFF = "OFF"  # wrong: element, float and enclosure are given
    NONFINITE = "NONFINITE"  # an input, cotangent or true derivative is not finite
    UNCHECKED = "UNCHECKED"  # not checked; the reason is given


class Accumulation(StrEnum):
    """Whether a gradient is the sum over all uses of its value in the submitted graph."""

    EXACT = "EXACT"
    OFF = "OFF"
    UNCHECKED = "UNCHECKED"


class Summary(StrEnum):
    """One word for a gradient.

    ``verified``: every rule it came through is proved, every number enclosed (ENCLOSED, or CONDITIONED where its inputs'
    own rounding explains the distance), every sum right. ``plausible``: nothing contradicts, something is weaker than
    that. ``unchecked``: too little is known. ``wrong``: something contradicts.
    """

    VERIFIED = "verified"
    PLAUSIBLE = "plausible"
    UNCHECKED = "unchecked"
    WRONG = "wrong"


@dataclass(frozen=True)
class RuleVerdict:
    """The proof of one rule in one shape class. ``tie_set`` names where it does not hold (PROVED_AE); ``input``,
    ``element``, ``point``, ``got`` and ``expected`` are the witness of a refutation. ``seconds``: time it took."""

    word: Rule
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
    seconds: float = 0.0
    cached: bool = False

    @property
    def proved(self) -> bool:
        return self.word in (Rule.PROVED, Rule.PROVED_AE)


@dataclass(frozen=True)
class ValueVerdict:
    """The check of one contribution: ``checked`` of ``total`` elements, the worst in units in the last place."""

    word: Value
    max_ulps: float = 0.0
    checked: int = 0
    total: int = 0
    element: str = ""
    got: str = ""
    expected: str = ""
    reason: str = ""
    bits: int = 0


@dataclass(frozen=True)
class AccumulationVerdict:
    word: Accumulation
    uses: int = 0
    reason: str = ""


@dataclass(frozen=True)
class UseVerdict:
    """One contribution to a gradient: through input ``position`` (called ``input``) of node ``node`` (an index of
    ``graph.nodes``), whose op is ``op``; for an inserted conversion ``op`` is ``broadcast_to`` or ``astype``."""

    node: int
    op: str
    input: str
    position: int
    rule: RuleVerdict
    value: ValueVerdict


@dataclass(frozen=True)
class GradientVerdict:
    """What is known of the gradient of value ``name``. ``upstream_of`` names hooked values that it came through: it
    is then the gradient of a backward pass that these hooks modified. ``cut``: so it is, or a hook changed it itself."""

    name: str
    summary: Summary
    reason: str
    uses: tuple[UseVerdict, ...] = ()
    accumulation: AccumulationVerdict = AccumulationVerdict(Accumulation.UNCHECKED)
    hooked_by: tuple[str, ...] = ()
    cut: bool = False


WEAKEST_FIRST = (Rule.REFUTED, Rule.NO_SPEC, Rule.PENDING, Rule.UNDECIDED, Rule.AGREED, Rule.PROVED_AE, Rule.PROVED)


def weakest(verdicts: list[RuleVerdict]) -> RuleVerdict:
    """The verdict of an op: that of its worst case."""
    return min(verdicts, key=lambda verdict: WEAKEST_FIRST.index(verdict.word))
