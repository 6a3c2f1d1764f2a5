"""The limits of a server: stated in GetServerInfo, each checked before the work it bounds."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gradproof.engine.errors import LimitExceeded


@dataclass(frozen=True)
class Limits:
    """Counts and bytes. A limit that is passed ends the request with RESOURCE_EXHAUSTED and its name."""

    message_bytes: int = 4 << 20
    graph_nodes: int = 100_000
    hooks: int = 1_000
    name_bytes: int = 256
    tensor_elements: int = 1 << 27
    estimated_bytes: int = 2 << 30
    session_upload_bytes: int = 256 << 20
    runs_in_flight: int = 64
    verify_budget_ms: int = 60_000
    hook_timeout_ms: int = 60_000
    kept_bytes: int = 512 << 20
    kept_runs: int = 256
    kept_seconds: int = 600
    explain_elements: int = 256
    explain_ms: int = 10_000

    def check(self, name: str, actual: int) -> None:
        """Raises LimitExceeded if ``actual`` is above the limit called ``name``."""
        limit = getattr(self, name)
        if actual > limit:
            raise LimitExceeded(name, actual, limit)

    def table(self) -> dict[str, int]:
        """All limits by name."""
        return dict(asdict(self))
