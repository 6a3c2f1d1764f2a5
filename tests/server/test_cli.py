"""The command line, as a shell sees it: what it prints, and the status it exits with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from google.protobuf import json_format
from tests.support.command_line import gradproof
from tests.support.server_fixture import Served

from gradproof.client import GraphBuilder
from gradproof.server.supervision.embedded import READY
from gradproof.v1 import graph_pb2


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command line configures the log of its process, which is here that of all tests."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For processes of their own: a proof cache that nobody else has, and this interpreter's path."""
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gradproof.server", *words]


def written(path: Path, graph: graph_pb2.Graph | dict[str, Any]) -> str:
    path.write_text(json.dumps(graph) if isinstance(graph, dict) else json_format.MessageToJson(graph), encoding="utf-8")
    return str(path)


@pytest.fixture
def graph(tmp_path: Path) -> str:
    """The sum of x², of three elements, as a file without values."""
    g = GraphBuilder()
    x = g.leaf("x", shape=(3,), dtype=np.float32, requires_grad=True)
    g.output(g.apply("sum", x * x), "y")
    return written(tmp_path / "graph.json", g.to_proto())


class TestDiff:
    def test_values_as_npz(self, served: Served, graph: str, tmp_path: Path) -> None:
        np.savez(tmp_path / "values.npz", x=np.array([1.0, 2.0, 3.0]))
        done = gradproof("diff", graph, "--values", str(tmp_path / "values.npz"), "--json", "--target", served.target)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        gradient = found["gradients"]["x"]["gradient"]
        assert gradient == {"dtype": "float32", "shape": [3], "values": [2.0, 4.0, 6.0]}
        assert found["verdicts"]["x"]["summary"] == "verified"
        assert {use["rule"] for use in found["verdicts"]["x"]["uses"]} == {"PROVED"}

    def test_values_as_json(self, served: Served, graph: str, tmp_path: Path) -> None:
        values = written(tmp_path / "values.json", {"x": [1, 2, 3]})
        done = gradproof("diff", graph, "--values", values, "--target", served.target)
        assert done.exit_code == 0, done.output
        assert "[2. 4. 6.]" in done.stdout
        assert "verified" in done.stdout

    def test_a_request_carries_its_own_values(self, served: Served, tmp_path: Path) -> None:
        g = GraphBuilder()
        g.output(g.apply("exp", g.leaf("x", 0.0, requires_grad=True)))
        whole = {"input": {"graph": json_format.MessageToDict(g.to_proto())}, "verify": {"level": "VERIFY_LEVEL_OFF"}}
        done = gradproof("diff", written(tmp_path / "request.json", whole), "--json", "--target", served.target)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert found["gradients"]["x"]["gradient"]["values"] == 1.0
        assert found["verdicts"] == {}

    def test_names_are_no_markup(self, served: Served, tmp_path: Path) -> None:
        g = GraphBuilder()
        g.output(g.apply("exp", g.leaf("[bold]:star:[/]", 0.0, requires_grad=True)))
        done = gradproof("diff", written(tmp_path / "graph.json", g.to_proto()), "--target", served.target)
        assert done.exit_code == 0, done.output
        assert "[bold]:star:[/]" in done.stdout

    @pytest.mark.parametrize("form", [[], ["--json"]])
    def test_a_wrong_gradient_is_status_1(self, served: Served, tmp_path: Path, form: list[str]) -> None:
        g = GraphBuilder()
        g.output(g.apply("planted.cube", g.leaf("x", 2.0, requires_grad=True)))
        done = gradproof("diff", written(tmp_path / "wrong.json", g.to_proto()), *form, "--target", served.target)
        assert done.exit_code == 1, done.output
        assert "wrong" in done.stdout
        assert "REFUTED" in done.stdout

    def test_bad_input_is_status_2(self, served: Served, graph: str, tmp_path: Path) -> None:
        g = GraphBuilder()
        g.output(g.apply("sine", g.leaf("x", 2.0, requires_grad=True)))
        (tmp_path / "text.json").write_text("not JSON", encoding="utf-8")
        short = written(tmp_path / "short.json", {"x": [1, 2]})
        for words, text in (
            ([graph], "leaf 'x' has no value"),
            ([graph, "--values", short], "its value is"),
            ([graph, "--values", str(tmp_path / "none.npz")], "none.npz"),
            ([str(tmp_path / "none.json")], "none.json"),
            ([str(tmp_path / "text.json")], "text.json: Expecting value"),
            ([graph, "--values", str(tmp_path / "text.json")], "text.json: Expecting value"),
            ([written(tmp_path / "other.json", {"leafs": []})], "leafs"),
            ([written(tmp_path / "op.json", g.to_proto())], "graph.nodes[0].op: there is no op 'sine'"),
        ):
            done = gradproof("diff", *words, "--target", served.target)
            assert done.exit_code == 2, (words, done.output)
            assert "gradproof diff: " in done.stderr
            assert text in done.stderr
            assert "Traceback" not in done.output


