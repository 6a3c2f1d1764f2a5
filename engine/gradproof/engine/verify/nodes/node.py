"""The check of a large node: every element enclosed in arrays, doubtful elements and a sample read by Arb."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.engine.errors import text_of
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.spec import Array
from gradproof.engine.trace import Program
from gradproof.engine.verify.arrays import NoArrays
from gradproof.engine.verify.floats.compare import worse
from gradproof.engine.verify.floats.ulps import finite
from gradproof.engine.verify.nodes.elementwise import check_elements, sampled
from gradproof.engine.verify.nodes.float_projections import check_by_projections
from gradproof.engine.verify.nodes.samples import SAMPLE, sample_results
from gradproof.engine.verify.nodes.spots import MAX_OUTPUTS, places, spot_contribution, spot_forward
from gradproof.engine.verify.nodes.weighted_projections import check_without_rule
from gradproof.engine.verify.nodes.whole_reading import WholeReading, compare_contributions, compare_results
from gradproof.engine.verify.numbers import MAX_ELEMENTS, Application, Checked, check_values, unjudged
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, MEMORY, SMALLER, TIME
from gradproof.engine.verify.verdict.wording import element_text, flat_place, joined

SHARE = 0.25  # of the remaining time, for the elements of a node that Arb reads
ELEMENT_SECONDS = 1.5
SPOTS_READ, MAX_SPOTS_READ = 8_000, 60_000  # numbers read for single elements, by the size of the node
MAX_TAPED = 1_000  # inputs of few results up to which contributions are read singly too
MAX_SOLVED = 20_000  # size up to which an op defined by an equation is enclosed as a whole


def check_node(application: Application, rule: Program | None, linear: Sequence[bool], seconds: float) -> Checked:
    """Verdicts on a node that is too large to be read by Arb element by element.

    Args:
        rule: the program of its backward rule, where it is known.
        linear: for each input, True if the op is linear in it, provided that the rule is right.
        seconds: remaining time.
    """
    if application.op.equation is not None and not application.op.elementwise and application.size <= MAX_SOLVED:
        return check_values(application)
    try:
        if application.op.elementwise:
            if application.op.equation is not None:
                raise NoArrays(f"op {application.op.name!r} is defined by an equation")
            return check_elements(application, min(SHARE * seconds, ELEMENT_SECONDS))
        return _check_whole(WholeReading(application, rule, time.monotonic() + SHARE * seconds), linear, seconds)
    except MemoryError:
        return _unchecked(application, f"the memory for checks was over; {MEMORY}")
    except (NoArrays, NotImplementedError, AttributeError, TypeError) as error:
        return _without_arrays(application, linear, seconds, f"not read in arrays ({text_of(error)})")
    except BaseException as error:  # a definition is third-party code, and a check must not cost a gradient
        reraise_own(error)
        return _without_arrays(
            application, linear, seconds, f"the definition raised {describe(error)} over arrays; {AUTHOR}"
        )


def _unchecked(application: Application, reason: str) -> Checked:
    total = sum(y.size for y in application.results)
    return Checked(
        ValueVerdict(ValueWord.UNCHECKED, total=total, reason=reason), unjudged(application, ValueWord.UNCHECKED, reason)
    )


def _without_arrays(application: Application, linear: Sequence[bool], seconds: float, why: str) -> Checked:
    """Verdicts without a reading over arrays: by Arb for a node of moderate size, else on a sample."""
    if application.size <= MAX_ELEMENTS:
        return check_values(application)
    if not application.op.elementwise:
        return check_by_projections(application, linear, seconds)
    checked = check_values(application.part(picked := sampled(application)))
    total = application.results[0].size
    text = f"a sample; the definition is {why}; {SMALLER}"

    def completed(verdict: ValueVerdict) -> ValueVerdict:
        element = verdict.element
        if element:
            element = element_text(int(picked[flat_place(element)]), application.results[0].shape)
        reason = joined(verdict.reason, text)
        return replace(verdict, element=element, total=total, sampled=len(picked), reason=reason)

    return Checked(completed(checked.forward), tuple(v and completed(v) for v in checked.contributions))


# ops that are not elementwise


def _check_whole(whole: WholeReading, linear: Sequence[bool], seconds: float) -> Checked:
    application = whole.application
    with np.errstate(all="ignore"):
        forward, unknown = compare_results(whole)
        read, contradiction = sample_results(application, whole.enclosed)
        if contradiction is not None:
            return _by_arb(application, linear, seconds, contradiction.reason(application.op.name))
        contributions = compare_contributions(whole)
    verdicts = [v for v in (forward, *contributions) if v is not None]
    if application.size <= MAX_ELEMENTS and any(_needs_arb(v) for v in verdicts):
        return _prefer_arb(check_values(application), Checked(forward, tuple(contributions)))
    forward = _with_spots(application, replace(forward, sampled=read), unknown, seconds / 10)
    for k, verdict in enumerate(contributions):
        if verdict is not None:
            contributions[k] = _contribution_with_spots(application, k, verdict, linear, seconds)
    return Checked(forward, tuple(contributions))


def _by_arb(application: Application, linear: Sequence[bool], seconds: float, why: str) -> Checked:
    """Verdicts where arrays are not reliable: by Arb, or on a sample."""
    if application.size <= MAX_ELEMENTS:
        return check_values(application)
    checked = check_by_projections(application, linear, seconds)

    def doubted(verdict: ValueVerdict) -> ValueVerdict:
        return verdict if verdict.word is ValueWord.OFF else replace(verdict, word=ValueWord.UNCHECKED, reason=why)

    return Checked(doubted(checked.forward), tuple(v and doubted(v) for v in checked.contributions))


def _needs_arb(verdict: ValueVerdict) -> bool:
    """True if Arb may know more, or has to confirm the verdict."""
    return (
        verdict.word in (ValueWord.OFF, ValueWord.UNCHECKED, ValueWord.NONFINITE, ValueWord.OVERFLOWED)
        or verdict.checked < verdict.total
    )


def _prefer_arb(by_arb: Checked, by_arrays: Checked) -> Checked:
    """The verdicts of Arb, or of arrays where Arb has none."""

    def better(a: ValueVerdict | None, b: ValueVerdict | None) -> ValueVerdict | None:
        return b if a is not None and a.word is ValueWord.UNCHECKED and b is not None and b.checked else a

    forward = better(by_arb.forward, by_arrays.forward)
    assert forward is not None
    pairs = zip(by_arb.contributions, by_arrays.contributions, strict=True)
    return Checked(forward, tuple(better(a, b) for a, b in pairs))


def _with_spots(application: Application, verdict: ValueVerdict, unknown: Sequence[Array], seconds: float) -> ValueVerdict:
    """The verdict on the results, after Arb has read elements that are not enclosed."""
    missing = sum(map(len, unknown))
    if not missing:
        return verdict
    chosen = [
        (j, index)
        for j, result in enumerate(application.results)
        if len(unknown[j])
        for index in places(result, SAMPLE, unknown[j])
    ]
    most = max(SPOTS_READ, min(application.size // 32, MAX_SPOTS_READ))
    spots = spot_forward(application, time.monotonic() + seconds, chosen, most)
    if not spots.checked:
        return _with_count(verdict, seconds)
    added = min(missing, spots.checked)
    combined = replace(
        worse(verdict, spots),
        checked=verdict.checked + added,
        total=verdict.total,
        sampled=verdict.sampled + spots.checked,
        through_rule=True,
    )
    return _with_count(combined, seconds * missing / max(1, added))


def _contribution_with_spots(
    application: Application, k: int, verdict: ValueVerdict, linear: Sequence[bool], left: float
) -> ValueVerdict:
    """The verdict on a contribution, after Arb has read elements; by projections if it is not read over arrays."""
    claimed = application.contributions[k]
    assert claimed is not None
    if verdict.word is ValueWord.UNCHECKED and not verdict.checked:
        fallback = _without_rule(application, k, left) or check_by_projections(application, linear, left).contributions[k]
        return verdict if fallback is None else fallback
    if sum(y.size for y in application.results) > MAX_OUTPUTS or application.size > MAX_TAPED:
        return _with_count(verdict, left)
    spots = spot_contribution(application, k, claimed, time.monotonic() + left / 10)
    if not spots.checked:
        return _with_count(verdict, left)
    combined = replace(worse(verdict, spots), checked=verdict.checked, total=verdict.total, sampled=spots.checked)
    return _with_count(replace(combined, through_rule=verdict.through_rule), left)


def _without_rule(application: Application, k: int, left: float) -> ValueVerdict | None:
    """The verdict on a contribution without a program of its rule, by the form for whole arrays; None if that does not
    apply."""
    if not all(finite(x) for x in (*application.cotangents, *(x for x in application.inputs if x.dtype.kind not in "biu"))):
        return None
    try:
        return check_without_rule(application, k, min(SHARE * left, ELEMENT_SECONDS))
    except BaseException as error:  # a form is third-party code
        reraise_own(error)
        return None


def _with_count(verdict: ValueVerdict, seconds: float) -> ValueVerdict:
    """The verdict with the number of elements that are enclosed, if these are not all."""
    if verdict.checked >= verdict.total or verdict.word in (ValueWord.UNCHECKED, ValueWord.OFF):
        return verdict
    text = f"{verdict.checked} of {verdict.total} elements enclosed: the balls of the others are too wide"
    text += f"; for more {TIME}" if seconds else ""
    return replace(verdict, reason=joined(verdict.reason, text))
