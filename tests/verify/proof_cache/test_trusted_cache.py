"""Trusted cache: proofs that another user may have written are not read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gradproof.engine import trusted_folder
from gradproof.engine.verify.proof_cache import ProofCache
from gradproof.engine.verify.proof_cache import cache as proof_cache
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.server.configuration.preflight import problems_of
from gradproof.server.configuration.settings import Settings


class TestCache:
    VERDICT = RuleVerdict(RuleWord.PROVED, "sin", "()", tactic="structural")

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
        """A file from before the folder was closed. The rule is proved again."""
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
        cache.put("d", RuleVerdict(RuleWord.REFUTED, "sin", "()"))
        whole = json.loads((tmp_path / "d.json").read_text())
        whole["body"] = whole["body"].replace("REFUTED", "PROVED")
        (tmp_path / "d.json").write_text(json.dumps(whole))
        assert cache.get("d") is None
        assert "pickle" not in vars(proof_cache).keys() | vars(trusted_folder).keys()

    def test_what_cannot_be_a_cache(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "is no folder" in problems_of(Settings(cache=tmp_path / "file"))[0].text
        assert "cannot be used" in problems_of(Settings(cache=tmp_path / "file" / "proofs"))[0].text
        assert problems_of(Settings(cache=tmp_path / "none")) == []
