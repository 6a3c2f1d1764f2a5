"""Spots: single elements of a node that is too large to enclose and too involved to screen.

One element of a reduction is as dear as a pass over the data; a few of them show a rule that is wrong everywhere.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.engine.functions import Balls, Undecided
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable
from gradproof.engine.verify.balls import balls_of, narrow
from gradproof.engine.verify.judge import judge
from gradproof.engine.verify.reading import NoDefinition, concrete
from gradproof.engine.verify.tape import Tape, TooLarge
from gradproof.engine.verify.truth import Application
from gradproof.engine.verify.ulps import exact
from gradproof.engine.verify.verdict import Value, ValueVerdict

SPOTS = 6
MAX_READ = 300_000
MAX_OUTPUTS = 16
MAX_OPERATIONS = 2_000_000
BITS = 128


class _Late(Exception):
    """The time is over."""


def spot_forward(one: Application, deadline: float) -> ValueVerdict:
    """The verdict on a few elements of what a node computed, read at its exact inputs until ``deadline``."""
    total = sum(y.size for y in one.results)
    unseen = ValueVerdict(Value.UNCHECKED, total=total, reason=f"{one.size} elements are too many to enclose")
    if not _readable(one):
        return unseen
    checked, worst = 0, None
    try:
        with precision(BITS):
            f = Balls()
            cells = [balls_of(x) if is_differentiable(x.dtype) else concrete(x) for x in one.inputs]
            for result, define in zip(one.results, one.op.definitions, strict=False):
                for index in _places(result):
                    _tick(deadline)
                    truth = f.as_number(_element(one.op, define, f, index, cells, one.attributes))
                    found = _judged(result, index, truth)
                    if found is not None:
                        checked += 1
                        worst = found if worst is None or found.word is Value.OFF else worst
    except (_Late, *_NOT_HERE):
        pass
    except Exception as error:  # a definition is a stranger's code
        return replace(unseen, reason=f"the definition raised {type(error).__name__}: {error}")
    return replace(worst, checked=checked, total=total) if worst is not None else unseen


def spot_contribution(one: Application, k: int, claimed: Array, deadline: float) -> ValueVerdict:
    """The verdict on a few elements of a contribution of a node with few outputs."""
    reason = f"{one.size} elements are too many to enclose, and {one.op.name} is not linear in this input"
    unseen = ValueVerdict(Value.UNCHECKED, total=claimed.size, reason=reason)
    if not _readable(one) or sum(y.size for y in one.results) > MAX_OUTPUTS:
        return unseen
    try:
        with precision(BITS):
            tape = Tape(MAX_OPERATIONS)
            cells = [balls_of(x) if is_differentiable(x.dtype) else concrete(x) for x in one.inputs]
            places = _places(claimed)
            for place in places:
                cells[k][place] = tape.variable(cells[k][place])
            variables = [cells[k][place] for place in places]
            outputs, seeds = [], []
            for g, result, define in zip(one.cotangents, one.results, one.op.definitions, strict=False):
                for index in np.ndindex(result.shape):
                    _tick(deadline)
                    outputs.append(_element(one.op, define, tape, index, cells, one.attributes))
                    seeds.append(exact(g[index]))
            truths = tape.gradient(outputs, seeds, variables)
            if tape.tied:
                return unseen
            found = [_judged(claimed, place, truth) for place, truth in zip(places, truths, strict=True)]
    except (_Late, *_NOT_HERE):
        return unseen
    except Exception as error:  # a definition is a stranger's code
        return replace(unseen, reason=f"the definition raised {type(error).__name__}: {error}")
    seen = [verdict for verdict in found if verdict is not None]
    if not seen:
        return unseen
    worst = next((verdict for verdict in seen if verdict.word is Value.OFF), seen[0])
    return replace(worst, checked=len(seen), total=claimed.size)


_NOT_HERE = (Undecided, TooLarge, NoDefinition, ArithmeticError, ValueError, AttributeError, TypeError, NotImplementedError)


def _readable(one: Application) -> bool:
    specs: list[Spec] = [*one.specs, *one.outputs]
    return bool(one.op.definitions) and not any(map(is_complex, specs)) and sum(x.size for x in one.inputs) <= MAX_READ


def _places(array: Array) -> list[tuple[int, ...]]:
    """The extremes and a sample drawn by a fixed generator."""
    if not array.size:
        return []
    sizes = np.abs(np.nan_to_num(np.asarray(array, np.float64))).reshape(-1)
    drawn = np.random.default_rng(array.size).integers(0, array.size, SPOTS)
    flat = dict.fromkeys([int(np.argmax(sizes)), int(np.argmin(sizes)), *drawn.tolist()])
    return [tuple(int(i) for i in np.unravel_index(place, array.shape)) for place in list(flat)[:SPOTS]]


def _element(op: Op, define: Any, f: Any, index: tuple[int, ...], cells: list[Any], attributes: Any) -> Any:
    return define(f, *(x[index] for x in cells), **attributes) if op.elementwise else define(f, index, *cells, **attributes)


def _judged(array: Array, index: tuple[int, ...], truth: Any) -> ValueVerdict | None:
    """ENCLOSED, or OFF by far more than rounding could be; None if the truth is not known well enough."""
    element = np.asarray(array[index])
    if element.dtype.kind in "biu":
        off = truth != int(element)
    elif not narrow(truth):
        return None
    else:
        found = judge(element, [[truth]], None)
        scale = float(np.max(np.abs(np.asarray(array, np.float64)), initial=0))
        apart = float(abs(exact(float(element)) - truth).mid()) if np.isfinite(element) else np.inf
        off = found.word is Value.OFF and not apart <= 2.0**-8 * min(scale, abs(float(truth.mid())) or scale)
        if found.word is Value.OFF and not off:
            return None
    if not off:
        return ValueVerdict(Value.ENCLOSED)
    place = str(list(index)) if index else ""
    reason = "found at one of a few elements that were enclosed"
    return ValueVerdict(Value.OFF, element=place, got=repr(element.item()), expected=str(truth), reason=reason)


def _tick(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _Late
