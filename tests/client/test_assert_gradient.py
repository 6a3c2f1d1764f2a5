"""`assert_gradient`: functions of tensors against differences of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.testing import assert_gradient

pytestmark = pytest.mark.usefixtures("tensors")


def test_right_gradients_pass() -> None:
    assert_gradient(lambda x: gp.sin(x) * x, 0.5)
    assert_gradient(lambda a, b: (a @ b).exp(), [[0.1, 0.2], [0.3, -0.4]], [1.0, -2.0], required="verified")
    assert_gradient(lambda x: (x * x).sum(), np.linspace(-1, 1, 30))


class Halved(gp.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]


def test_a_wrong_backward_is_told_with_element_and_numbers() -> None:
    with pytest.raises(AssertionError, match=r"input 0 at element \[1\] is -5, and the slope of the function -10"):
        assert_gradient(lambda x: Halved.apply(x)[1:], [1.0, -4.0])


def test_a_detached_part_is_told() -> None:
    with pytest.raises(AssertionError, match=r"input 0 is 2\.5, and the slope of the function 5"):
        assert_gradient(lambda x: x * x.detach(), 2.0)


def test_a_required_verdict_is_demanded() -> None:
    assert_gradient(gp.abs, 0.0)  # a kink, where differences are between the slopes too
    with pytest.raises(AssertionError, match="the gradient of input 0 is plausible: "):
        assert_gradient(gp.abs, 0.0, required="verified")


def test_tensors_are_passed_on() -> None:
    scale = gp.tensor(3.0)
    assert_gradient(lambda x, s: x * s, [1.0, 2.0], scale)
    with pytest.raises(ValueError, match="no input gets a gradient"):
        assert_gradient(lambda s: s, scale)
    with pytest.raises(ValueError, match="a verdict is one of wrong, unchecked, plausible, verified"):
        assert_gradient(lambda x: x, 1.0, required="proved")
