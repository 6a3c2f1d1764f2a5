"""The source of a compiled plan: one generator function over numbers and arrays.

Single float64 numbers are Python floats, and their ops expressions. Arrays lie in slots of a `Workspace`; a call whose
arguments are all slots is bound to them beforehand, and a stretch of such calls is one loop. What a run brings (leaves) or
an op makes by itself is a local variable. Values leave by ``yield index, value``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.buffers import SHARED_BYTES, Layout
from gradproof.engine.compiled.kernels import Kernel, kernel_of
from gradproof.engine.compiled.parts import functions
from gradproof.engine.compiled.schedule import CHECK, Call, Operand, Recipe, Schedule
from gradproof.engine.compiled.simplify import Simplified, Stop
from gradproof.engine.errors import Cancelled
from gradproof.engine.scalars import NAMES, is_number, may_raise, scalar_call, scalar_form
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Instruction


@dataclass
class Written:
    """The function, the layout of its workspace, the recipes of its bound calls, and the specs of what leaves."""

    function: Callable[..., Any]
    layout: Layout
    recipes: list[Recipe]
    outputs: list[Spec]
    text: str
    arrays: bool
    """Whether NumPy is called."""


def write(made: Simplified, given: Mapping[int, str], careful: bool = False) -> Written:
    """Write the function ``run(R, W, P, O, X, C)``: readable and writable slots, bound calls, makers of outputs, the
    arrays that the run brings, and its cancellation. ``given``: the expression of each value that a run brings, over ``X``.
    ``careful``: where an expression may raise, NumPy is asked."""
    return _Writer(made, given, careful).write()


def matches(value: Any, spec: Spec) -> Any:
    """What an op made by itself, made read-only. Raises TypeError unless it is an array of ``spec``."""
    if value.shape != spec.shape or value.dtype != spec.dtype:
        raise TypeError(f"returned {value.dtype}{list(value.shape)}; {spec.dtype}{list(spec.shape)} was inferred")
    if type(value) is np.ndarray:
        if not value.flags.c_contiguous:
            value = np.ascontiguousarray(value)
        value.flags.writeable = False
        return value
    return np.asarray(value)


class _Writer:
    def __init__(self, made: Simplified, given: Mapping[int, str], careful: bool) -> None:
        self.made, self.specs, self.given, self.careful = made, made.specs, given, careful
        self.layout = Layout()
        self.stretches = Schedule(self.layout, self._function, self._constant)
        self.outputs: list[Spec] = []
        self.lines: list[str] = []
        self.names: dict[str, Any] = dict(NAMES) | {"matches": matches, "asarray": np.asarray, "Cancelled": Cancelled}
        self._functions: dict[int, str] = {}
        self._constants: dict[int, str] = {}
        self._made: set[int] = set()
        self._slot: dict[int, int] = {}
        self._loose: dict[int, str] = {}
        self._number: dict[int, str] = {}
        self._known: dict[int, str] = {}
        self._kernels: dict[int, Kernel | None] = {}
        self._forms: dict[int, str | None] = {}
        self._owners: dict[int, tuple[int, ...]] = {}
        self._last: dict[int, int] = {}
        self._ends: dict[int, list[int]] = {}
        self._as_array: set[int] = set()
        self._as_number: set[int] = set()
        self._leaves_run: set[int] = set()

    # how each instruction is done, and how long each value is needed

    def _survey(self) -> None:
        for position, item in enumerate(watched(self.made.items)):
            if isinstance(item, Stop):
                self._leaves_run.add(item.number)
                if is_number(self.specs[item.number]):
                    self._as_number.add(item.number)
                self._use(item.number, position)
                continue
            form = scalar_form(item.op, [self.specs[k] for k in item.inputs], [self.specs[k] for k in item.outputs])
            self._forms[position] = form
            (self._as_array if form is None else self._as_number).update(item.inputs)
            if form is None and not item.op.view:
                self._kernels[position] = kernel_of(item, self.specs)
            for number in item.inputs:
                self._use(number, position)
            fresh = form is not None or self._kernels.get(position) is not None
            behind = () if fresh else tuple({k for number in item.inputs for k in self._owners.get(number, ())})
            for out in item.outputs:
                self._owners[out] = (out,) if fresh else behind if item.op.view else (out, *behind)
        for owner, position in watched(self._last.items()):
            self._ends.setdefault(position, []).append(owner)

    def _use(self, number: int, position: int) -> None:
        for owner in self._owners.get(number, (number,)):
            self._last[owner] = position

    # the text

    def write(self) -> Written:
        self._survey()
        for number, expression in watched(self.given.items()):
            if number in self._last:
                self.lines.append(f"a{number} = {expression}")
                self._loose[number] = f"a{number}"
                if number in self._as_number and is_number(self.specs[number]):
                    self.lines.append(
                        f"v{number} = {(self.specs[number].dtype.kind == 'b' and 'bool') or 'float'}(a{number})"
                    )
                    self._number[number] = f"v{number}"
        for number, array in watched(self.made.constants.items()):
            self._loose[number] = self._constant(array)
            if is_number(self.specs[number]):
                text = repr(array.item())
                self._number[number] = f"({text})" if text.startswith("-") else text
        for position, item in enumerate(watched(self.made.items)):
            if isinstance(item, Stop):
                self._stop(item)
            else:
                self._instruction(position, item)
            for owner in self._ends.get(position, ()):
                self._release(owner)
        self._flush()
        texts = list(functions(self.lines))
        for text in watched(texts):
            exec(compile(text, "<compiled plan>", "exec"), self.names)
        arrays = self.careful or any(form is None for form in self._forms.values())
        return Written(self.names["run"], self.layout, self.stretches.recipes, self.outputs, "\n".join(texts), arrays)

    def _release(self, owner: int) -> None:
        slot = self._slot.get(owner)
        if slot is not None and self.layout.slots[slot].block >= 0:
            self.layout.release(self.layout.slots[slot].block)
        elif owner in self._made:
            self._flush()
            self.lines.append(f"{self._loose[owner]} = None")

    def _flush(self) -> None:
        self.lines.extend(self.stretches.flush())

    def _stop(self, item: Stop) -> None:
        number = item.number
        if number in self._number:
            value = self._number[number]
        else:
            self._flush()
            own = self._loose.get(number) == f"o{number}"
            value = self._read(number) if own else f"{self._read(number)}.copy()"
        if not item.hooked:
            self.lines.append(f"yield {item.index}, {value}")
            return
        final = item.final
        assert final is not None
        self.lines.append(f"a{final} = yield {item.index}, {value}")
        self._loose[final] = f"a{final}"
        if final in self._as_number and is_number(self.specs[final]):
            self.lines.append(f"v{final} = a{final}.item()")
            self._number[final] = f"v{final}"

    def _instruction(self, position: int, one: Instruction) -> None:
        form = self._forms[position]
        if form is not None:
            self._expression(one, form)
            return
        if one.op.view:
            self._view(one)
            return
        kernel = self._kernels[position]
        if kernel is None:
            self._opaque(one)
            return
        (out,) = one.outputs
        spec = self.specs[out]
        inputs = tuple([self._operand(k) for k in one.inputs])
        if out in self._leaves_run and not is_number(spec):
            self.lines.append(f"o{out} = O[{len(self.outputs)}]()")
            self.outputs.append(spec)
            self._loose[out] = f"o{out}"
            self.stretches.add(Call(kernel, inputs, Operand(spec, name=f"o{out}")))
            return
        slot = self._slot[out] = self.layout.place(spec, self._in_place(kernel, one, position))
        self.stretches.add(Call(kernel, inputs, Operand(spec, slot)))
        self._number_of(out)

    def _operand(self, number: int) -> Operand:
        given, spec = self._array(number), self.specs[number]
        if isinstance(given, int):
            return Operand(spec, given)
        return (
            Operand(spec, constant=self.made.constants[number])
            if number in self.made.constants
            else Operand(spec, name=given)
        )

    def _expression(self, one: Instruction, form: str) -> None:
        (out,) = one.outputs
        arguments = [self._number[k] for k in one.inputs]
        text = form.format(*arguments)
        if self.careful and may_raise(form):
            call = scalar_call(form, one.op, len(arguments), self.specs[out], one.attributes)
            text = f"{self._function(call)}({', '.join(arguments)}).item()"
        self.lines.append(f"v{out} = {text}")
        self._number[out] = f"v{out}"

    def _number_of(self, out: int) -> None:
        """The Python number beside an array of one, where a number is wanted."""
        if out in self._as_number and is_number(self.specs[out]):
            self._flush()
            self.lines.append(f"v{out} = {self._read(out)}.item()")
            self._number[out] = f"v{out}"

    def _in_place(self, kernel: Kernel, one: Instruction, position: int) -> int | None:
        """The block of an input that is read here for the last time and has room for just the result."""
        (out,) = one.outputs
        spec = self.specs[out]
        if not kernel.overlaps or spec.nbytes <= SHARED_BYTES:
            return None
        for number in one.inputs:
            mine, slot = self.specs[number], self._slot.get(number)
            if slot is None or self.layout.slots[slot].block < 0 or self._last.get(number) != position:
                continue
            if mine.shape == spec.shape and mine.dtype == spec.dtype and number in self._ends.get(position, ()):
                self._ends[position].remove(number)
                return self.layout.slots[slot].block
        return None

    def _view(self, one: Instruction) -> None:
        (out,), (source,) = one.outputs, one.inputs
        view = partial(one.op.forward, **one.attributes) if one.attributes else one.op.forward
        given = self._array(source)
        if isinstance(given, int):
            if _is_view(self.layout, given, view):
                self._slot[out] = self.layout.view(given, self.specs[out], view)
                self._number_of(out)
                return
            given = f"R[{given}]"
        self._flush()
        self.lines.append(f"a{out} = {self._function(view)}({given})")
        self._loose[out] = f"a{out}"
        self._number_of(out)

    def _opaque(self, one: Instruction) -> None:
        """An op with a forward that makes its own memory."""
        call = partial(one.op.forward, **one.attributes) if one.attributes else one.op.forward
        given = [k if isinstance(k, str) else f"R[{k}]" for k in map(self._array, one.inputs)]
        self._flush()
        outs = [f"a{out}" for out in one.outputs]
        self.lines.append(CHECK)
        self.lines.append(f"{', '.join(outs)} = {self._function(call)}({', '.join(given)})")
        for out, name in zip(one.outputs, outs, strict=True):
            self.names[f"s{out}"] = self.specs[out]
            self.lines.append(f"{name} = matches({name}, s{out})")
            self._loose[out] = name
            if self.specs[out].nbytes > SHARED_BYTES:
                self._made.add(out)
            self._number_of(out)

    # values

    def _constant(self, array: Array) -> str:
        name = self._constants.get(id(array))
        if name is None:
            name = self._constants[id(array)] = f"c{len(self._constants)}"
            self.names[name] = array
        return name

    def _function(self, call: Callable[..., Any]) -> str:
        name = self._functions.get(id(call))
        if name is None:
            name = self._functions[id(call)] = f"f{len(self._functions)}"
            self.names[name] = call
        return name

    def _read(self, number: int) -> str:
        loose = self._loose.get(number)
        return loose if loose is not None else f"R[{self._slot[number]}]"

    def _array(self, number: int) -> int | str:
        """The slot of a value, or the name of a variable."""
        loose = self._loose.get(number)
        if loose is not None:
            return loose
        slot = self._slot.get(number)
        if slot is None:  # a number that is wanted as an array: written to one
            slot = self._slot[number] = self.layout.place(self.specs[number])
            self.lines.append(f"W[{slot}][()] = {self._number[number]}")
        return slot


def _is_view(layout: Layout, slot: int, view: Callable[[Array], Array]) -> bool:
    """Whether a forward gives a view of what lies in a slot: tried on an array of the same layout."""
    chain = []
    while layout.slots[slot].view is not None:
        chain.append(layout.slots[slot].view)
        slot = layout.slots[slot].source
    spec = layout.slots[slot].spec
    base = array = np.empty(spec.shape, spec.dtype)
    for step in reversed(chain):
        assert step is not None
        array = step(array)
    return bool(np.may_share_memory(base, view(array))) or not base.size
