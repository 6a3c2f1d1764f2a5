"""TLS and tokens, from the command line to both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.support.server_fixture import Served, serving

from gradproof.client import AsyncClient, Client, GraphBuilder, Unauthenticated, Unavailable, hook
from gradproof.server.access.access import Access
from gradproof.server.configuration.settings import Settings
from gradproof.server.problems import ConfigurationError


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    one = ca.issue_cert("127.0.0.1", "localhost")
    files = {name: folder / f"{name}.pem" for name in ("trusted", "certificate", "key")}
    ca.cert_pem.write_to_path(str(files["trusted"]))
    one.cert_chain_pems[0].write_to_path(str(files["certificate"]))
    one.private_key_pem.write_to_path(str(files["key"]))
    files["key"].chmod(0o600)
    return files


@pytest.fixture(scope="module")
def guarded(authority: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    token = tmp_path_factory.mktemp("tokens") / "token"
    token.write_text("open sesame, and soon\n")
    token.chmod(0o600)
    access = {"tls_cert": authority["certificate"], "tls_key": authority["key"], "token_file": token}
    with serving(tmp_path_factory.mktemp("proofs"), **access) as found:
        yield found


def square() -> GraphBuilder:
    g = GraphBuilder()
    g.output(g.apply("square", g.leaf("x", 3.0, requires_grad=True), name="y"))
    return g


@pytest.mark.slow
def test_with_certificate_and_token(guarded: Served, authority: dict[str, Path]) -> None:
    with Client(guarded.target, tls=str(authority["trusted"]), token="open sesame, and soon") as client:
        assert client.differentiate(square(), verify="off").gradients["x"].gradient == 6.0
        hooked = client.differentiate(square(), hooks=[hook("y", lambda g: g * 2)], verify="off")
        assert hooked.gradients["x"].gradient == 12.0

    async def run() -> None:
        async with AsyncClient(guarded.target, tls=str(authority["trusted"]), token="open sesame, and soon") as client:
            assert (await client.infer(square())).faults == []

    asyncio.run(run())


@pytest.mark.parametrize("token", ["", "open barley, and soon"])
def test_without_the_token_no_call_is_served(guarded: Served, authority: dict[str, Path], token: str) -> None:
    with Client(guarded.target, tls=str(authority["trusted"]), token=token) as client:
        for call in (
            client.info,
            lambda: client.differentiate(square()),
            lambda: client.differentiate(square(), hooks=[hook("y", lambda g: g)]),
            lambda: list(client.verify_op("sin")),
        ):
            with pytest.raises(Unauthenticated, match="no valid token"):
                call()


def test_without_the_certificate_there_is_no_connection(guarded: Served) -> None:
    for tls in (False, True):
        with Client(guarded.target, tls=tls, timeout=5.0, retries=0) as client, pytest.raises(Unavailable):
            client.info()


def test_half_a_pair() -> None:
    with pytest.raises(ConfigurationError, match="tls_key: is not given; TLS needs a certificate and its key"):
        Access(Settings(tls_cert=Path("certificate.pem")))
