"""The limits of a server: stated in GetServerInfo, each checked before the work it bounds."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from gradproof.engine.errors import LimitExceeded
from gradproof.engine.spec import MAX_RANK


class Limits(BaseModel):
    """Counts, bytes and seconds. A limit that is passed ends the request with RESOURCE_EXHAUSTED and the limit's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message_bytes: int = Field(4 << 20, ge=1, description="bytes of a message that is not in chunks")
    graph_nodes: int = Field(100_000, ge=0, description="nodes of a graph, or of a derived graph")
    graph_leaves: int = Field(100_000, ge=0, description="leaves of a graph")
    graph_outputs: int = Field(10_000, ge=0, description="outputs of a graph")
    graph_rules: int = Field(100_000, ge=0, description="rules that the nodes of a graph were derived by")
    graph_edges: int = Field(1_000_000, ge=0, description="inputs of all nodes of a graph together")
    node_inputs: int = Field(10_000, ge=0, description="inputs of a node, or outputs")
    node_attributes: int = Field(64, ge=0, description="attributes of a node, hook or rule")
    attribute_bytes: int = Field(64 << 10, ge=0, description="bytes of the attributes of a node, hook or rule")
    rank: int = Field(16, ge=0, le=MAX_RANK, description="axes of a tensor that is sent")
    values: int = Field(100_000, ge=0, description="values beside the graph")
    seeds: int = Field(10_000, ge=0, description="seeds of a request")
    gradients: int = Field(100_000, ge=0, description="names in gradients, and values to derive by")
    retain: int = Field(100_000, ge=0, description="names in retain")
    fetch: int = Field(100_000, ge=0, description="names in fetch")
    reuse: int = Field(1_000, ge=0, description="saved runs that a request takes values from")
    reuse_values: int = Field(100_000, ge=0, description="values that a request takes from saved runs")
    violations: int = Field(1_000, ge=1, description="faults that Infer lists")
    page_size: int = Field(1_000, ge=1, description="ops on a page of ListOps")
    hooks_per_value: int = Field(100, ge=0, description="hooks of a value")
    hooks: int = Field(1_000, ge=0, description="hooks of a request")
    name_bytes: int = Field(256, ge=1, description="bytes of a name")
    tensor_elements: int = Field(1 << 27, ge=0, description="elements of a tensor, sent or computed")
    estimated_bytes: int = Field(2 << 30, ge=0, description="bytes that a run will allocate, estimated from shapes")
    estimated_flops: int = Field(1 << 41, ge=0, description="floating point operations of a run, estimated from shapes")
    session_runs: int = Field(64, ge=1, description="runs that a session has in progress")
    session_saved_runs: int = Field(128, ge=0, description="saved runs of a session; the least recently used goes first")
    session_uploads: int = Field(10_000, ge=1, description="tensors in chunks of a session that no request used yet")
    session_uploads_open: int = Field(1_000, ge=1, description="tensors in chunks of a session that are not complete")
    session_upload_bytes: int = Field(
        256 << 20, ge=0, description="bytes of tensors in chunks on a session that no request used yet"
    )
    runs_in_flight: int = Field(64, ge=1, description="requests that run or are checked at the same time")
    runs_per_caller: int = Field(48, ge=1, description="requests in flight of an identity")
    large_runs: int = Field(2, ge=1, description="runs that compute at the same time and are not small")
    bytes_in_flight: int = Field(
        8 << 30, ge=0, description="estimated bytes of all requests in flight, if there are several"
    )
    runs_queued: int = Field(32, ge=0, description="runs that wait for their turn")
    runs_waiting: int = Field(256, ge=0, description="runs that wait for their clients, and count as in flight beyond")
    waiting_per_caller: int = Field(64, ge=0, description="waiting runs of an identity")
    stall_seconds: float = Field(30.0, gt=0, description="seconds in which a client must read something of a stream")
    sessions: int = Field(1024, ge=1, description="open sessions")
    sessions_per_caller: int = Field(256, ge=1, description="open sessions of an identity")
    verify_budget_seconds: float = Field(60.0, ge=0, description="seconds that a request may ask for its checks")
    verify_op_budget_seconds: float = Field(600.0, ge=0, description="seconds that a call of VerifyOp may ask for")
    hook_timeout_seconds: float = Field(60.0, gt=0, description="seconds that a client may take for a hook")
    saved_bytes: int = Field(512 << 20, ge=0, description="bytes of saved values, of all sessions")
    saved_runs: int = Field(256, ge=0, description="saved runs, of all sessions")
    saved_seconds: float = Field(600.0, ge=0, description="seconds after which saved values that nobody used are freed")
    verify_ops: int = Field(16, ge=1, description="VerifyOp calls that sample attributes at the same time; others wait")
    explain_elements: int = Field(256, ge=0, description="elements of a graph whose formulas are written")
    explain_seconds: float = Field(10.0, ge=0, description="seconds that formulas may take")

    def check(self, name: str, actual: float, hint: str = "") -> None:
        """Raises LimitExceeded if ``actual`` is above the limit called ``name``."""
        self.check_all({name: actual}, hint)

    def check_all(self, counts: Mapping[str, float], hint: str = "") -> None:
        """Raises LimitExceeded with every limit whose count, by its name, is above it."""
        passed = [(name, count, getattr(self, name)) for name, count in counts.items() if count > getattr(self, name)]
        if passed:
            raise LimitExceeded(*passed[0], hint, passed[1:])

    def table(self) -> dict[str, float]:
        """The limits by name."""
        return self.model_dump()
