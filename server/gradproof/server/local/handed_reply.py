"""Reply to a repeated request as the client's events: all but arrays and the time are made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.client import events
from gradproof.client.decoding import decode_accepted, decode_summary
from gradproof.engine.spec import Array, DType
from gradproof.server.requests.reply import Reply
from gradproof.v1 import autodiff_service_pb2 as pb


class HandedReply:
    """The reply to requests of a form, in this process."""

    def __init__(self, reply: Reply) -> None:
        self._accepted = decode_accepted(reply.accepted)
        self._summary = decode_summary(pb.RunSummary(nodes_computed=reply.nodes_computed))
        self._values = [(name, spec.dtype) for name, spec in reply.fetched]
        self._gradients = [
            (name, None if spec is None else spec.dtype, reply.grad_fn.get(name, "")) for name, spec in reply.gradients
        ]

    def events(self, results: Sequence[Any], seconds: float) -> list[events.Event]:
        """The events of a run with these results, which took so many seconds."""
        made: list[events.Event] = [self._accepted]
        made += [events.Value(name, _read_only(results[k], dtype)) for k, (name, dtype) in enumerate(self._values)]
        for k, (name, dtype, grad_fn) in enumerate(self._gradients, len(made) - 1):
            gradient = None if dtype is None else _read_only(results[k], dtype)
            made.append(events.Gradient(name, gradient, gradient, (), grad_fn))
        made.append(replace(self._summary, run_seconds=seconds))
        return made


def _read_only(result: Any, dtype: DType) -> Array:
    array: Array = result.view() if isinstance(result, np.ndarray) else np.array(result, dtype)
    array.flags.writeable = False
    return array
