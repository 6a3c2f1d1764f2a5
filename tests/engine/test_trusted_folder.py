"""A folder of trusted files: content by version and name, unfinished files, and decoders that fail."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from gradproof.engine.trusted_folder import STALE_SECONDS, TrustedFolder

WARNING = "%s is not used: %s"


def test_a_file_is_read_by_its_name_and_version_only(tmp_path: Path) -> None:
    TrustedFolder(tmp_path, 1, WARNING).save("a.json", {"k": 1})
    assert TrustedFolder(tmp_path, 1, WARNING).load("a.json", dict) == {"k": 1}
    assert TrustedFolder(tmp_path, 2, WARNING).load("a.json", dict) is None
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    assert TrustedFolder(tmp_path, 1, WARNING).load("b.json", dict) is None
    assert TrustedFolder(tmp_path, 1, WARNING).names("b", ".json") == ["b.json"]


def test_unfinished_files_are_removed_when_they_are_old(tmp_path: Path) -> None:
    old, new = tmp_path / "old.part", tmp_path / "new.part"
    for part in (old, new):
        part.write_text("")
    past = time.time() - 2 * STALE_SECONDS
    os.utime(old, (past, past))
    TrustedFolder(tmp_path, 1, WARNING).save("a.json", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "new.part"]


def test_content_that_cannot_be_decoded_is_a_single_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = TrustedFolder(tmp_path, 1, WARNING)
    folder.save("a.json", "text")
    with caplog.at_level(logging.WARNING):
        assert folder.load("a.json", float) is None
        assert folder.load("a.json", float) is None
    assert caplog.text.count("is not used") == 1


def test_a_body_that_is_no_json_leaves_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        TrustedFolder(tmp_path, 1, WARNING).save("a.json", object())
    assert list(tmp_path.iterdir()) == []
    assert "is not used" in caplog.text
