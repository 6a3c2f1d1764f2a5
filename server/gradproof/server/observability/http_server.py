"""The HTTP port: /metrics for Prometheus, /healthz and /readyz for probes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeAlias

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

Answer: TypeAlias = Callable[[], tuple[bool, bytes]]
"""Returns whether the answer is 200 or 503, and its text."""

READ_SECONDS = 10.0


class HttpServer:
    """Answers GET at ``paths`` with status 200 or 503, in its own threads, so that it works while the event loop is stuck.
    With ``shared``, other processes may bind the same port. Raises OSError if the port is taken or out of range."""

    def __init__(self, address: str, port: int, paths: Mapping[str, Answer], *, shared: bool = False) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        class Server(ThreadingHTTPServer):
            address_family = family
            allow_reuse_port = shared
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Log nothing when a client closes its connection."""

        try:
            self._server = Server((address.strip("[]"), port), _handler(paths))
        except OverflowError as error:
            raise OSError(str(error)) from error
        self.port = int(self._server.server_address[1])
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="http", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
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
            healthy, text = answer()
            self._send(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, text)

        do_HEAD = do_GET

        def _send(self, status: HTTPStatus, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Log nothing: probes come every few seconds."""

    return Handler
