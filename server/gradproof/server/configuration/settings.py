"""The settings of a server. `configuration` reads their sources, `preflight` checks the files and names in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_cache_path
from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, CliSuppress, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from gradproof.engine.compiled.store import Plans
from gradproof.engine.kernels import acceptance
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.processes import load_plugin
from gradproof.plugins import BUILTIN
from gradproof.server.limits import Limits
from gradproof.server.supervision.supervisor import GRACE_SECONDS


def _names(value: Any) -> Any:
    """Split a text at commas into names; other values are returned as they are."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_names)]

SECTIONS = {
    "host": "Network",
    "tls_cert": "Encryption and callers",
    "plugin": "Plugins",
    "cache": "Proofs",
    "plans": "Runs",
    "limits": "Limits, stated in GetServerInfo; a request beyond a limit ends with RESOURCE_EXHAUSTED",
    "owner": "",
    "log_format": "Operations",
}
"""Titles of the sections in the help, by the first setting of each section."""

APART = ("Network", "Encryption and callers")
"""Sections that an embedded server takes from its flags only, since it serves its owner alone."""


class Settings(BaseSettings):
    """Settings of a server: the arguments, and defaults. `configuration.configure` reads flags, environment and file."""

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

    host: str = Field("127.0.0.1", description="Address to bind, or unix:PATH for a socket that only this user can reach.")
    port: int = Field(50551, ge=0, le=65535, description="Port; 0 picks a free port.")
    insecure: bool = Field(
        False,
        description="Serve other machines without TLS: anyone on the path can read and change all data, tokens too.",
    )
    reflection: bool = Field(True, description="Serve gRPC reflection.")
    grace: float = Field(GRACE_SECONDS, ge=0, le=1e6, description="Seconds for running calls to finish after SIGTERM.")
    tls_cert: Path | None = Field(None, description="Certificate (PEM) to serve over TLS. Reloaded at SIGHUP.")
    tls_key: Path | None = Field(
        None, description="Key of the certificate (PEM), which no other user may read. Reloaded at SIGHUP."
    )
    tls_client_ca: Path | None = Field(
        None, description="Authorities (PEM) that sign the certificates which clients must show. Reloaded at SIGHUP."
    )
    token_file: Path | None = Field(
        None,
        description="Calls need a token: that in this file, or that of a caller in it (TOML). Reloaded at SIGHUP.",
    )
    plugin: Names = Field([], description="Load this plugin: an import path, module or module:attribute. Repeatable.")
    block: Names = Field([], description="Do not load this plugin, by name. Repeatable.")
    allow_plugin: Names = Field([], description="Load only these installed plugins, by name. Repeatable.")
    entry_points: bool = Field(True, description="Load installed plugins.")
    cache: Path | None = Field(None, description="Folder of the proof cache; default: in the user's cache folder.")
    shipped_proofs: bool = Field(True, description="Use proofs that are shipped with plugins.")
    proof_workers: int = Field(2, ge=1, le=256, description="Processes that prove rules.")
    proof_seconds: float = Field(30.0, gt=0, le=1e6, description="Time limit of a proof, in seconds.")
    plans: Plans = Field(
        Plans.AUTO, description="Compile a graph from its second run on (auto), always (and compare), or never."
    )
    threads: int = Field(2, ge=1, le=256, description="Threads for the elementwise work of a run.")
    kernels: bool = Field(True, description="Use the kernels of plugins, faster forwards of ops, that are right here.")
    limits: Limits = Limits()
    owner: CliSuppress[int | None] = Field(None, description="End when the process with this id ends.")

    # operations
    log_format: Literal["console", "json"] = Field("console", description="Format of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level of log lines; info has a line for each call."
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz (HTTP); 0 picks a free port."
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address of the HTTP port, which has neither TLS nor tokens: anyone who reaches it can read.",
    )
    channelz: bool = Field(False, description="Serve gRPC channelz: data on connections and calls.")
    processes: int = Field(1, ge=1, le=64, description="Serving processes that share the port.")
    max_connection_age: float = Field(
        0.0, ge=0, description="Seconds after which clients must reconnect, so that load is balanced; 0: never."
    )
    max_connection_age_grace: float = Field(60.0, ge=0, description="Seconds for the calls of such a connection to finish.")
    watchdog: float = Field(
        0.0, ge=0, description="Seconds after which a process with a stuck event loop is replaced; 0: never."
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    def registry(self) -> Registry:
        """Build the registry of built-in, installed and named plugins."""
        others = [load_plugin(source) for source in self.plugin]
        allowed = self.allow_plugin or None
        acceptance.keep_in(self.cache_directory())
        return build_registry(
            BUILTIN,
            others=others,
            entry_points=self.entry_points,
            blocked=self.block,
            allowed=allowed,
            kernels=self.kernels,
        )

    def cache_directory(self) -> Path:
        """The folder of the proof cache."""
        return self.cache or user_cache_path("gradproof") / "proofs"

    def address(self, port: int | None = None) -> str:
        """The address that clients connect to; ``port`` is the bound port, if it differs from the setting."""
        return self.host if self.host.startswith("unix:") else host_and_port(self.host, self.port if port is None else port)

    def metrics_address(self, port: int | None = None) -> str:
        """The address of the HTTP port, as `address`."""
        return host_and_port(self.metrics_host, self.metrics_port if port is None else port)


def host_and_port(host: str, port: int | None) -> str:
    """``host:port``, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def section(setting: str) -> str:
    """The title of the section of a setting; empty for ``owner``."""
    title = ""
    for name in Settings.model_fields:
        title = SECTIONS.get(name, title)
        if name == setting.partition(".")[0]:
            return title
    return ""
