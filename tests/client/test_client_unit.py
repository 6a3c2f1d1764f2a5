"""The Python client without a server: what it sends, how it reads events, how it reads failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gradproof.client import (
    Accepted,
    DeadlineExceeded,
    Event,
    Fault,
    Gradient,
    GradproofError,
    GraphBuilder,
    InternalError,
    InvalidRequest,
    NotFound,
    NotServed,
    Progress,
    Ref,
    ResourceExhausted,
    Result,
    RunError,
    Summary,
    Unavailable,
    Value,
    Verdict,
    hook,
    requests,
)
from gradproof.client.decoding import EventDecoder
from gradproof.client.errors import from_rpc, from_status
from gradproof.client.requests import check_seconds
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import CHUNK_BYTES, WireError, chunks, decode_tensor, encode_tensor


def nodes(g: GraphBuilder) -> list[tuple[str, list[str], list[str]]]:
    return [(node.op, list(node.inputs), list(node.outputs)) for node in g.to_proto().nodes]


class TestNames:
    def test_a_ref_means_its_value_after_that_was_renamed(self) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 3.0)
        y = x * x
        g.output(y, "y")
        z = x * 5.0
        w = y + z
        assert nodes(g)[-1] == ("add", ["y", z.name], [w.name])
        assert z.name != y.name
        assert hook(y, "zero").value == "y"
        assert g.name_of(y) == "y"
        assert len({name for _, _, outputs in nodes(g) for name in outputs}) == 3

    def test_a_name_is_not_used_again(self) -> None:
        g = GraphBuilder()
        h = g.apply("exp", g.leaf("x", 1.0), name="h")
        g.output(h, "y")
        with pytest.raises(ValueError, match="the name 'h' is taken"):
            g.leaf("h", 1.0)

    def test_an_output_is_given_once(self) -> None:
        g = GraphBuilder()
        y = g.output(g.leaf("x", 1.0) * 2.0, "y")
        for name in ("", "y", "other"):
            with pytest.raises(ValueError, match="'y' is an output already"):
                g.output(y, name)
        assert list(g.to_proto().outputs) == ["y"]

    def test_an_output_of_another_graph_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'x' is a value of another graph"):
            GraphBuilder().output(GraphBuilder().leaf("x", 1.0))

    def test_names_given_and_made_up_do_not_meet(self) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 1.0)
        g.apply("exp", x, name="add_1")
        assert [(x + x).name for _ in range(3)] == ["add_0", "add_2", "add_3"]

    def test_every_change_is_a_revision(self) -> None:
        g = GraphBuilder()
        seen = [g.revision]
        x = g.leaf("x", 1.0)
        seen.append(g.revision)
        y = -x
        seen.append(g.revision)
        g.output(y)
        seen.append(g.revision)
        assert seen == sorted(set(seen))


class TestOperators:
    @pytest.mark.parametrize(
        ("op", "made"),
        [
            ("add", lambda a, x: a + x),
            ("subtract", lambda a, x: a - x),
            ("multiply", lambda a, x: a * x),
            ("divide", lambda a, x: a / x),
            ("pow", lambda a, x: a**x),
            ("matmul", lambda a, x: a @ x),
        ],
    )
    @pytest.mark.parametrize("left", [np.eye(2), np.float64(2.0), 2.0], ids=["array", "numpy scalar", "number"])
    def test_a_constant_on_the_left_is_one_node(self, op: str, made: Any, left: Any) -> None:
        g = GraphBuilder()
        ref = made(left, g.leaf("x", np.ones((2, 2))))
        assert isinstance(ref, Ref)
        assert nodes(g) == [(op, ["constant_0", "x"], [f"{op}_0"])]
        (constant,) = [leaf for leaf in g.to_proto().leaves if leaf.name == "constant_0"]
        assert decode_tensor(constant.value).tolist() == np.asarray(left).tolist()
        assert constant.value.weak == (type(left) is float)


def value_of(spec: Any, value: Any) -> NDArray[Any]:
    """What is sent for the leaf ``x`` of dtype ``spec`` when a caller gives ``value``."""
    g = GraphBuilder()
    g.leaf("x", dtype=spec)
    (named,) = requests.named({"x": value}, g.to_proto())
    assert not named.value.weak
    return decode_tensor(named.value)


class TestValues:
    @pytest.mark.parametrize(
        ("dtype", "number"),
        [
            (np.float64, 5),
            (np.float32, 0.1),
            (np.float16, True),
            (ml_dtypes.bfloat16, 1.5),
            (np.complex64, 2.0),
            (np.int8, -3),
            (np.uint8, 255),
            (np.bool_, False),
            (np.float32, float("inf")),
        ],
    )
    def test_a_number_takes_the_dtype_of_its_leaf(self, dtype: Any, number: Any) -> None:
        sent = value_of(dtype, number)
        assert sent.dtype == np.dtype(dtype)
        assert sent.shape == ()
        assert sent.tobytes() == np.asarray(number, dtype).tobytes()

    def test_a_nan_and_the_sign_of_zero_survive(self) -> None:
        assert np.isnan(value_of(np.float32, float("nan")))
        assert np.signbit(value_of(np.float32, -0.0))

    @pytest.mark.parametrize(
        ("dtype", "number"),
        [(np.int8, 0.5), (np.float32, 1j), (np.bool_, 1), (np.int8, 300), (np.uint8, -1), (np.float32, 1e300)],
    )
    def test_one_that_does_not_fit_goes_as_it_is_for_the_server_to_refuse(self, dtype: Any, number: Any) -> None:
        assert value_of(dtype, number).dtype == np.asarray(number).dtype
        assert value_of(dtype, number) == number

    @pytest.mark.parametrize("value", [np.float32(5.0), np.array(5), np.ones(3)])
    def test_arrays_keep_their_dtype(self, value: Any) -> None:
        assert value_of(np.float64, value).dtype == value.dtype

    def test_leaves_that_say_too_little_are_left_to_the_server(self) -> None:
        graph = graph_pb2.Graph(leaves=[graph_pb2.Leaf(name="bare")])
        for name in ("bare", "unheard"):
            (named,) = requests.named({name: 5}, graph)
            assert decode_tensor(named.value).dtype == np.int64

    def test_a_leaf_with_axes_takes_no_number(self) -> None:
        g = GraphBuilder()
        g.leaf("v", np.ones(3, "f4"))
        (named,) = requests.named({"v": 5}, g.to_proto())
        assert decode_tensor(named.value).dtype == np.int64


DTYPES: list[Any] = [
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.float16, np.float32, np.float64, np.complex64, np.complex128,
]  # fmt: skip

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


def decoded(*messages: pb.Event) -> list[Event]:
    decoder = EventDecoder()
    return [event for message in messages for event in decoder.decode(message)]


def announced(array: NDArray[Any], tensor_id: int) -> list[pb.Event]:
    return [
        pb.Event(header=part) if isinstance(part, tensor_pb2.TensorHeader) else pb.Event(chunk=part)
        for part in chunks(array, tensor_id)
    ]


def uploaded(array: NDArray[Any], tensor_id: int) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(spec=encode_tensor(array).spec, tensor_id=tensor_id)


class TestEvents:
    @given(arrays)
    def test_a_value_is_the_same_inline_and_in_chunks(self, array: NDArray[Any]) -> None:
        inline = tensor_pb2.NamedTensor(name="v", value=encode_tensor(array))
        apart = tensor_pb2.NamedTensor(name="v", value=uploaded(array, 7))
        batch = pb.Event(values=pb.ValueBatch(values=[inline, apart]))
        found = decoded(*announced(array, 7), batch)
        assert len(found) == 2
        for event in found:
            assert isinstance(event, Value)
            assert (event.name, event.value.shape, event.value.dtype) == ("v", array.shape, array.dtype)
            assert event.value.tobytes() == array.tobytes()
            assert not event.value.flags.writeable

    def test_a_gradient_of_several_chunks_with_all_its_parts(self) -> None:
        rng = np.random.default_rng(3)
        raw, result = rng.normal(size=300_000), rng.normal(size=300_000)
        assert raw.nbytes > 2 * CHUNK_BYTES
        message = pb.Gradient(
            value="v",
            gradient=uploaded(result, 3),
            raw=uploaded(raw, 1),
            hook_traces=[pb.HookTrace(label="scale", gradient=uploaded(result, 2), changed=True)],
            grad_fn="MulBackward0",
        )
        parts = [*announced(raw, 1), *announced(result, 2), *announced(result, 3)]
        (event,) = decoded(*parts, pb.Event(gradients=pb.GradientBatch(gradients=[message])))
        assert isinstance(event, Gradient)
        assert event.gradient is not None
        assert event.raw is not None
        assert event.gradient.tobytes() == result.tobytes()
        assert event.raw.tobytes() == raw.tobytes()
        assert [(trace.label, trace.changed) for trace in event.hook_traces] == [("scale", True)]
        assert event.hook_traces[0].gradient.tobytes() == result.tobytes()
        assert event.grad_fn == "MulBackward0"

    def test_no_gradient_is_none_and_zeros_are_zeros(self) -> None:
        zeros = pb.Gradient(value="b", gradient=encode_tensor(np.zeros(2)))
        first, second = decoded(pb.Event(gradients=pb.GradientBatch(gradients=[pb.Gradient(value="a"), zeros])))
        assert first == Gradient("a", None, None, (), "")
        assert isinstance(second, Gradient)
        assert second.gradient is not None
        assert second.gradient.tolist() == [0.0, 0.0]

    def test_an_upload_serves_once_and_must_have_come(self) -> None:
        array = np.ones(3)
        batch = pb.Event(values=pb.ValueBatch(values=[tensor_pb2.NamedTensor(name="v", value=uploaded(array, 9))]))
        decoder = EventDecoder()
        for message in announced(array, 9):
            assert list(decoder.decode(message)) == []
        assert len(list(decoder.decode(batch))) == 1
        with pytest.raises(WireError, match="no tensor came in chunks as 9"):
            list(decoder.decode(batch))

    def test_a_batch_before_its_last_chunk_is_refused(self) -> None:
        array = np.ones(CHUNK_BYTES // 4)
        batch = pb.Event(values=pb.ValueBatch(values=[tensor_pb2.NamedTensor(name="v", value=uploaded(array, 1))]))
        with pytest.raises(WireError, match="no tensor came in chunks as 1"):
            decoded(*announced(array, 1)[:-1], batch)

    def test_faults_with_and_without_a_node(self) -> None:
        at_zero = pb.RunFault(node=0, op="add", plugin="p", reason="FORWARD_FAULT", message="no")
        at_hook = pb.RunFault(value="v", reason="HOOK_FAULT", message="no")
        assert decoded(pb.Event(fault=at_zero), pb.Event(fault=at_hook)) == [
            Fault(0, "add", "p", "FORWARD_FAULT", "no"),
            Fault(None, "", "", "HOOK_FAULT", "no", value="v"),
        ]

    def test_a_result_is_the_sum_of_its_events(self) -> None:
        verdict = verdict_pb2.GradientVerdict(
            value="x",
            summary=verdict_pb2.SUMMARY_WORD_WRONG,
            reason="off",
            uses=[
                verdict_pb2.UseVerdict(
                    node=2,
                    op="multiply",
                    input="a",
                    rule=verdict_pb2.RuleVerdict(
                        word=verdict_pb2.RULE_WORD_REFUTED,
                        op="multiply",
                        witness=verdict_pb2.Witness(input="a", point="1/2", got="1", expected="2"),
                    ),
                    value=verdict_pb2.ValueVerdict(
                        word=verdict_pb2.VALUE_WORD_OFF, max_ulps=1e6, elements_checked=1, elements_total=1
                    ),
                )
            ],
            accumulation=verdict_pb2.AccumulationVerdict(word=verdict_pb2.ACCUMULATION_WORD_EXACT, use_count=1),
            graph=verdict_pb2.GraphVerdict(word=verdict_pb2.GRAPH_WORD_CUT, reason="consistent", ratio=0.5),
            hooked_by=["h"],
        )
        result = Result()
        for event in decoded(
            pb.Event(accepted=pb.Accepted(digest="d", node_count=3, estimated_bytes=24)),
            pb.Event(gradients=pb.GradientBatch(gradients=[pb.Gradient(value="x", gradient=encode_tensor(1.0))])),
            pb.Event(verdicts=pb.VerdictBatch(verdicts=[verdict])),
            pb.Event(progress=verdict_pb2.Progress(proofs_done=1, proofs_total=2)),
            pb.Event(summary=pb.RunSummary(wrong=1, elements_checked=1, elements_total=1)),
        ):
            result.add(event)
        found = result.verdicts["x"]
        (use,) = found.uses
        assert (found.summary, found.graph.word, found.hooked_by) == ("wrong", "CUT", ("h",))
        assert (use.rule.word, use.value.word, found.accumulation.word) == ("REFUTED", "OFF", "EXACT")
        assert use.rule.witness is not None
        assert (use.rule.witness.got, use.rule.witness.expected) == ("1", "2")
        assert use.value.witness is None
        assert result.digest == "d"
        assert result.gradients["x"].gradient == 1.0
        assert result.summary == Summary(0, 0, 0, 1, 1, 1, 0.0, 0.0)

    def test_unknown_words_are_read_as_unchecked(self) -> None:
        use = verdict_pb2.UseVerdict(rule=verdict_pb2.RuleVerdict(), value=verdict_pb2.ValueVerdict())
        message = verdict_pb2.GradientVerdict(value="x", uses=[use])
        message.summary = message.accumulation.word = message.graph.word = 99  # type: ignore[assignment]
        message.uses[0].rule.word = message.uses[0].value.word = 99  # type: ignore[assignment]
        again = verdict_pb2.GradientVerdict.FromString(message.SerializeToString())
        [verdict] = decoded(pb.Event(verdicts=pb.VerdictBatch(verdicts=[again])))
        assert isinstance(verdict, Verdict)
        assert (verdict.summary, verdict.accumulation.word, verdict.graph.word) == ("unchecked", "UNCHECKED", "SKIPPED")
        assert (verdict.uses[0].rule.word, verdict.uses[0].value.word) == ("UNDECIDED", "UNCHECKED")
        assert decoded(pb.Event(progress=verdict_pb2.Progress(stage=99))) == [Progress("", 0, 0, 0, 0)]  # type: ignore[arg-type]

    def test_accepted(self) -> None:
        assert decoded(pb.Event(accepted=pb.Accepted(digest="d", node_count=3, estimated_bytes=24))) == [
            Accepted("d", 3, 24)
        ]


class Failed(grpc.RpcError):
    """A call as gRPC leaves it: code and details, and trailers if the server sent a status with details."""

    def __init__(self, code: grpc.StatusCode, message: str | None, details: Sequence[Any] | None = None) -> None:
        self._code, self._message, self._trailers = code, message, None
        if details is not None:
            status = status_pb2.Status(code=code.value[0], message=message or "")
            for detail in details:
                packed = any_pb2.Any()
                packed.Pack(detail)
                status.details.append(packed)
            self._trailers = (("grpc-status-details-bin", status.SerializeToString()),)

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._message

    def trailing_metadata(self) -> Any:
        return self._trailers


KINDS: list[tuple[grpc.StatusCode, type[GradproofError]]] = [
    (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
    (grpc.StatusCode.NOT_FOUND, NotFound),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhausted),
    (grpc.StatusCode.UNIMPLEMENTED, NotServed),
    (grpc.StatusCode.UNAVAILABLE, Unavailable),
    (grpc.StatusCode.CANCELLED, Unavailable),
    (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
    (grpc.StatusCode.INTERNAL, InternalError),
    (grpc.StatusCode.UNKNOWN, InternalError),
]


def status(code: int, reason: str) -> status_pb2.Status:
    """A status with a reason and no places."""
    message = status_pb2.Status(code=code, message="no")
    message.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="d"))
    return message


class TestErrors:
    @pytest.mark.parametrize(("code", "kind"), KINDS, ids=[code.name for code, _ in KINDS])
    def test_every_code_is_an_exception_with_and_without_details(
        self, code: grpc.StatusCode, kind: type[GradproofError]
    ) -> None:
        info = error_details_pb2.ErrorInfo(reason="WORD", domain="d", metadata={"limit": "nodes"})
        rich, bare = from_rpc(Failed(code, "no", [info])), from_rpc(Failed(code, "no"))
        assert type(rich) is type(bare) is kind
        assert (str(rich), rich.reason, rich.metadata) == ("no", "WORD", {"limit": "nodes"})
        assert (str(bare), bare.reason, bare.metadata) == ("no", "", {})
        assert type(from_status(status_pb2.Status(code=code.value[0], message="no"))) is kind

    @pytest.mark.parametrize("nothing", ["", None])
    def test_a_call_that_says_nothing_says_its_code(self, nothing: str | None) -> None:
        assert str(from_rpc(Failed(grpc.StatusCode.UNAVAILABLE, nothing))) == "UNAVAILABLE"

    def test_faults_by_place(self) -> None:
        bad = error_details_pb2.BadRequest()
        bad.field_violations.add(field="graph.nodes[0].op", description="there is no op 'sine'", reason="OP_UNKNOWN")
        bad.field_violations.add(field="values[1]", description="no", reason="SHAPE")
        info = error_details_pb2.ErrorInfo(reason="INVALID_REQUEST", domain="d")
        error = from_rpc(Failed(grpc.StatusCode.INVALID_ARGUMENT, "the request has 2 faults", [info, bad]))
        assert isinstance(error, InvalidRequest)
        assert [str(fault) for fault in error.faults] == ["graph.nodes[0].op: there is no op 'sine'", "values[1]: no"]
        assert [fault.reason for fault in error.faults] == ["OP_UNKNOWN", "SHAPE"]

    @pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.FAILED_PRECONDITION])
    def test_a_run_that_failed_says_where(self, code: grpc.StatusCode) -> None:
        places = {"node": "3", "op": "p.f", "plugin": "p"}
        info = error_details_pb2.ErrorInfo(reason="RULE_FAULT", domain="d", metadata=places)
        place = pb.RunFault(node=3, op="p.f", plugin="p")
        message = status(code.value[0], "RULE_FAULT")
        for error in (from_rpc(Failed(code, "no", [info])), from_status(message, place=place)):
            assert isinstance(error, RunError)
            assert (error.node, error.op, error.plugin, error.metadata) == (3, "p.f", "p", places)

    def test_a_hook_that_failed_has_no_node(self) -> None:
        message = status(code_pb2.FAILED_PRECONDITION, "HOOK_FAULT")
        error = from_status(message, place=pb.RunFault(value="v"))
        assert isinstance(error, RunError)
        assert (error.node, error.op, error.metadata) == (None, "", {"value": "v"})

    def test_node_zero_is_a_node(self) -> None:
        message = status(code_pb2.INTERNAL, "FORWARD_FAULT")
        error = from_status(message, place=pb.RunFault(node=0, op="f"))
        assert isinstance(error, RunError)
        assert error.node == 0


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (pb.VerifyOptions(), 5.0),
        (pb.VerifyOptions(budget_seconds=0.0), 0.0),
        (pb.VerifyOptions(budget_seconds=9.0), 9.0),
        (pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF), 0.0),
    ],
)
def test_a_request_without_a_budget_waits_for_that_of_the_server(options: pb.VerifyOptions, seconds: float) -> None:
    assert check_seconds(pb.DifferentiateRequest(verify=options)) == seconds
