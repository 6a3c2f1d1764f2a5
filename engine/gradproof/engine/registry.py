"""Registry of ops, named hooks and kernels, built from plugins through pluggy. Each engine has a manager; nothing loads at
import."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points as installed_entry_points
from types import ModuleType
from typing import Any

import pluggy

from gradproof.engine import hookspecs
from gradproof.engine.attributes import Attributes, can_be_sent
from gradproof.engine.cases import Case
from gradproof.engine.composite import Composite
from gradproof.engine.errors import KernelRefused, NotFound, OpRefused, PluginRefused, RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.kernels import Kernel, Kernels, acceptance
from gradproof.engine.lru import LRUCache
from gradproof.engine.named_hook import NamedHook
from gradproof.engine.op import REQUIRED, Op
from gradproof.engine.opaque import with_vjp_companion
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.rules import trace_rule
from gradproof.engine.sealed import Ledger, sealed
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Program

ENTRY_POINT_GROUP = "gradproof"
MAX_TRACED = 20_000  # rules that are kept, whole and pruned


@dataclass
class Plugin:
    """A registered plugin, its ops, its hooks and its kernels. ``source`` is the import path (``module`` or
    ``module:attribute``) by which another process can load it again, or empty; ``builtin``: it is part of Gradproof."""

    name: str
    version: str
    source: str
    builtin: bool = False
    ops: list[Op] = field(default_factory=list)
    hooks: list[NamedHook] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)


@dataclass
class Registry:
    """Ops and named hooks by name, the kernels in use, the plugins that they are from, and the plugins and kernels that
    were refused. ``manager`` calls the hooks that are called more than once (`hookspecs.authenticate`)."""

    ops: dict[str, Op] = field(default_factory=dict)
    hooks: dict[str, NamedHook] = field(default_factory=dict)
    kernels: Kernels = field(default_factory=Kernels)
    plugins: list[Plugin] = field(default_factory=list)
    owners: dict[str, Plugin] = field(default_factory=dict)
    refused: list[PluginRefused] = field(default_factory=list)
    blocked: tuple[str, ...] = ()
    traced: LRUCache[Hashable, Program] = field(default_factory=lambda: LRUCache(MAX_TRACED), repr=False, compare=False)
    manager: pluggy.PluginManager = field(default_factory=lambda: _manager(), repr=False, compare=False)

    def op(self, name: str) -> Op:
        """The op called ``name``. Raises NotFound."""
        try:
            return self.ops[name]
        except KeyError:
            raise NotFound("op", name) from None

    def plugin_of(self, op: str) -> Plugin:
        """The plugin that registered the op called ``op``. Raises NotFound."""
        try:
            return self.owners[op]
        except KeyError:
            raise NotFound("op", op) from None

    def rule_of(self, op: Op, case: Case, dtype: Any = None) -> Program:
        """The traced rule of ``op`` for the specs of ``case``, in its dtype or in ``dtype``; of a composite its expansion.
        Free attributes are sealed numbers in it: RuleFault, caused by `ValueRequested`, where the rule asks
        for the value of any."""
        if isinstance(op, Composite):
            return op.expand(case.specs(dtype), case.attributes)
        inferred = op.inference(case.specs(dtype), case.attributes)
        inputs = inferred.inputs or case.specs(dtype)
        attributes = {**inferred.attributes, **sealed(case.free, Ledger())}
        return trace_rule(self.ops, op, inputs, inferred.outputs, attributes, self.plugin_of(op.name).name)


def traced_rule(
    registry: Registry, op: Op, inputs: Sequence[Spec], outputs: Sequence[Spec], attributes: Attributes
) -> Program:
    """The rule of ``op`` for these specs, traced once and kept with the registry: the same program is run and checked."""
    key = (op.name, tuple(inputs), tuple(outputs), repr(attributes))
    rule = registry.traced.get(key)
    if rule is None:
        rule = trace_rule(registry.ops, op, inputs, outputs, attributes, registry.plugin_of(op.name).name)
        registry.traced.put(key, rule)
    return rule


def build_registry(
    builtin: Sequence[Any],
    *,
    others: Sequence[Any] = (),
    entry_points: bool = False,
    blocked: Sequence[str] = (),
    allowed: Collection[str] | None = None,
    kernels: bool = True,
) -> Registry:
    """Register ``builtin`` plugins, then ``others``, then (if asked) the plugins installed under the entry-point group
    ``gradproof``, except the names in ``blocked``; then trace every rule of the others on all its cases. With
    ``allowed``, installed plugins of other names are refused, and not even imported. At last the kernels of all plugins
    are measured, and used where they are right; without ``kernels`` none is used.

    A built-in plugin at fault raises PluginRefused; any other is left out and listed in ``refused``. Built-in rules are
    traced when they are used, which makes a server start sooner.
    """
    registry = Registry(blocked=tuple(blocked))
    manager = registry.manager
    for plugin in builtin:
        if plugin_name(plugin) not in blocked:
            _register(manager, registry, plugin, plugin_name(plugin), strict=True)
    loaders: list[tuple[str, str, Callable[[], Any]]] = [
        (plugin_name(other), "", partial(_same, other)) for other in others
    ]
    if entry_points:
        for entry in installed_entry_points(group=ENTRY_POINT_GROUP):
            if allowed is not None and entry.name not in allowed and entry.name not in blocked:
                why = "is not on the list of allowed plugins, and was not imported"
                registry.refused.append(PluginRefused(entry.name, "import", "", why))
                continue
            loaders.append((entry.name, entry.dist.version if entry.dist else "", entry.load))
    for name, version, load in loaders:
        if name in blocked:
            continue
        try:
            try:
                plugin = load()
            except BaseException as error:
                reraise_own(error)
                raise PluginRefused(name, "import", "", describe(error)) from error
            _register(manager, registry, plugin, name, strict=False, version=version)
        except PluginRefused as refusal:
            registry.refused.append(refusal)
    _trace_plugins(registry)
    if kernels:
        _accept_kernels(registry)
    return registry


def installed() -> list[str]:
    """The names of installed plugins, none of which is imported."""
    return sorted({entry.name for entry in installed_entry_points(group=ENTRY_POINT_GROUP)})


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("gradproof")
    manager.add_hookspecs(hookspecs)
    return manager


def _same(plugin: Any) -> Any:
    return plugin


def plugin_name(plugin: Any) -> str:
    """Name of a plugin: its ``GRADPROOF_NAME``, or the last part of its module's name, or its class's name."""
    own_name = getattr(plugin, "GRADPROOF_NAME", None)
    if own_name:
        return str(own_name)
    if isinstance(plugin, ModuleType):
        return plugin.__name__.rpartition(".")[2]
    return getattr(plugin, "__name__", type(plugin).__name__)


def _source(plugin: Any) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    qualified = getattr(plugin, "__qualname__", type(plugin).__qualname__)
    return "" if "<locals>" in qualified else f"{getattr(plugin, '__module__', type(plugin).__module__)}:{qualified}"


def _register(
    manager: pluggy.PluginManager, registry: Registry, plugin: Any, name: str, *, strict: bool, version: str = ""
) -> None:
    api = getattr(plugin, "GRADPROOF_API", None)
    if api != hookspecs.API_VERSION:
        raise PluginRefused(name, "GRADPROOF_API", "", f"is {api!r}; this Gradproof has plugin API {hookspecs.API_VERSION}")
    if any(known.name == name for known in registry.plugins):
        raise PluginRefused(name, "register", "", "a plugin of this name is already registered")
    record = Plugin(name, version or str(getattr(plugin, "__version__", "")), _source(plugin), builtin=strict)
    hook = "register"
    try:
        manager.register(plugin, name)
        manager.check_pending()
        present = [known for known in manager.get_plugins() if known is not plugin]
        hook = "register_ops"
        manager.subset_hook_caller(hook, present)(register=_collector(record, record.ops, Op, registry.ops, hook, strict))
        hook = "register_hooks"
        manager.subset_hook_caller(hook, present)(
            register=_collector(record, record.hooks, NamedHook, registry.hooks, hook, strict)
        )
        hook = "register_kernels"
        manager.subset_hook_caller(hook, present)(register=partial(_collect_kernel, record))
    except BaseException as error:
        reraise_own(error)
        if manager.get_plugin(name) is not None:
            manager.unregister(name=name)
        if isinstance(error, PluginRefused):
            raise
        why = str(error) if isinstance(error, pluggy.PluginValidationError) else describe(error)
        raise PluginRefused(name, hook, "", why) from error
    registry.plugins.append(record)
    registry.ops.update((op.name, op) for op in record.ops)
    registry.owners.update((op.name, record) for op in record.ops)
    registry.hooks.update((hook.name, hook) for hook in record.hooks)


def _collector(
    plugin: Plugin, into: list[Any], kind: type[Op] | type[NamedHook], taken: Mapping[str, Any], hook: str, builtin: bool
) -> Callable[[Any], None]:
    """The ``register`` callback handed to a plugin's hook: checks each definition as it comes."""

    def register(definition: Any) -> None:
        if not isinstance(definition, kind):
            raise PluginRefused(plugin.name, hook, repr(definition), f"is not {kind.__name__}")
        parts: tuple[Op | NamedHook, ...] = (definition,)
        if isinstance(definition, Op) and definition.backward is not None:
            if definition.rule is not None:
                why = "has both a rule and a backward"
                raise PluginRefused(plugin.name, hook, repr(definition.name), why)
            parts = with_vjp_companion(definition)
        for part in parts:
            if part.name in taken or any(known.name == part.name for known in into):
                raise PluginRefused(plugin.name, hook, repr(part.name), "the name is already registered")
            if kind is Op and not builtin and "." not in part.name:
                raise PluginRefused(plugin.name, hook, repr(part.name), "a third-party op is named 'namespace.name'")
            for name, value in part.attributes.items():
                if value is not REQUIRED and not can_be_sent(value):
                    why = f"the default of {name} is {type(value).__name__}: not None, bool, int, float, text or a list"
                    raise PluginRefused(plugin.name, hook, repr(part.name), why)
            into.append(part.over(taken) if isinstance(part, Composite) else part)

    return register


