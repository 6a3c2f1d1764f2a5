"""Texts and types of errors of shapes, axes and indices: those of PyTorch 2.13; and where numbers leave the record."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradproof.client as gp

pytestmark = pytest.mark.usefixtures("tensors")


def line() -> gp.Tensor:
    return gp.arange(5)


def matrix() -> gp.Tensor:
    return gp.ones(2, 3)


def number() -> gp.Tensor:
    return gp.tensor(1.0)


OUT_OF_RANGE: list[tuple[Callable[[], Any], int, int]] = [
    (lambda: line().unbind(2), 1, 2),
    (lambda: line().chunk(2, 5), 1, 5),
    (lambda: line().narrow(1, 0, 1), 1, 1),
    (lambda: line().split(1, -2), 1, -2),
    (lambda: matrix().softmax(5), 2, 5),
    (lambda: gp.stack([line(), line()], dim=6), 2, 6),
    (lambda: gp.cat([line(), line()], dim=6), 1, 6),
    (lambda: matrix().moveaxis(0, 5), 2, 5),
    (lambda: matrix().swapaxes(0, 5), 2, 5),
    (lambda: matrix().permute(0, 5), 2, 5),
    (lambda: matrix().diagonal(0, 0, 7), 2, 7),
    (lambda: matrix().diag_embed(0, 0, 7), 3, 7),
    (lambda: matrix().rot90(1, (0, 7)), 2, 7),
    (lambda: matrix().roll(1, 7), 2, 7),
    (lambda: matrix().tensor_split(2, 7), 2, 7),
    (lambda: matrix().unfold(7, 1, 1), 2, 7),
    (lambda: matrix().quantile(0.5, 7), 2, 7),
    (lambda: matrix().index_add(7, gp.tensor([0]), matrix()), 2, 7),
    (lambda: gp.trapezoid(matrix(), dim=7), 2, 7),
    (lambda: gp.nn.functional.glu(matrix(), 7), 2, 7),
    (lambda: gp.nn.functional.normalize(matrix(), dim=7), 2, 7),
    (lambda: gp.ops.sum(matrix(), axis=4), 2, 4),
    (lambda: np.sum(matrix(), axis=4), 2, 4),
    (lambda: gp.array_api.concat([line(), line()], axis=3), 1, 3),
]


@pytest.mark.parametrize(("call", "rank", "axis"), OUT_OF_RANGE)
def test_an_axis_out_of_range(call: Callable[[], Any], rank: int, axis: int) -> None:
    with pytest.raises(IndexError) as caught:
        call()
    text = f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {axis})"
    assert str(caught.value) == text


TEXTS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: line().narrow(0, 1, -2), RuntimeError, "narrow(): length must be non-negative."),
    (lambda: line().narrow(0, 4, 2), RuntimeError, "start (4) + length (2) exceeds dimension size (5)."),
    (lambda: line().narrow(0, -1, 2), RuntimeError, "start (4) + length (2) exceeds dimension size (5)."),
    (lambda: line().narrow(0, -7, 2), IndexError, "start out of range (expected to be in range of [-5, 5], but got -7)"),
    (lambda: line().narrow(0, 6, 0), IndexError, "start out of range (expected to be in range of [-5, 5], but got 6)"),
    (lambda: number().narrow(0, 0, 1), RuntimeError, "narrow() cannot be applied to a 0-dim tensor."),
    (lambda: line().chunk(0), RuntimeError, "chunk expects `chunks` to be greater than 0, got: 0"),
    (lambda: number().chunk(2), RuntimeError, "chunk expects at least a 1-dimensional tensor"),
    (lambda: number().split(1), RuntimeError, "split expects at least a 1-dimensional tensor"),
    (
        lambda: line().split([1, 2]),
        RuntimeError,
        "split_with_sizes expects split_sizes to sum exactly to 5 (input tensor's size at dimension 0), but got "
        "split_sizes=[1, 2]",
    ),
    (
        lambda: gp.zeros(1, 1).gather(1, gp.tensor([[0, 0], [0, 0]])),
        RuntimeError,
        "Size does not match at dimension 0 expected index [2, 2] to be no larger than self [1, 1] apart from dimension 1",
    ),
    (
        lambda: gp.zeros(1, 1).gather(1, gp.tensor([[0.0]])),
        RuntimeError,
        "gather(): Expected dtype int32/int64 for index",
    ),
    (lambda: line().index_select(0, gp.tensor([7])), IndexError, "index 7 is out of bounds for dimension 0 with size 5"),
    (lambda: line().index_select(0, [-6]), IndexError, "index -6 is out of bounds for dimension 0 with size 5"),
    (lambda: matrix().take([6]), IndexError, "index 6 is out of bounds for dimension 0 with size 6"),
    (
        lambda: line().index_select(0, gp.tensor([1.0])),
        RuntimeError,
        "index_select(): Expected dtype int32 or int64 for index",
    ),
    (
        lambda: gp.zeros(0, 4).reshape(0, -1),
        RuntimeError,
        "cannot reshape tensor of 0 elements into shape [0, -1] because the unspecified dimension size -1 can be any value "
        "and is ambiguous",
    ),
    (lambda: line().reshape(-2), RuntimeError, "invalid shape dimension -2 at index 0 of shape [-2]"),
    (
        lambda: matrix().expand(-1, 2, 3),
        RuntimeError,
        "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension 0",
    ),
    (lambda: matrix().sum(True), TypeError, "dim must be an integer, not bool; keepdim is an argument of its own"),
]


@pytest.mark.parametrize(("call", "kind", "text"), TEXTS)
def test_texts_are_those_of_pytorch(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_parts_from_the_end_and_of_nothing() -> None:
    assert line().narrow(0, -2, 2).tolist() == [3, 4]
    assert line().narrow(0, 5, 0).tolist() == []
    assert line().index_select(0, []).tolist() == []
    assert line().index_select(0, [-1]).tolist() == [4]
    assert gp.zeros(0, 4).reshape(-1, 4).shape == (0, 4)


def test_a_bool_in_place_of_the_axes_is_unbiased() -> None:
    x = gp.tensor([2.0, 3.0, 7.0], dtype=gp.float64)
    assert x.var(False).item() == pytest.approx(14 / 3)
    assert gp.std(x, False).item() == pytest.approx((14 / 3) ** 0.5)
    assert x.var(True).item() == x.var().item() == pytest.approx(7.0)


@pytest.mark.parametrize("call", [lambda x: x.numpy(), np.asarray, np.array, lambda x: np.unique(x)])
def test_numbers_of_a_tensor_that_requires_grad_are_refused_at_the_line_that_asks(call: Callable[[Any], Any]) -> None:
    x = gp.tensor([1.0, 2.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError) as caught:
        call(x)
    text = str(caught.value)
    assert text.startswith("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    assert "np.sin(x)" in text
    assert np.asarray(x.detach()).tolist() == [2.0, 4.0]


def test_the_line_is_that_of_the_caller() -> None:
    x = gp.tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"what .*test_texts_of_shapes\.py:\d+ makes of the numbers"):
        np.asarray(x)


def test_numbers_of_python_are_as_in_pytorch() -> None:
    x = gp.tensor(2.0, requires_grad=True)
    assert (x.item(), x.tolist(), bool(x)) == (2.0, 2.0, True)
    with pytest.warns(UserWarning, match="Converting a tensor with requires_grad=True to a scalar"):
        assert float(x) == 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(x.detach()) == 2.0
    with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
        float(gp.tensor([1.0, 2.0]))
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
        bool(gp.tensor([1.0, 2.0]))
