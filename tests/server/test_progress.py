"""Progress of checks and proofs: sent on request, behind all gradients."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.server_fixture import Served, serving

from gradproof.client import Client, Gradient, GraphBuilder, Verdict
from gradproof.client.aio import AsyncClient
from gradproof.client.events import Progress
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2, verdict_pb2

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on which the proof of slow.hang never ends, and progress is sent without much delay."""
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.slow_plugin"], proof_seconds=600.0) as server:
        server.host.handler.checks.progress_seconds = 0.01
        yield server


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.target) as client:
        yield client


def hanging() -> GraphBuilder:
    """A graph of two nodes: numbers are read at once, and a proof is waited for."""
    g = GraphBuilder()
    g.output(g.apply("tanh", g.apply("slow.hang", g.leaf("x", 0.5, requires_grad=True), name="h"), name="y"))
    return g


def run(*, progress: bool, budget: float) -> pb.StreamingDifferentiateRequest:
    options = pb.VerifyOptions(budget_seconds=budget, progress=progress)
    return pb.StreamingDifferentiateRequest(
        request=pb.DifferentiateRequest(input=pb.RunInput(graph=hanging().to_proto()), verify=options)
    )


@pytest.mark.slow
def test_progress_comes_behind_all_gradients_and_counts_proofs_and_nodes(served: Served) -> None:
    stream = served.autodiff.StreamingDifferentiate(run(progress=True, budget=60.0), timeout=120)
    kinds, last = [], verdict_pb2.Progress()
    while last.stage != verdict_pb2.CHECK_STAGE_PROOFS or last.proofs_done < last.proofs_total - 1:
        event = next(stream).events[0]
        kinds.append(event.WhichOneof("kind"))
        assert event.sequence == len(kinds) - 1
        if kinds[-1] == "progress":
            assert (event.progress.nodes_read, event.progress.proofs_done) >= (last.nodes_read, last.proofs_done)
            last = event.progress
    assert kinds[0] == "accepted"
    assert kinds.index("progress") > max(k for k, kind in enumerate(kinds) if kind == "gradients")
    assert last.nodes_read == last.nodes_total == 2
    assert last.proofs_total >= 1
    stream.cancel()


def test_there_is_none_without_being_asked_for(served: Served) -> None:
    responses = list(served.autodiff.StreamingDifferentiate(run(progress=False, budget=0.3), timeout=60))
    assert {response.events[0].WhichOneof("kind") for response in responses} == {
        *("accepted", "gradients", "verdicts", "summary")
    }


@pytest.mark.slow
def test_a_client_yields_it_or_calls_back(client: Client) -> None:
    events = list(client.stream(hanging(), budget=0.3, progress=True))
    kinds = [type(event) for event in events]
    assert kinds.index(Gradient) < kinds.index(Progress) < kinds.index(Verdict)
    reports: list[Progress] = []
    result = client.differentiate(hanging(), budget=0.3, on_progress=reports.append)
    assert result.summary is not None
    assert {report.stage for report in reports} <= {"numbers", "proofs"}
    assert reports[-1].nodes_read <= reports[-1].nodes_total
    with client.session() as session:
        again: list[Progress] = []
        session.differentiate(hanging(), budget=0.3, on_progress=again.append)
        assert again


@pytest.mark.slow
def test_so_does_the_client_for_asyncio(served: Served) -> None:
    async def main() -> tuple[list[Progress], list[type]]:
        reports: list[Progress] = []
        async with AsyncClient(served.target) as client:
            await client.differentiate(hanging(), budget=0.3, on_progress=reports.append)
            kinds = [type(event) async for event in client.stream(hanging(), budget=0.3, progress=True)]
            async with client.session() as session:
                await session.differentiate(hanging(), budget=0.3, on_progress=reports.append)
        return reports, kinds

    reports, kinds = asyncio.run(main())
    assert reports
    assert Progress in kinds


def test_the_proofs_of_an_op(served: Served, client: Client) -> None:
    request = op_service_pb2.VerifyOpRequest(name="slow.hang", budget_seconds=60.0, progress=True)
    stream = served.ops.VerifyOp(request, timeout=120)
    first = next(stream)
    assert not first.HasField("verdict")
    assert first.progress.proofs_done < first.progress.proofs_total == first.cases_total
    stream.cancel()
    reports: list[Progress] = []
    steps = list(client.verify_op("slow.hang", budget=0.3, on_progress=reports.append))
    assert steps[-1].verdict.word == "PENDING"
    assert steps[-1].cases_done == steps[-1].cases_total
    assert reports
    quiet = served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="slow.hang", budget_seconds=0.3))
    assert all(response.HasField("verdict") for response in quiet)


def test_the_features_are_those_of_the_page(served: Served) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Features")[2].partition("\n## ")[0]
    features = list(served.autodiff.GetServerInfo(pb.GetServerInfoRequest()).features)
    assert features == re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