def _collect_kernel(plugin: Plugin, kernel: Any) -> None:
    """The ``register`` callback for kernels, which are measured when all ops are known."""
    if not isinstance(kernel, Kernel):
        raise PluginRefused(plugin.name, "register_kernels", repr(kernel), "is not Kernel")
    plugin.kernels.append(kernel)


def _accept_kernels(registry: Registry) -> None:
    """Use the kernels that are right, the first for an op and dtype; any other is refused by itself."""
    for plugin in registry.plugins:
        for kernel in plugin.kernels:
            for dtype in kernel.dtypes:
                try:
                    op = registry.op(kernel.op)
                    first = registry.kernels.table.get((kernel.op, dtype))
                    if first is not None:
                        why = f"kernel {first.kernel.name!r} of plugin {first.plugin!r} is in use for it"
                        raise acceptance.KernelFault(f"kernel {kernel.name!r} of op {kernel.op!r} in {dtype}: {why}")
                    registry.kernels.add(acceptance.HERE.accept(kernel, plugin.name, op, dtype))
                except NotFound:
                    why = f"kernel {kernel.name!r}: there is no op {kernel.op!r}"
                    registry.refused.append(KernelRefused(plugin.name, kernel.name, why))
                    break
                except acceptance.KernelFault as fault:
                    registry.refused.append(KernelRefused(plugin.name, kernel.name, str(fault)))


