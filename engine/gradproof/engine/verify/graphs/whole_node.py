"""Nodes that are crossed as a whole: an inner product with the contributions against one with the derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradproof.engine.errors import text_of
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, DType, Spec, is_differentiable, parts
from gradproof.engine.verify.arrays import (
    PRODUCT_ROUNDINGS,
    Arrays,
    BallArray,
    Dual,
    FloatDual,
    Floats,
    InnerProduct,
    NoArrays,
    all_finite,
    entered,
    flat_parts,
    head,
    inner_product,
    perturbed,
    read_op,
    tangents,
)
from gradproof.engine.verify.floats.ulps import smallest_normal, unit
from gradproof.engine.verify.graphs.forward_half import Skipped
from gradproof.engine.verify.graphs.series_bridge import MAX_ELEMENTS, bridged
from gradproof.engine.verify.graphs.tangents import Contradiction, Crossed, Node, Unread, blank
from gradproof.engine.verify.readings import NoDefinition, TooLarge, parts_shape

FAR = (2.0**60, 2.0**70)
"""Numbers in the place of an infinity: where derivatives are the same for both, they do not depend on it."""
SAME = 2.0**-40  # relative: derivatives that agree so far are the same limit
KINK = "{} is at a kink, where it has no derivative"


class WholeNode:
    """A node on its way through `cross`."""

    def __init__(self, node: Node, *, beside: bool) -> None:
        self.node = node
        self.crossed = blank(node, beside=beside)
        self.own: list[tuple[Callable[[], Any], dict[int, Array]]] | None = None
        self.heads = {
            number: parts(operand.array).astype(node.working, copy=False)
            for number, operand in node.operands.items()
            if is_differentiable(operand.array.dtype)
        }
        self.steps: dict[int, dict[int, Array]] = {
            number: {k: along for k, along in enumerate(operand.tangent.along) if along is not None}
            for number, operand in node.moving.items()
        }

    def cross(self) -> Crossed:
        """Cross the node. Raises Unread."""
        node, crossed = self.node, self.crossed
        with np.errstate(all="ignore"):
            for result in self._pushed():
                for k, pushed in enumerate(result):
                    for direction, room in enumerate(crossed.along[k]):
                        if room is not None:
                            crossed.along[k][direction] = pushed[direction] if direction in pushed else np.zeros_like(room)
            self._compare()
            if any(along is not None for along in crossed.beside):
                self._beside()
        for ways in crossed.along:
            if not all(along is None or all_finite(along) for along in ways):
                raise Unread(f"{node.instruction.op.name} has no finite derivative")
        return crossed

    def _pushed(self) -> list[list[dict[int, Array]]]:
        """How the outputs move."""
        if all(all_finite(x) for x in self.heads.values()):
            self.own = self._plainly(self.heads, self.steps)
            return [[ways for _, ways in self.own]]
        several = []
        for far in FAR:
            heads = {number: _finite(x, far) for number, x in self.heads.items()}
            several.append([ways for _, ways in self._plainly(heads, self.steps)])
        for first, second in zip(*several, strict=True):
            if not all(np.allclose(first[d], second[d], rtol=SAME, atol=0, equal_nan=True) for d in first):
                raise Unread(f"{self.node.instruction.op.name} has no finite derivative")
        return several[:1]

    def _plainly(
        self, heads: Mapping[int, Array], steps: Mapping[int, Mapping[int, Array]], *, ties: bool = True
    ) -> list[tuple[Callable[[], Any], dict[int, Array]]]:
        """The value of each output, and how it moves, in floats. Raises Unread."""
        node, op = self.node, self.node.instruction.op
        form = op.arrays if not op.elementwise else None
        plain = []
        if form is not None and not any(spec.dtype.kind == "c" for spec in (*node.inputs, *node.outputs)):
            scalars = {number: FloatDual(x, steps.get(number, {})) for number, x in heads.items()}
            inputs = [scalars.get(k, node.operands[k].array) for k in node.instruction.inputs]
            f = Floats()
            try:
                results = form(f, *inputs, **node.instruction.attributes)
                several = results if isinstance(results, tuple) else (results,)
                for pushed, spec in zip(several, node.outputs, strict=True):
                    plain.append(self._landed(_value(pushed), tangents(pushed), spec))
                if ties and np.any(f.tied):
                    raise Unread(KINK.format(op.name))
                return plain
            except Unread:
                raise
            except (NotImplementedError, AttributeError, TypeError):  # a word that is for balls only
                plain = []
            except BaseException as error:  # a definition is a stranger's code
                reraise_own(error)
                raise Unread(f"the definition of {op.name} raised {describe(error)}") from None
        balls = {number: _dual(BallArray(x), steps.get(number, {})) for number, x in heads.items()}
        for pushed, spec in zip(self._read(lambda: Arrays(model=True), balls, ties=ties), node.outputs, strict=True):
            plain.append(self._landed(_value(pushed), {k: t.mid for k, t in tangents(pushed).items()}, spec))
        return plain

    def _landed(
        self, value: Callable[[], Any], ways: Mapping[int, Any], spec: Spec
    ) -> tuple[Callable[[], Any], dict[int, Array]]:
        """An output in its shape, in the dtype to work in."""
        shape, dtype = parts_shape(spec), self.node.working
        return lambda: _spread(value(), shape, dtype), {d: _spread(tangent, shape, dtype) for d, tangent in ways.items()}

    def _read(self, reading: Any, balls: Mapping[int, Any], *, ties: bool) -> list[Any]:
        """The outputs. Raises Unread."""
        node, op = self.node, self.node.instruction.op
        inputs = [balls[k] if k in balls else node.operands[k].array for k in node.instruction.inputs]
        try:
            f = reading()
            try:
                entries = [entered(x) if isinstance(x, np.ndarray) else x for x in inputs]
                results, tied = read_op(op, f, entries, node.instruction.attributes, node.outputs), bool(np.any(f.tied))
            except (NoArrays, NotImplementedError) as error:
                if sum(x.size for x in inputs) + sum(spec.size for spec in node.outputs) > MAX_ELEMENTS:
                    raise Unread(f"{op.name} is not read in whole arrays ({text_of(error)})") from error
                moving = sorted({d for entry in inputs for d in tangents(entry)})
                results, tied = bridged(
                    op, inputs, node.inputs, node.instruction.attributes, node.outputs, moving, node.tick
                )
        except (Unread, Skipped):
            raise
        except TooLarge:
            raise Unread(f"{op.name} has no form for whole arrays, and is too large to be read by elements") from None
        except Undecided:
            raise Unread(f"rounding decides a branch of {op.name}") from None
        except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
            raise Unread(f"{op.name} has no form that can be read ({text_of(error)})") from error
        except (ZeroDivisionError, ValueError):
            raise Unread(f"{op.name} is at a pole") from None
        except BaseException as error:  # a definition is a stranger's code
            reraise_own(error)
            raise Unread(f"the definition of {op.name} raised {describe(error)}") from None
        if tied and ties:
            raise Unread(KINK.format(op.name))
        return results

    def _compare(self) -> None:
        crossed, node = self.crossed, self.node
        wide: list[Any] | None = None
        for direction in range(node.directions):
            forward, claimed, steps = InnerProduct(), InnerProduct(), 0.0
            for k, g in enumerate(node.cotangents):
                step = crossed.along[k][direction]
                if g is not None and step is not None:
                    forward += inner_product(g, step)
            for operand in node.moving.values():
                along = operand.tangent.along[direction]
                if along is not None:
                    steps += float(np.abs(along).sum())
                    for taken in operand.contributions:
                        claimed += inner_product(taken, along)
            defect = forward.signed - claimed.signed
            size = forward.size + claimed.size
            allowed = (node.close + PRODUCT_ROUNDINGS * unit(node.working)) * size + node.tiny * steps
            if not np.isfinite(defect):
                raise Unread(f"a gradient at {node.instruction.op.name} is not finite")
            if not abs(defect) <= allowed:
                wide = self._wide() if wide is None else wide
                allowed += self._explained(wide, direction)
                if not np.isfinite(allowed):
                    raise Unread(f"rounding decides a branch of {node.instruction.op.name}")
                if abs(defect) > allowed:
                    crossed.contradictions.append(Contradiction("", forward.signed, claimed.signed, direction))
                else:
                    crossed.excess[direction] += abs(defect)
            crossed.defects[direction] += defect
            crossed.allowed[direction] += allowed
            crossed.sizes[direction] += claimed.size

    def _wide(self) -> list[Any]:
        """The outputs, where inputs are as wide as their rounding, and directions as that of the sums in the rule."""
        node = self.node
        rounding = unit(node.dtype)
        share = node.explained + node.terms * rounding
        balls: dict[int, Any] = {}
        for number, x in self.heads.items():
            x = x.astype(np.float64)
            size = np.abs(x)
            least = float(size.max(initial=0)) if node.instruction.op.normwise else size
            finite = np.isfinite(x)
            rad = np.where((x != 0) & finite, node.explained * (least + smallest_normal(node.dtype)), 0.0)
            ball = BallArray(np.where(finite, x, np.copysign(FAR[0], x)), rad)
            steps = self.steps.get(number, {})
            ways = {k: BallArray(t, share * np.abs(t)) for k, t in steps.items()}
            balls[number] = Dual(ball, ways) if ways else ball
        return self._read(Arrays, balls, ties=False)

    def _explained(self, wide: list[Any], direction: int) -> float:
        """The distance by which rounding may move the inner product."""
        total = 0.0
        for k, g in enumerate(self.node.cotangents):
            step, ball = self.crossed.along[k][direction], tangents(wide[k]).get(direction)
            if g is None or step is None or ball is None:
                continue
            radius = np.broadcast_to(ball.radius() + np.abs(ball.mid - step), step.shape)
            total += float((np.abs(flat_parts(g)).astype(np.float64) * radius.reshape(-1)).sum())
        return total * (1 + 2.0**-40)

    def _beside(self) -> None:
        """The outputs beside those of the run, as the inputs beside them give them; those of the run where they do not."""
        node = self.node
        if self.own is not None and not any(operand.tangent.apart for operand in node.moving.values()):
            self._settle(self.own, same=True)
            return
        heads, steps = dict(self.heads), dict[int, dict[int, Array]]()
        for number, operand in node.moving.items():
            pair, along = operand.tangent.beside, operand.tangent.along[0]
            if pair is not None and pair[0] is not None:
                known = None if all_finite(heads[number]) else np.isfinite(heads[number])
                heads[number] = pair[0] if known is None else np.where(known, pair[0], heads[number])
            step = pair[1] if pair is not None else along
            if step is not None:
                steps[number] = {0: step}
        heads = {number: _finite(x, FAR[0]) for number, x in heads.items()}
        try:
            self._settle(self._plainly(heads, steps, ties=False))
        except Unread:
            self._settle([])

    def _settle(self, results: Sequence[tuple[Callable[[], Any], dict[int, Array]]], *, same: bool = False) -> None:
        """Note what the outputs are beside those of the run; where only their rounding is other, these are the ``same``."""
        crossed, node = self.crossed, self.node
        for k, pair in enumerate(crossed.beside):
            along = crossed.along[k][0]
            if pair is None or along is None:
                continue
            if not results or 0 not in results[k][1]:
                crossed.beside[k] = (None, along)
                continue
            own = parts(node.results[k])
            settled = own if same and own.dtype == node.working else results[k][0]()
            value, step = perturbed(settled, node.outputs[k].dtype), along if same else results[k][1][0]
            if not all_finite(value) or not all_finite(step):
                known = np.isfinite(value) & np.isfinite(step)
                value, step = np.where(known, value, own.astype(node.working)), np.where(known, step, along)
            crossed.beside[k] = (value, step)


def _dual(ball: BallArray, steps: Mapping[int, Array]) -> Any:
    return Dual(ball, {k: BallArray(t) for k, t in steps.items()}) if steps else ball


def _spread(x: Any, shape: tuple[int, ...], dtype: DType) -> Array:
    x = np.asarray(x, dtype)
    return x if x.shape == shape else np.broadcast_to(x, shape)


def _value(x: Any) -> Callable[[], Any]:
    """The value of a result, once it is asked for."""
    if isinstance(x, FloatDual):
        return lambda: x.head
    return lambda: head(x).mid


def _finite(x: Array, far: float) -> Array:
    """``far`` in the place of infinities."""
    return x if all_finite(x) else np.asarray(np.nan_to_num(x, nan=np.nan, posinf=far, neginf=-far))
