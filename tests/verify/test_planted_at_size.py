"""One wrong element at the size of real data: off by 1e-9 (float64) or 1e-3 (float32) of itself, in any array of a run, it
makes a gradient `wrong`, and the reason names it.

``CHECK_PLANTS`` sets how many elements of each array are tried; without it two arrays of each run are, with one element
each, and of the large workloads those that are read fast. `make check` tries all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks.real_data import REAL, REAL_SMALL
from benchmarks.workloads import Workload
from tests.conftest import REGISTRY
from tests.support.fault_injection import BASE
from tests.support.perturbation import PLANTED, Spot, condition, elements, matters, missed, spoiled, spots
from tests.support.proof_sources import SharedProofs
from tests.support.registries import registry_of
from tests.support.verdicts import finish, graph_of, judge
from tests.support.workloads import FAST, PLANTS

from gradproof.engine.engine import Engine, Run
from gradproof.engine.extend import Op, ops
from gradproof.engine.job import Job
from gradproof.engine.spec import Array
from gradproof.engine.verify.verdict import SummaryWord, ValueWord
from gradproof.engine.verify.verifier import Verifier

ARRAYS = 2  # of a run, where few plants are tried
ENGINE = Engine(REGISTRY)
VERIFIER = Verifier(REGISTRY, SharedProofs(REGISTRY))


def run_of(workload: Workload) -> Run:
    names = (leaf.name for leaf in workload.graph.leaves)
    return finish(ENGINE, Job(workload.graph, tuple(zip(names, workload.values, strict=True))))


def picked(run: Run, seed: int) -> list[tuple[Spot, int]]:
    """Places for errors: in all arrays with `PLANTS`, in few without."""
    random, places = np.random.default_rng(seed), spots(run)
    if not PLANTS:
        places = [places[int(k)] for k in random.permutation(len(places))[:ARRAYS]]
    return [(spot, element) for spot in places for element in elements(run, spot, max(1, PLANTS), seed)]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", REAL_SMALL)
def test_in_small(name: str, dtype: str) -> None:
    run = run_of(REAL_SMALL[name](np.dtype(dtype)))
    assert list(missed(VERIFIER, run, picked(run, 0), 1 + PLANTED[dtype])) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", REAL if PLANTS else FAST)
def test_at_size(name: str, dtype: str) -> None:
    run = run_of(REAL[name](np.dtype(dtype)))
    assert list(missed(VERIFIER, run, picked(run, 1), 1 + PLANTED[dtype])) == []


# errors of ops, not of a run


SIDE = 300
WHERE = ((0, 0), (299, 299), (54, 183), (54, 184), (109, 67), (200, 1))  # 2^14 and its neighbour among them
PLACES = WHERE if PLANTS else WHERE[1:4:2]
ROWS = np.random.default_rng(5).normal(size=(SIDE, SIDE))


def hit(array: Array, where: tuple[int, int], factor: float = 1 + 1e-9) -> Array:
    """The array with a wrong element, if it is large."""
    if array.shape != (SIDE, SIDE):
        return array
    array = np.array(array)
    array[where] *= factor
    return array


def forward_of(op: Op, where: tuple[int, int]) -> Callable[..., Any]:
    return lambda *arrays, **attributes: hit(np.asarray(op.forward(*arrays, **attributes)), where)


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", ["softmax", "tanh", "cumsum", "matmul"])
def test_a_forward_that_is_wrong_in_one_element(name: str, where: tuple[int, int]) -> None:
    op = BASE.op(name)
    planted = replace(op, name=f"opaque.{name}", forward=forward_of(op, where), into=None, view=False)
    registry = registry_of(planted)
    arrays = (ROWS,) if name != "matmul" else (ROWS, ROWS.T.copy())
    attributes = {"axis": 1} if name in ("softmax", "cumsum") else {}
    verdict = judge(registry, f"opaque.{name}", *arrays, **attributes)["x0"]
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.uses[0].forward.word is ValueWord.OFF
    assert verdict.uses[0].forward.element == str(list(where))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_an_opaque_backward_that_is_wrong_in_one_element(where: tuple[int, int]) -> None:
    """Elementwise, and along an axis; the seed is of either sign."""
    seed = np.random.default_rng(6).normal(size=(SIDE, SIDE))
    softsign = Op(
        "opaque.softsign",
        lambda x: x / (1 + np.abs(x)),
        backward=lambda g, y, x: hit(g / (1 + np.abs(x)) ** 2, where),
        define=lambda f, x: x / (1 + f.modulus(x)),
    )

    def backward(g: Any, y: Any, x: Any, *, axis: int) -> Any:
        wide = x.astype(np.longdouble)
        outputs = np.exp(wide - wide.max(axis=axis, keepdims=True))
        outputs /= outputs.sum(axis=axis, keepdims=True)
        return hit((outputs * (g - (outputs * g).sum(axis=axis, keepdims=True))).astype(x.dtype), where)

    softmax = replace(BASE.op("softmax"), name="opaque.softmax", rule=None, backward=backward)
    registry = registry_of(softsign, softmax)
    for name, attributes in (("softsign", {}), ("softmax", {"axis": 1})):
        verdict = judge(registry, f"opaque.{name}", ROWS, seed=seed, **attributes)["x0"]
        assert verdict.summary is SummaryWord.WRONG, name
        assert verdict.uses[0].value.word is ValueWord.OFF
        assert verdict.uses[0].value.element == str(list(where))


def test_a_rule_that_is_wrong_at_one_number() -> None:
    """A proof holds almost everywhere, and this number is elsewhere."""
    x = ROWS.reshape(-1)
    number = float(x[31_415])
    wrong = Op(
        "opaque.sin",
        np.sin,
        lambda g, y, x: ops.where(ops.equal(x, number), (1 + 2.0**-30) * g * ops.cos(x), g * ops.cos(x)),
        define=lambda f, x: f.sin(x),
    )
    verdict = judge(registry_of(wrong), "opaque.sin", x)["x0"]
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.uses[0].value.element == "[31415]"


# the planting itself


def one_node(op: str, x: Array, **attributes: Any) -> Run:
    graph, values = graph_of(op, x, **attributes)
    shape = ENGINE.infer(graph).specs()["y"].shape
    return finish(ENGINE, Job(graph, values, [("y", np.ones(shape))]))


def test_an_element_that_cancels_carries_no_digits() -> None:
    """1 + 2^-20 - 1 keeps 32 of 53 bits: its condition is 2^21 about, and it is not chosen."""
    x = np.stack([np.linspace(1, 2, 8), -np.linspace(1, 2, 8)])
    x[1] += np.array([0.5] * 7 + [2.0**-20])
    run = one_node("sum", x, axis=0)
    [spot] = [spot for spot in spots(run) if spot.kind == "result"]
    assert 2.0**20 < condition(run, spot)[7] < 2.0**23
    assert 7 not in elements(run, spot, 50)
    assert set(elements(run, spot, 50)) == set(range(7))


def test_what_rests_on_an_error_is_computed_from_it() -> None:
    run = one_node("exp", np.array([0.5, 1.0]))
    [spot] = [spot for spot in spots(run) if spot.kind == "result"]
    spoiled_run = spoiled(run, spot, 1, 2.0)
    [raw] = [k for value, k in run.plan.backward.raw.items() if value != spot.number]
    assert np.asarray(spoiled_run.values[raw]).tolist() == [np.exp(0.5), 2 * np.exp(1.0)]
    assert matters(run, spot, 1)
    assert np.asarray(run.values[raw]).tolist() == np.exp([0.5, 1.0]).tolist()


def test_nothing_rests_on_a_branch_that_is_not_taken() -> None:
    workload = REAL_SMALL["attention, -inf"](np.dtype(np.float64))
    run = run_of(workload)
    [spot] = [s for s in spots(run) if s.kind == "result" and (s.node, s.op) == (13, "multiply")]
    masked, read = (np.ravel_multi_index((0, 0, *k), run.values[spot.number].shape) for k in ((0, 1), (1, 0)))
    assert not matters(run, spot, int(masked))
    assert matters(run, spot, int(read))
