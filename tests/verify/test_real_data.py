"""Verdicts at the size of real data: the workloads are what they say, and their gradients are verified, every element.

Without ``CHECK_PLANTS`` the large workloads are left to `make check`, but for those that are read fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks import at_size
from benchmarks.at_size import builder_of, job_of, words
from benchmarks.real_data import DEAD_PIXELS, REAL, REAL_SMALL, attention, classified, digits, logistic, perceptron
from benchmarks.speed import LIMITED
from benchmarks.tensor_programs import PROGRAMS
from benchmarks.verdicts import main
from benchmarks.workloads import Sketch, Workload
from tests.conftest import REGISTRY
from tests.support.proof_sources import SharedProofs
from tests.support.server_fixture import Served
from tests.support.verdicts import finish
from tests.support.workloads import FAST, PLANTS

from gradproof.engine.engine import Engine
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord, ValueWord
from gradproof.engine.verify.verifier import Verifier

ENGINE = Engine(REGISTRY)
VERIFIER = Verifier(REGISTRY, SharedProofs(REGISTRY))
FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)
SHIFTED = "attention 4x64x4x16, key bias"
"""The gradient of a key's bias is exactly 0: what floats make of it has no digits, and cannot be verified."""


def gradients(workload: Workload) -> list[Array]:
    return [np.asarray(gradient) for gradient in ENGINE.function(workload.graph)(*workload.values)[1]]


def verdicts_of(workload: Workload) -> dict[str, GradientVerdict]:
    """The verdicts on all gradients, with time enough on a machine that is busy."""
    return {verdict.name: verdict for verdict in VERIFIER.check(finish(ENGINE, job_of(workload)), budget=120.0)}


# the workloads


def test_the_digits_have_the_shape_of_digits() -> None:
    samples, labels = digits()
    assert samples.shape == (1797, 64)
    assert (samples.min(), samples.max()) == (0, 16)
    assert np.array_equal(samples, np.round(samples))
    assert 0.4 < np.mean(samples == 0) < 0.6
    assert np.flatnonzero(~samples.any(axis=0)).tolist() == list(DEAD_PIXELS)
    assert samples.any(axis=1).all()
    assert np.bincount(labels).tolist() == [180] * 7 + [179] * 3


def test_the_two_classes_are_learnt_from_their_samples() -> None:
    samples, labels = classified(500, 10)
    signs = 2.0 * labels - 1
    weights, *_ = np.linalg.lstsq(samples, signs, rcond=None)
    assert np.mean(np.sign(samples @ weights) == signs) > 0.85


def test_the_losses_of_a_logistic_regression_are_one_loss() -> None:
    """softplus and logaddexp are the same; of two columns the second less the first counts."""
    softplus, logaddexp = (gradients(logistic(6, 3, FLOAT64, loss)) for loss in ("softplus", "logaddexp"))
    for a, b in zip(softplus, logaddexp, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    workload = logistic(6, 3, FLOAT64, "log_softmax")
    samples, labels = classified(6, 3)
    w, b = workload.values[1:3]
    z = samples @ (w[:, 1] - w[:, 0]) + (b[1] - b[0])
    expected = np.mean(np.logaddexp(0, z) - labels * z) + 0.005 * np.sum(w**2)
    [value], _ = ENGINE.function(workload.graph)(*workload.values)
    assert value == pytest.approx(expected, rel=1e-13)


def test_masks_of_any_large_number_are_one_mask() -> None:
    first, *others = (gradients(attention(2, 5, 2, 3, FLOAT64, mask)) for mask in ("-inf", "-1e9", "finfo.min"))
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_bias_of_keys_changes_nothing() -> None:
    parts = gradients(attention(2, 5, 2, 3, FLOAT64, key_bias=True))
    assert np.max(np.abs(parts[4])) < 1e-12 * np.max(np.abs(parts[3]))


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_every_goal_is_there_in_both_dtypes(name: str) -> None:
    for dtype in (FLOAT64, FLOAT32):
        workload = REAL[name](dtype)
        assert {leaf.spec.dtype for leaf in workload.graph.leaves if leaf.requires_grad} == {dtype}
        assert workload.graph.digest() == REAL[name](dtype).graph.digest()


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes", "workload"),
    [
        ("logistic", (6, 3), logistic(6, 3, FLOAT64)),
        ("perceptron", (6, (5, 4, 3)), perceptron(6, (5, 4, 3), FLOAT64)),
        ("attention", (2, 3, 2, 2), attention(2, 3, 2, 2, FLOAT64)),
    ],
)
def test_programs_of_tensors_are_the_same(tensors: Served, name: str, sizes: tuple[Any, ...], workload: Workload) -> None:
    loss, parameters = PROGRAMS[name](*sizes)
    loss.backward()
    for parameter, expected in zip(parameters, gradients(workload), strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-10, atol=1e-15)
        assert parameter.verdict is not None
        assert parameter.verdict.summary == "verified"


