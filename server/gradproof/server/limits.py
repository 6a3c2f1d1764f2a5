"""The limits of a server: stated in GetServerInfo, each checked before the work it bounds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gradproof.engine.errors import LimitExceeded


class Limits(BaseModel):
    """Counts, bytes and times. A limit that is passed ends the request with RESOURCE_EXHAUSTED and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message_bytes: int = Field(4 << 20, ge=1, description="bytes of a message that is not in chunks")
    graph_nodes: int = Field(100_000, ge=0, description="nodes of a graph, or of a derived one")
    hooks: int = Field(1_000, ge=0, description="hooks of a request")
    name_bytes: int = Field(256, ge=1, description="bytes of a name")
    tensor_elements: int = Field(1 << 27, ge=0, description="elements of a tensor, sent or computed")
    estimated_bytes: int = Field(2 << 30, ge=0, description="bytes that a run will allocate, estimated from shapes")
    session_upload_bytes: int = Field(256 << 20, ge=0, description="bytes of a session's uploads that no request used yet")
    runs_in_flight: int = Field(64, ge=1, description="requests that run or are checked at the same time")
    verify_budget_ms: int = Field(60_000, ge=0, description="milliseconds that a request may ask for its checks")
    hook_timeout_ms: int = Field(60_000, ge=1, description="milliseconds that a client may take for a hook")
    kept_bytes: int = Field(512 << 20, ge=0, description="bytes of kept values, of all sessions")
    kept_runs: int = Field(256, ge=0, description="kept runs, of all sessions")
    kept_seconds: int = Field(600, ge=0, description="seconds after which kept values that nobody used are freed")
    explain_elements: int = Field(256, ge=0, description="elements of a graph whose formulas are written")
    explain_ms: int = Field(10_000, ge=0, description="milliseconds that formulas may take")

    def check(self, name: str, actual: int) -> None:
        """Raises LimitExceeded if ``actual`` is above the limit called ``name``."""
        limit = getattr(self, name)
        if actual > limit:
            raise LimitExceeded(name, actual, limit)

    def table(self) -> dict[str, int]:
        """All limits by name."""
        return self.model_dump()
