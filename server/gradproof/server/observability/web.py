"""The HTTP port: /metrics for Prometheus, /healthz and /readyz for whoever starts and stops servers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeAlias

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

Answer: TypeAlias = Callable[[], tuple[bool, bytes]]
"""Gives whether all is well, and a text."""

READ_SECONDS = 10.0


class Web:
    """Answers GET at ``paths``, in threads of its own, so that a server whose event loop is stuck can say so: 200 where all
    is well, 503 where it is not. ``shared``: other processes listen at the same port. Raises OSError if it is taken, or
    is none."""

    def __init__(self, address: str, port: int, paths: Mapping[str, Answer], *, shared: bool = False) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        class Server(ThreadingHTTPServer):
            address_family = family
            allow_reuse_port = shared
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no news."""

        try:
            self._server = Server((address.strip("[]"), port), _handler(paths))
        except OverflowError as error:
            raise OSError(str(error)) from error
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def _handler(paths: Mapping[str, Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = READ_SECONDS
        server_version, sys_version = "gradproof", ""

        def do_GET(self) -> None:
            answer = paths.get(self.path.partition("?")[0])
            if answer is None:
                return self._send(HTTPStatus.NOT_FOUND, f"there are {', '.join(paths)}\n".encode())
            well, text = answer()
            self._send(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, text)

        do_HEAD = do_GET

        def _send(self, status: HTTPStatus, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Write no line: probes come every few seconds."""

    return Handler
