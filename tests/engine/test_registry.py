"""Plugins: refusals name plugin, hook and definition, and affect no other plugin."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench

from gradproof.engine.engine import Engine
from gradproof.engine.errors import NotFound, PluginRefused
from gradproof.engine.extend import Inferred, NamedHook, Op, Spec, case, hookimpl, ops
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN


def plugin(name: str, *definitions: Any, hooks: Sequence[Any] = (), api: Any = 1) -> Any:
    """A plugin object that registers these."""

    class Made:
        GRADPROOF_API = api
        GRADPROOF_NAME = name

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            for op in definitions:
                register(op)

        @hookimpl
        def register_hooks(self, register: Callable[[NamedHook], None]) -> None:
            for hook in hooks:
                register(hook)

    return Made()


def op(name: str, rule: Any, **rest: Any) -> Op:
    return Op(name, lambda x: x * 2, rule, lambda f, x: 2 * x, **rest)


GOOD = op("good.double", lambda g, y, x: 2 * g)


def refusal(*others: Any) -> tuple[PluginRefused, Registry]:
    """The only refusal among these and a good plugin, which must not be affected."""
    registry = build_registry(BUILTIN, others=[*others, plugin("good", GOOD)])
    assert len(registry.refused) == 1, registry.refused
    assert "good.double" in registry.ops
    assert [loaded.name for loaded in registry.plugins] == [*(loaded.name for loaded in REGISTRY.plugins), "good"]
    assert set(registry.owners) == set(registry.ops) == set(REGISTRY.ops) | {"good.double"}
    return registry.refused[0], registry


def test_a_good_plugin_is_used_like_a_built_in_one() -> None:
    registry = build_registry(BUILTIN, others=[plugin("good", GOOD, hooks=[NamedHook("good.halve", lambda g: g / 2)])])
    assert not registry.refused
    assert registry.plugin_of("good.double").name == "good"
    assert "good.halve" in registry.hooks
    assert Bench(Engine(registry)).gradients({"x": np.array(1.0)}, ["y = good.double(x)"], "y") == {"x": 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("api", [0, 2, "1", None])
def test_another_api_version_is_refused(api: Any) -> None:
    fault, _ = refusal(plugin("old", GOOD, api=api))
    assert (fault.plugin, fault.hook) == ("old", "GRADPROOF_API")
    assert "this Gradproof has plugin API 1" in str(fault)


def test_a_plugin_without_an_api_version_is_refused() -> None:
    class Bare:
        pass

    fault, _ = refusal(Bare())
    assert (fault.plugin, fault.hook) == ("Bare", "GRADPROOF_API")


def test_a_misspelt_hook_argument_is_refused() -> None:
    class Misspelt:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, registr: Any) -> None:
            raise AssertionError

    fault, _ = refusal(Misspelt())
    assert fault.plugin == "Misspelt"
    assert "registr" in fault.why


def test_a_misspelt_hook_name_is_refused() -> None:
    class Misspelt:
        GRADPROOF_API = 1

        @hookimpl
        def register_opps(self, register: Any) -> None:
            raise AssertionError

    fault, _ = refusal(Misspelt())
    assert fault.plugin == "Misspelt"
    assert "register_opps" in fault.why


def test_a_hook_that_raises_is_refused() -> None:
    class Raising:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(op("raising.half_done", lambda g, y, x: 2 * g))
            raise OSError("no such file")

    fault, registry = refusal(Raising())
    assert (fault.plugin, fault.hook) == ("Raising", "register_ops")
    assert "OSError: no such file" in fault.why
    assert "raising.half_done" not in registry.ops


@pytest.mark.parametrize("definition", [np.sin, "sin", None, NamedHook("h", lambda g: g)])
def test_what_is_not_an_op_is_refused(definition: Any) -> None:
    fault, _ = refusal(plugin("bad", definition))
    assert (fault.plugin, fault.hook, fault.why) == ("bad", "register_ops", "is not Op")


def test_what_is_not_a_named_hook_is_refused() -> None:
    fault, _ = refusal(plugin("bad", hooks=[GOOD]))
    assert (fault.plugin, fault.hook, fault.why) == ("bad", "register_hooks", "is not NamedHook")


@pytest.mark.parametrize(
    "default", [object(), np.ones(2), 1j, 2**63, (1, [object()])], ids=["object", "array", "complex", "large", "nested"]
)
def test_a_default_that_no_message_can_carry_is_refused(default: Any) -> None:
    def scaled(x: Any, *, factor: Any = default) -> Any:
        return x

    fault, _ = refusal(plugin("p", Op("p.scaled", scaled, rule=None)))
    assert "the default of factor is" in str(fault)
    fault, _ = refusal(plugin("p", hooks=[NamedHook("p.scaled", scaled)]))
    assert "the default of factor is" in str(fault)


def test_a_name_without_a_namespace_is_refused() -> None:
    fault, _ = refusal(plugin("bad", op("double", lambda g, y, x: 2 * g)))
    assert fault.definition == "'double'"
    assert "namespace.name" in fault.why


def test_a_name_that_is_taken_is_refused() -> None:
    fault, _ = refusal(plugin("twice", op("twice.a", lambda g, y, x: 2 * g), op("twice.a", lambda g, y, x: 2 * g)))
    assert (fault.definition, fault.why) == ("'twice.a'", "the name is already registered")
    registry = build_registry(BUILTIN, others=[plugin("good", GOOD), plugin("second", GOOD)])
    assert [(refused.plugin, refused.definition) for refused in registry.refused] == [("second", "'good.double'")]
    assert registry.plugin_of("good.double").name == "good"


def test_a_built_in_op_cannot_be_replaced() -> None:
    fault, registry = refusal(plugin("bad", op("multiply", lambda g, y, x: 2 * g)))
    assert fault.why == "the name is already registered"
    assert registry.plugin_of("multiply").name == "arithmetic"


def test_two_plugins_of_one_name() -> None:
    registry = build_registry(BUILTIN, others=[plugin("good", GOOD), plugin("good", op("other.x", lambda g, y, x: 2 * g))])
    assert [fault.plugin for fault in registry.refused] == ["good"]
    assert "a plugin of this name is already registered" in str(registry.refused[0])


# rules that do not trace

RULES: list[tuple[str, Callable[..., Any], str]] = [
    ("raises", lambda g, y, x: 1 / 0, "raised ZeroDivisionError"),
    ("branches on a value", lambda g, y, x: g if x > 0 else -g, r"write a branch on a value as ops.where"),
    ("asks for a float", lambda g, y, x: g * float(x), "has no values"),
    ("asks for an int", lambda g, y, x: g * int(x), "has no values"),
    ("iterates", lambda g, y, x: sum(x), "has no values"),
    ("calls NumPy", lambda g, y, x: g * np.cos(x), "raised TypeError"),
    ("makes an array", lambda g, y, x: g * np.asarray(x), "has no values"),
    ("uses a float array", lambda g, y, x: g * np.array(2.0), "not ndarray"),
    ("uses a NumPy integer", lambda g, y, x: g * np.int64(2), "not int64"),
    ("unknown op", lambda g, y, x: ops.double(g), "there is no op 'double'"),
    (
        "wrong number of inputs of an op",
        lambda g, y, x: ops.add(g),
        "add takes 2 inputs",
    ),
    ("unknown attribute", lambda g, y, x: ops.negative(g, axis=0), "has no attribute 'axis'"),
    ("too many", lambda g, y, x: (g, g), "returned 2 cotangents for 1 inputs"),
    ("none at all", lambda g, y, x: (), "returned 0 cotangents for 1 inputs"),
    ("None", lambda g, y, x: None, r"returned NoneType for input 0 \(x\)"),
    ("a number", lambda g, y, x: 2.0, r"returned float for input 0 \(x\)"),
    ("a list", lambda g, y, x: [2 * g], r"returned list for input 0 \(x\)"),
    ("a boolean", lambda g, y, x: x > 0, r"cotangent of dtype bool for input 0 \(x\); expected float64"),
    ("wrong parameters", lambda g, x: g, "raised TypeError"),
]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("rule", "text"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_a_rule_that_does_not_trace_is_refused(rule: Callable[..., Any], text: str) -> None:
    fault, _ = refusal(plugin("bad", op("bad.rule", rule)))
    assert (fault.plugin, fault.hook) == ("bad", "register_ops")
    assert fault.definition.startswith("'bad.rule' at case")
    assert re.search(text, str(fault)), fault


def test_an_op_that_does_not_trace_is_refused_without_its_neighbours_unless_they_use_it() -> None:
    mixed = plugin(
        "mixed",
        op("mixed.fine", lambda g, y, x: 2 * g),
        op("mixed.bad", lambda g, y, x: g if x > 0 else -g),
        op("mixed.user", lambda g, y, x: 2 * ops.mixed.bad(g)),
        hooks=[NamedHook("mixed.halve", lambda g: g / 2)],
    )
    registry = build_registry(BUILTIN, others=[mixed])
    assert [(fault.plugin, getattr(fault, "op", "")) for fault in registry.refused] == [
        ("mixed", "mixed.bad"),
        ("mixed", "mixed.user"),
    ]
    assert str(registry.refused[0]).startswith("op 'mixed.bad' of plugin 'mixed' refused: 'mixed.bad' at case (): ")
    assert "there is no op 'mixed.bad'" in str(registry.refused[1])
    assert registry.refused[0].public == "op 'mixed.bad' of plugin 'mixed' refused; the server's log says why"
    assert [op.name for op in registry.plugins[-1].ops] == ["mixed.fine"]
    assert "mixed.halve" in registry.hooks
    assert set(registry.ops) == set(registry.owners) == set(REGISTRY.ops) | {"mixed.fine"}


def test_an_opaque_op_that_does_not_trace_goes_with_its_companion() -> None:
    bare = Op("mixed.bare", np.sin, None, None, lambda x: Inferred((x,)), backward=lambda g, y, x: g)
    registry = build_registry(BUILTIN, others=[plugin("mixed", op("mixed.fine", lambda g, y, x: 2 * g), bare)])
    assert [str(fault) for fault in registry.refused] == [
        "op 'mixed.bare' of plugin 'mixed' refused: 'mixed.bare': has a rule, and no case to trace and prove it for"
    ]
    assert set(registry.ops) == set(registry.owners) == set(REGISTRY.ops) | {"mixed.fine"}


def test_a_cotangent_of_the_wrong_shape_is_refused() -> None:
    shaped = Op(
        "bad.sum",
        lambda x: np.sum(x, axis=-1),
        lambda g, y, x: g,
        lambda f, i, x: f.total(x[(*i, k)] for k in range(x.shape[-1])),
        lambda x: Inferred((Spec(x.shape[:-1], x.dtype),)),
        (case((2, 3)),),
    )
    fault, _ = refusal(plugin("bad", shaped))
    assert fault.definition == "'bad.sum' at case (2, 3)"
    assert "returned a cotangent of shape (2,) for input 0 (x); expected (2, 3)" in fault.why


def test_a_rule_without_a_case_to_trace_it_for_is_refused() -> None:
    fault, _ = refusal(plugin("bad", op("bad.bare", lambda g, y, x: None, infer=lambda x: Inferred((x,)))))
    assert (fault.definition, fault.why) == ("'bad.bare'", "has a rule, and no case to trace and prove it for")


def test_an_infer_that_raises_is_refused() -> None:
    def infer(x: Any) -> Any:
        return x.colour

    fault, _ = refusal(plugin("bad", op("bad.infer", lambda g, y, x: g, infer=infer, cases=(case((2,)),))))
    assert fault.definition == "'bad.infer' at case (2)"
    assert "AttributeError" in fault.why


def test_a_cotangent_for_an_integer_input_is_refused() -> None:
    take = Op(
        "bad.take",
        lambda x, k: np.take(x, k),
        lambda g, y, x, k: (x * 0, k),
        lambda f, i, x, k: x[(int(k[i]),)],
        lambda x, k: Inferred((Spec(k.shape, x.dtype),)),
        (case((3,), np.array([1, 2])),),
    )
    fault, _ = refusal(plugin("bad", take))
    assert "whose dtype int64 has none; return NO_GRADIENT" in fault.why


def test_a_value_kept_from_another_trace_is_refused() -> None:
    """A rule that remembers: its second trace would return the number of a value of the first."""
    kept: list[Any] = []

    def returned(g: Any, y: Any, x: Any) -> Any:
        kept.append(g)
        return 2 * kept[0]

    def used(g: Any, y: Any, x: Any) -> Any:
        return g + returned(g, y, x)

    for rule, text in ((returned, "returned a value of another trace for input 0 (x)"), (used, "another trace was used")):
        kept.clear()
        fault, _ = refusal(plugin("bad", op("bad.leak", rule, cases=(case((2,)), case((2,))))))
        assert text in fault.why


def test_ops_outside_a_rule_say_so() -> None:
    with pytest.raises(RuntimeError, match="there is none"):
        ops.sin(1)


def test_a_refused_plugin_takes_with_it_one_that_depends_on_it() -> None:
    broken = plugin("broken", op("broken.base", lambda g, y, x: None))
    user = plugin("user", op("user.op", lambda g, y, x: g * 2 + 0 * ops.broken.base(x)))
    registry = build_registry(BUILTIN, others=[user, broken, plugin("good", GOOD)])
    assert {fault.plugin for fault in registry.refused} == {"broken", "user"}
    assert "there is no op 'broken.base'" in str(next(fault for fault in registry.refused if fault.plugin == "user"))
    assert [loaded.name for loaded in registry.plugins] == [*(loaded.name for loaded in REGISTRY.plugins), "good"]


def test_a_rule_may_use_an_op_of_a_later_plugin() -> None:
    user = plugin("user", op("user.op", lambda g, y, x: ops.good.double(g)))
    assert not build_registry(BUILTIN, others=[user, plugin("good", GOOD)]).refused


def test_a_plugin_that_does_not_import_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name, dist = "gone", None

        def load(self) -> Any:
            raise ImportError("No module named 'gone'")

    monkeypatch.setattr("gradproof.engine.registry.installed_entry_points", lambda group: [Entry()])
    registry = build_registry(BUILTIN, entry_points=True)
    assert [(fault.plugin, fault.hook) for fault in registry.refused] == [("gone", "import")]
    assert not build_registry(BUILTIN, entry_points=True, blocked=["gone"]).refused


def test_an_installed_plugin_is_registered_under_its_entry_points_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Distribution:
        version = "3.1"

    class Entry:
        name, dist = "installed", Distribution

        def load(self) -> Any:
            return plugin("ignored", GOOD)

    monkeypatch.setattr("gradproof.engine.registry.installed_entry_points", lambda group: [Entry()])
    installed_plugin = build_registry(BUILTIN, entry_points=True).plugin_of("good.double")
    assert (installed_plugin.name, installed_plugin.version) == ("installed", "3.1")


def test_blocked_plugins_are_left_out() -> None:
    registry = build_registry(BUILTIN, others=[plugin("good", GOOD)], blocked=["good"])
    assert "good.double" not in registry.ops
    assert not registry.refused
    assert registry.blocked == ("good",)


def test_a_built_in_plugin_may_be_blocked() -> None:
    registry = build_registry(BUILTIN, blocked=["gradient_hooks"])
    assert not registry.hooks
    assert "matmul" in registry.ops


def test_every_built_in_rule_traces() -> None:
    """They are not traced when a registry is built."""
    for built_in in REGISTRY.ops.values():
        for each in built_in.declared_cases() if built_in.differentiable or built_in.composite else ():
            REGISTRY.rule_of(built_in, each)


@pytest.mark.parametrize(
    "bad",
    [plugin("bad", op("x", lambda g, y, x: g), op("x", lambda g, y, x: g)), plugin("bad", GOOD, api=9), plugin("bad", 1)],
)
def test_a_built_in_plugin_at_fault_raises(bad: Any) -> None:
    with pytest.raises(PluginRefused, match="plugin 'bad' refused"):
        build_registry([*BUILTIN, bad])


def test_registries_do_not_share_anything() -> None:
    first = build_registry(BUILTIN, others=[plugin("good", GOOD)])
    second = build_registry(BUILTIN)
    assert "good.double" in first.ops
    assert "good.double" not in second.ops


def test_a_name_that_is_not_there() -> None:
    for ask in (REGISTRY.op, REGISTRY.plugin_of):
        with pytest.raises(NotFound, match="no op 'hankel' here"):
            ask("hankel")


def test_every_built_in_op_and_hook_says_what_it_is() -> None:
    assert all(hook.doc for hook in REGISTRY.hooks.values())
    for declared in REGISTRY.ops.values():
        assert declared.doc
        assert declared.define or declared.composite
        assert declared.differentiable or declared.elementwise or declared.cases
        assert not declared.differentiable or declared.proof_cases()
