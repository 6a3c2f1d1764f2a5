"""Runs in the caller's thread, for clients of this process: requests as messages, results as the client's own types."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import grpc

from gradproof.client import events
from gradproof.client.decoding import EventDecoder, decode_accepted, decode_summary
from gradproof.engine.errors import Cancelled, GradproofError
from gradproof.engine.spec import Array
from gradproof.server.calls.calls import CURRENT
from gradproof.server.calls.status import status_of, unexpected
from gradproof.server.local.direct_context import DirectContext, DirectHooks, DirectSession
from gradproof.server.local.direct_handler import DirectHandler, HandedEvents, handed
from gradproof.server.local.driving import driven, driven_items
from gradproof.server.local.handed_reply import HandedReply
from gradproof.server.local.local_calls import EndedCall
from gradproof.server.runs.admission import SMALL_SECONDS
from gradproof.server.runs.prepared_request import PreparedRequest
from gradproof.v1 import autodiff_service_pb2 as pb

T = TypeVar("T")
Functions = Mapping[int, Callable[[Array], Array | None]]
"""Hooks of a run by their ids."""


class DirectRuns:
    """Runs of a handler. Raises EndedCall, with the status that a servicer gives; and what a hook raises."""

    def __init__(self, handler: DirectHandler) -> None:
        self._handler = handler
        self._owners = itertools.count(1)
        self._replies: WeakKeyDictionary[PreparedRequest, HandedReply] = WeakKeyDictionary()

    def session(self) -> DirectSession:
        """A new session, for saved values."""
        return DirectSession(self._handler.forward_cache, -next(self._owners))  # those of streams count upwards

    def differentiate(
        self,
        request: pb.DifferentiateRequest,
        functions: Functions,
        session: DirectSession | None,
        left: float | None,
    ) -> Iterator[events.Event]:
        """The events of a run. ``left``: seconds that it may take."""
        repeated = self._repeated(request)
        if repeated is not None:
            yield from repeated
            return
        hooks, decoder, fault = DirectHooks(functions), EventDecoder(), None
        context: Any = DirectContext(hooks, session) if session is not None else None
        if session is None and functions:
            context = DirectContext(hooks, self.session())
        run = self._handler.differentiate(request, {}, chunked=True, session=context, left=left)
        try:
            for event in driven_items(run):
                if isinstance(event, HandedEvents):
                    yield from event.events
                    continue
                fault = event.fault if event.HasField("fault") else fault
                yield from decoder.decode(event)
        except Exception as error:
            if error is hooks.raised:
                raise
            raise self._ended(error, request.input.request_id, fault) from error

    def evaluate(
        self, request: pb.EvaluateRequest, session: DirectSession | None, left: float | None
    ) -> Iterator[events.Event]:
        """The values that the request fetches, between the events around them."""
        repeated = self._repeated(request)
        if repeated is not None:
            yield from repeated
            return
        saves = request.input.save_as or request.input.reuse or request.input.WhichOneof("source") == "saved"
        owner = session if session is not None or saves else self.session()
        context: Any = None if owner is None else DirectContext(DirectHooks({}), owner)
        try:
            evaluated = driven(self._handler.evaluate(request, {}, context, left=left))
        except Exception as error:
            raise self._ended(error, request.input.request_id) from error
        yield decode_accepted(evaluated.accepted)
        yield from map(handed, evaluated.values)
        yield decode_summary(evaluated.summary)

    def _repeated(self, request: pb.DifferentiateRequest | pb.EvaluateRequest) -> list[events.Event] | None:
        """The events of a request that came before and is short; None where it is to be handled as a new request."""
        recalled = self._handler.recall(request)
        if recalled is None or recalled.prepared.function.cost.seconds > SMALL_SECONDS:
            return None
        try:
            results = recalled.prepared.run(recalled.arguments)
        except Exception:  # the run of a new request names the fault
            return None
        prepared = recalled.prepared
        reply = self._replies.get(prepared)
        if reply is None:
            reply = self._replies[prepared] = HandedReply(prepared.reply)
        return reply.events(results.values, results.seconds)

    def infer(self, request: pb.InferRequest, left: float | None, request_id: str) -> pb.InferResponse:
        """As `Handler.infer`."""
        return self._answer(self._handler.infer(request, left), request_id)

    def derive(self, request: pb.DeriveRequest, left: float | None, request_id: str) -> pb.DeriveResponse:
        """As `Handler.derive`."""
        return self._answer(self._handler.derive(request, left), request_id)

    def _answer(self, answer: Coroutine[Any, Any, T], request_id: str) -> T:
        try:
            return driven(answer)
        except Exception as error:
            raise self._ended(error, request_id) from error

    def _ended(self, error: Exception, request_id: str, fault: pb.RunFault | None = None) -> EndedCall:
        """The error as a call has it."""
        if isinstance(error, Cancelled):
            return EndedCall(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        token = CURRENT.set(replace(CURRENT.get(), request_id=request_id))
        try:
            return EndedCall.of(status_of(error) if isinstance(error, GradproofError) else unexpected(error), fault)
        finally:
            CURRENT.reset(token)
