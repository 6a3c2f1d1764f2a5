"""A slow reader of a session: the server holds two chunks of a large result for it, and not the result once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
from tests.support.server_fixture import Served, leaf, node, request

from gradproof.server.services.session import CHUNKS, run_session
from gradproof.v1 import autodiff_service_pb2 as pb

SHAPE = {"shape": {"int_list": {"values": [1 << 20]}}}  # eight chunks


def test_two_chunks_wait_and_all_of_them_come(shared: Served) -> None:
    nodes = [node("broadcast_to", "x", "b", attributes=SHAPE), node("exp", "b", "e"), node("sum", "e", "y")]
    large = request([leaf("x", np.array(0.5))], nodes, "y", fetch=["e"], request_id="r")
    done = asyncio.Event()

    async def frames() -> AsyncIterator[pb.SessionRequest]:
        yield pb.SessionRequest(differentiate=large)
        await done.wait()

    async def read() -> tuple[int, int]:
        handler, waiting, chunks = shared.host.handler, 0, 0
        before = set(handler.sessions)
        async with aclosing(run_session(handler, frames())) as responses:
            async for response in responses:
                assert isinstance(response, pb.SessionResponse)
                chunks += sum(event.HasField("chunk") for event in response.events)
                if chunks == 1 and not waiting:
                    (session,) = handler.sessions - before
                    one: Any = session
                    while not one.room_for_chunks.locked():
                        await asyncio.sleep(0)
                    for _ in range(100):  # a run that did not wait would go on
                        await asyncio.sleep(0)
                    held = [event for response in one.out._queue for event in response.events]
                    waiting = sum(event.HasField("chunk") for event in held)
                if any(event.HasField("summary") for event in response.events):
                    done.set()
        return waiting, chunks

    waiting, chunks = asyncio.run_coroutine_threadsafe(read(), shared.loop).result(60)
    assert 0 < waiting <= CHUNKS
    assert chunks == 8
