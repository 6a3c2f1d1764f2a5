"""A session as a stream of frames."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from tests.support.server_fixture import Served, leaf, node, request

from gradproof.client.decoding import EventDecoder
from gradproof.client.events import Gradient
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2
from gradproof.wire import chunks


def one_by_one(answer: pb.SessionResponse) -> Iterator[pb.SessionResponse]:
    """Events that came together, each by itself."""
    if answer.HasField("status"):
        assert not answer.events
        yield answer
    for event in answer.events:
        yield pb.SessionResponse(request_id=answer.request_id, events=[event])


class SessionStream:
    """A session: frames go out as they are said, answers come as they are read."""

    def __init__(self, served: Served) -> None:
        self._frames: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        self._heard: deque[pb.SessionResponse] = deque()
        self._answers = served.autodiff.Session(iter(self._frames.get, None), timeout=60)

    def say(self, **frame: Any) -> None:
        self._frames.put(pb.SessionRequest(**frame))

    def upload(self, array: Any, number: int) -> None:
        for part in chunks(array, number):
            if isinstance(part, tensor_pb2.TensorHeader):
                self.say(header=part)
            else:
                self.say(chunk=part)

    def hear(self) -> pb.SessionResponse:
        """The next answer, with one event at most."""
        if not self._heard:
            self._heard.extend(one_by_one(next(self._answers)))
        return self._heard.popleft()

    def hear_run(self, request_id: str) -> list[pb.Event]:
        """The events of a run, up to its summary; nothing else may be said meanwhile."""
        events: list[pb.Event] = []
        while not events or events[-1].WhichOneof("kind") != "summary":
            answer = self.hear()
            assert (answer.request_id, answer.HasField("status")) == (request_id, False), answer
            events.extend(answer.events)
        return events

    def end(self) -> list[pb.SessionResponse]:
        """Say no more, and hear the rest."""
        self._frames.put(None)
        return [*self._heard, *(event for answer in self._answers for event in one_by_one(answer))]

    def leave(self) -> None:
        """Hang up in the middle."""
        self._answers.cancel()
        self._frames.put(None)


def square(request_id: str, x: float) -> pb.DifferentiateRequest:
    """A request for the derivative of x^2."""
    return request([leaf("x", np.float64(x))], [node("square", "x", "y")], "y", request_id=request_id)


def gradients(events: list[pb.Event]) -> dict[str, Any]:
    """The gradients in the events of a run, by name."""
    decoder = EventDecoder()
    decoded = [part for event in events for part in decoder.decode(event)]
    return {part.value: part.gradient for part in decoded if isinstance(part, Gradient)}
