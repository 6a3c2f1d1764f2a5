"""Source of a compiled plan: a generator function over numbers and arrays.

Single float64 numbers are Python floats, and ops on them expressions. Arrays lie in slots of a `Workspace`; a call whose
arguments are all slots is bound to them beforehand, and such calls in a row are a loop. Arguments of a run, and results of
forwards that allocate their own memory, are local variables. Values leave by ``yield index, value``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.buffers import GIVEN_BYTES, SHARED_BYTES, Layout
from gradproof.engine.compiled.kernels import Kernel
from gradproof.engine.compiled.parts import functions
from gradproof.engine.compiled.schedule import CHECK, Call, Operand, Recipe, Schedule
from gradproof.engine.compiled.simplify import Cut, Simplified
from gradproof.engine.compiled.survey import Survey
from gradproof.engine.errors import Cancelled
from gradproof.engine.kernels import NO_KERNELS, Kernels
from gradproof.engine.scalars import NAMES, is_number, may_raise, scalar_call
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Instruction


@dataclass
class Written:
    """The function, the layout of its workspace, the recipes of its bound calls, and the specs of the arrays that leave."""

    function: Callable[..., Any]
    layout: Layout
    recipes: list[Recipe]
    outputs: list[Spec]
    text: str
    arrays: bool
    """True if the function calls NumPy."""


def write(
    program: Simplified, arguments: Mapping[int, str], careful: bool = False, registered: Kernels = NO_KERNELS
) -> Written:
    """Write the function ``run(R, W, P, O, X, C)``: readable and writable slots, bound calls, makers of outputs, the
    arguments of the run, and its cancellation. ``arguments``: by value the expression of an argument over ``X``.
    ``careful``: where an expression may raise, NumPy is asked. ``registered``: the kernels of plugins in use."""
    return _Writer(program, arguments, careful, registered).write()


def matches(value: Any, spec: Spec) -> Any:
    """Mark an array that an op allocated itself as read-only. Raises TypeError unless it is an array of ``spec``."""
    if value.shape != spec.shape or value.dtype != spec.dtype:
        raise TypeError(f"returned {value.dtype}{list(value.shape)}; {spec.dtype}{list(spec.shape)} was inferred")
    if type(value) is np.ndarray:
        if not value.flags.c_contiguous:
            value = np.ascontiguousarray(value)
        value.flags.writeable = False
        return value
    return np.asarray(value)


class _Writer:
    """Writes the lines of the function, item by item."""

    def __init__(self, program: Simplified, arguments: Mapping[int, str], careful: bool, registered: Kernels) -> None:
        self.program, self.specs, self.arguments, self.careful = program, program.specs, arguments, careful
        self.survey = Survey(program, registered)
        self.layout = Layout()
        self.schedule = Schedule(self.layout, self._function, self._constant)
        self.outputs: list[Spec] = []
        self.lines: list[str] = []
        self.names: dict[str, Any] = dict(NAMES) | {"matches": matches, "asarray": np.asarray, "Cancelled": Cancelled}
        self._functions: dict[int, str] = {}
        self._constants: dict[int, str] = {}
        self._allocated: set[int] = set()  # values whose memory a forward allocated
        self._given: set[int] = set()  # values that leave with a block of the workspace
        self._slot: dict[int, int] = {}  # of values in the workspace
        self._variable: dict[int, str] = {}  # of arrays elsewhere
        self._number: dict[int, str] = {}  # expressions of Python numbers

    def write(self) -> Written:
        """The whole function."""
        self._arguments()
        for position, item in enumerate(watched(self.program.items)):
            if isinstance(item, Cut):
                self._cut(item)
            else:
                self._instruction(position, item)
            for owner in self.survey.ends.get(position, ()):
                self._release(owner)
        self._flush()
        texts = list(functions(self.lines))
        for text in watched(texts):
            exec(compile(text, "<compiled plan>", "exec"), self.names)
        arrays = self.careful or self.survey.uses_arrays
        return Written(self.names["run"], self.layout, self.schedule.recipes, self.outputs, "\n".join(texts), arrays)

    def _arguments(self) -> None:
        """Name arguments and constants."""
        for number, expression in watched(self.arguments.items()):
            if number in self.survey.last_use:
                self.lines.append(f"a{number} = {expression}")
                self._variable[number] = f"a{number}"
                if self.survey.wants_number(number):
                    kind = "bool" if self.specs[number].dtype.kind == "b" else "float"
                    self.lines.append(f"v{number} = {kind}(a{number})")
                    self._number[number] = f"v{number}"
        for number, array in watched(self.program.constants.items()):
            self._variable[number] = self._constant(array)
            if is_number(self.specs[number]):
                text = repr(array.item())
                self._number[number] = f"({text})" if text.startswith("-") else text

    def _release(self, owner: int) -> None:
        if owner in self._given:
            return
        slot = self._slot.get(owner)
        if slot is not None and self.layout.slots[slot].block >= 0:
            self.layout.release(self.layout.slots[slot].block)
        elif owner in self._allocated:
            self._flush()
            self.lines.append(f"{self._variable[owner]} = None")

    def _flush(self) -> None:
        self.lines.extend(self.schedule.flush())

    def _cut(self, cut: Cut) -> None:
        number = cut.number
        if number in self._number:
            value = self._number[number]
        else:
            self._flush()
            own = self._variable.get(number) == f"o{number}"
            value = self._read(number) if own else f"{self._read(number)}.copy()"
            if number in self._given:
                value = f"W[{self._slot[number]}]"
        if not cut.hooked:
            self.lines.append(f"yield {cut.index}, {value}")
            return
        final = cut.final
        assert final is not None
        self.lines.append(f"a{final} = yield {cut.index}, {value}")
        self._variable[final] = f"a{final}"
        if self.survey.wants_number(final):
            self.lines.append(f"v{final} = a{final}.item()")
            self._number[final] = f"v{final}"

    def _instruction(self, position: int, instruction: Instruction) -> None:
        form = self.survey.forms[position]
        if form is not None:
            self._expression(instruction, form)
            return
        if instruction.op.view:
            self._view(instruction)
            return
        kernel = self.survey.kernels[position]
        if kernel is None:
            self._opaque(instruction)
            return
        (out,) = instruction.outputs
        spec = self.specs[out]
        inputs = tuple([self._operand(k) for k in instruction.inputs])
        if out in self.survey.leaving and spec.nbytes >= GIVEN_BYTES:
            given = self.layout.give(spec, self._in_place(kernel, instruction, position))
            if given is not None:
                self._slot[out] = given
                self._given.add(out)
                self.schedule.add(Call(kernel, inputs, Operand(spec, given)))
                return
        if out in self.survey.leaving and not is_number(spec):
            self.lines.append(f"o{out} = O[{len(self.outputs)}]()")
            self.outputs.append(spec)
            self._variable[out] = f"o{out}"
            self.schedule.add(Call(kernel, inputs, Operand(spec, name=f"o{out}")))
            return
        slot = self._slot[out] = self.layout.place(spec, self._in_place(kernel, instruction, position))
        self.schedule.add(Call(kernel, inputs, Operand(spec, slot)))
        self._number_of(out)

    def _operand(self, number: int) -> Operand:
        place, spec = self._array(number), self.specs[number]
        if isinstance(place, int):
            return Operand(spec, place)
        if number in self.program.constants:
            return Operand(spec, constant=self.program.constants[number])
        return Operand(spec, name=place)

    def _expression(self, instruction: Instruction, form: str) -> None:
        (out,) = instruction.outputs
        arguments = [self._number[k] for k in instruction.inputs]
        text = form.format(*arguments)
        if self.careful and may_raise(form):
            call = scalar_call(form, instruction.op, len(arguments), self.specs[out], instruction.attributes)
            text = f"{self._function(call)}({', '.join(arguments)}).item()"
        self.lines.append(f"v{out} = {text}")
        self._number[out] = f"v{out}"

    def _number_of(self, out: int) -> None:
        """The Python number in a 0-d array, if the value is read as a number."""
        if self.survey.wants_number(out):
            self._flush()
            self.lines.append(f"v{out} = {self._read(out)}.item()")
            self._number[out] = f"v{out}"

    def _in_place(self, kernel: Kernel, instruction: Instruction, position: int) -> int | None:
        """The block of an input that is read here for the last time and has the size of the result."""
        (out,) = instruction.outputs
        spec = self.specs[out]
        if not kernel.overlaps or spec.nbytes <= SHARED_BYTES:
            return None
        for number in instruction.inputs:
            source, slot = self.specs[number], self._slot.get(number)
            if (
                slot is None
                or number in self._given
                or self.layout.slots[slot].block < 0
                or self.survey.last_use.get(number) != position
            ):
                continue
            if source.shape == spec.shape and source.dtype == spec.dtype and number in self.survey.ends.get(position, ()):
                self.survey.ends[position].remove(number)
                return self.layout.slots[slot].block
        return None

    def _view(self, instruction: Instruction) -> None:
        (out,), (source,) = instruction.outputs, instruction.inputs
        view = (
            partial(instruction.op.forward, **instruction.attributes) if instruction.attributes else instruction.op.forward
        )
        place = self._array(source)
        if isinstance(place, int):
            if _is_view(self.layout, place, view):
                self._slot[out] = self.layout.view(place, self.specs[out], view)
                self._number_of(out)
                return
            place = f"R[{place}]"
        self._flush()
        self.lines.append(f"a{out} = {self._function(view)}({place})")
        self._variable[out] = f"a{out}"
        self._number_of(out)

    def _opaque(self, instruction: Instruction) -> None:
        """Call a forward that allocates its own memory."""
        call = (
            partial(instruction.op.forward, **instruction.attributes) if instruction.attributes else instruction.op.forward
        )
        arguments = [k if isinstance(k, str) else f"R[{k}]" for k in map(self._array, instruction.inputs)]
        self._flush()
        outs = [f"a{out}" for out in instruction.outputs]
        self.lines.append(CHECK)
        self.lines.append(f"{', '.join(outs)} = {self._function(call)}({', '.join(arguments)})")
        for out, name in zip(instruction.outputs, outs, strict=True):
            self.names[f"s{out}"] = self.specs[out]
            self.lines.append(f"{name} = matches({name}, s{out})")
            self._variable[out] = name
            if self.specs[out].nbytes > SHARED_BYTES:
                self._allocated.add(out)
            self._number_of(out)

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
        variable = self._variable.get(number)
        return variable if variable is not None else f"R[{self._slot[number]}]"

    def _array(self, number: int) -> int | str:
        """The slot of a value, or the name of a variable."""
        variable = self._variable.get(number)
        if variable is not None:
            return variable
        slot = self._slot.get(number)
        if slot is None:  # a number that is read as an array is written to a slot
            slot = self._slot[number] = self.layout.place(self.specs[number])
            self.lines.append(f"W[{slot}][()] = {self._number[number]}")
        return slot


def _is_view(layout: Layout, slot: int, view: Callable[[Array], Array]) -> bool:
    """True if a forward gives a view of the array in a slot: tried on an array of the same layout."""
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
