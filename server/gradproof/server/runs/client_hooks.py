"""Hooks that run at the client of a session. No thread waits for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gradproof.engine.errors import HookFault, InvalidRequest, Violation
from gradproof.engine.hooks import HookCall
from gradproof.engine.spec import Array
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import WireError, decode_tensor


@dataclass
class Question:
    """A hook call that the client has not answered yet."""

    call: HookCall
    reply: asyncio.Future[Array | HookFault | None]
    seconds: float

    async def answer(self) -> Array | HookFault | None:
        """The value with which the run is resumed: the new gradient, None for no change, or a fault to throw in."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self.reply
        except TimeoutError:
            return self._fault(f"did not answer within {self.seconds:g} s")

    def take(self, reply: pb.HookReply, chunked: Mapping[int, Array]) -> None:
        """Answer the question by the client's reply; ``chunked``: tensors that came in chunks, by id."""
        try:
            if reply.HasField("error"):
                self.reply.set_result(self._fault(f"raised {reply.error or 'an error'}"))
            else:
                self.reply.set_result(decode_tensor(reply.gradient, chunked) if reply.HasField("gradient") else None)
        except WireError as error:
            self.reply.set_result(self._fault(f"returned something that is not a tensor: {error}"))

    def give_up(self) -> None:
        """Answer the question by a fault, where the client cannot reply any more."""
        if not self.reply.done():
            self.reply.set_result(self._fault("cannot be called: its client has ended the stream"))

    def _fault(self, text: str) -> HookFault:
        return HookFault(f"hook {self.call.label!r} on {self.call.name!r} {text}", value=self.call.name)


@dataclass
class ClientHooks:
    """The open questions of a session, by the ids of the hooks. ``seconds``: the time that a client may take for an answer;
    ``ended``: the client has closed its side of the stream."""

    seconds: float
    open: dict[int, Question] = field(default_factory=dict)
    ended: bool = False

    @contextmanager
    def asking(self, call: HookCall) -> Iterator[Question]:
        """Expect an answer inside the block, in which the question is also sent. Raises HookFault if another run waits for
        the same hook."""
        if call.hook_id in self.open:
            text = f"hook {call.label!r} on {call.name!r}: another run of this session waits for hook_id {call.hook_id}"
            raise HookFault(text, value=call.name)
        question = Question(call, asyncio.get_running_loop().create_future(), self.seconds)
        self.open[call.hook_id] = question
        if self.ended:
            question.give_up()
        try:
            yield question
        finally:
            del self.open[call.hook_id]

    def take(self, reply: pb.HookReply, chunked: Mapping[int, Array]) -> None:
        """Hand a reply to the run that waits for it. Raises InvalidRequest if no run does."""
        question = self.open.get(reply.hook_id)
        if question is None or question.reply.done():
            raise InvalidRequest([Violation("hook_reply.hook_id", f"no run waits for hook {reply.hook_id}", "HOOK_ID")])
        question.take(reply, chunked)

    def end(self) -> None:
        """The client closed its side of the stream; open hook calls fail."""
        self.ended = True
        for question in self.open.values():
            question.give_up()
