"""Settings of a server: one table, read from flags, environment variables and a file."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path
from pydantic import Field
from pydantic_settings import BaseSettings, CliSuppress, SettingsConfigDict

from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.worker import load
from gradproof.plugins import BUILTIN
from gradproof.server.access import Access
from gradproof.server.guard import GRACE_SECONDS
from gradproof.server.limits import Limits


class Settings(BaseSettings):
    """Serve until SIGTERM; running calls may then finish. A second SIGTERM ends it at once.

    Every option is also an environment variable (--proof-workers is GRADPROOF_PROOF_WORKERS, --limits.kept-bytes is
    GRADPROOF_LIMITS__KEPT_BYTES).
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="GRADPROOF_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
        cli_prog_name="gradproof serve",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
    )

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(50551, ge=0, le=65535, description="Port; 0 picks a free one.")
    plugin: list[str] = Field(
        [], description="Load this plugin too: an import path, module or module:attribute. Repeatable."
    )
    block: list[str] = Field([], description="Leave out this plugin, by name. Repeatable.")
    entry_points: bool = Field(True, description="Load installed plugins.")
    cache: Path | None = Field(None, description="Folder where proofs are kept; default: in the user's cache folder.")
    proof_workers: int = Field(2, ge=1, description="Processes that prove rules.")
    proof_seconds: float = Field(30.0, gt=0, description="A proof is stopped after this time, in seconds.")
    reflection: bool = Field(True, description="Describe the services to clients that ask.")
    tls_cert: Path | None = Field(None, description="Certificate (PEM): serve over TLS.")
    tls_key: Path | None = Field(None, description="Its key (PEM).")
    token_file: Path | None = Field(None, description="Calls must bring the token in this file.")
    grace: float = Field(GRACE_SECONDS, ge=0, description="Seconds for running calls to finish after SIGTERM.")
    limits: Limits = Limits()
    owner: CliSuppress[int | None] = Field(None, description="End when this process does.")

    def registry(self) -> Registry:
        """The registry of built-in, installed and named plugins."""
        others = [load(source) for source in self.plugin]
        return build_registry(BUILTIN, others=others, entry_points=self.entry_points, blocked=self.block)

    def cache_directory(self) -> Path:
        """The folder where proofs are kept."""
        return self.cache or user_cache_path("gradproof") / "proofs"

    def access(self) -> Access:
        """Certificates and token. Raises OSError where a file cannot be read, ValueError where one is missing."""
        token = self.token_file.read_text(encoding="utf-8").strip() if self.token_file else ""
        return Access(self.tls_cert, self.tls_key, token)
