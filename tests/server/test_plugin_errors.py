"""Errors of any kind: a plugin that exits or cancels is at fault like one that divides by 0, and ends nothing else."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from tests.support.exiting_plugin import ERRORS, PLACES
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.statuses import fault_of

from gradproof.engine.errors import Cancelled
from gradproof.engine.extend import hookimpl
from gradproof.engine.plugin_errors import Escaped, Interrupt, describe, reraise_own, shielded
from gradproof.engine.registry import build_registry
from gradproof.plugins import BUILTIN
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, op_service_pb2, verdict_pb2
from gradproof.wire import encode_attributes

KINDS = [*ERRORS, "recursion"]
NAMES = {
    "lookup": "LookupError",
    "exit": "SystemExit",
    "interrupt": "KeyboardInterrupt",
    "generator": "GeneratorExit",
    "task": "CancelledError",
    "stop": "StopIteration",
    "stop_async": "StopAsyncIteration",
    "memory": "MemoryError",
    "connection": "ConnectionResetError",
    "own": "Own",
    "silent": "Silent",
    "recursion": "RecursionError",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.exiting_plugin"]) as one:
        yield one


def asked(place: str, kind: str, **rest: Any) -> pb.DifferentiateRequest:
    nodes = [
        node("sin", "x", "a"),
        node(f"exiting.{place}", "a", "b", attributes=encode_attributes({"kind": kind})),
        node("sum", "b", "y"),
    ]
    return request([leaf("x", np.array([0.25, 0.5, 0.75]))], nodes, "y", **rest)


def said(served: Served, message: pb.DifferentiateRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        served.autodiff.Differentiate(message, timeout=60)
    return caught.value.code(), str(caught.value.details())


def well(served: Served) -> bool:
    return bool(served.autodiff.Differentiate(asked("forward", ""), timeout=60).summary.nodes_computed == 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["forward", "infer", "rule"])
def test_an_op_ends_its_request_and_no_more(served: Served, place: str, kind: str) -> None:
    code, text = said(served, asked(place, kind))
    usual, usual_text = said(served, asked(place, "lookup"))
    assert code is usual
    assert NAMES[kind] in text
    assert text.split(NAMES[kind])[0] == usual_text.replace("'lookup'", repr(kind)).split("LookupError")[0]
    assert well(served)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_neither_does_one_of_a_compiled_plan_or_in_a_stream(served: Served, kind: str) -> None:
    usual = said(served, asked("forward", "lookup"))[0]
    for _ in range(3):  # a plan is compiled when it runs for the second time
        assert said(served, asked("forward", kind))[0] is usual
    call = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=asked("forward", kind)))
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert caught.value.code() is usual
    message = asked("forward", kind)
    message.input.request_id = "r"
    frames = [pb.SessionRequest(differentiate=message), pb.SessionRequest(differentiate=asked("forward", ""))]
    frames[1].differentiate.input.request_id = "s"
    answers = list(served.autodiff.Session(iter(frames), timeout=60))
    assert [fault_of(one).reason for one in answers if one.HasField("status")] == ["FORWARD_FAULT"]
    events = [event for one in answers if one.request_id == "s" for event in one.events]
    assert any(event.HasField("summary") for event in events)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_ends_its_request_and_no_more(served: Served, kind: str) -> None:
    hook = graph_pb2.Hook(value="a")
    hook.named.name = "exiting.leave"
    hook.named.attributes["kind"].CopyFrom(encode_attributes({"kind": kind})["kind"])
    code, text = said(served, asked("forward", "", hooks=[hook]))
    assert code is grpc.StatusCode.INTERNAL
    assert NAMES[kind] in text
    assert well(served)


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_costs_its_word(served: Served, kind: str) -> None:
    options = pb.VerifyOptions(level=pb.VERIFY_LEVEL_VALUES, budget_seconds=20.0)
    lost = served.host.workers.counts.lost
    response = served.autodiff.Differentiate(asked("define", kind, verify=options), timeout=60)
    [verdict] = response.verdicts
    assert verdict.summary is not verdict_pb2.SUMMARY_WORD_VERIFIED
    assert response.gradients[0].value == "x"
    assert served.host.workers.counts.lost == lost
    assert response.summary.nodes_computed == 3


@pytest.mark.parametrize("place", PLACES)
def test_so_does_its_proof(served: Served, place: str) -> None:
    answers = list(
        served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name=f"exiting.{place}", budget_seconds=20.0), timeout=60)
    )
    assert answers


def test_what_is_meant_for_us_is_passed_on() -> None:
    for error in (Interrupt(), Cancelled(), KeyboardInterrupt()):  # Ctrl-C comes to this thread, which is the main one
        with pytest.raises(type(error)):
            reraise_own(error)
    found: list[BaseException] = []
    ours = KeyboardInterrupt("in a plugin")
    thread = threading.Thread(target=lambda: found.append(reraise_own(ours)))
    thread.start()
    thread.join()
    assert found == [ours]


@pytest.mark.parametrize("kind", ["exit", "interrupt", "generator", "task", "stop", "own"])
def test_nothing_escapes_into_an_event_loop(kind: str) -> None:
    def raises() -> None:
        raise ERRORS[kind]()

    with pytest.raises(Escaped, match=NAMES[kind]):
        shielded(raises)
    assert describe(ERRORS["silent"]()) == "Silent"


@pytest.mark.parametrize("statement", ["raise SystemExit(3)", "import asyncio; raise asyncio.CancelledError"])
def test_a_plugin_that_exits_when_it_is_loaded_is_refused(statement: str) -> None:
    class Leaving:
        GRADPROOF_API = 1

        @staticmethod
        def register_ops(register: Any) -> None:
            exec(statement)

    Leaving.register_ops = staticmethod(hookimpl(Leaving.register_ops))  # type: ignore[method-assign]
    made = build_registry(BUILTIN, others=[Leaving])
    [refusal] = made.refused
    assert "SystemExit" in str(refusal) or "CancelledError" in str(refusal)


@pytest.mark.slow
def test_ctrl_c_still_ends_a_script() -> None:
    code = (
        "import signal, numpy as np\n"
        "from gradproof.engine.op import Op\n"
        "from tests.conftest import Bench\n"
        "from gradproof.engine.engine import Engine\n"
        "from gradproof.engine.registry import build_registry\n"
        "from gradproof.plugins import BUILTIN\n"
        "from tests.support import counting_plugin as c\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a shell's background jobs ignore
        "bench = Bench(Engine(build_registry(BUILTIN, others=[c])))\n"
        "c.act.append(lambda: signal.raise_signal(signal.SIGINT))\n"
        "bench.gradients({'x': np.ones(2)}, ['a = counting.trigger(x)', 'y = sum(a)'], 'y')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