class TestOps:
    def test_table(self, served: Served) -> None:
        done = gradproof("ops", "--target", served.target)
        assert done.exit_code == 0
        assert f"{len(served.host.registry.ops)} ops" in done.stdout
        assert "planted.cube" in done.stdout
        assert "log_softmax" in done.stdout
        shown = set(done.stdout.replace("│", " ").split())
        assert [op.doc for op in served.host.registry.ops.values() if not shown.issuperset(op.doc.split())] == []

    def test_pages(self, served: Served) -> None:
        done = gradproof("ops", "tanh", "mean", "--target", served.target)
        assert done.exit_code == 0
        assert "# `tanh`" in done.stdout
        assert "mean(x, *, axis=None, keepdims=False, dtype=None)" in done.stdout
        assert done.stdout.count("## Verdicts") == 2
        done = gradproof("ops", "planted.cube", "--verdicts", "--target", served.target)
        assert done.exit_code == 1
        assert "- (): REFUTED" in done.stdout
        done = gradproof("ops", "tahn", "--target", served.target)
        assert done.exit_code == 2
        assert "no op 'tahn'" in done.stderr

    def test_json(self, served: Served) -> None:
        done = gradproof("ops", "--json", "--target", served.target)
        assert done.exit_code == 0
        ops = {op["name"]: op for op in json.loads(done.stdout)}
        assert list(ops) == list(served.host.registry.ops)
        assert ops["sum"]["attributes"] == {"axis": None, "keepdims": False, "dtype": None}
        assert ops["sum"]["required"] == []
        assert (ops["broadcast_to"]["attributes"], ops["broadcast_to"]["required"]) == ({}, ["shape"])

    @pytest.mark.slow
    def test_a_target_where_nobody_is(self) -> None:
        done = gradproof("ops", "--target", "127.0.0.1:1")
        assert done.exit_code == 2
        assert "gradproof ops: " in done.stderr


class TestVerify:
    def test_proved_is_status_0(self, served: Served) -> None:
        done = gradproof("verify", "multiply", "--target", served.target)
        assert done.exit_code == 0, done.output
        assert "1/" in done.stdout
        assert "multiply" in done.stdout
        assert "PROVED" in done.stdout

    def test_refuted_is_status_1_with_a_witness(self, served: Served) -> None:
        done = gradproof("verify", "planted.cube", "--target", served.target)
        assert done.exit_code == 1
        assert "REFUTED" in done.stdout
        assert "the derivative is" in done.stdout

    def test_unknown_is_status_2(self, served: Served) -> None:
        done = gradproof("verify", "sine", "--target", served.target)
        assert done.exit_code == 2
        assert "gradproof verify: no op 'sine' here" in done.stderr


@pytest.mark.slow
def test_a_server_is_started_where_no_target_is_named(environment: dict[str, str]) -> None:
    words = command("verify", "planted.cube", "--plugin", "gradproof.server.demo_faulty_op")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "REFUTED" in done.stdout
    assert list(Path(environment["XDG_CACHE_HOME"]).rglob("*.json"))  # and the refutation is kept


@pytest.mark.slow
def test_the_demo_runs_to_its_end(environment: dict[str, str]) -> None:
    done = subprocess.run(command("demo"), env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "That was all" in done.stdout
    assert "Refuted: at " in done.stdout


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_serve_prints_its_address_and_ends_well(environment: dict[str, str], number: signal.Signals) -> None:
    process = subprocess.Popen(
        command("serve", "--port", "0"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"{READY}127.0.0.1:")
        target = line.removeprefix(READY).strip()
        assert gradproof("ops", "--target", target).exit_code == 0
        process.send_signal(number)
        said, log = process.communicate(timeout=60)
        assert process.returncode == 0, log
        assert said == ""
        assert "draining" in log
        assert "Traceback" not in log


@pytest.mark.slow
def test_serve_on_a_port_that_is_taken(served: Served, environment: dict[str, str]) -> None:
    words = command("serve", "--port", str(served.host.port))
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_word_there_is_help() -> None:
    done = gradproof("--help")
    assert done.exit_code == 0
    for word in ("serve", "demo", "diff", "draw", "ops", "verify"):
        assert word in done.stdout


@pytest.mark.stress
def test_verifying_everything_warms_the_cache(environment: dict[str, str]) -> None:
    """All ops of all plugins, built in and named; the second time nothing is proved."""
    words = command("verify", "--plugin", "gradproof.server.demo_faulty_op")
    first = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240)
    assert first.returncode == 1, first.stdout + first.stderr  # the planted rule is refuted
    assert "planted.cube (): REFUTED" in first.stdout
    last = first.stdout.splitlines()[-1]
    assert " proved" in last
    assert " proved off ties" in last
    assert "2 REFUTED" in last
    second = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    total = int(last.split()[0])
    assert total > 200
    assert f"({total} from the cache)" in second.stdout.splitlines()[-1]


def test_evidence_is_printed_on_demand(served: Served) -> None:
    done = gradproof("verify", "relu", "tanh", "--evidence", "--target", served.target)
    assert done.exit_code == 0, done.output
    assert "the convention holds at" in done.stdout
    assert "input x: kernel" in done.stdout
    assert "the second derivative agrees" in done.stdout
