"""Retries: which calls are repeated, after what pause, and the deadline that all attempts share.

gRPC's own retries are off: a stream with a retry policy may outlive its deadline when the server dies. No call of the
contract has side effects that matter, so that an attempt without a response can be made again.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from typing import Any, TypeVar

from gradproof.client.channel import Connection
from gradproof.client.errors import DeadlineExceeded, GradproofError, Overloaded, ResourceExhausted, Unavailable
from gradproof.client.no_answer import OTHER_PROTOCOL

INITIAL_BACKOFF, MAX_BACKOFF, MULTIPLIER = 0.2, 2.0, 2.0
"""Seconds before the first repetition and at most, and the factor in between; each is shortened at random, to half at most,
so that clients that failed together do not come back together."""

MAX_REQUEST_ID = 128
"""Characters of a request id in metadata; an id that is longer, or that metadata cannot hold, is replaced there."""

T = TypeVar("T")


class Call:
    """A call with all its attempts, which share a deadline, ``seconds`` from now, and a request id.

    ``delivered``: an event has reached the caller, or a hook ran here, so the call is not repeated.
    """

    def __init__(self, connection: Connection, seconds: float, request_id: str = "") -> None:
        sendable = request_id.isascii() and request_id.isprintable() and len(request_id) <= MAX_REQUEST_ID
        self.request_id = request_id if request_id and sendable else os.urandom(16).hex()
        self.delivered = False
        self._connection, self._seconds = connection, seconds
        self._end = time.monotonic() + seconds
        self._failures = 0
        self._lost = False

    def left(self) -> float:
        """Seconds until the deadline. Raises DeadlineExceeded if it has passed."""
        left = self._end - time.monotonic()
        if left <= 0:
            error = DeadlineExceeded(f"the call took longer than it may ({max(0.0, self._seconds):g} seconds)")
            error.request_id = self.request_id
            raise error
        return left

    def options(self) -> dict[str, Any]:
        """Options of the next attempt, as gRPC's stubs take them. Raises Forked and DeadlineExceeded."""
        return self._connection.call(self.left(), self.request_id)

    def pause(self, error: GradproofError) -> float:
        """Seconds to wait before the next attempt. Raises the error if there is to be none."""
        error.request_id = error.request_id or self.request_id
        pause = self._pause(error)
        used_up = self._failures >= self._connection.retries or self.delivered or self._connection.closed
        if pause is None or used_up or self._end - time.monotonic() <= pause:
            raise error
        self._failures += 1
        self._lost = isinstance(error, Unavailable)
        return pause

    def _pause(self, error: GradproofError) -> float | None:
        """None for an error that would recur."""
        backoff = random.uniform(0.5, 1.0) * min(MAX_BACKOFF, INITIAL_BACKOFF * MULTIPLIER**self._failures)
        if isinstance(error, ResourceExhausted) and error.retry_after is not None:
            return error.retry_after * random.uniform(1.0, 1.25) + backoff / 10
        recurs = error.reason == OTHER_PROTOCOL or not isinstance(error, (Unavailable, Overloaded))
        return None if recurs else backoff

    @property
    def recovers(self) -> bool:
        """True if `recover` has anything to do."""
        return self._lost and self._connection.on_loss is not None

    def recover(self) -> None:
        """Wait until a server that was lost is back, where `on_loss` brings it back. Raises Unavailable if it does not."""
        if self._connection.on_loss is None:
            return
        try:
            self._connection.on_loss(self.left())
        except GradproofError as error:
            error.request_id = self.request_id
            raise


def retried(call: Call, attempt: Callable[[], T]) -> T:
    """The result of an attempt, which is repeated where that may help."""
    while True:
        try:
            return attempt()
        except GradproofError as error:
            pause = call.pause(error)
        if call.recovers:
            call.recover()
        time.sleep(pause)


def retried_stream(call: Call, attempt: Callable[[], Generator[T, None, None]]) -> Generator[T, None, None]:
    """The results of an attempt, which is repeated as long as it has yielded nothing."""
    while True:
        try:
            with closing(attempt()) as results:
                for result in results:
                    call.delivered = True
                    yield result
            return
        except GradproofError as error:
            pause = call.pause(error)
        if call.recovers:
            call.recover()
        time.sleep(pause)


async def retried_async(call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
    """As `retried`, for asyncio."""
    while True:
        try:
            return await attempt()
        except GradproofError as error:
            pause = call.pause(error)
        await _waited(call, pause)


async def retried_async_stream(call: Call, attempt: Callable[[], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """As `retried_stream`, for asyncio."""
    while True:
        try:
            async with aclosing(attempt()) as results:
                async for result in results:
                    call.delivered = True
                    yield result
            return
        except GradproofError as error:
            pause = call.pause(error)
        await _waited(call, pause)


async def _waited(call: Call, pause: float) -> None:
    if call.recovers:
        await asyncio.to_thread(call.recover)
    await asyncio.sleep(pause)
