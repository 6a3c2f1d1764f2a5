"""The screen: every element of a large array compared in floating point, then the worst and a sample enclosed in balls.

For an elementwise op the definition and its derivatives (SymPy's, of the definition; no rule is used) are compiled to NumPy
and evaluated on all elements. A float64 screen shares cancellation with the rule, so that it never speaks alone: whatever
it doubts is enclosed, and so are the extremes and a random sample.

An op that is linear in an input (its rule for that input uses neither the input nor the result) is screened by random
projections instead, as Freivalds checks a product: <contribution, v> = <g, f(v)> for random v, f the op's forward.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
import sympy

from gradproof.engine.functions import SYMBOLIC
from gradproof.engine.op import Attributes, Op
from gradproof.engine.spec import Array, is_complex, parts
from gradproof.engine.strangers import foreign
from gradproof.engine.verify.advice import LOOK, MADE, SMALLER
from gradproof.engine.verify.spots import spot_contribution, spot_forward
from gradproof.engine.verify.truth import Application
from gradproof.engine.verify.ulps import close_enough, finite, unit
from gradproof.engine.verify.value import Checked, check_values, unjudged
from gradproof.engine.verify.verdict import Value, ValueVerdict

BLOCK = 1 << 15
SAMPLE = 64
WORST = 16
MAX_DOUBTED = 512
MAX_SCREENED = 10_000_000
MAX_SOLVED = 20_000  # of an op that is defined by an equation: all of its elements are enclosed together
PROJECTIONS = 2
SPOT_SECONDS = 1.0

Kernel = Callable[..., Sequence[Any]]


def screen(one: Application, linear: Sequence[bool], *, symbolic: bool = True, seconds: float = 2.0) -> Checked:
    """The verdicts on a node that is too large to enclose element by element. ``linear``: for each input, whether the op is
    linear in it; ``symbolic``: whether SymPy may read the definition in this process; ``seconds``: for elements that are
    enclosed one by one, about."""
    if one.op.equation is not None and not one.op.elementwise and one.size <= MAX_SOLVED:
        return check_values(one)
    if one.size > MAX_SCREENED:
        reason = f"{one.size} elements; {MAX_SCREENED} are screened at most; {SMALLER}"
        return Checked(ValueVerdict(Value.UNCHECKED, total=one.size, reason=reason), unjudged(one, Value.UNCHECKED, reason))
    if one.op.elementwise:
        return _elementwise(one, symbolic)
    return _projected(one, linear, seconds)


# elementwise ops


def _elementwise(one: Application, symbolic: bool) -> Checked:
    arrays = [*one.results, *(c for c in one.contributions if c is not None)]
    total = one.results[0].size
    turned = any(is_complex(spec) for spec in (*one.specs, *one.outputs))
    masks = [x.dtype.kind == "b" for x in one.inputs]
    kernel = kernel_of(one.op, one.attributes, masks) if symbolic and not turned else None
    if kernel is None:
        doubted, worst, compared = [np.arange(0)] * len(arrays), [0.0] * len(arrays), 0
    else:
        doubted, worst = _doubt(one, arrays, kernel)
        compared = total
    picked = _pick(one, doubted)
    found = check_values(one.part(picked))
    parts = iter([found.forward, *(v for v in found.contributions if v is not None)])
    verdicts = [
        _screened(next(parts), picked, len(set(doubt.tolist()) - set(picked.tolist())), ulps, compared, total, array.shape)
        for doubt, ulps, array in zip(doubted, worst, arrays, strict=True)
    ]
    rest = iter(verdicts[1:])
    return Checked(verdicts[0], tuple(None if c is None else next(rest) for c in one.contributions))


def _screened(
    part: ValueVerdict, picked: Array, open_: int, ulps: float, compared: int, total: int, shape: tuple[int, ...]
) -> ValueVerdict:
    """The verdict on the whole, from that on the picked elements and what the screen found."""
    element = part.element
    if element:
        element = str([int(k) for k in np.unravel_index(picked[int(element.strip("[]"))], shape)])
    whole = replace(part, element=element, total=total, screened=compared - open_)
    if part.word is not Value.ENCLOSED:
        return whole
    reason = f"{open_} elements in doubt were not enclosed; {SMALLER}" if open_ else part.reason
    if not compared:
        return replace(whole, reason="a sample; the definition has no floating point form, or none that is known yet")
    return replace(whole, word=Value.SCREENED, max_ulps=max(part.max_ulps, ulps), reason=reason)


def _doubt(one: Application, arrays: Sequence[Array], kernel: Kernel) -> tuple[list[Array], list[float]]:
    """For the result and each contribution: the elements that the screen does not find close, the worst of the others
    among them, and the largest distance that it calls close, in ulps."""
    flat = [np.asarray(a).reshape(-1) for a in arrays]
    inputs = [np.broadcast_to(x, one.results[0].shape).reshape(-1) for x in one.inputs]
    g = np.asarray(one.cotangents[0]).reshape(-1)
    slots = [k for k, c in enumerate(one.contributions) if c is not None]
    near = [close_enough(a.dtype) for a in arrays]
    # Half a unit in the last place is u |x| at most, and u |x| / 2 at least: judged by the smaller, nothing slips through.
    scale = [unit(a.dtype) for a in arrays]
    doubted: list[list[Array]] = [[] for _ in arrays]
    worst = [0.0] * len(arrays)
    with np.errstate(all="ignore"):
        for start in range(0, len(g), BLOCK):
            block = slice(start, start + BLOCK)
            wide = [x[block] if x.dtype.kind in "biu" else x[block].astype(np.float64) for x in inputs]
            value, *partials = kernel(*wide)
            cotangent = g[block].astype(np.float64)
            noise = _noise(kernel, wide, [value, *partials])
            for k, array in enumerate(flat):
                row = 0 if k == 0 else 1 + slots[k - 1]
                truth = value if k == 0 else partials[slots[k - 1]] * cotangent
                got = array[block].astype(np.float64)
                ulps = np.abs(got - truth) / (np.abs(truth) * scale[k])
                ulps[got == truth] = 0.0
                far = ~(ulps <= near[k]) | (noise[row] > near[k] * scale[k])
                if far.any():
                    doubted[k].append(start + np.flatnonzero(far))
                    ulps[far] = 0.0
                top = int(np.argmax(ulps))
                worst[k] = max(worst[k], float(ulps[top]))
                doubted[k].append(np.array([start + top])) if ulps[top] == worst[k] else None
    return [np.unique(np.concatenate(d)) if d else np.arange(0) for d in doubted], worst


def _noise(kernel: Kernel, inputs: Sequence[Array], known: Sequence[Any]) -> list[Array]:
    """For the value and each partial derivative how far, relatively, it is from its neighbours at the next floats: where
    a formula cancels, that is the error of the formula. The screen shares it with a rule that has the same formula."""
    noise = [np.zeros(np.shape(one)) for one in known]
    for direction in (math.inf, -math.inf, 0.0):
        beside = [x if x.dtype.kind in "biu" else np.nextafter(x, direction) for x in inputs]
        for k, (one, other) in enumerate(zip(known, kernel(*beside), strict=True)):
            apart = np.abs(other - one) / np.abs(one)
            noise[k] = np.fmax(noise[k], np.where(np.equal(other, one), 0.0, apart))
    return noise


def _pick(one: Application, doubted: Sequence[Array]) -> Array:
    """Elements to enclose: those in doubt, the extremes of each array, and a sample drawn by a fixed generator."""
    size = one.results[0].size
    picked = set(np.random.default_rng(size).integers(0, size, SAMPLE).tolist())
    for doubt in doubted:
        step = max(1, -(-len(doubt) // MAX_DOUBTED))
        picked.update(doubt[::step].tolist(), doubt[:WORST].tolist(), doubt[-WORST:].tolist())
    for array in (*one.inputs, *one.cotangents, *(c for c in one.contributions if c is not None)):
        if array.size == size and array.dtype.kind not in "biu":
            flat = np.abs(np.asarray(array).reshape(-1))
            picked |= {int(np.argmin(flat)), int(np.argmax(flat))}
    return np.array(sorted(picked))


_kernels: OrderedDict[Any, tuple[Op, Kernel | None]] = OrderedDict()
_lock = Lock()


def kernel_of(op: Op, attributes: Attributes, masks: Sequence[bool]) -> Kernel | None:
    """The definition of an elementwise op and its partial derivatives, compiled to NumPy: ``(*arrays) -> [value,
    *partials]``. None where it has no such form."""
    key = (id(op), repr(attributes), tuple(masks))
    with _lock:
        known = _kernels.get(key)
        if known is None:
            known = _kernels[key] = (op, _compile(op, attributes, masks))  # the op is kept, so that its id stays its own
            while len(_kernels) > 512:
                _kernels.popitem(last=False)
        return known[1]


def _compile(op: Op, attributes: Attributes, masks: Sequence[bool]) -> Kernel | None:
    symbols = [sympy.Symbol(f"x{k}", **({} if mask else {"real": True})) for k, mask in enumerate(masks)]
    try:
        value = sympy.sympify(SYMBOLIC.as_number(op.definitions[0](SYMBOLIC, *symbols, **attributes)))
        value = value.replace(sympy.ITE, lambda c, a, b: (c & a) | (~c & b))  # which NumPy has no word for
        partials = [sympy.Integer(0) if mask else sympy.diff(value, x) for x, mask in zip(symbols, masks, strict=True)]
        if any(e.has(sympy.Derivative, sympy.nan, sympy.zoo) for e in (value, *partials)):
            return None
        kernel: Kernel = sympy.lambdify(symbols, [value, *partials], modules=["scipy", "numpy"], cse=True)
        kernel(*(np.ones(2, bool) if mask else np.full(2, 0.5) for mask in masks))
        return kernel
    except BaseException as error:  # a definition is a stranger's code, and not every SymPy expression has a NumPy form
        foreign(error)
        return None


# ops that are linear in an input


def _wide(array: Array) -> Array:
    return np.asarray(array, np.complex128 if array.dtype.kind == "c" else np.float64)


def _projected(one: Application, linear: Sequence[bool], seconds: float) -> Checked:
    deadline = time.monotonic() + min(seconds / 4, SPOT_SECONDS)
    forward = spot_forward(one, deadline)
    verdicts: list[ValueVerdict | None] = []
    for k, claimed in enumerate(one.contributions):
        if claimed is None:
            verdicts.append(None)
        elif not linear[k]:
            deadline = time.monotonic() + min(seconds / 4, SPOT_SECONDS)
            verdicts.append(spot_contribution(one, k, claimed, deadline))
        else:
            verdicts.append(_project(one, k, claimed))
    return Checked(forward, tuple(verdicts))


def _project(one: Application, k: int, claimed: Array) -> ValueVerdict:
    """The verdict on one contribution by random projections; a difference is hunted down by bisection."""
    size = claimed.size
    if not all(finite(a) for a in (*one.cotangents, claimed, *(x for x in one.inputs if x.dtype.kind in "fc"))):
        return ValueVerdict(Value.NONFINITE, total=size, reason=f"an input or a cotangent is not finite; {MADE}")
    pull = _Pull(one, k, claimed)
    worst = 0.0
    for seed in range(PROJECTIONS):
        signs = np.random.default_rng(seed).choice((-1.0, 1.0), parts(claimed).size)
        ratio = pull.ratio(signs)
        worst = max(worst, ratio)
        if not ratio <= close_enough(claimed.dtype):
            return pull.hunt(signs)
    reason = f"{PROJECTIONS} random projections agree; no element was enclosed"
    return ValueVerdict(Value.SCREENED, worst, 0, size, reason=reason, screened=size)


class _Pull:
    """One contribution, and the forward of its op as a linear map of that input; of complex numbers, as a real one of their
    parts."""

    def __init__(self, one: Application, k: int, claimed: Array) -> None:
        self.one, self.k, self.shape, self.turned = one, k, claimed.shape, claimed.dtype.kind == "c"
        self.claimed = parts(_wide(claimed)).reshape(-1)
        self.g = [_wide(g) for g in one.cotangents]
        self.unit = unit(claimed.dtype)
        self.inputs = [x if x.dtype.kind in "biu" else _wide(x) for x in one.inputs]
        self.sizes = [x if x.dtype.kind in "biu" else np.abs(x) for x in self.inputs]
        self.near = close_enough(claimed.dtype)

    def _forward(self, v: Array, inputs: Sequence[Array]) -> list[Array]:
        arguments = [v.reshape(self.shape) if j == self.k else x for j, x in enumerate(inputs)]
        with np.errstate(all="ignore"):
            result = self.one.op.forward(*arguments, **self.one.attributes)
        return list(result) if isinstance(result, tuple) else [result]

    def _against(self, v: Array) -> tuple[float, float, float]:
        """<contribution, v>, <g, f(v)>, and the sum of the magnitudes that make up the latter."""
        along = v.view(np.complex128) if self.turned else v
        there = sum(
            float(np.sum(np.conj(g) * y).real) for g, y in zip(self.g, self._linear(along, self.inputs), strict=True)
        )
        size = sum(
            float(np.sum(np.abs(g) * np.abs(y)))
            for g, y in zip(self.g, self._linear(np.abs(along), self.sizes), strict=True)
        )
        return float(np.sum(self.claimed * v)), there, size

    def _linear(self, v: Array, inputs: Sequence[Array]) -> list[Array]:
        """f(v) - f(0): what is affine becomes linear."""
        return [y - y0 for y, y0 in zip(self._forward(v, inputs), self._forward(np.zeros_like(v), inputs), strict=True)]

    def ratio(self, v: Array) -> float:
        """How far apart the two sides are, in rounding units of all that was added up."""
        here, there, size = self._against(v)
        if here == there:
            return 0.0
        return abs(here - there) / (self.unit * size) if size else math.inf

    def hunt(self, signs: Array) -> ValueVerdict:
        """Halve the elements until one is left that alone is off."""
        left = np.arange(len(signs))
        while len(left) > 1:
            half = left[: len(left) // 2]
            v = np.zeros_like(signs)
            v[half] = signs[half]
            left = half if not self.ratio(v) <= self.near else left[len(left) // 2 :]
        v = np.zeros_like(signs)
        v[left] = 1.0
        here, there, _ = self._against(v)
        total = len(signs)
        if self.ratio(v) <= self.near:
            return ValueVerdict(
                Value.UNCHECKED, total=total, reason=f"a random projection disagrees, and no single element does; {LOOK}"
            )
        index = [int(i) for i in np.unravel_index(int(left[0]) // (1 + self.turned), self.shape)]
        ulps = abs(here - there) / (2 * self.unit * abs(there)) if there else math.inf
        reason = "found by random projections; no rounding of the sum explains the distance"
        return ValueVerdict(Value.OFF, ulps, 1, total, str(index), repr(here), repr(there), reason)
