"""Who is served, with what, and what a server refuses to start with. `docs/security.md` names these tests by claim."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.support import greeting_plugin
from tests.support.refused_plugin import SECRET
from tests.support.secure_server_fixture import (
    CACHED,
    OFF,
    SCOPES,
    TOKENS,
    bearer,
    callers,
    only,
    private,
    refusal,
    square,
)
from tests.support.server_fixture import Served
from tests.support.statuses import fault_of

from gradproof.engine.caller import Caller
from gradproof.engine.errors import PluginRefused
from gradproof.engine.registry import build_registry, installed
from gradproof.plugins import BUILTIN
from gradproof.server.access import access as access_module
from gradproof.server.access.access import Access
from gradproof.server.access.identities import read_identities
from gradproof.server.calls.calls import CURRENT
from gradproof.server.calls.scopes import NEEDED
from gradproof.server.configuration.preflight import is_local, problems_of
from gradproof.server.configuration.settings import Settings
from gradproof.server.problems import ConfigurationError
from gradproof.server.process.host import Host
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2, operations_service_pb2

ROOT = Path(__file__).parents[2]
SERVICES = [
    *pb.DESCRIPTOR.services_by_name.values(),
    *op_service_pb2.DESCRIPTOR.services_by_name.values(),
    *operations_service_pb2.DESCRIPTOR.services_by_name.values(),
]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "REFUSE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with tokens, a plugin that knows more callers, and plugins that were refused, in part or as a whole."""
    folder = tmp_path_factory.mktemp("served")
    tokens = callers(folder / "callers.toml")
    plugins = ["tests.support.greeting_plugin", "tests.support.refused_plugin"]
    with only(folder / "proofs", token_file=tokens, plugin=plugins) as alone:
        whole = PluginRefused("mine", "import", "", f"KeyError: {SECRET}")
        alone.host.registry.refused.append(whole)  # before the first call, since a server describes itself once
        found = Served(alone.host, alone.loop)
        yield found
        found.close()


