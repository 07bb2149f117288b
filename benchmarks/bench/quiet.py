"""What is the same for all that is timed: what the engine process has, in this process and for a while."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from dsp.denormals import denormals_flushed
from engine.host.priority import borrowed_rights, settle

WORK_S, REST_S = 0.4, 0.04
"""How long work goes on, and the rest after it: a real-time thread that never sleeps is held up by the system, which
keeps a twentieth of each second for others."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which times are measured: the scheduling of the thread, and what the system refused, or ""."""

    scheduling: str
    refused: str

    def as_json(self) -> dict[str, str]:
        """Return them by name."""
        return asdict(self)


@contextmanager
def quiet() -> Iterator[Conditions]:
    """Have no garbage collection, no denormals, and the engine's rights where they are granted, within the block."""
    interval_s, collecting, frozen = sys.getswitchinterval(), gc.isenabled(), gc.get_freeze_count()
    settle()
    try:
        with borrowed_rights() as refused, denormals_flushed():
            yield Conditions(scheduling(), refused)
    finally:
        sys.setswitchinterval(interval_s)
        if not frozen:
            gc.unfreeze()
        if collecting:
            gc.enable()


def scheduling() -> str:
    """Return how the calling thread is scheduled: `SCHED_FIFO 10`, or `ordinary`."""
    if not hasattr(os, "sched_getscheduler"):
        return "ordinary"
    names = {os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}
    name = names.get(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
    return f"{name} {os.sched_getparam(0).sched_priority}" if name else "ordinary"


class Pace:
    """Rests between quanta, when it is time to."""

    def __init__(self) -> None:
        self._since_s = time.monotonic()

    def rest(self) -> None:
        """Sleep if there was work for long enough."""
        if time.monotonic() - self._since_s > WORK_S:
            time.sleep(REST_S)
            self._since_s = time.monotonic()
