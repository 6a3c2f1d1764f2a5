"""The runtime of tensors: the server that computes them, its ops, and the graphs that it has seen."""

from __future__ import annotations

import atexit
import copy
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import RLock
from typing import Any

from cachetools import LRUCache

from gradproof.client.client import Client, connect
from gradproof.client.errors import DimensionOutOfRange, InvalidRequest, NotFound, NotServed, Unavailable
from gradproof.client.events import Array, OpInfo, Result
from gradproof.client.graph import Hook
from gradproof.client.recording.forms import Forms
from gradproof.client.recording.kept import Lost, release
from gradproof.client.recording.recorded import Input, Number, Recorded
from gradproof.client.recording.server_cache import ServerCache, Source, has_all
from gradproof.client.recording.signature import Signature, attributes_key, plain
from gradproof.client.recording.spec import Spec
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.requests import Derived, Inference, Request, RunExchange, Watch, check_seconds
from gradproof.client.session import collected
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2
from gradproof.wire import encode_attributes, encode_spec, encode_tensor

MAX_GRAPHS = 256
MAX_SIGNATURES = 100_000
_WRONG_AXIS = re.compile(r"axis (?P<axis>-?\d+) is out of range for rank (?P<rank>\d+)")
AT_ONCE_BYTES = 1 << 20
"""Results up to this size come in a single message, which is quicker; larger ones as they are computed."""


