"""Hooks over the wire: named ones, graphs, and functions at the client; in order, mixed, at fault, slow, cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.session_stream import SessionStream
from tests.support.statuses import fault_of

from gradproof.client import Client, Gradient, GraphBuilder, InvalidRequest, RunError, Value, hook
from gradproof.client.decoding import EventDecoder
from gradproof.client.graph import CallableHook, Hook
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2
from gradproof.wire import decode_tensor, encode_spec, encode_tensor

SLOW = 60.0  # a client that takes longer is broken, not slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(hook_timeout_seconds=SLOW)
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.faulty_plugin"], limits=limits) as one:
        yield one
        assert one.host.handler.admission.busy == 0


@pytest.fixture
def client(served: Served) -> Client:
    return served.client


@pytest.fixture
def talk(served: Served) -> Iterator[SessionStream]:
    one = SessionStream(served)
    yield one
    one.leave()


def cubes(x: Any = (1.0, 2.0, 3.0)) -> GraphBuilder:
    """y = x², z = sum(x · y): dz/dy is x, and dz/dx is y + 2x · dz/dy."""
    g = GraphBuilder()
    v = g.leaf("x", np.array(x), requires_grad=True)
    y = g.apply("square", v, name="y")
    g.output(g.apply("sum", v * y, name="z"))
    return g


def graph_hook(function: Callable[[Any], Any], shape: tuple[int, ...] = (3,), dtype: Any = np.float64) -> GraphBuilder:
    """The graph of a function of a gradient."""
    g = GraphBuilder()
    g.output(function(g.leaf("g", shape=shape, dtype=dtype)))
    return g


def collect(stream: Iterator[Any], told: list[Any]) -> None:
    """What comes before whatever is raised."""
    for event in stream:
        told.append(event)  # noqa: PERF402  # until the stream raises


# what the three kinds do


@pytest.mark.slow
def test_a_graph_hook(client: Client) -> None:
    doubled = graph_hook(lambda g: g * 2 + np.array([0.0, 0.0, 1.0]))
    result = client.differentiate(cubes(), hooks=[hook("y", doubled)], retain=["y"], verify="off")
    y = result.gradients["y"]
    assert y.raw is not None
    assert y.gradient is not None
    assert (y.raw.tolist(), y.gradient.tolist()) == ([1, 2, 3], [2, 4, 7])
    assert [(trace.label, trace.changed) for trace in y.hook_traces] == [("graph", True)]
    assert result.gradients["x"].gradient.tolist() == [1 + 2 * 2, 4 + 4 * 4, 9 + 6 * 7]  # type: ignore[union-attr]


def test_a_graph_hook_goes_with_every_call_and_gives_the_same_bits(served: Served, talk: SessionStream) -> None:
    asked = pb.DifferentiateRequest(
        input=pb.RunInput(graph=cubes([0.1, 0.2, 0.3]).to_proto(), request_id="r"),
        hooks=[graph_pb2.Hook(value="y", graph=graph_hook(lambda g: g.graph.apply("sin", g)).to_proto())],
        verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF),
    )
    unary = served.autodiff.Differentiate(asked).gradients
    whole = pb.StreamingDifferentiateRequest(request=asked)
    streamed = [
        one
        for r in served.autodiff.StreamingDifferentiate(whole)
        for event in r.events
        for one in event.gradients.gradients
    ]
    talk.say(differentiate=asked)
    said = [one for event in talk.hear_run("r") for one in event.gradients.gradients]
    assert list(unary) == streamed == said


def test_a_function_gets_a_read_only_array_and_its_result_goes_on(client: Client) -> None:
    seen: list[Any] = []

    def halve(gradient: Any) -> Any:
        seen.append(gradient)
        return gradient / 2

    result = client.differentiate(cubes(), hooks=[hook("y", halve)], retain=["y"], verify="off")
    [given] = seen
    assert given.tolist() == [1, 2, 3]
    assert not given.flags.writeable
    y = result.gradients["y"]
    assert [(trace.label, trace.gradient.tolist(), trace.changed) for trace in y.hook_traces] == [
        ("halve", [0.5, 1.0, 1.5], True)
    ]
    assert y.raw.tolist() == [1, 2, 3]  # type: ignore[union-attr]
    assert result.gradients["x"].gradient.tolist() == [2, 8, 18]  # type: ignore[union-attr]


def test_none_leaves_the_gradient_as_it_is(client: Client) -> None:
    result = client.differentiate(cubes(), hooks=[hook("y", lambda g: None), hook("y", lambda g: g)], retain=["y"])
    assert [(trace.label, trace.changed) for trace in result.gradients["y"].hook_traces] == [("<lambda>", False)] * 2
    assert result.verdicts["x"].hooked_by == ()
    assert result.verdicts["x"].graph.word == "CONSISTENT"


def test_the_kinds_mix_in_the_order_of_the_request(client: Client) -> None:
    seen: list[list[float]] = []

    def see(gradient: Any) -> None:
        seen.append(gradient.tolist())

    hooks: list[Hook] = [
        hook("y", see),
        hook("y", "scale", factor=10.0),
        hook("y", see, label="again"),
        hook("y", graph_hook(lambda g: g + 1), label="plus one"),
        hook("y", lambda g: g * 2, label="twice"),
        hook("x", see),
        hook("y", "record", label="at the end"),
    ]
    result = client.differentiate(cubes(), hooks=hooks, retain=["y"], verify="off")
    y = result.gradients["y"]
    assert [trace.label for trace in y.hook_traces] == ["see", "scale", "again", "plus one", "twice", "at the end"]
    assert [trace.gradient[0] for trace in y.hook_traces] == [1, 10, 10, 11, 22, 22]
    assert seen == [[1, 2, 3], [10, 20, 30], [1 + 2 * 22, 4 + 4 * 42, 9 + 6 * 62]]
    assert y.gradient.tolist() == [22, 42, 62]  # type: ignore[union-attr]


def test_a_function_sees_the_whole_sum_once_and_after_what_is_further_down(client: Client) -> None:
    order: list[str] = []
    hooks = [CallableHook(name, lambda g, name=name: order.append(name), "see") for name in ("x", "y", "z")]  # type: ignore[misc]
    client.differentiate(cubes(), hooks=hooks, verify="off")
    assert order == ["z", "y", "x"]


def test_a_function_is_not_called_where_no_gradient_flows(client: Client) -> None:
    g = cubes()
    unused = g.leaf("unused", 1.0, requires_grad=True)
    result = client.differentiate(g, hooks=[hook(unused, lambda g: 1 / 0)], verify="off")
    assert result.gradients["unused"].gradient is None


def test_gradients_that_are_final_are_sent_before_the_client_is_asked(client: Client) -> None:
    told: list[str] = []

    def check(gradient: Any) -> None:
        assert told == ["z", "y"]

    for event in client.stream(cubes(), hooks=[hook("x", check)], retain=["z", "y"], fetch=["z"], verify="off"):
        if isinstance(event, Gradient):
            told.append(event.value)  # noqa: PERF401  # the hook looks at the list meanwhile
    assert told == ["z", "y", "x"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
def test_every_dtype_there_and_back(client: Client, dtype: str) -> None:
    import ml_dtypes  # noqa: F401 - gives NumPy the name bfloat16

    x = np.array([[1.5, -0.0], [np.nan, 2.0]]).astype(dtype)
    g = GraphBuilder()
    g.output(g.apply("negative", g.leaf("x", x, requires_grad=True), name="y"))
    seen: list[Any] = []

    def back(gradient: Any) -> Any:
        seen.append(gradient)
        return x

    found = client.differentiate(g, seeds={"y": np.ones_like(x)}, hooks=[hook("x", back)], verify="off").gradients["x"]
    assert (seen[0].dtype, seen[0].shape) == (x.dtype, x.shape)
    assert found.gradient.tobytes() == x.tobytes()  # type: ignore[union-attr]


def test_zero_size_and_no_dimension(client: Client) -> None:
    for x in (np.ones((2, 0)), np.float64(3)):
        g = GraphBuilder()
        g.output(g.apply("negative", g.leaf("x", x, requires_grad=True), name="y"))
        found = client.differentiate(g, seeds={"y": x}, hooks=[hook("x", lambda g: g + 1)], verify="off")
        np.testing.assert_array_equal(found.gradients["x"].gradient, 1 - x)


def test_a_gradient_above_four_mebibytes_goes_to_the_hook_and_back_in_chunks(client: Client) -> None:
    x = np.random.default_rng(3).normal(size=600_000)
    g = GraphBuilder()
    v = g.leaf("v", x, requires_grad=True)
    g.output(g.apply("sum", g.apply("square", v, name="s")))
    result = client.differentiate(
        g, hooks=[hook("s", lambda g: g * x, label="by x"), hook("v", lambda g: None)], verify="off"
    )
    assert result.gradients["v"].gradient.tobytes() == (2 * x * x).tobytes()  # type: ignore[union-attr]


def test_a_large_constant_of_a_graph_hook_goes_ahead_in_chunks(client: Client) -> None:
    x, mask = np.ones(600_000), np.random.default_rng(5).normal(size=600_000)
    masked = graph_hook(lambda g: g * mask, (600_000,))
    assert masked.to_proto().ByteSize() > 4 << 20
    for hooks in ([hook("y", masked)], [hook("y", masked), hook("y", lambda g: None)]):
        result = client.differentiate(cubes(x), hooks=hooks, gradients=["x"], retain=["y"], verify="off")
        assert result.gradients["y"].gradient.tobytes() == mask.tobytes()  # type: ignore[union-attr]


# what they may not do

BAD: list[tuple[str, Callable[[Any], Any], str]] = [
    ("shape", lambda g: g[:2], r"hook 'mine' has changed the size of value 'y' \(was \(3,\) got \(2,\)\)"),
    ("rank", lambda g: g[None], r"hook 'mine' has changed the size of value 'y'"),
    ("dtype", lambda g: g.astype("f4"), r"hook 'mine' has changed the type of value 'y' \(was float64 got float32\)"),
    ("kind", lambda g: g + 0j, r"hook 'mine' has changed the type of value 'y' \(was float64 got complex128\)"),
]


@pytest.mark.parametrize(("function", "text"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_a_function_may_not_return(client: Client, function: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(RunError, match=text) as caught:
        client.differentiate(cubes(), hooks=[hook("y", function, label="mine")])
    assert (caught.value.reason, caught.value.metadata) == ("HOOK_FAULT", {"value": "y"})


@pytest.mark.parametrize("result", [1.0, [1.0, 2.0, 3.0], (1.0,), True])
def test_what_is_no_array(client: Client, result: Any) -> None:
    kind = type(result).__name__
    with pytest.raises(TypeError, match=f"expected an array, but hook 'mine' on 'y' returned '{kind}'"):
        client.differentiate(cubes(), hooks=[hook("y", lambda g: result, label="mine")])


def test_what_a_function_raises_is_raised_unchanged_and_the_run_is_given_up(served: Served, client: Client) -> None:
    error = LookupError("mine alone")

    def refuse(gradient: Any) -> None:
        raise error

    told: list[Any] = []
    stream = client.stream(cubes(), hooks=[hook("x", refuse)], retain=["y"], fetch=["z"], verify="off")
    with pytest.raises(LookupError) as caught:
        collect(stream, told)
    assert caught.value is error
    assert [
        event.name if isinstance(event, Value) else event.value for event in told if isinstance(event, (Value, Gradient))
    ] == ["z", "y"]
    assert client.differentiate(cubes(), verify="off").gradients["x"].gradient.tolist() == [3, 12, 27]  # type: ignore[union-attr]


def test_a_hook_needs_a_session(served: Served) -> None:
    asked = request([leaf("x", 3.0)], [node("square", "x", "y")], "q")
    asked.hooks.add(value="x", client=graph_pb2.ClientHook(hook_id=1))
    with pytest.raises(grpc.RpcError, match="the request has 2 faults"):
        served.autodiff.Differentiate(asked)
    with pytest.raises(InvalidRequest) as caught:
        served.client.send(asked)
    assert [(one.path, one.reason) for one in caught.value.faults] == [
        ("hooks[0].client", "HOOK_NEEDS_SESSION"),
        ("input.graph.outputs[0]", "VALUE_UNKNOWN"),
    ]


def leaves(**specs: Any) -> list[graph_pb2.Leaf]:
    return [graph_pb2.Leaf(name=name, spec=encode_spec((size,), np.dtype(dtype))) for name, (size, dtype) in specs.items()]


ONE = node("square", "g", "r")
FAULTS: list[tuple[str, graph_pb2.Graph, list[tuple[str, str, str]]]] = [
    ("nothing", graph_pb2.Graph(), [("graph.outputs", "OUTPUT_MISSING", ""), ("graph.leaves", "HOOK_SIGNATURE", "0 do")]),
    (
        "two leaves, two outputs",
        graph_pb2.Graph(leaves=leaves(g=(3, "f8"), h=(3, "f8")), nodes=[ONE], outputs=["g", "r"]),
        [("graph.leaves", "HOOK_SIGNATURE", "2 do")],
    ),
    (
        "two outputs",
        graph_pb2.Graph(leaves=leaves(g=(3, "f8")), nodes=[ONE], outputs=["g", "r"]),
        [("graph.outputs", "HOOK_SIGNATURE", "2 are named")],
    ),
    (
        "no such op",
        graph_pb2.Graph(leaves=leaves(g=(3, "f8")), nodes=[node("squared", "g", "r")], outputs=["r"]),
        [("graph.nodes[0].op", "OP_UNKNOWN", "did you mean 'square'")],
    ),
    (
        "another shape",
        graph_pb2.Graph(leaves=leaves(g=(4, "f8")), nodes=[node("sum", "g", "r")], outputs=["r"]),
        [
            ("graph.leaves[0].spec", "HOOK_SPEC", "takes float64[4], and the gradient of 'y' is float64[3]"),
            ("graph.outputs[0]", "HOOK_SPEC", "hook 'graph' has changed the size of value 'y' (was (4,) got ())"),
        ],
    ),
    (
        "another dtype",
        graph_pb2.Graph(leaves=leaves(g=(3, "f8")), nodes=[node("less", "g g", "r")], outputs=["r"]),
        [("graph.outputs[0]", "HOOK_SPEC", "hook 'graph' has changed the type of value 'y' (was float64 got bool)")],
    ),
    (
        "a leaf's value of another shape",
        graph_pb2.Graph(
            leaves=[
                *leaves(g=(3, "f8")),
                graph_pb2.Leaf(name="c", spec=encode_spec((3,), np.dtype("f8")), value=encode_tensor(np.ones(2))),
            ],
            nodes=[node("add", "g c", "r")],
            outputs=["r"],
        ),
        [("graph.leaves[1].value", "VALUE_SPEC", "its value is float64[2]")],
    ),
]


@pytest.mark.parametrize(("graph", "faults"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_every_fault_of_a_graph_hook_is_told_before_anything_runs(
    client: Client, graph: graph_pb2.Graph, faults: list[tuple[str, str, str]]
) -> None:
    g = cubes()
    g.apply("faulty.explode", g.leaf("bomb", 1.0))
    hooks = [hook("y", "scale", factor=1.0), hook("y", graph), hook("x", "scales")]
    with pytest.raises(InvalidRequest) as caught:
        client.differentiate(g, hooks=hooks)
    found = [(one.path, one.reason) for one in caught.value.faults]
    assert found == [*((f"hooks[1].{path}", reason) for path, reason, _ in faults), ("hooks[2].named.name", "HOOK_UNKNOWN")]
    for one, (_, _, text) in zip(caught.value.faults, faults, strict=False):
        assert text in one.message


def test_a_graph_hook_is_decoded_under_the_limits_of_any_graph(client: Client) -> None:
    bad = graph_pb2.Graph(leaves=leaves(g=(3, "f8")), nodes=[node("square", "g", "r" * 300)], outputs=["r" * 300])
    bad.leaves.add(name="c", value=tensor_pb2.Tensor(spec=encode_spec((3,), np.dtype("f8")), data=b"short"))
    with pytest.raises(InvalidRequest) as caught:
        client.differentiate(cubes(), hooks=[hook("y", bad)])
    assert [(one.path, one.reason) for one in caught.value.faults] == [
        ("hooks[0].graph.leaves[1].value.data", "TENSOR_LENGTH"),
        ("hooks[0].graph.nodes[0].outputs[0]", "NAME_LENGTH"),
        ("hooks[0].graph.outputs[0]", "NAME_LENGTH"),
    ]


def test_a_node_of_a_graph_hook_that_fails_is_named_with_the_hook(client: Client) -> None:
    bomb = graph_hook(lambda g: g.graph.apply("faulty.explode", g))
    with pytest.raises(
        RunError, match=r"hook 'bomb' on 'y': graph.nodes\[0\] .* raised OSError; the server's log"
    ) as caught:
        client.differentiate(cubes(), hooks=[hook("y", bomb, label="bomb")])
    assert (caught.value.reason, caught.value.node) == ("HOOK_FAULT", None)


def test_labels_name_hooks_of_all_kinds_in_faults(client: Client) -> None:
    with pytest.raises(RunError, match="hook 'picky' on 'y' raised ValueError; the server's log"):
        client.differentiate(cubes(), hooks=[hook("y", "faulty.refuse", label="picky")])


def test_what_hook_makes_of_its_action() -> None:
    def mine(gradient: Any) -> None: ...

    class Watcher:
        def __call__(self, gradient: Any) -> None: ...

    assert hook("y", mine) == CallableHook("y", mine, label="mine")
    watcher = Watcher()
    assert hook("y", watcher) == CallableHook("y", watcher, "Watcher")
    assert hook("y", graph_pb2.Graph()) == graph_pb2.Hook(value="y", graph=graph_pb2.Graph())
    with pytest.raises(TypeError, match="a hook is a name, a graph or a function, not int"):
        hook("y", 3)
    with pytest.raises(TypeError, match="only a named hook has attributes"):
        hook("y", mine, factor=2.0)


# verdicts


def test_verdicts_see_every_kind_of_hook_as_the_same_cut(client: Client) -> None:
    kinds: list[Hook] = [
        hook("y", "scale", factor=2.0),
        hook("y", graph_hook(lambda g: g * 2)),
        hook("y", lambda g: g * 2),
    ]
    found = [client.differentiate(cubes(), hooks=[one], budget=60.0) for one in kinds]
    for one in found:
        verdict = one.verdicts["x"]
        assert (verdict.graph.word, verdict.graph.reason) == ("CUT", "CONSISTENT between the hooks on y")
        assert (verdict.hooked_by, verdict.summary) == (("y",), "verified")
        assert one.gradients["x"].gradient.tolist() == [5, 20, 45]  # type: ignore[union-attr]


# talking by hand


def asking(request_id: str, value: str = "x", hook_id: int = 7, **rest: Any) -> pb.DifferentiateRequest:
    """y = x², with hooks that run at the client."""
    hooks = [graph_pb2.Hook(value=value, client=graph_pb2.ClientHook(hook_id=hook_id))]
    return request([leaf("x", np.float64(3))], [node("square", "x", "y")], "y", request_id=request_id, hooks=hooks, **rest)


def heard_hook(talk: SessionStream, request_id: str) -> pb.HookRequest:
    """The next hook request; before it, what was accepted."""
    while True:
        answer = talk.hear()
        assert answer.request_id == request_id, answer
        kind = answer.events[0].WhichOneof("kind")
        if kind == "hook_request":
            return answer.events[0].hook_request
        assert kind in ("accepted", "gradients", "values"), answer


def reply(hook_id: int = 7, **rest: Any) -> dict[str, pb.HookReply]:
    return {"hook_reply": pb.HookReply(hook_id=hook_id, **rest)}


def gradients(events: list[pb.Event]) -> dict[str, Any]:
    decoder = EventDecoder()
    return {one.value: one.gradient for e in events for one in decoder.decode(e) if isinstance(one, Gradient)}


def test_the_frames_of_a_hook(talk: SessionStream) -> None:
    talk.say(differentiate=asking("r"))
    asked = heard_hook(talk, "r")
    assert (asked.hook_id, asked.value, asked.label) == (7, "x", "client")
    assert decode_tensor(asked.gradient) == 6.0
    talk.say(**reply(gradient=encode_tensor(np.float64(5))))
    events = talk.hear_run("r")
    assert gradients(events) == {"x": 5.0}
    assert [event.WhichOneof("kind") for event in events] == ["gradients", "summary"]


def test_a_waiting_hook_holds_no_thread_and_no_other_run(talk: SessionStream) -> None:
    """There are four threads for runs. Ten wait for the client, and others overtake them."""
    for k in range(10):
        talk.say(differentiate=asking(f"slow {k}", hook_id=k))
        heard_hook(talk, f"slow {k}")
    plain = request([leaf("x", np.float64(3))], [node("square", "x", "y")], "y", request_id="quick")
    talk.say(differentiate=plain)
    assert gradients(talk.hear_run("quick")) == {"x": 6.0}
    for k in reversed(range(10)):
        talk.say(**reply(k, gradient=encode_tensor(np.float64(k))))
        assert gradients(talk.hear_run(f"slow {k}")) == {"x": float(k)}


def test_an_id_serves_one_hook_at_a_time(talk: SessionStream) -> None:
    twice = asking("twice")
    twice.hooks.append(twice.hooks[0])
    talk.say(differentiate=twice)
    assert [(one.path, one.reason) for one in fault_of(talk.hear()).faults] == [("hooks[1].client.hook_id", "HOOK_ID")]
    talk.say(differentiate=asking("one"))
    heard_hook(talk, "one")
    talk.say(differentiate=asking("other"))
    faults = [talk.hear() for _ in range(3)][1:]
    assert "another run of this session waits for hook_id 7" in faults[0].events[0].fault.message
    assert (faults[1].request_id, fault_of(faults[1]).reason) == ("other", "HOOK_FAULT")
    talk.say(**reply())
    assert gradients(talk.hear_run("one")) == {"x": 6.0}


def test_an_error_of_the_client_ends_the_run(talk: SessionStream) -> None:
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    talk.say(**reply(error="ValueError: not today"))
    told, last = talk.hear(), talk.hear()
    assert (told.events[0].fault.value, told.events[0].fault.reason) == ("x", "HOOK_FAULT")
    assert fault_of(last).message == "hook 'client' on 'x' raised ValueError: not today"
    talk.say(differentiate=asking("r"))  # the session goes on, and the id is free
    heard_hook(talk, "r")


def test_an_error_without_a_text_ends_the_run_too(talk: SessionStream) -> None:
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    talk.say(**reply(error=""))
    assert talk.hear().events[0].fault.reason == "HOOK_FAULT"
    assert fault_of(talk.hear()).message == "hook 'client' on 'x' raised an error"


def test_replies_at_fault(talk: SessionStream) -> None:
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    talk.say(**reply(8))
    answer = talk.hear()
    assert (answer.request_id, fault_of(answer).faults[0].path, fault_of(answer).faults[0].reason) == (
        "",
        "hook_reply.hook_id",
        "HOOK_ID",
    )
    spec = encode_spec((), np.dtype("f8"))
    talk.say(**reply(gradient=tensor_pb2.Tensor(spec=spec, data=b"x")))
    assert (
        "hook 'client' on 'x' returned something that is not a tensor: data: 1 bytes" in talk.hear().events[0].fault.message
    )
    assert fault_of(talk.hear()).reason == "HOOK_FAULT"
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    talk.say(**reply(gradient=tensor_pb2.Tensor(spec=spec, tensor_id=4)))
    assert "no tensor came in chunks as 4" in talk.hear().events[0].fault.message


def test_cancelled_while_waiting(served: Served, talk: SessionStream) -> None:
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    talk.say(cancel=pb.CancelRun(request_id="r"))
    answer = talk.hear()
    assert (answer.request_id, fault_of(answer).reason) == ("r", "CANCELLED")
    talk.say(**reply())  # too late
    assert fault_of(talk.hear()).faults[0].reason == "HOOK_ID"
    assert talk.end() == []
    assert served.host.handler.admission.busy == 0


def test_a_client_that_says_no_more_is_not_waited_for(talk: SessionStream) -> None:
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    talk.say(differentiate=asking("s", hook_id=8))
    answers = talk.end()
    faults = {answer.request_id: fault_of(answer).message for answer in answers if answer.HasField("status")}
    assert faults == dict.fromkeys("rs", "hook 'client' on 'x' cannot be called: its client has ended the stream")


def test_a_client_that_hangs_up_while_the_server_waits_leaves_nothing_behind(served: Served) -> None:
    talk = SessionStream(served)
    talk.say(differentiate=asking("r"))
    heard_hook(talk, "r")
    assert served.host.handler.admission.waiting == 1
    talk.leave()
    for _ in range(1000):  # calls, rather than time, for it to be counted down
        if not served.host.handler.admission.busy:
            break
        served.autodiff.Differentiate(request([leaf("x", 3.0)], [], "x"))
    assert served.host.handler.admission.busy == 0


@pytest.mark.slow
def test_a_client_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Any) -> None:
    with serving(tmp_path, limits=Limits(hook_timeout_seconds=0.001)) as served:
        talk = SessionStream(served)
        talk.say(differentiate=asking("r"))
        heard_hook(talk, "r")
        assert talk.hear().events[0].fault.reason == "HOOK_FAULT"
        assert fault_of(talk.hear()).message == "hook 'client' on 'x' did not answer within 0.001 s"
        talk.leave()


def test_two_runs_of_one_client_in_two_threads_do_not_meet(client: Client) -> None:
    """Each waits in its hook until the other is in its own."""
    barrier, found = threading.Barrier(2, timeout=60), {}

    def run(factor: float) -> None:
        def meet(gradient: Any) -> Any:
            barrier.wait()
            return gradient * factor

        found[factor] = client.differentiate(cubes(), hooks=[hook("x", meet)], verify="off").gradients["x"].gradient

    threads = [threading.Thread(target=run, args=(factor,)) for factor in (2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {factor: array.tolist() for factor, array in found.items()} == {2.0: [6, 24, 54], 3.0: [9, 36, 81]}  # type: ignore[union-attr]
