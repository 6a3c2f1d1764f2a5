"""The page of all modules is that of the code."""

from __future__ import annotations

from docs.generator.modules_page import PAGE_PATH, page


def test_the_page_names_each_module_by_its_first_sentence() -> None:
    text = page()
    assert "| [`backward`](../engine/gradproof/engine/backward.py) | Reverse mode: " in text
    assert PAGE_PATH.read_text(encoding="utf-8") == text, "run `make pages`"
