"""The tests of `forks`, in a process that has nothing but clients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("fork_cases.py")


@pytest.mark.stress
@pytest.mark.slow
def test_forks_are_told_and_harm_nobody() -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", str(CASES)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=CASES.parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
