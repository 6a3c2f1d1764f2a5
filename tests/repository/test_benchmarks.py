"""The benchmark measures what it says: its workloads have the gradients they should, and its command runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from benchmarks import derivatives, leaving, speed, workloads
from benchmarks.by_hand import written
from benchmarks.real_data import REAL_SMALL
from benchmarks.systems import ENGINE, SYSTEMS, Absent
from benchmarks.users.clients import KINDS, Clients
from benchmarks.users.requests import servers
from benchmarks.users.stages import SERVER, STAGES, Clock
from benchmarks.workloads import SMALL, WORKLOADS, Workload

from gradproof.v1 import autodiff_service_pb2, op_service_pb2

IN_SMALL: dict[str, Callable[[], Workload]] = {
    **SMALL,
    **{f"{name} of real data": partial(make, np.dtype(np.float64)) for name, make in REAL_SMALL.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_SMALL)
def test_gradients_are_slopes(name: str) -> None:
    """Along random directions, by Richardson's extrapolation of central differences."""
    workload = IN_SMALL[name]()
    f, random = ENGINE.function(workload.graph), np.random.default_rng(0)
    moving = [leaf.requires_grad for leaf in workload.graph.leaves]
    values = [np.asarray(value) for value in workload.values]
    _, gradients = f(*values)
    compiled = f.compiled()
    assert compiled is None or not compiled.failures
    for _ in range(3):
        along = [random.normal(size=v.shape) if m else None for v, m in zip(values, moving, strict=True)]

        def slope(h: float, along: list[np.ndarray | None] = along) -> float:
            ends = []
            for sign in (1, -1):
                moved = [v if d is None else np.asarray(v + sign * h * d) for v, d in zip(values, along, strict=True)]
                ends.append(float(f(*moved)[0][0]))
            return (ends[0] - ends[1]) / (2 * h)

        expected = (4 * slope(5e-4) - slope(1e-3)) / 3
        derivative = sum(float(np.sum(g * d)) for g, d in zip(gradients, (d for d in along if d is not None), strict=True))
        np.testing.assert_allclose(derivative, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", SMALL)
def test_the_systems_that_are_installed_agree(name: str) -> None:
    workload = SMALL[name]()
    answers = []
    for system in SYSTEMS:
        try:
            run, answer = system.runner(workload, 1)
        except Absent:
            continue
        answers.append((system.name, answer(run())))
    for system_name, result in answers:
        speed._agree(name, system_name, answers[0][1], result)


def test_what_is_written_by_hand() -> None:
    known = {name for name in SMALL if written(SMALL[name]()) is not None}
    assert known == {"elementwise", "mlp", "layer_norm", "lstm", "matmul_chain"}


def test_systems_that_differ_end_the_run() -> None:
    with pytest.raises(SystemExit, match="differs from gradproof"):
        speed._agree("x", "other", (1.0, (np.ones(2),)), (1.0, (np.array([1.0, 1.0 + 1e-8]),)))


def test_every_goal_has_a_workload() -> None:
    assert all(any(name.startswith(goal) for name in WORKLOADS) for goal in speed.GOALS)
    assert all(name in WORKLOADS for name in speed.MEASURED)


@pytest.mark.slow
def test_the_command_prints_and_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(speed.LIMITED, "1")
    monkeypatch.setattr(workloads, "WORKLOADS", {"mlp_small": SMALL["mlp"], "lstm_small": SMALL["lstm"]})
    speed.main(["--quick", "--only", "mlp", "--json", str(tmp_path / "out.json")])
    shown = capsys.readouterr().out
    assert "mlp_small" in shown.replace("\n", "") or "mlp_s" in shown
    numbers = json.loads((tmp_path / "out.json").read_text())["speed"]
    assert set(numbers) == {"mlp_small"}
    assert numbers["mlp_small"]["gradproof"]["ratio"] == 1.0
    assert numbers["mlp_small"]["NumPy by hand"]["us"] > 0


@pytest.mark.stress
@pytest.mark.slow
def test_calls_are_left_and_the_cpu_time_behind_them_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaving, "MOMENTS", (0.02,))
    leaving.main(["GetOp", "Evaluate, 95"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0].split()[0] for line in lines[:-1]] == ["Evaluate", "Evaluate", "GetOp", "GetOp"]
    assert lines[-1].startswith("at most ")


@pytest.mark.stress
@pytest.mark.slow
def test_every_kind_of_call_is_left() -> None:
    services = [autodiff_service_pb2.DESCRIPTOR.services_by_name["AutodiffService"]]
    services.append(op_service_pb2.DESCRIPTOR.services_by_name["OpService"])
    calls = {method.name for service in services for method in service.methods} - {"GetServerInfo"}
    assert calls == {name.split(",")[0] for name, _ in leaving.cases()}


@pytest.mark.slow
def test_every_kind_of_request_has_the_right_gradient() -> None:
    with servers() as targets:
        clients = Clients(targets)
        for kind in KINDS:
            x = np.array([0.5, -2.0, 3.0])
            np.testing.assert_array_equal(clients.run_of(kind, 3)(x), x if kind.startswith("echo") else 2 * x)


def test_stages_leave_out_the_stages_inside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 4.0, 10.0])
    monkeypatch.setattr("benchmarks.users.stages.perf_counter", lambda: next(now))
    clock = Clock()
    inner = clock.around(lambda: None, 1)
    clock.around(inner, 0)()
    assert clock.read() == dict(zip(STAGES, (7.0, 3.0, 0.0, 0.0), strict=True))


def test_the_functions_whose_time_is_read_are_there() -> None:
    for _, module, name in SERVER:
        attrgetter(name)(import_module(module))


@pytest.mark.usefixtures("tensors")
def test_second_derivatives_agree_before_they_are_timed() -> None:
    results = derivatives.measured(["logsumexp", "perceptron"], [2], rounds=1)
    assert all(row[name] > 0 for row in results.values() for name in (*derivatives.GOALS, "first"))
    with pytest.raises(SystemExit, match="hvp differs from a difference of gradients"):
        derivatives.check(lambda x: x.detach().sum() * x.sum(), np.ones(2), np.ones(2))
