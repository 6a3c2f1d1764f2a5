"""Commands that talk to a server: over TLS, with a token or a certificate, by flags and by variables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from google.protobuf import json_format
from tests.support.secure_server_fixture import TOKENS, Alone, Authority, callers, only, private, square
from typer.testing import CliRunner, Result

from gradproof.server.access import access
from gradproof.server.commands.cli import app
from gradproof.server.commands.target import OPTIONS
from gradproof.server.configuration.configuration import FOREIGN, configure
from gradproof.server.problems import CLIENT

pytestmark = pytest.mark.stress


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A server that knows tokens, and one certificate."""
    folder = tmp_path_factory.mktemp("served")
    more = '[callers.shown]\ncertificate = "me@example.org"\nscopes = ["admin"]\n'
    files: dict[str, Any] = {
        "tls_cert": authority.certificate,
        "tls_key": authority.key,
        "tls_client_ca": authority.trusted,
    }
    with only(folder / "proofs", token_file=callers(folder / "callers.toml", more=more), **files) as alone:
        yield alone


@pytest.fixture(scope="module")
def tokens(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A server that knows tokens, and asks nobody for a certificate."""
    folder = tmp_path_factory.mktemp("tokens")
    files: dict[str, Any] = {"tls_cert": authority.certificate, "tls_key": authority.key}
    with only(folder / "proofs", token_file=callers(folder / "callers.toml"), **files) as alone:
        yield alone


@pytest.fixture(autouse=True)
def alike(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log of the process as it was; refusals at once; nothing in the environment."""
    monkeypatch.setattr(access, "REFUSE_SECONDS", 0.0)
    for name in OPTIONS:
        monkeypatch.delenv(CLIENT + name.upper(), raising=False)
    yield
    structlog.reset_defaults()


def gradproof(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def file_of(name: str, folder: Path) -> Path:
    return private(folder / name, f"{TOKENS[name]}\n")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.json"
    path.write_text(json_format.MessageToJson(square()), encoding="utf-8")
    return path


def test_every_command_reaches_a_server_with_tls_and_tokens(
    tokens: Alone, authority: Authority, tmp_path: Path, graph: Path
) -> None:
    how = ["--tls-ca", authority.trusted, "--token-file", file_of("operator", tmp_path)]
    assert "calls in flight" in gradproof("status", tokens.target, *how).output
    for words in (["diff", graph, "--json"], ["draw", graph, "--run"], ["ops", "--json"], ["verify", "square"]):
        done = gradproof(*words, "--target", tokens.target, *how)
        assert done.exit_code == 0, done.output


def test_variables_say_it_too(tokens: Alone, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADPROOF_CLIENT_TLS_CA", str(authority.trusted))
    monkeypatch.setenv("GRADPROOF_CLIENT_TOKEN_FILE", str(file_of("operator", tmp_path)))
    assert json.loads(gradproof("status", tokens.target, "--json").stdout)["processes"]


def test_variables_of_commands_are_no_settings_of_a_server() -> None:
    variables = {CLIENT + name.upper(): "x" for name in OPTIONS}
    assert all(FOREIGN.fullmatch(name) for name in variables)
    assert configure([], environment=variables).problems == []
    assert configure([], environment={f"{CLIENT}TOKEN": "x"}).problems


def test_a_certificate_is_shown(mutual: Alone, authority: Authority, tmp_path: Path) -> None:
    made = authority.ca.issue_cert("me@example.org")
    key = private(tmp_path / "key.pem", made.private_key_pem.bytes())
    certificate = private(tmp_path / "certificate.pem", made.cert_chain_pems[0].bytes())
    how = ["--tls-ca", authority.trusted, "--tls-cert", certificate, "--tls-key", key]
    assert "calls in flight" in gradproof("status", mutual.target, *how).output


def test_what_is_missing_is_named_by_its_option(tokens: Alone, authority: Authority, tmp_path: Path, graph: Path) -> None:
    target, trusted = ["--target", tokens.target], ["--tls-ca", authority.trusted]
    for words, wanted in (
        (["ops", *target], "give --tls, or --tls-ca FILE"),
        (["ops", *target, "--tls"], "--tls-ca FILE names the certificates to trust"),
        (["ops", *target, *trusted], "give --token-file FILE"),
        (["ops", *target, *trusted, "--token-file", file_of("nobody", tmp_path)], "nobody is not known there"),
        (
            ["verify", "square", *target, *trusted, "--token-file", file_of("alice", tmp_path)],
            "give a --token-file with that scope",
        ),
        (["ops", *target, "--tls-cert", authority.certificate], "give --tls-cert and --tls-key"),
        (["ops", *target, "--tls-ca", tmp_path / "none"], "No such file"),
        (["ops", *target, "--token-file", private(tmp_path / "empty", "\n")], "does not hold a single token"),
        (["ops", "--target", "192.0.2.1:1", "--token-file", file_of("alice", tmp_path)], "on the command line --tls"),
        (["diff", graph, *target, *trusted], "give --token-file FILE"),
        (["draw", graph, "--run", *target, *trusted], "give --token-file FILE"),
    ):
        done = gradproof(*words)
        assert (done.exit_code, wanted in " ".join(done.output.split())) == (2, True), (words, done.output)
    shown = gradproof("status", tokens.target, *trusted)
    assert shown.exit_code == 0  # health needs no token
    assert "give --token-file FILE" in " ".join(shown.output.split())
