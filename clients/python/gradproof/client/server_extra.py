"""The server's libraries, which the extra ``server`` installs."""

from __future__ import annotations

from importlib.util import find_spec

SERVER_LIBRARIES = (
    "cryptography", "flint", "gmpy2", "grpc_channelz", "grpc_health", "grpc_reflection", "platformdirs", "pluggy",
    "prometheus_client", "pydantic", "pydantic_settings", "rich", "scipy", "structlog", "sympy", "threadpoolctl", "typer",
)  # fmt: skip
"""Modules of the extra ``server``, without which no server starts here, in a process of its own or in this."""


def require_server() -> None:
    """Raises ImportError with what to install if a library is missing."""
    missing = [name for name in SERVER_LIBRARIES if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"starting a server needs libraries that are not installed ({', '.join(missing)}): pip install "
            "'gradproof[server]', or give the address of a server that runs: connect('HOST:PORT')"
        )
