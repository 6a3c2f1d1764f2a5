"""Counterexample: a small trial at which an op is wrong, as lines of Python to paste."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gradproof.engine.inference import InferenceError
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array
from gradproof.engine.verify.numbers import Application, check_values
from gradproof.engine.verify.readings import NoDefinition, TooLarge
from gradproof.engine.verify.verdict import ValueWord
from gradproof.testing.diagnosis import likely_cause, true_arrays
from gradproof.testing.fault import Broken
from gradproof.testing.trial import Trial, run

SIMPLE = (1.0, 2.0, -1.0, 0.5, -2.0, 3.0)
"""Numbers that are tried in the place of each number of a counterexample, the simplest first."""


CANCELS = "digits cancel on the way, as in 1 - y² where y is near 1: another formula keeps them"


class Wrong(NamedTuple):
    """Numbers of a trial that are off: those of the results (``position`` None), or of the cotangent of an input."""

    ran: Application
    position: int | None
    element: str
    got: str
    expected: str
    reason: str


def wrong_numbers(registry: Registry, trial: Trial) -> Wrong | None:
    """The numbers of a trial that are off, or None. Raises InferenceError or Broken, as `run`."""
    ran = run(registry, trial)
    if ran.op.composite and not ran.op.definitions:
        return None
    checked = check_values(ran)
    for position, verdict in enumerate((checked.forward, *checked.contributions)):
        if verdict is not None and verdict.word is ValueWord.OFF:
            return Wrong(
                ran, position - 1 if position else None, verdict.element, verdict.got, verdict.expected, verdict.reason
            )
    return None


def demand_right(registry: Registry, trial: Trial, where: str = "") -> None:
    """Raises Broken, with a counterexample as small as was found, if numbers of a trial are off."""
    wrong = wrong_numbers(registry, trial)
    if wrong is None:
        return
    hint = _hint(wrong)
    small = smallest(trial, lambda candidate: _is_wrong(registry, candidate, wrong.position))
    shown = wrong_numbers(registry, small) or wrong
    op = shown.ran.op
    if shown.position is None:
        reason = "the forward does not compute the definition"
    else:
        which = "rule" if op.backward is None else "backward"
        reason = f"the {which} gives a wrong cotangent for {op.input_name(shown.position)}"
    raise Broken(reason + (f" {where}" if where else ""), hint or _lost_digits(shown), pasted(registry, small, shown))


def _is_wrong(registry: Registry, trial: Trial, position: int | None) -> bool:
    try:
        wrong = wrong_numbers(registry, trial)
    except (Broken, InferenceError, ArithmeticError, ValueError):
        return False
    return wrong is not None and wrong.position == position


def _lost_digits(wrong: Wrong) -> str:
    """The hint for numbers that are near to the truth, beside the numbers on the way: how many digits are right."""
    try:
        got, true = float(wrong.got), float(wrong.expected)
    except ValueError:
        return ""
    distance = abs(got - true)
    if not distance <= 1e-2 * max(1.0, abs(true)):
        return ""
    digits = int(max(0.0, -math.log10(distance / abs(true)))) if distance and true else 0
    return f"about {digits} digits are right: {CANCELS}"


def _hint(wrong: Wrong) -> str:
    if "kink" in wrong.reason or "hull" in wrong.reason:
        return wrong.reason
    if wrong.position is None:
        return ""
    try:
        return likely_cause(wrong.ran, true_arrays(wrong.ran), wrong.position)
    except (Undecided, TooLarge, NoDefinition, ArithmeticError, ValueError):
        return ""


def smallest(trial: Trial, fails: Callable[[Trial], bool]) -> Trial:
    """A trial that fails as ``trial`` does: of a single element where that fails too, and with simple numbers."""
    for candidate in _single(trial):
        if fails(candidate):
            trial = candidate
            break
    for candidate in _simpler(trial):
        if fails(candidate):
            trial = candidate
    return trial


def _single(trial: Trial) -> Iterator[Trial]:
    """The trials of single elements, where all inputs and results have one shape, as those of elementwise ops have."""
    shapes = {x.shape for x in (*trial.arrays, *trial.seeds)}
    if len(shapes) == 1 and shapes != {()}:
        for index in np.ndindex(next(iter(shapes))):
            arrays, seeds = (tuple(np.asarray(x[index]) for x in group) for group in (trial.arrays, trial.seeds))
            yield replace(trial, arrays=arrays, seeds=seeds)


def _simpler(trial: Trial) -> Iterator[Trial]:
    """Trials with cotangents of 1, and with inputs rounded, at first all of them; `smallest` goes on from the last that
    fails only in the sense that each differs from ``trial``, so the simplest comes last."""
    seeds = tuple(np.ones_like(g) for g in trial.seeds)
    whole = tuple(np.round(x) if x.dtype.kind == "f" else x for x in trial.arrays)
    yield replace(trial, seeds=seeds)
    yield replace(trial, arrays=whole)
    yield replace(trial, arrays=whole, seeds=seeds)
    if all(x.size == 1 for x in trial.arrays):
        for value in reversed(SIMPLE):
            arrays = tuple(np.full_like(x, value) if x.dtype.kind in "fc" else x for x in trial.arrays)
            yield replace(trial, arrays=arrays, seeds=seeds)


def pasted(registry: Registry, trial: Trial, wrong: Wrong) -> str:
    """The trial as a call of `run_rule`, with what it gives and what is true."""
    op, source = wrong.ran.op, registry.plugin_of(trial.op).source
    name = repr(op.name) if source else "op"
    arguments = [name, *map(literal, trial.arrays)]
    seeds = [literal(g) for g in trial.seeds]
    arguments.append(f"g={seeds[0]}" if len(seeds) == 1 else f"g=({', '.join(seeds)})")
    arguments += [f"{k}={v!r}" for k, v in trial.attributes.items()]
    if source and not registry.plugin_of(trial.op).builtin:
        arguments.append(f"plugin={source!r}")
    what = "the result" if wrong.position is None else f"the cotangent of {op.input_name(wrong.position)}"
    place = f"{what}{f' at {wrong.element}' if wrong.element not in ('', '[]') else ''}"
    return "\n".join(
        [
            "import numpy as np",
            "from gradproof.testing import run_rule",
            f"run_rule({', '.join(arguments)})",
            f"# {place} is {wrong.got}, and should be {_rounded(wrong.expected)}",
        ]
    )


def _rounded(text: str) -> str:
    """A number as Python writes the nearest float; other texts as they are."""
    try:
        return repr(float(text))
    except ValueError:
        return text


def literal(x: Array) -> str:
    """An array as Python text, with its dtype."""
    text = repr(x.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    if x.dtype in (np.dtype(np.float64), np.dtype(np.complex128)) or x.dtype.kind == "b":
        return f"np.array({text})"
    return f"np.array({text}, {x.dtype.name!r})"
