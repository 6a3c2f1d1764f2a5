"""The whole way through, as short as it can be: a graph to a real server, and its gradient back with a verdict."""

from __future__ import annotations

from pathlib import Path

from tests.support.server_fixture import serving

from gradproof.client import GraphBuilder


def test_the_gradient_of_x_times_x_at_3_is_6_and_verified(tmp_path: Path) -> None:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(x * x)
    with serving(tmp_path) as served:
        result = served.client.differentiate(g, budget=60.0)
    assert result.gradients["x"].gradient == 6.0
    assert result.verdicts["x"].summary == "verified", result.verdicts["x"].reason
