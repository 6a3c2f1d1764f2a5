"""The pages of ops: each follows from its declaration, and its example prints what the page says."""

from __future__ import annotations

import doctest

import pytest
from docs.generator import ops_pages
from tests.conftest import REGISTRY
from tests.support import composite_plugin
from tests.support.server_fixture import Served

from gradproof.engine.extend import Op, registering
from gradproof.engine.notation.op_page import op_page, signature
from gradproof.engine.registry import build_registry
from gradproof.plugins import BUILTIN

MADE = build_registry(BUILTIN, others=[composite_plugin])
MISSING = "run `make pages`"


def test_the_pages_are_those_of_the_ops() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in ops_pages.FOLDER.glob("*.md")}
    pages = dict(ops_pages.pages(REGISTRY))
    assert written.keys() == pages.keys(), MISSING
    for name, text in pages.items():
        assert written[name] == text, f"{name}: {MISSING}"


class Checker(doctest.OutputChecker):
    """Compares what was printed without the lines that the server logs."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        lines = [line for line in got.splitlines(keepends=True) if " [info " not in line]
        return super().check_output(want, "".join(lines), optionflags)


@pytest.mark.slow
def test_the_examples_print_what_the_pages_say(tensors: Served) -> None:
    """Each through the client, and a server."""
    without = []
    for name, text in ops_pages.pages(REGISTRY):
        test = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, name, None, None)
        runner = doctest.DocTestRunner(Checker(), verbose=False)
        printed: list[str] = []
        runner.run(test, out=printed.append)
        assert not runner.failures, "".join(printed)
        if not test.examples and name != "README.md":
            without.append(name)
    assert without == [], "a built-in op has an example: give it a case whose inputs are of its domain"


def test_each_page_says_what_the_op_is() -> None:
    for op in REGISTRY.ops.values():
        text = op_page(REGISTRY, op)
        assert op.doc in text
        assert signature(op) in text
        assert "## Definition" in text
        assert "## Rule" in text


def test_the_page_of_a_composite_is_its_graph() -> None:
    text = op_page(MADE, MADE.op("made.mse"))
    assert "made.mse(x, target, weight=None, *, reduction='mean')" in text
    assert "y = mean((x - target)²" in text
    assert "Made of [`mean`](mean.md), [`multiply`](multiply.md), [`square`](square.md), [`subtract`](subtract.md)" in text


def test_a_part_that_raises_is_left_out() -> None:
    def define(f: object, x: object) -> object:
        raise RuntimeError("no notation")

    class Plugin:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "bad"
        register_ops = staticmethod(registering(Op("bad.op", lambda x: x, lambda g, y, x: g, define, doc="an op")))

    registry = build_registry(BUILTIN, others=[Plugin()])
    text = op_page(registry, registry.op("bad.op"))
    assert "## Definition" not in text
    assert "## Rule" in text


def test_a_server_writes_the_page(shared: Served) -> None:
    response = shared.client.op("tanh", page=True)
    assert response.page == op_page(REGISTRY, REGISTRY.op("tanh"))
    assert shared.client.op("tanh").page == ""
