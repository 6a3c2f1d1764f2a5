"""Compiled plans of an engine: compiled when a plan runs for the second time, and bounded in number and bytes.

A short plan is compiled in that run, a long plan in the background, while the interpreter answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from threading import Lock
from typing import ClassVar, Final

from gradproof.engine.compiled.background import Background
from gradproof.engine.compiled.compiled import MAX_FAILURES, Compiled, Variant
from gradproof.engine.lru import Bound, LRUCache
from gradproof.engine.plan import Plan
from gradproof.engine.plugin_errors import reraise_own


class Plans(StrEnum):
    """The policy by which plans are compiled; a server's setting ``plans``."""

    AUTO = "auto"
    """From the second run on, from the first where that is large, or when a long plan has been compiled in the background.
    Runs whose values the checks need are interpreted."""
    ALWAYS = "always"
    """From the first run on; where the checks need values, both executors run and are compared bit by bit."""
    NEVER = "never"
    """All runs are interpreted."""


MAX_ITEMS: Final = 50_000  # instructions of a plan that is compiled: source of more takes seconds

AT_ONCE: Final = 200  # instructions of a plan that is compiled while a run waits: some 20 milliseconds

LARGE_BYTES: Final = 16 << 20  # of the values of a run, of which its interpreter would need a multiple

MAX_INSTRUCTIONS: Final = 500_000  # of all plans that are kept: each takes about 0.8 KB

_log = logging.getLogger(__name__)


@dataclass
class _Entry:
    runs: int = 0
    compiled: Compiled | None = None
    interpreted: bool = False
    compiling: bool = False

    @property
    def nbytes(self) -> int:
        return self.compiled.nbytes if self.compiled else 0

    @property
    def instructions(self) -> int:
        return len(self.compiled.plan.program.instructions) if self.compiled else 0


class Compilations:
    """Compiled plans by `Plan` and `Variant`; those used least recently are dropped when there are more than ``max_plans``,
    when all together have more than ``max_instructions``, or when their workspaces hold more than ``max_bytes``. Without
    ``plans`` the policy is ``default``."""

    default: ClassVar[Plans] = Plans.AUTO

    def __init__(
        self,
        plans: Plans | None = None,
        max_plans: int = 256,
        max_bytes: int = 1 << 29,
        max_instructions: int = MAX_INSTRUCTIONS,
    ) -> None:
        self.plans = plans or self.default
        self._background, self._lock = Background(), Lock()
        self._entries: LRUCache[tuple[Plan, Variant], _Entry] = LRUCache(
            max_plans,
            Bound(lambda entry: entry.nbytes, max_bytes),
            Bound(lambda entry: entry.instructions, max_instructions),
        )

    def find(self, plan: Plan, variant: Variant) -> Compiled | None:
        """The compiled plan for the next run, or None if that is to be interpreted."""
        if not self._may_compile(plan):
            return None
        entry = self._entries.setdefault((plan, variant), _Entry())
        entry.runs += 1
        compiled = entry.compiled
        if compiled is not None and (compiled.careful or compiled.failures < MAX_FAILURES):
            return compiled
        if entry.interpreted:
            return None
        early = entry.runs < 2 and self.plans is Plans.AUTO and not _is_large(plan)
        if compiled is None and early:
            self._entries.trim()
            return None
        compile_entry = partial(self._compile, entry, plan, variant, careful=compiled is not None)
        if self.plans is Plans.AUTO and len(plan.program.instructions) > AT_ONCE:
            with self._lock:
                waits, entry.compiling = entry.compiling, True
            if not waits and not self._background.submit(compile_entry):
                entry.compiling = False
            return None
        compile_entry()
        return entry.compiled

    def _compile(self, entry: _Entry, plan: Plan, variant: Variant, *, careful: bool) -> None:
        """Compile a plan for its entry. Raises Cancelled, and, if plans are always compiled, any exception."""
        try:
            entry.compiled = Compiled(plan, variant, careful=careful)
        except BaseException as error:  # a run never fails for the sake of speed
            reraise_own(error)
            if self.plans is Plans.ALWAYS:
                raise
            _log.exception("a plan could not be compiled; its runs are interpreted")
            entry.interpreted, entry.compiled = True, None
        finally:
            entry.compiling = False
        self._entries.trim()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until no plan is compiled in the background; False if that takes longer than ``seconds``."""
        return self._background.wait(seconds)

    def close(self) -> None:
        """Compile nothing more in the background; runs go on, interpreted where they are not compiled yet."""
        self._background.close()

    def held(self, plan: Plan, variant: Variant) -> Callable[[], Compiled | None]:
        """A function that gives the plan for each run, compiled now and held by it, or None where plans of this size, or by
        this policy, are interpreted. After `MAX_FAILURES` it is compiled anew, to be careful."""
        if not self._may_compile(plan):
            return lambda: None
        held = Compiled(plan, variant)

        def find() -> Compiled:
            nonlocal held
            if held.failures >= MAX_FAILURES and not held.careful:
                held = Compiled(plan, variant, careful=True)
            return held

        return find

    def _may_compile(self, plan: Plan) -> bool:
        return self.plans is not Plans.NEVER and len(plan.program.instructions) <= MAX_ITEMS


def _is_large(plan: Plan) -> bool:
    """True if a run takes much memory, and is short enough to be compiled while it waits."""
    return len(plan.program.instructions) <= AT_ONCE and plan.cost.nbytes >= LARGE_BYTES