def _trace_plugins(registry: Registry) -> None:
    """Trace every rule of other plugins than built-in ones on every case. An op whose rule does not trace is taken out, and
    the rest is traced again, since a rule may use another op; a plugin that is left with nothing is refused."""
    while True:
        foreign = [plugin for plugin in registry.plugins if not plugin.builtin]
        found = next(((plugin, *fault) for plugin in foreign if (fault := _trace_fault(registry, plugin))), None)
        if found is None:
            return
        plugin, gone, place, why = found
        names = {gone.name, f"{gone.name}_vjp"} if gone.backward is not None else {gone.name}
        plugin.ops[:] = [op for op in plugin.ops if op.name not in names]
        for name in names:
            del registry.ops[name], registry.owners[name]
        if plugin.ops or plugin.hooks:
            registry.refused.append(OpRefused(plugin.name, gone.name, place, why))
        else:
            registry.refused.append(PluginRefused(plugin.name, "register_ops", place, why))
            registry.plugins.remove(plugin)
            registry.manager.unregister(name=plugin.name)
        for op in registry.ops.values():
            if isinstance(op, Composite):  # which may be made of an op that is gone
                op.expansions.clear()


def _trace_fault(registry: Registry, plugin: Plugin) -> tuple[Op, str, str] | None:
    """An op of a plugin whose rule does not trace, with the place and the reason, or None."""
    for op in plugin.ops:
        place = repr(op.name)
        try:
            cases = op.declared_cases()
        except BaseException as error:
            why = f"its cases cannot be listed: {describe(reraise_own(error))}"
            return op, place, why
        composite = isinstance(op, Composite)
        if not cases and op.differentiable:
            return op, place, "has a rule, and no case to trace and prove it for"
        for case in cases if composite or op.differentiable else ():
            try:
                registry.rule_of(op, case)
            except (RuleFault, InferenceError) as error:
                return op, f"{place} at case {case}", str(error)
        if composite and not (op.cases or op.elementwise):
            why = "is a composite that is not elementwise, and has no case to prove its parts for"
            return op, place, why
    return None
