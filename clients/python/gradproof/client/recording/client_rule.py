"""Rules that run here, in place of the rules of ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gradproof.client.recording.recorded import Recorded


@dataclass(frozen=True)
class Reference:
    """The outputs of a node recorded once more, from stand-ins for its inputs (by their positions).

    Attributes:
        outputs: the outputs.
        inputs: the stand-ins.
        arguments: the numbers that the caller knows inputs by, where these are not their positions.
    """

    outputs: Sequence[Recorded]
    inputs: Mapping[int, Recorded]
    arguments: Mapping[int, int] = field(default_factory=dict)


class ClientRule(Protocol):
    """A rule that runs here, in place of the rule of an op.

    Attributes:
        name: the name of the backward node; empty for that of the op.
        saves: whether it needs values of the forward pass.
    """

    name: str
    saves: bool

    @property
    def push(self) -> Callable[[Any, Mapping[int, Recorded]], Mapping[int, Recorded]] | None:
        """The tangents of the outputs of a node by their slots, of those of its inputs by their positions; None where a
        rule goes backward only."""

    def __call__(
        self, node: Any, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]
    ) -> Mapping[int, Recorded]:
        """The gradients of the inputs of ``node`` at ``positions``; none where no gradient flows on."""

    def reference(self, node: Any) -> Reference | str:
        """The computation that the gradients are compared with, or the reason why there is none."""
