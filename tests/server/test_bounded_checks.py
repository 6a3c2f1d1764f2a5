"""Checks are bounded: no call loses its gradients to them, no budget is passed, no request waits for another one's."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.e2e.soak import Seen, soak
from tests.support.server_fixture import Served, serving

from gradproof.client import GraphBuilder
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import decode_tensor

BUDGETS = (0.05, 0.3, 1.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.stuck_plugin"], proof_seconds=2.0) as served:
        yield served


def graph(op: str, x: float = 0.5) -> GraphBuilder:
    """exp(y) + op(sin(x))"""
    g = GraphBuilder()
    x_, y = g.leaf("x", np.array(x), requires_grad=True), g.leaf("y", np.array(0.25), requires_grad=True)
    g.output(g.apply(op, g.apply("sin", x_)) + g.apply("exp", y))
    return g


def right(gradients: dict[str, Any]) -> None:
    assert float(gradients["x"]) == pytest.approx(2 * np.sin(0.5) * np.cos(0.5))
    assert float(gradients["y"]) == pytest.approx(np.exp(0.25))


HANGING = ["stuck.hang_numbers", "stuck.hang_series", "stuck.hang_everything", "stuck.hang_in_c_everything"]


@pytest.mark.slow
@pytest.mark.parametrize("op", HANGING)
@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_is_kept_whatever_a_definition_does(running: Served, op: str, budget: float) -> None:
    result = running.client.differentiate(graph(op), budget=budget)
    assert result.summary is not None
    assert result.summary.verify_seconds < 1.2 * budget + 0.5  # the machine may be busy; a soak measures
    right({name: one.gradient for name, one in result.gradients.items()})
    assert {"x", "y"} == set(result.verdicts)
    found = result.verdicts["x"]
    assert "SKIPPED" in found.graph.word if op == "stuck.hang_series" else found.summary in ("plausible", "unchecked")


@pytest.mark.slow
@pytest.mark.parametrize("op", HANGING)
def test_a_deadline_that_ends_in_the_checks_loses_nothing(running: Served, op: str) -> None:
    """The call's own deadline, below the default budget of 5 s; unary, streamed, and in a session."""
    request = pb.DifferentiateRequest(input=pb.RunInput(graph=graph(op).to_proto()))
    response = running.autodiff.Differentiate(request, timeout=1.0)
    right({one.value: decode_tensor(one.gradient) for one in response.gradients})
    assert {one.value for one in response.verdicts} == {"x", "y"}

    stream = running.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=request), timeout=1.0)
    events = [event for one in stream for event in one.events]
    right({g.value: decode_tensor(g.gradient) for event in events for g in event.gradients.gradients})
    assert events[-1].HasField("summary")

    frames = iter([pb.SessionRequest(differentiate=request)])
    answers = list(running.autodiff.Session(frames, timeout=1.0))
    events = [event for one in answers for event in one.events]
    right({g.value: decode_tensor(g.gradient) for event in events for g in event.gradients.gradients})
    assert events[-1].HasField("summary")


@pytest.mark.slow
def test_nobody_waits_for_the_checks_of_others(running: Served) -> None:
    """Twelve requests hang in their checks; small ones, checked, go on as before."""

    def small() -> float:
        started = time.perf_counter()
        result = running.client.differentiate(graph("square"), budget=5.0)
        assert {one.summary for one in result.verdicts.values()} == {"verified"}
        return time.perf_counter() - started

    idle = statistics.median(small() for _ in range(10))
    done = threading.Event()

    def hang(k: int) -> None:
        running.client.differentiate(graph(HANGING[k % 4], 0.5 + k), budget=4.0)
        done.set()

    threads = [threading.Thread(target=hang, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    while len(running.host.proofs.workers._busy) < 8:
        time.sleep(0.01)
    taken = []
    while not done.is_set():
        taken.append(small())
    for thread in threads:
        thread.join()
    assert statistics.median(taken) < 20 * idle + 0.1


@pytest.mark.stress
def test_a_short_soak() -> None:
    seen: Seen = soak(16, say=lambda text: None)
    assert not seen.left
    assert not any("wrong" in text for text in seen.faults), seen.faults
    assert sum(seen.words.values()) > 16
