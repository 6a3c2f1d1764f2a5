"""The page of absent names: each name of a catalogue is present, or has its reason, and each reason its names."""

from __future__ import annotations

import pytest
from docs.generator import absent_page
from scipy import special
from tests.conftest import REGISTRY


def test_the_page_is_that_of_the_catalogues() -> None:
    assert absent_page.PAGE_PATH.read_text(encoding="utf-8") == absent_page.page(REGISTRY), "run `make pages`"


@pytest.mark.parametrize("catalogue", absent_page.LIBRARIES)
def test_each_name_is_present_or_has_its_reason(catalogue: str) -> None:
    listed = absent_page.names(catalogue)
    assert len(listed) == len(set(listed)) > 50
    absent = [name for name in listed if not absent_page.is_present(REGISTRY, catalogue, name)]
    assert [name for name in absent if not absent_page.reason(catalogue, name)] == []


def test_each_reason_is_that_of_a_name() -> None:
    used = set()
    for catalogue in absent_page.LIBRARIES:
        for name in absent_page.names(catalogue):
            if not absent_page.is_present(REGISTRY, catalogue, name):
                used.add(absent_page.reason(catalogue, name))
    assert {text for *_, text in absent_page.REASONS} == used


def test_the_catalogue_of_scipy_is_that_of_the_library() -> None:
    """Of the installed version, but for names that came or went since."""
    known = {
        name
        for name in special.__all__
        if callable(getattr(special, name)) and not isinstance(getattr(special, name), type)
    }
    assert len(known ^ set(absent_page.names("scipy_special"))) < 20


def test_names_of_each_kind_are_told_apart() -> None:
    assert absent_page.is_present(REGISTRY, "torch", "tanh")
    assert absent_page.is_present(REGISTRY, "array_api", "linalg.cholesky")
    assert not absent_page.is_present(REGISTRY, "torch", "fft.rfft")
    assert absent_page.reason("torch", "rfft") == "not yet: transforms"
    assert absent_page.reason("torch", "tanhh") == ""
