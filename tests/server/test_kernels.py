"""Kernels on the wire: GetServerInfo lists those in use and those refused, and verdicts name them."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console
from tests.support.server_fixture import Served, serving

from gradproof.client import GraphBuilder
from gradproof.server.commands import report
from gradproof.server.configuration.settings import Settings

PLUGIN = ["tests.support.kernel_plugin"]


def differentiated(served: Served) -> dict[str, tuple[str, ...]]:
    """By leaf the kernels that the verdict on its gradient names: of x in tanh, whose rule has a cosh, of y in a square."""
    graph = GraphBuilder()
    x, y = (graph.leaf(name, np.linspace(-1, 1, 8), requires_grad=True) for name in "xy")
    graph.output(graph.apply("sum", graph.apply("tanh", x) + graph.apply("square", y)))
    verdicts = served.client.differentiate(graph, verify="values", budget=60.0).verdicts
    return {name: verdict.uses[0].kernels for name, verdict in verdicts.items()}


def test_kernels_are_named(tmp_path: Path) -> None:
    with serving(tmp_path, plugin=PLUGIN) as served:
        info = served.client.info()
        listed = [(k.name, k.plugin, k.op, k.dtype) for k in info.kernels]
        assert listed == [("planted cosh", "kernels", "cosh", dtype) for dtype in ("float32", "float64")]
        assert all(0 < k.max_ulps <= 2 for k in info.kernels)
        (refused,) = info.refused
        assert refused.name == "kernels"
        assert "kernel 'planted exp' of op 'exp' in float64: at (" in refused.reason
        assert "kernels" in [plugin.name for plugin in info.plugins]
        assert [path.suffix for path in tmp_path.glob("*.kernel")] == [".kernel"] * 2
        assert differentiated(served) == {"x": ("planted cosh",), "y": ()}
        printed = StringIO()
        Console(width=120, file=printed).print(report.kernel_table(info.kernels))
        assert re.search(r"planted cosh\W+cosh\W+float64\W+0\.\d\d ulp\W+kernels", printed.getvalue())


def test_none_is_used_on_request(tmp_path: Path) -> None:
    with serving(tmp_path, plugin=PLUGIN, kernels=False) as served:
        info = served.client.info()
        assert not info.kernels
        assert not info.refused
        assert differentiated(served) == {"x": (), "y": ()}


def test_the_setting() -> None:
    assert Settings().kernels is True
