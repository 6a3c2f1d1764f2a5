"""Who is served, with what, and what a server refuses to start with. `docs/security.md` names these tests, claim by claim."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
import trustme
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from tests import greeting_plugin
from tests.serving import Served, leaf, node, request, serving
from tests.serving_safely import SCOPES, TOKENS, Authority, bearer, callers, private

from gradproof.engine.caller import Caller
from gradproof.engine.errors import PluginRefused
from gradproof.engine.registry import build_registry, installed
from gradproof.engine.verify import cache as proof_cache
from gradproof.engine.verify.cache import ProofCache
from gradproof.engine.verify.verdict import Rule, RuleVerdict
from gradproof.plugins import BUILTIN
from gradproof.server import access as access_module
from gradproof.server.access import Access
from gradproof.server.calls import CURRENT
from gradproof.server.embedded import READY
from gradproof.server.host import Host
from gradproof.server.identities import read_identities
from gradproof.server.preflight import is_local, problems_of
from gradproof.server.problems import Unusable
from gradproof.server.scopes import NEEDED
from gradproof.server.settings import Settings
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2

OFF = pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF)
CACHED = pb.VerifyOptions(level=pb.VERIFY_LEVEL_CACHED)
SERVICES = [
    *pb.DESCRIPTOR.services_by_name.values(),
    *op_service_pb2.DESCRIPTOR.services_by_name.values(),
]


def square(verify: pb.VerifyOptions = OFF, request_id: str = "") -> pb.DifferentiateRequest:
    return request([leaf("x", 3.0)], [node("square", "x", "y")], "y", verify=verify, request_id=request_id)


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo]:
    """The code and the ErrorInfo of a call that failed."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return error.code(), info


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "REFUSE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    """A server with tokens, and a plugin that knows more callers."""
    tokens = callers(folder / "callers.toml")
    with serving(folder / "proofs", token_file=tokens, plugin=["tests.greeting_plugin"]) as found:
        yield found


class TestScopes:
    def test_every_call_has_its_row(self) -> None:
        ours = {f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods}
        assert ours <= NEEDED.keys()
        assert {name for name in NEEDED if "gradproof" in name} <= ours

    @pytest.mark.parametrize(
        ("call", "scope"),
        [
            (lambda s, m: s.autodiff.Evaluate(pb.EvaluateRequest(graph=square().graph), metadata=m), "evaluate"),
            (lambda s, m: s.autodiff.Infer(pb.InferRequest(graph=square().graph), metadata=m), "evaluate"),
            (
                lambda s, m: s.autodiff.Derive(
                    pb.DeriveRequest(graph=square().graph, mode=pb.DERIVE_MODE_VJP), metadata=m
                ),
                "evaluate",
            ),
            (lambda s, m: s.autodiff.Differentiate(square(), metadata=m), "evaluate"),
            (lambda s, m: s.autodiff.Differentiate(square(CACHED), metadata=m), "verify"),
            (lambda s, m: list(s.autodiff.StreamingDifferentiate(
                pb.StreamingDifferentiateRequest(request=square()), metadata=m)), "evaluate"),
            (lambda s, m: list(s.autodiff.StreamingDifferentiate(
                pb.StreamingDifferentiateRequest(request=square(CACHED)), metadata=m)), "verify"),
            (lambda s, m: list(s.autodiff.Session(iter([]), metadata=m)), ""),
            (lambda s, m: s.autodiff.Explain(pb.ExplainRequest(graph=square().graph, value="y"), metadata=m), "verify"),
            (lambda s, m: s.autodiff.GetServerInfo(pb.GetServerInfoRequest(), metadata=m), ""),
            (lambda s, m: s.ops.ListOps(op_service_pb2.ListOpsRequest(page_size=1), metadata=m), ""),
            (lambda s, m: s.ops.GetOp(op_service_pb2.GetOpRequest(name="square"), metadata=m), ""),
            (lambda s, m: list(s.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="nothing"), metadata=m)), "verify"),
            (
                lambda s, m: list(
                    s.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="nothing", refresh=True), metadata=m)
                ),
                "admin",
            ),
        ],
    )  # fmt: skip
    def test_a_call_needs_its_scope(self, served: Served, call: Callable[[Served, Any], Any], scope: str) -> None:
        for name, scopes in SCOPES.items():
            try:
                call(served, bearer(name))
            except grpc.RpcError as error:
                code, info = refusal(error)
                if not scope or scope in scopes:  # there is no op called nothing, which is found out behind the door
                    assert code is grpc.StatusCode.NOT_FOUND
                else:
                    assert code is grpc.StatusCode.PERMISSION_DENIED
                    missing = "admin" if name == "checker" else ("admin" if scope == "admin" else scope)
                    assert (info.reason, info.metadata["scope"]) == ("PERMISSION_DENIED", missing)
                    assert f"needs the scope {missing!r}, which {name!r} does not have" in error.details()
            else:
                assert not scope or scope in scopes
        with pytest.raises(grpc.RpcError) as caught:
            call(served, bearer("nobody"))
        assert refusal(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED

    def test_a_session_says_what_its_caller_may_not_do_and_goes_on(self, served: Served) -> None:
        frames = [
            pb.SessionRequest(differentiate=square(CACHED, "checked")),
            pb.SessionRequest(differentiate=square(OFF, "plain")),
        ]
        answers = list(served.autodiff.Session(iter(frames), metadata=bearer("alice")))
        faults = {one.request_id: one.fault for one in answers if one.HasField("fault")}
        assert list(faults) == ["checked"]
        assert faults["checked"].code == grpc.StatusCode.PERMISSION_DENIED.value[0]
        assert "needs the scope 'verify'" in faults["checked"].message
        events = [event for one in answers if one.request_id == "plain" for event in (one.event, *one.more)]
        assert [event.WhichOneof("kind") for event in events][-1] == "summary"

    def test_what_nobody_thought_of_is_for_operators(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(NEEDED, "/gradproof.v1.AutodiffService/GetServerInfo")
        ask = served.autodiff.GetServerInfo
        assert ask(pb.GetServerInfoRequest(), metadata=bearer("operator")).versions
        with pytest.raises(grpc.RpcError) as caught:
            ask(pb.GetServerInfoRequest(), metadata=bearer("checker"))
        assert refusal(caught.value)[1].metadata["scope"] == "admin"

    def test_health_is_open_and_reflection_is_not(self, served: Served) -> None:
        health = health_pb2_grpc.HealthStub(served.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
        reflect = reflection_pb2_grpc.ServerReflectionStub(served.channel).ServerReflectionInfo
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        assert next(reflect(iter([asked]), metadata=bearer("alice"))).list_services_response.service
        with pytest.raises(grpc.RpcError) as caught:
            next(reflect(iter([asked])))
        assert refusal(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED


class TestTokens:
    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            TOKENS["alice"],
            f"Basic {TOKENS['alice']}",
            f"Bearer {TOKENS['alice'][:-1]}",
            f"Bearer {TOKENS['alice']}x",
            f"Bearer {hashlib.sha256(TOKENS['alice'].encode()).hexdigest()}",
            "Bearer " + "\0" * 0 + "0" * 64,
        ],
    )
    def test_no_call_is_served_without_one(self, served: Served, header: str) -> None:
        """And the refusal says nothing of which tokens there are."""
        metadata = (("authorization", header),) if header else ()
        with pytest.raises(grpc.RpcError) as caught:
            served.autodiff.GetServerInfo(pb.GetServerInfoRequest(), metadata=metadata)
        code, info = refusal(caught.value)
        assert (code, info.reason, dict(info.metadata)) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", {})
        assert "no valid token" in caught.value.details()
        assert "alice" not in caught.value.details()

    def test_a_caller_is_known_where_work_is_admitted(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Caller] = []
        handler = served.host.handler
        before = handler.derive

        async def derive(asked: Any) -> Any:
            seen.append(CURRENT.get().caller)
            return await before(asked)

        monkeypatch.setattr(handler, "derive", derive)
        served.autodiff.Derive(pb.DeriveRequest(graph=square().graph, mode=pb.DERIVE_MODE_VJP), metadata=bearer("checker"))
        assert seen == [Caller("checker", frozenset({"evaluate", "verify"}))]

    def test_all_digests_are_compared_with_one_function(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also behind the one that fits, so that time tells nothing."""
        import hmac

        compared: list[bool] = []
        real = hmac.compare_digest
        monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(real(a, b)) or compared[-1])
        known = read_identities(
            callers(tmp_path / "callers.toml", more='[callers.c]\ncertificate = "c"\nscopes = ["admin"]')
        )
        found = known.by_token(TOKENS["alice"])
        assert found is not None
        assert found.name == "alice"
        assert compared == [True, False, False, False]
        assert known.by_token("") is None
        assert known.by_token("\udc80 no text") is None

    def test_a_file_with_one_token(self, tmp_path: Path) -> None:
        known = read_identities(private(tmp_path / "token", "a token of its own\n"))
        found = known.by_token("a token of its own")
        assert found is not None
        assert (found.name, found.scopes) == ("default", {"evaluate", "verify"})

    def test_quotas(self, tmp_path: Path) -> None:
        path = callers(tmp_path / "callers.toml", {"alice": ["admin"]}, "runs = 3\nshare = 0.25\n")
        found = read_identities(path).by_token(TOKENS["alice"])
        assert found == Caller("alice", frozenset({"admin"}), 3, 0.25)

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("", "is empty"),
            (" \n\t\n", "is empty"),
            ("short", "has 5 bytes, and below 16 it can be guessed"),
            ("x" * 15, "has 15 bytes"),
            ("a token with \u00e4 letters in it", "has characters that no header has"),
            (b"\xff" * 40, "is no text in UTF-8"),
            ("two\nlines", "neither one token in one line nor TOML"),
            ("[callers]", "there is no [callers.NAME]"),
            ("[caller.a]\nscopes = []", "did you mean 'callers'?"),
            ("[callers]\na = 3", "callers.a is no table"),
            ("[callers.a]\nscopes = ['evaluate']", "has neither sha256"),
            ("[callers.a]\nsha256 = 'ab'\nscopes = ['evaluate']", "sha256 is not the SHA-256"),
            ("[callers.a]\ntoken = 'x'\ncertificate = 'c'\nscopes = ['evaluate']", "callers.a.token: there is no such key"),
            ("[callers.a]\ncertificate = 'c'", "scopes is to be a list of evaluate, verify, admin"),
            ("[callers.a]\ncertificate = 'c'\nscopes = 'admin'", "scopes is to be a list"),
            ("[callers.a]\ncertificate = 'c'\nscopes = ['root']", "there is no scope 'root'"),
            ("[callers.a]\ncertificate = 'c'\nscopes = ['admin']\nruns = true", "runs is True"),
            ("[callers.a]\ncertificate = 'c'\nscopes = ['admin']\nshare = nan", "share is nan"),
            ("[callers.'a b']\ncertificate = 'c'\nscopes = ['admin']", "a name has up to 64"),
            ("[callers.a]\ncertificate = 3\nscopes = ['admin']", "certificate is no name"),
            (
                "[callers.a]\ncertificate = 'c'\nscopes = ['admin']\n[callers.b]\ncertificate = 'c'\nscopes = ['verify']",
                "'a' and 'b' have the same certificate",
            ),
        ],
    )
    def test_a_file_of_nonsense_is_refused(self, tmp_path: Path, text: str | bytes, wanted: str) -> None:
        path = private(tmp_path / "token", text)
        assert wanted in "\n".join(one.text for one in problems_of(Settings(token_file=path)))

    def test_all_that_is_wrong_is_said(self, tmp_path: Path) -> None:
        path = private(
            tmp_path / "callers.toml", "[callers.a]\nscopes = ['x']\n[callers.b]\nsha256 = 3\nscopes = []\nrun = 1"
        )
        assert len(problems_of(Settings(token_file=path))) >= 5

    def test_a_flood_of_refusals_is_a_line_of_the_log(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        lines: list[int] = []
        monkeypatch.setattr(access_module, "LOG_SECONDS", 3600.0)
        monkeypatch.setattr(access_module.log, "warning", lambda text, **rest: lines.append(rest["count"]), raising=False)
        for _ in range(20):
            with pytest.raises(grpc.RpcError):
                served.autodiff.GetServerInfo(pb.GetServerInfoRequest())
        assert len(lines) <= 1


class TestPlugins:
    """Callers whom a plugin knows."""

    def ask(self, served: Served, who: str) -> grpc.StatusCode:
        try:
            served.autodiff.Evaluate(pb.EvaluateRequest(graph=square().graph), metadata=(("x-who", who),), timeout=30)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def test_a_plugin_says_whose_a_call_is(self, served: Served) -> None:
        assert self.ask(served, "friend") is grpc.StatusCode.OK
        with pytest.raises(grpc.RpcError) as caught:
            served.autodiff.Differentiate(square(CACHED), metadata=(("x-who", "friend"),))
        assert refusal(caught.value)[0] is grpc.StatusCode.PERMISSION_DENIED

    @pytest.mark.parametrize("who", ["stranger", "crash", "exit", "wrong"])
    def test_whom_it_does_not_know_and_what_it_does_wrong_is_refused(self, served: Served, who: str) -> None:
        assert self.ask(served, who) is grpc.StatusCode.UNAUTHENTICATED
        assert self.ask(served, "friend") is grpc.StatusCode.OK

    def test_one_that_waits_is_refused_and_holds_nobody_up(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(access_module, "ASK_SECONDS", 0.05)
        try:
            assert self.ask(served, "wait") is grpc.StatusCode.UNAUTHENTICATED
            assert served.autodiff.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice")).versions
        finally:
            greeting_plugin.HELD.set()

    def test_a_server_with_such_a_plugin_is_not_open(self) -> None:
        assert Access(Settings(), build_registry(BUILTIN)).open
        assert not Access(Settings(), build_registry(BUILTIN, others=[greeting_plugin])).open

    def test_only_allowed_plugins_are_imported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded: list[str] = []

        class Entry:
            dist = None

            def __init__(self, name: str) -> None:
                self.name = name

            def load(self) -> Any:
                loaded.append(self.name)
                return greeting_plugin

        entries = [Entry("greeting"), Entry("stranger"), Entry("blocked")]
        monkeypatch.setattr("gradproof.engine.registry.installed_entry_points", lambda group: entries)
        found = build_registry(BUILTIN, entry_points=True, allowed=["greeting"], blocked=["blocked"])
        assert loaded == ["greeting"]
        assert [one.plugin for one in found.refused] == ["stranger"]
        assert isinstance(found.refused[0], PluginRefused)
        assert "not on the list of allowed plugins" in str(found.refused[0])
        assert "tests.greeting_plugin" in [plugin.source for plugin in found.plugins]
        assert installed() == ["blocked", "greeting", "stranger"]
        [problem] = problems_of(Settings(allow_plugin=["strange"]))
        assert "no plugin 'strange' is installed; did you mean 'stranger'?" in problem.text
        assert "without entry_points" in problems_of(Settings(allow_plugin=["greeting"], entry_points=False))[0].text


class TestEncryption:
    @pytest.fixture(scope="class")
    def mutual(self, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, str]]:
        """A server that asks clients for certificates, one of which its file names."""
        folder = tmp_path_factory.mktemp("mutual")
        more = '[callers.monitor]\ncertificate = "monitor.test"\nscopes = ["verify", "admin"]\n'
        with only(
            folder,
            tls_cert=authority.certificate,
            tls_key=authority.key,
            tls_client_ca=authority.trusted,
            token_file=callers(folder / "callers.toml", more=more),
        ) as host:
            yield host, f"127.0.0.1:{host.port}"

    def test_a_certificate_is_an_identity(self, mutual: tuple[Host, str], authority: Authority) -> None:
        _, target = mutual
        with authority.channel(target, authority.ca.issue_cert("monitor.test")) as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            assert stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=30).versions
            with pytest.raises(grpc.RpcError) as caught:
                stub.Evaluate(pb.EvaluateRequest(graph=square().graph), timeout=30)
            assert "which 'monitor' does not have" in caught.value.details()
        with authority.channel(target, authority.ca.issue_cert("other.test")) as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30).versions

    def test_without_one_of_that_authority_there_is_no_connection(
        self, mutual: tuple[Host, str], authority: Authority
    ) -> None:
        _, target = mutual
        for client in (None, trustme.CA().issue_cert("monitor.test")):
            with authority.channel(target, client) as channel, pytest.raises(grpc.RpcError) as caught:
                stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
                stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    def test_a_certificate_that_no_file_names_is_a_caller_by_its_name(self, authority: Authority, tmp_path: Path) -> None:
        settings = Settings(tls_cert=authority.certificate, tls_key=authority.key, tls_client_ca=authority.trusted)
        connection = {"x509_subject_alternative_name": [b"job.test"], "x509_common_name": [b"job"]}

        async def ask(certificate: dict[str, list[bytes]]) -> Caller | None:
            from gradproof.server.calls import Call

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
        private(tmp_path / "none.pem", "nothing")
        good = {"tls_cert": authority.certificate, "tls_key": authority.key}
        for given, texts in (
            (good, []),
            ({"tls_key": tmp_path / "open.pem"}, ["may be read or changed by others (mode 0644); chmod 600 it"]),
            ({"tls_key": tmp_path / "other.pem"}, ["is not the key of the certificate"]),
            ({"tls_cert": tmp_path / "old.pem", "tls_key": private(tmp_path / "k", old.private_key_pem.bytes())}, ["expired on"]),
            ({"tls_cert": tmp_path / "early.pem"}, ["is not valid before", "is not the key"][:1]),
            ({"tls_cert": tmp_path / "none.pem", "tls_key": tmp_path / "none.pem"}, ["no certificate in PEM", "no key in PEM"]),
            ({"tls_cert": tmp_path / "no"}, ["no cannot be read: No such file"]),
            ({"tls_key": None}, ["TLS needs a certificate and its key"]),
            ({"tls_cert": None}, ["TLS needs a certificate and its key"]),
            ({"tls_client_ca": tmp_path / "none.pem"}, ["no certificate in PEM"]),
            ({"tls_cert": None, "tls_key": None, "tls_client_ca": authority.trusted}, ["over TLS only"]),
            ({"host": "unix:/tmp/gradproof.sock"}, ["has no TLS"]),
        ):  # fmt: skip
            found = problems_of(Settings(**{**good, **given}))
            assert len(found) == len(texts), (given, found)
            assert all(text in one.text for text, one in zip(texts, found, strict=True)), (given, found)


