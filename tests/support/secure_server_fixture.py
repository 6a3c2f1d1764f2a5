"""Servers that ask who calls: certificates and files of tokens for tests, hosts with them, and channels to those."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import trustme
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support.server_fixture import leaf, node, request
from tests.support.statuses import fault_of

from gradproof.server.configuration.settings import Settings
from gradproof.server.process.host import Host
from gradproof.v1 import autodiff_service_pb2 as pb

OFF = pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF)
CACHED = pb.VerifyOptions(level=pb.VERIFY_LEVEL_CACHED)

TOKENS = {name: f"the token of {name}, in a test" for name in ("alice", "checker", "operator", "nobody")}
"""Tokens that are long enough. Nobody's is in no file."""

SCOPES = {"alice": ["evaluate"], "checker": ["evaluate", "verify"], "operator": ["evaluate", "verify", "admin"]}


def private(path: Path, text: str | bytes) -> Path:
    """A file that nobody else may read."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def callers(path: Path, scopes: Mapping[str, Sequence[str]] = SCOPES, more: str = "") -> Path:
    """A file of callers by their tokens."""
    entries = [
        f'[callers.{name}]\nsha256 = "{hashlib.sha256(TOKENS[name].encode()).hexdigest()}"\nscopes = {list(given)}\n'
        for name, given in scopes.items()
    ]
    return private(path, "\n".join([*entries, more]))


def bearer(name: str) -> tuple[tuple[str, str], ...]:
    """The metadata with somebody's token."""
    return (("authorization", f"Bearer {TOKENS[name]}"),)


class Authority:
    """An authority with the certificate and key of a server, in files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.trusted = folder / "ca.pem"
        self.trusted.write_bytes(self.ca.cert_pem.bytes())
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.renew()

    def renew(self) -> None:
        """Another certificate in the same files."""
        made = self.ca.issue_cert("127.0.0.1", "localhost")
        self.certificate.write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
        private(self.key, made.private_key_pem.bytes())

    def channel(self, target: str, client: trustme.LeafCert | None = None) -> grpc.Channel:
        """A connection of its own, which shows the certificate of ``client``."""
        pair = (client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes(), *pair)
        return grpc.secure_channel(target, credentials, [("grpc.use_local_subchannel_pool", 1)])


def square(verify: pb.VerifyOptions = OFF, request_id: str = "") -> pb.DifferentiateRequest:
    return request([leaf("x", 3.0)], [node("square", "x", "y")], "y", verify=verify, request_id=request_id)


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo]:
    """The code and the ErrorInfo of a call that failed."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return error.code(), info


class Alone:
    """A running `Host` that no client of ours is connected to, and the loop that it is in."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self.host, self.loop = host, loop

    @property
    def target(self) -> str:
        return self.host.target

    def do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it in the loop of the server."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def reload(self) -> None:
        """As SIGHUP has it."""

        async def now() -> None:
            self.host.reload()

        self.do(now())


@contextmanager
def only(cache: Path, warm_up_address: str = "", **options: Any) -> Iterator[Alone]:
    """A server in this process, on a free port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    host = Host(Settings(port=0, cache=cache, entry_points=False, **options))
    alone = Alone(host, loop)
    try:
        alone.do(host.start(warm_up_address))
        yield alone
        alone.do(host.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Talk:
    """A session, one request at a time."""

    def __init__(self, stub: Any, name: str) -> None:
        self._frames: SimpleQueue[pb.SessionRequest | None] = SimpleQueue()
        self._answers = stub.Session(iter(self._frames.get, None), metadata=bearer(name), timeout=60)
        self._count = 0

    def ask(self, verify: pb.VerifyOptions) -> str:
        """How it ended: ``summary``, or the reason of a fault. Raises grpc.RpcError where the session ended."""
        self._count += 1
        self._frames.put(pb.SessionRequest(differentiate=square(verify, str(self._count))))
        for answer in self._answers:
            if answer.HasField("status"):
                return fault_of(answer).reason
            if any(event.HasField("summary") for event in answer.events):
                return "summary"
        return "the end"

    def close(self) -> None:
        self._frames.put(None)
        assert list(self._answers) == []
