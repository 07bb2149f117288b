"""What the system may grant to a thread that must not be late. All of it is asked for, none of it is needed."""

import contextlib
import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator

PRIORITY = 10
"""Of SCHED_FIFO, for the DSP loop: above ordinary threads, below those of an audio server."""

MESSENGER_PRIORITY = 5
"""Of SCHED_FIFO, for the messenger: an ordinary thread that takes its processor while it holds the interpreter would
hold up the DSP loop as well."""

BACKGROUND_NICENESS = 10

SWITCH_INTERVAL_S = 0.0002
"""How long another thread may keep the interpreter from the DSP loop; the default of 5 ms is two quanta."""

PRIORITY_LINE = "`@audio - rtprio 20`"
MEMORY_LINE = "`@audio - memlock unlimited`"
"""What /etc/security/limits.conf must say for the rights to be granted."""

_MCL_CURRENT = 1


def settle() -> None:
    """Make the interpreter steady: nothing that exists now is ever looked at again by the garbage collector."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.disable()


def request_rights(messenger: int | None) -> str:
    """Ask for what keeps the calling thread, the DSP loop, on time; return in one line what was refused, or "".

    `messenger` is the native number of the thread that shares the interpreter with it. With a single processor it
    stays an ordinary thread: there, building a large graph at real-time priority would starve the audio server.
    """
    refused = []
    granted = request_priority(0, PRIORITY)
    if granted and messenger is not None and (os.cpu_count() or 1) > 1:
        granted = request_priority(messenger, MESSENGER_PRIORITY)
    if not granted:
        refused.append(("real-time priority", PRIORITY_LINE))
    if not lock_memory():
        refused.append(("locked memory", MEMORY_LINE))
    if not refused:
        return ""
    what, lines = (" and ".join(column) for column in zip(*refused, strict=True))
    return (
        f"without {what}, under-runs are likelier on a busy machine; allow {lines} in "
        "/etc/security/limits.conf and log in again"
    )


@contextlib.contextmanager
def borrowed_rights() -> Iterator[str]:
    """Have the calling thread hold the rights of the DSP loop within the block; gives what `request_rights` returns."""
    known = hasattr(os, "sched_getscheduler")
    before = (os.sched_getscheduler(0), os.sched_getparam(0)) if known else None
    try:
        yield request_rights(None)
    finally:
        if before is not None:
            _restore_scheduling(*before)
        _unlock_memory()


def in_background(job: Callable[[], object]) -> None:
    """Do `job` on a thread of low priority, and wait for it; raises what it raises.

    The calling thread's priority stays as it is: without rights, a lowered one could not be raised again, nor could
    the policy for idle time be left.
    """
    failures: list[BaseException] = []

    def work() -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "linux":  # elsewhere niceness belongs to the process, for good
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)
        try:
            job()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=work, name="background")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def request_priority(thread: int, priority: int) -> bool:
    """Ask for SCHED_FIFO at `priority` for a thread by its native number (0: the calling one); say if it is granted."""
    if not hasattr(os, "sched_setscheduler"):
        return True
    try:
        os.sched_setscheduler(thread, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return False
    return True


def _restore_scheduling(policy: int, param: "os.sched_param") -> None:
    try:
        os.sched_setscheduler(0, policy, param)
    except PermissionError:  # without rights, what is reset on a fork stays so
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, param)


def lock_memory() -> bool:
    """Ask for all present memory to stay out of swap; say if it is granted."""
    libc = ctypes.CDLL(None)
    return not hasattr(libc, "mlockall") or libc.mlockall(_MCL_CURRENT) == 0


def _unlock_memory() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "munlockall"):
        libc.munlockall()
