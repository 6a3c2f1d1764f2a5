"""Prepared requests: a request that came before is run with new elements, without being read again.

All of a request but the elements of its tensors and its id is its **form**. Requests of the same form have the same graph,
names, shapes, dtypes and options, hence the same faults, plan, cost and layout of the reply. They are found once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from gradproof.engine.callable import GraphFunction
from gradproof.engine.cancellation import NEVER, Cancellation
from gradproof.engine.engine import Engine, Prepared
from gradproof.engine.errors import GradproofError
from gradproof.engine.lru import LRUCache
from gradproof.engine.spec import Array, DType
from gradproof.server.requests import encode
from gradproof.server.requests.decode import Request
from gradproof.server.requests.reply import DOUBLE, Reply
from gradproof.server.runs.admission import SMALL_SECONDS
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2

MAX_FORM_BYTES = 16 << 10
HEADER_BYTES = 32  # of a field that a form leaves out, and of the messages around it: far more than there are
MAX_BYTES = 1 << 20
"""Bytes of a request, and of its reply: where there are more, elements take the time, and tensors travel in chunks."""
MAX_PREPARED = 256
MAX_ID = 256  # characters of a request's id
LOOP_SECONDS = 0.0002
"""A run that takes less is quicker in the event loop than in a thread: the hand-over and back take as long, and the thread
would hold the interpreter meanwhile."""
SHARE = 1 / 8  # of the last run in the time that a run is expected to take


class Form(NamedTuple):
    """The form of a request, and the elements of its tensors in their order."""

    key: bytes
    elements: list[bytes]


def form_of(request: Request) -> Form | None:
    """The form of a request; None where the request may not be prepared: it is large, keeps or reuses values, has hooks or
    checks, or its tensors are not plain bytes. The request is as before afterwards."""
    run_input = request.input
    if run_input.save_as or run_input.reuse or run_input.tensor_format == tensor_pb2.TENSOR_FORMAT_NUMBERS:
        return None
    tensors = [named.value for named in run_input.values]
    if isinstance(request, pb.DifferentiateRequest):
        if request.verify.level != pb.VERIFY_LEVEL_OFF or request.hooks:
            return None
        tensors += [seed.cotangent for seed in request.seeds]
    request_id = run_input.request_id
    size = request.ByteSize()
    if len(request_id) > MAX_ID or size > MAX_BYTES:
        return None
    if run_input.WhichOneof("source") not in ("digest", "graph"):
        return None
    if any(tensor.WhichOneof("body") != "data" for tensor in tensors):
        return None
    elements = [tensor.data for tensor in tensors]
    if size - sum(map(len, elements)) > MAX_FORM_BYTES + HEADER_BYTES * (1 + len(elements)) + MAX_ID:
        return None  # it would be written in vain
    run_input.ClearField("request_id")
    for tensor in tensors:
        tensor.ClearField("data")
    key = type(request).__name__.encode() + request.SerializeToString()
    run_input.request_id = request_id
    for tensor, data in zip(tensors, elements, strict=True):
        tensor.data = data
    return Form(key, elements) if len(key) <= MAX_FORM_BYTES else None


class _Argument(NamedTuple):
    """An argument of the function that a request brings: its place, its bytes, and how they are read."""

    place: int
    nbytes: int
    dtype: DType
    shape: tuple[int, ...]
    number: bool


class PreparedRequest:
    """Requests of a form, ready to run. ``digest``: the digest by which they name their graph, if they do; ``reply``: what
    the results are written into. Raises GradproofError where the graph is no function of what the request brings."""

    def __init__(self, engine: Engine, request: Request, prepared: Prepared, digest: str) -> None:
        job, plan = prepared.job, prepared.plan
        differentiates = isinstance(request, pb.DifferentiateRequest)
        self.function: GraphFunction = engine.function(
            job.graph,
            fetch=prepared.fetched,
            gradients=job.requested() if differentiates else (),
            seeds=[name for name, _ in job.seeds],
            at_once=False,
        )
        self.digest = request.input.digest
        self.seconds = 0.0
        names = self.function.leaves
        self._constants: list[Any] = [*(prepared.leaves[name] for name in names), *(array for _, array in job.seeds)]
        places = [names.index(named.name) for named in request.input.values]
        places += range(len(names), len(self._constants))
        self._arguments = [_argument(place, self._constants[place]) for place in places]
        for place in places:
            self._constants[place] = None
        reached = {cut.name for cut in plan.backward.cuts}
        count = len(prepared.fetched)
        self.reply = Reply(
            encode.accepted(prepared, digest, ""),
            [(name, plan.specs[name]) for name in self.function.leaving[:count]],
            [(name, plan.specs[name] if name in reached else None) for name in self.function.leaving[count:]],
            plan.grad_fn,
            nodes_computed=prepared.missing,
            differentiates=differentiates,
        )
        self._blocks = any("." in instruction.op.name for instruction in plan.program.instructions)

    @property
    def in_loop(self) -> bool:
        """True if a run may step in the event loop: it is short, and all of its ops come with the server, so that none of
        them blocks."""
        return not self._blocks and self.function.cost.seconds <= SMALL_SECONDS and self.seconds <= LOOP_SECONDS

    def arguments(self, elements: Sequence[bytes]) -> list[Any] | None:
        """The arguments of a run; None where a tensor has not as many bytes as its shape says."""
        arguments = self._constants.copy()
        for (place, nbytes, dtype, shape, number), data in zip(self._arguments, elements, strict=True):
            if len(data) != nbytes:
                return None
            arguments[place] = DOUBLE.unpack(data)[0] if number else np.frombuffer(data, dtype).reshape(shape)
        return arguments

    def run(self, arguments: Sequence[Any], cancellation: Cancellation = NEVER) -> Results:
        """Run the graph. Raises as the function does."""
        started = perf_counter()
        with np.errstate(all="ignore"):
            results = self.function.results(arguments, cancellation)
        seconds = perf_counter() - started
        # an interruption is no reason to leave the loop: a long time counts as twice the bound
        self.seconds += (min(seconds, 2 * LOOP_SECONDS) - self.seconds) * SHARE
        return Results(results, seconds)


class Results(NamedTuple):
    """The results of a run in the order of the reply, and the seconds that they took."""

    values: list[Any]
    seconds: float


class Recalled(NamedTuple):
    """A request whose form was prepared, with the arguments of its run."""

    prepared: PreparedRequest
    arguments: list[Any]
    request_id: str

    def message(self, results: Results) -> bytes:
        """The response of a unary call."""
        return self.prepared.reply.message(self.request_id, *results)

    def stream(self, results: Results) -> bytes:
        """The response of a stream, with all events."""
        return self.prepared.reply.stream(self.request_id, *results)

    def session(self, results: Results) -> bytes:
        """The response of a session, with all events."""
        return self.prepared.reply.session(self.request_id, *results)


def _argument(place: int, array: Array) -> _Argument:
    number = array.shape == () and array.dtype == np.float64
    return _Argument(place, array.nbytes, array.dtype, array.shape, number)


class PreparedRequests:
    """Prepared requests by their form; the least recently used leave. A form is prepared when it comes for the second time.
    Safe to use from several threads."""

    def __init__(self, engine: Engine, most_bytes: int) -> None:
        self._engine, self._most_bytes = engine, min(MAX_BYTES, most_bytes - MAX_ID)
        self._entries: LRUCache[bytes, PreparedRequest | _Seen] = LRUCache(MAX_PREPARED)

    def recall(self, request: Request) -> Recalled | None:
        """The request as one that came before; None where it did not, or is at fault."""
        form = form_of(request)
        prepared = self._entries.get(form.key) if form is not None else None
        if form is None or not isinstance(prepared, PreparedRequest):
            return None
        arguments = prepared.arguments(form.elements)
        return None if arguments is None else Recalled(prepared, arguments, request.input.request_id)

    def learn(self, request: Request, prepared: Prepared, digest: str) -> None:
        """Note a request without faults, and prepare its form if it has come before."""
        form = form_of(request)
        if form is None:
            return
        entry = self._entries.get(form.key)
        if entry is None:
            self._entries.put(form.key, _Seen())
        elif isinstance(entry, _Seen) and entry.promising:
            entry.promising = False  # for other threads, and where it cannot be prepared
            specs = prepared.plan.specs
            if any(array.dtype != specs[name].dtype for name, array in prepared.job.seeds):
                return  # such seeds are cast
            with suppress(GradproofError):
                made = PreparedRequest(self._engine, request, prepared, digest)
                if made.reply.nbytes <= self._most_bytes:
                    self._entries.put(form.key, made)


class _Seen:
    """A form that came once."""

    promising = True
