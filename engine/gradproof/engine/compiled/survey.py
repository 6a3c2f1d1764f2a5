"""Survey of a simplified program: the way each instruction is computed, and how long each value is needed."""

from __future__ import annotations

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.kernels import Kernel, kernel_of
from gradproof.engine.compiled.simplify import Cut, Simplified
from gradproof.engine.kernels import NO_KERNELS, Kernels
from gradproof.engine.scalars import is_number, scalar_form
from gradproof.engine.trace import Instruction


class Survey:
    """Facts of a program that its source is written from.

    An owner of a value is a value whose memory it may lie in: of a view its source, of the result of a forward without a
    kernel itself and its inputs, since forward may return a view of them.

    Attributes:
        registered: the kernels of plugins in use.
        forms: by position the scalar form of an instruction, None if it is computed on arrays.
        kernels: by position the kernel of an instruction on arrays, None if only its forward can compute it.
        last_use: by owner the position of the last item that reads its memory.
        ends: by position the owners whose memory is free behind it.
        as_number: values that are read as Python numbers.
        leaving: values that leave the run.
    """

    def __init__(self, program: Simplified, registered: Kernels = NO_KERNELS) -> None:
        self.registered = registered
        self.specs = program.specs
        self.forms: dict[int, str | None] = {}
        self.kernels: dict[int, Kernel | None] = {}
        self.last_use: dict[int, int] = {}
        self.ends: dict[int, list[int]] = {}
        self.as_number: set[int] = set()
        self.leaving: set[int] = set()
        self._owners: dict[int, tuple[int, ...]] = {}
        for position, item in enumerate(watched(program.items)):
            if isinstance(item, Cut):
                self._cut(position, item)
            else:
                self._instruction(position, item)
        for owner, position in watched(self.last_use.items()):
            self.ends.setdefault(position, []).append(owner)

    @property
    def uses_arrays(self) -> bool:
        """True if an instruction is computed on arrays."""
        return any(form is None for form in self.forms.values())

    def wants_number(self, value: int) -> bool:
        """True if a value is read as a Python number."""
        return value in self.as_number and is_number(self.specs[value])

    def _cut(self, position: int, cut: Cut) -> None:
        self.leaving.add(cut.number)
        if is_number(self.specs[cut.number]):
            self.as_number.add(cut.number)
        self._use(cut.number, position)

    def _instruction(self, position: int, instruction: Instruction) -> None:
        op, inputs, outputs, _ = instruction
        form = self.forms[position] = scalar_form(op, [self.specs[k] for k in inputs], [self.specs[k] for k in outputs])
        if form is not None:
            self.as_number.update(inputs)
        elif not op.view:
            self.kernels[position] = kernel_of(instruction, self.specs, self.registered)
        for number in inputs:
            self._use(number, position)
        fresh = form is not None or self.kernels.get(position) is not None
        sources = () if fresh else tuple({k for number in inputs for k in self._owners.get(number, ())})
        for output in outputs:
            self._owners[output] = (output,) if fresh else sources if op.view else (output, *sources)

    def _use(self, number: int, position: int) -> None:
        for owner in self._owners.get(number, (number,)):
            self.last_use[owner] = position
