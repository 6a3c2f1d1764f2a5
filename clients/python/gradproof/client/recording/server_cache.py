"""The cache of forward values at the server: a session, and the recorded values that its kept runs have.

A run is released when nobody holds a node of it any more, when a backward pass has freed its graph, and when the session
ends; the server may forget it at any time. Then everything is sent, and computed, again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from threading import RLock

from gradproof.client.channel import LOCAL
from gradproof.client.client import Client
from gradproof.client.errors import NotFound, NotServed, Unavailable
from gradproof.client.events import Result
from gradproof.client.graph import Hook
from gradproof.client.origin import Origin
from gradproof.client.recording.kept import CachedForward, Lost, release_name
from gradproof.client.recording.record import Node
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.requests import Request, RunExchange, Watch
from gradproof.client.session import Session, collected
from gradproof.v1 import autodiff_service_pb2 as pb


class Source:
    """The values that a kept run has of a graph.

    Attributes:
        run: the run.
        names: the names of the values in the run, by their names in the graph.
    """

    def __init__(self, run: CachedForward) -> None:
        self.run = run
        self.names: dict[str, str] = {}

    def message(self) -> pb.Reuse:
        """The values as a part of a request."""
        return pb.Reuse(saved=self.run.name, values=self.names, saved_values=self.names.values())


class ServerCache:
    """The session of a runtime, opened when it is first needed."""

    def __init__(self, client: Client) -> None:
        self._client, self._origin = client, Origin(survives_fork=client.target == LOCAL)
        self._session: Session | None = None
        self._served = True
        self._lock = RLock()
        self._numbers = itertools.count()

    def close(self) -> None:
        """End the session, which frees all kept runs."""
        if not self._origin.here:
            return
        with self._lock:
            if self._session is not None:
                self._session.cancel()
            self._session = None

    def session(self) -> Session | None:
        """The session; a new session if the last has ended. None if the server has none. Raises Forked."""
        self._origin.check()
        with self._lock:
            if self._served and (self._session is None or not self._session.alive):
                self._session = self._client.session()
            return self._session if self._served else None

    def run_of(self, node: Node | None) -> CachedForward | None:
        """The kept run that has the values of a node, if any."""
        run = node.kept if node is not None else None
        return run if run is not None and run.session is self._session and run.alive else None

    def sources(self, graph: Subgraph) -> list[Source]:
        """The kept runs that have values of ``graph``, each value once."""
        sources: dict[int, Source] = {}
        for node in graph.nodes:
            run = self.run_of(node)
            if run is not None:
                names = sources.setdefault(id(run), Source(run)).names
                for slot, name in enumerate(graph.output_names(node)):
                    names[name] = run.results[node.number, slot]
        for leaf, run, there in graph.borrowed():
            sources.setdefault(id(run), Source(run)).names[leaf] = there
        for leaf, array in graph.arrays.items() if sources else ():
            for source in sources.values():
                if id(array) in source.run.leaves:
                    source.names[leaf] = source.run.leaves[id(array)][1]
                    break
        return list(sources.values())

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
        attempts: list[RunExchange] = []

        def begin() -> RunExchange:
            attempts.append(RunExchange(request, hooks))
            return attempts[-1]

        try:
            result = collected(session.retried(begin, timeout), watch)
        except BaseException as error:
            if keep:
                release_name(session, request.input.save_as)
            if isinstance(error, NotServed) and not session.alive:
                self._served = False
            ended = isinstance(error, (NotServed, Unavailable, ValueError)) and not session.alive
            broken = ended and not any(attempt.hook_called for attempt in attempts)
            if broken or (isinstance(error, NotFound) and error.reason == "SAVED_NOT_FOUND"):
                raise Lost from error
            raise
        if keep and result.summary is not None:
            leaves = {id(array): (array, leaf) for leaf, array in graph.arrays.items()}
            run = CachedForward(request.input.save_as, session, graph.structure, graph.results(), leaves)
            for node in graph.nodes if result.summary.saved_bytes else ():
                node.kept = run
        return result

    def free(self, graph: Subgraph) -> None:
        """Free the kept values of a graph, after its last backward pass."""
        for node in graph.nodes:
            if node.kept is not None:
                node.kept.release()
                node.kept = None


def has_all(source: Source, graph: Subgraph) -> bool:
    """True if a kept run is of exactly this graph, under the same names."""
    return (
        source.run.structure == graph.structure
        and len(source.names) == graph.size
        and all(name == there for name, there in source.names.items())
    )
