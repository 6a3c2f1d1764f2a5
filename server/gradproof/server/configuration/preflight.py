"""Checks of the files, plugins and addresses that settings name, before a server starts. A server that would be open by
mistake does not start."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISSOCK

from gradproof.engine.hints import did_you_mean
from gradproof.engine.registry import installed, plugin_name
from gradproof.engine.trusted_folder import distrust
from gradproof.engine.verify.processes import load_plugin
from gradproof.plugins import BUILTIN
from gradproof.server.access.access import Access
from gradproof.server.configuration.settings import Settings
from gradproof.server.problems import Problem, collecting

_NAME = re.compile(r"[A-Za-z0-9._-]+")
MAX_PATH = 100  # bytes of the path of a Unix socket


def problems_of(settings: Settings) -> list[Problem]:
    """Problems of settings. Imports the plugins that they name."""
    problems = [*_network(settings), *_metrics(settings), *_plugins(settings), *_cache(settings)]
    with collecting(problems):
        Access(settings)
    return problems


def is_local(host: str) -> bool:
    """True if an address can be reached from this machine only."""
    if host.startswith("unix:") or host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _network(settings: Settings) -> Iterator[Problem]:
    host, encrypted = settings.host, settings.tls_cert is not None
    if host.startswith("unix:"):
        yield from _socket(Path(host.removeprefix("unix:")))
        if encrypted or settings.tls_client_ca is not None:
            yield Problem("host", "is a Unix socket, which has no TLS; remove tls_cert and tls_client_ca")
        return
    if not host or (not _NAME.fullmatch(host) and not _is_address(host)):
        yield Problem("host", f"is {host!r}; it must be an address, a name, or unix:PATH")
    elif not encrypted and not settings.insecure and not is_local(host):
        tokens = ", tokens too" if settings.token_file is not None else ""
        yield Problem(
            "host",
            f"is {host!r}, which other machines reach, and there is no TLS: anyone on the path could read and change all "
            f"data{tokens}. Give tls_cert and tls_key, or 127.0.0.1; or insecure, if something else encrypts",
        )


def _metrics(settings: Settings) -> Iterator[Problem]:
    """The HTTP port serves no values and is local by default, so any other address is taken as intended."""
    host, port = settings.metrics_host, settings.metrics_port
    if not _NAME.fullmatch(host) and not _is_address(host):
        yield Problem("metrics_host", f"is {host!r}; it must be an address or a name")
    if port == 0 and settings.processes > 1:
        yield Problem("metrics_port", "is 0, but several processes need a common port; give a number")
    if port and port == settings.port and not settings.host.startswith("unix:"):
        yield Problem("metrics_port", f"is {port}, which is the port of gRPC; give another")


def _socket(path: Path) -> Iterator[Problem]:
    if not path.is_absolute():
        yield Problem("host", f"{str(path)!r} is no absolute path; write unix:/PATH")
    elif len(os.fsencode(path)) > MAX_PATH:
        yield Problem("host", f"{path} is longer than {MAX_PATH} bytes, which is too long for a socket")
    elif not path.parent.is_dir():
        yield Problem("host", f"the folder of {path} is not there; make it")
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        yield Problem("host", f"no socket can be made in {path.parent}; chmod or chown it")
    elif path.exists() and not S_ISSOCK(path.stat().st_mode):
        yield Problem("host", f"{path} is there, and is no socket; name another path")
    elif path.exists() and _answers(path):
        yield Problem("host", f"another process listens on {path}")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(1.0)
        connection.connect(str(path))
        return True
    return False


def _plugins(settings: Settings) -> Iterator[Problem]:
    known = [plugin_name(plugin) for plugin in BUILTIN]
    available = installed() if settings.entry_points and (settings.block or settings.allow_plugin) else []
    for source in settings.plugin:
        try:
            known.append(plugin_name(load_plugin(source)))
        except BaseException as error:  # a plugin may raise anything, SystemExit too
            if isinstance(error, KeyboardInterrupt):
                raise
            reason = f"{type(error).__name__}: {error}"
            yield Problem("plugin", f"{source!r} cannot be imported ({reason}); give module or module:attribute")
    for name in settings.block:
        if name not in (*known, *available):
            yield Problem("block", f"there is no plugin {name!r} to leave out{did_you_mean(name, [*known, *available])}")
    for name in settings.allow_plugin:
        if not settings.entry_points:
            yield Problem("allow_plugin", f"{name!r} is not loaded without entry_points")
        elif name not in available:
            yield Problem("allow_plugin", f"no plugin {name!r} is installed{did_you_mean(name, available)}")


def _cache(settings: Settings) -> Iterator[Problem]:
    """Proofs in a folder that others may write to cannot be trusted. A missing folder is made when it is needed."""
    if settings.cache is None:  # the default folder may fail: the log says so, and proofs are not cached
        return
    try:
        directory = settings.cache.expanduser()
        if reason := distrust(directory):
            yield Problem("cache", reason)
        elif not directory.is_dir():
            yield Problem("cache", f"{directory} is no folder; name another")
        elif not os.access(directory, os.R_OK | os.X_OK):
            yield Problem("cache", f"{directory} cannot be read; chmod or chown it")
    except FileNotFoundError:
        return
    except (OSError, RuntimeError) as error:
        yield Problem("cache", f"cannot be used ({error}); name another folder")
