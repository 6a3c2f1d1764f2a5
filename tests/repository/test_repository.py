"""The repository itself: stubs that are what the contract says, packages that fit together, nothing left untested."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest
from tests.conftest import REGISTRY

from gradproof.v1 import autodiff_service_pb2, op_service_pb2, operations_service_pb2

ROOT = Path(__file__).parents[2]
TOPS = [ROOT / top for top in ("proto", "engine", "server", "plugins", "clients/python")]
MODULES = [
    path
    for top in TOPS
    for path in sorted((top / "gradproof").rglob("*.py"))
    if not path.name.partition(".")[0].count("_pb2")
]
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
SERVICES = [
    *autodiff_service_pb2.DESCRIPTOR.services_by_name.values(),
    *op_service_pb2.DESCRIPTOR.services_by_name.values(),
    *operations_service_pb2.DESCRIPTOR.services_by_name.values(),
]


def stubs(top: Path) -> dict[str, bytes]:
    found = [*top.glob("gradproof/v1/*_pb2*.py"), *top.glob("gradproof/v1/*_pb2*.pyi")]
    return {str(path.relative_to(top)): path.read_bytes() for path in found}


@pytest.mark.slow
def test_the_committed_stubs_are_those_of_the_contract(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "proto" / "generate.py"))["generate"](tmp_path)
    fresh, committed = stubs(tmp_path), stubs(ROOT / "proto")
    assert sorted(fresh) == sorted(committed)
    assert [name for name in fresh if fresh[name] != committed[name]] == [], "run `make proto`"


@pytest.mark.parametrize("top", TOPS, ids=lambda path: path.name)
def test_gradproof_is_a_namespace_that_no_package_owns(top: Path) -> None:
    assert (top / "gradproof").is_dir()
    assert not (top / "gradproof" / "__init__.py").exists()


@pytest.mark.slow
def test_every_module_says_what_it_is_for() -> None:
    assert len(MODULES) > 40
    silent = [str(path.relative_to(ROOT)) for path in MODULES if not ast.get_docstring(ast.parse(path.read_bytes()))]
    assert silent == []


def test_every_public_class_and_function_of_the_client_has_a_docstring() -> None:
    silent = []
    for path in MODULES:
        if path.is_relative_to(ROOT / "clients"):
            for item in ast.parse(path.read_bytes()).body:
                if isinstance(item, (ast.ClassDef, ast.FunctionDef)) and not item.name.startswith("_"):
                    overload = any(ast.unparse(decorator) == "overload" for decorator in item.decorator_list)
                    silent += [] if overload or ast.get_docstring(item) else [f"{path.name}: {item.name}"]
    assert silent == []


def test_every_op_is_tested_by_the_tests_that_run_over_all_of_them() -> None:
    """The forward, the gradients and the proofs are parametrized over this registry, so an op cannot be left out."""
    for name in ("plugins/test_forward.py", "plugins/test_gradients.py", "verify/proof/test_proof.py"):
        assert "REGISTRY.ops" in (ROOT / "tests" / name).read_text(encoding="utf-8"), name
    assert len(REGISTRY.ops) >= 60


@pytest.mark.parametrize("hook", REGISTRY.hooks)
def test_every_hook_is_named_in_a_test(hook: str) -> None:
    assert f'"{hook}"' in TESTS


@pytest.mark.parametrize("call", [f"{one.name}.{method.name}" for one in SERVICES for method in one.methods])
def test_every_call_is_made_in_a_test(call: str) -> None:
    service, _, method = call.partition(".")
    stub = {"AutodiffService": "autodiff", "OpService": "ops", "OperationsService": "operations"}[service]
    assert f"served.{stub}.{method}" in TESTS


def test_the_makefile_sets_nothing_that_the_server_reads_as_a_setting() -> None:
    """Settings refuse names that they do not know, so numbers of `make check` have a prefix of their own."""
    assert "GRADPROOF_" not in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_there_are_as_many_ops_as_are_promised() -> None:
    assert len(REGISTRY.ops) >= 240
