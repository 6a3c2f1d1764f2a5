"""Certificates of both sides, what is read again at a signal, and the server's warm-up socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from tests.support.secure_server_fixture import (
    CACHED,
    OFF,
    Alone,
    Authority,
    Talk,
    bearer,
    callers,
    only,
    private,
    refusal,
    square,
)

from gradproof.client import Client, PermissionDenied
from gradproof.engine.caller import Caller
from gradproof.server.access import access as access_module
from gradproof.server.access.access import Access
from gradproof.server.calls.calls import CURRENT
from gradproof.server.configuration.preflight import problems_of
from gradproof.server.configuration.settings import Settings
from gradproof.server.process.host import Host
from gradproof.server.supervision.embedded import READY
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "REFUSE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A server that asks clients for certificates, one of which its file names."""
    folder = tmp_path_factory.mktemp("mutual")
    more = '[callers.monitor]\ncertificate = "monitor.test"\nscopes = ["verify", "admin"]\n'
    with only(
        folder,
        tls_cert=authority.certificate,
        tls_key=authority.key,
        tls_client_ca=authority.trusted,
        token_file=callers(folder / "callers.toml", more=more),
    ) as alone:
        yield alone


class TestEncryption:
    def test_a_certificate_is_an_identity(self, mutual: Alone, authority: Authority) -> None:
        target = mutual.target
        with authority.channel(target, authority.ca.issue_cert("monitor.test")) as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            assert stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=30).versions
            with pytest.raises(grpc.RpcError) as caught:
                stub.Evaluate(pb.EvaluateRequest(input=pb.RunInput(graph=square().input.graph)), timeout=30)
            assert "which 'monitor' does not have" in str(caught.value.details())
        with authority.channel(target, authority.ca.issue_cert("other.test")) as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30).versions

    def test_the_python_client_shows_one(self, mutual: Alone, authority: Authority, tmp_path: Path) -> None:
        made = authority.ca.issue_cert("monitor.test")
        key = private(tmp_path / "key.pem", made.private_key_pem.bytes())
        certificate = private(tmp_path / "certificate.pem", made.cert_chain_pems[0].bytes())
        with Client(mutual.target, tls=authority.trusted, certificate=certificate, key=key) as client:
            assert client.info().versions
            with pytest.raises(PermissionDenied, match="needs the scope 'evaluate'") as caught:
                client.infer(square().input.graph)
            assert caught.value.metadata == {"scope": "evaluate"}

    def test_without_one_of_that_authority_there_is_no_connection(self, mutual: Alone, authority: Authority) -> None:
        target = mutual.target
        for client in (None, trustme.CA().issue_cert("monitor.test")):
            with authority.channel(target, client) as channel:
                stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
                with pytest.raises(grpc.RpcError) as caught:
                    stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    def test_a_certificate_that_no_file_names_is_a_caller_by_its_name(self, authority: Authority, tmp_path: Path) -> None:
        settings = Settings(tls_cert=authority.certificate, tls_key=authority.key, tls_client_ca=authority.trusted)
        connection = {"x509_subject_alternative_name": [b"job.test"], "x509_common_name": [b"job"]}

        async def ask(certificate: dict[str, list[bytes]]) -> Caller | None:
            from gradproof.server.calls.calls import Call

            return await Access(settings).caller(Call("/x/y"), certificate)

        assert asyncio.run(ask(connection)) == Caller("job.test", frozenset({"evaluate", "verify"}))
        assert asyncio.run(ask({})) is None

    def test_what_is_wrong_with_certificates(self, authority: Authority, tmp_path: Path) -> None:
        other = trustme.CA().issue_cert("127.0.0.1")
        old = authority.ca.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
        early = authority.ca.issue_cert(
            "127.0.0.1", not_before=datetime.now(UTC) + timedelta(days=1), not_after=datetime.now(UTC) + timedelta(days=2)
        )
        (tmp_path / "open.pem").write_bytes(authority.key.read_bytes())
        (tmp_path / "open.pem").chmod(0o644)
        (tmp_path / "old.pem").write_bytes(old.cert_chain_pems[0].bytes())
        (tmp_path / "early.pem").write_bytes(early.cert_chain_pems[0].bytes())
        private(tmp_path / "other.pem", other.private_key_pem.bytes())
        none = private(tmp_path / "none.pem", "nothing")
        old_key = private(tmp_path / "k", old.private_key_pem.bytes())
        shared = tmp_path / "shared.pem"
        shared.write_bytes(authority.trusted.read_bytes())
        shared.chmod(0o664)
        good: dict[str, Any] = {"tls_cert": authority.certificate, "tls_key": authority.key}
        for given, texts in (
            (good, []),
            ({"tls_key": tmp_path / "open.pem"}, ["may be read or changed by others (mode 0644); chmod 600 it"]),
            ({"tls_key": tmp_path / "other.pem"}, ["is not the key of the certificate"]),
            ({"tls_cert": tmp_path / "old.pem", "tls_key": old_key}, ["expired on"]),
            ({"tls_cert": tmp_path / "early.pem"}, ["is not valid before"]),
            ({"tls_cert": none, "tls_key": none}, ["no certificate in PEM", "no key in PEM"]),
            ({"tls_cert": tmp_path / "no"}, ["no cannot be read: No such file"]),
            ({"tls_key": None}, ["TLS needs a certificate and its key"]),
            ({"tls_cert": None}, ["TLS needs a certificate and its key"]),
            ({"tls_client_ca": shared}, ["may be changed by others (mode 0664); chmod go-w it"]),
            ({"tls_client_ca": none}, ["no certificate in PEM"]),
            ({"tls_cert": None, "tls_key": None, "tls_client_ca": authority.trusted}, ["over TLS only"]),
            ({"host": "unix:/tmp/gradproof.sock"}, ["has no TLS"]),
        ):  # fmt: skip
            found = problems_of(Settings(**{**good, **given}))
            assert len(found) == len(texts), (given, found)
            assert all(text in one.text for text, one in zip(texts, found, strict=True)), (given, found)

    def test_one_that_expires_soon_is_a_warning(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr(access_module.log, "warning", lambda text, **rest: said.append(rest["expires"]), raising=False)
        made = Access(Settings(tls_cert=authority.certificate, tls_key=authority.key))
        made.warn()
        assert said == []
        monkeypatch.setattr(access_module, "SOON", timedelta(days=365 * 1000))
        made.warn()
        assert len(said) == 1


class TestReload:
    def test_tokens_scopes_and_certificates(self, authority: Authority, tmp_path: Path) -> None:
        """Removed tokens are refused from then on; sessions of theirs end at their next request, and others go on."""
        path = callers(tmp_path / "callers.toml")
        settings: dict[str, Any] = {"tls_cert": authority.certificate, "tls_key": authority.key, "token_file": path}
        with only(tmp_path / "proofs", **settings) as server, authority.channel(server.target) as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            sessions = {name: Talk(stub, name) for name in ("alice", "checker", "operator")}
            for talk in sessions.values():
                assert talk.ask(OFF) == "summary"
            assert sessions["checker"].ask(CACHED) == "summary"

            private(path, "[callers.alice]")
            server.reload()  # which is wrong, and changes nothing
            assert sessions["alice"].ask(OFF) == "summary"

            callers(path, {"checker": ["evaluate"], "operator": ["admin"]})
            authority.renew()
            server.reload()
            with pytest.raises(grpc.RpcError) as caught:
                sessions["operator"].ask(OFF)
            assert refusal(caught.value)[1].metadata["scope"] == "evaluate"
            assert sessions["checker"].ask(CACHED) == "PERMISSION_DENIED"
            assert sessions["checker"].ask(OFF) == "summary"
            with pytest.raises(grpc.RpcError) as caught:
                sessions["alice"].ask(OFF)
            assert refusal(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"))
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            sessions["checker"].close()
            assert served_certificate(server.host) == authority.certificate.read_bytes().split(b"-----END")[0]

            before = authority.certificate.read_bytes()
            authority.certificate.write_bytes(b"nothing")
            callers(path)
            server.reload()  # the certificate is wrong, so the tokens stay as they were too
            assert served_certificate(server.host) == before.split(b"-----END")[0]
            with pytest.raises(grpc.RpcError):
                stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"))
            authority.renew()

    @pytest.mark.slow
    def test_a_signal_to_the_supervisor(self, tmp_path: Path) -> None:
        """SIGHUP reaches the server; the Unix socket that it listens on is its user's alone, and nobody else takes it."""
        path, address = callers(tmp_path / "callers.toml"), tmp_path / "socket"
        settings = ["--host", f"unix:{address}", "--token-file", str(path), "--grace", "0", "--no-entry-points"]
        process = subprocess.Popen(
            [sys.executable, "-m", "gradproof.server", "serve", "--owner", str(os.getpid()), *settings],
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline() == f"{READY}unix:{address}\n"
            assert address.stat().st_mode & 0o777 == 0o600
            assert "another process listens on" in problems_of(Settings(host=f"unix:{address}"))[0].text
            with grpc.insecure_channel(f"unix:{address}") as channel:
                stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
                private(path, "")
                process.send_signal(signal.SIGHUP)
                assert "nothing was reloaded" in process.stderr.readline()
                assert stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30).versions
                callers(path, {"checker": ["evaluate"]})
                process.send_signal(signal.SIGHUP)
                end, code = time.monotonic() + 60, None
                while code is None and time.monotonic() < end:
                    try:
                        stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30)
                    except grpc.RpcError as error:
                        code = error.code()
                assert code is grpc.StatusCode.UNAUTHENTICATED
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.communicate()


class TestWarmUpSocket:
    def test_a_server_warms_up_without_knowing_a_token(
        self, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Through a socket that nobody else can reach, by what kind of port it is; with clients' certificates asked for."""
        from gradproof.server.process.warm_up import warm_up_socket

        seen: list[Caller] = []
        settings: dict[str, Any] = {
            "tls_cert": authority.certificate,
            "tls_key": authority.key,
            "tls_client_ca": authority.trusted,
        }
        with warm_up_socket() as address:
            folder = Path(address.removeprefix("unix:")).parent
            assert folder.stat().st_mode & 0o777 == 0o700
            with only(tmp_path / "proofs", address, token_file=callers(tmp_path / "callers.toml"), **settings) as server:
                before = server.host.handler.derive

                async def derive(asked: Any, left: float | None = None) -> Any:
                    seen.append(CURRENT.get().caller)
                    return await before(asked, left)

                monkeypatch.setattr(server.host.handler, "derive", derive)
                server.do(server.host.warm_up(address, quick=True))
        assert seen == [access_module.WARM_UP_CALLER]
        assert not folder.exists()


def served_certificate(host: Host) -> bytes:
    """What a new connection is shown, up to the end of the first certificate."""
    with socket.create_connection(("127.0.0.1", host.port), timeout=30) as raw:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(raw) as one:
            shown = one.getpeercert(binary_form=True)
            assert shown is not None
            return ssl.DER_cert_to_PEM_cert(shown).encode().split(b"-----END")[0]
