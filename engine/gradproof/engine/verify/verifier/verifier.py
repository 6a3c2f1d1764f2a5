"""Verifier of the runs over a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gradproof.engine.engine import Run
from gradproof.engine.registry import Registry
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.runs import KnownRules, Progress
from gradproof.engine.verify.verdict import GradientVerdict
from gradproof.engine.verify.verifier.check import CheckOptions, RunCheck
from gradproof.engine.verify.verifier.rule_verdicts import Proofs


@dataclass
class Verifier:
    """Checks runs over the ops of a registry. Thread-safe.

    Definitions are read by ``workers``; without workers they are read in this process, where a definition that does not
    end cannot be stopped.
    """

    registry: Registry
    proofs: Proofs
    workers: Workers | None = None
    rules: KnownRules = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.rules = KnownRules(self.registry)

    def check(
        self,
        run: Run,
        *,
        values: bool = True,
        wait: float = 0.0,
        budget: float = 5.0,
        gone: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> Iterator[GradientVerdict]:
        """A verdict for each requested gradient of the run, as each becomes final; None gradients come last.

        Args:
            values: check the numbers too.
            budget: seconds for all checks; gradients that are not checked by then are UNCHECKED.
            wait: seconds of the budget to wait in total for proofs that are not known yet, after the numbers are checked.
            gone: True once the caller no longer waits for verdicts; the check then ends.
            progress: counts that are updated while the check runs.
        """
        options = CheckOptions(values, budget, wait, gone, progress or Progress())
        return RunCheck(run, self.rules, self.proofs, self.workers, options).verdicts()
