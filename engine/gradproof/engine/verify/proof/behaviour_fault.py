"""The fault of an op that violates a behavioural requirement."""

from __future__ import annotations


class BehaviourFault(Exception):
    """Violation of a behavioural requirement (purity, linearity, kinks, ...). ``witness``: fields of a refuting verdict."""

    def __init__(self, reason: str, **witness: str) -> None:
        super().__init__(reason)
        self.witness = witness
