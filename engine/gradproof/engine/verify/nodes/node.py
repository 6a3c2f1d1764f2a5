"""The check of one large node: every element enclosed in arrays, what is in doubt and a sample of elements read by Arb."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.engine.errors import text_of
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.spec import Array
from gradproof.engine.trace import Program
from gradproof.engine.verify.arrays.programs import NoArrays
from gradproof.engine.verify.floats.compare import worse
from gradproof.engine.verify.floats.ulps import finite
from gradproof.engine.verify.nodes.elementwise import check_elements, sampled
from gradproof.engine.verify.nodes.projecting import projected
from gradproof.engine.verify.nodes.samples import SAMPLE, sample_results
from gradproof.engine.verify.nodes.spots import MAX_OUTPUTS, places, spot_contribution, spot_forward
from gradproof.engine.verify.nodes.weighing import check_blind
from gradproof.engine.verify.nodes.wholenodes import Whole, judge_contributions, judge_forward
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.numbers.value import MAX_ELEMENTS, Checked, check_values, unjudged
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, MEMORY, SMALLER, TIME

SHARE = 0.25  # of the time that is left: more is not for the elements of one node that Arb reads
ELEMENT_SECONDS = 1.5
SPOTS_READ, MAX_SPOTS_READ = 8_000, 60_000  # numbers that are looked at for single elements, by the size of the node
MAX_TAPED = 1_000  # numbers behind few results, whose contributions are read one by one too
MAX_SOLVED = 20_000  # of an op that is defined by an equation: all of its elements are enclosed together


def check_node(one: Application, rule: Program | None, linear: Sequence[bool], seconds: float) -> Checked:
    """The verdicts on a node that is too large to be read by Arb element by element.

    Args:
        rule: the program of its backward rule, where one is known.
        linear: for each input, whether the op is linear in it, if the rule is right.
        seconds: time that is left for all.
    """
    if one.op.equation is not None and not one.op.elementwise and one.size <= MAX_SOLVED:
        return check_values(one)
    try:
        if one.op.elementwise:
            if one.op.equation is not None:
                raise NoArrays(f"op {one.op.name!r} is defined by an equation")
            return check_elements(one, min(SHARE * seconds, ELEMENT_SECONDS))
        return _check_whole(Whole(one, rule, time.monotonic() + SHARE * seconds), linear, seconds)
    except MemoryError:
        return _unread(one, f"the memory for checks was over; {MEMORY}")
    except (NoArrays, NotImplementedError, AttributeError, TypeError) as error:
        return _otherwise(one, linear, seconds, f"not read in arrays ({text_of(error)})")
    except BaseException as error:  # a definition is a stranger's code, and a check may not cost anyone a gradient
        reraise_own(error)
        return _otherwise(one, linear, seconds, f"the definition raised {describe(error)} over arrays; {AUTHOR}")


def _unread(one: Application, reason: str) -> Checked:
    total = sum(y.size for y in one.results)
    return Checked(
        ValueVerdict(ValueWord.UNCHECKED, total=total, reason=reason), unjudged(one, ValueWord.UNCHECKED, reason)
    )


def _otherwise(one: Application, linear: Sequence[bool], seconds: float, why: str) -> Checked:
    """The verdicts where there is no reading over arrays: by Arb if the node is of a moderate size, else by a sample."""
    if one.size <= MAX_ELEMENTS:
        return check_values(one)
    if not one.op.elementwise:
        return projected(one, linear, seconds)
    found = check_values(one.part(picked := sampled(one)))
    total = one.results[0].size
    text = f"a sample; the definition is {why}; {SMALLER}"

    def told(verdict: ValueVerdict) -> ValueVerdict:
        element = verdict.element
        if element:
            flat = int(picked[int(element.strip("[]"))])
            element = str([int(k) for k in np.unravel_index(flat, one.results[0].shape)])
        reason = f"{verdict.reason}; {text}" if verdict.reason else text
        return replace(verdict, element=element, total=total, sampled=len(picked), reason=reason)

    return Checked(told(found.forward), tuple(v and told(v) for v in found.contributions))


# ops that are not elementwise


def _check_whole(whole: Whole, linear: Sequence[bool], seconds: float) -> Checked:
    one = whole.one
    with np.errstate(all="ignore"):
        forward, open_ = judge_forward(whole)
        read, apart = sample_results(one, whole.enclosed)
        if apart is not None:
            return _by_arb(one, linear, seconds, apart.reason(one.op.name))
        contributions = judge_contributions(whole)
    verdicts = [v for v in (forward, *contributions) if v is not None]
    if one.size <= MAX_ELEMENTS and any(_unsure(v) for v in verdicts):
        return _surer(check_values(one), Checked(forward, tuple(contributions)))
    forward = _with_spots(one, replace(forward, sampled=read), open_, seconds / 10)
    for k, verdict in enumerate(contributions):
        if verdict is not None:
            contributions[k] = _with_spots_of(one, k, verdict, linear, seconds)
    return Checked(forward, tuple(contributions))


def _by_arb(one: Application, linear: Sequence[bool], seconds: float, why: str) -> Checked:
    """The verdicts where arrays are not to be relied on: by Arb, or of a sample."""
    if one.size <= MAX_ELEMENTS:
        return check_values(one)
    found = projected(one, linear, seconds)

    def told(verdict: ValueVerdict) -> ValueVerdict:
        return verdict if verdict.word is ValueWord.OFF else replace(verdict, word=ValueWord.UNCHECKED, reason=why)

    return Checked(told(found.forward), tuple(v and told(v) for v in found.contributions))


def _unsure(found: ValueVerdict) -> bool:
    """Whether Arb may know better, or is to confirm it."""
    return (
        found.word in (ValueWord.OFF, ValueWord.UNCHECKED, ValueWord.NONFINITE, ValueWord.OVERFLOWED)
        or found.checked < found.total
    )


def _surer(by_arb: Checked, by_arrays: Checked) -> Checked:
    """The verdicts of Arb, where it has any."""

    def better(a: ValueVerdict | None, b: ValueVerdict | None) -> ValueVerdict | None:
        return b if a is not None and a.word is ValueWord.UNCHECKED and b is not None and b.checked else a

    forward = better(by_arb.forward, by_arrays.forward)
    assert forward is not None
    pairs = zip(by_arb.contributions, by_arrays.contributions, strict=True)
    return Checked(forward, tuple(better(a, b) for a, b in pairs))


def _with_spots(one: Application, found: ValueVerdict, open_: Sequence[Array], seconds: float) -> ValueVerdict:
    """The verdict on the results, after Arb has read elements that are not enclosed."""
    missing = sum(map(len, open_))
    if not missing:
        return found
    wanted = [
        (j, index) for j, result in enumerate(one.results) if len(open_[j]) for index in places(result, SAMPLE, open_[j])
    ]
    most = max(SPOTS_READ, min(one.size // 32, MAX_SPOTS_READ))
    spots = spot_forward(one, time.monotonic() + seconds, wanted, most)
    if not spots.checked:
        return _left_over(found, seconds)
    seen = min(missing, spots.checked)
    whole = replace(
        worse(found, spots),
        checked=found.checked + seen,
        total=found.total,
        sampled=found.sampled + spots.checked,
        through_rule=True,
    )
    return _left_over(whole, seconds * missing / max(1, seen))


def _with_spots_of(one: Application, k: int, found: ValueVerdict, linear: Sequence[bool], left: float) -> ValueVerdict:
    """The same of a contribution; of one that is not read in arrays what can be said otherwise."""
    claimed = one.contributions[k]
    assert claimed is not None
    if found.word is ValueWord.UNCHECKED and not found.checked:
        other = _blind(one, k, left) or projected(one, linear, left).contributions[k]
        return found if other is None else other
    if sum(y.size for y in one.results) > MAX_OUTPUTS or one.size > MAX_TAPED:
        return _left_over(found, left)
    spots = spot_contribution(one, k, claimed, time.monotonic() + left / 10)
    if not spots.checked:
        return _left_over(found, left)
    seen = replace(worse(found, spots), checked=found.checked, total=found.total, sampled=spots.checked)
    return _left_over(replace(seen, through_rule=found.through_rule), left)


def _blind(one: Application, k: int, left: float) -> ValueVerdict | None:
    """The verdict on a contribution without a program of its rule, by the form for whole arrays; None where that says
    nothing."""
    if not all(finite(x) for x in (*one.cotangents, *(x for x in one.inputs if x.dtype.kind not in "biu"))):
        return None
    try:
        return check_blind(one, k, min(SHARE * left, ELEMENT_SECONDS))
    except BaseException as error:  # a form is a stranger's code
        reraise_own(error)
        return None


def _left_over(found: ValueVerdict, seconds: float) -> ValueVerdict:
    if found.checked >= found.total or found.word in (ValueWord.UNCHECKED, ValueWord.OFF):
        return found
    text = f"{found.checked} of {found.total} elements enclosed: the balls of the others are too wide"
    text += f"; for more {TIME}" if seconds else ""
    return replace(found, reason=f"{found.reason}; {text}" if found.reason else text)
