"""Estimates of operations, from shapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.fault_injection import registry_with

from gradproof.engine.estimate import run_flops
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.lower import lower
from gradproof.engine.spec import Spec

REDUCTIONS = ("sum", "mean", "prod", "max", "min", "var", "logsumexp", "argmax", "argmin")


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_of_a_plugin_is_estimated_by_what_it_reads(name: str) -> None:
    registry = registry_with(replace(REGISTRY.op(name), name=f"planted.{name}"))
    for op in (name, f"planted.{name}"):
        graph = Graph((Leaf("x", Spec((30, 40), np.dtype("float64"))),), (Node(op, ("x",), ("y",)),), ("y",))
        assert run_flops(lower(graph, registry).builder.program) == 1200
