"""Named hook: a gradient hook that a plugin registers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradproof.engine.attributes import Attributes
from gradproof.engine.spec import Array


@dataclass(frozen=True)
class NamedHook:
    """A hook that a plugin registers and a client names. ``apply(gradient, **attributes)`` gets a read-only array and
    returns an array of the same shape and dtype, or None to leave the gradient as it is. It must be pure. ``check``, called
    with all attributes before anything runs, returns the text of their fault, or None."""

    name: str
    apply: Callable[..., Array | None]
    doc: str = ""
    check: Callable[..., str | None] | None = None

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Names and defaults of the attributes (``inspect.Parameter.empty`` where there is none)."""
        parameters = inspect.signature(self.apply).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def attribute_fault(self, attributes: Attributes) -> str | None:
        """The text of the fault of ``attributes``, or None."""
        known = self.attributes
        unknown = sorted(set(attributes) - set(known))
        missing = [name for name, default in known.items() if default is inspect.Parameter.empty and name not in attributes]
        if unknown:
            return f"hook {self.name!r} has no attribute {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        if missing:
            return f"hook {self.name!r} needs the attribute {missing[0]!r}"
        fault = self.check(**{**known, **attributes}) if self.check else None
        return f"hook {self.name!r}: {fault}" if fault else None
