"""What the system may grant to a thread that must not be late. All of it is asked for, none of it is needed."""

import ctypes
import gc
import os
import sys

PRIORITY = 10
"""Of SCHED_FIFO: above ordinary threads, below those of an audio server."""

SWITCH_INTERVAL_S = 0.0002
"""How long another thread may keep the interpreter from the DSP loop; the default of 5 ms is two quanta."""

_MCL_CURRENT = 1


def settle() -> None:
    """Make the interpreter steady: nothing that exists now is ever looked at again by the garbage collector."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.disable()


def request_priority() -> str:
    """Ask for real-time priority for the calling thread; return what was refused and the remedy, or ""."""
    if not hasattr(os, "sched_setscheduler"):
        return ""
    try:
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))
    except OSError:
        return (
            "no real-time priority: under-runs are likelier when the machine is busy; "
            "allow it in /etc/security/limits.conf (`@audio - rtprio 20`) and log in again"
        )
    return ""


def lock_memory() -> str:
    """Ask for all present memory to stay out of swap; return what was refused and the remedy, or ""."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mlockall") or libc.mlockall(_MCL_CURRENT) == 0:
        return ""
    return "the engine's memory may be swapped out; allow `@audio - memlock unlimited` in limits.conf"