class TestReload:
    def test_tokens_scopes_and_certificates(self, authority: Authority, tmp_path: Path) -> None:
        """Removed tokens are refused from then on; sessions of theirs end at their next request, and others go on."""
        path = callers(tmp_path / "callers.toml")
        settings = {"tls_cert": authority.certificate, "tls_key": authority.key, "token_file": path}
        with only(tmp_path / "proofs", **settings) as host, authority.channel(f"127.0.0.1:{host.port}") as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            sessions = {name: Talk(stub, name) for name in ("alice", "checker", "operator")}
            for talk in sessions.values():
                assert talk.ask(OFF) == "summary"
            assert sessions["checker"].ask(CACHED) == "summary"

            private(path, "[callers.alice]")
            reload(host)  # which is wrong, and changes nothing
            assert sessions["alice"].ask(OFF) == "summary"

            callers(path, {"checker": ["evaluate"], "operator": ["admin", "evaluate"]})
            authority.renew()
            reload(host)
            assert sessions["operator"].ask(OFF) == "summary"
            assert sessions["checker"].ask(CACHED) == "PERMISSION_DENIED"
            assert sessions["checker"].ask(OFF) == "summary"
            with pytest.raises(grpc.RpcError) as caught:
                sessions["alice"].ask(OFF)
            assert refusal(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"))
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            for name in ("checker", "operator"):
                sessions[name].close()
            assert served_certificate(host) == authority.certificate.read_bytes().split(b"-----END")[0]

            before = authority.certificate.read_bytes()
            authority.certificate.write_bytes(b"nothing")
            callers(path)
            reload(host)  # the certificate is wrong, so the tokens stay as they were too
            assert served_certificate(host) == before.split(b"-----END")[0]
            with pytest.raises(grpc.RpcError):
                stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer("alice"))
            authority.renew()

    def test_a_signal_to_the_guard(self, tmp_path: Path) -> None:
        """SIGHUP reaches the server, at any time; the Unix socket that it listens on is its user's alone."""
        path, address = callers(tmp_path / "callers.toml"), tmp_path / "socket"
        words = ["--host", f"unix:{address}", "--token-file", str(path), "--grace", "0", "--no-entry-points"]
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "gradproof.server", "serve", *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with process:
                assert process.stdout.readline() == f"{READY}unix:{address}\n"
                assert address.stat().st_mode & 0o777 == 0o600
                with grpc.insecure_channel(f"unix:{address}") as channel:
                    stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
                    ask = stub.GetServerInfo
                    assert ask(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30).versions
                    callers(path, {"checker": ["evaluate"]})
                    process.send_signal(signal.SIGHUP)
                    for line in process.stderr:
                        if "reloaded" in line:
                            break
                    with pytest.raises(grpc.RpcError) as caught:
                        ask(pb.GetServerInfoRequest(), metadata=bearer("alice"), timeout=30)
                    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
                second = subprocess.run(
                    [sys.executable, "-m", "gradproof.server", "serve", *words],
                    env=environment, capture_output=True, text=True, timeout=60,
                )  # fmt: skip
                assert second.returncode == 1
                assert f"another process listens on {address}" in second.stderr
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        finally:
            process.kill()


