"""The documentation against the code: every Python snippet is run, and every name that must be documented is."""

from __future__ import annotations

import ast
import doctest
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from google.protobuf import json_format, message_factory

import gradproof.client
from gradproof.client import Client, connect
from gradproof.engine import errors
from gradproof.engine.registry import Registry
from gradproof.engine.verify.verdict import words
from gradproof.server import problems
from gradproof.server.calls import status
from gradproof.server.commands import target
from gradproof.server.commands.cli import app
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2, op_service_pb2, operations_service_pb2, verdict_pb2

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "recipes").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
SOURCES = ("engine", "server", "proto/gradproof/wire")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """Line, language and text of each fenced block."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield text.count("\n", 0, match.start()) + 2, match[1], match[2]


def page_id(page: Path) -> str:
    return page.stem


# snippets


class SharedServer:
    """Stands for ``connect``: all snippets use one server, and closing a client of it closes only the client."""

    def __init__(self) -> None:
        self.owner = connect(arguments=["--plugin", "gradproof.server.demo_faulty_op"])

    def __call__(self, target: str | None = None, *, timeout: float = 60.0, arguments: Sequence[str] = ()) -> Client:
        assert target is None
        return Client(self.owner.target, timeout=timeout)


@pytest.fixture(scope="module")
def server() -> Iterator[SharedServer]:
    shared = SharedServer()
    yield shared
    shared.owner.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_snippets_run_and_print_what_the_page_says(
    page: Path, server: SharedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradproof.client, "connect", server)
    before = gradproof.client.use(server())
    try:
        run_snippets(page, monkeypatch)
    finally:
        gradproof.client.use(before)


def run_snippets(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"docs_{page.stem.lower()}")
    module.__dict__["PAGE"] = str(page)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    parser = doctest.DocTestParser()
    for line, language, text in blocks(page):
        if language != "python":
            continue
        if ">>>" in text:
            test = parser.get_doctest(text, module.__dict__, page.name, str(page), line - 1)
            output: list[str] = []
            outcome = runner.run(test, out=output.append, clear_globs=False)
            assert outcome.failed == 0, "".join(output)
            module.__dict__.update(test.globs)
        else:
            exec(compile("\n" * (line - 1) + text, str(page), "exec"), module.__dict__)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_block_says_its_language(page: Path) -> None:
    languages = {language for _, language, _ in blocks(page)}
    assert languages <= {"python", "text", "sh", "json", "toml", "yaml", "mermaid"}


def test_the_index_has_a_row_for_each_page() -> None:
    rows = re.findall(
        r"^\| \[([\w-]+\.md)\]\(\1\) \|", (ROOT / "docs" / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted([*rows, "README.md"]) == [page.name for page in sorted((ROOT / "docs").glob("*.md"))]


def test_the_index_links_each_recipe() -> None:
    links = re.findall(r"\]\((recipes/[\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text(encoding="utf-8"))
    assert set(links) == {f"recipes/{page.name}" for page in (ROOT / "docs" / "recipes").glob("*.md")}


def test_requests_by_hand_are_messages_of_their_call() -> None:
    files = (autodiff_service_pb2.DESCRIPTOR, op_service_pb2.DESCRIPTOR)
    services = {name: service for file in files for name, service in file.services_by_name.items()}
    calls = re.findall(r"grpcurl -plaintext -d '([^']*)'[^']*?gradproof\.v1\.(\w+)/(\w+)", TEXT)
    assert len(calls) > 1
    for body, service, name in calls:
        method = services[service].methods_by_name[name]
        json_format.Parse(body, message_factory.GetMessageClass(method.input_type)())


def test_words_of_the_glossary_are_in_use() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*([^*]+)\*\* \|", page, re.MULTILINE)
    assert len(words) == len(set(words)) > 30
    use = "\n".join(
        [path.read_text(encoding="utf-8") for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
        + [path.read_text(encoding="utf-8") for path in PAGES if path.name != "glossary.md"]
    ).lower()
    assert [word for word in words if not re.search(rf"\b{'[ _-]?'.join(word.split())}", use)] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


# names


def missing(names: Sequence[str]) -> list[str]:
    """Those that no page has in backquotes, alone or as the first words of a command."""
    spans = " ".join(re.findall(r"`([^`\n]+)`", TEXT))
    return [name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.]\w)(?!\w)", spans)]


def test_every_op_and_hook_is_named(registry: Registry) -> None:
    assert missing([*registry.ops, *registry.hooks]) == []


def test_every_command_is_named() -> None:
    group: Any = typer.main.get_command(app)
    assert missing([f"gradproof {name}" for name in group.commands]) == []


def test_every_way_to_reach_a_server_is_named() -> None:
    options = [f"--{name.replace('_', '-')}" for name in target.OPTIONS]
    assert missing([*options, *(problems.CLIENT + name.upper() for name in target.OPTIONS)]) == []


def test_every_call_is_named() -> None:
    services = [
        *autodiff_service_pb2.DESCRIPTOR.services_by_name.values(),
        *op_service_pb2.DESCRIPTOR.services_by_name.values(),
        *operations_service_pb2.DESCRIPTOR.services_by_name.values(),
    ]
    assert missing([method.name for service in services for method in service.methods]) == []


def test_every_word_of_a_verdict_is_named() -> None:
    engine = [
        str(word)
        for kind in (words.RuleWord, words.ValueWord, words.AccumulationWord, words.GraphWord, words.SummaryWord)
        for word in kind
    ]
    contract = [
        name.removeprefix(prefix)
        for enum, prefix in (
            (verdict_pb2.RuleWord, "RULE_WORD_"),
            (verdict_pb2.ValueWord, "VALUE_WORD_"),
            (verdict_pb2.AccumulationWord, "ACCUMULATION_WORD_"),
            (verdict_pb2.GraphWord, "GRAPH_WORD_"),
        )
        for name in (value.name for value in enum.DESCRIPTOR.values)
        if not name.endswith("UNSPECIFIED")
    ]
    assert missing([*engine, *contract]) == []


REASON = re.compile(r"[A-Z][A-Z_]{3,}")


def reasons() -> set[str]:
    """Every UPPER_SNAKE word that the code gives as the reason of a fault, an exception or a session's fault."""
    names: set[str] = set()
    for file in (file for folder in SOURCES for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            arguments: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("Violation", "WireError", "fault"):
                    arguments = node.args
                arguments = [*arguments, *(keyword.value for keyword in node.keywords if keyword.arg == "reason")]
            elif isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "reason" for t in node.targets):
                arguments = [node.value]
            names |= {
                argument.value
                for argument in arguments
                if isinstance(argument, ast.Constant)
                and isinstance(argument.value, str)
                and REASON.fullmatch(argument.value)
            }
    return names


@pytest.mark.slow
def test_every_reason_is_named() -> None:
    names = reasons()
    assert {"CYCLE", "INFERENCE", "TENSOR_LENGTH", "RULE_FAULT", "CANCELLED", "FRAME_EMPTY", "SEED_DTYPE"} <= names
    assert missing(sorted(names)) == []


def test_every_status_code_has_its_row() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    for kind, code in status.CODES:
        assert re.search(rf"^\| `{code.name}` \|.*`{kind.reason}`", page, re.MULTILINE) or kind is errors.NotFound, kind
    assert re.search(r"^\| `NOT_FOUND` \|.*`OP_NOT_FOUND`", page, re.MULTILINE)


def test_the_table_of_limits_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = page.partition("## Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d ]+) \|", section, re.MULTILINE)
    assert {name: int(number.replace(" ", "")) for name, number in rows} == Limits().table()
