"""Runs on a server in this process: in the thread that asks for them, with arrays that are handed over."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, Protocol

import grpc

from gradproof.client.channel import Connection
from gradproof.client.dispatch import Digests
from gradproof.client.errors import DeadlineExceeded, GradproofError, Unavailable, from_rpc, from_status
from gradproof.client.events import Event
from gradproof.client.origin import Origin
from gradproof.client.requests import RunExchange, fresh_id, translated
from gradproof.client.session import Session
from gradproof.v1 import autodiff_service_pb2 as pb


class SavedValues(Protocol):
    """The values that the server saves for a session."""

    def release(self, name: str) -> None: ...

    def close(self) -> None: ...


def run_events(
    channel: Any, run: RunExchange, timeout: float | None, target: str, saved: SavedValues | None = None
) -> Generator[Event, None, None]:
    """The events of a run on a `LocalChannel`. Raises GradproofError, or any exception of a hook."""
    request = run.request
    with translated(target):
        runs = channel.runs()
    if isinstance(request, pb.EvaluateRequest):
        events: Iterator[Event] = runs.evaluate(request, saved, timeout)
    else:
        events = runs.differentiate(request, run.functions, saved, timeout)
    try:
        with closing(events):  # type: ignore[type-var]
            yield from events
    except grpc.RpcError as error:
        raise _error_of(error, target, run, on_session=saved is not None) from None
    run.over = True


def _error_of(error: Any, target: str, run: RunExchange, *, on_session: bool) -> GradproofError:
    """The error that a call, or a run of a session, ends with where it is made over gRPC."""
    if error.status is None or not on_session:
        late = on_session and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return DeadlineExceeded("the run took longer than its timeout") if late else from_rpc(error, target)
    made = from_status(error.status, place=error.place)
    made.request_id = run.request.input.request_id
    return made


class LocalSession(Session):
    """A session of runs in the threads that ask for them. A run that does not end within its timeout ends alone; a fork has
    none of the saved values, so that the session is over there."""

    def __init__(self, channel: Any, digests: Digests, connection: Connection, timeout: float) -> None:
        self._channel, self._digests, self._connection, self._timeout = channel, digests, connection, timeout
        self._origin = Origin(survives_fork=True)
        self._saved: SavedValues = channel.runs().session()
        self._open = True

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """True if the session is open, and this is the process that opened it."""
        return self._open and self._origin.here

    def close(self) -> None:
        """Free all saved values. May be called twice."""
        if self.alive:
            self._saved.close()
        self._open = False

    cancel = close

    def release(self, saved: str) -> None:
        """Free the values saved under this name, if there are any; a fork has none."""
        if self._origin.here:
            self._check_open()
            self._saved.release(saved)

    def exchange(self, run: RunExchange, timeout: float | None = None) -> Generator[Event, None, None]:
        """The events of a run. Raises GradproofError, or any exception of a hook; DeadlineExceeded after ``timeout``
        seconds."""
        self._check_open()
        if timeout is not None and timeout <= 0:
            raise DeadlineExceeded("there is no time left for the run")
        run.request.input.request_id = run.request.input.request_id or fresh_id()
        yield from run_events(self._channel, run, timeout, self._connection.target, self._saved)

    def _check_open(self) -> None:
        if not self._origin.here:
            raise Unavailable("the session belongs to the process that this is a fork of")
        super()._check_open()
