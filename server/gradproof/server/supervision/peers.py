"""Peers: the serving processes of a server, which exchange metrics, status and health over Unix sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingMixIn, UnixStreamServer
from threading import Thread

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

SECONDS = 2.0
"""Time limit for the answer of a peer; a peer that exceeds it is left out."""

WORD_BYTES = 32
HEALTHY = b"healthy "


def health_text(healthy: bool, text: str) -> bytes:
    """The answer of a process to a question about its health."""
    return (HEALTHY if healthy else b"unhealthy ") + text.encode() + b"\n"


class Peers:
    """The processes that have a socket in ``folder``, which only their user may enter. This process is ``number``, and
    answers each of ``words`` with the result of its function. Without a folder the process is alone."""

    def __init__(self, folder: str, number: int, words: Mapping[str, Callable[[], bytes]]) -> None:
        self.number, self._folder, self._words = number, Path(folder), words
        self._server: _Server | None = None
        if folder:
            own = self._folder / str(number)
            own.unlink(missing_ok=True)  # left by the process that this process replaces
            self._server = _Server(str(own), words)
            Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="peers", daemon=True).start()

    def ask(self, word: str, silence: bytes | None = None) -> dict[int, bytes]:
        """Answers of all processes, by number. A process that does not answer in time counts as ``silence``, or is left out
        if that is None. Blocks."""
        answers = {self.number: self._words[word]()}
        if self._server is not None:
            for path in self._folder.iterdir():
                if path.name.isdigit() and int(path.name) not in answers:
                    try:
                        answers[int(path.name)] = _ask(str(path), word)
                    except TimeoutError:
                        if silence is not None:
                            answers[int(path.name)] = silence
                    except OSError:
                        continue  # the process has ended
        return dict(sorted(answers.items()))

    def health(self, word: str) -> tuple[bool, bytes]:
        """Whether all processes are healthy, and a line of each; see `health_text`."""
        answers = self.ask(word, health_text(False, f"does not answer within {SECONDS:g} s"))
        healthy = all(text.startswith(HEALTHY) for text in answers.values())
        lines = {number: text.partition(b" ")[2] for number, text in answers.items()}
        if self._server is None:
            return healthy, lines[self.number]
        return healthy, b"".join(b"process %d: %s" % line for line in lines.items())

    def metrics(self) -> bytes:
        """Metrics of all processes in the text format of Prometheus; with several processes each sample has the label
        ``process``."""
        texts = self.ask("metrics")
        if self._server is None:
            return texts[self.number]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Merged(texts))
        return generate_latest(registry)

    def close(self) -> None:
        """Stop answering. The last process removes the folder."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            (self._folder / str(self.number)).unlink(missing_ok=True)
            with suppress(OSError):  # other processes have sockets there
                self._folder.rmdir()


class _Merged:
    """Collector of the metrics of several processes."""

    def __init__(self, texts: Mapping[int, bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number, text in self._texts.items():
            for family in text_string_to_metric_families(text.decode()):
                known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    known.add_sample(sample.name, {**sample.labels, "process": str(number)}, sample.value)
        yield from families.values()


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, words: Mapping[str, Callable[[], bytes]]) -> None:
        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(SECONDS)
                answer = words.get(self.request.recv(WORD_BYTES).decode(errors="replace"))
                if answer is not None:
                    self.request.sendall(answer())

        super().__init__(path, Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing when a peer closes its connection."""


def _ask(path: str, word: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(word.encode())
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)
