"""Exceptions of the engine.

    GradproofError
    ├── InvalidRequest        a fault in graph, values, seeds or hooks; carries *all* faults
    ├── NotFound              an op, digest or upload that this engine does not know
    ├── LimitExceeded         a stated limit was passed; says by how much
    ├── Cancelled             no caller waits for the answer any more
    ├── PluginRefused         a plugin that may not be registered; says plugin, hook and definition
    │   ├── OpRefused         an op that may not be registered; the rest of its plugin stays
    │   └── KernelRefused     a kernel that may not be used; the rest of its plugin stays
    └── RunFault              a node or hook failed while running
        ├── DataFault         an op is not defined for the values of its inputs
        ├── ForwardFault      an op's forward raised, or returned another shape or dtype than inferred
        ├── RuleFault         a backward rule raised, or returned no cotangent of its input
        │   └── NoRule        a gradient is to flow through an op without a rule
        └── HookFault         a hook raised, or changed shape, dtype or type

The engine raises these and knows nothing of gRPC; the server maps each leaf to a status, in a single table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

MOST_CHARACTERS = 1000  # of the text of a plugin's error


@dataclass(frozen=True)
class Violation:
    """A fault of a request: its place (a proto path such as ``graph.nodes[3].inputs[1]``), a message, and a
    stable UPPER_SNAKE reason that programs can test."""

    path: str
    message: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class GradproofError(Exception):
    """Root of all exceptions that Gradproof raises on purpose. ``str()`` is the sentence that a user is shown."""

    reason = "GRADPROOF_ERROR"


class InvalidRequest(GradproofError):
    """The request has faults; nothing was run."""

    reason = "INVALID_REQUEST"

    def __init__(self, faults: Sequence[Violation]) -> None:
        self.faults = tuple(faults)
        shown = "\n".join(f"  {fault}" for fault in self.faults[:20])
        more = f"\n  ... and {len(self.faults) - 20} more" if len(self.faults) > 20 else ""
        super().__init__(f"the request has {len(self.faults)} fault{'s' * (len(self.faults) != 1)}:\n{shown}{more}")


class NotFound(GradproofError):
    """The ``kind`` (op, graph digest, upload) named ``name`` is not known here; ``hint`` says what to do."""

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        self.kind, self.name = kind, name
        self.reason = f"{kind.upper().replace(' ', '_')}_NOT_FOUND"
        super().__init__(f"no {kind} {name!r} here" + (f"; {hint}" if hint else ""))


class LimitExceeded(GradproofError):
    """The number ``actual`` is above the limit called ``name``; ``hint`` says what to do; ``others`` are limits that
    were passed as well: name, actual, limit."""

    reason = "LIMIT_EXCEEDED"

    def __init__(
        self, name: str, actual: float, limit: float, hint: str = "", others: Sequence[tuple[str, float, float]] = ()
    ) -> None:
        self.name, self.actual, self.limit, self.others = name, actual, limit, tuple(others)
        every = "; ".join(f"{limit_name} is {count}, and the limit is {most}" for limit_name, count, most in self.passed)
        super().__init__(every + (f": {hint}" if hint else ""))

    @property
    def passed(self) -> tuple[tuple[str, float, float], ...]:
        """Every limit that was passed: name, actual, limit."""
        return ((self.name, self.actual, self.limit), *self.others)


class Cancelled(GradproofError):
    """No caller waits for the answer any more: the client left or cancelled, or its time is over."""

    reason = "CANCELLED"

    def __init__(self) -> None:
        super().__init__("the call was cancelled, or its time is over")


class PluginRefused(GradproofError):
    """Plugin ``plugin`` may not be registered, because of the ``definition`` that its hook ``hook`` registered. ``public``
    says all but the reason, which may be the text of an exception about the server's inside."""

    reason = "PLUGIN_REFUSED"

    def __init__(self, plugin: str, hook: str, definition: str, why: str) -> None:
        self.plugin, self.hook, self.definition, self.why = plugin, hook, definition, why
        place = f"{hook}, {definition}" if definition else hook
        self.public = f"plugin {plugin!r} refused: {place}; the server's log says why"
        super().__init__(f"plugin {plugin!r} refused: {place}: {why}")


