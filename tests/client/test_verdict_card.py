"""Verdicts as three lines, and as the card of a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client.backward.provenance import UNKNOWN
from gradproof.client.cards import HUES
from gradproof.client.events import AccumulationVerdict, RuleVerdict, UseVerdict, ValueVerdict, Verdict


@pytest.fixture(autouse=True)
def tensors(shared: Served) -> Iterator[None]:
    before = gp.use(shared.client)
    yield
    gp.use(before)


def use(rule: str = "PROVED", ulps: float = 0.5, checked: int = 3) -> UseVerdict:
    proof = RuleVerdict(rule, "own.op", "", "", "", "", "", None, 0.0, False)
    number = ValueVerdict("ENCLOSED", ulps, checked, 4, "", None, 53)
    return UseVerdict(0, "own.op", "<x>", 0, proof, number, number)


def verdict(summary: str, reason: str = "", *uses: UseVerdict) -> Verdict:
    return replace(UNKNOWN, summary=summary, reason=reason, uses=uses)


class Texts(HTMLParser):
    """The texts of a page, and its open tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.styles = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.styles += dict(attrs).get("style") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_verdict_of_a_pass_is_three_lines() -> None:
    x = gp.tensor([3.0, 0.1], requires_grad=True)
    (x * x).sum().backward()
    word, digits, reason = repr(x.verdict).splitlines()
    assert word == "verified"
    assert digits.startswith("digits: within 0")
    assert digits.endswith("units in the last place, 4 of 4 elements checked")
    assert reason
    assert str(x.verdict) == repr(x.verdict)


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (
            verdict("plausible", "a\nreason", use(ulps=7.25), use(ulps=0.5)),
            ["plausible", "digits: within 7.25 units in the last place, 6 of 8 elements checked", "a reason"],
        ),
        (
            verdict("wrong", "off by 1", use("REFUTED")),
            [
                "wrong",
                "digits: within 0.5 units in the last place, 3 of 4 elements checked",
                "off by 1; mend the backward rule of own.op, which `gradproof verify own.op` refutes",
            ],
        ),
        (
            verdict("unchecked", "", use(checked=0)),
            [
                "unchecked",
                "digits: none of 4 elements checked",
                "nothing is known: ask for the verdict again, or give the checks a larger budget",
            ],
        ),
        (
            replace(verdict("wrong", "through 'y': off", use()), accumulation=AccumulationVerdict("EXACT", 1, "")),
            ["wrong", "digits: of the last step only, within 0.5 units in the last place, 3 of 4 elements checked"],
        ),
        (UNKNOWN, ["unchecked", "digits: not checked", UNKNOWN.reason]),
        (replace(verdict("verified"), hooked_by=("h",)), ["verified, below the hook on h"]),
    ],
)
def test_lines(found: Verdict, lines: list[str]) -> None:
    own = repr(found).splitlines()
    assert len(own) == 3
    assert own[: len(lines)] == lines


@pytest.mark.parametrize("summary", [*HUES, "another <word>"])
def test_a_card_says_the_same_escaped_and_takes_the_colours_of_its_page(summary: str) -> None:
    found = verdict(summary, "element <0> & 'more'", use("REFUTED"))
    page = Texts(found._repr_html_())
    assert page.open == []
    assert page.texts[:3] == repr(found).splitlines()
    assert any("input <x>" in text for text in page.texts)
    assert "color: inherit" in page.styles
    assert "0.12)" in page.styles  # the background is a tint of that of the page
