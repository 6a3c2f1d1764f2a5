"""A graph as a Python function of its leaves: it is sent once, and each call sends values only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, TypeAlias

from numpy.typing import NDArray

from gradproof.client.errors import NotFound
from gradproof.client.events import Result
from gradproof.client.requests import Request, RunExchange, array_of
from gradproof.client.session import Session, collected
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2
from gradproof.wire import encode_tensor

Array: TypeAlias = NDArray[Any]
Results: TypeAlias = tuple[tuple[Array, ...], tuple[Array | None, ...]]


class GraphFunction:
    """Function ``f(*leaves, *seeds) -> (values, gradients)``: the fetched values of a graph, and the gradients that were
    asked for, in order. `Client.function` makes it. Any number of threads may call it.

    Its calls share a session, and have no checks: the bits are those of `Client.differentiate`, which gives verdicts. A
    gradient that does not exist is None.

    Attributes:
        leaves, seeds: names of the arguments, in order: leaves that carry no value, and outputs.
        fetch, gradients: names of the results, in order.
    """

    def __init__(
        self,
        open_session: Callable[[], Session],
        graph: graph_pb2.Graph,
        fetch: Sequence[str] | None,
        gradients: Sequence[str] | None,
        seeds: Sequence[str],
        timeout: float,
    ) -> None:
        self._open_session, self._graph, self._timeout = open_session, graph, timeout
        self._specs = {leaf.name: leaf for leaf in graph.leaves if not leaf.HasField("value")}
        self._carried = [(leaf.name, leaf.value) for leaf in graph.leaves if leaf.HasField("value")]
        self.leaves, self.seeds = tuple(self._specs), tuple(seeds)
        self.fetch = tuple(graph.outputs if fetch is None else fetch)
        own = [leaf.name for leaf in graph.leaves if leaf.requires_grad]
        self.gradients = tuple(own if gradients is None else gradients)
        self._digest = ""
        self._session: Session | None = None
        self._lock = RLock()

    def __call__(self, *arguments: Any) -> Results:
        """Run the graph on arrays or numbers. Raises TypeError for another number of arguments, and GradproofError."""
        if len(arguments) != len(self.leaves) + len(self.seeds):
            names = ", ".join((*self.leaves, *(f"seed of {name}" for name in self.seeds)))
            raise TypeError(
                f"the function takes {len(self.leaves) + len(self.seeds)} values ({names}), got {len(arguments)}"
            )
        result = self._result(arguments)
        gradients = [result.gradients[name].gradient if name in result.gradients else None for name in self.gradients]
        return tuple([result.values[name] for name in self.fetch]), tuple(gradients)

    def _request(self, arguments: Sequence[Any]) -> Request:
        request: Request
        if self.gradients:
            request = pb.DifferentiateRequest(
                gradients=self.gradients,
                verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF),
                input=pb.RunInput(fetch=self.fetch),
            )
            for name, seed in zip(self.seeds, arguments[len(self.leaves) :], strict=True):
                request.seeds.add(output=name, cotangent=encode_tensor(array_of(seed, None)))
        else:
            request = pb.EvaluateRequest(input=pb.RunInput(fetch=self.fetch))
        for (name, leaf), value in zip(self._specs.items(), arguments, strict=False):
            request.input.values.add(name=name, value=encode_tensor(array_of(value, leaf)))
        return request

    def _result(self, arguments: Sequence[Any]) -> Result:
        if self._digest:
            request = self._request(arguments)
            request.input.digest = self._digest
            for name, value in self._carried:
                request.input.values.add(name=name, value=value)
            try:
                return self._sent(request)
            except NotFound as error:
                if error.reason != "GRAPH_NOT_FOUND":
                    raise
        request = self._request(arguments)
        request.input.graph.CopyFrom(self._graph)
        result = self._sent(request)
        self._digest = result.digest
        return result

    def _sent(self, request: Request) -> Result:
        with self._lock:
            if self._session is None or not self._session.alive:
                self._session = self._open_session()
            session = self._session
        return collected(session.retried(lambda: RunExchange(request), self._timeout))
