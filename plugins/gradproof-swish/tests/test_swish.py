"""Tests of the plugin: every op by its declaration, and the hook."""

from typing import Any

import gradproof_swish
import numpy as np
import pytest

from gradproof.testing import registry_with


@pytest.mark.gradproof(gradproof_swish)
def test_ops(op_check: Any) -> None:
    op_check()


def test_the_hook_damps_and_keeps_the_dtype() -> None:
    hook = registry_with(plugin=gradproof_swish).hooks["swish_damp"]
    damped = hook.apply(np.array([1.0, -2.0], np.float32), strength=0.5)
    assert damped.dtype == np.float32
    assert damped.tolist() == [0.5, -1.0]
