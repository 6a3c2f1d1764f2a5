"""Bars on the terminal: where they are drawn, and where they are not."""

from __future__ import annotations

import asyncio
import io
import sys
from contextlib import redirect_stderr

import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client import AsyncClient, Client, GraphBuilder, Progress, progress_bar
from gradproof.client.progress_bar import reporting

NUMBERS, PROOFS = Progress("numbers", 0, 0, 3, 40), Progress("proofs", 1, 2, 40, 40)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress_bar, "PATIENCE", 0.0)
    return Screen()


def test_a_bar_shows_numbers_then_proofs_and_is_removed(screen: Screen) -> None:
    seen: list[Progress] = []
    with redirect_stderr(screen), reporting("checks", True, seen.append) as report:
        assert report is not None
        report(NUMBERS)
        assert "checks: numbers" in screen.getvalue()
        assert "3/40" in screen.getvalue()
        report(PROOFS)
        assert "checks: proofs" in screen.getvalue()
    assert seen == [NUMBERS, PROOFS]
    assert screen.getvalue().rstrip().endswith("\x1b[1A\x1b[2K")  # the line is erased


def test_a_call_of_less_than_a_second_draws_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "PATIENCE", 60.0)
    with redirect_stderr(screen), reporting("checks", True) as report:
        assert report is not None
        report(NUMBERS)
    assert screen.getvalue() == ""


def test_nothing_is_drawn_or_asked_for_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        with reporting("checks", True) as report:
            assert report is None


def test_nothing_is_drawn_without_the_library(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "find_spec", lambda name: None)
    with redirect_stderr(screen), reporting("checks", True) as report:
        assert report is None


def test_nothing_is_drawn_where_it_is_switched_off(screen: Screen) -> None:
    seen: list[Progress] = []
    with redirect_stderr(screen), reporting("checks", False, seen.append) as report:
        assert report is not None
        report(NUMBERS)
    assert (seen, screen.getvalue()) == ([NUMBERS], "")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The bars that calls ask for."""
    asked: list[tuple[str, bool]] = []
    real = reporting

    def noting(title: str, shown: bool, on_progress: object = None) -> object:
        asked.append((title, shown))
        return real(title, shown, on_progress)  # type: ignore[arg-type]

    for name in ("client", "aio", "session", "aio_session", "backward.evidence"):
        monkeypatch.setattr(f"gradproof.client.{name}.reporting", noting)
    return asked


def square() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(g.apply("multiply", x, x), "y")
    return g


def test_all_that_takes_long_asks_for_a_bar(shared: Served, drawn: list[tuple[str, bool]]) -> None:
    for progress, own in ((True, None), (True, False), (False, None), (False, True)):
        with Client(shared.target, progress=progress) as client:
            client.differentiate(square(), progress=own)
            list(client.verify_op("negative", progress=own))
        shown = progress if own is None else own
        assert drawn == [("checks", shown), ("proofs of negative", shown)]
        drawn.clear()
    with Client(shared.target) as client:
        with client.session() as session:
            session.differentiate(square(), progress=True)
        before = gp.use(client)
        x = gp.tensor(2.0, requires_grad=True)
        x.exp().backward()
        assert drawn == [("checks", True)]
        assert x.verdict is not None
        assert drawn == [("checks", True), ("checks of the gradient", True)]
        gp.use(before)


def test_the_client_of_asyncio_does_too(shared: Served, drawn: list[tuple[str, bool]]) -> None:
    async def ask() -> None:
        async with AsyncClient(shared.target) as client:
            await client.differentiate(square())
            async for _ in client.verify_op("negative", progress=False):
                pass
            async with client.session() as session:
                await session.differentiate(square(), progress=True)

    asyncio.run(ask())
    assert drawn == [("checks", True), ("proofs of negative", False), ("checks", True)]
