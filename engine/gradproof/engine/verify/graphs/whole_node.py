"""Nodes of a large graph that are compared as a whole: an inner product with the contributions against an inner product
with the derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

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
from gradproof.engine.verify.graphs.series_bridge import MAX_ELEMENTS, read_in_series
from gradproof.engine.verify.graphs.tangents import Contradiction, Crossed, Node, Unreadable, blank
from gradproof.engine.verify.readings import NoDefinition, TooLarge, parts_shape

FAR = (2.0**60, 2.0**70)
"""Values that take the place of an infinity: a derivative that is equal for both does not depend on it."""
SAME = 2.0**-40  # relative difference up to which two derivatives are the same limit
FloatResult: TypeAlias = tuple[Callable[[], Any], dict[int, Array]]
"""An output in floats: a function that gives its value, and its derivatives by direction."""
KINK = "{} is at a kink, where it has no derivative"


class WholeNode:
    """The comparison of a node along the directions of a sweep. ``nearby``: carry the nearby run through it too."""

    def __init__(self, node: Node, *, nearby: bool) -> None:
        self.node = node
        self.crossed = blank(node, nearby=nearby)
        self.float_results: list[FloatResult] | None = None
        self.heads = {
            number: parts(operand.array).astype(node.working_dtype, copy=False)
            for number, operand in node.operands.items()
            if is_differentiable(operand.array.dtype)
        }
        self.steps: dict[int, dict[int, Array]] = {
            number: {k: along for k, along in enumerate(operand.tangent.along) if along is not None}
            for number, operand in node.moving.items()
        }

    def cross(self) -> Crossed:
        """Push the directions through the node and compare. Raises Unreadable."""
        node, crossed = self.node, self.crossed
        with np.errstate(all="ignore"):
            for result in self._derivatives():
                for k, pushed in enumerate(result):
                    for direction, room in enumerate(crossed.along[k]):
                        if room is not None:
                            crossed.along[k][direction] = pushed[direction] if direction in pushed else np.zeros_like(room)
            self._compare()
            if any(along is not None for along in crossed.nearby):
                self._cross_nearby()
        for slopes in crossed.along:
            if not all(along is None or all_finite(along) for along in slopes):
                raise Unreadable(f"{node.instruction.op.name} has no finite derivative")
        return crossed

    def _derivatives(self) -> list[list[dict[int, Array]]]:
        """Derivatives of the outputs, by output and direction; infinite inputs are read at both numbers of `FAR`."""
        if all(all_finite(x) for x in self.heads.values()):
            self.float_results = self._in_floats(self.heads, self.steps)
            return [[slopes for _, slopes in self.float_results]]
        several = []
        for far in FAR:
            heads = {number: _finite(x, far) for number, x in self.heads.items()}
            several.append([slopes for _, slopes in self._in_floats(heads, self.steps)])
        for first, second in zip(*several, strict=True):
            if not all(np.allclose(first[d], second[d], rtol=SAME, atol=0, equal_nan=True) for d in first):
                raise Unreadable(f"{self.node.instruction.op.name} has no finite derivative")
        return several[:1]

    def _in_floats(
        self, heads: Mapping[int, Array], steps: Mapping[int, Mapping[int, Array]], *, ties: bool = True
    ) -> list[FloatResult]:
        """For each output a function that gives its value, and its derivatives, in floats. Raises Unreadable."""
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
                    plain.append(self._shaped(_value(pushed), tangents(pushed), spec))
                if ties and np.any(f.tied):
                    raise Unreadable(KINK.format(op.name))
                return plain
            except Unreadable:
                raise
            except (NotImplementedError, AttributeError, TypeError):  # the form uses a function of balls only
                plain = []
            except BaseException as error:  # a definition is plugin code
                reraise_own(error)
                raise Unreadable(f"the definition of {op.name} raised {describe(error)}") from None
        balls = {number: _dual(BallArray(x), steps.get(number, {})) for number, x in heads.items()}
        for pushed, spec in zip(self._read(lambda: Arrays(model=True), balls, ties=ties), node.outputs, strict=True):
            plain.append(self._shaped(_value(pushed), {k: t.mid for k, t in tangents(pushed).items()}, spec))
        return plain

    def _shaped(self, value: Callable[[], Any], slopes: Mapping[int, Any], spec: Spec) -> FloatResult:
        """An output in its shape and in the working dtype."""
        shape, dtype = parts_shape(spec), self.node.working_dtype
        return lambda: _as_array(value(), shape, dtype), {
            d: _as_array(tangent, shape, dtype) for d, tangent in slopes.items()
        }

    def _read(self, reading: Any, balls: Mapping[int, Any], *, ties: bool) -> list[Any]:
        """Outputs of the op in the arithmetic that ``reading`` makes. Raises Unreadable."""
        node, op = self.node, self.node.instruction.op
        inputs = [balls[k] if k in balls else node.operands[k].array for k in node.instruction.inputs]
        try:
            f = reading()
            try:
                entries = [entered(x) if isinstance(x, np.ndarray) else x for x in inputs]
                results, tied = read_op(op, f, entries, node.instruction.attributes, node.outputs), bool(np.any(f.tied))
            except (NoArrays, NotImplementedError) as error:
                if sum(x.size for x in inputs) + sum(spec.size for spec in node.outputs) > MAX_ELEMENTS:
                    raise Unreadable(f"{op.name} is not read in whole arrays ({text_of(error)})") from error
                moving = sorted({d for entry in inputs for d in tangents(entry)})
                results, tied = read_in_series(
                    op, inputs, node.inputs, node.instruction.attributes, node.outputs, moving, node.tick
                )
        except (Unreadable, Skipped):
            raise
        except TooLarge:
            raise Unreadable(f"{op.name} has no form for whole arrays, and is too large to be read by elements") from None
        except Undecided:
            raise Unreadable(f"rounding decides a branch of {op.name}") from None
        except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
            raise Unreadable(f"{op.name} has no form that can be read ({text_of(error)})") from error
        except (ZeroDivisionError, ValueError):
            raise Unreadable(f"{op.name} is at a pole") from None
        except BaseException as error:  # a definition is plugin code
            reraise_own(error)
            raise Unreadable(f"the definition of {op.name} raised {describe(error)}") from None
        if tied and ties:
            raise Unreadable(KINK.format(op.name))
        return results

    def _compare(self) -> None:
        """Compare the inner products along each direction, in wide balls where floats differ."""
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
            allowed = (node.close + PRODUCT_ROUNDINGS * unit(node.working_dtype)) * size + node.tiny * steps
            if not np.isfinite(defect):
                raise Unreadable(f"a gradient at {node.instruction.op.name} is not finite")
            if not abs(defect) <= allowed:
                wide = self._widened() if wide is None else wide
                allowed += self._rounding_bound(wide, direction)
                if not np.isfinite(allowed):
                    raise Unreadable(f"rounding decides a branch of {node.instruction.op.name}")
                if abs(defect) > allowed:
                    crossed.contradictions.append(Contradiction("", forward.signed, claimed.signed, direction))
                else:
                    crossed.excess[direction] += abs(defect)
            crossed.defects[direction] += defect
            crossed.allowed[direction] += allowed
            crossed.sizes[direction] += claimed.size

    def _widened(self) -> list[Any]:
        """Outputs in balls: inputs as wide as their rounding, directions as wide as the rounding of the sums in the
        rule."""
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
            slopes = {k: BallArray(t, share * np.abs(t)) for k, t in steps.items()}
            balls[number] = Dual(ball, slopes) if slopes else ball
        return self._read(Arrays, balls, ties=False)

    def _rounding_bound(self, wide: list[Any], direction: int) -> float:
        """Bound on the change of the inner product by rounding."""
        total = 0.0
        for k, g in enumerate(self.node.cotangents):
            step, ball = self.crossed.along[k][direction], tangents(wide[k]).get(direction)
            if g is None or step is None or ball is None:
                continue
            radius = np.broadcast_to(ball.radius() + np.abs(ball.mid - step), step.shape)
            total += float((np.abs(flat_parts(g)).astype(np.float64) * radius.reshape(-1)).sum())
        return total * (1 + 2.0**-40)

    def _cross_nearby(self) -> None:
        """Advance the nearby run. Outputs that cannot be read there take the values of the run."""
        node = self.node
        if self.float_results is not None and not any(operand.tangent.differs for operand in node.moving.values()):
            self._store_nearby(self.float_results, same=True)
            return
        heads, steps = dict(self.heads), dict[int, dict[int, Array]]()
        for number, operand in node.moving.items():
            pair, along = operand.tangent.nearby, operand.tangent.along[0]
            if pair is not None and pair[0] is not None:
                known = None if all_finite(heads[number]) else np.isfinite(heads[number])
                heads[number] = pair[0] if known is None else np.where(known, pair[0], heads[number])
            step = pair[1] if pair is not None else along
            if step is not None:
                steps[number] = {0: step}
        heads = {number: _finite(x, FAR[0]) for number, x in heads.items()}
        try:
            self._store_nearby(self._in_floats(heads, steps, ties=False))
        except Unreadable:
            self._store_nearby([])

    def _store_nearby(self, results: Sequence[FloatResult], *, same: bool = False) -> None:
        """Store the outputs of the nearby run. ``same``: only their rounding differs from that of the run."""
        crossed, node = self.crossed, self.node
        for k, pair in enumerate(crossed.nearby):
            along = crossed.along[k][0]
            if pair is None or along is None:
                continue
            if not results or 0 not in results[k][1]:
                crossed.nearby[k] = (None, along)
                continue
            run_value = parts(node.results[k])
            result = run_value if same and run_value.dtype == node.working_dtype else results[k][0]()
            value, step = perturbed(result, node.outputs[k].dtype), along if same else results[k][1][0]
            if not all_finite(value) or not all_finite(step):
                known = np.isfinite(value) & np.isfinite(step)
                value, step = np.where(known, value, run_value.astype(node.working_dtype)), np.where(known, step, along)
            crossed.nearby[k] = (value, step)


def _dual(ball: BallArray, steps: Mapping[int, Array]) -> Any:
    """Dual of ``ball`` with exact steps; ``ball`` itself if there are none."""
    return Dual(ball, {k: BallArray(t) for k, t in steps.items()}) if steps else ball


def _as_array(x: Any, shape: tuple[int, ...], dtype: DType) -> Array:
    x = np.asarray(x, dtype)
    return x if x.shape == shape else np.broadcast_to(x, shape)


def _value(x: Any) -> Callable[[], Any]:
    """Function that gives the value of a result when it is needed."""
    if isinstance(x, FloatDual):
        return lambda: x.head
    return lambda: head(x).mid


def _finite(x: Array, far: float) -> Array:
    """``x`` with ``far`` in the place of infinities."""
    return x if all_finite(x) else np.asarray(np.nan_to_num(x, nan=np.nan, posinf=far, neginf=-far))
