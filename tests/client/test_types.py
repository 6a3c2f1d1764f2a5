"""The types of tensors: what checkers, editors and `inspect` see of methods, functions and ops."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import pytest

import gradproof.client as gp
from gradproof.client import builtin_ops
from gradproof.client.tensors import functions, method_functions

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "python" / "gradproof" / "client"
GENERATED = (
    "tensors/uniform.py", "tensors/method_functions.py", "nn/functional.py", "special.py", "linalg.py", "builtin_ops.py",
)  # fmt: skip
METHODS: dict[str, typing.Any] = {
    name: member.fget if isinstance(member, property) else member
    for cls in gp.Tensor.__mro__
    if cls.__module__.startswith("gradproof.client.tensors.") and cls is not gp.Tensor
    for name, member in vars(cls).items()
    if not name.startswith("_") and (callable(member) or isinstance(member, property))
}
NAMESPACES = (gp.nn.functional, gp.special, gp.linalg)
FUNCTIONS = {
    **{name: getattr(method_functions, name) for name in method_functions.__all__},
    **{name: getattr(functions, name) for name in ("cat", "stack", "where")},
    **{f"ops.{name}": getattr(builtin_ops, name) for name in builtin_ops.__all__},
    **{f"{module.__name__}.{name}": getattr(module, name) for module in NAMESPACES for name in module.__all__},
}


def checked(program: str, *arguments: str) -> str:
    """What a type checker of the project's environment says of the given files; empty if it has nothing to report."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr if result.returncode else ""


@pytest.mark.slow
@pytest.mark.parametrize("file", ["typos.py", "right_uses.py"])
@pytest.mark.parametrize("program", ["mypy", "basedpyright"])
def test_checkers_report_typos_and_know_the_types_of_right_uses(program: str, file: str) -> None:
    assert checked(program, f"tests/client/{file}") == ""


@pytest.mark.slow
def test_a_checker_reports_each_typo_that_is_not_expected(tmp_path: Path) -> None:
    lines = (ROOT / "tests" / "client" / "typos.py").read_text(encoding="utf-8").splitlines()
    expected = [number for number, line in enumerate(lines, 1) if "# type: ignore" in line]
    bare = tmp_path / "bare.py"
    bare.write_text("\n".join(line.partition("  # type: ignore")[0] for line in lines), encoding="utf-8")
    text = checked("mypy", "--no-error-summary", "--hide-error-context", str(bare))
    reported = {int(line.split(":")[1]) for line in text.splitlines() if ": error: " in line}
    assert sorted(reported) == expected
    assert len(expected) > 30


def test_the_committed_source_is_what_the_generator_writes(tmp_path: Path) -> None:
    folder = str(ROOT / "clients" / "python")
    runpy.run_path(f"{folder}/generate_client.py")["generate"](tmp_path)
    changed = [name for name in GENERATED if (tmp_path / name).read_bytes() != (CLIENT / name).read_bytes()]
    assert changed == [], "run `make methods`"


@pytest.mark.sweep(of=6)
@pytest.mark.parametrize("name", METHODS)
def test_methods_have_signatures_and_docstrings(name: str) -> None:
    assert name in dir(gp.Tensor)
    assert re.search(r"Follows\s+(torch|numpy)\.", METHODS[name].__doc__)
    hold(METHODS[name])


@pytest.mark.sweep(of=6)
@pytest.mark.parametrize("name", dir(gp.Tensor))
def test_methods_that_follow_a_function_of_pytorch_are_functions(name: str) -> None:
    member = inspect.getattr_static(gp.Tensor, name)
    method = member.fget if isinstance(member, property) else member
    if re.search(r"Follows\s+torch\.\w+(?!\w|\.\w)", method.__doc__ or ""):  # but torch.Tensor.x and torch.nn.x
        assert getattr(method, "__name__", name) in dir(gp), "no function calls it"


def test_an_editor_completes_what_is_documented() -> None:
    x = gp.tensor(1.0)
    public = [name for name in dir(x) if not name.startswith("_")]
    assert set(METHODS) <= set(public)
    assert [name for name in public if not inspect.getdoc(inspect.getattr_static(gp.Tensor, name))] == []
    assert {"verdict", "backward", "graph", "explain", "retains_grad"} <= set(public)
    assert not {"tainted", "provenance", "accumulated"} & set(public)
    for module in (gp, gp.ops, *NAMESPACES):
        assert set(getattr(module, "__all__", ())) <= set(dir(module))


@pytest.mark.sweep(of=8)
@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_signatures_and_docstrings(name: str) -> None:
    place, _, own = name.removeprefix("gradproof.client.").rpartition(".")
    module = attrgetter(place)(gp) if place else gp
    assert getattr(module, own) is FUNCTIONS[name]
    assert own in dir(module)
    hold(FUNCTIONS[name])


def hold(function: Callable[..., object]) -> None:
    """Assert that each parameter and the result have types that can be evaluated, none of which is Any."""
    assert function.__doc__
    hints = typing.get_type_hints(function)
    signature = inspect.signature(function)
    named = {"return", *signature.parameters} - {"self"}
    assert named == set(hints), signature
    assert typing.Any not in hints.values()
    assert not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()), signature


def test_no_names_are_made_up_for_checkers() -> None:
    """Only the ops of plugins are attributes that are not written out, and those checkers do not see."""
    made_up = []
    for path in sorted(CLIENT.rglob("*.py")):
        for node in visible(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
                made_up.append(f"{path.name}:{node.lineno}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
                made_up.append(f"{path.name}:{node.lineno}")
    assert made_up == []


def visible(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of modules and classes, but for bodies of functions and for what stands under ``if not TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "not TYPE_CHECKING"):
            yield child
            if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from visible(child)
