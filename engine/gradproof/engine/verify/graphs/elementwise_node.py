"""Elementwise nodes of a large graph: the contributions to each element against the derivative of the definition.

Each element is compared in plain floats first. An element that differs by more than a few units is read again in balls,
with inputs widened by their rounding; it contradicts only if the ball does not contain the claimed value either. Elements
at a kink or a pole are left out, and a new direction starts behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.verify.arrays import (
    Arrays,
    BallArray,
    Dual,
    FloatDual,
    Floats,
    blocks,
    entered,
    exact_sum,
    perturbed,
    tangents,
)
from gradproof.engine.verify.floats.ulps import smallest_normal
from gradproof.engine.verify.graphs.tangents import Along, Contradiction, Crossed, Node, blank
from gradproof.engine.verify.readings.attributes import in_balls
from gradproof.engine.verify.verdict.wording import element_text

ONE = 1.0


def is_crossed_by_element(node: Node) -> bool:
    """True if all values of a real node have a single shape and its elementwise op has a definition."""
    specs = (*node.inputs, *node.outputs)
    same = len({spec.shape for spec in specs}) == 1
    return (
        node.instruction.op.elementwise
        and same
        and bool(node.instruction.op.definitions)
        and all(s.dtype.kind != "c" for s in specs)
    )


class ElementwiseNode:
    """The comparison of an elementwise node along the directions of a sweep. ``nearby``: carry the nearby run through it
    too."""

    def __init__(self, node: Node, *, nearby: bool) -> None:
        self.node, self.moving = node, node.moving
        self.attributes = in_balls(node.instruction.attributes)
        self.crossed = blank(node, nearby=nearby)
        self.outs = [k for k, spec in enumerate(node.outputs) if is_differentiable(spec.dtype)]
        self.arrays = {number: operand.array.reshape(-1) for number, operand in node.operands.items()}
        self.cotangents = [None if g is None else g.reshape(-1) for g in node.cotangents]
        self._doubtful: list[Array] = []
        self._sums: tuple[list[float], list[float]] = ([], [])
        self.close = node.close

    def cross(self) -> Crossed:
        """Push the directions through the node and compare. Raises the exceptions of the definition."""
        with np.errstate(all="ignore"):
            for block in blocks(self.node.outputs[0].size):
                self.node.tick()
                self._cross_block(block)
            defects, sizes = map(exact_sum, self._sums)
            self.crossed.defects[0] += defects
            self.crossed.sizes[0] += sizes
            self.crossed.allowed[0] += self.close * sizes + self.node.tiny * self.node.outputs[0].size
            if self._doubtful:
                places = np.unique(np.concatenate(self._doubtful))
                for block in blocks(places.size):
                    self.node.tick()
                    self._recheck(places[block])
        return self.crossed

    def _read(self, f: Floats | Arrays, scalars: Mapping[int, Any]) -> list[Any]:
        """Read the definitions of the op at ``scalars``, by value number."""
        inputs = [scalars[number] for number in self.node.instruction.inputs]
        return [define(f, *inputs, **self.attributes) for define in self.node.instruction.op.definitions]

    def _heads(self, places: Any) -> dict[int, Any]:
        """Floats of the run at ``places`` in the working dtype; integers and conditions unchanged."""
        picked = {number: array[places] for number, array in self.arrays.items()}
        dtype = self.node.working_dtype
        return {number: x if x.dtype.kind in "iub" else x.astype(dtype, copy=False) for number, x in picked.items()}

    def _slopes(self, f: Floats, heads: Mapping[int, Any]) -> list[Any]:
        """Outputs whose tangents are the partial derivatives with respect to each moving input."""
        scalars = {
            number: x if x.dtype.kind in "iub" else FloatDual(x, {number: ONE} if number in self.moving else {})
            for number, x in heads.items()
        }
        return self._read(f, scalars)

    def _cross_block(self, block: slice) -> None:
        """Push all directions through a block of elements, compare it, and advance the nearby run."""
        crossed, size = self.crossed, block.stop - block.start
        f = Floats()
        results = self._slopes(f, self._heads(block))
        left_out: Array | None = None
        if np.any(f.tied):
            left_out = f.tied & self._moves(block, size)
            left_out = left_out if left_out.any() else None
        reason = "at a kink" if left_out is not None else "at a pole"
        for k in self.outs:
            for direction, along in enumerate(crossed.along[k]):
                if along is not None:
                    steps = {number: operand.tangent.along[direction] for number, operand in self.moving.items()}
                    known = _push(results[k], steps, block, along.reshape(-1)[block])
                    if known is not None:
                        left_out = ~known if left_out is None else left_out | ~known
        self._compare(block, left_out)
        if any(operand is not None for operand in crossed.nearby):
            if any(operand.tangent.differs for operand in self.moving.values()):
                self._cross_nearby(block, f.decisions, left_out)
            else:
                self._round_nearby(block, results)
        if left_out is not None:
            self._leave_out(block, left_out, reason)

    def _moves(self, block: slice, size: int) -> Array:
        """Mask of the elements of a block at which an input moves along any direction."""
        moved = np.zeros(size, bool)
        for operand in self.moving.values():
            for along in operand.tangent.along:
                if along is not None:
                    moved |= along.reshape(-1)[block] != 0
        return moved

    def _compare(self, block: slice, left_out: Array | None) -> None:
        """Compare each element of a block along the first direction: a wrong element shows along any direction."""
        rest: Any = None
        for k in self.outs:
            along, g = self.crossed.along[k][0], self.cotangents[k]
            if along is not None and g is not None:
                product = g[block] * along.reshape(-1)[block]
                rest = product if rest is None else np.add(rest, product, out=rest)
        size: Any = None
        for _, products in self._products(block, 0):
            for product in products:
                rest = np.negative(product) if rest is None else np.subtract(rest, product, out=rest)
                np.abs(product, out=product)
                size = product if size is None else np.add(size, product, out=size)
        if rest is None:
            return
        size = np.zeros(rest.shape, rest.dtype) if size is None else size
        bound = size * self.close
        bound += self.node.tiny
        good = np.abs(rest) <= bound
        taking = good if left_out is None else good & ~left_out
        if taking.all():
            self._sums[0].append(float(rest.sum()))
            self._sums[1].append(float(size.sum()))
            return
        self._sums[0].append(float(rest[taking].sum()))
        self._sums[1].append(float(size[taking].sum()))
        self._doubtful.append(np.flatnonzero(~good if left_out is None else ~(good | left_out)) + block.start)

    def _products(self, places: Any, direction: int) -> list[tuple[Array, list[Array]]]:
        """For each moving input, its step along ``direction`` and the products of its contributions with that step."""
        totals = []
        for operand in self.moving.values():
            along = operand.tangent.along[direction]
            if along is not None:
                t = along.reshape(-1)[places]
                totals.append((t, [taken.reshape(-1)[places] * t for taken in operand.contributions]))
        return totals

    def _leave_out(self, block: slice, left_out: Array, reason: str) -> None:
        """Leave elements to their local checks: a new direction starts behind each."""
        crossed, places = self.crossed, np.flatnonzero(left_out) + block.start
        crossed.left_out += places.size
        crossed.reason = crossed.reason or f"{self.node.instruction.op.name} is {reason}"
        for operand in self.moving.values():
            nearby, along = operand.tangent.nearby, operand.tangent.along[0]
            if nearby is not None and along is not None:
                away = nearby[1].reshape(-1)[places] - along.reshape(-1)[places]
                for taken in operand.contributions:
                    crossed.moved += float(np.nan_to_num(taken.reshape(-1)[places] * away).sum())
        for k in self.outs:
            for direction, slope_nearby in enumerate(crossed.along[k]):
                if slope_nearby is not None:
                    start = self.node.starts(k, direction)
                    slope_nearby.reshape(-1)[places] = 0.0 if start is None else start.reshape(-1)[places]
            nearby_pair, first = crossed.nearby[k], crossed.along[k][0] if crossed.along[k] else None
            if nearby_pair is not None and nearby_pair[0] is not None and first is not None:
                nearby_pair[0].reshape(-1)[places] = self.node.results[k].reshape(-1)[places]
                nearby_pair[1].reshape(-1)[places] = first.reshape(-1)[places]

    def _cross_nearby(self, block: slice, decisions: Sequence[Array], left_out: Array | None) -> None:
        """Advance the nearby run through a block. Elements without a finite nearby value take the value of the run."""
        heads, steps = self._heads(block), dict[int, Along]()
        for number, operand in self.moving.items():
            nearby = operand.tangent.nearby
            if nearby is not None and nearby[0] is not None:
                heads[number] = nearby[0].reshape(-1)[block]
            steps[number] = nearby[1] if nearby is not None else operand.tangent.along[0]
        results = self._slopes(Floats(decisions), heads)
        for k in self.outs:
            nearby_pair, along = self.crossed.nearby[k], self.crossed.along[k][0]
            if nearby_pair is None or nearby_pair[0] is None or along is None:
                continue
            value, slope_nearby = nearby_pair[0].reshape(-1)[block], nearby_pair[1].reshape(-1)[block]
            self._round(k, results[k], value)
            known = _push(results[k], steps, block, slope_nearby)
            if known is not None or not np.isfinite(value).all():
                lost = ~(np.isfinite(value) & np.isfinite(slope_nearby))
                value[lost] = self.node.results[k].reshape(-1)[block][lost]
                slope_nearby[lost] = along.reshape(-1)[block][lost]

    def _round_nearby(self, block: slice, results: Sequence[Any]) -> None:
        """Advance the nearby run where its inputs equal those of the run: only the results are rounded otherwise."""
        for k in self.outs:
            nearby_pair, along = self.crossed.nearby[k], self.crossed.along[k][0]
            if nearby_pair is None or nearby_pair[0] is None or along is None:
                continue
            value, run_value = nearby_pair[0].reshape(-1)[block], self.node.results[k].reshape(-1)[block]
            if run_value.dtype == value.dtype:
                perturbed(run_value, run_value.dtype, value)
            else:
                self._round(k, results[k], value)
            if not np.isfinite(value).all():
                np.copyto(value, run_value, where=~np.isfinite(value), casting="unsafe")
            if block.start == 0:
                self.crossed.nearby[k] = (nearby_pair[0], along)

    def _round(self, k: int, result: Any, out: Array) -> None:
        """Write an output to ``out``, rounded otherwise than in the run."""
        value = np.broadcast_to(np.asarray(FloatDual.number(result), self.node.working_dtype), out.shape)
        perturbed(value, self.node.outputs[k].dtype, out)

    def _recheck(self, places: Array) -> None:
        """Compare doubtful elements again, in balls as wide as the rounding of the inputs."""
        node, f = self.node, Arrays()
        scalars: dict[int, Any] = {}
        for number, x in self._heads(places).items():
            if x.dtype.kind in "iub":
                scalars[number] = entered(x)
                continue
            x = x.astype(np.float64)
            wide = np.where(x != 0, node.explained * (np.abs(x) + smallest_normal(node.dtype)), 0.0)
            ball = BallArray(x, wide)
            operand = node.operands[number]
            steps = {k: along.reshape(-1)[places] for k, along in enumerate(operand.tangent.along) if along is not None}
            scalars[number] = Dual(ball, {k: BallArray(t, node.explained * np.abs(t)) for k, t in steps.items()})
        try:
            results = self._read(f, scalars)
        except (NotImplementedError, AttributeError) as error:
            self.crossed.left_out += places.size
            self.crossed.reason = self.crossed.reason or str(error)
            return
        self._compare_balls(places, results)

    def _compare_balls(self, places: Array, results: Sequence[Any]) -> None:
        """Compare contributions with derivatives enclosed in balls, and record what rounding does not explain."""
        crossed, node, direction = self.crossed, self.node, 0
        forward, radius, slack = np.zeros(places.shape), np.zeros(places.shape), np.zeros(places.shape)
        for k in self.outs:
            g = self.cotangents[k]
            ball = tangents(results[k]).get(direction) if g is not None else None
            if g is not None and ball is not None:
                cotangent = g[places].astype(np.float64)
                forward += cotangent * ball.mid
                radius += np.abs(cotangent) * ball.radius()
                slack += np.abs(cotangent) * node.tiny
        claimed, size, steps = np.zeros(places.shape), np.zeros(places.shape), np.zeros(places.shape)
        for t, products in self._products(places, direction):
            steps += np.abs(t)
            for product in products:
                claimed += product
                size += np.abs(product)
        slack += node.tiny * (steps + np.abs(forward))
        allowed = (radius + node.close * size + slack) * (1 + 2.0**-40)
        rest = forward - claimed
        known = np.isfinite(rest) & np.isfinite(allowed)
        off = known & (np.abs(rest) > allowed)
        crossed.left_out += int((~known).sum())
        if not known.all():
            crossed.reason = crossed.reason or f"rounding decides a branch of {node.instruction.op.name}"
        crossed.defects[direction] += exact_sum(rest[known].tolist())
        crossed.allowed[direction] += float(allowed[known].sum())
        crossed.sizes[direction] += float(size[known].sum())
        crossed.excess[direction] += float(np.abs(rest[known & ~off & (np.abs(rest) > slack)]).sum())
        if off.any():
            worst = int(np.argmax(np.where(off, np.abs(rest) / np.maximum(allowed, 1e-300), 0)))
            element = element_text(int(places[worst]), node.outputs[0].shape)
            place = f", element {element}" if element else ""
            crossed.contradictions.append(Contradiction(place, float(forward[worst]), float(claimed[worst]), direction))


def _push(result: Any, steps: Mapping[int, Along], block: slice, out: Array) -> Array | None:
    """Write to ``out`` the step of an output whose inputs take ``steps``. Returns the mask of known elements, None if all
    are known."""
    pairs = []
    for number, slope in tangents(result).items():
        step = steps.get(number)
        if step is not None:
            pairs.append((slope, step.reshape(-1)[block]))
    if not pairs:
        out[...] = 0
        return None
    _multiplied(*pairs[0], out)
    for slope, t in pairs[1:]:
        out += t if _is_one(slope) else slope * t
    if np.isfinite(out).all():
        return None
    out[...] = sum((np.where(t == 0, 0.0, slope * t) for slope, t in pairs), np.zeros(out.shape))
    known = np.isfinite(out)
    return None if known.all() else known


def _multiplied(slope: Any, t: Array, out: Array) -> None:
    if _is_one(slope):
        np.copyto(out, t)
    else:
        np.multiply(slope, t, out=out, casting="unsafe")


def _is_one(slope: Any) -> bool:
    """True for the slope 1, which needs no multiplication."""
    return isinstance(slope, float) and slope == ONE
