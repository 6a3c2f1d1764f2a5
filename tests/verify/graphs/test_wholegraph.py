"""L3: the whole graph, without any rule.

Faults of the engine that every local check passes must be INCONSISTENT; chaos, kinks, hooks and underflow must not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench, Line
from tests.support.graph_runs import changed, run_of
from tests.support.proof_sources import LocalProofs
from tests.support.registries import with_rules
from tests.support.verdicts import verdicts_of

from gradproof.engine.engine import Engine
from gradproof.engine.extend import Op, hookimpl
from gradproof.engine.hooks import Hook
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.graphs import check_graph
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord, SummaryWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN

RANDOM = np.random.default_rng(3)
MLP: tuple[dict[str, Any], list[Line]] = (
    {"x": RANDOM.normal(size=(4, 3)), "w": RANDOM.normal(size=(3, 5)), "b": RANDOM.normal(size=5)},
    [
        "p = matmul(x, w)",
        "q = add(p, b)",
        "h = tanh(q)",
        "s = softmax(h)",
        "l = log(s)",
        "m = multiply(l, h)",
        "loss = mean(m)",
    ],
)


def graph_of(
    bench: Bench, leaves: dict[str, Any], lines: Sequence[Line], outputs: str, **rest: Any
) -> dict[str, GraphVerdict]:
    return check_graph(run_of(bench, leaves, lines, outputs, **rest))


def chain(length: int, step: Callable[[int], str]) -> list[Line]:
    return [f"v{k + 1} = {step(k)}" for k in range(length)]


def test_a_right_graph_is_consistent_to_a_few_units(bench: Bench) -> None:
    for verdict in graph_of(bench, *MLP, "loss").values():
        assert verdict.word is GraphWord.CONSISTENT
        assert 0 <= verdict.ratio < 16
        assert (verdict.directions, verdict.nodes) == (2, verdict.total)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_narrow_dtypes_are_judged_in_their_own_units(bench: Bench, dtype: str) -> None:
    import ml_dtypes

    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    leaves = {name: array.astype(kind) for name, array in MLP[0].items()}
    assert {v.word for v in graph_of(bench, leaves, MLP[1], "loss").values()} == {GraphWord.CONSISTENT}


def test_a_long_chain_is_read_in_one_go(bench: Bench) -> None:
    lines = chain(2000, lambda k: (f"sin(v{k})", f"multiply(v{k}, a)", f"add(v{k}, b)")[k % 3])
    verdicts = graph_of(bench, {"v0": np.array(0.7), "a": np.array(1.01), "b": np.array(0.3)}, lines, "v2000")
    assert {verdict.word for verdict in verdicts.values()} == {GraphWord.CONSISTENT}
    assert verdicts["a"].total == 2000


def test_chaos_is_ill_conditioned_and_no_fault(bench: Bench) -> None:
    """x -> 4 x (1 - x) doubles every rounding error: after 60 steps no digit of the derivative is left."""
    lines: list[Line] = []
    for k in range(60):
        lines += [f"c{k} = subtract(one, v{k})", f"p{k} = multiply(v{k}, c{k})", f"v{k + 1} = multiply(four, p{k})"]
    leaves = {"v0": np.array(0.3), "one": np.array(1.0), "four": np.array(4.0)}
    verdict = graph_of(bench, leaves, lines, "v60", constants="one four")["v0"]
    assert verdict.word is GraphWord.ILL_CONDITIONED
    assert verdict.bits_lost > 26


def test_a_kink_is_left_to_its_own_checks_and_the_rest_is_read(bench: Bench) -> None:
    verdict = graph_of(bench, {"x": np.array([-1.0, 0.0, 2.0])}, ["y = sin(x)", "r = relu(y)", "s = sum(r)"], "s")["x"]
    assert (verdict.word, verdict.nodes, verdict.total) == (GraphWord.CONSISTENT, 2, 3)
    assert "kink" in verdict.reason


def test_underflow_on_the_way_back_is_no_contradiction(bench: Bench) -> None:
    lines = ["y = multiply(x, a)", "z = multiply(y, a)", "s = multiply(z, b)"]
    leaves = {"x": np.array(1.0), "a": np.array(1e-200), "b": np.array(1e300)}
    assert graph_of(bench, leaves, lines, "s", constants="a b")["x"].word is GraphWord.CONSISTENT


def test_a_nonfinite_or_late_gradient_is_skipped(bench: Bench) -> None:
    verdict = graph_of(bench, {"x": np.array(0.0)}, ["y = sqrt(x)"], "y")["x"]
    assert (verdict.word, "not finite" in verdict.reason) == (GraphWord.SKIPPED, True)
    late = check_graph(run_of(bench, {"x": np.array(1.0)}, ["y = sin(x)"], "y"), -1.0)["x"]
    assert late.reason.startswith("budget: the time for the whole graph was over")


def test_values_that_no_gradient_reaches_must_not_matter(bench: Bench) -> None:
    leaves = {"x": np.array(2.0), "idle": np.array(1.0)}
    assert graph_of(bench, leaves, ["y = sin(x)", "z = cos(idle)"], "y")["idle"].word is GraphWord.CONSISTENT


def test_inner_gradients_are_checked_beside_the_leaves(bench: Bench) -> None:
    verdicts = graph_of(bench, *MLP, "loss", retain=["h", "l"])
    assert {verdict.word for verdict in verdicts.values()} == {GraphWord.CONSISTENT}


@pytest.mark.parametrize("factor", [-1.0, 2.0, 0.0, 1.0005, 1 + 1e-9])
def test_a_wrong_gradient_contradicts_and_is_singled_out(bench: Bench, factor: float) -> None:
    run = run_of(bench, *MLP, "loss")
    verdicts = check_graph(changed(run, "w", factor))
    assert verdicts["w"].word is GraphWord.INCONSISTENT
    assert {verdicts["x"].word, verdicts["b"].word} == {GraphWord.CONSISTENT}
    assert "the forward pass has the derivative" in verdicts["w"].reason


def test_a_wrong_inner_gradient_contradicts_too(bench: Bench) -> None:
    run = run_of(bench, *MLP, "loss", retain=["h"])
    verdicts = check_graph(changed(run, "h", 1.01))
    assert (verdicts["h"].word, verdicts["x"].word) == (GraphWord.INCONSISTENT, GraphWord.CONSISTENT)


def test_nodes_visited_out_of_order_pass_every_sum_and_contradict(registry: Registry) -> None:
    """The node of b is visited when only half of its gradient has arrived: every contribution is right for the cotangent it
    received, and every sum is the sum of its parts, so only the whole graph shows it."""
    bench = Bench(Engine(registry))
    lines = ["b = sin(a)", "c = multiply(b, b)", "d = cos(b)", "e = add(c, d)"]
    run = run_of(bench, {"a": np.array(0.5)}, lines, "e", retain=["a"])
    half = np.array(0.25)
    values = list(run.values)
    a = run.plan.lowered.values["a"]
    use = next(u for u in run.plan.backward.contributions if u.value == a)
    values[use.cotangents[0]] = half
    values[use.number] = half * np.cos(0.5)
    values[run.plan.backward.raw[a]] = values[use.number]
    assert check_graph(replace(run, values=values))["a"].word is GraphWord.INCONSISTENT


@pytest.mark.slow
def test_a_hook_is_an_exact_cut(bench: Bench, registry: Registry) -> None:
    leaves, lines = MLP
    job = bench.job(leaves, lines, "loss", hooks=[Hook("h", "scale", {"factor": 3.0})], retain=["h"])
    run = bench.events(job)[1]
    graph_verdicts = check_graph(run)
    assert {verdict.word for verdict in graph_verdicts.values()} == {GraphWord.CONSISTENT}
    verdicts = {verdict.name: verdict for verdict in Verifier(registry, LocalProofs(registry)).check(run)}
    assert verdicts["h"].graph.word is GraphWord.CONSISTENT
    assert verdicts["w"].graph.word is GraphWord.CUT
    assert verdicts["w"].graph.reason.startswith("CONSISTENT between the hooks")
    assert verdicts["w"].summary is SummaryWord.VERIFIED
    assert check_graph(changed(run, "w", 1.001))["w"].word is GraphWord.INCONSISTENT
    assert check_graph(changed(run, "h", 1.001))["h"].word is GraphWord.INCONSISTENT


def test_a_contradiction_makes_the_summary_wrong(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gradproof.engine.verify.runs.examination.check_graph",
        lambda run, seconds: {"x": GraphVerdict(GraphWord.INCONSISTENT, "the forward pass has the derivative 1, ...")},
    )
    bench = Bench(Engine(registry))
    verdict = verdicts_of(registry, bench.job({"x": np.array(1.0)}, ["y = sin(x)"], "y"))["x"]
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.reason.startswith("the whole graph: the forward pass")


def test_a_wrong_rule_contradicts_the_graph_as_well() -> None:
    registry = with_rules(tanh=lambda g, y, x: g * (1 - y))
    bench = Bench(Engine(registry))
    verdicts = graph_of(bench, {"x": np.array(0.3)}, ["y = planted.tanh(x)", "z = sin(y)"], "z")
    assert verdicts["x"].word is GraphWord.INCONSISTENT


def test_an_op_without_definition_is_left_out() -> None:
    class Plain:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(Op("plain.twice", lambda x: 2 * x, lambda g, y, x: 2 * g))

    bench = Bench(Engine(build_registry(BUILTIN, others=[Plain()])))
    lines = ["y = plain.twice(x)", "z = sin(y)", "w = exp(z)"]
    verdict = graph_of(bench, {"x": np.array(0.3)}, lines, "w")["x"]
    assert (verdict.word, verdict.nodes, verdict.total) == (GraphWord.CONSISTENT, 2, 3)
    assert "plain.twice" in verdict.reason


def test_second_uses_and_conversions(bench: Bench) -> None:
    leaves = {"x": np.array([1.5, -2.0], np.float32), "s": np.array(3.0)}
    lines = ["y = multiply(x, s)", "z = multiply(y, y)", "w = add(z, x)", "t = sum(w)"]
    assert {v.word for v in graph_of(bench, leaves, lines, "t").values()} == {GraphWord.CONSISTENT}