class Runtime:
    """A client with all that was learned through it: ops, inferred shapes, derived graphs and digests of graphs.

    Attributes:
        client: the connection to the server.
        cache: the forward values that the server keeps.
        forms: the forms of passes that ran.
        graphs_sent: the number of requests that carried the structure of a graph.
        nodes_computed: the number of nodes that the server has computed forward, by its own count.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._ops: dict[str, OpInfo] = {}
        self._signatures: dict[Any, Signature] = {}
        self._digests: LRUCache[Any, str] = LRUCache(MAX_GRAPHS)
        self._derived: LRUCache[Any, Derived] = LRUCache(MAX_GRAPHS)
        self.forms = Forms()
        self.cache = ServerCache(client)
        self.graphs_sent = self.nodes_computed = 0

    def close(self) -> None:
        """Free the forward values that the server keeps; the client stays open."""
        self.cache.close()

    def ops(self) -> dict[str, OpInfo]:
        """The ops of the server by name, requested once."""
        if not self._ops:
            self._ops = {info.name: info for info in self.client.ops()}
        return self._ops

    def op(self, name: str) -> OpInfo:
        """The op ``name``. Raises AttributeError if the server has none."""
        info = self.ops().get(name)
        if info is None:
            raise AttributeError(f"the server has no op {name!r}; `gradproof ops` lists its ops")
        return info

    def signature(self, op: str, inputs: Sequence[Input], attributes: Mapping[str, Any]) -> Signature:
        """The signature of ``op`` with these attributes on inputs like these, inferred once.

        Raises AttributeError if the server has no such op; with PyTorch's texts RuntimeError where shapes do not broadcast,
        IndexError for an axis out of range; and InvalidRequest for all other faults.
        """
        return self.signature_of(op, kinds_of(inputs), inputs, attributes)

    def signature_of(
        self, op: str, kinds: tuple[Spec | type, ...], inputs: Sequence[Input], attributes: Mapping[str, Any]
    ) -> Signature:
        """As `signature`, of inputs whose `kinds_of` are known."""
        key = (op, kinds, attributes_key(attributes)) if attributes else (op, kinds)
        signature = self._signatures.get(key)
        return self._inferred(key, inputs, attributes) if signature is None else signature

    def _inferred(self, key: tuple[Any, ...], inputs: Sequence[Input], attributes: Mapping[str, Any]) -> Signature:
        info, own = self.op(key[0]), {name: plain(value) for name, value in attributes.items()}
        whole = (info.name, key[1], attributes_key(dict(sorted(own.items()))))
        signature = self._signatures.get(whole)
        if signature is None:
            signature = Signature(info, own, self._infer(info, inputs, own))
            signature = self._signatures.setdefault(whole, signature)
        while len(self._signatures) >= MAX_SIGNATURES:
            self._signatures.pop(next(iter(self._signatures), None), None)
        return self._signatures.setdefault(key, signature)

    def _infer(self, info: OpInfo, inputs: Sequence[Input], attributes: Mapping[str, Any]) -> tuple[Spec, ...]:
        if info.elementwise:
            _check_broadcast(inputs)
        graph = graph_pb2.Graph()
        node = graph.nodes.add(op=info.name, attributes=encode_attributes(attributes), outputs=["y0"])
        for k, x in enumerate(inputs):
            leaf = graph.leaves.add(name=f"x{k}")
            if isinstance(x, Recorded):
                leaf.spec.CopyFrom(encode_spec(x.shape, x.dtype))
            else:
                leaf.value.CopyFrom(encode_tensor(x))
                leaf.spec.CopyFrom(leaf.value.spec)
            node.inputs.append(leaf.name)
        graph.outputs.append("y0")
        answer = self.client.infer(graph)
        count = _outputs(answer)
        if count > 1:
            node.outputs.extend(f"y{k}" for k in range(1, count))
            answer = self.client.infer(graph)
        if answer.faults:
            text = "; ".join(dict.fromkeys(fault.message for fault in answer.faults))
            if wrong := _WRONG_AXIS.search(text):
                axis, rank = int(wrong["axis"]), max(1, int(wrong["rank"]))
                raise DimensionOutOfRange(
                    f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {axis})",
                    answer.faults[0].reason,
                    faults=answer.faults,
                )
            named = text.find(f"{info.name}(): ")  # PyTorch's text names the function
            said = text[named:] if named >= 0 else f"{info.name}: {text}"
            raise InvalidRequest(said, answer.faults[0].reason, faults=answer.faults)
        return tuple(Spec(answer.specs[name][1], answer.specs[name][0]) for name in node.outputs)

    def evaluate(self, graph: Subgraph, fetch: Sequence[str], *, keep: bool = False) -> dict[str, Any]:
        """Forward values by name. ``keep``: the server keeps the run. Raises `Lost` if values that the graph borrows are
        gone."""
        request = pb.EvaluateRequest(input=pb.RunInput(fetch=fetch))

        def send(whole: pb.EvaluateRequest, timeout: float) -> Result:
            return self.client.send_evaluate(whole, timeout=timeout)

        return self._sent(graph, request, send, keep).values

    def differentiate(
        self,
        graph: Subgraph,
        request: pb.DifferentiateRequest,
        hooks: Sequence[Hook] = (),
        watch: Watch | None = None,
        *,
        keep: bool = False,
    ) -> Result:
        """The result of a request on ``graph``. The structure is sent only if it is new to the server, and values only if
        they are not kept.

        Args:
            graph: the graph.
            request: all but the graph and its values.
            hooks: hooks of the server, and hooks that run here.
            watch: is called with each event as it arrives.
            keep: the server keeps the forward half for later.
        """
        small = not hooks and graph.nbytes([*request.gradients, *request.retain, *request.input.fetch]) <= AT_ONCE_BYTES
        at_once = small and request.verify.level == pb.VERIFY_LEVEL_OFF

        def send(whole: pb.DifferentiateRequest, timeout: float) -> Result:
            return self.client.send(whole, hooks=hooks, watch=watch, at_once=at_once, timeout=timeout)

        return self._sent(graph, request, send, keep, hooks, watch)

    def _sent(
        self,
        graph: Subgraph,
        request: Request,
        send: Callable[[Any, float], Result],
        keep: bool,
        hooks: Sequence[Hook] = (),
        watch: Watch | None = None,
    ) -> Result:
        """The result of a request within its deadline: on the session if values are kept or to be kept; otherwise, or if
        the session breaks, as a call of its own."""
        end = time.monotonic() + self.client.timeout + check_seconds(request)

        def once(whole: Any) -> Result:
            return send(whole, end - time.monotonic())

        for _ in range(2):
            sources = self.cache.sources(graph)
            session = self.cache.session() if keep or sources else None
            if session is None:
                break
            known = {name for source in sources for name in source.names}
            rest = keep and not known.issuperset(graph.results().values())
            left = end - time.monotonic()
            say = partial(self.cache.send, session, graph, hooks=hooks, watch=watch, keep=rest, timeout=left)
            try:
                return self._known_or_whole(graph, request, say, sources)
            except Lost:
                release(source.run for source in sources)
                if graph.borrows:
                    raise
        return self._known_or_whole(graph, request, once)

    def differentiate_known(
        self, structure: tuple[object, ...], request: pb.DifferentiateRequest, values: Iterable[tuple[str, Array | Number]]
    ) -> Result | None:
        """The result of a request on a graph that the server has seen; None where it has to be sent again, or where the
        session that the request is sent on broke.

        Args:
            structure: the structure of the graph.
            request: all but the graph and its values.
            values: the values of its leaves by name.
        """
        digest = self._digests.get(structure)
        session = self.cache.session() if digest is not None else None
        if digest is None or session is None:
            return None
        whole = pb.DifferentiateRequest()
        whole.CopyFrom(request)
        whole.input.digest = digest
        for name, value in values:
            whole.input.values.add(name=name, value=encode_tensor(value))
        try:
            result = collected(session.retried(lambda: RunExchange(whole), self.client.timeout))
        except NotFound as error:
            if error.reason != "GRAPH_NOT_FOUND":
                raise
            return None
        except (NotServed, Unavailable, ValueError):
            if session.alive:
                raise
            return None
        return self._learned(structure, result)

    def derive(self, graph: Subgraph, by: Sequence[str], mode: str = "vjp") -> Derived:
        """The graph of a product with the Jacobian by the values ``by``, requested once for each structure. ``mode``: "vjp"
        or "jvp"."""
        key = (graph.structure, tuple(map(repr, graph.numbers.values())), tuple(by), mode)
        derived = self._derived.get(key)
        if derived is None:
            derived = self._derived[key] = self.client.derive(graph.message(), mode, by)
        return derived

    def _known_or_whole(
        self, graph: Subgraph, request: Request, send: Callable[[Any], Result], sources: Sequence[Source] = ()
    ) -> Result:
        """The result of the shortest request that suffices: with the name of a kept run, a digest, or the whole graph."""
        short = copy.deepcopy(request)
        if len(sources) == 1 and has_all(sources[0], graph):
            short.input.saved = sources[0].run.name
            return self._learned(graph.structure, send(short))
        short.input.reuse.extend(source.message() for source in sources)
        short.input.values.extend(graph.values({name for source in sources for name in source.names}))
        digest = self._digests.get(graph.structure)
        if digest is not None:
            short.input.digest = digest
            try:
                return self._learned(graph.structure, send(short))
            except NotFound as error:
                if error.reason != "GRAPH_NOT_FOUND":
                    raise
        short.input.graph.CopyFrom(graph.message())
        self.graphs_sent += 1
        return self._learned(graph.structure, send(short))

    def _learned(self, structure: tuple[object, ...], result: Result) -> Result:
        if result.summary is not None:
            self.nodes_computed += result.summary.nodes_computed
        self._digests[structure] = result.digest
        return result


_lock = RLock()


_forked = False


def _unlock() -> None:
    """Replace the lock in a fork, where the thread that may have held it does not exist; and note that this is a fork."""
    global _lock, _forked
    _lock, _forked = RLock(), True


os.register_at_fork(after_in_child=_unlock)
_runtime: Runtime | None = None


def current() -> Runtime:
    """The runtime that tensors use; starts a server if there is none yet.

    Raises Forked in a fork of a process that has made a client.
    """
    global _runtime
    if _runtime is not None:
        if _forked:
            _runtime.client.check_process()
        return _runtime
    with _lock:
        if _runtime is None:
            client = connect()
            atexit.register(client.close)
            _runtime = Runtime(client)
        return _runtime


def use(client: Client | str | None) -> Client | None:
    """Let tensors use ``client``, or the server at this address; None stands for a server started when it is needed.

    Returns the previous client, which stays open.
    """
    global _runtime
    with _lock:
        previous = _runtime.client if _runtime is not None else None
        if _runtime is not None:
            _runtime.close()
        if isinstance(client, str):
            client = Client(client)
        _runtime = Runtime(client) if client is not None else None
        return previous


def kinds_of(inputs: Sequence[Input]) -> tuple[Spec | type, ...]:
    """The specs of tensors, and the types of Python numbers."""
    return tuple(x.spec if isinstance(x, Recorded) else type(x) for x in inputs)


def _check_broadcast(inputs: Sequence[Input]) -> None:
    """Raises RuntimeError with PyTorch's text if two shapes do not broadcast."""
    shapes = [x.shape for x in inputs if isinstance(x, Recorded)]
    for j, a in enumerate(shapes):
        for b in shapes[j + 1 :]:
            rank = max(len(a), len(b))
            wide = [(1,) * (rank - len(s)) + tuple(s) for s in (a, b)]
            for axis in range(rank - 1, -1, -1):
                m, n = wide[0][axis], wide[1][axis]
                if m != n and 1 not in (m, n):
                    raise RuntimeError(
                        f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension "
                        f"{axis}"
                    )


def _outputs(answer: Inference) -> int:
    """The number of results of a node, of which the answer expected a single one: only the server knows it."""
    counts = [_MORE.search(fault.message) for fault in answer.faults if fault.path == "graph.nodes[0].outputs"]
    return int(counts[0][1]) if counts and counts[0] else 1


_MORE = re.compile(r" has (\d+) outputs, 1 named$")