class TestScopes:
    def test_every_call_has_its_row(self) -> None:
        ours = {f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods}
        assert ours <= NEEDED.keys()
        assert {name for name in NEEDED if "gradproof" in name} <= ours

    @pytest.mark.parametrize(
        ("call", "scope"),
        [
            (
                lambda s, m: s.autodiff.Evaluate(pb.EvaluateRequest(input=square().input), metadata=m),
                "evaluate",
            ),
            (lambda s, m: s.autodiff.Infer(pb.InferRequest(graph=square().input.graph), metadata=m), "evaluate"),
            (
                lambda s, m: s.autodiff.Derive(
                    pb.DeriveRequest(graph=square().input.graph, mode=pb.DERIVE_MODE_VJP), metadata=m
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
            (
                lambda s, m: s.autodiff.Explain(pb.ExplainRequest(graph=square().input.graph, value="no"), metadata=m),
                "verify",
            ),
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
            ended = self.end(call, served, name)
            if not scope or scope in scopes:  # that there is no op and no value called nothing is found out behind the door
                assert ended is None or ended.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
                continue
            assert ended is not None
            code, info = refusal(ended)
            assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
            assert info.metadata["scope"] == scope
            assert f"needs the scope {scope!r}, which {name!r} does not have" in ended.details()
        with pytest.raises(grpc.RpcError) as caught:
            call(served, bearer("nobody"))
        assert refusal(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED

    @staticmethod
    def end(call: Callable[[Served, Any], Any], served: Served, name: str) -> Any:
        """The error that a call of somebody ends with, or None."""
        try:
            call(served, bearer(name))
        except grpc.RpcError as error:
            return error
        return None

    def test_a_session_says_what_its_caller_may_not_do_and_goes_on(self, served: Served) -> None:
        frames = [
            pb.SessionRequest(differentiate=square(CACHED, "checked")),
            pb.SessionRequest(differentiate=square(OFF, "plain")),
        ]
        answers = list(served.autodiff.Session(iter(frames), metadata=bearer("alice")))
        faults = {one.request_id: fault_of(one) for one in answers if one.HasField("status")}
        assert list(faults) == ["checked"]
        assert faults["checked"].code == grpc.StatusCode.PERMISSION_DENIED.value[0]
        assert "needs the scope 'verify'" in faults["checked"].message
        events = [event for one in answers if one.request_id == "plain" for event in one.events]
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
        assert "no valid token" in str(caught.value.details())
        assert "alice" not in str(caught.value.details())

    def test_a_caller_is_known_where_work_is_admitted(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Caller] = []
        handler = served.host.handler
        before = handler.derive

        async def derive(asked: Any, *rest: Any) -> Any:
            seen.append(CURRENT.get().caller)
            return await before(asked, *rest)

        monkeypatch.setattr(handler, "derive", derive)
        served.autodiff.Derive(
            pb.DeriveRequest(graph=square().input.graph, mode=pb.DERIVE_MODE_VJP), metadata=bearer("checker")
        )
        assert seen == [Caller("checker", frozenset({"evaluate", "verify"}))]

    def test_all_digests_are_compared_with_one_function(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also behind the one that fits, so that time tells nothing."""
        import hmac

        compared: list[bool] = []
        real = hmac.compare_digest

        def compare(one: bytes, other: bytes) -> bool:
            compared.append(real(one, other))
            return compared[-1]

        monkeypatch.setattr(hmac, "compare_digest", compare)
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
        assert (found.name, found.scopes) == ("default", frozenset({"evaluate", "verify"}))

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
            ("a token with \u00e4 letters in it", "has characters that a header may not have"),
            (b"\xff" * 40, "is no text in UTF-8"),
            ("two\nlines", "neither a single token in a line nor TOML"),
            ("[callers]", "there is no [callers.NAME]"),
            ("[caller.a]\nscopes = []", "did you mean 'callers'?"),
            ("[callers]\na = 3", "callers.a is no table"),
            ("[callers.a]\nscopes = ['evaluate']", "has neither sha256"),
            ("[callers.a]\nsha256 = 'ab'\nscopes = ['evaluate']", "sha256 is not the SHA-256"),
            ("[callers.a]\ntoken = 'x'\ncertificate = 'c'\nscopes = ['evaluate']", "callers.a.token: there is no such key"),
            ("[callers.a]\ncertificate = 'c'", "scopes must be a list of evaluate, verify, admin"),
            ("[callers.a]\ncertificate = 'c'\nscopes = 'admin'", "scopes must be a list"),
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
            served.autodiff.Evaluate(
                pb.EvaluateRequest(input=pb.RunInput(graph=square().input.graph)), metadata=(("x-who", who),), timeout=30
            )
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

    def test_why_a_plugin_was_refused_is_for_operators(self, served: Served) -> None:
        """So is that of an op or a kernel of a plugin that stays."""
        told = {
            name: served.autodiff.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer(name))
            for name in ("operator", "checker", "alice")
        }
        op, kernel, plugin = [one.reason for one in told["operator"].refused]
        assert op.startswith("op 'leaky.broken' of plugin 'leaky' refused: 'leaky.broken' at case ")
        assert kernel.startswith("a kernel of plugin 'leaky' is not used: kernel 'broken exp' of op 'exp' in float64")
        assert plugin == f"plugin 'mine' refused: import: KeyError: {SECRET}"
        assert all(SECRET in reason for reason in (op, kernel, plugin))
        for name in ("checker", "alice"):
            assert [one.reason for one in told[name].refused] == [
                "op 'leaky.broken' of plugin 'leaky' refused; the server's log says why",
                "a kernel of plugin 'leaky' is not used: 'broken exp'; the server's log says why",
                "plugin 'mine' refused: import; the server's log says why",
            ]
            assert SECRET not in str(told[name])

    def test_a_server_with_such_a_plugin_is_not_open(self) -> None:
        assert Access(Settings(), build_registry(BUILTIN)).serves_everyone
        assert not Access(Settings(), build_registry(BUILTIN, others=[greeting_plugin])).serves_everyone

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
        assert "tests.support.greeting_plugin" in [plugin.source for plugin in found.plugins]
        assert installed() == ["blocked", "greeting", "stranger"]
        [problem] = problems_of(Settings(allow_plugin=["strange"]))
        assert "no plugin 'strange' is installed; did you mean 'stranger'?" in problem.text
        assert "without entry_points" in problems_of(Settings(allow_plugin=["greeting"], entry_points=False))[0].text


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

    @pytest.mark.slow
    def test_insecure_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr("gradproof.server.process.host.log.warning", lambda text, **_: said.append(text), raising=False)
        with only(tmp_path, insecure=True, host="localhost"):
            assert said == []
        monkeypatch.setattr("gradproof.server.process.host.is_local", lambda host: False)
        with only(tmp_path, insecure=True):
            assert [text.partition(":")[0] for text in said] == [
                "serving other machines without TLS",
                "serving everyone who can reach this address",
            ]

    @pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o602])
    def test_files_that_others_may_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
        token = private(tmp_path / "token", "a token of its own")
        token.chmod(mode)
        if os.geteuid() == 0:
            os.chown(token, 12345, -1)
            monkeypatch.setattr(os, "geteuid", lambda: 12345)
        monkeypatch.setattr(os, "getegid", lambda: token.stat().st_gid + 1)
        monkeypatch.setattr(os, "getgroups", list)
        assert "may be read or changed by others" in problems_of(Settings(token_file=token))[0].text

    @pytest.mark.parametrize("mode", [0o400, 0o440, 0o640])
    def test_a_group_of_the_process_may_read_as_containers_have_it(self, tmp_path: Path, mode: int) -> None:
        token = private(tmp_path / "token", "a token of its own")
        token.chmod(mode)
        assert problems_of(Settings(token_file=token)) == []

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
        with pytest.raises(ConfigurationError, match=r"host: is '0\.0\.0\.0'") as caught:
            Host(Settings(host="0.0.0.0", token_file=tmp_path / "none", plugin=["no.such"], block=["none"]))
        assert [one.setting for one in caught.value.problems] == ["host", "plugin", "block", "token_file"]

    def test_a_plugin_that_ends_its_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "ending_plugin.py").write_text("raise SystemExit(0)")
        monkeypatch.syspath_prepend(tmp_path)
        assert "SystemExit" in problems_of(Settings(plugin=["ending_plugin"]))[0].text


def test_every_claim_names_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)::(\w+)`", page)
    assert len(named) > 20
    for file, group, test in named:
        classes = {
            one.name: one
            for one in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
            if isinstance(one, ast.ClassDef)
        }
        assert test in {one.name for one in classes[group].body if isinstance(one, ast.FunctionDef)}, test
    rows = [line for line in page.partition("| who |")[2].splitlines()[2:] if line.startswith("|")]
    assert all("`tests/" in line for line in rows)
