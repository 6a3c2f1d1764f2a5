"""What the server keeps of the record: one session, and which recorded values its kept runs have.

Kept values are a cache. A run is released when nobody holds a node of it any more, when a backward pass has freed its
graph, and when the session ends; the server may forget it at any time. Then everything is sent, and computed, again.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

from gradproof.client.client import Client
from gradproof.client.errors import Forked, NotFound, NotServed, Unavailable
from gradproof.client.events import Result
from gradproof.client.graph import Hook
from gradproof.client.origin import Origin
from gradproof.client.requests import Request, RunExchange, Watch
from gradproof.client.session import Session, collected
from gradproof.v1 import autodiff_service_pb2 as pb

if TYPE_CHECKING:
    from gradproof.client.recording.record import Node
    from gradproof.client.recording.subgraph import Subgraph


class Lost(Exception):
    """Values that a graph takes from kept runs are gone: it is to be made again, without them."""


class CachedForward:
    """The forward half of one graph, kept under ``name``. Its nodes hold it; when nobody does, the server is told.

    ``results``: what the graph calls the outputs of its nodes, by the node's number and the slot; ``leaves``: its leaves'
    arrays and what it calls them, by the arrays' ids.
    """

    def __init__(self, name: str, session: Session, graph: Subgraph) -> None:
        self.name, self.session, self.structure = name, session, graph.structure
        self.results = graph.results()
        self.leaves = {id(array): (array, leaf) for leaf, array in graph.arrays()}
        self.release = weakref.finalize(self, _release, session, name)
        self.release.atexit = False

    @property
    def alive(self) -> bool:
        """Whether the server may still have it."""
        return self.release.alive and self.session.alive


def _release(session: Session, name: str) -> None:
    """Called where the garbage collector runs, in any thread: it only puts a message into a queue."""
    with suppress(ValueError, Forked):  # it was closed, and has freed all; or it is another process's
        session.release(name)


class Source:
    """What one kept run has of a graph: names there by names in the graph."""

    def __init__(self, run: CachedForward) -> None:
        self.run = run
        self.names: dict[str, str] = {}

    def message(self) -> pb.Reuse:
        """As it is said to the server."""
        return pb.Reuse(saved=self.run.name, values=self.names, saved_values=self.names.values())


class ServerCache:
    """The session of a runtime, opened when it is first needed."""

    def __init__(self, client: Client) -> None:
        self._client, self._origin = client, Origin()
        self._session: Session | None = None
        self._served = True
        self._lock = RLock()
        self._numbers = itertools.count()

    def close(self) -> None:
        """End the session; all that is kept is freed."""
        if not self._origin.here:
            return
        with self._lock:
            if self._session is not None:
                self._session.cancel()
            self._session = None

    def session(self) -> Session | None:
        """The session; a new one if the last one has ended. None if the server has none. Raises Forked."""
        self._origin.check()
        with self._lock:
            if self._served and (self._session is None or not self._session.alive):
                self._session = self._client.session()
            return self._session if self._served else None

    def run_of(self, node: Node | None) -> CachedForward | None:
        """The kept run that has the values of a node, if there is one."""
        run = node.kept if node is not None else None
        return run if run is not None and run.session is self._session and run.alive else None

    def sources(self, graph: Subgraph) -> list[Source]:
        """What kept runs have of ``graph``: of each value once."""
        found: dict[int, Source] = {}
        for node in graph.nodes:
            run = self.run_of(node)
            if run is not None:
                names = found.setdefault(id(run), Source(run)).names
                for slot in range(len(node.specs)):
                    names[graph.name_of(node, slot)] = run.results[node.number, slot]
        for leaf, run, there in graph.borrowed():
            found.setdefault(id(run), Source(run)).names[leaf] = there
        for leaf, array in graph.arrays() if found else ():
            for source in found.values():
                if id(array) in source.run.leaves:
                    source.names[leaf] = source.run.leaves[id(array)][1]
                    break
        return list(found.values())

    def send(
        self,
        session: Session,
        graph: Subgraph,
        request: Request,
        *,
        hooks: Sequence[Hook],
        watch: Watch | None,
        keep: bool,
        timeout: float,
    ) -> Result:
        """Send a request on the session. Raises `Lost` if the server has forgotten a run that it names, or has no session,
        or the session broke before a hook was called here; otherwise GradproofError, and what a hook raises."""
        if keep:
            request.input.save_as = f"run {next(self._numbers)}"
        begun: list[RunExchange] = []

        def begin() -> RunExchange:
            begun.append(RunExchange(request, hooks))
            return begun[-1]

        try:
            result = collected(session.retried(begin, timeout), watch)
        except BaseException as error:
            if keep:
                _release(session, request.input.save_as)
            if isinstance(error, NotServed) and not session.alive:
                self._served = False
            ended = isinstance(error, (NotServed, Unavailable, ValueError)) and not session.alive
            broken = ended and not any(one.hook_called for one in begun)
            if broken or (isinstance(error, NotFound) and error.reason == "SAVED_NOT_FOUND"):
                raise Lost from error
            raise
        if keep and result.summary is not None:
            run = CachedForward(request.input.save_as, session, graph)
            for node in graph.nodes if result.summary.saved_bytes else ():
                node.kept = run
        return result

    def free(self, graph: Subgraph) -> None:
        """Free what is kept of a graph: a backward pass was its last."""
        for node in graph.nodes:
            if node.kept is not None:
                node.kept.release()
                node.kept = None


def release(runs: Iterable[CachedForward]) -> None:
    """Free what the server keeps of these runs."""
    for run in runs:
        run.release()


def has_all(source: Source, graph: Subgraph) -> bool:
    """Whether a kept run is one of exactly this graph, under the same names."""
    return (
        source.run.structure == graph.structure
        and len(source.names) == graph.size
        and all(name == there for name, there in source.names.items())
    )
