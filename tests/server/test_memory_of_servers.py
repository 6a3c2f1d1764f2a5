"""Memory that a server has freed goes back to the system once it is idle, and not before."""

from __future__ import annotations

import sys

import pytest

from gradproof.server.limits import Limits
from gradproof.server.process.idle_trimmer import IDLE_BEATS, IdleTrimmer, trimmer
from gradproof.server.runs.admission import Admission


def test_free_memory_goes_back_once_after_each_busy_time() -> None:
    admission, trims = Admission(Limits()), []
    trimmer = IdleTrimmer(admission, lambda: trims.append(1))

    def look(times: int) -> None:
        for _ in range(times):
            if (trim := trimmer.due()) is not None:
                trim()

    look(3 * IDLE_BEATS)
    assert not trims  # it was never busy
    for busy in (1, 2):
        with admission.request():
            look(3 * IDLE_BEATS)
            assert len(trims) == busy - 1
        look(IDLE_BEATS - 1)
        assert len(trims) == busy - 1  # a burst may go on
        look(3 * IDLE_BEATS)
        assert len(trims) == busy
    admission.close()


def test_where_memory_cannot_be_given_back_nothing_is_called() -> None:
    admission = Admission(Limits())
    trimmer = IdleTrimmer(admission, None)
    with admission.request():
        pass
    assert [trimmer.due() for _ in range(3 * IDLE_BEATS)] == [None] * 3 * IDLE_BEATS
    admission.close()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_glibc_gives_memory_back() -> None:
    trim = trimmer()
    assert trim is None or trim() in (0, 1)
