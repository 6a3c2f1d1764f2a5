"""The desk of a session: what a stream in both directions can do for a run, and a single call cannot."""

from __future__ import annotations

from dataclasses import dataclass

from gradproof.engine.engine import Forward
from gradproof.server.runs.client_hooks import ClientHooks
from gradproof.server.runs.forward_cache import ForwardCache


@dataclass
class SessionContext:
    """``hooks``: a client that answers; ``runs``: a place for kept values, where this session is ``owner``."""

    hooks: ClientHooks
    runs: ForwardCache
    owner: int
    closed: bool = False

    def keep(self, name: str, forward: Forward) -> int:
        """Keep values as ``name``; their bytes, or 0 if there is no room for so much, or the session is over."""
        return 0 if self.closed else self.runs.put(self.owner, name, forward)

    def kept(self, name: str) -> Forward:
        """The values kept as ``name``. Raises NotFound."""
        return self.runs.get(self.owner, name)

    def release(self, name: str) -> None:
        """Free what is kept as ``name``, if anything is."""
        self.runs.release(self.owner, name)

    def close(self) -> None:
        """The session is over: nobody answers any more, and all that it kept is freed."""
        self.closed = True
        self.hooks.end()
        self.runs.release(self.owner)
