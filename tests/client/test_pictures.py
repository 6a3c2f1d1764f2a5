"""Pictures of graphs: what is on them, and that every format can be read."""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import structlog
from google.protobuf import json_format
from tests.support.server_fixture import Served
from typer.testing import CliRunner, Result

import gradproof.client as gp
from gradproof.client import GraphBuilder
from gradproof.client.backward.provenance import provenance_of
from gradproof.client.drawing import layers
from gradproof.client.drawing.box import Box
from gradproof.client.drawing.layers import Layout
from gradproof.client.drawing.messages import draw_graph
from gradproof.client.drawing.picture import ALARM, FILLS, Picture
from gradproof.client.drawing.records import draw
from gradproof.server.commands.cli import app
from gradproof.v1 import graph_pb2


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


@pytest.fixture(autouse=True)
def tensors(served: Served) -> Iterator[None]:
    before = gp.use(served.client)
    yield
    gp.use(before)
    structlog.reset_defaults()


@pytest.fixture(params=["dot", "our own"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the program ``dot``, and without."""
    if request.param == "our own":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    elif shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    return str(request.param)


def leaf(value: Any) -> gp.Tensor:
    return gp.tensor(value, requires_grad=True)


def line() -> dict[str, gp.Tensor]:
    a, x, b = leaf(2.0), leaf(3.0), leaf(1.0)
    y = a * x
    return {"a": a, "x": x, "b": b, "y": y, "z": y + b}


def texts(picture: Picture) -> list[tuple[str, ...]]:
    return [box.lines for box in picture.boxes]


def nodes(svg: str) -> list[list[str]]:
    """The classes of the boxes of an SVG."""
    found = [one.get("class", "").split() for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("}g")]
    return [classes for classes in found if "node" in classes]


DOT = """\
digraph gradproof {
  node [fontname="Helvetica", fontsize=12, shape=box, style=filled];
  node [class=leaf, fillcolor="#c8e6c9", color="#2e7d32", style="filled"];
  v0 [label="a\\nvalue: 2."];
  v1 [label="x\\nvalue: 3."];
  v3 [label="b\\nvalue: 1."];
  node [class=inner, fillcolor="#fff3b0", color="#b58900", style="filled"];
  v2 [label="y\\nfloat32 ()"];
  v4 [label="z\\nfloat32 ()"];
  node [class=op, fillcolor="#ffffff", color="#555555", style="rounded,filled"];
  n0 [label="multiply\\nMulBackward0"];
  n1 [label="add\\nAddBackward0"];
  v0 -> n0;
  v1 -> n0;
  n0 -> v2;
  v2 -> n1;
  v3 -> n1;
  n1 -> v4;
}
"""

MERMAID = """\
flowchart TD
  v0["a<br/>value: 2."]:::leaf
  v1["x<br/>value: 3."]:::leaf
  n0(["multiply<br/>MulBackward0"]):::op
  v2["y<br/>float32 ()"]:::inner
  v3["b<br/>value: 1."]:::leaf
  n1(["add<br/>AddBackward0"]):::op
  v4["z<br/>float32 ()"]:::inner
  v0 --> n0
  v1 --> n0
  n0 --> v2
  v2 --> n1
  v3 --> n1
  n1 --> v4
  classDef leaf fill:#c8e6c9,stroke:#2e7d32,color:#000
  classDef inner fill:#fff3b0,stroke:#b58900,color:#000
  classDef op fill:#ffffff,stroke:#555555,color:#000
"""


class TestRecords:
    def test_a_line_in_both_languages(self) -> None:
        known = line()
        picture = known["z"].graph(**known)
        assert picture.dot() == DOT
        assert picture.mermaid() == MERMAID
        assert repr(picture) == "<Picture of 5 values and 2 nodes>"
        assert known["z"].array is None  # and nothing was computed for it

    def test_behind_a_pass_there_are_gradients_hooks_and_verdicts(self) -> None:
        known = line()
        known["y"].retain_grad()
        known["y"].register_hook(lambda g: g * 2)
        known["z"].backward()
        before = texts(draw(known["z"], **known))
        assert ("a", "value: 2.", "gradient: 6.") in before
        assert ("y", "value: 6.", "raw gradient: 1.", "hooked gradient: 2.") in before
        provenance = provenance_of(known["a"])
        assert provenance is not None
        assert provenance.known() is None  # a picture checks nothing
        assert known["a"].verdict is not None
        after = texts(draw(known["z"], **known))
        assert ("a", "value: 2.", "gradient: 6.", "verified") in after
        assert ("y", "value: 6.", "raw gradient: 1.", "hooked gradient: 2.", "verified") in after

    def test_a_pass_that_the_tensor_was_no_part_of_is_not_shown(self) -> None:
        x = leaf(3.0)
        y = x * x
        (x + 1.0).backward()
        assert texts(draw(y))[0] == ("value: 3.",)
        assert texts(draw(x))[0] == ("value: 3.", "gradient: 1.")

    def test_a_leaf_that_was_changed_has_the_value_it_had(self) -> None:
        x = leaf(3.0)
        y = x * x
        with gp.no_grad():
            x -= 1.0
        z = y * x
        assert [box.lines for box in draw(z, x=x).boxes if box.kind == "leaf"] == [("x", "value: 3."), ("x", "value: 2.")]

    def test_each_use_is_an_edge(self) -> None:
        x = leaf(3.0)
        assert draw(x * x).edges == (("v0", "n0"), ("v0", "n0"), ("n0", "v1"))

    def test_constants_are_grey(self) -> None:
        x, fixed = leaf([1.0, 2.0]), gp.tensor([3.0, 4.0])
        with gp.no_grad():
            aside = x + 1.0
        picture = draw(x * fixed * 2.0 + aside)
        assert [box.lines for box in picture.boxes if box.kind == "constant"] == [
            ("value: [1., 2.]",), ("1.0",), ("float32 (2,)",), ("value: [3., 4.]",), ("2.0",),
        ]  # fmt: skip
        assert ("add",) in texts(picture)  # no gradient flows through that one

    def test_all_outputs_of_a_split(self) -> None:
        s = leaf(np.arange(4.0))
        first, _ = s.split(2)
        picture = draw(first)
        assert [box.kind for box in picture.boxes] == ["leaf", "op", "inner", "inner"]
        assert picture.edges == (("v0", "n0"), ("n0", "v1"), ("n0", "v2"))

    def test_large_values_are_shapes(self) -> None:
        x = leaf(np.zeros((3, 4)))
        x.sum().backward()
        assert texts(draw(x, x=x)) == [("x", "float64 (3, 4)", "gradient: float64 (3, 4)")]

    @pytest.mark.slow
    def test_a_long_chain(self) -> None:
        y = x = leaf(1.0)
        for _ in range(1000):
            y = y * x
        picture = y.graph().unfold()
        svg = picture.svg()
        assert len(picture.boxes) == 2001
        assert len(nodes(svg)) == 2001
        assert len(svg) < 2_000_000  # in proportion to the graph, though one leaf has 1001 edges of all lengths


def steps(count: int, weight: gp.Tensor) -> gp.Tensor:
    """The state behind a loop of ``count`` steps of three ops."""
    y: gp.Tensor = leaf(1.0)
    for _ in range(count):
        y = (y * weight + 0.5).tanh()
    return y


def is_in_order(picture: Picture) -> bool:
    """True if edges go from boxes to later boxes."""
    places = {box.id: k for k, box in enumerate(picture.boxes)}
    return all(places[a] < places[b] for a, b in picture.edges)


class TestFolding:
    def test_a_loop_is_a_box_with_a_count(self) -> None:
        weight = leaf(2.0)
        y = steps(100, weight)
        picture = y.exp().graph(weight=weight, y=y)
        assert texts(picture) == [
            ("value: 1.",),
            ("weight", "value: 2."),
            ("100 constants",),
            ("100 times, 300 nodes", "multiply", "add", "tanh"),
            ("y", "float32 ()"),
            ("exp", "ExpBackward0"),
            ("float32 ()",),
        ]
        fold = picture.boxes[3]
        assert (fold.kind, fold.title) == ("fold", "100 × (multiply, add, tanh)")
        assert [(a, b) for a, b in picture.edges if fold.id in (a, b)] == [
            *((picture.boxes[k].id, fold.id) for k in range(3)),
            (fold.id, picture.boxes[4].id),
        ]
        assert is_in_order(picture)
        assert repr(picture) == "<Picture of 403 values and 301 nodes, folded to 7 boxes>"
        assert "<title>100 × (multiply, add, tanh)</title>" in layers.svg(picture.boxes, picture.edges, FILLS, ALARM)
        assert len(nodes(picture.svg())) == 7

    def test_it_is_opened_on_request(self) -> None:
        whole = steps(100, leaf(2.0)).graph().unfold()
        assert sum(box.kind == "op" for box in whole.boxes) == 300
        assert repr(whole) == "<Picture of 402 values and 300 nodes>"

    def test_few_steps_are_not_folded(self) -> None:
        y = steps(7, leaf(2.0))
        assert y.graph() == y.graph().unfold()
        assert any(box.kind == "fold" for box in steps(8, leaf(2.0)).graph().boxes)

    def test_other_shapes_are_other_parts(self) -> None:
        y = leaf(np.ones(40))
        for _ in range(20):
            y = y[1:].exp()
        assert all(box.kind != "fold" for box in y.graph().boxes)

    def test_loops_within_loops(self) -> None:
        y: Any = leaf(1.0)
        kept = []
        for _ in range(10):
            for _ in range(20):
                y = (y + 1.0).exp()
            y = y.tanh()
            kept.append(y)
        picture = gp.stack(kept).graph(last=y)
        (fold,) = [box for box in picture.boxes if box.kind == "fold"]
        assert fold.title == "10 × (20 × (add, exp), tanh)"
        assert fold.lines == ("10 times, 410 nodes", "20 × (add, exp)", "tanh")
        assert ("9 values",) in texts(picture)
        assert ("last", "float32 ()") in texts(picture)
        assert is_in_order(picture)

    def test_long_loops_within_loops(self) -> None:
        y: Any = leaf(1.0)
        for _ in range(10):
            for _ in range(100):
                y = (y * 2.0).exp()
            y = y.tanh()
        (fold,) = [box for box in y.graph().boxes if box.kind == "fold"]
        assert fold.title == "10 × (100 × (multiply, exp), tanh)"

    def test_a_named_value_and_a_wrong_one_are_shown(self) -> None:
        y: Any = leaf(1.0)
        middle = None
        for k in range(20):
            y = y.exp()
            middle = y if k == 10 else middle
        assert middle is not None
        assert ("middle", "float32 ()") in texts(y.graph(middle=middle))
        assert is_in_order(y.graph(middle=middle))

    def test_a_message_is_folded_too(self) -> None:
        made = {f"v{k}": f"exp v{k - 1}" for k in range(1, 50)}
        picture = draw_graph(message("v0", **made))
        assert [box.kind for box in picture.boxes] == ["leaf", "fold", "inner"]
        assert len(draw_graph(message("v0", **made)).unfold().boxes) == 99

    @pytest.mark.parametrize("seed", range(20))
    def test_every_node_is_counted_once_and_edges_go_down(self, seed: int) -> None:
        """Random programs of loops: counts of nodes by the folded boxes and the others are those of the program."""
        draw_ = random.Random(seed)
        values: list[Any] = [leaf(1.0), leaf(2.0)]
        for _ in range(draw_.randrange(1, 4)):
            body = [draw_.choice(["exp", "add", "tanh", "keep"]) for _ in range(draw_.randrange(1, 6))]
            for _ in range(draw_.choice([1, 3, 8, 30])):
                for word in body:
                    y, z = values[-1], draw_.choice(values)
                    values.append(y + z if word in ("add", "keep") else getattr(y, word)())
        root = values[-1]
        whole, picture = root.graph().unfold(), root.graph()
        counted = sum(int(box.lines[0].split(", ")[1].split()[0]) for box in picture.boxes if box.kind == "fold")
        counted += sum(box.kind == "op" for box in picture.boxes)
        assert counted == sum(box.kind == "op" for box in whole.boxes)
        assert is_in_order(picture)
        assert {end for edge in picture.edges for end in edge} <= {box.id for box in picture.boxes}
        assert len({box.id for box in picture.boxes}) == len(picture.boxes)

    @pytest.mark.slow
    def test_a_thousand_values_are_laid_out_within_a_second(self) -> None:
        y = steps(333, leaf(2.0))
        picture = y.graph().unfold()
        assert len(picture.boxes) > 2000
        seconds = []
        for _ in range(3):  # the machine may be busy
            started = time.process_time()
            y.graph().unfold().svg()
            seconds.append(time.process_time() - started)
        assert min(seconds) < 1.0

    @pytest.mark.stress
    @pytest.mark.slow
    def test_a_hundred_thousand_values_do_not_stop_a_notebook(self) -> None:
        y = steps(25_000, leaf(2.0))
        started = time.process_time()
        shown = y.graph()._repr_mimebundle_()
        assert time.process_time() - started < 20.0
        assert shown["text/plain"] == "<Picture of 100002 values and 75000 nodes, folded to 5 boxes>"
        assert "25000 times" in shown["image/svg+xml"]

    @pytest.mark.slow
    def test_what_does_not_fold_and_is_large_is_a_text(self) -> None:
        draw_ = random.Random(3)
        y: Any = steps(50, leaf(2.0))
        for _ in range(3_000):
            y = getattr(y, draw_.choice(["exp", "sin", "cos"]))()
        picture = y.graph()
        assert picture._repr_svg_() is None
        (text,) = picture._repr_mimebundle_().values()
        first, hint, fold, *ops = text.splitlines()
        assert first.startswith("<Picture of 3202 values and 3150 nodes, folded to ")
        assert "save('graph.svg') writes all" in hint
        assert fold == "  50 × (multiply, add, tanh)"
        assert {line.split()[-1] for line in ops[-3:]} == {"exp", "sin", "cos"}
        assert len(text) < 1000


def _chain(count: int) -> list[tuple[int, int]]:
    return [(k, k + 1) for k in range(count - 1)]


def _random(count: int) -> list[tuple[int, int]]:
    draw = random.Random(1)
    return [(draw.randrange(k), k) for k in range(1, count) for _ in range(2)]


SHAPES: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "a chain": _chain,
    "a chain and what mirrors it": lambda n: [*_chain(n), *((k, n - 1 - k) for k in range(n // 2 - 1))],
    "one source for all": lambda n: [*_chain(n), *((0, k) for k in range(2, n))],
    "one layer": lambda n: [*((0, k) for k in range(1, n - 1)), *((k, n - 1) for k in range(1, n - 1))],
    "two sources each": _random,
    "a part of one leaf in each step": lambda n: [
        edge for k in range(1, n - 1, 2) for edge in ((0, k), (k, k + 1), *([(k - 1, k + 1)] if k > 1 else []))
    ],
}


class TestLayout:
    @pytest.mark.slow
    @pytest.mark.parametrize("shape", SHAPES)
    def test_its_size_is_linear_in_that_of_the_graph(self, shape: str) -> None:
        """Bends are what time and text are spent on."""
        few, many = (Layout([(20.0, 20.0)] * n, SHAPES[shape](n)) for n in (250, 2000))
        assert len(many.x) < 2 * 8 * max(len(few.x), 250)
        assert sum(map(len, many.paths())) < 2 * 8 * max(sum(map(len, few.paths())), 250 * 50)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_edges_go_down_and_boxes_do_not_overlap(self, shape: str) -> None:
        count = 300
        edges = SHAPES[shape](count)
        found = Layout([(20.0, 20.0)] * count, edges)
        assert all(found.y[a] < found.y[b] for a, b in edges)
        rows: dict[float, list[float]] = {}
        for x, y in zip(found.x, found.y, strict=False):
            rows.setdefault(y, []).append(x)
        assert all(b - a >= 20.0 for row in rows.values() for a, b in pairwise(sorted(row)))

    @pytest.mark.slow
    def test_ten_thousand_boxes_are_a_matter_of_seconds(self) -> None:
        started = time.process_time()
        found = Layout([(20.0, 20.0)] * 10_000, SHAPES["a chain and what mirrors it"](10_000))
        assert len(found.paths()) > 10_000
        assert time.process_time() - started < 20.0


class TestFormats:
    def test_svg_has_a_box_for_each_value(self, program: str) -> None:
        known = line()
        picture = known["z"].graph(**known)
        kinds = [classes[1] for classes in nodes(picture.svg())]
        assert sorted(kinds) == ["inner"] * 2 + ["leaf"] * 3 + ["op"] * 2
        assert ElementTree.fromstring(picture._repr_svg_() or "").tag == "{http://www.w3.org/2000/svg}svg"
        assert sorted(picture._repr_mimebundle_()) == ["image/svg+xml", "text/plain"]

    def test_labels_are_escaped(self, program: str) -> None:
        hostile = 'a"b\\N<c>&amp;\n#d; _e_ `f` 1'
        picture = Picture((Box("v0", "leaf", (hostile, "x" * 99)), Box("v1", "constant", ("1. one",))), ())
        found = [one.text for one in ElementTree.fromstring(picture.svg()).iter() if one.tag.endswith("}text")]
        assert found[:2] == ['a"b\\N<c>&amp;\N{REPLACEMENT CHARACTER}#d; _e_ `f` 1', "x" * 47 + "…"]
        assert r'label="a\"b\\N<c>&amp;amp;' in picture.dot()
        quoted = re.findall(r'\["(.*?)"\]:::', picture.mermaid())
        assert quoted[0].startswith("a#34;b#92;N#60;c#62;#38;amp#59;")
        assert "`" not in quoted[0]
        assert " #95;e#95; " in quoted[0]
        assert quoted[1] == "1#46; one"

    def test_a_failing_program_is_no_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "dot").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "dot").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        assert len(nodes(draw(leaf(1.0)).svg())) == 1

    def test_save_goes_by_the_end_of_the_name(self, tmp_path: Path) -> None:
        picture = draw(leaf(1.0))
        for end, text in ((".dot", "digraph"), (".mmd", "flowchart"), (".svg", "<svg")):
            picture.save(tmp_path / f"p{end}")
            assert (tmp_path / f"p{end}").read_text(encoding="utf-8").startswith(text)
        with pytest.raises(ValueError, match=r"\.dot, \.mmd, \.svg"):
            picture.save(tmp_path / "p.png")

    def test_boxes_do_not_overlap(self) -> None:
        x = leaf(np.arange(6.0))
        parts = x.split(1)
        y: Any = sum((parts[k] * parts[-1 - k]).exp() for k in range(6)) + x.sum()
        picture = draw(y)
        places = {box.id: k for k, box in enumerate(picture.boxes)}
        sizes = [layers._size(box.lines) for box in picture.boxes]
        found = layers.Layout(sizes, [(places[a], places[b]) for a, b in picture.edges])
        for j in range(len(sizes)):
            for k in range(j):
                (w, h), (v, u) = sizes[j], sizes[k]
                apart = abs(found.x[j] - found.x[k]) >= (w + v) / 2 or abs(found.y[j] - found.y[k]) >= (h + u) / 2
                assert apart, (picture.boxes[j], picture.boxes[k])

    def test_nothing_is_a_picture_too(self, program: str) -> None:
        assert nodes(Picture((), ()).svg()) == []


def message(*leaves: str, **made: str) -> graph_pb2.Graph:
    graph = graph_pb2.Graph(leaves=[graph_pb2.Leaf(name=name, requires_grad=True) for name in leaves])
    for name, text in made.items():
        op, *inputs = text.split()
        graph.nodes.add(op=op, inputs=inputs, outputs=[name])
    return graph


class TestMessages:
    def test_nodes_in_any_order(self) -> None:
        picture = draw_graph(message("x", z="exp y", y="sin x"))
        assert texts(picture) == [("x",), ("sin",), ("y",), ("exp",), ("z",)]

    @pytest.mark.parametrize(
        ("graph", "text"),
        [
            (message("x", y="sin q"), r"graph.nodes\[0\].inputs\[0\]: there is no value named 'q'"),
            (message("x", x="sin x"), "the name 'x' is taken twice"),
            (message("x", y="add x z", z="sin y"), r"graph.nodes\[0\] is on a cycle"),
        ],
    )
    def test_a_graph_that_is_none(self, graph: graph_pb2.Graph, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            draw_graph(graph)

    def test_a_wrong_gradient_has_a_red_rim(self, served: Served) -> None:
        g = GraphBuilder()
        g.output(g.apply("planted.cube", g.leaf("x", 2.0, requires_grad=True), name="y"))
        picture = draw_graph(g.to_proto(), result=served.client.differentiate(g))
        assert picture.boxes[0].alarm
        assert picture.boxes[0].lines[-1] == "wrong"
        for text in (
            picture.dot(),
            picture.mermaid(),
            picture.svg(),
            layers.svg(picture.boxes, picture.edges, FILLS, ALARM),
        ):
            assert ALARM in text


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        g = GraphBuilder()
        x = g.leaf("x", shape=(3,), dtype=np.float32, requires_grad=True)
        g.apply("greater", x, 2.0, name="mask")
        g.output(g.apply("sum", x * x, name="s"), "y")
        (tmp_path / "graph.json").write_text(json_format.MessageToJson(g.to_proto()), encoding="utf-8")
        return str(tmp_path / "graph.json")

    def draw(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["draw", *words])

    @pytest.mark.parametrize(("form", "start"), [("dot", "digraph"), ("mermaid", "flowchart"), ("svg", "<svg")])
    def test_all_formats(self, file: str, tmp_path: Path, form: str, start: str) -> None:
        done = self.draw(file, "--format", form)
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(start)
        end = {"dot": ".dot", "mermaid": ".mmd", "svg": ".svg"}[form]
        assert self.draw(file, "--output", str(tmp_path / f"p{end}")).exit_code == 0
        assert (tmp_path / f"p{end}").read_text(encoding="utf-8") == done.stdout

    def test_without_a_run_there_are_shapes(self, file: str) -> None:
        assert '"x<br/>float32 (3,)"' in self.draw(file, "--format", "mermaid").stdout

    def test_a_run_fills_it_in(self, served: Served, file: str, tmp_path: Path) -> None:
        (tmp_path / "values.json").write_text(json.dumps({"x": [1, 2, 3]}), encoding="utf-8")
        words = ("--run", "--values", str(tmp_path / "values.json"), "--format", "mermaid", "--target", served.target)
        done = self.draw(file, *words)
        assert done.exit_code == 0, done.output
        assert '"x<br/>value: [1., 2., 3.]<br/>gradient: [2., 4., 6.]<br/>verified"]:::leaf' in done.stdout
        assert '"y<br/>value: 14.<br/>gradient: 1.<br/>verified"]:::inner' in done.stdout
        assert '"multiply<br/>MulBackward0"' in done.stdout
        assert '"mask<br/>value: [False, False, True]"]:::constant' in done.stdout

    def test_parts_that_repeat_are_folded(self, tmp_path: Path) -> None:
        made = {f"v{k}": f"exp v{k - 1}" for k in range(1, 50)}
        (tmp_path / "loop.json").write_text(json_format.MessageToJson(message("v0", **made)), encoding="utf-8")
        words = (str(tmp_path / "loop.json"), "--format", "mermaid")
        assert '[["49 times, 49 nodes<br/>exp"]]:::fold' in self.draw(*words).stdout
        assert self.draw(*words, "--unfold").stdout.count("exp") == 49

    def test_bad_input_is_status_2(self, served: Served, file: str, tmp_path: Path) -> None:
        for words, text in (
            ([file, "--format", "png"], "there is no format 'png'"),
            ([file, "--output", str(tmp_path / "p.png")], "there is no format '.png'"),
            ([str(tmp_path / "none.json")], "none.json"),
            ([file, "--run", "--target", served.target], "leaf 'x' has no value"),
        ):
            done = self.draw(*words)
            assert done.exit_code == 2, done.output
            assert text in done.stderr
