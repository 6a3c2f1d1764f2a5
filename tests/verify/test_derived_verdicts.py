"""Derived graphs carry the words of the rules they were written by, and gradients those of the passes they came from."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.conftest import Bench, Line
from tests.support import derived_plugin
from tests.support.executors import single_executor
from tests.support.proof_sources import LocalProofs
from tests.support.server_fixture import Served, serving
from tests.support.verdicts import finish

import gradproof.client as gp
from gradproof.client import GraphBuilder, InvalidRequest, functional
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine
from gradproof.engine.graph import Graph, Node, Rule
from gradproof.engine.job import Job
from gradproof.engine.pullback import Derived
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import Spec
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.verdict import GradientVerdict, RuleVerdict, SummaryWord
from gradproof.engine.verify.verdict import RuleWord as Word
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN
from gradproof.server.limits import Limits
from gradproof.server.requests.decode import Decoder
from gradproof.server.requests.encode import graph_message as encoded

REGISTRY = build_registry(BUILTIN, others=[derived_plugin])
ENGINE = Engine(REGISTRY)
BENCH = Bench(ENGINE)
PROOFS = LocalProofs(REGISTRY)
X = np.array([1.0, 2.0, 3.0])


class Told(LocalProofs):
    """Proofs of all rules, with this word for those of an op."""

    def __init__(self, op: str, word: Word) -> None:
        super().__init__(REGISTRY)
        self.op, self.word = op, word

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        if key.op == self.op:
            return RuleVerdict(self.word, key.op, reason="said so") if self.word is not Word.PENDING else None
        return PROOFS.lookup(key)

    def request(self, key: ProofKey) -> None:
        PROOFS.request(key)


def derived_of(lines: list[Line], mode: Mode, leaves: dict[str, Any] | None = None, by: tuple[str, ...] = ()) -> Derived:
    return derive(BENCH.graph(leaves or {"x": X}, lines, "y"), REGISTRY, mode, by)


def judged(derived: Derived, by: str = "x", proofs: Any = PROOFS, **leaves: Any) -> GradientVerdict:
    """The verdict on the gradient of the sum of the derived values."""
    values = {"x": X, **leaves, **dict(derived.values)}
    names = {leaf.name: leaf.spec for leaf in derived.graph.leaves}
    values |= {leaf: np.ones(names[leaf].shape) for leaf in derived.leaves.values()}
    specs = {name: array for name, array in values.items() if name in names}
    graph = derived.graph
    seeds = [(name, np.ones(spec.shape)) for name, spec in ENGINE.infer(graph).specs().items() if name in graph.outputs]
    run = finish(ENGINE, Job(graph, tuple(specs.items()), tuple(seeds), gradients=(by,)))
    return next(iter(Verifier(REGISTRY, proofs).check(run, budget=60.0)))


class TestTable:
    @pytest.mark.slow
    def test_nodes_name_the_rules_they_were_written_by(self) -> None:
        graph = derived_of(["s = derived.square(x)", "y = sum(s)"], Mode.GRADIENT).graph
        table = [rule.op for rule in graph.rules]
        assert sorted(table) == ["derived.square", "sum"]
        assert {node.op for node in graph.nodes if not node.rules} == {"derived.square", "sum"}
        written = [{table[k] for k in node.rules} for node in graph.nodes if node.rules]
        assert {"derived.square"} in written
        assert {"sum"} in written

    def test_a_rule_that_writes_nothing_is_owed(self) -> None:
        graph = derived_of(["y = derived.double(x)"], Mode.VJP).graph
        assert [rule.op for rule in graph.rules] == ["derived.double"]
        assert [(node.op, node.rules) for node in graph.nodes] == [("derived.double", ()), ("reshape", (0,))]

    def test_a_table_has_each_rule_once_and_none_that_is_not_used(self) -> None:
        lines: list[Line] = [f"v{k + 1} = sin(v{k})" for k in range(50)]
        graph = BENCH.graph({"v0": X}, lines, "v50")
        derived = derive(graph, REGISTRY, Mode.VJP).graph
        assert [rule.op for rule in derived.rules] == ["sin"]
        again = derive(derived, REGISTRY, Mode.VJP, ("v0",)).graph
        assert {rule.op for rule in again.rules} == {"sin", "cos", "multiply"}

    def test_derived_again_a_node_has_both_rules(self) -> None:
        first = derived_of(["s = derived.quart(x)", "y = sum(s)"], Mode.GRADIENT).graph
        second = derive(first, REGISTRY, Mode.VJP, ("x",)).graph
        table = [rule.op for rule in second.rules]
        assert any({"derived.quart", "multiply"} <= {table[k] for k in node.rules} for node in second.nodes)

    def test_the_digest_knows_it(self) -> None:
        graph = derived_of(["y = derived.quart(x)"], Mode.VJP).graph
        bare = replace(graph, rules=(), nodes=tuple(replace(node, rules=()) for node in graph.nodes))
        assert graph.digest() != bare.digest()
        assert graph.digest() != replace(graph, rules=(Rule("sin", (Spec((3,), np.dtype(float)),)),)).digest()

    def test_it_survives_the_wire(self) -> None:
        derivative = derived_of([("s = sum(x)", {"axis": 0}), "y = derived.quart(s)"], Mode.HESSIAN)
        decoder = Decoder(Limits())
        graph, _ = decoder.graph(encoded(derivative.graph, dict(derivative.values)))
        assert not decoder.faults
        assert graph.rules == derivative.graph.rules
        assert graph.digest() == derivative.graph.digest()

    @pytest.mark.slow
    def test_a_long_chain(self) -> None:
        count = 20_000
        graph = BENCH.graph({"v0": X}, [f"v{k + 1} = add(v{k}, v{k})" for k in range(count)], f"v{count}")
        derived = derive(graph, REGISTRY, Mode.VJP).graph
        assert [rule.op for rule in derived.rules] == ["add"]


WRONG: dict[str, list[Line]] = {
    "written": ["s = derived.quart(x)", "y = sum(s)"],
    "behind another": ["a = derived.quart(x)", "s = sin(a)", "y = sum(s)"],
    "before another": ["a = sin(x)", "s = derived.quart(a)", "y = sum(s)"],
    "nothing written": ["a = derived.double(x)", "s = sin(a)", "y = sum(s)"],
    "denied": ["a = sin(x)", "b = derived.half(x)", "s = derived.plus(a, b)", "y = sum(s)"],
    "denied further up": ["b = derived.half(x)", "d = exp(b)", "a = sin(x)", "s = derived.plus(a, d)", "y = sum(s)"],
}  # fmt: skip


class TestWords:
    @pytest.mark.slow
    @pytest.mark.parametrize("mode", Mode)
    @pytest.mark.parametrize("lines", WRONG.values(), ids=WRONG)
    def test_a_refuted_rule_in_every_mode(self, mode: Mode, lines: list[Line]) -> None:
        derived = derived_of(lines, mode)
        verdict = judged(derived)
        assert verdict.summary is SummaryWord.WRONG

    @pytest.mark.parametrize("lines", WRONG.values(), ids=WRONG)
    def test_by_the_cotangent_it_is_refuted_too(self, lines: list[Line]) -> None:
        derived = derived_of(lines, Mode.VJP)
        verdict = judged(derived, derived.leaves["y"])
        assert verdict.summary is SummaryWord.WRONG
        assert "derived by the rule of derived." in verdict.reason
        assert "is refuted: differs at an exact point for " in verdict.reason

    @pytest.mark.parametrize("mode", Mode)
    def test_a_right_rule_raises_no_alarm(self, mode: Mode) -> None:
        derived = derived_of(["a = sin(x)", "b = derived.same(a)", "s = multiply(b, x)", "y = sum(s)"], mode)
        verdict = judged(derived)
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason

    @pytest.mark.parametrize("word", [Word.PENDING, Word.UNDECIDED, Word.NO_SPEC, Word.AGREED])
    def test_a_rule_that_is_not_proved_caps(self, word: Word) -> None:
        derived = derived_of(["a = derived.square(x)", "s = multiply(a, x)", "y = sum(s)"], Mode.GRADIENT)
        verdict = judged(derived, proofs=Told("derived.square", word))
        assert verdict.summary is SummaryWord.PLAUSIBLE
        nothing = derived_of(["a = derived.same(x)", "s = multiply(a, x)", "y = sum(s)"], Mode.GRADIENT)
        said = judged(nothing, proofs=Told("derived.same", word))
        assert said.summary is SummaryWord.PLAUSIBLE

    def test_third_derivatives(self) -> None:
        first = derived_of(WRONG["written"], Mode.GRADIENT)
        second = derive(first.graph, REGISTRY, Mode.VJP, ("x",))
        verdict = judged(replace(second, values=(*first.values, *second.values)))
        assert verdict.summary is SummaryWord.WRONG
        assert "derived.quart" in verdict.reason

    def test_a_value_that_is_only_read(self) -> None:
        derived = derived_of(WRONG["written"], Mode.GRADIENT)
        (value,) = derived.graph.outputs
        graph = derived.graph
        leaf = replace(graph.leaves[0], name="w")
        nodes = (*graph.nodes, Node("square", (value,), ("q",)), Node("multiply", ("q", "w"), ("r",)))
        used = replace(derived, graph=replace(graph, leaves=(*graph.leaves, leaf), nodes=nodes, outputs=("r",)))
        verdict = judged(used, "w", w=X)
        assert verdict.summary is SummaryWord.WRONG
        assert "derived.quart" in verdict.reason

    def test_beside_it_nothing_is_wrong(self) -> None:
        lines: list[Line] = ["a = derived.quart(x)", "b = derived.square(w)", "s = add(a, b)", "y = sum(s)"]
        derived = derived_of(lines, Mode.VJP, {"x": X, "w": X}, ("w",))
        verdict = judged(derived, "w", w=X)
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason

    def test_the_numbers_need_not_be_checked_for_it(self) -> None:
        derived = derived_of(WRONG["written"], Mode.VJP)
        names = {leaf.name for leaf in derived.graph.leaves}
        values = [(n, a) for n, a in {"x": X, "g_y": np.ones(()), **dict(derived.values)}.items() if n in names]
        run = finish(ENGINE, Job(derived.graph, tuple(values), ((derived.graph.outputs[0], X),), gradients=("x",)))
        (verdict,) = Verifier(REGISTRY, PROOFS).check(run, values=False)
        assert verdict.summary is SummaryWord.WRONG


def test_malformed_tables_are_refused_all_at_once() -> None:
    spec = Spec((3,), np.dtype(float))
    graph = BENCH.graph({"x": X}, ["y = sin(x)"], "y")
    node = replace(graph.nodes[0], rules=(0, 9))
    rules = (
        Rule("sin", (spec,)),
        Rule("sine", (spec,)),
        Rule("sin", (spec, spec)),
        Rule("sum", (spec,), {"axis": 5}),
        Rule("equal", (spec, spec)),
    )
    reasons = {f.path: f.reason for f in ENGINE.infer(Graph(graph.leaves, (node,), ("y",), rules)).faults}
    assert reasons == {
        "graph.nodes[0].rules[1]": "RULE_UNKNOWN",
        "graph.rules[1].op": "OP_UNKNOWN",
        "graph.rules[2].inputs": "ARITY",
        "graph.rules[3]": "INFERENCE",
        "graph.rules[4].op": "RULE_MISSING",
    }


# through tensors


@pytest.fixture(scope="module", autouse=True)
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.derived_plugin"]) as server:
        before = gp.use(server.client)
        yield server
        gp.use(before)


def leaf(values: Any = X) -> Any:
    return gp.tensor(values, dtype=gp.float64, requires_grad=True)


def summary(gradient: gp.Tensor) -> str:
    assert gradient.verdict is not None
    return gradient.verdict.summary


def quart(x: Any) -> Any:
    return gp.ops.call("derived.quart", x).sum()


def cubed(x: Any) -> Any:
    return (x * x * x).sum()


def test_a_table_that_is_none_is_a_fault_with_its_path(served: Served) -> None:
    g = GraphBuilder()
    g.output(g.apply("derived.square", g.leaf("x", X, requires_grad=True), name="y"))
    derived = served.client.derive(g, "vjp", ["x"])
    derived.graph.nodes[0].rules.append(77)
    derived.graph.rules.add(op="nothing")
    derived.graph.rules[0].inputs[0].shape.append(-1)
    seeds = dict.fromkeys(derived.graph.outputs, X)
    with pytest.raises(InvalidRequest) as caught:
        served.client.differentiate(derived.graph, dict.fromkeys(derived.leaves.values(), X), seeds=seeds)
    paths = {fault.path for fault in caught.value.faults}
    assert {"input.graph.nodes[0].rules[0]", "input.graph.rules[1].op", "input.graph.rules[0].inputs[0].shape"} <= paths


def test_a_client_that_strips_the_table_loses_its_own_honesty_only(served: Served) -> None:
    g = GraphBuilder()
    g.output(g.apply("derived.quart", g.leaf("x", X, requires_grad=True), name="y"))
    derived = served.client.derive(g, "vjp", ["x"])
    leaves = dict.fromkeys(derived.leaves.values(), X)
    seeds = dict.fromkeys(derived.graph.outputs, X)
    whole = served.client.differentiate(derived.graph, leaves, seeds=seeds, gradients=["x"], budget=20.0)
    for node in derived.graph.nodes:
        del node.rules[:]
    del derived.graph.rules[:]
    bare = served.client.differentiate(derived.graph, leaves, seeds=seeds, gradients=["x"], budget=20.0)
    assert (whole.verdicts["x"].summary, bare.verdicts["x"].summary) == ("wrong", "verified")


def test_sessions_and_async_clients_send_the_table_too(served: Served) -> None:
    g = GraphBuilder()
    g.output(g.apply("derived.quart", g.leaf("x", X, requires_grad=True), name="y"))

    async def derived() -> Any:
        async with gp.AsyncClient(served.target) as client:
            derivative = await client.derive(g, "vjp", ["x"])
            values = dict.fromkeys(derivative.leaves.values(), X)
            seeds = dict.fromkeys(derivative.graph.outputs, X)
            asked: dict[str, Any] = {"seeds": seeds, "gradients": ["x"], "budget": 20.0}
            alone = await client.differentiate(derivative.graph, values, **asked)
            async with client.session() as session:
                return derivative, alone, await session.differentiate(derivative.graph, values, **asked)

    derivative, *results = asyncio.run(derived())
    with served.client.session() as session:
        seeds = dict.fromkeys(derivative.graph.outputs, X)
        values = dict.fromkeys(derivative.leaves.values(), X)
        results.append(session.differentiate(derivative.graph, values, seeds=seeds, gradients=["x"], budget=20.0))
    assert [result.verdicts["x"].summary for result in results] == ["wrong"] * 3


class TestEveryWayOfAsking:
    @pytest.mark.slow
    @pytest.mark.parametrize(("function", "word"), [(quart, "wrong"), (cubed, "verified")])
    def test_first_gradients(self, function: Any, word: str) -> None:
        x = leaf()
        function(x).backward()
        assert x.verdict.summary == word
        (g,) = gp.autograd.grad(function(x), [x])
        assert g.verdict.summary == word
        (g,) = gp.autograd.grad(function(x), [x], create_graph=True)
        assert g.verdict.summary == word, g.verdict
        assert summary(gp.func.grad(function)(leaf().detach())) == word
        assert summary(gp.func.grad(function)(leaf())) == word
        _, pull = gp.func.vjp(function, leaf())
        assert summary(pull(gp.tensor(1.0, dtype=gp.float64))[0]) == word
        y = leaf()
        with _quiet():
            function(y).backward(create_graph=True)
        assert y.verdict.summary == word

    @pytest.mark.parametrize(("function", "word"), [(quart, "wrong"), (cubed, "verified")])
    def test_second_gradients(self, function: Any, word: str) -> None:
        x = leaf()
        (g,) = gp.autograd.grad(function(x), [x], create_graph=True)
        g.sum().backward()
        assert x.verdict.summary == word, x.verdict
        again = gp.func.grad(lambda a: gp.func.grad(function)(a).sum())
        assert summary(again(x)) == word
        assert summary(again(x.detach())) == word
        third = gp.func.grad(lambda a: again(a).sum())
        assert summary(third(x.detach())) == word

    @pytest.mark.parametrize(("function", "word"), [(quart, "wrong"), (cubed, "verified")])
    def test_products_and_matrices(self, function: Any, word: str) -> None:
        x, v = leaf().detach(), gp.tensor(X, dtype=gp.float64)
        _, moved = gp.func.jvp(function, (x,), (v,))
        assert moved.verdict.summary == word, moved.verdict
        gradients = {
            "vjp": functional.vjp(function, x)[1],
            "jvp": functional.jvp(function, x, v)[1],
            "hvp": functional.hvp(function, x, v)[1],
            "vhp": functional.vhp(function, x, v)[1],
            "jacobian": functional.jacobian(lambda a: function(a).reshape(1), x),
            "hessian": functional.hessian(function, x),
            "jacrev": gp.func.jacrev(lambda a: function(a).reshape(1))(x),
            "jacfwd": gp.func.jacfwd(function)(x),
            "func.hessian": gp.func.hessian(function)(x),
            "linearize": gp.func.linearize(function, x)[1](v),
            "jvp twice": gp.func.jvp(lambda b: gp.func.jvp(function, (b,), (v,))[1], (x,), (v,))[1],
        }
        assert {name: gradient.verdict.summary for name, gradient in gradients.items()} == dict.fromkeys(gradients, word)

    def test_batched_cotangents(self) -> None:
        x = leaf()
        (g,) = gp.autograd.grad(x * x, [x], gp.tensor(np.eye(3), dtype=gp.float64), is_grads_batched=True)
        assert g.verdict.summary == "verified"
        assert g.verdict.uses[0].value.elements_total == 9

    def test_a_hook_of_a_tensor_in_a_recorded_pass(self) -> None:
        x = leaf()
        y = x * x
        y.register_hook(lambda g: g * 3)
        (g,) = gp.autograd.grad((y * x).sum(), [x], create_graph=True)
        verdict = g.verdict
        assert verdict.summary == "verified", verdict.reason
        assert verdict.hooked_by

    def test_a_cotangent_that_comes_back_as_it_was(self) -> None:
        x, seed = leaf(), gp.tensor(X, dtype=gp.float64)
        (g,) = gp.autograd.grad(x.reshape(3), [x], [seed], create_graph=True)
        assert g.verdict is not None
        assert seed.verdict is None

    def test_a_derived_value_that_is_a_constant(self) -> None:
        x, w = leaf(), leaf()
        (g,) = gp.autograd.grad(gp.ops.call("derived.double", x).sum(), [x], create_graph=True)
        assert g.tolist() == [1.0, 1.0, 1.0]
        (w * (g + 1.0)).sum().backward()
        assert w.verdict.summary == "wrong", w.verdict
        assert "derived by the rule of derived.double" in w.verdict.reason

    def test_a_freed_graph_has_its_verdict(self) -> None:
        x = leaf()
        y = cubed(x)
        (g,) = gp.autograd.grad(y, [x], create_graph=True)
        y.backward()
        assert g.verdict.summary == "verified"


@single_executor
class TestAnotherRun:
    """The run that is checked gives other numbers than the requested run."""

    LINE = np.linspace(-1, 1, 60)

    @staticmethod
    def loss(op: str) -> Any:
        return lambda x: gp.ops.call(f"derived.{op}", x).sum()

    WAYS: ClassVar[dict[str, Any]] = {
        "grad": lambda loss, x: gp.autograd.grad(loss(x), [x])[0],
        "create_graph": lambda loss, x: gp.autograd.grad(loss(x), [x], create_graph=True)[0],
        "func": lambda loss, x: gp.func.grad(loss)(x.detach()),
        "jacobian": functional.jacobian,
    }

    @pytest.mark.slow
    @pytest.mark.parametrize(("op", "truth"), [("exp", np.exp), ("sinh", np.cosh)])
    @pytest.mark.parametrize("way", ["backward", "accumulated", *WAYS])
    def test_it_is_not_vouched_for(self, op: str, truth: Any, way: str) -> None:
        for _ in range(2):
            x, expected = leaf(self.LINE), truth(self.LINE)
            loss = self.loss(op)
            if way in self.WAYS:
                g = self.WAYS[way](loss, x)
                number, verdict = g.value(), g.verdict
            else:
                if way == "accumulated":
                    cubed(x).backward()
                    expected = expected + 3 * self.LINE**2
                loss(x).backward()
                number, verdict = x.grad.numpy(), x.verdict
            if not np.allclose(number, expected, rtol=1e-12):
                assert verdict.summary in ("unchecked", "wrong"), verdict.reason

    def test_the_reason_has_both_numbers(self) -> None:
        for _ in range(3):  # the first pass is interpreted, and `into` is not used
            x = leaf(self.LINE)
            self.loss("exp")(x).backward()
        assert x.verdict.summary == "unchecked"
        reason = "the run was repeated for the checks and gave other bits (element [32]: "
        assert x.verdict.reason.startswith(reason)
        first, then = map(float, x.verdict.reason.removeprefix(reason).rstrip(")").split(", then "))
        assert first - then == pytest.approx(0.5)


class TestSums:
    @pytest.mark.parametrize("order", [1, -1])
    def test_the_weakest_of_all_passes(self, order: int) -> None:
        x = leaf()
        for function in (quart, cubed)[::order]:
            function(x).backward()
        assert x.verdict.summary == "wrong"
        assert x.verdict.reason.startswith(f"pass {1 if order == 1 else 2} of 2: ")

    def test_right_passes(self) -> None:
        x = leaf()
        for _ in range(3):
            cubed(x).backward()
        assert x.verdict.summary == "verified"
        np.testing.assert_array_equal(x.grad.numpy(), 9 * X * X)

    def test_one_recorded_and_one_not(self) -> None:
        x = leaf()
        cubed(x).backward()
        with _quiet():
            quart(x).backward(create_graph=True)
        assert x.verdict.summary == "wrong"
        assert x.verdict.reason.startswith("pass 2 of 2: ")

    def test_digits_that_are_lost(self) -> None:
        x = leaf([1.5])
        (x * 3e16).sum().backward()
        (x * 2.0).sum().backward()
        (x * -3e16).sum().backward()
        assert x.verdict.summary == "plausible"
        assert "digits are lost" in x.verdict.reason

    def test_numbers_before_that_are_not_known(self) -> None:
        x = leaf()
        x.grad = gp.tensor([7.0, 7.0, 7.0], dtype=gp.float64)
        cubed(x).backward()
        assert x.verdict.summary == "unchecked"
        assert x.verdict.reason.startswith("pass 1 of 2: numbers that no pass is known for")

    @pytest.mark.parametrize("value", [None, [7.0, 7.0, 7.0]])
    def test_assigned(self, value: Any) -> None:
        x = leaf()
        cubed(x).backward()
        x.grad = None if value is None else gp.tensor(value, dtype=gp.float64)
        assert (x.verdict, x.raw_grad, x.hook_traces) == (None, None, ())
        x.grad = None
        cubed(x).backward()
        assert x.verdict.summary == "verified"

    @pytest.mark.parametrize("change", ["zero_", "mul_", "fill_", "+=", "[]"])
    def test_changed_in_place(self, change: str) -> None:
        x = leaf()
        cubed(x).backward()
        if change == "+=":
            x.grad += 1.0
        elif change == "[]":
            x.grad[0] = 1.0
        else:
            getattr(x.grad, change)(*[2.0] * (change != "zero_"))
        assert (x.verdict, x.raw_grad, x.hook_traces) == (None, None, ())
        cubed(x).backward()
        assert x.verdict.summary == ("verified" if change == "zero_" else "unchecked")

    def test_a_gradient_that_is_changed_in_place(self) -> None:
        x = leaf()
        (g,) = gp.autograd.grad(cubed(x), [x])
        g.mul_(2.0)
        assert g.verdict is None

    def test_after_a_pass_the_one_before_is_not_forgotten_by_the_picture(self) -> None:
        x = leaf()
        cubed(x).backward()
        quart(x).backward()
        assert x.verdict.summary == "wrong"
        assert "wrong" in x._repr_html_()


def _quiet() -> Any:
    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield

    return quiet()
