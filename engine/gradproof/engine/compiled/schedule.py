"""Schedule: calls of kernels in a row, bound to their memory before the run wherever that is known.

Large elementwise calls on the same shape become a `Group`; calls whose arguments are all bound become a loop; any other
call is a line of source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gradproof.engine.cancellation import look, watched
from gradproof.engine.compiled.blocks import Argument, Group, Hole, is_large, pays
from gradproof.engine.compiled.buffers import Layout
from gradproof.engine.compiled.kernels import Kernel
from gradproof.engine.spec import Array, Spec

CHECK: Final = "if C.cancelled: raise Cancelled"
LASTING: Final = 256
"""Number of elements from which on a call takes far longer than a look at the run's cancellation."""


@dataclass(frozen=True, slots=True)
class Operand:
    """Argument of a kernel: a slot of the workspace, a constant, or a local variable of the function."""

    spec: Spec
    slot: int = -1
    constant: Array | None = None
    name: str = ""

    @property
    def is_bound(self) -> bool:
        """True if its memory is known before the run."""
        return not self.name


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a kernel on ``inputs``, with its result in ``out``."""

    kernel: Kernel
    inputs: tuple[Operand, ...]
    out: Operand

    @property
    def is_bound(self) -> bool:
        """True if all of its memory is known before the run."""
        return self.out.is_bound and all(operand.is_bound for operand in self.inputs)

    @property
    def is_lasting(self) -> bool:
        """True if the cancellation is to be checked before it."""
        return any(operand.spec.size >= LASTING for operand in (*self.inputs, self.out))

    @property
    def is_large(self) -> bool:
        """True if it may be worth blocks."""
        return self.kernel.rowwise and bool(self.out.spec.shape) and is_large(self.out.spec.size)


@dataclass(frozen=True, slots=True)
class Bound:
    """Calls in a loop ``for f, a in P[k]: f(*a)``, with a look at the cancellation before each if any is lasting."""

    calls: tuple[Call, ...]

    def bind(
        self, readable: Sequence[Array], writable: Sequence[Array]
    ) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """The functions and their arguments, over the slots of a workspace."""
        memory = _Memory(readable, writable)
        return [
            (call.kernel.call, call.kernel.arguments([*map(memory.read, call.inputs)], memory.out(call)))
            for call in watched(self.calls)
        ]


@dataclass(frozen=True, slots=True)
class BlockedGroup:
    """Calls that run in blocks: ``P[k](C, *names)``."""

    calls: tuple[Call, ...]
    names: tuple[str, ...]

    def bind(self, readable: Sequence[Array], writable: Sequence[Array]) -> Group:
        """The group of calls, over the slots of a workspace."""
        memory, shape = _Memory(readable, writable), self.calls[0].out.spec.shape

        def argument(operand: Operand, out: bool = False) -> Argument | Hole:
            cut = operand.spec.shape[:1] == shape[:1] and operand.spec.ndim == len(shape)
            if operand.name:
                return Hole(self.names.index(operand.name), cut)
            return (writable[operand.slot] if out else memory.read(operand)), cut

        return Group(
            [(c.kernel.call, c.kernel.arguments([*map(argument, c.inputs)], argument(c.out, True))) for c in self.calls],
            shape,
        )


Recipe: TypeAlias = Bound | BlockedGroup


@dataclass(frozen=True, slots=True)
class _Memory:
    """The slots of a workspace."""

    readable: Sequence[Array]
    writable: Sequence[Array]

    def read(self, operand: Operand) -> Array:
        return self.readable[operand.slot] if operand.constant is None else operand.constant

    def out(self, call: Call) -> Array:
        return self.writable[call.out.slot]


class Schedule:
    """Collects calls, and writes them when a later line reads their results."""

    def __init__(
        self, layout: Layout, named: Callable[[Callable[..., Any]], str], constant: Callable[[Array], str]
    ) -> None:
        self.layout, self._named, self._constant = layout, named, constant
        self.recipes: list[Recipe] = []
        self._pending: list[Call] = []

    def add(self, call: Call) -> None:
        """Add a call."""
        self._pending.append(call)

    def flush(self) -> list[str]:
        """The lines of the calls so far."""
        pending, self._pending = self._pending, []
        lines: list[str] = []
        bound: list[Call] = []

        def close() -> None:
            if bound:
                body = f"\n        {CHECK}\n        f(*a)" if any(call.is_lasting for call in bound) else " f(*a)"
                lines.append(f"for f, a in P[{len(self.recipes)}]:{body}")
                self.recipes.append(Bound(tuple(bound)))
                bound.clear()

        for group, in_blocks in self._groups(pending):
            if in_blocks:
                close()
                names = tuple(dict.fromkeys(x.name for call in group for x in (*call.inputs, call.out) if x.name))
                lines.append(f"P[{len(self.recipes)}]({', '.join(('C', *names))})")
                self.recipes.append(BlockedGroup(tuple(group), names))
                continue
            for call in group:
                if call.is_bound:
                    bound.append(call)
                    continue
                close()
                if call.is_lasting:
                    lines.append(CHECK)
                arguments = call.kernel.arguments([self._text(x, "R") for x in call.inputs], self._text(call.out, "W"))
                lines.append(f"{self._named(call.kernel.call)}({', '.join(arguments)})")
        close()
        return lines

    def _groups(self, calls: Sequence[Call]) -> Iterator[tuple[list[Call], bool]]:
        """The calls in order, in groups that can run in blocks; and whether blocks are worth it."""
        position = 0
        while position < len(calls):
            look()
            first = calls[position]
            group = self._group(calls, position) if first.is_large else [first]
            yield group, first.is_large and pays([call.kernel.cost for call in group], first.out.spec.size)
            position += len(group)

    def _text(self, operand: Operand, memory: str) -> str:
        if operand.constant is not None:
            return self._constant(operand.constant)
        return operand.name or f"{memory}[{operand.slot}]"

    def _group(self, calls: Sequence[Call], position: int) -> list[Call]:
        """The calls from ``position`` on that can run in blocks: all on the same shape, and no call of the group writes to
        the memory of an array that another reads other than row for row."""
        shape = calls[position].out.spec.shape
        written, fixed = set[int](), set[int]()
        group: list[Call] = []
        for k in range(position, len(calls)):
            call = calls[k]
            if not call.is_large or call.out.spec.shape != shape:
                break
            across = {self._block(x) for x in call.inputs if x.slot >= 0 and not self._by_row(x, shape)}
            target = {self._block(call.out)} if call.out.slot >= 0 else set()
            if across & (written | target) or target & (fixed | across):
                break
            written |= target
            fixed |= across
            group.append(call)
        return group or [calls[position]]

    def _by_row(self, operand: Operand, shape: Sequence[int]) -> bool:
        return operand.spec.shape == shape and self.layout.slots[operand.slot].block >= 0

    def _block(self, operand: Operand) -> int:
        slot = self.layout.slots[operand.slot]
        while slot.block < 0:
            slot = self.layout.slots[slot.source]
        return slot.block
