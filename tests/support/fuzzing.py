"""Fuzzed requests: strategies for messages of any kind, for right ones that were changed, and for bytes that are none."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor as pbd
from google.protobuf import message_factory
from google.protobuf.message import Message
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from tests.conftest import REGISTRY
from tests.support.server_fixture import leaf, node, request

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, op_service_pb2, operations_service_pb2, tensor_pb2, verdict_pb2

F = pbd.FieldDescriptor
DEPTH, MOST = 4, 3
OPS = list(REGISTRY.ops)
NAMES = ["x", "y", "s", "out", "", "é", "x" * 300, "x\x00", "graph", *OPS[:8]]
NUMBERS = [0, 1, 2, 3, -1, 255, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1]
FLOATS = [0.0, -0.0, 1.5, -2.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.8e308]
BOUNDS = {
    F.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    F.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    F.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    F.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}


def scalars(field: Any) -> SearchStrategy[Any]:
    """Values of a field that holds no message."""
    if field.cpp_type in BOUNDS:
        low, high = BOUNDS[field.cpp_type]
        return st.sampled_from([n for n in NUMBERS if low <= n <= high])
    if field.cpp_type == F.CPPTYPE_ENUM:
        return st.sampled_from([*(value.number for value in field.enum_type.values), 99, -1])
    if field.cpp_type == F.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type == F.CPPTYPE_FLOAT:
        return st.sampled_from([x for x in FLOATS if (x == x and abs(x) < 1e38) or x != x or x in (np.inf, -np.inf)])
    if field.cpp_type == F.CPPTYPE_DOUBLE:
        return st.sampled_from(FLOATS)
    if field.type == F.TYPE_BYTES:
        return st.one_of(st.binary(max_size=24), st.integers(0, 3).map(lambda n: struct.pack("<d", 1.5) * n))
    names = [*NAMES, *OPS] if field.name in ("op", "name") else NAMES
    return st.sampled_from(names)


def _number(field: Any) -> int:
    return int(field.number)


def is_map(field: Any) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


@st.composite
def messages(draw: DrawFn, kind: type[Message], depth: int = DEPTH) -> Any:
    """Messages of a kind with fields at random."""
    made = kind()
    fields = list(made.DESCRIPTOR.fields)
    if not fields:
        return made
    for field in draw(st.lists(st.sampled_from(fields), max_size=5, unique_by=_number)):
        fill(draw, made, field, depth)
    return made


def fill(draw: DrawFn, made: Any, field: Any, depth: int) -> None:
    """Set a field, or add to it."""
    if is_map(field):
        value = field.message_type.fields_by_name["value"]
        name = draw(st.sampled_from(["axis", "axes", "shape", "dtype", "keepdims", "", "min", "p"]))
        if value.message_type:
            getattr(made, field.name)[name].CopyFrom(draw(messages(_class(value), depth - 1)))
    elif field.message_type:
        if depth <= 0:
            return
        if field.is_repeated:
            made_field = getattr(made, field.name)
            made_field.extend(draw(st.lists(messages(_class(field), depth - 1), max_size=MOST)))
        else:
            getattr(made, field.name).CopyFrom(draw(messages(_class(field), depth - 1)))
    elif field.is_repeated:
        getattr(made, field.name).extend(draw(st.lists(scalars(field), max_size=MOST)))
    else:
        setattr(made, field.name, draw(scalars(field)))


def _class(field: Any) -> Any:
    return message_factory.GetMessageClass(field.message_type)


@st.composite
def changed(draw: DrawFn, good: Sequence[Message]) -> Any:
    """Messages that were right, with up to four places changed."""
    original = draw(st.sampled_from(list(good)))
    made = type(original)()
    made.CopyFrom(original)
    for _ in range(draw(st.integers(1, 4))):
        place: Any = made
        for _ in range(draw(st.integers(0, 5))):
            below = [one for one in inside(place) if one is not None]
            if not below:
                break
            place = draw(st.sampled_from(below))
        if not place.DESCRIPTOR.fields:
            continue
        field = draw(st.sampled_from(list(place.DESCRIPTOR.fields)))
        action = draw(st.sampled_from(["clear", "fill", "fill", "again", "last"]))
        if action == "clear" or is_map(field):
            place.ClearField(field.name)
        elif action == "fill" or not field.is_repeated:
            fill(draw, place, field, 2)
        elif action == "again" and len(getattr(place, field.name)):
            repeated = getattr(place, field.name)
            repeated.extend(list(repeated)[:2])
        elif len(getattr(place, field.name)):
            del getattr(place, field.name)[-1]
    return made


def inside(message: Any) -> list[Any]:
    """The messages that a message holds."""
    found: list[Any] = []
    for field, value in message.ListFields():
        if is_map(field):
            found.extend(value.values() if field.message_type.fields_by_name["value"].message_type else ())
        elif field.message_type:
            found.extend(list(value) if field.is_repeated else [value])
    return found


@st.composite
def damaged(draw: DrawFn, good: Sequence[Message]) -> bytes:
    """Bytes of messages with some of them changed, cut off or repeated."""
    raw = bytearray(draw(st.sampled_from(list(good))).SerializeToString())
    for _ in range(draw(st.integers(1, 6))):
        if not raw:
            break
        k = draw(st.integers(0, len(raw) - 1))
        action = draw(st.sampled_from(["set", "cut", "insert", "repeat"]))
        if action == "set":
            raw[k] = draw(st.integers(0, 255))
        elif action == "cut":
            del raw[k:]
        elif action == "insert":
            raw[k:k] = draw(st.binary(min_size=1, max_size=4))
        else:
            raw[k:k] = raw[k : k + 8]
    return bytes(raw)


def _graphs() -> list[graph_pb2.Graph]:
    """Right graphs of many shapes."""
    m = np.array([[4.0, 1.0], [1.0, 3.0]])
    runs = [
        request([leaf("x", np.array([1.0, 2.0]))], [node("multiply", "x x", "s"), node("sum", "s", "y")], "y"),
        request([leaf("x", np.array(0.5))], [node("sin", "x", "s"), node("exp", "s", "y")], "y"),
        request([leaf("x", m)], [node("inv", "x", "s"), node("sum", "s", "y")], "y"),
        request([leaf("x", m), leaf("b", np.ones(2))], [node("solve", "x b", "s"), node("sum", "s", "y")], "y"),
        request([leaf("x", np.arange(3, dtype=np.float32))], [node("cumsum", "x", "s"), node("sum", "s", "y")], "y"),
        request([leaf("x", np.array(1 + 2j))], [node("conj", "x", "s"), node("real", "s", "y")], "y"),
        request(
            [leaf("x", np.arange(6.0)), leaf("i", np.array([1, 4]), requires_grad=False)],
            [node("take", "x i", "s"), node("sum", "s", "y")],
            "y",
        ),
    ]
    return [one.input.graph for one in runs]


GRAPHS = _graphs()
VERIFY = [
    pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF),
    pb.VerifyOptions(level=pb.VERIFY_LEVEL_CACHED),
    pb.VerifyOptions(level=pb.VERIFY_LEVEL_VALUES, budget_seconds=0.05),
    pb.VerifyOptions(budget_seconds=0.05, required=verdict_pb2.SUMMARY_WORD_PLAUSIBLE),
]


def _hooks(g: graph_pb2.Graph) -> list[graph_pb2.Hook]:
    """One of each kind that a call without a session may have, on x and on y."""
    half = {"factor": graph_pb2.Attribute(double_value=0.5)}
    gradient = graph_pb2.Leaf(name="g", spec=g.leaves[0].spec)
    doubled = graph_pb2.Graph(leaves=[gradient], nodes=[node("add", "g g", "h")], outputs=["h"])
    return [
        graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name="scale", attributes=half)),
        graph_pb2.Hook(value="x", graph=doubled, label="doubled"),
        graph_pb2.Hook(value="s", named=graph_pb2.NamedHook(name="record")),
    ]


def run(g: graph_pb2.Graph, verify: pb.VerifyOptions = VERIFY[0], **rest: Any) -> pb.DifferentiateRequest:
    """A run that fetches y; ``rest`` are fields of the request, and of its input."""
    shared = {name: rest.pop(name) for name in pb.RunInput.DESCRIPTOR.fields_by_name if name in rest}
    return pb.DifferentiateRequest(input=pb.RunInput(graph=g, fetch=["y"], **shared), verify=verify, **rest)


DIFFERENTIATE = [
    run(g, verify, request_id=f"r{k}", hooks=_hooks(g)[k % 4 : k % 4 + 1])
    for k, g in enumerate(GRAPHS)
    for verify in VERIFY
]
EVALUATE = [pb.EvaluateRequest(input=pb.RunInput(graph=g, request_id="e", fetch=["s", "y"])) for g in GRAPHS]
GOOD: dict[str, list[Any]] = {
    "Differentiate": DIFFERENTIATE,
    "StreamingDifferentiate": [pb.StreamingDifferentiateRequest(request=one) for one in DIFFERENTIATE],
    "Evaluate": EVALUATE,
    "Infer": [pb.InferRequest(graph=g) for g in GRAPHS],
    "Derive": [pb.DeriveRequest(graph=g, mode=mode, by=["x"]) for g in GRAPHS for mode in pb.DeriveMode.values()[1:]],
    "Explain": [pb.ExplainRequest(graph=g, value="y") for g in GRAPHS[:2]],
    "GetServerInfo": [pb.GetServerInfoRequest()],
    "GetStatus": [operations_service_pb2.GetStatusRequest()],
    "ListOps": [op_service_pb2.ListOpsRequest(page_size=5), op_service_pb2.ListOpsRequest(page_token="sin")],
    "GetOp": [op_service_pb2.GetOpRequest(name=name) for name in ("sin", "inv", "concat")],
    "VerifyOp": [op_service_pb2.VerifyOpRequest(name="sin", budget_seconds=0.02)],
}


def _uploaded(n: int) -> list[pb.SessionRequest]:
    """An upload of two numbers, and a run that uses it."""
    spec = GRAPHS[0].leaves[0].spec
    using = run(GRAPHS[0], request_id=f"u{n}")
    using.input.graph.leaves[0].value.Clear()
    using.input.graph.leaves[0].value.CopyFrom(tensor_pb2.Tensor(spec=spec, tensor_id=n))
    return [
        pb.SessionRequest(header=tensor_pb2.TensorHeader(tensor_id=n, total_bytes=16, spec=spec)),
        pb.SessionRequest(chunk=tensor_pb2.TensorChunk(tensor_id=n, data=b"\0" * 16)),
        pb.SessionRequest(differentiate=using),
    ]


def _kept() -> list[pb.SessionRequest]:
    """A run whose values are kept, others that go on from there, and the end of it."""
    g = GRAPHS[1]
    again = pb.DifferentiateRequest(input=pb.RunInput(saved="k", request_id="k1"), verify=VERIFY[0])
    taken = run(g, request_id="k2", reuse=[pb.Reuse(saved="k", values=["x", "s"])])
    return [
        pb.SessionRequest(differentiate=run(g, request_id="k0", save_as="k")),
        pb.SessionRequest(differentiate=again),
        pb.SessionRequest(differentiate=taken),
        pb.SessionRequest(evaluate=pb.EvaluateRequest(input=pb.RunInput(saved="k", fetch=["s"], request_id="k3"))),
        pb.SessionRequest(release=pb.ReleaseSaved(saved="k")),
    ]


def _asking(n: int) -> pb.SessionRequest:
    """A run with a hook that the client is to answer."""
    hooks = [graph_pb2.Hook(value="x", client=graph_pb2.ClientHook(hook_id=n))]
    return pb.SessionRequest(differentiate=run(GRAPHS[0], request_id=f"c{n}", hooks=hooks))


TALKS = [_uploaded(1), _kept(), [_asking(1)], [_asking(2), *_kept()], [*_uploaded(1), *_uploaded(2)]]
REPLIES = [
    pb.SessionRequest(hook_reply=pb.HookReply(hook_id=1, gradient=GRAPHS[0].leaves[0].value)),
    pb.SessionRequest(hook_reply=pb.HookReply(hook_id=1)),
    pb.SessionRequest(hook_reply=pb.HookReply(hook_id=2, error="no")),
]
FRAMES = [
    *(pb.SessionRequest(differentiate=one) for one in DIFFERENTIATE),
    *(pb.SessionRequest(evaluate=one) for one in EVALUATE),
    *(frame for talk in TALKS for frame in talk),
    *REPLIES,
    pb.SessionRequest(cancel=pb.CancelRun(request_id="r1")),
]


@st.composite
def talks(draw: DrawFn) -> list[pb.SessionRequest]:
    """What a client says in a session: frames in any order, or a right talk with a few others in it."""
    if draw(st.booleans()):
        return draw(st.lists(st.one_of(st.sampled_from(FRAMES), changed(FRAMES)), max_size=8))
    found: list[pb.SessionRequest] = list(draw(st.sampled_from(TALKS)))
    for _ in range(draw(st.integers(0, 3))):
        k = draw(st.integers(0, len(found)))
        found[k : k + draw(st.integers(0, 1))] = [draw(st.one_of(st.sampled_from(FRAMES), changed(FRAMES)))]
    return found


def asked(frames: Sequence[pb.SessionRequest]) -> list[int]:
    """Ids of the hooks that the client is to answer."""
    hooks = [hook for frame in frames for hook in frame.differentiate.hooks]
    return [hook.client.hook_id for hook in hooks if hook.HasField("client")]
