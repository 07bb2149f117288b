import os
import sys
import threading
from types import SimpleNamespace

import pytest

from engine.host import priority


@pytest.mark.parametrize("refused", [(), ("scheduler",), ("memory",), ("scheduler", "memory")])
def test_refused_rights_are_one_line_with_the_remedy_of_each(
    monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...]
) -> None:
    def schedule(*_: object) -> None:
        if "scheduler" in refused:
            raise PermissionError

    libc = SimpleNamespace(mlockall=lambda flags: -1 if "memory" in refused else 0)
    monkeypatch.setattr("os.sched_setscheduler", schedule)
    monkeypatch.setattr("ctypes.CDLL", lambda name: libc)
    told = priority.request_rights(None)
    assert "\n" not in told
    assert ("rtprio" in told) == ("scheduler" in refused)
    assert ("memlock" in told) == ("memory" in refused)
    assert bool(told) == bool(refused)


@pytest.mark.skipif(sys.platform != "linux", reason="niceness belongs to a thread on Linux only")
def test_work_in_the_background_is_nice_and_leaves_the_thread_that_waits_as_it_was() -> None:
    """Niceness 10 there, what it was here: without rights nobody gets back what he gave up."""
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []
    priority.in_background(lambda: seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    assert seen == [10]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


def test_what_fails_in_the_background_fails_here() -> None:
    with pytest.raises(ZeroDivisionError):
        priority.in_background(lambda: 1 // 0)
