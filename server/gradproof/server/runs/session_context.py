"""The context of a session: its client's hooks and its saved values."""

from __future__ import annotations

from dataclasses import dataclass

from gradproof.engine.engine import Forward
from gradproof.server.runs.client_hooks import ClientHooks
from gradproof.server.runs.forward_cache import ForwardCache


@dataclass
class SessionContext:
    """``hooks``: the hook calls that the client has to answer; ``forward_cache``: where this session is ``owner``."""

    hooks: ClientHooks
    forward_cache: ForwardCache
    owner: int
    closed: bool = False

    def save(self, name: str, forward: Forward) -> int:
        """Save values as ``name``; their bytes, or 0 if there is no room for so much, or the session is over."""
        return 0 if self.closed else self.forward_cache.put(self.owner, name, forward)

    def saved(self, name: str) -> Forward:
        """The values saved as ``name``. Raises NotFound."""
        return self.forward_cache.get(self.owner, name)

    def release(self, name: str) -> None:
        """Free the values saved as ``name``, if there are any."""
        self.forward_cache.release(self.owner, name)

    def close(self) -> None:
        """End the session: open hook calls fail, and all its saved values are freed."""
        self.closed = True
        self.hooks.end()
        self.forward_cache.release(self.owner)
