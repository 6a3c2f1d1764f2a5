"""L3 of large graphs, node by node in whole arrays.

Faults of the engine that every local check passes must be INCONSISTENT, at any size and in any dtype; kinks, masks,
hooks, chaos, rounding and poles must not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench, Line
from tests.support.engine_faults import lost_edge, summing
from tests.support.graph_runs import DTYPES, SECONDS, changed, every_dtype, graphs_of, normal, run_of
from tests.support.registries import with_rules

from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.extend import Op, hookimpl
from gradproof.engine.hooks import Hook
from gradproof.engine.lru import LRUCache
from gradproof.engine.registry import build_registry
from gradproof.engine.verify.floats.ulps import largest
from gradproof.engine.verify.graphs import check_graph
from gradproof.engine.verify.graphs.forward_half import ForwardHalf, Skipped
from gradproof.engine.verify.graphs.large import direction
from gradproof.engine.verify.graphs.sweep import Sweep
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord
from gradproof.plugins import BUILTIN


def words(verdicts: dict[str, GraphVerdict]) -> set[GraphWord]:
    return {verdict.word for verdict in verdicts.values()}


def read_whole(verdicts: dict[str, GraphVerdict]) -> None:
    """Consistent, every node read, nothing left to other checks."""
    for verdict in verdicts.values():
        assert verdict.word is GraphWord.CONSISTENT, verdict
        assert verdict.nodes == verdict.total > 0, verdict
        assert "left" not in verdict.reason, verdict


def mlp(dtype: Any) -> tuple[dict[str, Any], list[Line], str]:
    leaves = {
        "x": normal(120, 64, dtype=dtype), "w": normal(64, 32, dtype=dtype, scale=0.1), "b": normal(32, dtype=dtype),
        "u": normal(32, 10, dtype=dtype, scale=0.2),
    }  # fmt: skip
    lines: list[Line] = [
        "p = matmul(x, w)", "q = add(p, b)", "h = tanh(q)", "o = matmul(h, u)", ("l = log_softmax(o)", {"axis": 1}),
        "m = multiply(l, l)", "s = mean(m)",
    ]  # fmt: skip
    return leaves, lines, "s"


# right graphs


@pytest.mark.slow
@every_dtype
def test_a_right_graph_is_consistent_in_every_dtype(bench: Bench, dtype: Any) -> None:
    verdicts = graphs_of(bench, *mlp(dtype))
    read_whole(verdicts)
    assert max(verdict.ratio for verdict in verdicts.values()) < 64
    assert {verdict.directions for verdict in verdicts.values()} == {2 if dtype.itemsize == 2 else 1}


@pytest.mark.slow
@every_dtype
@pytest.mark.parametrize("mask", ["added -inf", "chosen -inf", "added minimum"])
def test_a_masked_attention_is_read_whole(bench: Bench, dtype: Any, mask: str) -> None:
    leaves = {name: normal(2, 64, 16, dtype=dtype, seed=k) for k, name in enumerate("qkv")}
    hidden = np.triu(np.ones((2, 64, 64), bool), 1)
    lines: list[Line] = [("t = matrix_transpose(k)", {}), "a = matmul(q, t)"]
    if mask.startswith("added"):
        least = -np.inf if mask.endswith("inf") else -largest(dtype) / 2
        leaves["m"] = np.where(hidden, least, 0.0).astype(dtype)
        lines += ["z = add(a, m)"]
    else:
        leaves |= {"m": hidden, "low": np.array(-np.inf, dtype)}
        lines += ["z = where(m, low, a)"]
    lines += [("p = softmax(z)", {"axis": 2}), "o = matmul(p, v)", "e = multiply(o, o)", "s = mean(e)"]
    read_whole(graphs_of(bench, leaves, lines, "s", constants="m low"))


@pytest.mark.slow
@every_dtype
def test_elements_at_a_kink_are_left_out_alone(bench: Bench, dtype: Any) -> None:
    x = normal(100, 50, dtype=dtype)
    x[::2, ::3] = 0
    lines = ["r = relu(x)", "p = matmul(r, w)", "t = sin(p)", "s = sum(t)"]
    run = run_of(bench, {"x": x, "w": normal(50, 40, dtype=dtype, scale=0.1)}, lines, "s")
    for verdict in check_graph(run, SECONDS).values():
        assert (verdict.word, verdict.nodes, verdict.total) == (GraphWord.CONSISTENT, 4, 4)
        assert f"1 left to their own checks, node 0 (relu) first: {50 * 17} elements: relu is at a kink" in verdict.reason
    assert check_graph(changed(run, "x", 1.5), SECONDS)["x"].word is GraphWord.INCONSISTENT
    if dtype != DTYPES["bfloat16"]:  # a sum of 100 terms in bfloat16 may lose all digits
        assert check_graph(changed(run, "w", -1.0), SECONDS)["w"].word is GraphWord.INCONSISTENT


def test_a_kink_without_motion_is_ignored(bench: Bench) -> None:
    """Both sides of the maximum are the same value: it is nowhere at a kink."""
    read_whole(graphs_of(bench, {"x": normal(5000)}, ["m = maximum(x, x)", "s = sum(m)"], "s"))
    verdicts = graphs_of(
        bench, {"x": normal(5000), "k": np.zeros(5000)}, ["m = maximum(x, k)", "s = sum(m)"], "s", constants="x"
    )
    read_whole(verdicts)


def test_a_branch_that_was_not_taken_may_be_nan(bench: Bench) -> None:
    lines = ["c = greater(x, o)", "l = log(x)", "z = where(c, l, x)", "s = sum(z)"]
    verdicts = graphs_of(bench, {"x": normal(9000), "o": np.array(0.0)}, lines, "s", constants="o")
    assert words(verdicts) == {GraphWord.CONSISTENT}
    assert verdicts["x"].nodes == verdicts["x"].total


@pytest.mark.slow
@every_dtype
def test_sums_that_drift_are_no_contradiction(bench: Bench, dtype: Any) -> None:
    """Rows are added in order: each addition of equal numbers rounds to the same side."""
    leaves = {"b": np.full((1, 4), 0.1, dtype), "x": np.full((60_000, 4), 1.1 / 1024, dtype)}
    verdicts = graphs_of(bench, leaves, ["y = multiply(x, b)", "z = sin(y)", "s = mean(z)"], "s", constants="x")
    assert words(verdicts) <= {GraphWord.CONSISTENT, GraphWord.ILL_CONDITIONED}


@pytest.mark.slow
@every_dtype
def test_a_deep_chain_is_consistent(bench: Bench, dtype: Any) -> None:
    lines: list[Line] = []
    for k in range(120):
        lines += [f"a{k} = sin(v{k})", f"v{k + 1} = add(a{k}, c)"]
    leaves = {"v0": normal(5000, dtype=dtype), "c": normal(5000, seed=1, dtype=dtype)}
    read_whole(graphs_of(bench, leaves, [*lines, "s = sum(v120)"], "s"))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_chaos_is_ill_conditioned_and_no_fault(bench: Bench, dtype: str) -> None:
    lines: list[Line] = []
    for k in range(60):
        lines += [f"c{k} = subtract(one, v{k})", f"p{k} = multiply(v{k}, c{k})", f"v{k + 1} = multiply(four, p{k})"]
    v = np.random.default_rng(0).random(9000).astype(dtype)
    leaves = {"v0": v, "one": np.ones(9000, dtype), "four": np.full(9000, 4, dtype)}
    verdict = graphs_of(bench, leaves, [*lines, "s = sum(v60)"], "s", constants="one four")["v0"]
    assert verdict.word is GraphWord.ILL_CONDITIONED
    assert "rounding on the way leaves about" in verdict.reason


def test_underflow_on_the_way_back_is_no_contradiction(bench: Bench) -> None:
    lines = ["y = multiply(x, a)", "z = multiply(y, a)", "t = multiply(z, b)", "s = sum(t)"]
    leaves = {"x": normal(5000), "a": np.full(5000, 1e-200), "b": np.full(5000, 1e300)}
    assert words(graphs_of(bench, leaves, lines, "s", constants="a b")) == {GraphWord.CONSISTENT}


def test_indices_joins_and_several_outputs_are_read(bench: Bench) -> None:
    rows = np.random.default_rng(0).integers(0, 60, 400)
    lines: list[Line] = [
        ("t = take(x, i)", {"axis": 0}), ("a, b = split(t)", {"sections": 2, "axis": 1}), "c = multiply(a, b)",
        ("d = concat(c, a)", {"axis": 1}), ("e = cumsum(d)", {"axis": 1}), ("f = max(e)", {"axis": 1}), "g = exp(f)",
        "s = mean(g)",
    ]  # fmt: skip
    read_whole(graphs_of(bench, {"x": normal(60, 20, scale=0.1), "i": rows}, lines, "s"))


def test_an_equation_is_read_inside_of_a_large_graph(bench: Bench) -> None:
    leaves = {"a": normal(8, 8) + 8 * np.eye(8), "b": normal(8, 40), "x": normal(40, 100)}
    run = run_of(bench, leaves, ["y = solve(a, b)", "p = matmul(y, x)", "t = tanh(p)", "s = sum(t)"], "s")
    read_whole(check_graph(run, SECONDS))
    assert check_graph(changed(run, "a", 1 + 1e-9), SECONDS)["a"].word is GraphWord.INCONSISTENT


@pytest.mark.slow
def test_complex_numbers_are_read_in_their_parts(bench: Bench) -> None:
    z = normal(2400) + 1j * normal(2400, seed=1)
    run = run_of(bench, {"z": z}, ["y = multiply(z, z)", "w = exp(y)", "a = abs(w)", "s = sum(a)"], "s")
    read_whole(check_graph(run, SECONDS))
    assert check_graph(changed(run, "z", 1j), SECONDS)["z"].word is GraphWord.INCONSISTENT


# unreadable nodes


class Odd:
    """Ops that are read in part, or not at all."""

    GRADPROOF_API = 1

    @hookimpl
    def register_ops(self, register: Callable[[Op], None]) -> None:
        def exiting(f: Any, x: Any) -> Any:
            raise SystemExit("no reading")

        register(Op("odd.twice", lambda x: 2 * x, lambda g, y, x: 2 * g))
        register(Op("odd.exits", lambda x: 2 * x, lambda g, y, x: 2 * g, exiting))
        register(Op("odd.asks", lambda x: 2 * x, lambda g, y, x: 2 * g, lambda f, x: 2 * x if f.less(x, 99) else x))


@pytest.mark.slow
@pytest.mark.parametrize("op", ["odd.twice", "odd.exits"])
def test_a_node_that_cannot_be_read_is_left_out(op: str) -> None:
    bench = Bench(Engine(build_registry(BUILTIN, others=[Odd()])))
    run = run_of(
        bench, {"x": normal(30_000)}, ["a = sin(x)", f"y = {op}(a)", "z = sin(y)", "w = exp(z)", "s = sum(w)"], "s"
    )
    verdict = check_graph(run, SECONDS)["x"]
    assert (verdict.word, verdict.nodes, verdict.total) == (GraphWord.CONSISTENT, 4, 5)
    assert f"node 1 ({op}) first" in verdict.reason
    assert check_graph(changed(run, "x", 1.01), SECONDS)["x"].word is GraphWord.INCONSISTENT


@pytest.mark.slow
def test_most_of_a_graph_must_be_readable() -> None:
    bench = Bench(Engine(build_registry(BUILTIN, others=[Odd()])))
    lines = ["a = odd.twice(x)", "y = odd.twice(a)", "z = odd.twice(y)", "v = odd.twice(z)", "s = sum(v)"]
    verdict = graphs_of(bench, {"x": normal(30_000)}, lines, "s")["x"]
    assert verdict.word is GraphWord.SKIPPED
    assert verdict.reason.startswith("most of the graph cannot be read")


def test_a_gradient_that_is_not_finite_is_skipped(bench: Bench) -> None:
    x = normal(5000)
    x[7] = 0
    verdict = graphs_of(bench, {"x": x}, ["a = abs(x)", "y = sqrt(a)", "z = sin(y)", "s = sum(z)"], "s")["x"]
    assert (verdict.word, "not finite" in verdict.reason) == (GraphWord.SKIPPED, True)


@pytest.mark.parametrize("op", ["max", "min"])
def test_a_largest_of_equal_numbers_is_left_to_its_own_checks(bench: Bench, op: str) -> None:
    """A single largest element is read, however many lines there are."""
    x = normal(80, 60)
    lines: list[Line] = [
        (f"y = {op}(x)", {"axis": 1}),
        "z = square(y)",
        "w = square(x)",
        "a = sum(z)",
        "b = sum(w)",
        "s = add(a, b)",
    ]
    verdict = graphs_of(bench, {"x": x}, lines, "s")["x"]
    assert verdict.word is GraphWord.CONSISTENT
    assert "left to their own" not in verdict.reason
    x[7, 3] = x[7, 4] = 9 if op == "max" else -9
    verdict = graphs_of(bench, {"x": x}, lines, "s")["x"]
    assert f"node 0 ({op}) first: {op} is at a kink" in verdict.reason


def test_too_little_time_says_how_much_would_do(bench: Bench) -> None:
    run = run_of(bench, *mlp(np.float64))
    verdict = check_graph(run, -1.0)["w"]
    assert verdict.word is GraphWord.SKIPPED
    assert verdict.reason.startswith("budget: the time for the whole graph was over")
    half = ForwardHalf(run)
    sweep = Sweep(half, [direction(half, ["w"], 0)], SECONDS + time.monotonic(), nearby=True)
    sweep.share, sweep.started = 0.25, time.monotonic() - 2
    sweep.deadline = sweep.started + 1
    with pytest.raises(Skipped, match=r"about 8(\.\d)? s would do; give more time \(budget\)"):
        sweep._check_time()


def test_the_nearby_run_is_given_up_if_time_is_short_and_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.graphs.sweep.NEARBY_SHARE", 0.0)
    late = check_graph(run_of(bench, *mlp(np.float64)), SECONDS)["w"]
    assert "budget" not in late.reason
    monkeypatch.setattr("gradproof.engine.verify.graphs.sweep.NEARBY_SHARE", 1e-9)
    verdict = check_graph(run_of(bench, *mlp(np.float64)), SECONDS)["w"]
    assert verdict.word is GraphWord.CONSISTENT
    assert "budget: how far rounding on the way moves it was not looked at" in verdict.reason


def test_many_operations_of_few_elements_are_read_in_arrays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.graphs.wholegraph.MAX_OPERATIONS", 500)
    verdicts = graphs_of(
        bench, {"x": normal(30, 30)}, [("y = softmax(x)", {"axis": 1}), "z = multiply(y, y)", "s = sum(z)"], "s"
    )
    read_whole(verdicts)


# faults

LINES: list[Line] = ["a = sin(x)", "b = multiply(a, w)", "c = multiply(b, a)", "d = add(c, x)", "s = sum(d)"]
MATRICES: list[Line] = ["a = matmul(x, w)", "b = matmul(a, x)", "c = matmul(b, a)", "d = matmul(c, w)", "s = mean(d)"]
ENGINE: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the second use is dropped": summing(lambda apply, self, inputs: inputs[0]),
    "the gradient is overwritten": summing(lambda apply, self, inputs: inputs[1]),
    "the second use is subtracted": summing(lambda apply, self, inputs: apply(self, "subtract", inputs, {})),
    "the larger use wins": summing(lambda apply, self, inputs: apply(self, "maximum", inputs, {})),
    "an edge is lost": lost_edge,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINE)
@pytest.mark.parametrize(
    ("size", "dtype"), [(10**4, "float64"), (10**4, "bfloat16"), (10**5, "float16"), (10**6, "float32")], ids=str
)
def test_a_faulty_engine_contradicts(name: str, size: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY, "traced", LRUCache(1000))
    monkeypatch.setattr(Compilations, "default", Plans.NEVER)
    ENGINE[name](monkeypatch)
    kind = DTYPES[dtype]
    run = run_of(
        Bench(Engine(REGISTRY)), {"x": normal(size, dtype=kind), "w": normal(size, seed=1, dtype=kind)}, LINES, "s"
    )
    assert GraphWord.INCONSISTENT in words(check_graph(run, SECONDS))


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINE)
@pytest.mark.parametrize(("size", "dtype"), [(60, "float64"), (60, "float16"), (300, "float32")], ids=str)
def test_a_faulty_engine_contradicts_in_matrices(name: str, size: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY, "traced", LRUCache(1000))
    monkeypatch.setattr(Compilations, "default", Plans.NEVER)
    kind = DTYPES[dtype]
    leaves = {n: normal(size, size, seed=k, dtype=kind, scale=size**-0.5) for k, n in enumerate("xw")}
    assert words(graphs_of(Bench(Engine(REGISTRY)), leaves, MATRICES, "s")) == {GraphWord.CONSISTENT}
    monkeypatch.setattr(REGISTRY, "traced", LRUCache(1000))
    ENGINE[name](monkeypatch)
    lines = LINES if name == "an edge is lost" else MATRICES
    assert GraphWord.INCONSISTENT in words(graphs_of(Bench(Engine(REGISTRY)), leaves, lines, "s"))


@pytest.mark.parametrize("factor", [-1.0, 2.0, 0.0, 1.0005, 1 + 1e-9])
def test_a_wrong_gradient_contradicts_and_is_singled_out(bench: Bench, factor: float) -> None:
    run = run_of(bench, *mlp(np.float64), retain=["h"])
    for wrong in ("w", "h"):
        verdicts = check_graph(changed(run, wrong, factor), SECONDS)
        assert {name for name, verdict in verdicts.items() if verdict.word is GraphWord.INCONSISTENT} == {wrong}
        assert {verdict.word for name, verdict in verdicts.items() if name != wrong} == {GraphWord.CONSISTENT}


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-9), ("float32", 1e-3)])
def test_one_wrong_element_of_many_contradicts_and_is_named(bench: Bench, dtype: str, error: float) -> None:
    """The rule of a single node is wrong; all others are right for the values that they receive."""
    run = run_of(bench, {"x": normal(300, 400, dtype=dtype)}, ["y = tanh(x)", "z = multiply(y, y)", "s = sum(z)"], "s")
    values = list(run.values)
    number = run.plan.backward.raw[run.plan.lowered.values["x"]]
    wrong = np.array(values[number])
    wrong[17, 39] *= 1 + error
    values[number] = wrong
    verdict = check_graph(replace(run, values=values), SECONDS)["x"]
    assert verdict.word is GraphWord.INCONSISTENT
    assert verdict.reason.startswith("node 0 (tanh), element [17, 39]: the forward pass has the derivative")


def test_nodes_visited_out_of_order_contradict(bench: Bench) -> None:
    """The node of b is visited when only half of its gradient has arrived, and all earlier nodes continue from there."""
    x = normal(40_000)
    lines = ["b = sin(a)", "c = multiply(b, b)", "d = cos(b)", "e = add(c, d)", "s = sum(e)"]
    run = run_of(bench, {"a": x}, lines, "s", retain=["a"])
    values = list(run.values)
    a = run.plan.lowered.values["a"]
    use = next(u for u in run.plan.backward.contributions if u.value == a)
    half = np.asarray(values[use.cotangents[0]]) / 2
    values[use.cotangents[0]] = half
    values[use.number] = half * np.cos(x)
    values[run.plan.backward.raw[a]] = values[use.number]
    verdict = check_graph(replace(run, values=values), SECONDS)["a"]
    assert verdict.word is GraphWord.INCONSISTENT
    assert verdict.reason.startswith("the gradient of 'b', element [0]: its uses add up to")


def test_a_changed_seed_contradicts(bench: Bench) -> None:
    run = run_of(bench, {"x": normal(5000)}, ["y = sin(x)"], "y", seeds={"y": np.ones(5000)})
    values = list(run.values)
    values[run.plan.backward.seeds["y"]] = 2 * np.asarray(values[run.plan.backward.seeds["y"]])
    assert check_graph(replace(run, values=values), SECONDS)["x"].word is GraphWord.INCONSISTENT


def test_a_hook_is_an_exact_cut(bench: Bench) -> None:
    leaves, lines, output = mlp(np.float64)
    job = bench.job(leaves, lines, output, hooks=[Hook("h", "scale", {"factor": 3.0})], retain=["h"])
    run = bench.events(job)[1]
    read_whole(check_graph(run, SECONDS))
    for name in ("w", "h", "u"):
        assert check_graph(changed(run, name, 1.001), SECONDS)[name].word is GraphWord.INCONSISTENT


def test_a_wrong_rule_contradicts_with_its_node() -> None:
    bench = Bench(Engine(with_rules(tanh=lambda g, y, x: g * (1 - y))))
    verdict = graphs_of(bench, {"x": normal(50, 80)}, ["w = sin(x)", "y = planted.tanh(w)", "z = sum(y)"], "z")["x"]
    assert verdict.word is GraphWord.INCONSISTENT
    assert verdict.reason.startswith("node 1 (planted.tanh), element")