class OpRefused(PluginRefused):
    """The op ``op`` of plugin ``plugin`` is not registered. The rest of the plugin stays."""

    reason = "OP_REFUSED"

    def __init__(self, plugin: str, op: str, definition: str, why: str) -> None:
        super().__init__(plugin, "register_ops", definition, why)
        self.op = op
        self.public = f"op {op!r} of plugin {plugin!r} refused; the server's log says why"
        self.args = (f"op {op!r} of plugin {plugin!r} refused: {definition}: {why}",)


class KernelRefused(PluginRefused):
    """A kernel of plugin ``plugin`` is not used, because of ``why``, which names kernel, op, dtype and point. The rest of
    the plugin stays."""

    reason = "KERNEL_REFUSED"

    def __init__(self, plugin: str, kernel: str, why: str) -> None:
        super().__init__(plugin, "register_kernels", repr(kernel), why)
        self.public = f"a kernel of plugin {plugin!r} is not used: {kernel!r}; the server's log says why"
        self.args = (f"a kernel of plugin {plugin!r} is not used: {why}",)


class RunFault(GradproofError):
    """A fault at a place of a running graph: ``node`` (an index of ``graph.nodes``, or None), op, plugin; and
    ``element`` of its result or input, where it is known.

    ``raised``: the exception of a plugin's code, whose type is ``kind``. ``public`` says all but its text, which is for
    those who may read the inside of a server; ``incident`` is the name under which the server's log has it.
    """

    reason = "RUN_FAULT"

    def __init__(
        self,
        message: str,
        *,
        node: int | None = None,
        op: str = "",
        plugin: str = "",
        value: str = "",
        element: str = "",
        raised: BaseException | None = None,
    ) -> None:
        self.node, self.op, self.plugin, self.value, self.element = node, op, plugin, value, element
        self.raised, self.kind = raised, "" if raised is None else type(raised).__name__
        self.incident = ""
        self.bare = message if raised is None else f"{message} raised {self.kind}"
        place = f"graph.nodes[{node}] ({op}, plugin {plugin}): " if node is not None else ""
        self.public = place + self.bare
        super().__init__(self.public if raised is None else f"{self.public}: {text_of(raised)}")

    def at(self, node: int | None) -> Self:
        """The same fault at a node."""
        return type(self)(
            self.bare if self.raised is None else self.bare.removesuffix(f" raised {self.kind}"),
            node=node,
            op=self.op,
            plugin=self.plugin,
            value=self.value,
            element=self.element,
            raised=self.raised,
        )


class DataFault(RunFault):
    """Values that an op is not defined for: an index out of range, a singular matrix, an integer divided by 0.

    An op's forward raises it with a message, and the ``element`` if it is known, such as ``[0, 3]``; the engine adds the
    place.
    """

    reason = "DATA_FAULT"


class BadResult(TypeError):
    """The result of a forward does not have the inferred shape, dtype or number; the text is the engine's."""


class ForwardFault(RunFault):
    """An op's forward raised, or its result has another shape or dtype than was inferred."""

    reason = "FORWARD_FAULT"


class RuleFault(RunFault):
    """A backward rule raised, or did not return a cotangent of shape and dtype of each input."""

    reason = "RULE_FAULT"


class NoRule(RuleFault):
    """A gradient is to flow through an op that has no backward rule."""

    reason = "NO_RULE"


class HookFault(RunFault):
    """A hook raised, or changed the size or the type of the gradient."""

    reason = "HOOK_FAULT"


def text_of(error: BaseException) -> str:
    """The text of an error, shortened."""
    try:
        text = str(error)
    except BaseException:  # __str__ of a plugin's exception may raise too
        text = ""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."
