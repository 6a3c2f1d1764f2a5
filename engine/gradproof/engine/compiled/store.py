"""The compiled plans of an engine: made when a plan runs for the second time, and bounded in number and bytes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, ClassVar, Final

from gradproof.engine.compiled.compiled import MAX_FAILURES, Compiled, Variant
from gradproof.engine.plan import Plan
from gradproof.engine.plugin_errors import foreign


class Plans(StrEnum):
    """When plans are compiled. A server has it from its setting ``plans``."""

    AUTO = "auto"
    """From the second run on. Runs whose values the checks need are interpreted."""
    ALWAYS = "always"
    """From the first run on; where the checks need values, both run and are compared bit by bit."""
    NEVER = "never"
    """All runs are interpreted."""


MAX_ITEMS: Final = 50_000  # instructions of a plan that is compiled: source of more takes seconds

MAX_INSTRUCTIONS: Final = 500_000  # of all plans that are kept: each takes about 0.8 KB

_log = logging.getLogger(__name__)


@dataclass
class _Entry:
    runs: int = 0
    compiled: Compiled | None = None
    interpreted: bool = False


class Compilations:
    """Compiled plans by graph, cuts and `Variant`; the least recently used leave when there are more than ``max_plans``,
    when all together have more than ``max_instructions``, or when their workspaces hold more than ``max_bytes``. Left out,
    ``plans`` is ``default``."""

    default: ClassVar[Plans] = Plans.AUTO

    def __init__(
        self,
        plans: Plans | None = None,
        max_plans: int = 256,
        max_bytes: int = 1 << 29,
        max_instructions: int = MAX_INSTRUCTIONS,
    ) -> None:
        self.plans = plans or self.default
        self.max_plans, self.max_bytes, self.max_instructions = max_plans, max_bytes, max_instructions
        self._entries: OrderedDict[Any, _Entry] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Any, plan: Plan, variant: Variant) -> Compiled | None:
        """The compiled plan for the next run, or None where that is to be interpreted."""
        if self.plans is Plans.NEVER or len(plan.program.instructions) > MAX_ITEMS:
            return None
        with self._lock:
            entry = self._entries.setdefault((key, variant), _Entry())
            self._entries.move_to_end((key, variant))
            entry.runs += 1
            compiled, runs = entry.compiled, entry.runs
        if compiled is not None and (compiled.careful or compiled.failures < MAX_FAILURES):
            return compiled
        if entry.interpreted or (compiled is None and runs < 2 and self.plans is Plans.AUTO):
            self._trim()
            return None
        try:
            entry.compiled = Compiled(plan, variant, careful=compiled is not None)
        except BaseException as error:  # a run never fails for the sake of speed
            foreign(error)
            if self.plans is Plans.ALWAYS:
                raise
            _log.exception("a plan could not be compiled; its runs are interpreted")
            entry.interpreted = True
            return None
        self._trim()
        return entry.compiled

    def _trim(self) -> None:
        with self._lock:
            compiled = [entry.compiled for entry in self._entries.values() if entry.compiled]
            held = sum(plan.nbytes for plan in compiled)
            instructions = sum(len(plan.plan.program.instructions) for plan in compiled)
            while len(self._entries) > self.max_plans or (
                (held > self.max_bytes or instructions > self.max_instructions) and len(self._entries) > 1
            ):
                _, entry = self._entries.popitem(last=False)
                if entry.compiled:
                    held -= entry.compiled.nbytes
                    instructions -= len(entry.compiled.plan.program.instructions)
