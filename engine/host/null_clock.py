"""The null clock: takes frames at the pace of real time and plays them to nobody."""

import time
from collections.abc import Callable

from engine.host.callback import (
    CALLBACKS,
    DEVICE_FRAMES,
    PLAYING,
    READ,
    RING_MINIMUM,
    STATE,
    UNDERRUN_FRAMES,
    UNDERRUN_LOG,
    UNDERRUNS,
    WRITTEN,
)
from engine.host.session import Session
from engine.spec import StreamSpec

LONGEST_LAG_S = 1.0
"""How much lost time is caught up; beyond it (a stopped process) the clock is set back instead."""


class NullClock:
    """A driver without a device: whole quanta fall due by the wall clock, counted from one start time.

    A device would have lost the frames that came too late; here they are taken later, so that the transport keeps
    pace, and counted as under-runs all the same.
    """

    name = "null"
    device = "null clock"
    latency_s = 0.0
    input_latency_s = 0.0

    def __init__(
        self, session: Session, spec: StreamSpec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # set once
        self._counters = session.counters
        self._log = session.underruns
        self._spec = spec
        self._clock = clock
        self.device_frames = spec.quantum_frames
        # DSP loop only
        self._start_s = 0.0
        self._start_frame = 0
        self._short_frames = 0
        self._abandoned = False

    def start(self) -> None:
        """Begin to count time."""
        self._start_s = self._clock()
        self._start_frame = int(self._counters[READ])
        self._counters[DEVICE_FRAMES] = self.device_frames

    def advance(self) -> None:
        """Take the quanta that are due."""
        if self._abandoned:
            return
        quantum = self._spec.quantum_frames
        elapsed = int((self._clock() - self._start_s) * self._spec.rate_hz) // quantum * quantum
        due = self._start_frame + elapsed
        read = int(self._counters[READ])
        if due <= read:
            return
        available = int(self._counters[WRITTEN]) - read
        taken = min(due - read, available)
        short = due - read - taken
        if int(self._counters[STATE]) == PLAYING:
            self._note(read + taken, short)
            self._counters[RING_MINIMUM] = min(int(self._counters[RING_MINIMUM]), available - taken)
        self._short_frames = short
        if short > LONGEST_LAG_S * self._spec.rate_hz:
            self._start_s += short / self._spec.rate_hz
        self._counters[CALLBACKS] += 1
        self._counters[READ] = read + taken

    def _note(self, frame: int, short: int) -> None:
        """Count the frames that came too late; `short` still are, and may get more before there are fewer."""
        more = short - self._short_frames
        if more <= 0:
            return
        number = int(self._counters[UNDERRUNS]) - (1 if self._short_frames else 0)
        row = self._log[number % UNDERRUN_LOG]
        row[:] = (frame, short, -1) if not self._short_frames else (row[0], row[1] + more, -1)
        self._counters[UNDERRUNS] = number + 1
        self._counters[UNDERRUN_FRAMES] += more

    def lost(self) -> bool:
        """Time does not stop."""
        return False

    def abandon(self) -> None:
        """Take no more frames."""
        self._abandoned = True

    def close(self) -> None:
        """Take no more frames."""
        self._abandoned = True