class TestClosed:
    """What a server does not start with."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "unix:/tmp/x"])
    def test_this_machine(self, host: str) -> None:
        assert is_local(host)

    @pytest.mark.parametrize(
        "host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.1", "localhost.example.org", "2130706433", ""]
    )
    def test_other_machines_without_encryption(self, host: str, tmp_path: Path) -> None:
        assert not is_local(host)
        token = private(tmp_path / "token", "a token of its own")
        assert [one.setting for one in problems_of(Settings(host=host))] == ["host"]
        if host:
            assert "tokens too" in problems_of(Settings(host=host, token_file=token))[0].text
            assert problems_of(Settings(host=host, insecure=True)) == []

    def test_insecure_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr("gradproof.server.host.log.warning", lambda text, **_: said.append(text), raising=False)
        with serving(tmp_path, insecure=True, host="localhost"):
            assert said == []
        monkeypatch.setattr("gradproof.server.host.is_local", lambda host: False)
        with serving(tmp_path, insecure=True):
            assert [text.partition(":")[0] for text in said] == [
                "serving other machines without TLS",
                "serving everybody who can reach this address",
            ]

    @pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o602])
    def test_files_that_others_may_read(self, tmp_path: Path, mode: int) -> None:
        token = private(tmp_path / "token", "a token of its own")
        token.chmod(mode)
        found = problems_of(Settings(token_file=token))
        if mode == 0o640 and os.geteuid() == 0:  # containers are given secrets so
            assert found == []
        else:
            assert "may be read or changed by others" in found[0].text

    def test_files_of_others_and_no_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        token = private(tmp_path / "token", "a token of its own")
        os.mkfifo(tmp_path / "pipe", 0o600)
        assert "is no file" in problems_of(Settings(token_file=tmp_path / "pipe"))[0].text
        assert problems_of(Settings(token_file=tmp_path))
        assert "cannot be read" in problems_of(Settings(token_file=tmp_path / "none"))[0].text
        real = os.geteuid()
        if real == 0:
            os.chown(token, 12345, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: real + 1)
        assert "belongs to another user" in problems_of(Settings(token_file=token))[0].text

    def test_a_host_in_a_program_is_closed_too(self, tmp_path: Path) -> None:
        with pytest.raises(Unusable, match=r"host: is '0\.0\.0\.0'") as caught:
            Host(Settings(host="0.0.0.0", token_file=tmp_path / "none", plugin=["no.such"], block=["none"]))
        assert [one.setting for one in caught.value.problems] == ["host", "plugin", "block", "token_file"]

    def test_a_plugin_that_ends_its_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "ending_plugin.py").write_text("raise SystemExit(0)")
        monkeypatch.syspath_prepend(tmp_path)
        assert "SystemExit" in problems_of(Settings(plugin=["ending_plugin"]))[0].text


class TestCache:
    VERDICT = RuleVerdict(Rule.PROVED, "sin", "()", tactic="structural")

    def test_a_folder_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        cache = ProofCache(tmp_path / "a" / "proofs")
        cache.put("d", self.VERDICT)
        assert (tmp_path / "a" / "proofs").stat().st_mode & 0o777 == 0o700
        assert cache.get("d") is not None

    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
    def test_what_others_may_write_is_not_believed(
        self, tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        ProofCache(tmp_path).put("d", self.VERDICT)
        tmp_path.chmod(mode)
        try:
            cache = ProofCache(tmp_path)
            assert cache.get("d") is None
            assert list(cache.cases("sin")) == []
            cache.put("e", self.VERDICT)
            assert not (tmp_path / "e.json").exists()
            assert caplog.text.count("may be written to by others") == 1
            assert "may be written to by others" in problems_of(Settings(cache=tmp_path))[0].text
        finally:
            tmp_path.chmod(0o700)
        assert problems_of(Settings(cache=tmp_path)) == []

    def test_nor_a_file_that_another_put_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Before the folder was closed, say. It is proved again."""
        cache = ProofCache(tmp_path)
        cache.put("d", self.VERDICT)
        (tmp_path / "d.json").chmod(0o666)
        assert cache.get("d") is None
        assert caplog.text.count("may be written to by others") == 1
        (tmp_path / "d.json").chmod(0o600)
        assert cache.get("d") is not None
        real = os.geteuid()
        if real == 0:
            os.chown(tmp_path / "d.json", 12345, -1)
            assert cache.get("d") is None
            os.chown(tmp_path, 12345, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: real + 1)
        assert "belongs to another user" in problems_of(Settings(cache=tmp_path))[0].text
        assert ProofCache(tmp_path).get("d") is None

    def test_a_changed_file_is_no_proof_and_nothing_is_unpickled(self, tmp_path: Path) -> None:
        cache = ProofCache(tmp_path)
        cache.put("d", RuleVerdict(Rule.REFUTED, "sin", "()"))
        whole = json.loads((tmp_path / "d.json").read_text())
        whole["body"] = whole["body"].replace("REFUTED", "PROVED")
        (tmp_path / "d.json").write_text(json.dumps(whole))
        assert cache.get("d") is None
        assert "pickle" not in set(vars(proof_cache))

    def test_what_cannot_be_a_cache(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "is no folder" in problems_of(Settings(cache=tmp_path / "file"))[0].text
        assert "cannot be used" in problems_of(Settings(cache=tmp_path / "file" / "proofs"))[0].text
        assert problems_of(Settings(cache=tmp_path / "none")) == []


class TestSideDoor:
    def test_a_server_warms_up_without_knowing_a_token(self, authority: Authority, tmp_path: Path) -> None:
        """Through a socket that nobody else can reach, by what kind of port it is; with clients' certificates asked for."""
        from gradproof.server.warm import side_door

        seen: list[Caller] = []
        settings = {"tls_cert": authority.certificate, "tls_key": authority.key, "tls_client_ca": authority.trusted}
        with side_door() as door:
            folder = Path(door.removeprefix("unix:")).parent
            assert folder.stat().st_mode & 0o777 == 0o700
            with only(tmp_path / "proofs", door=door, token_file=callers(tmp_path / "callers.toml"), **settings) as host:
                before = host.handler.derive

                async def derive(asked: Any) -> Any:
                    seen.append(CURRENT.get().caller)
                    return await before(asked)

                host.handler.derive = derive  # type: ignore[method-assign]
                asyncio.run_coroutine_threadsafe(host.warm(door, quick=True), host.loop).result(60)  # type: ignore[attr-defined]
        assert seen == [access_module.SIDE_DOOR]
        assert not folder.exists()


# helpers


@contextmanager
def only(cache: Path, door: str = "", **options: Any) -> Iterator[Host]:
    """A `Host` that no client of ours is connected to."""
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    host = Host(Settings(port=0, cache=cache, entry_points=False, **options))
    host.loop = loop  # type: ignore[attr-defined]
    try:
        asyncio.run_coroutine_threadsafe(host.start(door), loop).result(60)
        yield host
        asyncio.run_coroutine_threadsafe(host.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def reload(host: Host) -> None:
    """As SIGHUP does, in the loop of the server."""

    async def now() -> None:
        host.reload()

    asyncio.run_coroutine_threadsafe(now(), host.loop).result(60)  # type: ignore[attr-defined]


def served_certificate(host: Host) -> bytes:
    """What a new connection is shown, up to the end of the first certificate."""
    import ssl

    with socket.create_connection(("127.0.0.1", host.port), timeout=30) as raw:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(raw) as one:
            shown = one.getpeercert(binary_form=True)
            assert shown is not None
            return ssl.DER_cert_to_PEM_cert(shown).encode().split(b"-----END")[0]


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
            if answer.HasField("fault"):
                return str(answer.fault.reason)
            if any(event.HasField("summary") for event in (answer.event, *answer.more)):
                return "summary"
        return "the end"

    def close(self) -> None:
        self._frames.put(None)
        assert list(self._answers) == []
