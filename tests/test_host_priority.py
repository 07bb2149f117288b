import os
import sys
import threading
from pathlib import Path
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


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling belongs to a thread on Linux only")
def test_borrowed_rights_are_kept() -> None:
    """Policy, priority and locked memory are what they were before, an exception or not."""

    def held() -> tuple[int, int, str]:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        locked = next(line for line in lines if line.startswith("VmLck"))
        return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, locked

    def fail() -> None:
        with priority.borrowed_rights() as refused:
            assert (held()[:2] == before[:2]) == ("real-time priority" in refused)
            assert (held()[2] == before[2]) == ("locked memory" in refused)
            raise ZeroDivisionError

    before = held()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert held() == before


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling belongs to a thread on Linux only")
def test_a_thread_without_rights_cannot_give_back_what_it_was_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them, what is reset on a fork stays so: the policy before with that flag, which is allowed."""
    asked: list[int] = []

    def schedule(thread: int, policy: int, param: object) -> None:
        asked.append(policy)
        if asked[-1] == os.SCHED_OTHER:
            raise PermissionError

    monkeypatch.setattr("os.sched_setscheduler", schedule)
    monkeypatch.setattr("os.sched_getscheduler", lambda thread: os.SCHED_OTHER)
    with priority.borrowed_rights():
        pass
    flag = os.SCHED_RESET_ON_FORK
    assert asked == [os.SCHED_FIFO | flag, os.SCHED_OTHER, os.SCHED_OTHER | flag]