# the words


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32], ids=str)
@pytest.mark.parametrize("name", REAL_SMALL)
def test_small_ones_are_verified(name: str, dtype: np.dtype[np.floating]) -> None:
    verdicts = verdicts_of(REAL_SMALL[name](dtype))
    weak = {name for name, verdict in verdicts.items() if verdict.summary is not SummaryWord.VERIFIED}
    assert weak == ({"x4"} if "key bias" in name else set()), [verdicts[name].reason for name in weak]


@pytest.mark.parametrize("name", [name for name in (REAL if PLANTS else FAST) if name != SHIFTED])
def test_every_gradient_is_verified(name: str) -> None:
    for verdict in verdicts_of(REAL[name](FLOAT64)).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        for use in verdict.uses:
            assert use.value.checked == use.value.total, use
            assert use.value.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED)


@pytest.mark.skipif(not PLANTS, reason="for make check")
def test_a_gradient_that_is_nothing_but_rounding_is_not() -> None:
    verdicts = verdicts_of(REAL[SHIFTED](FLOAT64))
    assert {name for name, verdict in verdicts.items() if verdict.summary is not SummaryWord.VERIFIED} == {"x4"}
    assert verdicts["x4"].summary is SummaryWord.PLAUSIBLE
    assert "digits are right" in verdicts["x4"].reason


# the table


def test_a_graph_is_the_same_for_a_client() -> None:
    workload = REAL_SMALL["attention, -inf"](FLOAT32)
    message = builder_of(workload).to_proto()
    assert [node.op for node in message.nodes] == [node.op for node in workload.graph.nodes]
    assert [leaf.name for leaf in message.leaves if leaf.requires_grad] == list(job_of(workload).requested())


def nothing(dtype: DType) -> Workload:
    """The sum of a softmax, which is 1: its gradient is 0, and in floats nothing but rounding."""
    s = Sketch(dtype)
    return s.done(s.sum(s.softmax(s.leaf(np.linspace(-1, 2, 12)), axis=0)))


@pytest.mark.skipif(not PLANTS, reason="for make check")
def test_the_table_prints_words_and_ratios(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(at_size, "REAL", {"gelu": REAL_SMALL["gelu"], "nothing": nothing})
    monkeypatch.setattr(at_size, "ROUNDS", 1)
    monkeypatch.setenv(LIMITED, "1")
    main(["--real"])
    head, columns, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("At the size of real data")
    assert columns.split() == ["gradient", "first", "here", "workers", "call", "values", "words"]
    assert [row.split()[:2] for row in rows[:4]] == [[n, d] for n in ("gelu", "nothing") for d in ("float64", "float32")]
    assert all(float(ratio) > 0 for row in rows[:4] for ratio in row.split()[4:9])
    assert rows[0].endswith("1 verified")
    assert "nothing, float64: x0: node" in "\n".join(rows[4:])


def test_the_weakest_word_has_its_reason() -> None:
    right = GradientVerdict("a", SummaryWord.VERIFIED, "all right")
    wrong = GradientVerdict("b", SummaryWord.WRONG, "not at all")
    assert words([right, right]) == ("2 verified", "")
    assert words([right, wrong]) == ("1 verified, 1 wrong", "b: not at all")
