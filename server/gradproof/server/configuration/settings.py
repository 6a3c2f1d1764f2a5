"""Settings of a server: one table. Where they come from is `configuration`'s, whether they will do `preflight`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_cache_path
from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, CliSuppress, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.processes import load_plugin
from gradproof.plugins import BUILTIN
from gradproof.server.limits import Limits
from gradproof.server.supervision.guard import GRACE_SECONDS


def _names(value: Any) -> Any:
    """Names, where they are given in one text: with commas between them."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_names)]

SECTIONS = {
    "host": "Network",
    "tls_cert": "Encryption and callers",
    "plugin": "Plugins",
    "cache": "Proofs",
    "plans": "Runs",
    "limits": "Limits, stated in GetServerInfo; a request beyond one ends with RESOURCE_EXHAUSTED",
    "owner": "",
    "log_format": "Operations",
}
"""Titles in the help: of a setting and of those behind it."""

APART = ("Network", "Encryption and callers")
"""Sections that are not read from environment and file where a server is embedded: its owner alone talks to it."""


class Settings(BaseSettings):
    """Settings of a server. A table made in a program has the values that it is given, and defaults;
    `configuration.configure` reads flags, environment and file."""

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

    host: str = Field("127.0.0.1", description="Address to bind, or unix:PATH, a socket that only this user can reach.")
    port: int = Field(50551, ge=0, le=65535, description="Port; 0 picks a free one.")
    insecure: bool = Field(
        False,
        description="Serve other machines without TLS: whoever is on the way reads and changes all, tokens too.",
    )
    reflection: bool = Field(True, description="Describe the services to clients that ask.")
    grace: float = Field(GRACE_SECONDS, ge=0, le=1e6, description="Seconds for running calls to finish after SIGTERM.")
    tls_cert: Path | None = Field(None, description="Certificate (PEM): serve over TLS. Read again at SIGHUP.")
    tls_key: Path | None = Field(None, description="Its key (PEM), which nobody else may read.")
    tls_client_ca: Path | None = Field(None, description="Clients must show a certificate signed by one of these (PEM).")
    token_file: Path | None = Field(
        None,
        description="Calls must bring a token: the one in this file, or one of its callers (TOML). Read again at SIGHUP.",
    )
    plugin: Names = Field([], description="Load this plugin too: an import path, module or module:attribute. Repeatable.")
    block: Names = Field([], description="Leave out this plugin, by name. Repeatable.")
    allow_plugin: Names = Field([], description="Load this installed plugin, and none that is not named so. Repeatable.")
    entry_points: bool = Field(True, description="Load installed plugins.")
    cache: Path | None = Field(None, description="Folder where proofs are kept; default: in the user's cache folder.")
    proof_workers: int = Field(2, ge=1, le=256, description="Processes that prove rules.")
    proof_seconds: float = Field(30.0, gt=0, le=1e6, description="A proof is stopped after this time, in seconds.")
    plans: Literal["auto", "always", "never"] = Field(
        "auto", description="Compile a graph from its second run on (auto), always (and compare), or never."
    )
    threads: int = Field(2, ge=1, le=256, description="Threads for the elementwise work of one run.")
    limits: Limits = Limits()
    owner: CliSuppress[int | None] = Field(None, description="End when this process does.")

    # operations
    log_format: Literal["console", "json"] = Field("console", description="Form of the lines of the log.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least grave lines of the log; info has one for each call."
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz (HTTP); 0 picks a free one."
    )
    metrics_host: str = Field(
        "127.0.0.1", description="Address of that port, in plain text: everybody who reaches it may read."
    )
    channelz: bool = Field(False, description="Describe connections and calls to clients that ask (gRPC channelz).")
    processes: int = Field(1, ge=1, le=64, description="Serving processes that share the port.")
    max_connection_age: float = Field(
        0.0, ge=0, description="Seconds after which a connection is to be made anew, so that load is balanced; 0: never."
    )
    max_connection_age_grace: float = Field(
        60.0, ge=0, description="Seconds that calls of such a connection may still take."
    )
    watchdog: float = Field(
        0.0, ge=0, description="Seconds after which a process whose event loop is stuck is replaced; 0: never."
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    def registry(self) -> Registry:
        """The registry of built-in, installed and named plugins."""
        others = [load_plugin(source) for source in self.plugin]
        allowed = self.allow_plugin or None
        return build_registry(BUILTIN, others=others, entry_points=self.entry_points, blocked=self.block, allowed=allowed)

    def cache_directory(self) -> Path:
        """The folder where proofs are kept."""
        return self.cache or user_cache_path("gradproof") / "proofs"

    def address(self, port: int | None = None) -> str:
        """Where clients connect to; ``port`` is the one that was bound."""
        return self.host if self.host.startswith("unix:") else joined(self.host, self.port if port is None else port)

    def metrics_address(self, port: int | None = None) -> str:
        """The same of the HTTP port."""
        return joined(self.metrics_host, self.metrics_port if port is None else port)


def joined(host: str, port: int | None) -> str:
    """Host and port in one text."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def section(setting: str) -> str:
    """The title under which a setting stands."""
    title = ""
    for name in Settings.model_fields:
        title = SECTIONS.get(name, title)
        if name == setting.partition(".")[0]:
            return title
    return ""
