"""Backward passes by PyTorch's names: `backward`, `grad`, the modes, and what is known of the graph."""

from __future__ import annotations

from gradproof.client import functional
from gradproof.client.autograd import function, graph
from gradproof.client.autograd.function import Function
from gradproof.client.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from gradproof.client.autograd.gradients import grad
from gradproof.client.backward.engine import backward
from gradproof.client.backward.multi_grad import register_multi_grad_hook
from gradproof.client.recording.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "GradcheckError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "register_multi_grad_hook",
    "set_detect_anomaly",
    "set_grad_enabled",
]
