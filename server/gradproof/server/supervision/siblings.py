"""Peers: the serving processes of one server, which ask each other what they count and what runs, by Unix sockets."""

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
"""A process that does not answer within this time is left out."""

WORD_BYTES = 32
WELL = b"well "


def said(well: bool, text: str) -> bytes:
    """The answer of a process that says whether it is well, and something about it."""
    return (WELL if well else b"ill ") + text.encode() + b"\n"


class Peers:
    """The processes that have a socket in ``folder``, which only their user may enter; this one is ``number`` and answers
    ``words``, each with what its function gives. Without a folder it is alone."""

    def __init__(self, folder: str, number: int, words: Mapping[str, Callable[[], bytes]]) -> None:
        self.number, self._folder, self._words = number, Path(folder), words
        self._server: _Server | None = None
        if folder:
            own = self._folder / str(number)
            own.unlink(missing_ok=True)  # of the process that had the seat before
            self._server = _Server(str(own), words)
            Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="peers", daemon=True).start()

    def ask(self, word: str, silence: bytes | None = None) -> dict[int, bytes]:
        """The answers of all processes, by number; ``silence`` stands for that of one that is there and gives none in time.
        Waits."""
        found = {self.number: self._words[word]()}
        if self._server is not None:
            for path in self._folder.iterdir():
                if path.name.isdigit() and int(path.name) not in found:
                    try:
                        found[int(path.name)] = _ask(str(path), word)
                    except TimeoutError:
                        if silence is not None:
                            found[int(path.name)] = silence
                    except OSError:
                        continue  # a process that is gone
        return dict(sorted(found.items()))

    def well(self, word: str) -> tuple[bool, bytes]:
        """Whether all processes are well, and what they say, each in a line; see `said`."""
        answers = self.ask(word, said(False, f"does not answer within {SECONDS:g} s"))
        well = all(text.startswith(WELL) for text in answers.values())
        lines = {number: text.partition(b" ")[2] for number, text in answers.items()}
        if self._server is None:
            return well, lines[self.number]
        return well, b"".join(b"process %d: %s" % line for line in lines.items())

    def metrics(self) -> bytes:
        """The metrics of all processes; where there are several, each number has the label ``process``."""
        texts = self.ask("metrics")
        if self._server is None:
            return texts[self.number]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Merged(texts))
        return generate_latest(registry)

    def close(self) -> None:
        """Answer no more. The folder goes with the last of them."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            (self._folder / str(self.number)).unlink(missing_ok=True)
            with suppress(OSError):  # others are there
                self._folder.rmdir()


class _Merged:
    """Metrics of several processes as a collector."""

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
        class Answering(BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(SECONDS)
                answer = words.get(self.request.recv(WORD_BYTES).decode(errors="replace"))
                if answer is not None:
                    self.request.sendall(answer())

        super().__init__(path, Answering)

    def handle_error(self, request: object, client_address: object) -> None:
        """A process that went away is no news."""


def _ask(path: str, word: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(SECONDS)
        asking.connect(path)
        asking.sendall(word.encode())
        parts = []
        while part := asking.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)
